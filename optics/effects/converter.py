"""Conversion between numbers and voltages."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import whole
from optics.effects.effect import Effect


class Quantize(Effect):
    """A DAC or ADC of exactly 2^bits levels.

        unsigned: levels k / (2^bits − 1),         k = 0 … 2^bits − 1
        signed:   levels k / (2^(bits−1) − 1),     k = −2^(bits−1) … 2^(bits−1) − 1

    Zero and full scale are levels in both; values are rounded to the nearest and clipped to the outermost. A complex
    value has a converter for each part, so `signed=True` is what it wants. The gradient is that of the identity
    (straight through) within the range and zero beyond it.

    Arguments:
        bits: of one converter, 1 to 16 (2 to 16 when signed; at 1 bit a sign alone would have no full scale).
        signed: two's complement around zero.

    Raises:
        ValueError: `bits` outside its range.
    """

    bits: int = eqx.field(static=True)
    signed: bool = eqx.field(static=True)  # also what `Effect.signed` says of it

    def __init__(self, bits: int, signed: bool = False):
        whole("bits", bits, 2 if signed else 1, 16)
        self.bits, self.signed = int(bits), bool(signed)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        if jnp.iscomplexobj(value):
            return jax.lax.complex(self(value.real, key), self(value.imag, key))
        largest = 2 ** (self.bits - 1) - 1 if self.signed else 2**self.bits - 1
        smallest = -(2 ** (self.bits - 1)) if self.signed else 0
        level = jax.lax.stop_gradient(value) * largest
        # Half a step beyond the outermost level still rounds to it without clipping.
        inside = (level >= smallest - 0.5) & (level <= largest + 0.5)
        rounded = jnp.clip(jnp.round(level), smallest, largest) / largest
        # The value minus itself is exactly zero: what is returned is the level, to the bit.
        return rounded + jnp.where(inside, value - jax.lax.stop_gradient(value), 0)
