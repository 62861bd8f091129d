"""Cylindrical lenses between two modulators and a detector, which multiply the matrices on them."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Inexact

from optics._check import (
    as_counts,
    as_leaf,
    as_numpy,
    check_number,
    check_positive_number,
    check_positive_or_infinite,
    check_whole,
    describe,
)
from optics._typing import ArrayLike, CountLike, ScalarLike, ShapeLike
from optics.transfer._bilinear import AbstractBilinear
from optics.transfer._fourier_lens import FourierLens
from optics.transfer._relay import Relay


class CrossedLenses(AbstractBilinear):
    """Cylindrical lenses that image along one axis and transform along the other, then the other way round.

                         along the columns          along the rows
        a -> b           Fourier transform          image
        b -> detector    image                      Fourier transform

    Row i of a spreads over all rows of the second modulator, where row j holds column j of b. Light of
    element (i, l) meets b[l, j], and the last lens adds all l. An element of a is `width` pixels wide, with a
    phase ramp of `cycles[i]` periods over its width. So row i of the product stands at a frequency of its
    own, element (i, j) at the column of the ramp i, with the phase exp(−2πi (i − i₀)(j − j₀) / rows). Ramps
    with a whole number of periods in an element are orthogonal. With one row (m = 1) and a width of 1 it is
    the multiplier of a vector with a matrix.

    Cylindrical lenses act on one axis each, so that each axis is propagated in full on its own: the light is
    paraxial. A pixel of the second modulator passes the mode of its own square.

    Arguments:
        shape: (m, k, n), of the product a @ b.
        pitch: of the pixels along the rows, m.
        wavelength: m.
        width: pixels of an element along the rows, by default m.
        cycles: of the ramps, shape (m,); by default whole numbers around 0. Multiples of 1/k, so that the
            frequencies lie on detector pixels; m of them that differ modulo `width`.
        phase_bits: of the ramps; None for no rounding.
        row_pitch: of the rows, m; by default that of a focal length twice that along the rows, so that a
            lens between two images of the other axis fits.
        fill, detector_fill: linear fill factors of modulator and detector pixels, in (0, 1].
        pupil: half the apertures of all lenses, in widths of the modulator along their axis.
        slit: half the width of the slits in the relays, in the same unit; infinite for none.
        aberrations: Zernike coefficients of each lens along its axis, Noll order from 1, waves of unit RMS.
        shift: of the image of a on the second modulator along the rows, in pixels.
        oversampling: samples a pixel.

    Raises:
        ValueError: a number outside its range, `cycles` that are no multiples of 1/k, of another number, that
            do not differ, or whose frequency is beyond the detector, or a `width` of fewer pixels than rows.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> lenses = optics.CrossedLenses((2, 3, 2), pitch=20e-6, wavelength=532e-9, width=4)
        >>> lenses(jnp.ones((2, 3)), jnp.ones((3, 2))).shape
        (2, 2)

    Source: Y. Zhang et al., Direct tensor processing with coherent light, Nature Photonics 20, 102 (2026);
        J. W. Goodman, A. R. Dias and L. M. Woody, Opt. Lett. 2, 1 (1978), for one row.
    """

    shape: tuple[int, int, int] = eqx.field(static=True)
    width: int = eqx.field(static=True)
    cycles: tuple[float, ...] = eqx.field(static=True)
    phase_bits: int | None = eqx.field(static=True)
    spread: FourierLens
    first_image: Relay
    second_image: Relay
    focus: FourierLens
    shift: Array = eqx.field(converter=as_leaf)

    def __init__(
        self,
        shape: ShapeLike,
        pitch: ScalarLike,
        wavelength: ScalarLike,
        width: CountLike | None = None,
        cycles: ArrayLike | None = None,
        phase_bits: CountLike | None = None,
        row_pitch: ScalarLike | None = None,
        fill: ScalarLike = 1.0,
        detector_fill: ScalarLike = 1.0,
        pupil: ScalarLike = 2.5,
        slit: ScalarLike = math.inf,
        aberrations: ArrayLike = (),
        shift: ScalarLike = 0.0,
        oversampling: CountLike = 8,
    ):
        m, k, n = as_counts("shape", shape, 3)
        check_positive_number("pitch", pitch, "m")
        check_positive_number("wavelength", wavelength, "m")
        check_positive_number("pupil", pupil)
        check_positive_or_infinite("slit", slit)
        check_number("shift", shift, unit="pixels")
        check_whole("oversampling", oversampling, 2)
        if width is not None:
            check_whole("width", width, m)
        if phase_bits is not None:
            check_whole("phase_bits", phase_bits, 1, 16)
        self.shape, self.width = (m, k, n), m if width is None else int(width)
        self.cycles = _as_cycles(cycles, m, k, self.width)
        self.phase_bits = None if phase_bits is None else int(phase_bits)
        self.shift = shift
        rows, cols = max(m, n), k * self.width
        if row_pitch is None:
            # N · pitch² is the focal length in wavelengths.
            row_pitch = pitch * math.sqrt(2 * cols / rows)
        check_positive_number("row_pitch", row_pitch, "m")

        def make_lens(pixels, pitch, **fills):
            radius = pupil * max(pixels) * pitch
            options = dict(pupil_radius=radius, aberrations=aberrations, oversampling=oversampling)
            return FourierLens(pixels, pitch, wavelength, **options, **fills)

        onto_modulator, onto_detector = (
            dict(fill=fill, detector_fill=receiving) for receiving in (fill, detector_fill)
        )
        self.spread = make_lens((rows, 1), row_pitch, **onto_modulator)
        self.first_image = Relay(make_lens((1, cols), pitch, **onto_modulator), slit * cols * pitch)
        self.second_image = Relay(make_lens((rows, 1), row_pitch, **onto_detector), slit * rows * row_pitch)
        self.focus = make_lens((1, cols), pitch, **onto_detector)

    @property
    def peak(self) -> Array:
        """The amplitude of a detector element that two elements of amplitude 1 give it."""
        images = self.first_image.peak * self.second_image.peak
        return self.width * self.spread.peak * images * self.focus.peak

    def __call__(
        self, a: Inexact[Array, "*alead m k"], b: Inexact[Array, "*blead k n"]
    ) -> Complex[Array, "*lead m n"]:
        """The field at the detector by full propagation: arguments and result as those of
        `AbstractBilinear`.
        """
        m, _, n = self.shape
        light = a[..., None] * as_ramps(self)
        light = self._on_rows(light.reshape(*light.shape[:-2], -1), m)
        at_second = self.apply(self.shifted_image(), self.apply(self.spread, light))
        passing = jnp.repeat(jnp.swapaxes(b, -1, -2), self.width, axis=-1)
        behind = at_second * self._on_rows(passing, n)
        field = self.apply(self.focus, self.apply(self.second_image, behind))
        rows = middle_rows(self, n)
        return jnp.swapaxes(field[..., rows[:, None], detector_columns(self)], -1, -2)

    def shifted_image(self) -> Relay:
        """The first relay, with the shift of its image."""
        shift = self.shift * self.first_image.lens.pitch
        return eqx.tree_at(lambda relay: relay.shift, self.first_image, shift)

    def apply(self, line: FourierLens | Relay, light: Array) -> Array:
        """A line of optics on every line of a plane along its axis."""
        if line.shape[0] == 1:
            return line(light[..., :, None, :])[..., 0, :]
        return jnp.swapaxes(line(jnp.swapaxes(light, -1, -2)[..., None])[..., 0], -1, -2)

    def _on_rows(self, light: Array, count: int) -> Array:
        """Rows of light in the middle rows of a modulator."""
        rows = self.spread.shape[0]
        first = rows // 2 - count // 2
        return jnp.pad(light, [(0, 0)] * (light.ndim - 2) + [(first, rows - count - first), (0, 0)])


def middle_rows(lenses: CrossedLenses, count: int) -> np.ndarray:
    """The rows of a modulator that hold a matrix of `count` rows."""
    return lenses.spread.shape[0] // 2 - count // 2 + np.arange(count)


def detector_columns(lenses: CrossedLenses) -> np.ndarray:
    """The detector pixel of each ramp along the rows: a period more over an element is k pixels farther."""
    cols, k = lenses.focus.shape[1], lenses.shape[1]
    return cols // 2 + np.round(np.array(lenses.cycles) * k).astype(int)


def as_ramps(lenses: CrossedLenses) -> Complex[Array, "m k width"]:
    """The phase factors of the pixels of each row, element by element, shape (m, k, width)."""
    m, k, _ = lenses.shape
    pixel = np.arange(k * lenses.width).reshape(k, -1) - (k * lenses.width - 1) / 2
    turns = np.multiply.outer(np.reshape(lenses.cycles, m), pixel / lenses.width)
    if lenses.phase_bits is not None:
        levels = 2**lenses.phase_bits
        turns = np.round(turns * levels) / levels
    return jnp.asarray(np.exp(2j * np.pi * turns), jnp.result_type(complex))


def _as_cycles(cycles: ArrayLike | None, m: int, k: int, width: int) -> tuple[float, ...]:
    """The periods of the ramp of each row; refuse those whose rows would fall together or off the
    detector.
    """
    if cycles is None:
        return tuple(float(i - m // 2) for i in range(m))
    periods = as_numpy("cycles", cycles)
    if periods.shape != (m,) or not np.all(np.isfinite(periods)) or np.iscomplexobj(periods):
        raise ValueError(f"`cycles` must be {m} finite numbers, one for each row, got {describe(cycles)}.")
    places = periods * k
    if np.any(np.abs(places - np.round(places)) > 1e-4):
        raise ValueError(
            f"`cycles` must be multiples of 1/{k}, the periods of a detector pixel, got {cycles}."
        )
    columns = np.round(places).astype(int)
    if len(set((columns % (k * width)).tolist())) < m:
        raise ValueError(f"`cycles` must differ modulo the `width` of {width} pixels, got {cycles}.")
    if np.any(columns + k * width // 2 < 0) or np.any(columns + k * width // 2 >= k * width):
        raise ValueError(
            f"`cycles` must lie within half the `width` of {width} pixels on either side of 0, got {cycles}."
        )
    return tuple(periods.tolist())
