"""Self-attention whose projections are matrices, in the three forms that are in use."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from nets.layers._check import at_least_one, divides, has_width, one_of


def attention_weights(
    q: Float[Array, "batch tokens heads features"],
    k: Float[Array, "batch tokens heads features"],
    mask: Bool[Array, "batch tokens"] | None,
    width: int | None = None,
) -> Float[Array, "batch heads tokens tokens"]:
    """softmax over the second token axis of q kᵀ / √width, padding excluded; `width` is that of the heads unless given."""
    logits = jnp.einsum("bthk,bshk->bhts", q, k) / math.sqrt(width or q.shape[-1])
    return over_tokens(logits, mask)


def over_tokens(
    logits: Float[Array, "batch any tokens others"], mask: Bool[Array, "batch others"] | None
) -> Float[Array, "batch any tokens others"]:
    """softmax over the last axis, padding excluded; a row of nothing but padding gets equal weights."""
    if mask is not None:
        logits = jnp.where(mask[:, None, None, :], logits, jnp.finfo(logits.dtype).min)
    return jax.nn.softmax(logits)


class LinearSelfAttention(nnx.Module):
    """Multi-head self-attention with linear projections.

        q^a = x^a Wq^a,  k^a = x^a Wk^a,  v^a = x^a Wv^a,   y = concat_a( softmax(q^a k^aᵀ / √c) v^a ) Wo + bo

    For a width k and h heads, with s = k / h:

        kind         x^a                    W^a               c    parameters
        wide         all of x               k × k             k    4 h k² + k        (the source article)
        canonical    all of x               k × s             s    4 k² + k          (Vaswani et al.)
        narrow       the a-th s of x        s × s, shared     k    3 s² + k² + k

    Arguments:
        features: k, width of the embedding.
        heads: h; it divides k unless the kind is "wide".
        kind: "wide", "canonical" or "narrow".
        rngs: for the initial weights, uniform in ±1/√(inputs).

    Raises:
        ValueError: unknown `kind`, fewer than one head or feature, or heads that do not divide the features.

    Source: A. Vaswani et al. (2017), section 3.2; P. Bloem, "Transformers from scratch" (2019), wide and narrow self-attention.
    """

    def __init__(self, features: int, heads: int = 8, kind: str = "wide", *, rngs: nnx.Rngs):
        at_least_one(features=features, heads=heads)
        one_of("kind", kind, ("wide", "canonical", "narrow"))
        if kind != "wide":
            divides(features, heads)
        self.features, self.heads, self.kind = features, heads, kind
        width = features if kind == "wide" else features // heads
        inputs, outputs = (width, width) if kind == "narrow" else (features, heads * width)
        init = torch_uniform
        self.project = nnx.Linear(inputs, 3 * outputs, use_bias=False, kernel_init=init, rngs=rngs)
        self.merge = nnx.Linear(heads * width, features, kernel_init=init, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "batch tokens features"],
        device: Any = None,
        key: Array | None = None,
        mask: Bool[Array, "batch tokens"] | None = None,
    ) -> Float[Array, "batch tokens features"]:
        """Attend.

        Arguments:
            x: shape (batch, tokens, features).
            device, key: unused: a matrix product is not a convolution.
            mask: True where there is a token; padding is not attended to.
        """
        weights, v = self._weights_and_values(x, mask)
        y = jnp.einsum("bhts,bshk->bthk", weights, v)
        return self.merge(y.reshape(*x.shape[:2], -1))

    def attention_map(
        self,
        x: Float[Array, "batch tokens features"],
        device: Any = None,
        key: Array | None = None,
        mask: Bool[Array, "batch tokens"] | None = None,
    ) -> Float[Array, "batch heads tokens tokens"]:
        """How much each token (third axis) takes of each (fourth), arguments as those of the call; rows sum to 1."""
        return self._weights_and_values(x, mask)[0]

    def _weights_and_values(self, x, mask):
        has_width(x, self.features)
        batch, tokens, _ = x.shape
        if self.kind == "narrow":
            parts = self.project(x.reshape(batch, tokens, self.heads, -1)).reshape(
                batch, tokens, self.heads, 3, -1
            )
            q, k, v = jnp.moveaxis(parts, 3, 0)
        else:
            q, k, v = jnp.split(self.project(x).reshape(batch, tokens, 3 * self.heads, -1), 3, axis=2)
        width = self.features if self.kind == "narrow" else None
        return attention_weights(q, k, mask, width), v


def torch_uniform(
    key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, out_sharding: Any = None
) -> Array:
    """Uniform in ±1/√(inputs), the initial weights of the article's framework, for linear and convolution alike."""
    bound = 1 / math.sqrt(shape[0])
    return jax.random.uniform(key, shape, dtype, -bound, bound)
