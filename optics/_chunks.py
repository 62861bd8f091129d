"""Bounded memory: large computations run in chunks, one after another."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PyTree

from optics._keys import split_key

# Numbers that the products of one chunk may hold: 32 MiB in complex64.
MAX_ELEMENTS = 2**22
# Numbers of a chunk whose intermediate results a CPU's caches hold: 1 MiB each in float32.
CACHED_ELEMENTS = 2**18
# Pixels of a plane that is a panel: 128×128.
PANEL_PIXELS = 2**14


def chunk_sizes(count: int, elements: int, limit: int | None = None) -> tuple[int, int]:
    """Size and number of the chunks that `count` entries make, each with products of `elements` numbers; a
    chunk holds at most `limit` numbers, by default `MAX_ELEMENTS`, or one entry.

    Returns:
        (size, chunks) with (chunks − 1) · size < count ≤ chunks · size.
    """
    chunks = -(-count // max(1, (MAX_ELEMENTS if limit is None else limit) // elements))
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
    keys = None if key is None else split_key(key, chunks)
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
    keys = None if key is None else split_key(key, count // size)
    y = jax.lax.map(lambda chunk: f(*chunk), (x.reshape(-1, size, *x.shape[1:]), keys))
    return y.reshape(count, *y.shape[2:])


def map_panels(
    f: Callable, x: Inexact[Array, "count *rest"], key: Array | None, elements: int
) -> Inexact[Array, "count *result"]:
    """f(x, key), a function of the first axis entry by entry, in chunks of one panel or a few.

    Arguments and result: those of `map_in_cache`. A gradient through more than `MAX_ELEMENTS` numbers
    computes the interior of each chunk again, so that it needs no more memory.
    """
    count, limit = len(x), _panel_elements()
    if count * elements <= limit:
        return f(x, key)
    size, chunks = chunk_sizes(count, elements, limit)
    keys = None if key is None else split_key(key, chunks)
    of_chunk = _forget(lambda chunk: f(*chunk), count * elements)
    y = jax.lax.map(of_chunk, (_cut(x, size, chunks), keys))
    return y.reshape(-1, *y.shape[2:])[:count]


def chunks_of(shape: tuple[int, int]) -> Callable:
    """How a batch of planes of a shape is computed, `map_in_cache` or `map_panels`."""
    return map_panels if math.prod(shape) >= PANEL_PIXELS else map_in_cache


def map_pairs(
    f: Callable,
    x: Inexact[Array, "*xlead rows cols"],
    w: Inexact[Array, "*wlead rows cols"],
    keys: Array | None,
    elements: int,
) -> Inexact[Array, "*lead newrows newcols"]:
    """f(x, w, keys) of planes whose leading axes broadcast, in chunks: of at most `MAX_ELEMENTS` numbers, or
    of one panel or a few. A gradient computes the interior of a chunk again where all do not fit in one.

    Arguments:
        f: (x, w, keys) -> array with the leading axes of x * w.
        x, w: planes.
        keys: of every pair of planes, or None.
        elements: numbers that one pair takes.
    """
    lead = jnp.broadcast_shapes(x.shape[:-2], w.shape[:-2])
    limit = _panel_elements() if elements >= PANEL_PIXELS else MAX_ELEMENTS
    if not lead or math.prod(lead) * elements <= limit:
        return f(x, w, keys)
    x, w = (a.reshape((1,) * (len(lead) + 2 - a.ndim) + a.shape) for a in (x, w))
    first, *rest = lead
    size, number = chunk_sizes(first, math.prod(rest) * elements, limit)
    parts = (x, w, keys)
    is_cut = [part is not None and part.shape[0] == first for part in parts]

    def of_chunk(chunk):
        pieces = iter(chunk)
        planes = [next(pieces) if cut else part for part, cut in zip(parts, is_cut, strict=True)]
        if size > 1:
            return f(*planes)
        return map_pairs(f, *(part if part is None else part[0] for part in planes), elements)[None]

    chunks = [_cut(part, size, number) for part, cut in zip(parts, is_cut, strict=True) if cut]
    y = jax.lax.map(_forget(of_chunk, math.prod(lead) * elements), chunks)
    return y.reshape(-1, *y.shape[2:])[:first]


def _cut(a: Array, size: int, chunks: int) -> Array:
    """Chunks of entries, the last one filled up with the first entries."""
    missing = size * chunks - len(a)
    if missing:
        a = jnp.concatenate([a, a[:missing]])
    return a.reshape(chunks, size, *a.shape[1:])


def _panel_elements() -> int:
    """Numbers of a chunk of panels: a CPU is as fast with few at a time, and others need many to be busy."""
    return CACHED_ELEMENTS if jax.default_backend() == "cpu" else MAX_ELEMENTS


def _forget(of_chunk: Callable, elements: int) -> Callable:
    """A function of chunks whose interior a gradient does not keep, if all chunks hold too many numbers."""
    return jax.checkpoint(of_chunk) if elements > MAX_ELEMENTS else of_chunk
