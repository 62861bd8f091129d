"""The transformer: a block, and a classifier of an embedding, blocks, a masked mean and linear classes."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from nets._check import (
    as_tokens,
    check_call,
    check_mask,
    check_module,
    check_products,
    check_rate,
    check_rngs,
    check_width,
)
from nets.layers import Dropout, FeedForward, TokenDropout
from optics._check import check_choice, check_dtype, check_flag, check_positive_number, check_whole, describe
from optics._keys import split_key
from optics._typing import (
    ArrayLike,
    CountLike,
    DeviceLike,
    DTypeLike,
    FlagLike,
    GradientLike,
    KeyLike,
    PartLike,
    ScalarLike,
    TextLike,
)
from optics.gradients import gradient_rule


class Block(nnx.Module):
    """Transformer block: tokens are mixed, then each is transformed alone; residuals around both.

        post-norm   x = drop(LN(attention(x) + x)),   x = drop(LN(feed_forward(x) + x))
        pre-norm    x = x + drop(s1 · attention(LN(x))),   x = x + drop(s2 · feed_forward(LN(x)))

    s1 and s2 have a factor for each feature if `layer_scale` is given, and are 1 if it is not.

    Arguments:
        attention: a layer called as attention(x, device, key, mask), with an attribute `features`: attention,
            lambdas or Fourier mixing.
        hidden: width of the linear feed-forward; by default 4 · features.
        dropout: rate, in [0, 1).
        norm: "post" or "pre".
        feed_forward: a layer called as feed_forward(x, device, key), such as `ConvFeedForward`; by default
            `FeedForward`.
        dtype: of the factors of the products of the linear feed-forward, as in `FeedForward`.
        products, gradient: of the linear feed-forward, as in `FeedForward`; `attention` has its own.
        layer_scale: initial value of s1 and s2, above 0. A small one keeps a block near the identity at the
            beginning of training.
        rngs: for the initial weights.

    Raises:
        ValueError: `dropout` outside [0, 1), `hidden` below 1, unknown `products` or `gradient`, one of the
            three together with a `feed_forward`, an unknown `norm`, a `feed_forward` of another width, a
            `layer_scale` not above 0 or in a post-norm block.

    Source: P. Bloem, "Transformers from scratch" (2019), post-norm and ε = 1e-5; R. Xiong et al., ICML
    (2020), pre-norm; H. Touvron et al., Going deeper with image transformers, ICCV (2021), equation 4:
    LayerScale.

    Example:
        >>> import jax, nets
        >>> from flax import nnx
        >>> attention = nets.ConvSelfAttention((3, 3), heads=2, rngs=nnx.Rngs(0))
        >>> block = nets.Block(attention, norm="pre", rngs=nnx.Rngs(1))
        >>> print(block(jax.numpy.ones((1, 4, 9))).shape)
        (1, 4, 9)
    """

    def __init__(
        self,
        attention: PartLike,
        hidden: CountLike | None = None,
        dropout: ScalarLike = 0.0,
        norm: TextLike = "post",
        feed_forward: PartLike | None = None,
        dtype: DTypeLike | None = None,
        layer_scale: ScalarLike | None = None,
        *,
        products: TextLike = "electronic",
        gradient: GradientLike = None,
        rngs: PartLike,
    ):
        check_choice("norm", norm, ("post", "pre"))
        check_rate("dropout", dropout)
        check_rngs(rngs)
        if layer_scale is not None:
            check_positive_number("layer_scale", layer_scale)
        if layer_scale is not None and (norm == "post" or not 0 < layer_scale < math.inf):
            raise ValueError(
                f"`layer_scale` must be above 0 and finite, with `norm` pre; got {layer_scale} and `norm` "
                f"{norm}."
            )
        features = check_width("attention", attention, "`nets.ConvSelfAttention((11, 11), rngs=rngs)`")
        if dtype is not None:
            check_dtype("dtype", dtype)
        check_products(products)
        gradient_rule(gradient)
        if feed_forward is not None and hidden is not None:
            raise ValueError(
                f"`hidden` is the width of the linear feed-forward, got {hidden} together with a "
                "`feed_forward`; leave one out."
            )
        if feed_forward is not None and (products != "electronic" or gradient is not None):
            name, value = ("gradient", gradient) if products == "electronic" else ("products", products)
            raise ValueError(
                f"`{name}` is that of the linear feed-forward, got {describe(value)} together with a "
                "`feed_forward`; leave one out."
            )
        if feed_forward is not None:
            width = check_width("feed_forward", feed_forward, "`nets.FeedForward(121, rngs=rngs)`")
            if width != features:
                raise ValueError(
                    f"`feed_forward` must have the {features} features of `attention`, got {width}."
                )
        self.attention, self.norm = attention, norm
        self.norm1 = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.norm2 = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        if feed_forward is None:
            feed_forward = FeedForward(
                features, hidden, dtype, products=products, gradient=gradient, rngs=rngs
            )
        self.feed_forward = feed_forward
        self.dropout = Dropout(dropout)
        self.scale1, self.scale2 = (
            None if layer_scale is None else nnx.Param(jnp.full(features, layer_scale)) for _ in range(2)
        )

    def __call__(
        self,
        x: ArrayLike,
        device: DeviceLike = None,
        key: KeyLike = None,
        mask: ArrayLike | None = None,
    ) -> Float[Array, "batch tokens features"]:
        """Mix the tokens, then transform each.

        Arguments:
            x: shape (batch, tokens, features).
            device: computes what its layers give to a device, convolutions and products of matrices; None
                computes exactly.
            key: of dropout and of the device's noise, consumed; None computes without noise and needs
                `model.eval()`.
            mask: True where there is a token.

        Raises:
            ValueError: a bad key, and as the layers of the block.
        """
        x = as_tokens(x, self.attention.features)
        check_call(device, key)
        check_mask(mask, x)
        attention_key, drop1_key, drop2_key, forward_key = split_key(key, 4)
        if self.norm == "pre":
            added = _scale(self.attention(self.norm1(x), device, attention_key, mask), self.scale1)
            x = x + self.dropout(added, drop1_key)
            added = _scale(self.feed_forward(self.norm2(x), device, forward_key), self.scale2)
            return x + self.dropout(added, drop2_key)
        x = self.dropout(self.norm1(self.attention(x, device, attention_key, mask) + x), drop1_key)
        return self.dropout(self.norm2(self.feed_forward(x, device, forward_key) + x), drop2_key)

    def start(self, batch: CountLike, length: CountLike) -> PartLike:
        """The state of a block that has met no token yet, for `extend`.

        Raises:
            ValueError: a layer that is not causal, or sizes below 1.
        """
        return self.attention.start(batch, length)

    def extend(
        self, x: ArrayLike, state: PartLike, device: DeviceLike = None, key: KeyLike = None
    ) -> tuple[Float[Array, "batch tokens features"], PartLike]:
        """The result for the tokens that follow those of a state, without dropout, and the state with them.

        Arguments:
            x: shape (batch, tokens, features).
            state: of `start`, or of the tokens before.
            device, key: as in a call.

        Raises:
            ValueError: as for a call.
        """
        x = as_tokens(x, self.attention.features)
        check_call(device, key)
        attention_key, _, _, forward_key = split_key(key, 4)
        if self.norm == "pre":
            added, state = self.attention.extend(self.norm1(x), state, device, attention_key)
            x = x + _scale(added, self.scale1)
            return x + _scale(self.feed_forward(self.norm2(x), device, forward_key), self.scale2), state
        added, state = self.attention.extend(x, state, device, attention_key)
        x = self.norm1(added + x)
        return self.norm2(self.feed_forward(x, device, forward_key) + x), state


class Classifier(nnx.Module):
    """Embedding, blocks, mean over the tokens that are not padding, linear classes.

    Pre-norm blocks end with a sum that is not normalised; one more layer norm follows them, unless
    `final_norm` is False. Without it, tokens of long vectors count for more in the mean.

    The blocks run on the device of a call. The embedding and the classes stay electronic, also where the
    layers of the blocks have `products` "device".

    Arguments:
        embedding: maps the input to (vectors, mask).
        blocks: of the same width as the embedding.
        classes: number of classes.
        dropout: rate after the embedding, in [0, 1).
        token_dropout: share of tokens that become padding in training, in [0, 1).
        final_norm: normalise the result of pre-norm blocks.
        features: width of the embedding; needed only without blocks, when the mean of the vectors is
            classified.
        rngs: for the initial weights.

    Raises:
        ValueError: neither blocks nor `features`, fewer than one class, a rate outside [0, 1), or
            `final_norm` False without pre-norm blocks.

    Source: P. Bloem, "Transformers from scratch" (2019), with padding masked.

    Example:
        >>> import jax, nets
        >>> from flax import nnx
        >>> embedding = nets.TokenEmbedding(vocabulary=50, length=8, features=9, rngs=nnx.Rngs(0))
        >>> model = nets.Classifier(embedding, [], classes=2, features=9, rngs=nnx.Rngs(1))
        >>> print(model(jax.numpy.ones((3, 6), int)).shape)
        (3, 2)
    """

    def __init__(
        self,
        embedding: PartLike,
        blocks: PartLike,
        classes: CountLike,
        dropout: ScalarLike = 0.0,
        token_dropout: ScalarLike = 0.0,
        final_norm: FlagLike = True,
        *,
        features: CountLike | None = None,
        rngs: PartLike,
    ):
        check_whole("classes", classes, 1)
        check_module("embedding", embedding, "`nets.TokenEmbedding(50, 8, 9, rngs=rngs)`")
        if not isinstance(blocks, Sequence) or not all(isinstance(block, Block) for block in blocks):
            raise ValueError(f"`blocks` must be `nets.Block`s, got {describe(blocks)}.")
        check_rate("dropout", dropout)
        check_rate("token_dropout", token_dropout)
        check_flag("final_norm", final_norm)
        if features is not None:
            check_whole("features", features, 1)
        check_rngs(rngs)
        if not blocks and features is None:
            raise ValueError(
                "`blocks` must be at least one, got none; give `features` for the mean of the embedding "
                "alone."
            )
        self.embedding, self.blocks = embedding, nnx.List(blocks)
        self.dropout, self.token_dropout = Dropout(dropout), TokenDropout(token_dropout)
        features = blocks[-1].attention.features if blocks else features
        is_pre_norm = bool(blocks) and blocks[-1].norm == "pre"
        if not final_norm and not is_pre_norm:
            raise ValueError(
                "`final_norm` can only be left out after blocks with `norm` pre; post-norm blocks end with a "
                "norm of their own, and the mean of the embedding has none."
            )
        self.norm = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs) if is_pre_norm and final_norm else None
        self.classes = nnx.Linear(features, classes, rngs=rngs)

    def __call__(
        self, x: ArrayLike, device: DeviceLike = None, key: KeyLike = None
    ) -> Float[Array, "batch classes"]:
        """Logits, shape (batch, classes).

        Arguments:
            x: input of the embedding: token numbers (batch, tokens), or patches (batch, tokens, inputs).
            device: computes what the blocks give to a device, convolutions and products of matrices; None
                computes exactly.
            key: of dropout and of the device's noise, consumed; None computes without noise and needs
                `model.eval()`.

        Raises:
            ValueError: a bad key, and as the embedding and the blocks.
        """
        check_call(device, key)
        *block_keys, drop_key = split_key(key, len(self.blocks) + 1)
        h, mask = self.embedding(self.token_dropout(x, drop_key))
        h = self.dropout(h, drop_key)
        for block, block_key in zip(self.blocks, block_keys, strict=True):
            h = block(h, device, block_key, mask)
        h = h if self.norm is None else self.norm(h)
        if mask is None:
            return self.classes(h.mean(axis=1))
        weights = mask[..., None].astype(h.dtype)
        # The mean of a row that is all padding is zero.
        return self.classes((h * weights).sum(axis=1) / jnp.maximum(weights.sum(axis=1), 1))


def _scale(
    x: Float[Array, "batch tokens features"], scale: nnx.Param | None
) -> Float[Array, "batch tokens features"]:
    return x if scale is None else scale[...] * x
