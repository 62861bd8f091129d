"""Coordinates on a sampled plane. The optical axis passes through sample n//2 of each axis."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics._check import check_finite


def centred(n: int, dtype: Any = None) -> Float[Array, " n"]:
    """Sample numbers −n//2 … with 0 at sample n//2, as floating point."""
    return jnp.arange(n, dtype=dtype or jnp.result_type(float)) - n // 2


def scalars(value: Any) -> tuple[Any, ...] | None:
    """The numbers of a vector, a tuple or a list, traced or not; None for anything else."""
    if hasattr(value, "shape") and len(value.shape) == 1:
        return tuple(value[i] for i in range(value.shape[0]))
    return tuple(value) if isinstance(value, tuple | list) and all(np.ndim(v) == 0 for v in value) else None


def pair(name: str, value: Any, unit: str = "m") -> tuple[Any, Any]:
    """`value` as the two numbers (y, x), refused by `name` if it is not a pair or not finite."""
    both = scalars(value)
    if both is None or len(both) != 2:
        raise ValueError(f"`{name}` must be a pair (y, x) in {unit}, got {value!r}.")
    for number in both:
        check_finite(name, number, unit)
    return both


def imaginary(phase: jax.Array) -> jax.Array:
    """i·phase."""
    return jax.lax.complex(jnp.zeros_like(phase), phase)


def outer(rows: jax.Array, cols: jax.Array) -> jax.Array:
    """The plane rows[y] · cols[x]."""
    return rows[:, None] * cols[None, :]
