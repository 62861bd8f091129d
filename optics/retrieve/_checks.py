"""Checks and conversions of the arguments that the retrievals share."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from optics._check import as_array, as_plane, check_key, check_range, check_whole, describe, is_concrete
from optics._typing import ArrayLike, CountLike, FunctionLike, KeyLike, ScalarLike

# Tries at once.
LARGEST_BATCH = 65536


def as_amplitude(name: str, value: ArrayLike) -> Float[Array, "*lead rows cols"]:
    """An amplitude as an array, refused if it is complex or, if concrete, negative or not finite."""
    array = as_plane(name, value)
    if jnp.iscomplexobj(array):
        raise ValueError(f"`{name}` must be real amplitudes √I, got {array.dtype}; take the modulus.")
    check_range(name, value, 0.0, math.inf)
    return array


def as_support(value: ArrayLike) -> Bool[Array, "rows cols"]:
    """The support as an array; refused unless it is a boolean plane and, if concrete, open somewhere."""
    array = as_array("support", value)
    if array.ndim != 2 or array.dtype != bool:
        raise ValueError(
            f"`support` must be a boolean mask (rows, columns), got {array.dtype} of shape {array.shape}."
        )
    if is_concrete(value) and not np.any(np.asarray(value)):
        raise ValueError("`support` must be open somewhere, got a mask that is False all over.")
    return array


def check_count(name: str, value: ScalarLike, low: int = 1) -> None:
    """Refuse a number of iterations that is not whole or, if concrete, below `low`."""
    if not is_concrete(value):
        if value.ndim or not jnp.issubdtype(value.dtype, jnp.integer):
            raise ValueError(f"`{name}` must be one whole number, got {value.dtype} of shape {value.shape}.")
        return
    scalar = (
        isinstance(value, jax.Array | np.ndarray)
        and value.ndim == 0
        and jnp.issubdtype(value.dtype, jnp.integer)
    )
    check_whole(name, int(value) if scalar else value, low)


def check_forward(
    forward: FunctionLike | None, object_shape: tuple[int, ...], amplitude: Array, name: str, plane: str
) -> None:
    """Refuse a `forward` that does not take the object to the plane of the amplitude.

    Arguments:
        forward: None is the Fourier transform.
        object_shape: shape of the object; its last two axes count.
        amplitude: as measured.
        name: of the argument `amplitude`.
        plane: name of the argument that sets the shape of the object.
    """
    shape = amplitude.shape[-2:]
    if forward is None:
        if object_shape[-2:] != shape:
            raise ValueError(f"`{plane}` must have the planes of `{name}`, {shape}, got {object_shape[-2:]}.")
        return
    if not callable(forward):
        raise ValueError(
            f"`forward` must map an object to the field in the plane of `{name}`, got {describe(forward)}."
        )
    like = jax.ShapeDtypeStruct(
        (*amplitude.shape[:-2], *object_shape[-2:]), jnp.result_type(amplitude, jnp.complex64)
    )
    image = jax.eval_shape(forward, like).shape
    if image != amplitude.shape:
        raise ValueError(
            f"`forward` must take objects {like.shape} to the shape of `{name}`, {amplitude.shape}, "
            f"got {image}."
        )


def check_start(key: KeyLike, start: ArrayLike | None, restarts: CountLike) -> None:
    """Refuse a bad key, neither or both of `key` and `start`, and several tries from one `start`."""
    check_key("key", key)
    check_whole("restarts", restarts, 1, LARGEST_BATCH)
    if (key is None) == (start is None):
        raise ValueError(
            "`key` or `start` must be given, one of them: "
            "a `jax.random.key` for random starts, or where to start."
        )
    if start is not None and restarts > 1:
        raise ValueError(
            f"`restarts` must be 1 with a `start`, got {restarts}: all tries would be the same; give a `key`."
        )
