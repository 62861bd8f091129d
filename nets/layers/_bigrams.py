"""Embedding of bigrams, hashed into a table, and how well each row of the table tells the classes apart."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from nets._check import as_token_numbers, as_weights, check_rngs, check_sizes
from nets.layers._freeze import Frozen
from optics._check import as_numpy, check_memory, describe
from optics._typing import ArrayLike, CountLike, PartLike


class BigramEmbedding(nnx.Module):
    """A vector for each bigram (token before, token); zero where either is padding.

    Bigrams are hashed into the rows of a table, and collisions share a row. Rows start at zero, so that a
    bigram that training never meets adds nothing.

    Arguments:
        count: rows of the table.
        features: width of the result.
        width: of a row; a matrix takes it to `features`.
        weights: shape (count,), constant factors of the rows, such as `naive_bayes_ratios`; None is 1.
        rngs: for the initial weights.

    Raises:
        ValueError: a size below 1, or weights of another shape.

    Source: A. Joulin et al., Bag of tricks for efficient text classification, EACL (2017).
    """

    def __init__(
        self,
        count: CountLike,
        features: CountLike,
        width: CountLike = 16,
        weights: ArrayLike | None = None,
        *,
        rngs: PartLike,
    ):
        check_sizes(count=count, features=features, width=width)
        check_memory("count", count, count * width, "the table")
        check_rngs(rngs)
        self.vectors = nnx.Embed(count, width, embedding_init=nnx.initializers.zeros_init(), rngs=rngs)
        self.weights = None if weights is None else Frozen(as_weights("weights", weights, count))
        self.project = nnx.Linear(width, features, use_bias=False, rngs=rngs)

    def __call__(self, x: ArrayLike) -> Float[Array, "batch tokens features"]:
        """Vectors of the bigrams that end at each token.

        Raises:
            ValueError: arrays that are no token numbers.
        """
        x = as_token_numbers("x", x)
        before = jnp.pad(x, ((0, 0), (1, 0)))[:, :-1]
        row = hash_bigrams(before, x, self.vectors.num_embeddings)
        vectors = self.vectors(row)
        if self.weights is not None:
            vectors = vectors * self.weights[...][row][..., None]
        is_bigram = (x != 0) & (before != 0)
        return self.project(jnp.where(is_bigram[..., None], vectors, 0))


def hash_bigrams(before: ArrayLike, x: ArrayLike, count: CountLike) -> Any:
    """The row of each bigram, 0 … count − 1, for arrays of numpy or JAX.

    Arguments:
        before, x: token numbers, whole, of one shape.
        count: rows.

    Raises:
        ValueError: arrays that hold no whole numbers, or `count` below 1.

    Source: D. E. Knuth, The Art of Computer Programming 3 (1998), section 6.4, multiplicative hashing.
    """
    check_sizes(count=count)
    for name, numbers in (("before", before), ("x", x)):
        is_array = isinstance(numbers, np.ndarray | jax.Array)
        if not is_array or not jnp.issubdtype(numbers.dtype, jnp.integer):
            raise ValueError(f"`{name}` must be an array of token numbers, got {describe(numbers)}.")
    # Odd constants of 32 bits, whose products overflow, and shifts that mix high bits into low ones.
    bits = before.astype(np.uint32) * np.uint32(0x9E3779B1) ^ x.astype(np.uint32) * np.uint32(0x85EBCA77)
    bits = (bits ^ (bits >> 15)) * np.uint32(0xC2B2AE3D)
    return ((bits ^ (bits >> 13)) % np.uint32(count)).astype(np.int32)


def naive_bayes_ratios(
    rows: ArrayLike, labels: ArrayLike, classes: CountLike, count: CountLike
) -> Float[np.ndarray, " count"]:
    """How unevenly the classes share each row of a bigram table: log ratios of naive Bayes.

        r_b = max_c log p_cb − min_c log p_cb,      p_cb = (n_cb + 1) / Σ_b' (n_cb' + 1)

    n_cb is the number of texts of class c that hold a bigram of row b. A bigram that says nothing of the
    class has a ratio near zero, and a rare one a small ratio.

    Arguments:
        rows: token numbers of the texts; 0 is padding.
        labels: class numbers.
        classes: number of classes.
        count: rows of the table.

    Returns:
        r, shape (count,), not negative.

    Raises:
        ValueError: `rows` that are no token numbers, `labels` that are not one class number a text, or a
            count below 1.

    Source: S. Wang and C. D. Manning, Baselines and bigrams: simple, good sentiment and topic classification,
    ACL (2012).
    """
    check_sizes(classes=classes, count=count)
    check_memory("count", count, classes * count, "the counts")
    rows, labels = as_numpy("rows", rows), as_numpy("labels", labels)
    if rows.dtype.kind not in "iu" or rows.ndim != 2:
        raise ValueError(f"`rows` must be token numbers of shape (rows, tokens), got {describe(rows)}.")
    if labels.dtype.kind not in "iu" or labels.shape != rows.shape[:1]:
        raise ValueError(
            f"`labels` must be one class number for each of {len(rows)} rows, got {describe(labels)}."
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"`labels` must be from 0 to {classes - 1}, got {labels.min()} to {labels.max()}.")
    counts = np.ones((classes, count))
    for start in range(0, len(rows), 1000):  # the bigrams of all texts at once would take gigabytes
        texts = rows[start : start + 1000]
        text, place = np.nonzero((texts[:, :-1] != 0) & (texts[:, 1:] != 0))
        bigram = hash_bigrams(texts[text, place], texts[text, place + 1], count)
        # Sorting is several times faster than `np.unique`, and counting than adding at indices.
        pairs = np.sort(text * count + bigram)
        text, bigram = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], count)
        cells = labels[start + text] * count + bigram
        counts += np.bincount(cells, minlength=counts.size).reshape(counts.shape)
    logarithms = np.log(counts / counts.sum(axis=1, keepdims=True))
    return (logarithms.max(axis=0) - logarithms.min(axis=0)).astype(np.float32)
