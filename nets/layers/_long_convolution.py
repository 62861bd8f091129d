"""A long convolution over tokens between two gates, which a device can compute."""

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Float

from nets._check import as_tokens, check_call, check_mask, check_rngs, check_sizes
from nets.layers._kernels import fan_in_uniform
from nets.layers._positions import check_circle, correlate_by_fft, correlate_lines, extend_values
from nets.layers._states import check_causal, check_start, check_state, join_recent
from optics._check import check_choice, check_memory
from optics._typing import ArrayLike, CountLike, DeviceLike, GradientLike, KeyLike, PartLike, TextLike
from optics.gradients import gradient_rule


class LongConvolution(nnx.Module):
    """A convolution over the tokens, one kernel for each feature, between two products with projections.

        q = x Wq,  k = x Wk,  v = x Wv,      y = (q · (h ∗ (k · v))) Wo,      (h ∗ z)[n] = Σ_s h[s] z[n − s]

    Products with q and k gate what enters the convolution and what leaves it: the mixing depends on what the
    tokens hold, as in attention, and its cost grows with the length times its logarithm. The kernels h are
    weights, one for each tap. A device computes the convolution; the projections are electronic.

    New kernels fade away from their centre, by 1/e in 1 to `scope` tokens, from the first feature to the
    last, and have energy 1, so that a new layer adds little to a residual stream.

    Parameters: 4 d² + d · scope for d features.

    Arguments:
        features: d, width of the embedding.
        scope: taps of a kernel.
        boundary: "causal": tap s is the token s before, and no token sees a later one; "zero": tap s is the
            token s − (scope − 1) // 2 before, and nothing lies beyond the ends of a row; "circular": the
            same, and the end of a row is followed by its beginning.
        gradient: "simulator" (also None), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        rngs: for the initial weights: projections uniform in ±1/√d, kernels uniform below their envelope.

    Raises:
        ValueError: a size below 1, or an unknown boundary or gradient.

    Source: M. Poli et al., "Hyena hierarchy", ICML (2023), definition 3.1 of order 2; D. Y. Fu et al.,
    "Simple hardware-efficient long convolutions for sequence modeling", ICML (2023), kernels as weights.

    Example:
        >>> import jax, nets
        >>> from flax import nnx
        >>> layer = nets.LongConvolution(8, scope=5, rngs=nnx.Rngs(0))
        >>> print(layer(jax.numpy.ones((1, 6, 8))).shape)
        (1, 6, 8)
    """

    def __init__(
        self,
        features: CountLike,
        scope: CountLike = 64,
        boundary: TextLike = "causal",
        *,
        gradient: GradientLike = None,
        rngs: PartLike,
    ):
        check_sizes(features=features, scope=scope)
        check_choice("boundary", boundary, ("causal", "zero", "circular"))
        gradient_rule(gradient)
        check_rngs(rngs)
        check_memory("features", features, 4 * features**2, "the weights")
        check_memory("scope", scope, features * scope, "the kernels")
        self.features, self.scope, self.boundary, self.gradient = features, scope, boundary, gradient

        def linear(outputs):
            return nnx.Linear(features, outputs, use_bias=False, kernel_init=fan_in_uniform, rngs=rngs)

        self.project = linear(3 * features)
        self.kernels = nnx.Param(_fading_kernels(features, scope, boundary, rngs))
        self.merge = linear(features)

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
            device: computes the convolutions, at any size of its planes; None is the exact FFT.
            key: of the device's noise, consumed; None computes without noise.
            mask: True where there is a token; padding, which comes after the tokens, is in no sum.

        Raises:
            ValueError: vectors of another width, complex ones, a `mask` of another shape, a circular scope
                longer than the sequence, or a bad key.
        """
        x = as_tokens(x, self.features)
        check_call(device, key)
        check_mask(mask, x)
        if self.boundary == "circular":
            check_circle(self.scope, x.shape[1])
        # Whatever padding holds, not a number included, must reach no token.
        q, products = self._gate(x if mask is None else jnp.where(mask[..., None], x, 0))
        neighbours, wraps = extend_values(products[:, :, None], (self.scope,), self.boundary, mask)
        return self.merge(q * self._convolve(neighbours[:, :, 0], wraps, device, key))

    def start(self, batch: CountLike, length: CountLike) -> Float[Array, "batch features before"]:
        """The state of a causal layer before the first token: the last scope − 1 products k · v; it does not
        grow with the length.

        Arguments:
            batch: number of texts.
            length: most tokens that a text may come to have; of no effect here.

        Raises:
            ValueError: sizes below 1, or a layer that is not causal.
        """
        check_causal("boundary", self.boundary, "causal")
        check_start(batch, length, 0, self.features * (self.scope - 1))
        return jnp.zeros((batch, self.features, self.scope - 1), self.project.kernel[...].dtype)

    def extend(
        self, x: ArrayLike, state: PartLike, device: DeviceLike = None, key: KeyLike = None
    ) -> tuple[Float[Array, "batch new features"], Float[Array, "batch features before"]]:
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
        q, products = self._gate(x)
        neighbours, state = join_recent(state, products)
        return self.merge(q * self._convolve(neighbours, False, device, key)), state

    def _gate(self, x):
        """Queries (batch, tokens, features), and products k · v (batch, features, tokens)."""
        q, k, v = jnp.split(self.project(x), 3, axis=-1)
        return q, jnp.swapaxes(k * v, 1, 2)

    def _convolve(self, neighbours, wraps, device, key):
        """h ∗ z of neighbours (batch, features, positions); (batch, tokens, features)."""
        # Output i begins at neighbour i, the farthest back.
        kernels = jnp.flip(self.kernels[...], -1)
        if device is None:

            def by_feature(line, kernel):
                return correlate_by_fft(line[:, None, None], kernel.shape, wraps)(kernel[None, None])[0, :, 0]

            return jax.vmap(by_feature, in_axes=(1, 0), out_axes=2)(neighbours, kernels)
        if wraps:
            neighbours = jnp.pad(neighbours, [(0, 0), (0, 0), (0, self.scope - 1)], mode="wrap")
        y = correlate_lines(neighbours, kernels[:, None], self.features, self.gradient, device, key)
        return rearrange(y, "batch features tokens -> batch tokens features")


def _fading_kernels(
    features: int, scope: int, boundary: str, rngs: nnx.Rngs
) -> Float[Array, "features scope"]:
    """Uniform numbers below envelopes that fade by 1/e in 1 to `scope` tokens; energy 1 on average."""
    centre = 0 if boundary == "causal" else (scope - 1) // 2
    distance = np.abs(np.arange(scope) - centre)
    lengths = float(scope) ** ((np.arange(features) + 0.5) / features)
    envelopes = np.exp(-distance / lengths[:, None])
    envelopes *= np.sqrt(3 / np.sum(envelopes**2, axis=1, keepdims=True))
    numbers = jax.random.uniform(rngs.params(), (features, scope), minval=-1.0, maxval=1.0)
    return numbers * jnp.asarray(envelopes, numbers.dtype)
