"""A converter of bits that need not be whole, for a search by gradient."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import as_leaf, check_flag, check_number
from optics._keys import split_key
from optics._typing import EffectsLike, FlagLike, ScalarLike
from optics.effects._chain import check_effects
from optics.effects._effect import Effect
from optics.effects._quantize import Quantize


class QuantizationNoise(Effect):
    """The rounding of a converter as noise, which has a gradient by bits that need not be whole.

        value -> clip(value) + Δ · u,   u ~ Uniform(−½, ½)
        Δ = 1 / (2^bits − 1),  signed: 1 / (2^(bits−1) − 1)

    Its mean is the clipped value and its variance Δ² / 12, those of `Quantize` for values that are spread
    evenly over its levels. A drawn error is Δ times a number that does not depend on the bits, so that
    `jax.grad` by `bits` follows it. What it cannot stand for is a signal below half a step, which a converter
    rounds to nothing: take the bits that a search ends with to `Quantize`, rounded, and measure again.

    Arguments:
        bits: of one converter, scalar, from 1 to 16 (2 to 16 when signed), whole or not; a leaf.
        signed: levels around zero; a complex value has a converter for each part and takes `signed=True`.

    Raises:
        ValueError: `bits` outside its range.

    Example:
        >>> import jax, jax.numpy as jnp, optics
        >>> soft = optics.effects.QuantizationNoise(4.5, signed=True)
        >>> value = soft(jnp.zeros((200, 200)), jax.random.key(0))
        >>> print(f"{value.std() * (2**3.5 - 1) * 12**0.5:.2f}")
        1.00

    Source: B. Widrow, I. Kollár and M.-C. Liu, IEEE Trans. Instrum. Meas. 45, 353 (1996).
    """

    linear: ClassVar[bool] = True
    bits: Array = eqx.field(converter=as_leaf)
    signed: bool = eqx.field(static=True)  # also the value of `Effect.signed`

    def __init__(self, bits: ScalarLike, signed: FlagLike = False):
        check_flag("signed", signed)
        check_number("bits", bits, 2 if signed else 1, 16)
        self.bits, self.signed = bits, bool(signed)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        if jnp.iscomplexobj(value):
            keys = split_key(key, 2)
            return jax.lax.complex(self(value.real, keys[0]), self(value.imag, keys[1]))
        count = jnp.exp2(self.bits - 1 if self.signed else self.bits).astype(value.dtype)
        highest = jnp.maximum(count - 1, 1)
        value = jnp.clip(value, -count / highest if self.signed else 0, 1)
        if key is None:
            return value
        return value + jax.random.uniform(key, value.shape, value.dtype, -0.5, 0.5) / highest


def soften_bits(chain: EffectsLike) -> tuple[Effect, ...]:
    """A chain of effects in which every `Quantize` is the `QuantizationNoise` of its bits.

    Arguments:
        chain: of a modulator or a detector, such as `device.camera`.

    Returns:
        the other effects as they are.

    Raises:
        ValueError: `chain` is no tuple of effects.

    Example:
        >>> import optics
        >>> device = optics.presets.load("engine11", level="ideal")
        >>> soft = optics.effects.soften_bits(device.camera)
        >>> type(soft[-1]).__name__, float(soft[-1].bits)
        ('QuantizationNoise', 10.0)
    """
    check_effects("chain", chain)
    return tuple(
        QuantizationNoise(effect.bits, effect.signed) if isinstance(effect, Quantize) else effect
        for effect in chain
    )
