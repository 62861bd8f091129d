"""Dropout as a function of its key."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from nets._check import check_rate
from optics._check import as_array, check_key
from optics._keys import as_fast_key, fold_key
from optics._typing import ArrayLike, KeyLike, ScalarLike


class Dropout(nnx.Module):
    """Dropout that draws from the key of the call: a training step is a function of its arguments alone.

    Arguments:
        rate: share of numbers set to zero in training, in [0, 1).

    Raises:
        ValueError: `rate` outside [0, 1).
    """

    def __init__(self, rate: ScalarLike):
        check_rate("rate", rate)
        self.rate, self.deterministic = rate, False

    def __call__(self, x: ArrayLike, key: KeyLike) -> Float[Array, "*any"]:
        x = as_array("x", x)
        if not self.is_active(key):
            return x
        keep = jax.random.bernoulli(as_fast_key(key), 1 - self.rate, x.shape)
        return jnp.where(keep, x / (1 - self.rate), 0)

    def is_active(self, key: KeyLike) -> bool:
        """Whether a call drops anything.

        Raises:
            ValueError: it does, and there is no key to draw from.
        """
        check_key("key", key)
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

    def __call__(self, x: ArrayLike, key: KeyLike) -> Shaped[Array, "*any"]:
        x = as_array("x", x)
        if not self.is_active(key):
            return x
        if not jnp.issubdtype(x.dtype, jnp.integer):
            raise ValueError(
                f"`x` must be token numbers, which are integers, for `token_dropout`; got {x.dtype}."
            )
        # Other bits than those that the dropout of the embedding draws from the same key.
        kept = jax.random.bernoulli(as_fast_key(fold_key(key, 1)), 1 - self.rate, x.shape)
        return jnp.where(kept, x, 0)
