"""Refusals that the retrievals share."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from optics._check import as_plane, check_range, check_whole, is_concrete


def amplitudes(name: str, value: Any) -> Float[Array, "*lead rows cols"]:
    """Amplitudes as an array, refused when they are complex or, if concrete, negative, not finite or dark all over."""
    array = as_plane(name, value)
    if jnp.iscomplexobj(array):
        raise ValueError(f"`{name}` must be real amplitudes √I, got {array.dtype}; take the modulus.")
    check_range(name, value, 0.0, math.inf)
    return array


def mask(value: Any) -> Bool[Array, "rows cols"]:
    """The support as an array, refused when it is not a boolean plane or, if concrete, empty."""
    array = jnp.asarray(value)
    if array.ndim != 2 or array.dtype != bool:
        raise ValueError(
            f"`support` must be a boolean mask (rows, columns), got {array.dtype} of shape {array.shape}."
        )
    if is_concrete(value) and not np.any(np.asarray(value)):
        raise ValueError("`support` must be open somewhere, got a mask that is False all over.")
    return array


def count(name: str, value: Any, low: int = 1) -> None:
    """Refuse a number of iterations that is not whole and at least `low`; a traced one is taken as it is."""
    if not is_concrete(value):
        if value.ndim or not jnp.issubdtype(value.dtype, jnp.integer):
            raise ValueError(f"`{name}` must be one whole number, got {value.dtype} of shape {value.shape}.")
        return
    array = (
        isinstance(value, jax.Array | np.ndarray)
        and value.ndim == 0
        and jnp.issubdtype(value.dtype, jnp.integer)
    )
    check_whole(name, int(value) if array else value, low)


def shapes(forward: Any, object_shape: tuple[int, ...], amplitude: Array, name: str, of: str) -> None:
    """Refuse an object plane, named `of`, that `forward` does not take to the plane of the amplitudes, named `name`."""
    wanted = amplitude.shape[-2:]
    if forward is None:
        if object_shape[-2:] != wanted:
            raise ValueError(f"`{of}` must have the planes of `{name}`, {wanted}, got {object_shape[-2:]}.")
        return
    if not callable(forward):
        raise ValueError(
            f"`forward` must map an object to the field in the plane of `{name}`, got {forward!r}."
        )
    like = jax.ShapeDtypeStruct(
        (*amplitude.shape[:-2], *object_shape[-2:]), jnp.result_type(amplitude, jnp.complex64)
    )
    found = jax.eval_shape(forward, like).shape
    if found != amplitude.shape:
        raise ValueError(
            f"`forward` must take objects {like.shape} to the shape of `{name}`, {amplitude.shape}, got {found}."
        )


def one_start(key: Any, start: Any, restarts: int) -> None:
    """Refuse no start at all, two of them, and several tries from the same one."""
    check_whole("restarts", restarts, 1)
    if (key is None) == (start is None):
        raise ValueError(
            "`key` or `start` must be given, one of them: a `jax.random.key` for random starts, or where to start."
        )
    if start is not None and restarts > 1:
        raise ValueError(
            f"`restarts` must be 1 with a `start`, got {restarts}: the tries would be the same; give a `key`."
        )
