"""Many planes on a device, a bounded number of them at once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

# Pixels of all the products held at once: 32 MiB in complex64.
LARGEST = 2**22


def groups(count: int, pixels: int) -> tuple[int, int]:
    """How many of `count` things, each with products of `pixels`, go at once, and in how many turns.

    Returns:
        (at_once, turns) with (turns − 1) · at_once < count ≤ turns · at_once.
    """
    turns = -(-count // max(1, LARGEST // pixels))
    at_once = -(-count // turns)
    return at_once, -(-count // at_once)


def in_turns(f: Callable, x: Inexact[Array, "count *rest"], key: Array | None, pixels: int) -> Inexact[Array, "count *found"]:
    """f(x, key), a function of the first axis entry by entry, in turns that hold at most `LARGEST` pixels.

    Each turn draws its own noise. Its interior is computed again on the way back, so that a gradient needs no more memory.

    Arguments:
        f: (x, key) -> array with the same first axis.
        x: array.
        key: consumed, or None.
        pixels: of the products that one entry of x takes part in.
    """
    at_once, turns = groups(x.shape[0], pixels)
    if turns == 1:
        return f(x, key)
    count = x.shape[0]
    x = jnp.pad(x, [(0, turns * at_once - count)] + [(0, 0)] * (x.ndim - 1)).reshape(turns, at_once, *x.shape[1:])
    keys = None if key is None else jax.random.split(key, turns)
    y = jax.lax.map(jax.checkpoint(lambda turn: f(*turn)), (x, keys))
    return y.reshape(-1, *y.shape[2:])[:count]


def function(convolve: Any) -> None:
    """Refuse what cannot stand in for `optics.convolve`."""
    if not callable(convolve):
        raise ValueError(f"`convolve` must be a function (x, w, device, key) such as `optics.convolve`, got {convolve!r}.")


def unlit(y: Inexact[Array, "*y"], *inputs: Inexact[Array, "..."]) -> Inexact[Array, "*y"]:
    """Zero, with the gradient of y, where a plane of an input is zero: it is not exposed.

    Without a signal to set the exposure by, the noise of a device would be that of full scale.
    """
    lit = jnp.ones((), bool)
    for a in inputs:
        lit = lit & jnp.any(a != 0, axis=(-2, -1), keepdims=True)
    return jnp.where(lit, y, y - jax.lax.stop_gradient(y))
