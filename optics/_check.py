"""Refusals shared by every public function: they name the argument, what came and what would work."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def is_concrete(value: Any) -> bool:
    """Whether `value` is a number now, not a tracer: only then may its value be looked at."""
    return not isinstance(value, jax.core.Tracer)


def as_leaf(value: Any) -> jax.Array:
    """A physical number as a floating-point leaf of a pytree, so that changing it never recompiles."""
    array = jnp.asarray(value)
    # A dtype of its own: one that is only Python's would compile again once an array takes its place.
    return jnp.asarray(
        array, array.dtype if jnp.issubdtype(array.dtype, jnp.inexact) else jnp.result_type(float)
    )


def check_range(
    name: str, value: Any, low: float | int, high: float | int, unit: str = "", *, open_low: bool = False
) -> None:
    """Refuse a concrete `value` (any shape) that is not finite or lies outside [low, high]; `open_low`
    excludes `low`.
    """
    if not is_concrete(value):
        return
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must be a number{unit and ' in ' + unit}, got {value!r}.") from None
    below = array <= low if open_low else array < low
    if not np.all(np.isfinite(array)) or np.any(below) or np.any(array > high):
        allowed = "finite"
        allowed += f" and {'above' if open_low else 'at least'} {low:g}" if math.isfinite(low) else ""
        allowed += f" and at most {high:g}" if math.isfinite(high) else ""
        received = array if array.ndim else f"{float(array):g}"
        raise ValueError(f"`{name}` must be {allowed}{unit and ' ' + unit}, got {received}.")


def check_positive(name: str, value: Any, unit: str = "") -> None:
    """Refuse a concrete `value` that is not finite and above zero."""
    check_range(name, value, 0.0, math.inf, unit, open_low=True)


def check_whole(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Refuse a static `value` that is not a Python integer in [low, high]."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | np.integer)
        or value < low
        or (high is not None and value > high)
    ):
        upto = f" and at most {high}" if high is not None else ""
        raise ValueError(f"`{name}` must be a whole number of at least {low}{upto}, got {value!r}.")


def check_choice(name: str, value: Any, choices: tuple) -> None:
    """Refuse a static `value` that is not among `choices`, which are strings or None."""
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        *others, last = [f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices]
        raise ValueError(f"`{name}` must be {', '.join(others)} or {last}, got {value!r}.")


def check_key(name: str, key: Any) -> None:
    """Refuse anything but None and one key of `jax.random`, such as a seed, or a device in the place of the
    key.
    """
    if key is None:
        return
    if isinstance(key, jax.Array | np.ndarray):
        # A typed key has no axes, a legacy key is one row of words.
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0:
            return
        if key.dtype == np.uint32 and key.ndim == 1:
            return
        value = f"an array of {key.dtype} with shape {key.shape}"
    else:
        value = repr(key) if isinstance(key, int | float | str) else type(key).__name__
    raise ValueError(f"`{name}` must be None or one key, such as `jax.random.key(0)`; got {value}.")


def as_plane(name: str, value: Any) -> jax.Array:
    """An array of numbers with at least two axes (..., rows, columns), integers made floating point."""
    array = jnp.asarray(value)
    if array.ndim < 2:
        raise ValueError(
            f"`{name}` must have at least two axes (..., rows, columns), got shape {array.shape}; "
            f"a vector of length n is the plane `{name}[None, :]` of shape (1, n)."
        )
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        return array.astype(jnp.result_type(float))
    # Optics has no half precision: its phases and its small signals would not survive it.
    return array.astype(jnp.float32) if array.dtype.itemsize < 4 else array


def check_finite(name: str, value: Any, unit: str = "") -> None:
    """Refuse a concrete `value` that is not a finite number."""
    check_range(name, value, -math.inf, math.inf, unit)


def check_shape(name: str, array: jax.Array, device: Any) -> None:
    """Refuse an array whose planes are not the device's."""
    if array.shape[-2:] != device.shape:
        rows, cols = device.shape
        raise ValueError(
            f"`{name}` has planes of {'×'.join(map(str, array.shape[-2:]))} but the device has "
            f"{rows}×{cols} pixels; "
            f"reshape or pad `{name}` to (..., {rows}, {cols}), or load a device of that shape."
        )


def check_convolve(convolve: Any) -> None:
    """Refuse what cannot stand in for `optics.convolve`."""
    if not callable(convolve):
        raise ValueError(
            f"`convolve` must be a function (x, w, device, key) such as `optics.convolve`, got {convolve!r}."
        )
