"""Phase of light, and what a phase modulator makes of the phase that it is asked for."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_finite, check_positive, check_range, is_concrete
from optics.effects._effect import Modulation
from optics.effects._quantize import power_of_two, whole_bits

TURN = 2 * np.pi

# Below this amplitude a pixel is dark: the slope of its phase would overflow single precision.
DARK = 1e-15

# The drive's seam lies this far (rad) below zero, so that rounding does not throw a pixel at zero to the other end of the range.
SEAM = 1e-5


def light(value: Inexact[Array, "*any"]) -> Complex[Array, "*any"]:
    """`value` as a complex amplitude."""
    return value if jnp.iscomplexobj(value) else jax.lax.complex(value, jnp.zeros_like(value))


def phase(value: Complex[Array, "*any"]) -> Float[Array, "*any"]:
    """Phase in (−π, π], rad; 0 without slope where a pixel is dark, for its angle has none there."""
    lit = (jnp.abs(value.real) > DARK) | (jnp.abs(value.imag) > DARK)
    return jnp.where(lit, jnp.arctan2(jnp.where(lit, value.imag, 0), jnp.where(lit, value.real, 1)), 0)


def wrap(phi: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Phase as a modulator is driven, in [0, 2π) rad to within `SEAM`."""
    return jnp.mod(phi + SEAM, TURN) - SEAM


def phasor(phi: Float[Array, "*any"]) -> Complex[Array, "*any"]:
    """exp(iφ)."""
    return jax.lax.complex(jnp.cos(phi), jnp.sin(phi))


class PhaseQuantize(Modulation):
    """The addressing of a phase modulator: exactly 2^bits phases; the amplitude is kept.

        φ -> 2π k / 2^bits,   k = round(2^bits φ / 2π) mod 2^bits

    Phase has no end: a phase just below 2π is rounded to 0, and nothing is clipped. The gradient is straight through:
    that of the identity in phase and in amplitude.

    Arguments:
        bits: scalar, a whole number from 1 to 16.

    Raises:
        ValueError: `bits` outside its range.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), section 7.3 (efficiency sinc²(2^−bits)).
    """

    bits: Array = eqx.field(converter=as_leaf)

    def __init__(self, bits: Any):
        whole_bits(bits, 1)
        self.bits = bits

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Complex[Array, "*any"]:
        value = light(value)
        levels = power_of_two(self.bits).astype(value.real.dtype)
        fixed = jax.lax.stop_gradient(value)
        phi = phase(fixed)
        level = jnp.mod(jnp.round(phi * (levels / TURN)), levels)
        wanted = level * (TURN / levels)
        # The value is the level itself, so that level 0 has a phase of exactly 0; only the slope comes from the turned light.
        turned = value * phasor(wanted - phi)
        return jnp.abs(fixed) * phasor(wanted) + (turned - jax.lax.stop_gradient(turned))


class PhaseLUT(Modulation):
    """The phase that a pixel gives for the phase asked of it; the amplitude is kept.

        φ -> gain · (1 + stretch) · (T(u) + 2π (a₂ sin 2πu + a₃ sin 4πu)),   u = (φ mod 2π) / 2π

    T is the table, interpolated between its entries at u = 0, 1/(K−1), …, 1; without one T(u) = 2πu. The sines are
    what calibration of the table leaves, a rms residue of 2π √((a₂² + a₃²)/2). A range 2π(1 + stretch) that is not a
    whole turn, such as that of a table made for another wavelength, sends light to the zero order.

    Arguments:
        table: phases at equally spaced drives from 0 to a whole turn, shape (levels,), rad, never falling; a panel of 2^b
            levels whose last is 2π(1 − 2^−b) needs the entry for 2π added.
        a2, a3: residue in turns, scalar or (rows, columns) map.
        stretch: relative error of the range, above −1, scalar or map.
        gain: relative response of each pixel, scalar or map.

    Raises:
        ValueError: a `table` that is unsorted, not finite or shorter than 2, a `gain` that is not positive, or other
            numbers that are not finite.

    Source: Z. Zhang et al., Light Sci. Appl. 3, e213 (2014), on the phase response; the residue is the first two harmonics
    of an error that is zero at both ends.
    """

    table: Array | None
    a2: Array = eqx.field(converter=as_leaf)
    a3: Array = eqx.field(converter=as_leaf)
    stretch: Array = eqx.field(converter=as_leaf)
    gain: Array = eqx.field(converter=as_leaf)

    def __init__(self, table: Any = None, a2: Any = 0.0, a3: Any = 0.0, stretch: Any = 0.0, gain: Any = 1.0):
        if table is not None:
            if np.ndim(table) != 1 or np.size(table) < 2:
                raise ValueError(
                    f"`table` must be a line of at least 2 phases in rad, got shape {np.shape(table)}."
                )
            check_finite("table", table, "rad")
            if is_concrete(table) and np.any(np.diff(np.asarray(table, float)) < 0):
                place = int(np.argmax(np.diff(np.asarray(table, float)) < 0))
                raise ValueError(
                    f"`table` must be sorted, phase never falling with the drive, but entry {place + 1} is below entry {place}; "
                    "reverse it if the phase falls throughout, or measure it again."
                )
        check_finite("a2", a2)
        check_finite("a3", a3)
        check_range("stretch", stretch, -1.0, np.inf, open_low=True)
        check_positive("gain", gain)
        self.table = None if table is None else as_leaf(table)
        self.a2, self.a3, self.stretch, self.gain = a2, a3, stretch, gain

    def curve(self, drive: Float[Array, "*any"]) -> Float[Array, "*any"]:
        """The phase given for a drive in [0, 2π), both in rad; it is not wrapped."""
        u = drive / TURN
        straight = drive
        if self.table is not None:
            last = self.table.size - 1
            straight = jnp.interp(u * last, jnp.arange(last + 1, dtype=u.dtype), self.table.astype(u.dtype))
        residue = TURN * (self.a2 * jnp.sin(TURN * u) + self.a3 * jnp.sin(2 * TURN * u))
        return self.gain * (1 + self.stretch) * (straight + residue)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Complex[Array, "*any"]:
        value = light(value)
        phi = phase(value)
        return value * phasor(self.curve(wrap(phi)) - phi)
