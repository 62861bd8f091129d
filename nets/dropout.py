"""Dropout as a function of its key."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class Dropout(nnx.Module):
    """Dropout whose randomness is the call's key, so that a step is a function of its arguments alone.

    Arguments:
        rate: share of numbers set to zero in training, in [0, 1).

    Raises:
        ValueError: `rate` outside [0, 1).
    """

    def __init__(self, rate: float):
        if not 0 <= rate < 1:
            raise ValueError(f"`dropout` must be at least 0 and below 1, got {rate!r}.")
        self.rate, self.deterministic = rate, False

    def __call__(self, x: Float[Array, "*any"], key: Array | None) -> Float[Array, "*any"]:
        if self.deterministic or not self.rate:
            return x
        if key is None:
            raise ValueError("`key` must be given in training: dropout draws from it; pass a key, or call `model.eval()` first.")
        keep = jax.random.bernoulli(key, 1 - self.rate, x.shape)
        return jnp.where(keep, x / (1 - self.rate), 0)
