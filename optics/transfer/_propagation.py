"""A compiled transfer for panels whose light a pupil cuts: the propagation itself, with its factors kept."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_leaf, as_plane, as_shape, check_positive_number, check_whole
from optics._typing import ArrayLike, CountLike, ScalarLike, ShapeLike
from optics.transfer._fourier_lens import FourierLens, as_panel, illumination, strides
from optics.transfer._orders import join_factors, propagate_factors
from optics.transfer._transfer import AbstractTransfer, light_shape


class Propagation(AbstractTransfer):
    """A compiled transfer for panels whose light a pupil cuts: free space, the lens in its pupil, free space.

        out = gather(after · F[lens · F⁻¹[before · spread(illumination · in)]])

    The spectrum of the panel's pixels is repeated over the frequencies of a plane of samples (`spread`), and
    that of the field is folded to the pixels of the detector (`gather`). The map is that of the lens, with
    nothing left out. A `MaskedFFT` costs less where a few terms hold the map; of a pupil of half the panel's
    width 88 terms leave out 0.3 of it. On one core a transform of 64×64 takes 1.6 ms with one of the orders
    and 44 ms with three (`FourierLens` itself 9.8 and 252 ms), and the factors take 3 and 36 MB.

    `compile_transfer` makes one.

    Arguments:
        before: factor of emitters and free space on the spectrum, shape (samples, samples).
        lens: the lens in its pupil, shape (samples, samples).
        after: factor of free space and receivers on the spectrum, shape (samples, samples).
        illumination: of the pixels of light, shape (rows of light, columns of light).
        peak: how bright one modulator pixel can make one detector pixel.
        shape: pixels (rows, columns) of the detector.
        strides: samples from pixel to pixel of light, and the lengths (rows, columns) of the transforms whose
            samples are detector pixels.
        subpixels: pixels of light per detector pixel and axis.

    Raises:
        ValueError: planes of different sizes, an `illumination` of another shape than the light, `strides`
            that do not divide the samples, or a `peak` not above 0.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> open_plane, light = jnp.ones((8, 8)), jnp.eye(4)  # no distance and no lens: an image
        >>> image = optics.Propagation(*[open_plane] * 3, jnp.ones((4, 4)), 1.0, (4, 4), (2, 4, 4))
        >>> print(abs(image(light) - light).max() < 1e-6)
        True

    Source: J. W. Goodman, Introduction to Fourier Optics (2005), section 5.2.
    """

    before: Inexact[Array, "samples samples"]
    lens: Inexact[Array, "samples samples"]
    after: Inexact[Array, "samples samples"]
    illumination: Inexact[Array, "rows_in cols_in"]
    peak: Float[Array, ""]
    shape: tuple[int, int] = eqx.field(static=True)
    strides: tuple[int, int, int] = eqx.field(static=True)
    subpixels: int = eqx.field(static=True)

    def __init__(
        self,
        before: ArrayLike,
        lens: ArrayLike,
        after: ArrayLike,
        illumination: ArrayLike,
        peak: ScalarLike,
        shape: ShapeLike,
        strides: ShapeLike,
        subpixels: CountLike = 1,
    ):
        planes = {"before": before, "lens": lens, "after": after}
        self.before, self.lens, self.after = (as_plane(name, plane) for name, plane in planes.items())
        samples = self.before.shape[0]
        for name in planes:
            if getattr(self, name).shape != (samples, samples):
                raise ValueError(
                    f"`{name}` must have {samples}×{samples} samples like `before`, got "
                    f"{getattr(self, name).shape}."
                )
        check_positive_number("peak", peak)
        check_whole("subpixels", subpixels, 1)
        rows, cols = as_shape("shape", shape, 2)
        stride, *lengths = as_shape("strides", strides, 3)
        expected = light_shape((rows, cols), int(subpixels))
        if samples % stride or samples // stride < max(expected) or min(lengths) < max(rows, cols):
            raise ValueError(
                f"`strides` must divide {samples} samples into at least {max(expected)} pixels of light, and "
                f"have transforms of at least {max(rows, cols)}, got {strides}."
            )
        self.illumination = as_plane("illumination", illumination)
        if self.illumination.shape != expected:
            raise ValueError(
                f"`illumination` must have the shape {expected} of the light, got {self.illumination.shape}."
            )
        self.peak = as_leaf(peak)
        self.shape, self.strides, self.subpixels = (rows, cols), (stride, *lengths), int(subpixels)

    def __call__(
        self, light: Inexact[Array, "*lead rows cols"], real: bool = False
    ) -> Inexact[Array, "*lead rows_out cols_out"]:
        """The field at the detector: arguments and result as those of `AbstractTransfer`."""
        factors, (stride, *lengths) = (self.before, self.lens, self.after), self.strides
        out = propagate_factors(factors, light * self.illumination, self.shape, (stride, tuple(lengths)))
        return out.real if real else out


def keep_propagation(lens: FourierLens) -> Propagation:
    """The propagation of a lens that follows some orders, its factors computed once."""
    stride, lengths = strides(lens)
    factors = join_factors(as_panel(lens))
    return Propagation(
        *factors, jnp.asarray(illumination(lens)), lens.peak, lens.shape, (stride, *lengths), lens.subpixels
    )
