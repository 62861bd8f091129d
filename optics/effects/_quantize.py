"""Conversion between numbers and voltages."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import as_leaf, check_whole, is_concrete
from optics.effects._effect import Effect


class Quantize(Effect):
    """A DAC or ADC of exactly 2^bits levels.

        unsigned: levels k / (2^bits − 1),         k = 0 … 2^bits − 1
        signed:   levels k / (2^(bits−1) − 1),     k = −2^(bits−1) … 2^(bits−1) − 1

    Zero and full scale are levels in both; values are rounded to the nearest and clipped to the outermost. A complex
    value has a converter for each part, so `signed=True` is what it wants. The gradient is that of the identity
    (straight through) within the range and zero beyond it.

    Arguments:
        bits: of one converter, scalar, a whole number from 1 to 16, a leaf that can be swept in one compilation (2 to 16 when signed; at 1 bit a sign alone would have no full scale).
        signed: two's complement around zero.

    Raises:
        ValueError: `bits` outside its range.
    """

    bits: Array = eqx.field(converter=as_leaf)
    signed: bool = eqx.field(static=True)  # also what `Effect.signed` says of it

    def __init__(self, bits: Any, signed: bool = False):
        whole_bits(bits, 2 if signed else 1)
        self.bits, self.signed = bits, bool(signed)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        if jnp.iscomplexobj(value):
            return jax.lax.complex(self(value.real, key), self(value.imag, key))
        count = power_of_two(self.bits - 1 if self.signed else self.bits).astype(value.dtype)
        # A sign alone would have no full scale.
        largest, smallest = jnp.maximum(count - 1, 1), -count if self.signed else jnp.zeros_like(count)
        level = jax.lax.stop_gradient(value) * largest
        # Half a step beyond the outermost level still rounds to it without clipping.
        inside = (level >= smallest - 0.5) & (level <= largest + 0.5)
        rounded = jnp.clip(jnp.round(level), smallest, largest) / largest
        # The value minus itself is exactly zero: what is returned is the level, to the bit.
        return rounded + jnp.where(inside, value - jax.lax.stop_gradient(value), 0)


def power_of_two(bits: Float[Array, ""]) -> Float[Array, ""]:
    """2^bits of whole bits, exactly, without a gradient; traced, so that a sweep over bits compiles once."""
    return jnp.round(jnp.exp2(jnp.round(jax.lax.stop_gradient(bits))))


def whole_bits(bits: Any, low: int) -> None:
    """Refuse bits that are known and no whole number from `low` to 16."""
    if is_concrete(bits):
        plain = np.ndim(bits) == 0 and not isinstance(bits, bool | str) and float(bits).is_integer()
        check_whole("bits", int(bits) if plain else bits, low, 16)
