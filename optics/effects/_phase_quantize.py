"""Addressing of a phase modulator."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Inexact

from optics._check import as_leaf
from optics._phases import TWO_PI, as_complex, safe_angle, unit_phasor
from optics._typing import ScalarLike
from optics.effects._effect import Modulation
from optics.effects._quantize import check_bits, power_of_two


class PhaseQuantize(Modulation):
    """The addressing of a phase modulator: exactly 2^bits phases; the amplitude is kept.

        φ -> 2π k / 2^bits,   k = round(2^bits φ / 2π) mod 2^bits

    Phase has no end: a phase just below 2π is rounded to 0, and nothing is clipped. The gradient is straight
    through: that of the identity in phase and in amplitude.

    Arguments:
        bits: scalar, a whole number from 1 to 16.

    Raises:
        ValueError: `bits` outside its range.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), section 7.3 (efficiency
        sinc²(2^−bits)).
    """

    linear: ClassVar[bool] = True
    bits: Array = eqx.field(converter=as_leaf)

    def __init__(self, bits: ScalarLike):
        check_bits(bits, 1)
        self.bits = bits

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Complex[Array, "*any"]:
        value = as_complex(value)
        levels = power_of_two(self.bits).astype(value.real.dtype)
        constant = jax.lax.stop_gradient(value)
        phi = safe_angle(constant)
        level = jnp.mod(jnp.round(phi * (levels / TWO_PI)), levels)
        rounded = level * (TWO_PI / levels)
        # The value is the level itself, so that level 0 has a phase of exactly 0; the slope alone is that of
        # the turned light.
        turned = value * unit_phasor(rounded - phi)
        return jnp.abs(constant) * unit_phasor(rounded) + (turned - jax.lax.stop_gradient(turned))
