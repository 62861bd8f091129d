"""The phase response of a modulator."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_finite, check_positive, check_range, is_concrete
from optics._phases import TWO_PI, as_complex, safe_angle, unit_phasor, wrap_phase
from optics._typing import ArrayLike
from optics.effects._effect import Modulation


class PhaseLUT(Modulation):
    """The phase that a pixel gives for the phase asked of it; the amplitude is kept.

        φ -> gain · (1 + stretch) · (T(u) + 2π (a₂ sin 2πu + a₃ sin 4πu)),   u = (φ mod 2π) / 2π

    T is the table, interpolated between its entries at u = 0, 1/(K−1), …, 1; without one T(u) = 2πu. The
    sines are the error that calibration of the table leaves, a rms residue of 2π √((a₂² + a₃²)/2). A range
    2π(1 + stretch) that is not a whole turn, such as that of a table made for another wavelength, sends light
    to the zero order.

    Arguments:
        table: phases at equally spaced drives from 0 to a whole turn, shape (levels,), rad, never falling; a
            panel of 2^b levels whose last is 2π(1 − 2^−b) needs the entry for 2π added.
        a2, a3: residue in turns, scalar or (rows, columns) map.
        stretch: relative error of the range, above −1, scalar or map.
        gain: relative response of each pixel, scalar or map.

    Raises:
        ValueError: a `table` that is unsorted, not finite or shorter than 2, a `gain` that is not positive,
            or other numbers that are not finite.

    Source: Z. Zhang et al., Light Sci. Appl. 3, e213 (2014), on the phase response; the residue is the first
        two harmonics of an error that is zero at both ends.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> panel = optics.effects.PhaseLUT([0.0, 2.8, 6.0])
        >>> print(f"{panel.curve(jnp.asarray(jnp.pi)):.2f}")
        2.80
    """

    table: Array | None
    a2: Array = eqx.field(converter=as_leaf)
    a3: Array = eqx.field(converter=as_leaf)
    stretch: Array = eqx.field(converter=as_leaf)
    gain: Array = eqx.field(converter=as_leaf)

    def __init__(
        self,
        table: ArrayLike | None = None,
        a2: ArrayLike = 0.0,
        a3: ArrayLike = 0.0,
        stretch: ArrayLike = 0.0,
        gain: ArrayLike = 1.0,
    ):
        if table is not None:
            _check_table(table)
        check_finite("a2", a2)
        check_finite("a3", a3)
        check_range("stretch", stretch, -1.0, np.inf, open_low=True)
        check_positive("gain", gain)
        self.table = None if table is None else as_leaf(table)
        self.a2 = a2
        self.a3 = a3
        self.stretch = stretch
        self.gain = gain

    def curve(self, drive: Float[Array, "*any"]) -> Float[Array, "*any"]:
        """The phase given for a drive in [0, 2π), both in rad; it is not wrapped."""
        u = drive / TWO_PI
        base = drive
        if self.table is not None:
            last = self.table.size - 1
            base = jnp.interp(u * last, jnp.arange(last + 1, dtype=u.dtype), self.table.astype(u.dtype))
        residue = TWO_PI * (self.a2 * jnp.sin(TWO_PI * u) + self.a3 * jnp.sin(2 * TWO_PI * u))
        return self.gain * (1 + self.stretch) * (base + residue)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Complex[Array, "*any"]:
        value = as_complex(value)
        phi = safe_angle(value)
        return value * unit_phasor(self.curve(wrap_phase(phi)) - phi)


def _check_table(table: ArrayLike) -> None:
    check_finite("table", table, "rad")
    if np.ndim(table) != 1 or np.size(table) < 2:
        raise ValueError(f"`table` must be a line of at least 2 phases in rad, got shape {np.shape(table)}.")
    if not is_concrete(table):
        return
    falls = np.diff(np.asarray(table, float)) < 0
    if np.any(falls):
        place = int(np.argmax(falls))
        raise ValueError(
            f"`table` must be sorted, phase never falling with the drive, but entry {place + 1} is below "
            f"entry {place}; reverse it if the phase falls throughout, or measure it again."
        )
