"""Embeddings, from what a data set holds to vectors: token numbers, vectors, images."""

import math

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Bool, Float

from nets._check import (
    as_numbers,
    as_token_numbers,
    as_tokens,
    as_weights,
    check_rngs,
    check_sizes,
)
from nets.layers._bigrams import BigramEmbedding
from nets.layers._feed_forward import rounding_dot_general
from optics._check import as_pixels, as_shape, check_memory
from optics._typing import ArrayLike, CountLike, DTypeLike, PartLike, ShapeLike


class TokenEmbedding(nnx.Module):
    """Token numbers to vectors, plus a learned vector for each position; token 0 is padding.

    `bigrams` adds a vector for the bigram that ends at each token (`nets.layers.BigramEmbedding`).

    Arguments:
        vocabulary: number of tokens, padding included.
        length: most tokens in a row.
        features: width.
        bigrams: rows of the table of bigrams; None for none.
        bigram_width: of such a row.
        bigram_weights: shape (bigrams,), constant factors of the rows; None is 1.
        rngs: for the initial vectors of tokens and positions, normal with variance 1/features.

    Raises:
        ValueError: a size below 1, weights of another shape, or, when called, more tokens than `length`.
    """

    def __init__(
        self,
        vocabulary: CountLike,
        length: CountLike,
        features: CountLike,
        bigrams: CountLike | None = None,
        bigram_width: CountLike = 16,
        bigram_weights: ArrayLike | None = None,
        *,
        rngs: PartLike,
    ):
        check_sizes(vocabulary=vocabulary, length=length, features=features, bigram_width=bigram_width)
        check_memory("vocabulary", vocabulary, (vocabulary + length) * features, "the vectors")
        check_rngs(rngs)
        if bigrams is not None:
            check_sizes(bigrams=bigrams)
            if bigram_weights is not None:
                bigram_weights = as_weights("bigram_weights", bigram_weights, bigrams)
        self.tokens = nnx.Embed(vocabulary, features, rngs=rngs)
        self.positions = nnx.Embed(length, features, rngs=rngs)
        # Checkpoints know these weights as `pairs`.
        if bigrams is None:
            self.pairs = None
        else:
            self.pairs = BigramEmbedding(bigrams, features, bigram_width, bigram_weights, rngs=rngs)

    def __call__(
        self, x: ArrayLike
    ) -> tuple[Float[Array, "batch tokens features"], Bool[Array, "batch tokens"] | None]:
        """Vectors, and True where there is a token.

        Raises:
            ValueError: arrays that are no token numbers, more tokens than `length`, or numbers that are not
                in the vocabulary. Traced numbers are not looked at: one beyond the vocabulary has vectors
                that are not numbers, and a negative one counts from its end.
        """
        x = as_token_numbers("x", x, self.tokens.num_embeddings)
        _check_length(x, self.positions.num_embeddings)
        vectors = self.tokens(x) + self.positions(jnp.arange(x.shape[1]))
        return vectors if self.pairs is None else vectors + self.pairs(x), x != 0

    def extend(
        self, x: ArrayLike, count: ArrayLike, before: ArrayLike
    ) -> Float[Array, "batch tokens features"]:
        """Vectors of tokens that follow others.

        Arguments:
            x: token numbers, shape (batch, tokens).
            count: of the tokens before them; with those of `x` at most `length`, which is not checked: the
                count may be traced.
            before: the last of those tokens, shape (batch,); 0 for none.

        Raises:
            ValueError: as for a call.
        """
        x = as_token_numbers("x", x, self.tokens.num_embeddings)
        _check_length(x, self.positions.num_embeddings)
        vectors = self.tokens(x) + self.positions(count + jnp.arange(x.shape[1]))
        if self.pairs is None:
            return vectors
        return vectors + self.pairs(jnp.concatenate([before[:, None], x], axis=1))[:, 1:]


