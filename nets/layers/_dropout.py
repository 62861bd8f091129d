"""Dropout as a function of its key."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from optics._typing import KeyLike


class Dropout(nnx.Module):
    """Dropout that draws from the key of the call: a training step is a function of its arguments alone.

    Arguments:
        rate: share of numbers set to zero in training, in [0, 1).

    Raises:
        ValueError: `rate` outside [0, 1).
    """

    def __init__(self, rate: float):
        if not 0 <= rate < 1:
            raise ValueError(f"`dropout` must be at least 0 and below 1, got {rate!r}.")
        self.rate, self.deterministic = rate, False

    def __call__(self, x: Float[Array, "*any"], key: KeyLike) -> Float[Array, "*any"]:
        if not self.is_active(key):
            return x
        keep = jax.random.bernoulli(key, 1 - self.rate, x.shape)
        return jnp.where(keep, x / (1 - self.rate), 0)

    def is_active(self, key: KeyLike) -> bool:
        """Whether a call drops anything.

        Raises:
            ValueError: it does, and there is no key to draw from.
        """
        if self.deterministic or not self.rate:
            return False
        if key is None:
            raise ValueError(
                "`key` must be given in training, because dropout draws from it; pass a key, or call "
                "`model.eval()` first."
            )
        return True


class TokenDropout(Dropout):
    """Dropout of whole tokens, which become padding: token number 0.

    Arguments:
        rate: share of tokens left out in training, in [0, 1).

    Raises:
        ValueError: `rate` outside [0, 1); when called, an array that does not hold integers.

    Source: M. Iyyer et al., Deep unordered composition rivals syntactic methods for text classification,
    ACL (2015).
    """

    def __call__(self, x: Shaped[Array, "*any"], key: KeyLike) -> Shaped[Array, "*any"]:
        if not self.is_active(key):
            return x
        if not jnp.issubdtype(x.dtype, jnp.integer):
            raise ValueError(f"`token_dropout` leaves out token numbers, which are integers; got {x.dtype}.")
        # Other bits than those that the dropout of the embedding draws from the same key.
        return jnp.where(jax.random.bernoulli(jax.random.fold_in(key, 1), 1 - self.rate, x.shape), x, 0)
