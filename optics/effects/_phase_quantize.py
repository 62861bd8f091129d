"""Addressing of a phase modulator."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Inexact

from optics._check import as_leaf, check_number
from optics._phases import TWO_PI, as_complex, safe_angle, unit_phasor, wrap_phase
from optics._typing import ScalarLike
from optics.effects._effect import Modulation
from optics.effects._quantize import check_bits, power_of_two


class PhaseQuantize(Modulation):
    """The addressing of a phase modulator: exactly 2^bits phases; the amplitude is kept.

        φ -> 2π k / 2^bits,   k = round(2^bits φ / 2π) mod 2^bits

    Phase has no end: a phase just below 2π is rounded to 0, and nothing is clipped. The gradient is straight
    through: that of the identity in phase and in amplitude.

    A driven pixel that is a group of `pixels` panel pixels can have a share of them one level higher. Its
    light is the mean, whose phase then has `pixels` steps a level:

        φ -> 2π k / (2^bits · pixels),   k up to the highest level, (2^bits − 1) · pixels

    The mean is shorter than 1 by (2π / 2^bits)² / 8 at most, 8e-5 with 8 bits, which is left out. Between the
    highest level and a whole turn no pixels are mixed, and none there goes to 0, for the fringe between the
    two ends passes through all phases: they take the highest level.

    Arguments:
        bits: scalar, a whole number from 1 to 16.
        pixels: panel pixels of a driven pixel, at least 1, scalar.

    Raises:
        ValueError: `bits` outside its range, or `pixels` below 1.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), section 7.3 (efficiency
        sinc²(2^−bits)).
    """

    linear: ClassVar[bool] = True
    bits: Array = eqx.field(converter=as_leaf)
    pixels: Array = eqx.field(converter=as_leaf)

    def __init__(self, bits: ScalarLike, pixels: ScalarLike = 1):
        check_bits(bits, 1)
        check_number("pixels", pixels, 1.0)
        self.bits, self.pixels = bits, pixels

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Complex[Array, "*any"]:
        value = as_complex(value)
        dtype = value.real.dtype
        levels, pixels = (
            power_of_two(self.bits).astype(dtype),
            jax.lax.stop_gradient(self.pixels).astype(dtype),
        )
        constant = jax.lax.stop_gradient(value)
        phi = safe_angle(constant)
        drive = wrap_phase(phi) * (levels / TWO_PI)
        mixed = jnp.round(drive * pixels) / pixels
        highest = levels - 1
        end = jnp.where((pixels > 1) | (drive < levels - 0.5), highest, levels)
        level = jnp.mod(jnp.where(drive > highest, end, mixed), levels)
        rounded = level * (TWO_PI / levels)
        # The value is the level itself, so that level 0 has a phase of exactly 0; the slope alone is that of
        # the turned light.
        turned = value * unit_phasor(rounded - phi)
        return jnp.abs(constant) * unit_phasor(rounded) + (turned - jax.lax.stop_gradient(turned))
