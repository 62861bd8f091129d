"""From what a data set holds to vectors: tokens, patches of an image."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from nets.layers._bigrams import PairEmbedding
from nets.layers._check import at_least_one
from nets.layers._feed_forward import products


class TokenEmbedding(nnx.Module):
    """Token numbers to vectors, plus a learned vector for each position; token 0 is padding.

    With `pairs`, plus a projection of a vector for the pair with the token before, as `nets.pairs.PairEmbedding` has it.

    Arguments:
        vocabulary: number of tokens, padding included.
        length: most tokens in a row.
        features: width.
        pairs: number of vectors for pairs; None for single tokens alone.
        pair_width: numbers of each.
        pair_weights: shape (pairs,), factors of those vectors that stay as they are; None is 1.
        rngs: for the initial vectors of tokens and positions, normal with variance 1/features.

    Raises:
        ValueError: sizes below 1, weights of another number, or, when called, more tokens than `length`.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        features: int,
        pairs: int | None = None,
        pair_width: int = 16,
        pair_weights: Float[Any, " pairs"] | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        at_least_one(vocabulary=vocabulary, length=length, features=features)
        self.tokens = nnx.Embed(vocabulary, features, rngs=rngs)
        self.positions = nnx.Embed(length, features, rngs=rngs)
        self.pairs = (
            None if pairs is None else PairEmbedding(pairs, features, pair_width, pair_weights, rngs=rngs)
        )

    def __call__(
        self, x: Int[Array, "batch tokens"]
    ) -> tuple[Float[Array, "batch tokens features"], Bool[Array, "batch tokens"] | None]:
        """Vectors, and True where there is a token."""
        fits(x, self.positions.num_embeddings)
        vectors = self.tokens(x) + self.positions(jnp.arange(x.shape[1]))
        return vectors if self.pairs is None else vectors + self.pairs(x), x != 0


class PatchEmbedding(nnx.Module):
    """Vectors (patches of an image) to vectors, plus a learned vector for each position; nothing is padding.

    Arguments:
        inputs: numbers in a patch.
        length: most patches in a row.
        features: width.
        dtype: that numbers are rounded to where they are multiplied, such as `jnp.bfloat16`; None is their own.
        rngs: for the initial weights.

    Raises:
        ValueError: sizes below 1, or, when called, more patches than `length`.
    """

    def __init__(self, inputs: int, length: int, features: int, dtype: Any = None, *, rngs: nnx.Rngs):
        at_least_one(inputs=inputs, length=length, features=features)
        self.project = nnx.Linear(inputs, features, dot_general=products(dtype), rngs=rngs)
        self.positions = nnx.Embed(length, features, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch tokens inputs"]
    ) -> tuple[Float[Array, "batch tokens features"], None]:
        """Vectors, and no mask."""
        fits(x, self.positions.num_embeddings)
        return self.project(x) + self.positions(jnp.arange(x.shape[1])), None


def fits(x: Array, length: int) -> None:
    """Refuse rows longer than the positions that were learned."""
    if x.shape[1] > length:
        raise ValueError(
            f"`x` has rows of {x.shape[1]} tokens but the model was built for at most {length}; shorten them or raise `length`."
        )
