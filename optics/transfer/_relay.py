"""An image of a line of pixels by two lenses."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import as_leaf, check_instance, check_number, check_positive_or_infinite
from optics._typing import LensLike, ScalarLike
from optics.transfer._band_limit import stop
from optics.transfer._fourier_lens import (
    FourierLens,
    emit_line,
    illumination,
    plane_shape,
    propagate,
    receive_line,
    reference_phase,
    transmission,
)
from optics.transfer._transfer import AbstractTransfer


class Relay(AbstractTransfer):
    """A line of pixels imaged by two cylindrical lenses with a slit between them, a 4f system.

        light -> f -> lens -> f -> slit -> f -> lens -> f -> pixels

    Two Fourier transforms in a row turn the line upside down, which the order of the pixels behind it undoes.
    The pupil of the lenses or the slit cuts the frequencies of the image: its edges reach into the pixels
    beside.

    Arguments:
        lens: one of the two, a `FourierLens` of one row or one column of pixels, with its pupil, its
            aberrations and its `detector_fill`, of the pixels that the image falls on; a `defocus` is that of
            those pixels.
        slit: half its width, m; infinite for none.
        shift: of the image along the line, m, as of a modulator that is not aligned.

    Raises:
        ValueError: a `lens` that is no line or whose pixels are divided, a `slit` not above 0, or a `shift`
            that is not finite.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), section 8.1 (the 4f system).
    """

    lens: FourierLens
    slit: Array = eqx.field(converter=as_leaf)
    shift: Array = eqx.field(converter=as_leaf)

    def __init__(self, lens: LensLike, slit: ScalarLike = jnp.inf, shift: ScalarLike = 0.0):
        check_instance(
            "lens", lens, FourierLens, "`optics.FourierLens((1, 16), pitch=127e-6, wavelength=1.55e-6)`"
        )
        if min(lens.pixels) != 1 or lens.subpixels != 1:
            raise ValueError(
                f"`lens` must have one row or one column of whole pixels, got {lens.pixels} with "
                f"{lens.subpixels} `subpixels`."
            )
        check_positive_or_infinite("slit", slit, "m")
        check_number("shift", shift, unit="m")
        self.lens, self.slit, self.shift = lens, slit, shift

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the image."""
        return self.lens.pixels

    @property
    def subpixels(self) -> int:
        """Pixels are not divided."""
        return 1

    @property
    def peak(self) -> Array:
        """How bright one pixel can make another: the overlap of a pixel with its image, at most 1."""
        narrow, wide = (f(self.lens.fill, self.lens.detector_fill) for f in (jnp.minimum, jnp.maximum))
        return jnp.sqrt(narrow / wide)

    def __call__(
        self, light: Inexact[Array, "*lead rows cols"], real: bool = False
    ) -> Inexact[Array, "*lead rows_out cols_out"]:
        """The image by full propagation; arguments as those of `AbstractTransfer`."""
        lens = self.lens
        passing = transmission(lens)
        field = propagate(lens, emit_line(lens, light * illumination(lens)), lens.focal_length)
        field = propagate(lens, field * passing, lens.focal_length) * self._slit()
        field = propagate(lens, field, lens.focal_length)
        field = propagate(lens, field * passing, lens.focal_length + lens.defocus)
        out = reference_phase(lens) ** 2 * receive_line(lens, field, reverse=True, shift=self.shift)
        return out.real if real else out

    def _slit(self) -> Array:
        dx, shape = self.lens.pitch / self.lens.oversampling, plane_shape(self.lens)
        # An infinite half-width is one beyond the plane, whose edge does not lie on it.
        width = jnp.minimum(self.slit, 2 * self.lens.plane * dx)
        return stop(shape, dx, width, (0.0, 0.0))