class PatchEmbedding(nnx.Module):
    """Vectors, such as patches of an image, to vectors, plus a learned vector for each position.

    Nothing is padding.

    Arguments:
        inputs: numbers in a patch.
        length: most patches in a row.
        features: width.
        dtype: of the factors of the product, such as `jnp.bfloat16`; None rounds nothing.
        rngs: for the initial weights.

    Raises:
        ValueError: a size below 1, or, when called, more patches than `length`.
    """

    def __init__(
        self,
        inputs: CountLike,
        length: CountLike,
        features: CountLike,
        dtype: DTypeLike | None = None,
        *,
        rngs: PartLike,
    ):
        check_sizes(inputs=inputs, length=length, features=features)
        check_memory("features", features, (inputs + length) * features, "the weights")
        check_rngs(rngs)
        self.project = nnx.Linear(inputs, features, dot_general=rounding_dot_general(dtype), rngs=rngs)
        self.positions = nnx.Embed(length, features, rngs=rngs)

    def __call__(self, x: ArrayLike) -> tuple[Float[Array, "batch tokens features"], None]:
        """Vectors, and no mask.

        Raises:
            ValueError: vectors of another width, complex ones, or more of them than `length`.
        """
        x = as_tokens(x, self.project.in_features)
        _check_length(x, self.positions.num_embeddings)
        return self.project(x) + self.positions(jnp.arange(x.shape[1])), None


class ImageEmbedding(nnx.Module):
    """Patches of an image, row by row, to vectors, plus a learned vector for each place.

    Arguments:
        image: its rows and columns.
        patch: rows and columns of a patch, or one number for both; they divide those of the image.
        features: width.
        channels: numbers of a pixel.
        dtype: of the factors of the product, as in `PatchEmbedding`.
        rngs: for the initial weights.

    Raises:
        ValueError: a size below 1, or a patch that does not divide the image.
    """

    def __init__(
        self,
        image: ShapeLike,
        patch: ShapeLike,
        features: CountLike,
        channels: CountLike = 1,
        dtype: DTypeLike | None = None,
        *,
        rngs: PartLike,
    ):
        self.image = as_image_size(image)
        self.patch = as_pixels("patch", patch)
        check_sizes(features=features, channels=channels)
        check_memory("channels", channels, channels * math.prod(self.patch) * features, "the weights")
        check_rngs(rngs)
        if any(n % p for n, p in zip(self.image, self.patch, strict=True)):
            divisors = " and ".join(
                "one of " + ", ".join(str(p) for p in range(1, n + 1) if n % p == 0) for n in self.image
            )
            raise ValueError(
                f"`patch` must divide the {self.image} pixels of `image`, got {self.patch}; use {divisors}."
            )
        self.channels = channels
        rows, cols = (n // p for n, p in zip(self.image, self.patch, strict=True))
        inputs = self.patch[0] * self.patch[1] * channels
        self.embed = PatchEmbedding(inputs, rows * cols, features, dtype, rngs=rngs)

    def __call__(self, x: ArrayLike) -> tuple[Float[Array, "batch tokens features"], None]:
        """Vectors, and no mask; the axis of channels may be missing when there is one channel.

        Raises:
            ValueError: images of another size, or complex ones.
        """
        x = as_images(x, self.image, self.channels)
        height, width = self.patch
        patches = rearrange(x, "n (rows h) (cols w) c -> n (rows cols) (h w c)", h=height, w=width)
        return self.embed(patches)


def as_image_size(image: ShapeLike) -> tuple[int, int]:
    """Rows and columns of an image.

    Arguments:
        image: two whole numbers.

    Raises:
        ValueError: another number of them, or one below 1.
    """
    rows, cols = as_shape("image", image, 2)
    return rows, cols


def as_images(
    x: ArrayLike, image: ShapeLike, channels: CountLike
) -> Float[Array, "batch rows cols channels"]:
    """Images with an axis of channels, which may be missing when there is one channel.

    Arguments:
        x: shape (batch, rows, columns) or (batch, rows, columns, channels), any unit.
        image: rows and columns that the network was built for.
        channels: numbers of a pixel.

    Raises:
        ValueError: images of another size or complex ones, an `image` that is no pair of whole numbers, or
            `channels` below 1.
    """
    image = as_image_size(image)
    check_sizes(channels=channels)
    x = as_numbers("x", x)
    images = x[..., None] if x.ndim == 3 and channels == 1 else x
    if images.ndim != 4 or images.shape[1:] != (*image, channels):
        raise ValueError(f"`x` must have shape (batch, {image[0]}, {image[1]}, {channels}), got {x.shape}.")
    return images


def _check_length(x: Array, length: int) -> None:
    """Refuse rows longer than the positions that were learned."""
    if x.shape[1] > length:
        raise ValueError(
            f"`x` has rows of {x.shape[1]} tokens but the model was built for at most {length}; "
            "shorten them or raise `length`."
        )
