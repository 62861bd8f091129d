"""Bounded memory: large computations run in chunks, one after another."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PyTree

# Numbers that the products of one chunk may hold: 32 MiB in complex64.
MAX_ELEMENTS = 2**22
# Numbers of a chunk whose intermediate results a CPU's caches hold: 1 MiB each in float32.
CACHED_ELEMENTS = 2**18


def chunk_sizes(count: int, elements: int) -> tuple[int, int]:
    """Size and number of the chunks that `count` entries make, each with products of `elements` numbers.

    Returns:
        (size, chunks) with (chunks − 1) · size < count ≤ chunks · size.
    """
    chunks = -(-count // max(1, MAX_ELEMENTS // elements))
    size = -(-count // chunks)
    return size, -(-count // size)


def largest_even_chunk(count: int, elements: int) -> int:
    """The largest divisor of `count` that makes a chunk of at most `MAX_ELEMENTS` numbers; at least 1."""
    return max(n for n in range(1, count + 1) if count % n == 0 and (n == 1 or n * elements <= MAX_ELEMENTS))


def map_in_chunks(
    f: Callable, x: PyTree[Array], key: Array | None, elements: int
) -> Inexact[Array, "count *result"]:
    """f(x, key), a function of the first axis entry by entry, in chunks of at most `MAX_ELEMENTS` numbers.

    Each chunk draws its own noise. A gradient computes its interior again, so that it needs no more memory.

    Arguments:
        f: (x, key) -> array with the same first axis.
        x: array, or a tree of arrays with the same first axis.
        key: consumed, or None.
        elements: numbers in the products that one entry of x takes part in.
    """
    count = len(jax.tree.leaves(x)[0])
    size, chunks = chunk_sizes(count, elements)
    if chunks == 1:
        return f(x, key)

    def split(a):
        padded = jnp.pad(a, [(0, chunks * size - count)] + [(0, 0)] * (a.ndim - 1))
        return padded.reshape(chunks, size, *a.shape[1:])

    x = jax.tree.map(split, x)
    keys = None if key is None else jax.random.split(key, chunks)
    y = jax.lax.map(jax.checkpoint(lambda chunk: f(*chunk)), (x, keys))
    return y.reshape(-1, *y.shape[2:])[:count]


def map_in_cache(
    f: Callable, x: Inexact[Array, "count *rest"], key: Array | None, elements: int
) -> Inexact[Array, "count *result"]:
    """f(x, key), a function of the first axis entry by entry, in chunks that stay in the caches of a CPU.

    A long chain of small steps is bound by memory: in chunks it takes half the time. Other platforms, and
    counts without a divisor that fits, compute all at once. Each chunk draws its own noise.

    Arguments:
        f: (x, key) -> array with the same first axis.
        x: array.
        key: consumed, or None.
        elements: numbers in each step of one entry of x.
    """
    count, limit = len(x), CACHED_ELEMENTS // max(1, elements)
    if count < 3 * limit or jax.default_backend() != "cpu":
        return f(x, key)
    # XLA on CPU takes several times as long for an odd number of numbers.
    sizes = [n for n in range(max(1, limit // 8), limit + 1) if count % n == 0]
    if not sizes:
        return f(x, key)
    size = max(sizes, key=lambda n: (n * elements % 2 == 0, n))
    keys = None if key is None else jax.random.split(key, count // size)
    y = jax.lax.map(lambda chunk: f(*chunk), (x.reshape(-1, size, *x.shape[1:]), keys))
    return y.reshape(count, *y.shape[2:])
