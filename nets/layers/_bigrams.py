"""Vectors for pairs of neighbouring tokens, and how much each of them has to say of the class."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from nets.layers._check import at_least_one
from nets.layers._freeze import Fixed


class PairEmbedding(nnx.Module):
    """A vector for each pair of neighbouring tokens; none where either is padding.

    A hash function sends each pair to one of so many vectors, so that pairs of chance share one. Those vectors start at zero,
    so that pairs that training never saw add nothing.

    Arguments:
        count: number of vectors that the pairs share.
        features: width of the result.
        width: of the vectors before their projection to it.
        weights: shape (count,), factors of the vectors that stay as they are, such as `class_weights`; None is 1.
        rngs: for the initial weights.

    Raises:
        ValueError: sizes below 1, or weights of another number.

    Source: A. Joulin et al., Bag of tricks for efficient text classification, EACL (2017).
    """

    def __init__(
        self,
        count: int,
        features: int,
        width: int = 16,
        weights: Float[Any, " count"] | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        at_least_one(pairs=count, features=features, width=width)
        if weights is not None and weights.shape != (count,):
            raise ValueError(
                f"`weights` must be one for each of the {count} vectors, got the shape {weights.shape}."
            )
        self.vectors = nnx.Embed(count, width, embedding_init=nnx.initializers.zeros_init(), rngs=rngs)
        self.weights = None if weights is None else Fixed(jnp.asarray(weights, jnp.float32))
        self.project = nnx.Linear(width, features, use_bias=False, rngs=rngs)

    def __call__(self, x: Int[Array, "batch tokens"]) -> Float[Array, "batch tokens features"]:
        """Vectors of the pairs (token before, token)."""
        before = jnp.pad(x, ((0, 0), (1, 0)))[:, :-1]
        number = numbers(before, x, self.vectors.num_embeddings)
        vectors = self.vectors(number)
        if self.weights is not None:
            vectors = vectors * self.weights[...][number][..., None]
        there = (x != 0) & (before != 0)
        return self.project(jnp.where(there[..., None], vectors, 0))


def numbers(before: Any, x: Any, count: int) -> Any:
    """The number of the vector of each pair, 0 … count − 1, of arrays of numpy or JAX.

    Source: D. E. Knuth, The Art of Computer Programming 3 (1998), section 6.4, multiplicative hashing.
    """
    # Odd constants of 32 bits, whose products overflow, and shifts that mix high bits into low ones.
    mixed = before.astype(np.uint32) * np.uint32(0x9E3779B1) ^ x.astype(np.uint32) * np.uint32(0x85EBCA77)
    mixed = (mixed ^ (mixed >> 15)) * np.uint32(0xC2B2AE3D)
    return ((mixed ^ (mixed >> 13)) % np.uint32(count)).astype(np.int32)


def class_weights(
    rows: Int[np.ndarray, "rows tokens"], labels: Int[np.ndarray, " rows"], classes: int, count: int
) -> Float[np.ndarray, " count"]:
    """How unevenly the classes share each vector of pairs: its widest log ratio of probabilities, as of naive Bayes.

        r_b = max_c log p_cb − min_c log p_cb,      p_cb = (n_cb + 1) / Σ_b' (n_cb' + 1)

    with n_cb the rows of class c in which a pair of vector b stands. Pairs that say nothing weigh almost nothing, and rare ones
    little.

    Arguments:
        rows: token numbers, 0 being padding.
        labels: class numbers.
        classes: number of classes.
        count: number of vectors.

    Returns:
        r, shape (count,), not negative.

    Source: S. Wang and C. D. Manning, Baselines and bigrams: simple, good sentiment and topic classification, ACL (2012).
    """
    found = np.ones((classes, count))
    for start in range(0, len(rows), 1000):  # the pairs of all rows at once would take gigabytes
        part = rows[start : start + 1000]
        row, place = np.nonzero((part[:, :-1] != 0) & (part[:, 1:] != 0))
        number = numbers(part[row, place], part[row, place + 1], count)
        # Sorting is several times faster than `np.unique`, and counting than adding at indices.
        each = np.sort(row * count + number)
        row, number = np.divmod(each[np.diff(each, prepend=-1) > 0], count)
        found += np.bincount(labels[start + row] * count + number, minlength=found.size).reshape(found.shape)
    logarithms = np.log(found / found.sum(axis=1, keepdims=True))
    return (logarithms.max(axis=0) - logarithms.min(axis=0)).astype(np.float32)
