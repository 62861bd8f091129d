"""Modulators that switch: a digital micromirror device sets zeros and ones."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import as_plane, check_whole
from optics._typing import ArrayLike, CountLike
from optics.encode._amplitude import Amplitude
from optics.encode._encoder import Encoder


def bit_planes(
    a: ArrayLike, bits: CountLike
) -> tuple[Float[Array, "*lead bits rows cols"], Float[Array, " bits"]]:
    """The binary patterns of a grey image, and the weights with which their *fields* add.

        round(a (2^b − 1)) / (2^b − 1) = Σ_j weight_j plane_j,  weight_j = 2^j / (2^b − 1),  plane_j ∈ {0, 1}

    Light from different exposures does not interfere, so the sum must be over the complex fields that a
    measurement gives of each. Intensities do not add like this: Σ_j weight_j² |F plane_j|² lacks the
    interference between planes. The gradient is straight through: each plane has the slope 1 of the number
    within [0, 1], because the weights add up to 1.

    Arguments:
        a: grey values in [0, 1] (beyond it they are clipped, without gradient), shape (..., rows, columns).
        bits: b, 1 to 16.

    Returns:
        planes, lowest bit first, shape (..., bits, rows, columns); weights, shape (bits,).

    Raises:
        ValueError: `a` that is complex or has fewer than two axes, or `bits` outside its range.
    """
    a = as_plane("a", a)
    if jnp.iscomplexobj(a):
        raise ValueError(f"`a` must be real numbers in [0, 1], got {a.dtype}; encode its parts one by one.")
    check_whole("bits", bits, 1, 16)
    last = 2**bits - 1
    constant = jax.lax.stop_gradient(a)
    inside = (constant >= -0.5 / last) & (constant <= 1 + 0.5 / last)
    level = jnp.clip(jnp.round(constant * last), 0, last).astype(int)
    bit = jnp.arange(bits)
    planes = ((level[..., None, :, :] >> bit[:, None, None]) & 1).astype(a.dtype)
    slope = jnp.where(inside, a - constant, 0)
    return planes + slope[..., None, :, :], jnp.asarray(2.0 ** np.arange(bits) / last, a.dtype)


class BitPlanes(Encoder):
    """Numbers as binary patterns: non-negative parts (`Amplitude`), each of them bit by bit.

        a / scale = Σ_k exp(2πik/parts) Σ_j weight_j plane_kj

    The number of exposures is bits · parts, and a measurement that steps a reference takes several frames of
    each: 8 bits, 2 parts and four steps are 64 frames.

    Arguments:
        bits: of each part, 1 to 16.
        parts: 1 for numbers that are not negative, 2 for real, 3 or 4 for complex ones.

    Raises:
        ValueError: `bits` or `parts` outside its range.
    """

    bits: int = eqx.field(static=True)
    parts: int = eqx.field(static=True)

    def __init__(self, bits: CountLike = 8, parts: CountLike = 2):
        check_whole("bits", bits, 1, 16)
        check_whole("parts", parts, 1, 4)
        self.bits, self.parts = int(bits), int(parts)

    @property
    def exposures(self) -> int:
        return self.bits * self.parts

    @property
    def supports_real(self) -> bool:
        return self.parts <= 2

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Float[Array, "*lead exposures rows cols"], Float[Array, "*lead 1 1"]]:
        """Drives of zeros and ones, (..., parts · bits, rows, columns), and scale (..., 1, 1)."""
        parts, scale = Amplitude(self.parts).encode(a)
        planes, _ = bit_planes(parts, self.bits)
        return planes.reshape(*a.shape[:-2], self.exposures, *a.shape[-2:]), scale

    def largest(self, a: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead 1 1"]:
        """The largest of the non-negative parts."""
        return Amplitude(self.parts).largest(a)

    def combine(
        self, fields: Inexact[Array, "*lead exposures rows cols"]
    ) -> Inexact[Array, "*lead rows cols"]:
        """The weighted sum of fields."""
        weights = jnp.asarray(2.0 ** np.arange(self.bits) / (2**self.bits - 1), fields.real.dtype)
        planes = fields.reshape(*fields.shape[:-3], self.parts, self.bits, *fields.shape[-2:])
        return Amplitude(self.parts).combine(jnp.sum(planes * weights[:, None, None], axis=-3))
