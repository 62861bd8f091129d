"""The classification transformer: embedding, blocks, masked mean, linear classes."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from nets.layers._check import at_least_one, one_of
from nets.layers._dropout import Dropout, TokenDropout
from nets.layers._embedding import PatchEmbedding as PatchEmbedding
from nets.layers._embedding import TokenEmbedding as TokenEmbedding
from nets.layers._feed_forward import FeedForward


class Block(nnx.Module):
    """Transformer block: tokens are mixed, then each is transformed alone; residuals around both.

        post-norm   x = drop(LN(attention(x) + x)),   x = drop(LN(feed_forward(x) + x))
        pre-norm    x = x + drop(s1 · attention(LN(x))),   x = x + drop(s2 · feed_forward(LN(x)))

    with a factor for each feature, s1 and s2, if there is a `layer_scale`, and without otherwise.

    Arguments:
        attention: a layer called as attention(x, device, key, mask), with an attribute `features`: attention, lambdas or
            Fourier mixing.
        hidden: width of the linear feed-forward; by default 4 · features.
        dropout: rate, in [0, 1).
        order: "post" or "pre".
        feed_forward: a layer called as feed_forward(x, device, key), such as `ConvFeedForward`; by default `FeedForward`.
        dtype: of the products of the linear feed-forward, as in `FeedForward`.
        layer_scale: value that s1 and s2 start from, above 0; a small one keeps the block near the identity until it has
            something to add.
        rngs: for the initial weights.

    Raises:
        ValueError: `dropout` outside [0, 1), `hidden` below 1 or beside a `feed_forward`, unknown `order`, a `feed_forward`
            of another width, a `layer_scale` of a post-norm block or not above 0.

    Source: P. Bloem, "Transformers from scratch" (2019), post-norm and ε = 1e-5; R. Xiong et al., ICML (2020), pre-norm;
    H. Touvron et al., Going deeper with image transformers, ICCV (2021), equation 4: LayerScale.
    """

    def __init__(
        self,
        attention: nnx.Module,
        hidden: int | None = None,
        dropout: float = 0.0,
        order: str = "post",
        feed_forward: nnx.Module | None = None,
        dtype: Any = None,
        layer_scale: float | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        one_of("order", order, ("post", "pre"))
        if layer_scale is not None and (order == "post" or not 0 < layer_scale < float("inf")):
            raise ValueError(
                f"`layer_scale` must be above 0 and finite, in a block of order pre; got {layer_scale} and order {order}."
            )
        features = attention.features
        if feed_forward is not None and hidden is not None:
            raise ValueError(
                f"`hidden` is the width of the linear feed-forward, got {hidden} beside a `feed_forward`; leave one out."
            )
        if feed_forward is not None and feed_forward.features != features:
            raise ValueError(
                f"`feed_forward` must have the {features} features of `attention`, got {feed_forward.features}."
            )
        self.attention, self.order = attention, order
        self.norm1 = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.norm2 = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.feed_forward = (
            FeedForward(features, hidden, dtype, rngs=rngs) if feed_forward is None else feed_forward
        )
        self.dropout = Dropout(dropout)
        self.scale1, self.scale2 = (
            None if layer_scale is None else nnx.Param(jnp.full(features, layer_scale)) for _ in range(2)
        )

    def __call__(
        self,
        x: Float[Array, "batch tokens features"],
        device: Any = None,
        key: Array | None = None,
        mask: Bool[Array, "batch tokens"] | None = None,
    ) -> Float[Array, "batch tokens features"]:
        """Arguments as those of the attention."""
        of_device, of_first, of_second, of_forward = split(key, 4)
        if self.order == "pre":
            x = x + self.dropout(
                _scaled(self.attention(self.norm1(x), device, of_device, mask), self.scale1), of_first
            )
            return x + self.dropout(
                _scaled(self.feed_forward(self.norm2(x), device, of_forward), self.scale2), of_second
            )
        x = self.dropout(self.norm1(self.attention(x, device, of_device, mask) + x), of_first)
        return self.dropout(self.norm2(self.feed_forward(x, device, of_forward) + x), of_second)


class Classifier(nnx.Module):
    """Embedding, blocks, mean over the tokens that are there, linear classes.

    After pre-norm blocks, whose sum nothing has normalised, there is one more layer norm, unless it is left out: without it
    tokens of long vectors count for more in the mean.

    Arguments:
        embedding: maps the input to (vectors, mask).
        blocks: of the same width as the embedding.
        classes: number of classes.
        dropout: rate after the embedding, in [0, 1).
        token_dropout: share of token numbers that training takes for padding, in [0, 1).
        final_norm: normalise what pre-norm blocks end with.
        features: width of the embedding; has to be given only without blocks, for the mean of the vectors alone.
        rngs: for the initial weights.

    Raises:
        ValueError: no block and no width, fewer than one class, a rate outside [0, 1), a `final_norm` that there is not.

    Source: P. Bloem, "Transformers from scratch" (2019), with padding masked.
    """

    def __init__(
        self,
        embedding: nnx.Module,
        blocks: Sequence[Block],
        classes: int,
        dropout: float = 0.0,
        token_dropout: float = 0.0,
        final_norm: bool = True,
        *,
        features: int | None = None,
        rngs: nnx.Rngs,
    ):
        at_least_one(classes=classes)
        if not blocks and features is None:
            raise ValueError(
                "`blocks` must be at least one, got none; give `features` for the mean of the embedding alone."
            )
        self.embedding, self.blocks = embedding, nnx.List(blocks)
        self.dropout, self.token_dropout = Dropout(dropout), TokenDropout(token_dropout)
        features = blocks[-1].attention.features if blocks else features
        pre = bool(blocks) and blocks[-1].order == "pre"
        if not final_norm and not pre:
            raise ValueError(
                "`final_norm` is of blocks of order pre; post-norm blocks end with their own, and the mean of the embedding has none."
            )
        self.norm = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs) if pre and final_norm else None
        self.classes = nnx.Linear(features, classes, rngs=rngs)

    def __call__(
        self, x: Array, device: Any = None, key: Array | None = None
    ) -> Float[Array, "batch classes"]:
        """Logits, shape (batch, classes).

        Arguments:
            x: what the embedding takes: token numbers (batch, tokens), or patches (batch, tokens, inputs).
            device: computes the convolutions; None is the exact FFT.
            key: of dropout and of the device's noise, consumed; None gives expected values and needs `model.eval()`.
        """
        keys = split(key, len(self.blocks) + 1)
        h, mask = self.embedding(self.token_dropout(x, keys[-1]))
        h = self.dropout(h, keys[-1])
        for block, own in zip(self.blocks, keys, strict=False):
            h = block(h, device, own, mask)
        h = h if self.norm is None else self.norm(h)
        if mask is None:
            return self.classes(h.mean(axis=1))
        there = mask[..., None].astype(h.dtype)
        # A row of nothing but padding has a mean of zero, not of nothing.
        return self.classes((h * there).sum(axis=1) / jnp.maximum(there.sum(axis=1), 1))


def split(key: Array | None, n: int) -> Array | tuple[None, ...]:
    """n keys from one, or n times None."""
    return (None,) * n if key is None else jax.random.split(key, n)


def _scaled(
    x: Float[Array, "batch tokens features"], scale: nnx.Param | None
) -> Float[Array, "batch tokens features"]:
    return x if scale is None else scale[...] * x
