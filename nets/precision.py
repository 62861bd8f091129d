"""Products of matrices in fewer bits than the numbers around them."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float


def products(dtype: Any = None) -> Callable:
    """What multiplies in a `flax.nnx.Linear`, as its `dot_general`: factors are rounded, forwards and backwards, and nothing else is.

    Biases are added in the type of the factors before, for the gradient of one is a sum over all tokens: in bfloat16 it stops
    to grow at 256 times what is added.

    Arguments:
        dtype: such as `jnp.bfloat16`; None leaves the numbers as they are.
    """
    if dtype is None:
        return jax.lax.dot_general

    def product(a: Float[Array, "*left"], b: Float[Array, "*right"], dimensions: Any, **options: Any) -> Float[Array, "*out"]:
        return jax.lax.dot_general(a.astype(dtype), b.astype(dtype), dimensions, **options).astype(a.dtype)

    return product
