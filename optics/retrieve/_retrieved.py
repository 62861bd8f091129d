"""What every retrieval returns."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact


class Retrieved(NamedTuple):
    """A found object, the field that it gives, and how far that is from what was measured.

    Attributes:
        object: shape (..., rows, columns), real where it is known to be; in the unit of the amplitude.
        field: forward(object), complex, in the plane of the measurement.
        residual: ‖ |field| − amplitude ‖ / ‖amplitude‖, shape (...).
    """

    object: Inexact[Array, "*lead rows cols"]
    field: Complex[Array, "*lead out_rows out_cols"]
    residual: Float[Array, "*lead"]


def norm(a: Inexact[Array, "*lead rows cols"], keepdims: bool = False) -> Float[Array, "..."]:
    """2-norm over the last two axes, with gradient 0 where all is zero."""
    squared = jnp.sum(a.real**2 + a.imag**2, axis=(-2, -1), keepdims=keepdims)
    lit = squared > 0
    return jnp.where(lit, jnp.sqrt(jnp.where(lit, squared, 1)), 0)


def modulus(a: Inexact[Array, "*any"]) -> Float[Array, "*any"]:
    """|a|, with gradient 0 where a is zero."""
    dark = a == 0
    return jnp.where(dark, 0, jnp.abs(jnp.where(dark, 1, a)))


def phase(a: Inexact[Array, "*any"]) -> Inexact[Array, "*any"]:
    """a / |a|, and 1 with gradient 0 where a is zero."""
    dark = a == 0
    lit = jnp.where(dark, 1, a)
    return jnp.where(dark, 1, lit / jnp.abs(lit))


def distance(
    field: Inexact[Array, "*tries rows cols"], amplitude: Float[Array, "*lead rows cols"]
) -> Float[Array, "*tries"]:
    """‖ |field| − amplitude ‖ / ‖amplitude‖, and ‖field‖ itself where the amplitude is zero; the amplitude may lack leading axes."""
    size = norm(amplitude)
    return norm(modulus(field) - amplitude) / jnp.where(size > 0, size, 1)


def best(found: Retrieved) -> Retrieved:
    """Of tries along the first axis, for each example the one with the smallest residual."""
    chosen = jnp.argmin(found.residual, axis=0)

    def pick(a: Any) -> Any:
        index = chosen.reshape(1, *chosen.shape, *(1,) * (a.ndim - 1 - chosen.ndim))
        return jnp.take_along_axis(a, index, axis=0)[0]

    return Retrieved(*(pick(a) for a in found))
