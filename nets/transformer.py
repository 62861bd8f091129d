"""The classification transformer: embedding, post-norm blocks, masked mean, linear classes."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from nets.attention import at_least_one


class Dropout(nnx.Module):
    """Dropout whose randomness is the call's key, so that a step is a function of its arguments alone.

    Arguments:
        rate: share of numbers set to zero in training, in [0, 1).

    Raises:
        ValueError: `rate` outside [0, 1).
    """

    def __init__(self, rate: float):
        if not 0 <= rate < 1:
            raise ValueError(f"`dropout` must be at least 0 and below 1, got {rate!r}.")
        self.rate, self.deterministic = rate, False

    def __call__(self, x: Float[Array, "*any"], key: Array | None) -> Float[Array, "*any"]:
        if self.deterministic or not self.rate:
            return x
        if key is None:
            raise ValueError("`key` must be given in training: dropout draws from it; pass a key, or call `model.eval()` first.")
        keep = jax.random.bernoulli(key, 1 - self.rate, x.shape)
        return jnp.where(keep, x / (1 - self.rate), 0)


class Block(nnx.Module):
    """Post-norm transformer block.

        x = drop(LN(attention(x) + x)),   x = drop(LN(W2 relu(W1 x) + x))

    Arguments:
        attention: a layer called as attention(x, device, key, mask), with an attribute `features`.
        hidden: width of the feed-forward; by default 4 · features.
        dropout: rate, in [0, 1).
        rngs: for the initial weights.

    Raises:
        ValueError: `dropout` outside [0, 1), or `hidden` below 1.

    Source: P. Bloem, "Transformers from scratch" (2019); layer norm with ε = 1e-5 as there.
    """

    def __init__(self, attention: nnx.Module, hidden: int | None = None, dropout: float = 0.0, *, rngs: nnx.Rngs):
        features = attention.features
        hidden = 4 * features if hidden is None else hidden
        at_least_one(hidden=hidden)
        self.attention = attention
        self.norm1 = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.norm2 = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.widen = nnx.Linear(features, hidden, rngs=rngs)
        self.narrow = nnx.Linear(hidden, features, rngs=rngs)
        self.dropout = Dropout(dropout)

    def __call__(
        self,
        x: Float[Array, "batch tokens features"],
        device: Any = None,
        key: Array | None = None,
        mask: Bool[Array, "batch tokens"] | None = None,
    ) -> Float[Array, "batch tokens features"]:
        """Arguments as those of the attention."""
        of_device, of_first, of_second = split(key, 3)
        x = self.dropout(self.norm1(self.attention(x, device, of_device, mask) + x), of_first)
        return self.dropout(self.norm2(self.narrow(jax.nn.relu(self.widen(x))) + x), of_second)


class TokenEmbedding(nnx.Module):
    """Token numbers to vectors, plus a learned vector for each position; token 0 is padding.

    Arguments:
        vocabulary: number of tokens, padding included.
        length: most tokens in a row.
        features: width.
        rngs: for the initial vectors, normal with variance 1/features.
    """

    def __init__(self, vocabulary: int, length: int, features: int, *, rngs: nnx.Rngs):
        at_least_one(vocabulary=vocabulary, length=length, features=features)
        self.tokens = nnx.Embed(vocabulary, features, rngs=rngs)
        self.positions = nnx.Embed(length, features, rngs=rngs)

    def __call__(self, x: Int[Array, "batch tokens"]) -> tuple[Float[Array, "batch tokens features"], Bool[Array, "batch tokens"] | None]:
        """Vectors, and True where there is a token."""
        fits(x, self.positions.num_embeddings)
        return self.tokens(x) + self.positions(jnp.arange(x.shape[1])), x != 0


class PatchEmbedding(nnx.Module):
    """Vectors (patches of an image) to vectors, plus a learned vector for each position; nothing is padding.

    Arguments:
        inputs: numbers in a patch.
        length: most patches in a row.
        features: width.
        rngs: for the initial weights.
    """

    def __init__(self, inputs: int, length: int, features: int, *, rngs: nnx.Rngs):
        at_least_one(inputs=inputs, length=length, features=features)
        self.project = nnx.Linear(inputs, features, rngs=rngs)
        self.positions = nnx.Embed(length, features, rngs=rngs)

    def __call__(self, x: Float[Array, "batch tokens inputs"]) -> tuple[Float[Array, "batch tokens features"], None]:
        """Vectors, and no mask."""
        fits(x, self.positions.num_embeddings)
        return self.project(x) + self.positions(jnp.arange(x.shape[1])), None


class Classifier(nnx.Module):
    """Embedding, blocks, mean over the tokens that are there, linear classes.

    Arguments:
        embedding: maps the input to (vectors, mask).
        blocks: of the same width as the embedding.
        classes: number of classes.
        dropout: rate after the embedding, in [0, 1).
        rngs: for the initial weights.

    Raises:
        ValueError: no block, fewer than one class, `dropout` outside [0, 1).

    Source: P. Bloem, "Transformers from scratch" (2019), with padding masked.
    """

    def __init__(self, embedding: nnx.Module, blocks: Sequence[Block], classes: int, dropout: float = 0.0, *, rngs: nnx.Rngs):
        at_least_one(blocks=len(blocks), classes=classes)
        self.embedding, self.blocks = embedding, nnx.List(blocks)
        self.dropout = Dropout(dropout)
        self.classes = nnx.Linear(blocks[-1].attention.features, classes, rngs=rngs)

    def __call__(self, x: Array, device: Any = None, key: Array | None = None) -> Float[Array, "batch classes"]:
        """Logits, shape (batch, classes).

        Arguments:
            x: what the embedding takes: token numbers (batch, tokens), or patches (batch, tokens, inputs).
            device: computes the convolutions; None is the exact FFT.
            key: of dropout and of the device's noise, consumed; None gives expected values and needs `model.eval()`.
        """
        keys = split(key, len(self.blocks) + 1)
        h, mask = self.embedding(x)
        h = self.dropout(h, keys[-1])
        for block, own in zip(self.blocks, keys, strict=False):
            h = block(h, device, own, mask)
        if mask is None:
            return self.classes(h.mean(axis=1))
        there = mask[..., None].astype(h.dtype)
        # A row of nothing but padding has a mean of zero, not of nothing.
        return self.classes((h * there).sum(axis=1) / jnp.maximum(there.sum(axis=1), 1))


def split(key: Array | None, n: int) -> Array | tuple[None, ...]:
    """n keys from one, or n times None."""
    return (None,) * n if key is None else jax.random.split(key, n)


def fits(x: Array, length: int) -> None:
    """Refuse rows longer than the positions that were learned."""
    if x.shape[1] > length:
        raise ValueError(
            f"`x` has rows of {x.shape[1]} tokens but the model was built for at most {length}; shorten them or raise `length`."
        )
