"""Conversion between numbers and voltages."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import as_leaf, check_flag, check_number, check_whole, is_concrete
from optics._typing import ArrayLike, FlagLike, ScalarLike
from optics.effects._effect import Effect


class Quantize(Effect):
    """A DAC or ADC of exactly 2^bits levels.

        unsigned: levels k / (2^bits − 1),         k = 0 … 2^bits − 1
        signed:   levels k / (2^(bits−1) − 1),     k = −2^(bits−1) … 2^(bits−1) − 1

    Zero and full scale are levels in both; values are rounded to the nearest and clipped to the outermost. A
    complex value has a converter for each part, so it takes `signed=True`. The gradient is that of the
    identity (straight through) within the range and zero beyond it.

    Arguments:
        bits: of one converter, scalar, a whole number from 1 to 16 (2 to 16 when signed); a leaf that can be
            swept in one compilation.
        signed: two's complement around zero.

    Raises:
        ValueError: `bits` outside its range.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> print(optics.effects.Quantize(1)(jnp.array([0.2, 0.6, 1.3]), None))
        [0. 1. 1.]
    """

    linear: ClassVar[bool] = True
    bits: Array = eqx.field(converter=as_leaf)
    signed: bool = eqx.field(static=True)  # also the value of `Effect.signed`

    def __init__(self, bits: ScalarLike, signed: FlagLike = False):
        check_flag("signed", signed)
        check_bits(bits, 2 if signed else 1)
        self.bits, self.signed = bits, bool(signed)

    def level_range(self, dtype: np.dtype) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The lowest and the highest level, in steps of the converter: level k has the value k / highest."""
        count = power_of_two(self.bits - 1 if self.signed else self.bits).astype(dtype)
        # At 1 bit a signed converter would have no full scale.
        return -count if self.signed else jnp.zeros_like(count), jnp.maximum(count - 1, 1)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        if jnp.iscomplexobj(value):
            return jax.lax.complex(self(value.real, key), self(value.imag, key))
        return _nearest_level(value, *self.level_range(value.dtype))


@jax.custom_jvp
def _nearest_level(
    value: ArrayLike, lowest: Float[Array, ""], highest: Float[Array, ""]
) -> Float[Array, "*any"]:
    """The level that is nearest to a value, in units of the highest."""
    return jnp.clip(jnp.round(value * highest), lowest, highest) / highest


@_nearest_level.defjvp
def _pass_tangent_inside(primals: tuple, tangents: tuple) -> tuple:
    # A rule, not the value minus itself: the mask is then computed by a gradient alone.
    value, lowest, highest = primals
    level = value * highest
    # Half a step beyond the outermost level still rounds to it without clipping.
    inside = (level >= lowest - 0.5) & (level <= highest + 0.5)
    return _nearest_level(*primals), jnp.where(inside, tangents[0], 0)


def power_of_two(bits: Float[Array, ""]) -> Float[Array, ""]:
    """2^bits of whole bits, exactly, without a gradient; traced, so that a sweep over bits compiles once."""
    return jnp.round(jnp.exp2(jnp.round(jax.lax.stop_gradient(bits))))


def check_bits(bits: ScalarLike, low: int) -> None:
    """Refuse concrete bits that are not a whole number from `low` to 16."""
    check_number("bits", bits)
    if is_concrete(bits):
        check_whole("bits", int(bits) if float(bits).is_integer() else bits, low, 16)
