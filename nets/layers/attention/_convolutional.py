"""Self-attention whose projections are convolutions of the embedding."""

import math

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

import optics
from nets._check import (
    as_tokens,
    check_call,
    check_mask,
    check_multiplier,
    check_products,
    check_rngs,
    check_sizes,
)
from nets.layers._kernels import as_plane_and_taps, centre_kernels, uniform_kernels
from nets.layers._planes import convolve_planes
from nets.layers._states import TokenCache, append_tokens, check_causal, check_state, start_cache
from nets.layers.attention._spectral import mix_values, spectral_weights
from nets.layers.attention._weights import attend_in_blocks, attention_weights, visible_tokens
from optics._check import check_flag, check_function, check_memory
from optics._half_spectra import half_spectrum, planes_from_half
from optics._keys import split_key
from optics._typing import (
    ArrayLike,
    CountLike,
    DeviceLike,
    FlagLike,
    FunctionLike,
    GradientLike,
    KeyLike,
    PartLike,
    ShapeLike,
    TextLike,
)
from optics.gradients import gradient_rule


class ConvSelfAttention(nnx.Module):
    """Multi-head self-attention whose projections are circular convolutions of each token's embedding.

        q^a = x ⊛ wq^a,  k^a = x ⊛ wk^a,  v^a = x ⊛ wv^a,   y = Σ_a softmax(q^a k^aᵀ / √k) v^a

    The heads are summed and there is no output matrix: all 3 h k parameters are in convolutions, which a
    device can compute. Direct attention takes 1 + 3 h optical transforms for a token, and those of the
    kernels. `spectral` computes the same function from one forward and one inverse transform for a token;
    products with spectra are then electronic. Fewer transforms bring less noise.

    The products q kᵀ and softmax(…) v are matrix products. With `products` "device" a device computes them
    too, and sums the heads; it convolves and multiplies matrices, as `optics.Devices` does.

    Arguments:
        shape: of the embedding as a plane, (k,) or (k1, k2) with k = k1 k2.
        heads: h.
        kernel: size of the kernels in each direction, centred on the pixel they act on; by default that of
            the plane.
        spectral: one transform forward and one back in place of a convolution for each head and projection.
        convolve: a function (x, w, device, key), such as `optics.convolve` or a gradient rule around it;
            unused if `spectral`.
        gradient: "simulator" (also None), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`,
            around `convolve` and `optics.matmul`, or around `optics.transform` if `spectral`.
        causal: a token sees no later one.
        products: "electronic", or "device": on the device of the call.
        rngs: for the initial kernels, uniform in ±1/√(taps).

    Raises:
        ValueError: `shape` is not one or two whole numbers, `heads` is below 1, the kernel is larger than the
            plane, `products` or `gradient` is unknown, or `products` is "device" and attention `spectral`.

    Source: F. Michel, E. Cottle and J. Wilson, "Optical computing and transformer networks" (2021).

    Example:
        >>> import jax, nets, optics
        >>> from flax import nnx
        >>> attention = nets.ConvSelfAttention((3, 3), heads=2, spectral=True, rngs=nnx.Rngs(0))
        >>> print(attention(jax.numpy.ones((1, 4, 9)), optics.presets.load("ideal", pixels=3)).shape)
        (1, 4, 9)
    """

    def __init__(
        self,
        shape: ShapeLike,
        heads: CountLike = 8,
        kernel: ShapeLike | None = None,
        spectral: FlagLike = False,
        *,
        convolve: FunctionLike = optics.convolve,
        gradient: GradientLike = None,
        causal: FlagLike = False,
        products: TextLike = "electronic",
        rngs: PartLike,
    ):
        self.plane, self.taps = as_plane_and_taps(shape, kernel)
        check_sizes(heads=heads)
        check_memory("heads", heads, 3 * heads * math.prod(self.taps), "the kernels")
        check_flag("spectral", spectral)
        check_flag("causal", causal)
        check_function("convolve", convolve, "`optics.convolve`")
        check_products(products)
        if products == "device" and spectral:
            raise ValueError(
                "`products` must be electronic in `spectral` attention, whose products are those of spectra, "
                "which are never written to a modulator; leave `products` out, or `spectral`."
            )
        check_rngs(rngs)
        rule = gradient_rule(gradient)
        self.heads, self.spectral, self.causal = heads, spectral, causal
        self.convolve, self.transform = rule(convolve), rule(optics.transform)
        self.products, self.matmul = products, rule(optics.matmul)
        self.features = math.prod(self.plane)
        self.kernels = nnx.Param(uniform_kernels(3 * heads, self.taps, rngs))

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
            device: computes the convolutions, those of many tokens at once if it is larger than a token, or
                the transforms if `spectral`, and multiplies matrices if `products` is "device"; None is
                exact.
            key: of the device's noise, consumed; None computes without noise.
            mask: True where there is a token; padding is not attended to.

        Raises:
            ValueError: vectors of another width, complex ones, a `mask` of another shape, a device without
                room for a token or, if `spectral`, of another shape, one that only convolves if `spectral` or
                `products` is "device", or a bad key.
        """
        x = as_tokens(x, self.features)
        self._check_call(device, key)
        check_mask(mask, x)
        return self._attend(x, None, device, key, mask)[0]

    def start(self, batch: CountLike, length: CountLike) -> TokenCache:
        """The state of a causal layer before the first token: room for the keys and values of all heads, or
        for the spectra of tokens if `spectral`.

        Arguments:
            batch: number of texts.
            length: most tokens that a text may come to have.

        Raises:
            ValueError: sizes below 1, or a layer that is not causal.
        """
        check_causal("causal", self.causal, True)
        dtype = self.kernels[...].dtype
        if not self.spectral:
            rest = (self.heads, self.features)
            return start_cache(batch, length, rest, rest, dtype=dtype)
        rows, cols = self.plane
        return start_cache(
            batch, length, (rows, cols // 2 + 1), dtype=jnp.promote_types(dtype, jnp.complex64)
        )

    def extend(
        self, x: ArrayLike, state: PartLike, device: DeviceLike = None, key: KeyLike = None
    ) -> tuple[Float[Array, "batch new features"], TokenCache]:
        """Attend from tokens that follow those in the state, and add them to it.

        Earlier tokens stay as the device measured them. With products on a device it multiplies with the
        whole `length` of the state.

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
        self._check_call(device, key)
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
        self._check_call(device, key)
        check_mask(mask, x)
        if not self.spectral:
            multiplier, convolve_key, attend_key = self._split_call(device, key)
            q, k, _ = self._projections(x, device, convolve_key)

            def attend(queries, rows, key):
                weights_key = split_key(key, 2)[0]
                weights = self._direct_weights(queries, k, mask, rows, multiplier, weights_key)
                return jnp.swapaxes(weights, 1, 2)

            # In the blocks of a call, whose noise it draws.
            weights = attend_in_blocks(attend, q, self.heads, x.shape[1], attend_key)
            return jnp.swapaxes(weights, 1, 2)
        rows = jnp.arange(x.shape[1])
        spectra, products, _ = self._spectra(x, device, split_key(key, 2)[0])
        return jnp.swapaxes(self._spectral_weights(spectra, spectra, products, mask, rows), 1, 2)

    def _attend(self, x, cache, device, key, mask):
        """The results of tokens that follow those in the cache, if there is one, and the cache with them."""
        if self.spectral:
            return self._attend_by_spectra(x, cache, device, key, mask)
        multiplier, convolve_key, attend_key = self._split_call(device, key)
        q, *new = self._projections(x, device, convolve_key)
        first, (k, v), cache = append_tokens(cache, *new)

        def attend(queries, rows, key):
            weights_key, values_key = split_key(key, 2)
            weights = self._direct_weights(queries, k, mask, first + rows, multiplier, weights_key)
            if multiplier is None:
                return jnp.einsum("bhts,bshk->btk", weights, v)
            # Heads beside each other along the inner axis: the device sums them.
            weights = rearrange(weights, "batch heads t s -> batch t (heads s)")
            values = rearrange(v, "batch s heads k -> batch (heads s) k")
            return self.matmul(weights, values, multiplier, values_key)

        return attend_in_blocks(attend, q, self.heads, k.shape[1], attend_key), cache

    def _attend_by_spectra(self, x, cache, device, key, mask):
        forward_key, back_key = split_key(key, 2)
        queries, products, values = self._spectra(x, device, forward_key)
        first, (spectra,), cache = append_tokens(cache, queries)

        def attend(queries, rows, _):
            weights = self._spectral_weights(queries, spectra, products, mask, first + rows)
            return mix_values(weights, spectra, values)

        half = attend_in_blocks(attend, queries, self.heads, spectra.shape[1])
        planes = planes_from_half(half, self.plane, self.transform, device, back_key)
        return planes.reshape(x.shape), cache

    def _check_call(self, device, key):
        check_call(device, key)
        if self.products == "device":
            check_multiplier(device, convolves=True)

    def _split_call(self, device, key):
        """The device that multiplies, or None, and the keys of the convolutions and of the products."""
        if self.products == "electronic" or device is None:
            return None, key, None
        return device, *split_key(key, 2)

    def _projections(self, x, device, key):
        """Queries, keys and values, each (batch, tokens, heads, features)."""
        planes = x.reshape(*x.shape[:2], 1, *self.plane)
        projections = convolve_planes(self.convolve, planes, self.kernels[...], device, key)
        return jnp.split(projections.reshape(*x.shape[:2], -1, self.features), 3, axis=2)

    def _direct_weights(self, q, k, mask, rows, multiplier, key):
        """Attention map (batch, heads, tokens, tokens)."""
        visible = visible_tokens(mask, rows if self.causal else None, k.shape[1])
        multiply = None if multiplier is None else lambda a, b: self.matmul(a, b, multiplier, key)
        return attention_weights(q, k, visible, multiply=multiply)

    def _spectra(self, x, device, key):
        """Half-spectra of the tokens, of the products of query and key kernels, and of the value kernels."""
        spectra = half_spectrum(x.reshape(*x.shape[:2], *self.plane), self.transform, device, key)
        wq, wk, wv = jnp.split(jnp.fft.rfft2(centre_kernels(self.kernels[...], self.plane)), 3)
        return spectra, jnp.conj(wq) * wk, wv

    def _spectral_weights(self, queries, spectra, products, mask, rows):
        """Attention map (batch, tokens, heads, tokens)."""
        visible = visible_tokens(mask, rows if self.causal else None, spectra.shape[1])
        return spectral_weights(queries, spectra, products, self.plane, visible)
