"""Refusals shared by every public function: they name the argument, what came and what would work.

What is static is always checked: types, shapes and dtypes, of traced arrays too. Values are checked where
they are concrete, and only where a part is made, because looking at an array of a device waits for it.
"""

import functools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# No count of pixels, samples, layers or draws is larger; a larger one was hardly meant.
LARGEST_COUNT = 2**24


def is_concrete(value: Any) -> bool:
    """Whether `value` is a number now, not a tracer: only then may its value be looked at."""
    return not isinstance(value, jax.core.Tracer)


def describe(value: Any) -> str:
    """What came, in a few words: an array by its dtype and shape, anything else as Python writes it."""
    if isinstance(value, jax.Array | np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}" if value.ndim else f"{value}"
    written = repr(value)
    return written if len(written) <= 200 else f"{written[:200]}…"


def as_leaf(value: Any) -> jax.Array:
    """A physical number as a floating-point leaf of a pytree, so that changing it never recompiles."""
    array = jnp.asarray(value)
    # A dtype of its own: one that is only Python's would compile again once an array takes its place.
    return jnp.asarray(
        array, array.dtype if jnp.issubdtype(array.dtype, jnp.inexact) else jnp.result_type(float)
    )


def as_array(name: str, value: Any) -> jax.Array:
    """An array of numbers of any shape; refuse anything else, by its type alone."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError, OverflowError):
        array = None
    if array is None or not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
        raise ValueError(f"`{name}` must be an array of numbers, got {describe(value)}.")
    return array


def as_numpy(name: str, value: Any) -> np.ndarray:
    """Concrete numbers as an array of NumPy, in the precision that they came in; refuse anything else."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        array = np.asarray(None)
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
        raise ValueError(f"`{name}` must be an array of numbers, got {describe(value)}.")
    return array


def as_path(name: str, value: Any) -> Path:
    """A path; refuse what is neither text nor a path."""
    if not isinstance(value, str | os.PathLike) or not str(value) or "\0" in str(value):
        raise ValueError(f"`{name}` must be the path of a file or a folder, got {describe(value)}.")
    return Path(value)


def check_range(
    name: str, value: Any, low: float | int, high: float | int, unit: str = "", *, open_low: bool = False
) -> None:
    """Refuse a `value` (any shape) that is no real number, and a concrete one that is not finite or lies
    outside [low, high]; `open_low` excludes `low`.
    """
    array = as_real(name, value, unit)
    if array is None:
        return
    below = array <= low if open_low else array < low
    if not np.all(np.isfinite(array)) or np.any(below) or np.any(array > high):
        allowed = "finite"
        allowed += f" and {'above' if open_low else 'at least'} {low:g}" if math.isfinite(low) else ""
        allowed += f" and at most {high:g}" if math.isfinite(high) else ""
        received = array if array.ndim else f"{float(array):g}"
        raise ValueError(f"`{name}` must be {allowed}{unit and ' ' + unit}, got {received}.")


def as_real(name: str, value: Any, unit: str = "") -> np.ndarray | None:
    """Real numbers in double precision, or None where they are traced; refuse anything else, and none at
    all.
    """
    array: Any = value
    if is_concrete(value):
        try:
            array = np.asarray(value)
        except jax.errors.TracerArrayConversionError:
            # A list that holds traced numbers.
            array = as_array(name, value)
        except (TypeError, ValueError, OverflowError):
            array = np.asarray(None)
    is_number = jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)
    # A map may be of True and False; such a scalar was meant for another argument.
    if not (is_number or (array.dtype == bool and array.ndim)) or not array.size:
        kind = "a number" if array.ndim == 0 else "real numbers"
        raise ValueError(f"`{name}` must be {kind}{unit and ' in ' + unit}, got {describe(value)}.")
    return np.asarray(array, float) if is_concrete(array) else None


def check_positive(name: str, value: Any, unit: str = "") -> None:
    """Refuse a `value` (any shape) that, where concrete, is not finite and above zero."""
    check_range(name, value, 0.0, math.inf, unit, open_low=True)


