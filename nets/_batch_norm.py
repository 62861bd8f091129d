"""Batch normalisation whose statistics for evaluation are means over many batches."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from nets._check import check_rngs, check_sizes
from optics._check import check_memory, check_number
from optics._typing import CountLike, PartLike, ScalarLike

# Batches that the statistics are a mean of, about.
WINDOW = 100


class BatchNorm(nnx.BatchNorm):
    """Normalise features by the mean and variance of a batch, and in evaluation by those of past batches.

        running ← running + (batch − running) / min(n, 100),   n = 1, 2, … batches

    Batches of short rows have other statistics than those of long ones, so that a mean of the last ten
    depends on what came last; from the first batches on this is the mean of all, without the start from which
    a mean with constant weights would have to come away.

    Arguments:
        features: on the last axis.
        scale, bias: first values of the parameters.
        rngs: for the parameters.

    Raises:
        ValueError: `features` below 1, a scale or bias that is no finite number, or no `rngs`.

    Source: S. Ioffe and C. Szegedy, Batch normalization, ICML (2015), section 3.1.
    """

    def __init__(
        self, features: CountLike, scale: ScalarLike = 1.0, bias: ScalarLike = 0.0, *, rngs: PartLike
    ):
        check_sizes(features=features)
        check_number("scale", scale)
        check_number("bias", bias)
        check_rngs(rngs)
        check_memory("features", features, features, "the statistics")
        scale_init, bias_init = (nnx.initializers.constant(value) for value in (scale, bias))
        # With nothing kept of what was before, Flax stores the statistics of the batch itself.
        super().__init__(features, momentum=0.0, scale_init=scale_init, bias_init=bias_init, rngs=rngs)
        self.batches = nnx.BatchStat(jnp.zeros((), jnp.float32))

    def __call__(
        self, a: Float[Array, "batch *space features"], mask: Bool[Array, "batch *space"] | None = None
    ) -> Float[Array, "batch *space features"]:
        """The features, normalised.

        Arguments:
            a: of any number.
            mask: what counts; None counts all.
        """
        if mask is not None:
            # A batch that is all padding has no statistics; any finite ones will do.
            mask = (mask | ~jnp.any(mask))[..., None]
        if self.use_running_average:
            return super().__call__(a)
        before = self.mean[...], self.var[...]
        if mask is None or self.axis_name is None:
            y = super().__call__(a, mask=mask)
        else:
            y = self._normalize_shard(a, mask.astype(a.dtype))
        self.batches[...] = jnp.minimum(self.batches[...] + 1, WINDOW)
        for statistic, old in zip((self.mean, self.var), before, strict=True):
            statistic[...] = old + (statistic[...] - old) / self.batches[...]
        return y

    def _normalize_shard(self, a: Array, weights: Array) -> Array:
        """Where devices share a batch, shards count by their tokens; Flax would weigh all alike."""
        axes = tuple(range(a.ndim - 1))
        sums = jnp.stack([(a * weights).sum(axes), (a**2 * weights).sum(axes)])
        count = jnp.maximum(jax.lax.psum(weights.sum(), self.axis_name), 1)
        mean, square = jax.lax.psum(sums, self.axis_name) / count
        variance = jnp.maximum(square - mean**2, 0)
        self.mean[...], self.var[...] = mean, variance
        return (a - mean) * jax.lax.rsqrt(variance + self.epsilon) * self.scale[...] + self.bias[...]
