"""The lambda layer of sequences."""

from flax import nnx
from jaxtyping import Array, Bool, Float

from nets.layers._check import check_call, check_sizes
from nets.layers.lambdas._projections import LambdaProjections
from optics._check import check_choice
from optics._typing import DeviceLike, GradientLike, KeyLike


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
        features: int,
        heads: int = 8,
        key_depth: int = 16,
        scope: int = 64,
        boundary: str = "circular",
        intra_depth: int = 1,
        normalization: str | None = "batch",
        method: str = "fft",
        *,
        gradient: GradientLike = None,
        rngs: nnx.Rngs,
    ):
        check_sizes(scope=scope)
        check_choice("boundary", boundary, ("circular", "zero", "causal"))
        if boundary == "causal" and normalization == "batch":
            raise ValueError(
                "`normalization` cannot be batch when `boundary` is causal, because statistics of a batch "
                "include later tokens; use layer or None."
            )
        super().__init__(
            features, heads, key_depth, (scope,), boundary, intra_depth, normalization, method, gradient, rngs
        )

    def __call__(
        self,
        x: Float[Array, "batch tokens features"],
        device: DeviceLike = None,
        key: KeyLike = None,
        mask: Bool[Array, "batch tokens"] | None = None,
    ) -> Float[Array, "batch tokens features"]:
        """Mix the tokens.

        Arguments:
            x: shape (batch, tokens, features).
            device: computes the position lambdas, at any size of its planes; None is the exact sum.
            key: of the device's noise, consumed; None computes without noise.
            mask: True where there is a token; padding, which comes after the tokens, is in no lambda.

        Raises:
            ValueError: vectors of another width, a circular scope longer than the sequence, or a bad key.
        """
        check_call(x, self.features, key)
        if self.boundary == "circular" and self.taps[0] > x.shape[1]:
            raise ValueError(
                f"`scope` must be at most the {x.shape[1]} tokens of a circular sequence, got "
                f"{self.taps[0]}; lower it, or use `boundary` zero."
            )
        return self._mix(x, x.shape[1:2], device, key, mask)