def check_finite(name: str, value: Any, unit: str = "") -> None:
    """Refuse a `value` (any shape) that, where concrete, is not finite."""
    check_range(name, value, -math.inf, math.inf, unit)


def check_finite_field(name: str, value: Any) -> None:
    """Refuse a `value` (any shape, real or complex) that is no number, or, where concrete, not finite."""
    array = as_array(name, value)
    if array.dtype == bool and not array.ndim:
        raise ValueError(f"`{name}` must be a number, got {describe(value)}.")
    check_finite(name, jnp.abs(array) if jnp.iscomplexobj(array) else array)


def check_number(
    name: str,
    value: Any,
    low: float | int = -math.inf,
    high: float | int = math.inf,
    unit: str = "",
    *,
    open_low: bool = False,
) -> None:
    """Refuse a `value` that is not one number, and as `check_range`."""
    check_range(name, value, low, high, unit, open_low=open_low)
    if np.ndim(value):
        raise ValueError(f"`{name}` must be one number{unit and ' in ' + unit}, got {describe(value)}.")


def check_positive_number(name: str, value: Any, unit: str = "") -> None:
    """Refuse a `value` that is not one number, and a concrete one that is not finite and above zero."""
    check_number(name, value, 0.0, math.inf, unit, open_low=True)


def check_positive_or_infinite(name: str, value: Any, unit: str = "") -> None:
    """Refuse a `value` that is not one number, and a concrete one that is not above zero."""
    array = as_real(name, value, unit)
    if np.ndim(value) or (array is not None and not array > 0):
        raise ValueError(
            f"`{name}` must be one number above 0{unit and ' ' + unit}, or infinite, got {describe(value)}."
        )


def as_vector(name: str, value: Any, unit: str = "", size: int | None = None) -> jax.Array:
    """A line of real numbers, `size` of them if given; refuse anything else, and concrete ones that are not
    finite.
    """
    array = as_array(name, value)
    wanted = "a pair (y, x)" if size == 2 else "a vector" if size is None else f"a vector of {size} numbers"
    if array.ndim != 1 or (size is not None and array.size != size):
        raise ValueError(f"`{name}` must be {wanted}{unit and ' in ' + unit}, got {describe(value)}.")
    if array.size:
        check_finite(name, array, unit)
    return array.astype(jnp.result_type(float, array))


def check_whole(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Refuse a static `value` that is not a whole number in [low, high]; by default at most
    `LARGEST_COUNT`.
    """
    most = LARGEST_COUNT if high is None else high
    if not _is_whole(value) or not low <= value <= most:
        upto = f" and at most {most:,}" if high is not None or (_is_whole(value) and value > most) else ""
        raise ValueError(f"`{name}` must be a whole number of at least {low}{upto}, got {describe(value)}.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def as_counts(
    name: str, value: Any, axes: int | None = None, low: int = 1, high: int | None = None
) -> tuple[int, ...]:
    """Whole numbers in [low, high] as a tuple, `axes` of them if given; refuse anything else."""
    form = "(rows, columns)" if axes == 2 else "of whole numbers"
    if not isinstance(value, tuple | list) or (axes is not None and len(value) != axes):
        raise ValueError(
            f"`{name}` must be a {'pair' if axes == 2 else 'tuple'} {form}, got {describe(value)}."
        )
    most = LARGEST_COUNT if high is None else high
    if not all(_is_whole(count) and low <= count <= most for count in value):
        raise ValueError(f"`{name}` must be whole numbers from {low} to {most:,}, got {describe(value)}.")
    return tuple(map(int, value))


def as_shape(name: str, value: Any, axes: int | None = None, low: int = 1) -> tuple[int, ...]:
    """A shape as a tuple of whole numbers of at least `low`, `axes` of them if given; refuse anything else,
    and one whose array no memory could hold.
    """
    shape = as_counts(name, value, axes, low)
    check_memory(name, value, math.prod(shape))
    return shape


def as_pixels(name: str, value: Any) -> tuple[int, int]:
    """One whole number or a pair of them, as the pair (rows, columns); refuse anything else."""
    if _is_whole(value):
        value = (value, value)
    elif not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(
            f"`{name}` must be one whole number or a pair (rows, columns), got {describe(value)}."
        )
    rows, cols = as_shape(name, value, 2)
    return rows, cols


def check_memory(
    name: str, value: Any, count: int, content: str = "an array", per_pixel: float | None = None
) -> None:
    """Refuse a size whose `count` complex numbers no memory of this machine could hold.

    Arguments:
        per_pixel: complex numbers for each pixel of a square; the refusal then names the side that fits.
    """
    needed = 8 * count
    if needed > _memory():
        remedy = "choose a smaller one"
        if per_pixel is not None:
            remedy = f"about {math.isqrt(int(_memory() / 8 / per_pixel))} pixels a side would fit"
        raise ValueError(
            f"`{name}` {describe(value)} needs {needed / 2**30:,.3g} GiB for {content}, but there are "
            f"{_memory() / 2**30:,.3g} GiB of memory; {remedy}."
        )


@functools.cache
def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_choice(name: str, value: Any, choices: Sequence[str | None]) -> None:
    """Refuse a static `value` that is not among `choices`."""
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        *others, last = [f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices]
        listed = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"`{name}` must be {listed}, got {describe(value)}.")


def check_flag(name: str, value: Any) -> None:
    """Refuse a static `value` that is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"`{name}` must be True or False, got {describe(value)}.")


