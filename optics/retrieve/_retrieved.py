"""The result of every retrieval, and the distance to the measurement that ranks results."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._numerics import safe_abs, safe_divide, safe_sqrt


class Retrieved(NamedTuple):
    """A retrieved object, the field that it gives, and how far that field is from the measurement.

    Attributes:
        object: shape (..., rows, columns), real where it is known to be; in the unit of the amplitude.
        field: forward(object), complex, in the plane of the measurement.
        residual: ‖ |field| − amplitude ‖ / ‖amplitude‖, shape (...).
    """

    object: Inexact[Array, "*lead rows cols"]
    field: Complex[Array, "*lead out_rows out_cols"]
    residual: Float[Array, "*lead"]


def norm(a: Inexact[Array, "*lead rows cols"], keepdims: bool = False) -> Float[Array, "..."]:
    """2-norm over the last two axes, without a slope where all is zero."""
    return safe_sqrt(jnp.sum(a.real**2 + a.imag**2, axis=(-2, -1), keepdims=keepdims))


def amplitude_misfit(
    field: Inexact[Array, "*tries rows cols"], amplitude: Float[Array, "*lead rows cols"]
) -> Float[Array, "*tries"]:
    """‖ |field| − amplitude ‖ / ‖amplitude‖, and ‖field‖ where the amplitude is zero.

    The amplitude may lack leading axes of the field.
    """
    return safe_divide(norm(safe_abs(field) - amplitude), norm(amplitude))


def best_try(tries: Retrieved) -> Retrieved:
    """The try with the smallest residual, for each example; tries are along the first axis."""
    winner = jnp.argmin(tries.residual, axis=0)

    def pick(a: Array) -> Array:
        index = winner.reshape(1, *winner.shape, *(1,) * (a.ndim - 1 - winner.ndim))
        return jnp.take_along_axis(a, index, axis=0)[0]

    return Retrieved(*(pick(a) for a in tries))
