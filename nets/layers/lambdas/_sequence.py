"""The lambda layer of sequences."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from nets._check import as_tokens, check_call, check_mask, check_sizes
from nets.layers._positions import check_circle
from nets.layers._states import check_causal, check_start, check_state
from nets.layers.lambdas._content import start_content
from nets.layers.lambdas._projections import LambdaProjections, LambdaState
from optics._check import check_choice
from optics._typing import ArrayLike, CountLike, DeviceLike, GradientLike, KeyLike, PartLike, TextLike


class LambdaLayer(LambdaProjections):
    """Lambda layer: every position gets a small matrix made of all the others, and applies it to its queries.

        q = norm(x Wq)  (heads × k),    K = x Wk  (k × u),    V = norm(x Wv)  (v × u),    v = features / heads

        λc = Σ_m softmax_m(K[m]) V[m]ᵀ,    λp[n] = Σ_m R[m − n] V[m]ᵀ,    y[n, h] = (λc + λp[n])ᵀ q[n, h]

    The normalisation of queries begins with scale and bias 1/k, so that a new layer is nearly the average of
    its lambdas over k: the mean of the values reaches every token, and what the layer adds to a residual
    stream is smaller than the stream.

    Heads share keys and values, and are concatenated. R has `scope` relative positions, so that λp is a
    convolution over the sequence, one kernel for each k and u, which a device can compute. Nothing grows with
    the square of the length, save the memory of the method "dense".

    Parameters: d k h + d k u + d v u + scope · k u for d features, and 2 (k h + v u) of the normalisation.

    Arguments:
        features: d, width of the embedding.
        heads: h, of the queries; it divides d.
        key_depth: k.
        scope: number of relative positions: tap s is the token s − scope // 2 away, or s − scope + 1 if
            causal.
        boundary: "circular": the end of a row is followed by its beginning, and scope = length means all
            pairs; "zero": by nothing, and scope = 2 · length − 1 means all; "causal": a token sees no later
            one, in its content lambda too.
        intra_depth: u.
        normalization: of queries and values: "batch", "layer" (over the channels of a token), or None.
            Statistics of a batch leave padding out. A causal layer cannot have them, because they include
            later tokens.
        method: of the position lambda without a device: "fft", "direct" (best for a scope of few positions)
            or "dense".
        gradient: "simulator" (also None), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        rngs: for the initial weights, uniform in ±1/√(numbers summed).

    Raises:
        ValueError: a size below 1, heads that do not divide the features, an unknown boundary, normalisation,
            method or gradient, or batch normalisation of a causal layer.

    Source: I. Bello, "LambdaNetworks: modeling long-range interactions without attention", ICLR (2021),
    section 3. Size at the start: S. S. Schoenholz et al., "Deep information propagation", ICLR (2017); S. De
    and S. L. Smith, "Batch normalization biases residual blocks towards the identity function in deep
    networks", NeurIPS (2020); T. Bachlechner et al., "ReZero is all you need", UAI (2021).

    Example:
        >>> import jax, nets
        >>> from flax import nnx
        >>> layer = nets.LambdaLayer(8, heads=2, key_depth=4, scope=5, boundary="zero", rngs=nnx.Rngs(0))
        >>> print(layer(jax.numpy.ones((1, 6, 8))).shape)
        (1, 6, 8)
    """

    def __init__(
        self,
        features: CountLike,
        heads: CountLike = 8,
        key_depth: CountLike = 16,
        scope: CountLike = 64,
        boundary: TextLike = "circular",
        intra_depth: CountLike = 1,
        normalization: TextLike | None = "batch",
        method: TextLike = "fft",
        *,
        gradient: GradientLike = None,
        rngs: PartLike,
    ):
        check_sizes(scope=scope)
        check_choice("boundary", boundary, ("circular", "zero", "causal"))
        if boundary == "causal" and isinstance(normalization, str) and normalization == "batch":
            raise ValueError(
                "`normalization` cannot be batch when `boundary` is causal, because statistics of a batch "
                "include later tokens; use layer or None."
            )
        super().__init__(
            features, heads, key_depth, (scope,), boundary, intra_depth, normalization, method, gradient, rngs
        )

    def __call__(
        self,
        x: ArrayLike,
        device: DeviceLike = None,
        key: KeyLike = None,
        mask: ArrayLike | None = None,
    ) -> Float[Array, "batch tokens features"]:
        """Mix the tokens.

        Arguments:
            x: shape (batch, tokens, features).
            device: computes the position lambdas, at any size of its planes; None is the exact sum.
            key: of the device's noise, consumed; None computes without noise.
            mask: True where there is a token; padding, which comes after the tokens, is in no lambda.

        Raises:
            ValueError: vectors of another width, complex ones, a `mask` of another shape, a circular scope
                longer than the sequence, or a bad key.
        """
        x = as_tokens(x, self.features)
        check_call(device, key)
        check_mask(mask, x)
        if self.boundary == "circular":
            check_circle(self.taps[0], x.shape[1])
        return self._mix(x, x.shape[1:2], device, key, mask)[0]

    def start(self, batch: CountLike, length: CountLike) -> LambdaState:
        """The state of a causal layer before the first token: sums of the content lambda, and the last scope
        − 1 values; nothing in it grows with the length.

        Arguments:
            batch: number of texts.
            length: most tokens that a text may come to have; of no effect here.

        Raises:
            ValueError: sizes below 1, or a layer that is not causal.
        """
        check_causal("boundary", self.boundary, "causal")
        depth, intra, values = self.shape
        before = self.taps[0] - 1
        check_start(batch, length, 0, intra * (depth * values + values * before))
        dtype = self.value.kernel[...].dtype
        content = start_content(batch, depth, intra, values, dtype)
        return LambdaState(content, jnp.zeros((batch, values, intra, before), dtype))

    def extend(
        self, x: ArrayLike, state: PartLike, device: DeviceLike = None, key: KeyLike = None
    ) -> tuple[Float[Array, "batch new features"], LambdaState]:
        """Mix tokens that follow those in the state, and add them to it.

        Arguments:
            x: shape (batch, new, features).
            state: of `start` or `extend`.
            device, key: as in a call.

        Returns:
            the results of the new tokens, and the state with them.

        Raises:
            ValueError: as a call, or another state.
        """
        x = as_tokens(x, self.features)
        check_call(device, key)
        check_state(state, self.start, x)
        return self._mix(x.astype(state.recent.dtype), x.shape[1:2], device, key, None, state)