def check_dtype(name: str, value: Any) -> None:
    """Refuse what is no floating-point dtype."""
    try:
        is_floating = jnp.issubdtype(jnp.dtype(value), jnp.floating)
    except TypeError:
        is_floating = False
    if not is_floating or value is None:
        raise ValueError(
            f"`{name}` must be a floating-point dtype, such as `jnp.bfloat16`, got {describe(value)}."
        )


def check_function(name: str, value: Any, example: str) -> None:
    """Refuse what cannot be called; `example` says what would work."""
    if not callable(value):
        raise ValueError(f"`{name}` must be a function, such as {example}, got {describe(value)}.")


def check_instance(name: str, value: Any, kind: type, example: str) -> None:
    """Refuse what is no instance of `kind`; `example` says what would work."""
    if not isinstance(value, kind):
        raise ValueError(f"`{name}` must be a `{kind.__name__}`, such as {example}, got {describe(value)}.")


def check_key(name: str, key: Any) -> None:
    """Refuse anything but None and one key of `jax.random`, such as a seed, or a device in the place of the
    key.
    """
    if key is None:
        return
    if isinstance(key, jax.Array | np.ndarray):
        # A typed key has no axes, a legacy key is one row of words, two or four by its algorithm.
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0:
            return
        if key.dtype == np.uint32 and key.shape in ((2,), (4,)):
            return
    raise ValueError(f"`{name}` must be None or one key, such as `jax.random.key(0)`; got {describe(key)}.")


def check_given_key(name: str, key: Any) -> None:
    """Refuse anything but one key of `jax.random`: without one there is nothing to draw from."""
    check_key(name, key)
    if key is None:
        raise ValueError(f"`{name}` must be a key, such as `jax.random.key(0)`, got None.")


def as_floats(name: str, value: Any) -> jax.Array:
    """An array of real or complex numbers of any shape; integers are made floating point."""
    array = as_array(name, value)
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        return array.astype(jnp.result_type(float))
    # Optics has no half precision: its phases and its small signals would not survive it.
    return array.astype(jnp.float32) if array.dtype.itemsize < 4 else array


def as_plane(name: str, value: Any) -> jax.Array:
    """An array of numbers with at least two axes (..., rows, columns), the last two not empty; integers are
    made floating point.
    """
    array = as_floats(name, value)
    if array.ndim < 2 or 0 in array.shape[-2:]:
        vector = f"; a vector of length n is the plane `{name}[None, :]` of shape (1, n)"
        raise ValueError(
            f"`{name}` must have at least two axes (..., rows, columns), the last two not empty, got shape "
            f"{array.shape}{vector if array.ndim == 1 else ''}."
        )
    return array


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
            f"`convolve` must be a function (x, w, device, key) such as `optics.convolve`, got "
            f"{describe(convolve)}."
        )
