"""Sequences, as arrays of numbers with at least one axis."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import plane


def line(name: str, value: Any) -> Inexact[Array, "*lead length"]:
    """An array of numbers with at least one axis (..., length), integers made floating point."""
    array = jnp.asarray(value)
    if array.ndim < 1:
        raise ValueError(f"`{name}` must have at least one axis (..., length), got the scalar {value!r}.")
    return plane(name, array[None])[0]
