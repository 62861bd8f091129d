"""Self-attention whose projections are matrices, in three forms."""

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

import optics
from nets._check import (
    as_tokens,
    check_call,
    check_heads,
    check_mask,
    check_multiplier,
    check_products,
    check_rngs,
    check_sizes,
)
from nets.layers._kernels import fan_in_uniform
from nets.layers._optical_dense import OpticalDense
from nets.layers._states import TokenCache, append_tokens, check_causal, check_state, start_cache
from nets.layers.attention._weights import attend_in_blocks, attention_weights, visible_tokens
from optics._check import check_choice, check_flag, check_memory
from optics._keys import split_key
from optics._typing import (
    ArrayLike,
    CountLike,
    DeviceLike,
    FlagLike,
    GradientLike,
    KeyLike,
    PartLike,
    TextLike,
)
from optics.gradients import gradient_rule


class LinearSelfAttention(nnx.Module):
    """Multi-head self-attention with linear projections.

        q^a = x^a Wq^a,  k^a = x^a Wk^a,  v^a = x^a Wv^a,   y = concat_a( softmax(q^a k^aᵀ / √c) v^a ) Wo + bo

    For a width k and h heads, with s = k / h:

        kind         x^a                    W^a               c    parameters
        wide         all of x               k × k             k    4 h k² + k        (the source article)
        canonical    all of x               k × s             s    4 k² + k          (Vaswani et al.)
        narrow       the a-th s of x        s × s, shared     k    3 s² + k² + k

    All of it is products of matrices. With `products` "device" a device computes them: the projections, q kᵀ
    and softmax(…) v of all heads, and the output matrix; scaling, masks and softmax stay electronic.

    Arguments:
        features: k, width of the embedding.
        heads: h; it divides k unless the kind is "wide".
        kind: "wide", "canonical" or "narrow".
        causal: a token sees no later one.
        products: "electronic", or "device": on the device of the call.
        gradient: of products on a device: "simulator" (also None), "ideal", "optical", or a wrapper such as
            `optics.ideal_gradient`.
        rngs: for the initial weights, uniform in ±1/√(inputs).

    Raises:
        ValueError: an unknown `kind`, `products` or `gradient`, fewer than one head or feature, or heads that
            do not divide the features.

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
        products: TextLike = "electronic",
        gradient: GradientLike = None,
        rngs: PartLike,
    ):
        check_sizes(features=features, heads=heads)
        check_flag("causal", causal)
        check_products(products)
        rule = gradient_rule(gradient)
        check_rngs(rngs)
        check_choice("kind", kind, ("wide", "canonical", "narrow"))
        if kind != "wide":
            check_heads(features, heads)
        check_memory("features", features, 4 * (heads if kind == "wide" else 1) * features**2, "the weights")
        self.features, self.heads, self.kind, self.causal = features, heads, kind, causal
        self.products, self.matmul = products, rule(optics.matmul)
        width = features if kind == "wide" else features // heads
        inputs, outputs = (width, width) if kind == "narrow" else (features, heads * width)
        optical = {"gradient": gradient, "kernel_init": fan_in_uniform, "rngs": rngs}
        self.project = OpticalDense(inputs, 3 * outputs, use_bias=False, **optical)
        self.merge = OpticalDense(heads * width, features, **optical)

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
            device: multiplies matrices if `products` is "device", else unused; None is exact.
            key: of the device's noise, consumed; None computes without noise. Each product draws its own.
            mask: True where there is a token; padding is not attended to.

        Raises:
            ValueError: vectors of another width, complex ones, a `mask` of another shape, no device or one
                that has no product of matrices, or a bad key.
        """
        x = as_tokens(x, self.features)
        device, key = self._multiplier(device, key)
        check_mask(mask, x)
        return self._attend(x, None, device, key, mask)[0]

    def start(self, batch: CountLike, length: CountLike) -> TokenCache:
        """The state of a causal layer before the first token: room for keys and values.

        Arguments:
            batch: number of texts.
            length: most tokens that a text may come to have.

        Raises:
            ValueError: sizes below 1, or a layer that is not causal.
        """
        check_causal("causal", self.causal, True)
        rest = (self.heads, self.features if self.kind == "wide" else self.features // self.heads)
        return start_cache(batch, length, rest, rest, dtype=self.project.kernel[...].dtype)

    def extend(
        self, x: ArrayLike, state: PartLike, device: DeviceLike = None, key: KeyLike = None
    ) -> tuple[Float[Array, "batch new features"], TokenCache]:
        """Attend from tokens that follow those in the state, and add them to it.

        With products on a device it multiplies with the whole `length` of the state.

        Arguments:
            x: shape (batch, new, features).
            state: of `start` or `extend`; it may not come to hold more than its `length`, which is only
                checked outside of `jax.jit`.
            device, key: as in a call.

        Returns:
            the results of the new tokens, and the state with them.

        Raises:
            ValueError: as a call, another state, or more tokens than it has room for.
        """
        x = as_tokens(x, self.features)
        device, key = self._multiplier(device, key)
        check_state(state, self.start, x)
        return self._attend(x, state, device, key, None)

    def attention_map(
        self,
        x: ArrayLike,
        device: DeviceLike = None,
        key: KeyLike = None,
        mask: ArrayLike | None = None,
    ) -> Float[Array, "batch heads tokens tokens"]:
        """How much each token (third axis) takes of each (fourth) in this call; rows sum to 1."""
        x = as_tokens(x, self.features)
        device, key = self._multiplier(device, key)
        check_mask(mask, x)
        project_key, attend_key, _ = split_key(key, 3)
        q, k, _ = self._projections(x, device, project_key)

        def attend(queries, rows, key):
            weights = self._weights(queries, k, mask, rows, device, split_key(key, 2)[0])
            return jnp.swapaxes(weights, 1, 2)

        # In the blocks of a call, whose noise it draws.
        weights = attend_in_blocks(attend, q, self.heads, x.shape[1], attend_key)
        return jnp.swapaxes(weights, 1, 2)

    def _attend(self, x, cache, device, key, mask):
        """The results of tokens that follow those in the cache, if there is one, and the cache with them."""
        project_key, attend_key, merge_key = split_key(key, 3)
        q, *new = self._projections(x, device, project_key)
        first, (k, v), cache = append_tokens(cache, *new)

        def attend(queries, rows, key):
            weights_key, values_key = split_key(key, 2)
            weights = self._weights(queries, k, mask, first + rows, device, weights_key)
            if device is None:
                return jnp.einsum("bhts,bshk->bthk", weights, v)
            values = self.matmul(weights, jnp.swapaxes(v, 1, 2), device, values_key)
            return jnp.swapaxes(values, 1, 2)

        y = attend_in_blocks(attend, q, self.heads, k.shape[1], attend_key)
        return self.merge(y.reshape(*x.shape[:2], -1), device, merge_key), cache

    def _multiplier(self, device, key):
        """The device and the key of the products; None if they are electronic."""
        check_call(device, key)
        if self.products == "electronic" or device is None:
            return None, None
        check_multiplier(device)
        return device, key

    def _projections(self, x, device, key):
        if self.kind == "narrow":
            slices = rearrange(x, "batch tokens (heads s) -> batch tokens heads s", heads=self.heads)
            projections = self.project(slices, device, key)
            return rearrange(projections, "... heads (three k) -> three ... heads k", three=3)
        # Parts of one array: with `three` as the first axis XLA would hold a transposed copy.
        heads = rearrange(self.project(x, device, key), "... (heads k) -> ... heads k", heads=3 * self.heads)
        return jnp.split(heads, 3, axis=-2)

    def _weights(self, q, k, mask, rows, device, key):
        visible = visible_tokens(mask, rows if self.causal else None, k.shape[1])
        width = self.features if self.kind == "narrow" else None
        multiply = None if device is None else lambda a, b: self.matmul(a, b, device, key)
        return attention_weights(q, k, visible, width, multiply)
