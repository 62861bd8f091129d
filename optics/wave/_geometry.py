"""Coordinates on a sampled plane. The optical axis passes through sample n//2 of each axis."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Complex, Float

from optics._check import as_shape, check_number, describe
from optics._typing import ArrayLike, ScalarLike, ShapeLike


def sample_numbers(n: int, dtype: DTypeLike | None = None) -> Float[Array, " n"]:
    """Sample numbers −n//2 … with 0 at sample n//2, as floating point."""
    return jnp.arange(n, dtype=dtype or jnp.result_type(float)) - n // 2


def as_scalars(value: ArrayLike) -> tuple[ScalarLike, ...] | None:
    """The numbers of a vector, a tuple or a list, traced or not; None for anything else."""
    if isinstance(value, np.ndarray | jax.Array) and value.ndim == 1:
        return tuple(value[i] for i in range(value.shape[0]))
    return tuple(value) if isinstance(value, tuple | list) and all(np.ndim(v) == 0 for v in value) else None


def as_pair(name: str, value: ArrayLike, unit: str = "m") -> tuple[ScalarLike, ScalarLike]:
    """`value` as the two numbers (y, x); `name` is refused if it is not a pair or not finite."""
    numbers = as_scalars(value)
    if numbers is None or len(numbers) != 2:
        raise ValueError(f"`{name}` must be a pair (y, x) in {unit}, got {describe(value)}.")
    for number in numbers:
        check_number(name, number, unit=unit)
    return numbers


def as_samples(name: str, shape: ShapeLike) -> tuple[int, int]:
    """`shape` as the pair (rows, columns); `name` is refused if it is not a pair of whole numbers, or too
    large for memory.
    """
    rows, cols = as_shape(name, shape, 2)
    return rows, cols


def imaginary(phase: Float[Array, "*any"]) -> Complex[Array, "*any"]:
    """i·phase."""
    return jax.lax.complex(jnp.zeros_like(phase), phase)


def outer(rows: Array, cols: Array) -> Array:
    """The plane rows[y] · cols[x]."""
    return rows[:, None] * cols[None, :]
