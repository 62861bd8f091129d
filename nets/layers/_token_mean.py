"""The mean over tokens, which mixes them without any weights."""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from nets._check import as_tokens, check_call, check_mask, check_sizes
from nets.layers._states import check_causal, check_start, check_state
from optics._check import check_flag
from optics._typing import ArrayLike, CountLike, DeviceLike, FlagLike, KeyLike, PartLike


class MeanState(NamedTuple):
    """The tokens so far: their sum, and how many there are."""

    sums: Float[Array, "batch features"]
    counts: Float[Array, "batch 1"]


class TokenMean(nnx.Module):
    """The mean of all tokens, or of those up to each token if `causal`, in place of attention.

        y[n] = Σ_m x[m] / tokens,      causal:  y[n] = Σ_{m ≤ n} x[m] / (n + 1)

    There are no parameters and nothing for a device to compute: beside a network of these, one sees what a
    layer that learns to mix tokens is worth. Padding is left out of sums and counts; where there is no token
    yet, the mean is zero.

    Arguments:
        features: width of the embedding.
        causal: a token sees no later one.

    Raises:
        ValueError: `features` below 1, or a `causal` that is neither True nor False.

    Source: B. Zhang, D. Xiong and J. Su, "Accelerating neural transformer via an average attention network",
    ACL (2018): the causal mean.

    Example:
        >>> import jax, nets
        >>> mean = nets.TokenMean(1, causal=True)
        >>> print(mean(jax.numpy.array([[[1.0], [3.0], [8.0]]]))[0, :, 0])
        [1. 2. 4.]
    """

    def __init__(self, features: CountLike, causal: FlagLike = False):
        check_sizes(features=features)
        check_flag("causal", causal)
        self.features, self.causal = features, causal

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
            device, key: unused.
            mask: True where there is a token.

        Raises:
            ValueError: vectors of another width, complex ones, a `mask` of another shape, or neither a device
                nor a key where one may be.
        """
        x = as_tokens(x, self.features)
        check_call(device, key)
        check_mask(mask, x)
        if mask is None:
            weights = jnp.ones((*x.shape[:2], 1), x.dtype)
        else:
            x, weights = jnp.where(mask[..., None], x, 0), mask[..., None].astype(x.dtype)
        if self.causal:
            return _running_mean(x, weights)[0]
        means = x.sum(1, keepdims=True) / jnp.maximum(weights.sum(1, keepdims=True), 1)
        return jnp.broadcast_to(means, x.shape)

    def start(self, batch: CountLike, length: CountLike) -> MeanState:
        """The state of a causal mean before the first token; nothing in it grows with the length.

        Arguments:
            batch: number of texts.
            length: most tokens that a text may come to have; of no effect here.

        Raises:
            ValueError: sizes below 1, or a mean that is not causal.
        """
        check_causal("causal", self.causal, True)
        check_start(batch, length, 0, self.features + 1)
        return MeanState(jnp.zeros((batch, self.features)), jnp.zeros((batch, 1)))

    def extend(
        self, x: ArrayLike, state: PartLike, device: DeviceLike = None, key: KeyLike = None
    ) -> tuple[Float[Array, "batch new features"], MeanState]:
        """The means at tokens that follow those in the state, and the state with them.

        Arguments:
            x: shape (batch, new, features).
            state: of `start` or `extend`.
            device, key: unused.

        Raises:
            ValueError: as a call, another state, or a mean that is not causal.
        """
        x = as_tokens(x, self.features)
        check_call(device, key)
        check_state(state, self.start, x)
        x = x.astype(state.sums.dtype)
        return _running_mean(x, jnp.ones((*x.shape[:2], 1), x.dtype), state)


def _running_mean(x, weights, state=None):
    """Means of the tokens so far, behind those of a state if there is one, and the state of all."""
    sums, counts = jnp.cumsum(x, axis=1), jnp.cumsum(weights, axis=1)
    if state is not None:
        sums, counts = sums + state.sums[:, None], counts + state.counts[:, None]
    return sums / jnp.maximum(counts, 1), MeanState(sums[:, -1], counts[:, -1])
