"""Self-attention whose projections are matrices, in three forms."""

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

from nets._check import as_tokens, check_call, check_heads, check_mask, check_rngs, check_sizes
from nets.layers._kernels import fan_in_uniform
from nets.layers.attention._weights import attend_in_blocks, attention_weights, visible_tokens
from optics._check import check_choice, check_flag, check_memory
from optics._typing import ArrayLike, CountLike, DeviceLike, FlagLike, KeyLike, PartLike, TextLike


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
        causal: a token sees no later one.
        rngs: for the initial weights, uniform in ±1/√(inputs).

    Raises:
        ValueError: an unknown `kind`, fewer than one head or feature, or heads that do not divide the
            features.

    Source: A. Vaswani et al. (2017), section 3.2; P. Bloem, "Transformers from scratch" (2019), wide and
    narrow self-attention.

    Example:
        >>> import jax, nets
        >>> from flax import nnx
        >>> attention = nets.LinearSelfAttention(8, heads=2, kind="canonical", rngs=nnx.Rngs(0))
        >>> print(attention(jax.numpy.ones((1, 4, 8))).shape)
        (1, 4, 8)
    """

    def __init__(
        self,
        features: CountLike,
        heads: CountLike = 8,
        kind: TextLike = "wide",
        *,
        causal: FlagLike = False,
        rngs: PartLike,
    ):
        check_sizes(features=features, heads=heads)
        check_flag("causal", causal)
        check_rngs(rngs)
        check_choice("kind", kind, ("wide", "canonical", "narrow"))
        if kind != "wide":
            check_heads(features, heads)
        check_memory("features", features, 4 * (heads if kind == "wide" else 1) * features**2, "the weights")
        self.features, self.heads, self.kind, self.causal = features, heads, kind, causal
        width = features if kind == "wide" else features // heads
        inputs, outputs = (width, width) if kind == "narrow" else (features, heads * width)
        self.project = nnx.Linear(inputs, 3 * outputs, use_bias=False, kernel_init=fan_in_uniform, rngs=rngs)
        self.merge = nnx.Linear(heads * width, features, kernel_init=fan_in_uniform, rngs=rngs)

    def __call__(
        self,
        x: ArrayLike,
        device: DeviceLike = None,
        key: KeyLike = None,
        mask: ArrayLike | None = None,
    ) -> Float[Array, "batch tokens features"]:
        """Attend.

        Arguments:
            x: shape (batch, tokens, features).
            device, key: unused, because a product of matrices is not a convolution.
            mask: True where there is a token; padding is not attended to.

        Raises:
            ValueError: vectors of another width, complex ones, a `mask` of another shape, or no device or
                key.
        """
        x = as_tokens(x, self.features)
        check_call(device, key)
        check_mask(mask, x)
        q, k, v = self._projections(x)

        def attend(queries, rows):
            return jnp.einsum("bhts,bshk->bthk", self._weights(queries, k, mask, rows), v)

        y = attend_in_blocks(attend, q, self.heads, x.shape[1])
        return self.merge(y.reshape(*x.shape[:2], -1))

    def attention_map(
        self,
        x: ArrayLike,
        device: DeviceLike = None,
        key: KeyLike = None,
        mask: ArrayLike | None = None,
    ) -> Float[Array, "batch heads tokens tokens"]:
        """How much each token (third axis) takes of each (fourth) in this call; rows sum to 1."""
        x = as_tokens(x, self.features)
        check_call(device, key)
        check_mask(mask, x)
        q, k, _ = self._projections(x)
        return self._weights(q, k, mask, jnp.arange(x.shape[1]))

    def _projections(self, x):
        if self.kind == "narrow":
            slices = rearrange(x, "batch tokens (heads s) -> batch tokens heads s", heads=self.heads)
            projections = rearrange(self.project(slices), "... heads (three k) -> three ... heads k", three=3)
        else:
            # Parts of one array: with `three` as the first axis XLA would hold a transposed copy.
            heads = rearrange(self.project(x), "... (heads k) -> ... heads k", heads=3 * self.heads)
            projections = jnp.split(heads, 3, axis=-2)
        return projections

    def _weights(self, q, k, mask, rows):
        visible = visible_tokens(mask, rows if self.causal else None, k.shape[1])
        return attention_weights(q, k, visible, self.features if self.kind == "narrow" else None)
