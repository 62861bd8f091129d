"""Products of matrices that are written as sums over letters."""

import string
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact


def is_product(subscripts: str) -> bool:
    """Whether an einsum of two arrays is one product of matrices, which `jax.lax.dot_general` computes.

    At least one letter is summed, only letters of both arrays are, none appears twice in an array, and `...`
    stands for axes of one array alone.
    """
    left, right, out = _terms(subscripts)
    letters = [[letter for letter in term if letter != "."] for term in (left, right, out)]
    if any(len(set(term)) < len(term) for term in letters):
        return False
    dots = ["..." in term for term in (left, right, out)]
    if dots[0] + dots[1] != dots[2]:
        return False
    a, b, y = map(set, letters)
    return bool((a & b) - y) and (a ^ b) <= y <= (a | b)


def einsum_of(dot_general: Callable) -> Callable:
    """A function with the signature of `jnp.einsum` for two arrays, whose products `dot_general` computes.

    What is no product of matrices is left to `jnp.einsum`.
    """

    def einsum(
        subscripts: str,
        left: Inexact[Array, "..."],
        right: Inexact[Array, "..."],
        *,
        out_sharding: Any = None,
        **options: Any,
    ) -> Inexact[Array, "..."]:
        if not is_product(subscripts):
            return jnp.einsum(subscripts, left, right, out_sharding=out_sharding, **options)
        terms = _terms(subscripts)
        # Axes that `...` stands for get letters of their own.
        spare = [letter for letter in string.ascii_letters if letter not in subscripts]
        dotted = left.ndim - len(terms[0]) if "..." in terms[0] else right.ndim - len(terms[1])
        a, b, y = (term.replace("...", "".join(spare[: dotted + 3])) for term in terms)
        inner = [letter for letter in a if letter in b and letter not in y]
        batch = [letter for letter in a if letter in b and letter in y]
        free = [letter for letter in a + b if (letter in a) != (letter in b)]
        dimensions = tuple(
            tuple(tuple(map(term.index, letters)) for term in (a, b)) for letters in (inner, batch)
        )
        result = dot_general(left, right, dimensions, **options)
        result = jnp.transpose(result, [[*batch, *free].index(letter) for letter in y])
        return result if out_sharding is None else jax.sharding.reshard(result, out_sharding)

    return einsum


def _terms(subscripts: str) -> tuple[str, str, str]:
    """The letters of both arrays and of the result."""
    arrays, out = subscripts.replace(" ", "").split("->")
    left, right = arrays.split(",")
    return left, right, out
