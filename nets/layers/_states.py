"""What a causal layer keeps of the tokens so far, so that it can go on token by token.

    state = layer.start(batch, length)
    y, state = layer.extend(x, state, device, key)      # the tokens x follow those in the state

A state is a pytree of arrays whose shapes stay the same, and the number of tokens in it is one of the arrays:
one compilation serves all steps. `extend` of all tokens on a new state is a call of the layer.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, Int

from nets._check import check_sizes
from optics._check import check_memory, describe, is_concrete
from optics._typing import CountLike, PartLike


class TokenCache(NamedTuple):
    """The tokens so far, in arrays with room for more.

    Attributes:
        count: how many there are.
        tokens: arrays of shape (batch, length, …), zero where there is no token yet.
    """

    count: Int[Array, ""]
    tokens: tuple[Inexact[Array, "batch length *rest"], ...]


def start_cache(
    batch: CountLike, length: CountLike, *rests: tuple[int, ...], dtype: jax.typing.DTypeLike
) -> TokenCache:
    """A cache without tokens, of an array (batch, length, *rest) for each rest."""
    check_start(batch, length, sum(int(np.prod(rest)) for rest in rests))
    return TokenCache(
        jnp.zeros((), jnp.int32), tuple(jnp.zeros((batch, length, *rest), dtype) for rest in rests)
    )


def append_tokens(
    cache: TokenCache | None, *new: Inexact[Array, "batch new *rest"]
) -> tuple[Int[Array, ""] | int, tuple[Array, ...], TokenCache | None]:
    """Write new tokens behind those of the cache; without one the new tokens are all.

    Returns:
        how many tokens precede the new ones, all tokens, and the cache with them.
    """
    if cache is None:
        return 0, new, None
    tokens = tuple(
        jax.lax.dynamic_update_slice_in_dim(old, a.astype(old.dtype), cache.count, axis=1)
        for old, a in zip(cache.tokens, new, strict=True)
    )
    return cache.count, tokens, TokenCache(cache.count + new[0].shape[1], tokens)


def join_recent(
    recent: Inexact[Array, "*lead before"], new: Inexact[Array, "*lead new"]
) -> tuple[Inexact[Array, "*lead all"], Inexact[Array, "*lead before"]]:
    """What came last with the new behind it, along the last axis; and what comes last then."""
    together = jnp.concatenate([recent, new], axis=-1)
    return together, together[..., new.shape[-1] :].astype(recent.dtype)


def check_start(batch: CountLike, length: CountLike, of_token: int, of_text: int = 0) -> None:
    """Refuse sizes below 1, and a state that no memory holds.

    Arguments:
        of_token, of_text: numbers in the state for each token and for each text.
    """
    check_sizes(batch=batch, length=length)
    check_memory("batch", batch, batch * (of_token + of_text), "the state")
    check_memory("length", length, batch * length * of_token, "the state")


def check_causal(name: str, value: Any, needed: Any) -> None:
    """Refuse to go on token by token where a later token would change earlier ones."""
    if value != needed:
        raise ValueError(
            f"`{name}` must be {needed} in a layer that goes on token by token, got {value}: later tokens "
            "would change the results of earlier ones."
        )


def check_state(
    state: PartLike, start: Callable[[int, int], Any], x: Inexact[Array, "batch new features"]
) -> None:
    """Refuse what `start` of this layer does not give for these texts, as of a layer that is not causal, and
    tokens that the state has no room for.

    Of a traced state only the shapes are known: the caller must not extend it beyond its length.
    """
    leaves = jax.tree.leaves(state)
    are_arrays = all(isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves)
    is_cache = isinstance(state, TokenCache) and are_arrays
    length = max(state.tokens[0].shape[1:2], default=1) if is_cache else 1
    expected = jax.eval_shape(lambda: start(len(x), length))
    has_structure = are_arrays and jax.tree.structure(state) == jax.tree.structure(expected)
    shapes = [leaf.shape for leaf in jax.tree.leaves(expected)]
    if not has_structure or [leaf.shape for leaf in leaves] != shapes:
        raise ValueError(
            f"`state` must be what `start({len(x)}, length)` or `extend` of this layer returned, for the "
            f"{len(x)} texts of `x`; got {describe(state)}."
        )
    if not is_cache:
        return
    known = int(state.count) if is_concrete(state.count) else 0
    if known + x.shape[1] > length:
        raise ValueError(
            f"`x` must have at most the {length - known} tokens that the state has room for, got "
            f"{x.shape[1]}; start it with a larger `length`."
        )
