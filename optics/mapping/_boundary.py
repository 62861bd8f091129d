"""The outputs that are wanted of a linear convolution, as the field names them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import as_plane


def line(name: str, value: Any) -> Inexact[Array, "*lead length"]:
    """An array of numbers with at least one axis (..., length), integers made floating point."""
    array = jnp.asarray(value)
    if array.ndim < 1:
        raise ValueError(f"`{name}` must have at least one axis (..., length), got the scalar {value!r}.")
    return as_plane(name, array[None])[0]


BOUNDARIES = ("full", "same", "valid", "circular", "negacyclic")
# What a period is multiplied by for each time that it is wrapped.
SIGNS = {"circular": 1, "negacyclic": -1}


def check(x_shape: Sequence[int], w_shape: Sequence[int], boundary: Any, axes: int = 2) -> None:
    """Refuse an unknown boundary, empty arrays, leading axes that do not broadcast, and a kernel with no valid output.

    Arguments:
        x_shape, w_shape: of the arrays, the last `axes` of them spatial.
        boundary: one of `BOUNDARIES`.
    """
    if not isinstance(boundary, str) or boundary not in BOUNDARIES:
        raise ValueError(f"`boundary` must be one of {', '.join(BOUNDARIES)}; got {boundary!r}.")
    for name, shape in (("x", x_shape), ("w", w_shape)):
        if len(shape) < axes or 0 in shape:
            raise ValueError(
                f"`{name}` must have at least {axes} {'axes' if axes > 1 else 'axis'}, none of them empty; got shape {shape}."
            )
    try:
        jnp.broadcast_shapes(x_shape[:-axes], w_shape[:-axes])
    except ValueError:
        raise ValueError(
            f"`x` and `w` must broadcast in their leading axes, got {tuple(x_shape)} and {tuple(w_shape)}."
        ) from None
    x_space, w_space = tuple(x_shape[-axes:]), tuple(w_shape[-axes:])
    if boundary == "valid" and any(k > n for n, k in zip(x_space, w_space, strict=True)):
        raise ValueError(
            f'`w` must fit in `x` for `boundary="valid"`, got {w_space} in {x_space}; swap them, or use "full" or "same".'
        )


def wanted(length: int, taps: int, boundary: str) -> tuple[int, int]:
    """First and number of the wanted outputs of the linear convolution, for boundaries that do not wrap."""
    return {
        "full": (0, length + taps - 1),
        "same": ((taps - 1) // 2, length),
        "valid": (taps - 1, length - taps + 1),
    }[boundary]


def on_axes(f: Callable, a: Inexact[Array, "*shape"], *numbers: Sequence[int]) -> Inexact[Array, "*found"]:
    """`f(a, number, ...)`, a function of the last axis, on as many last axes as there are numbers."""
    axes = len(numbers[0])
    for axis, of_axis in enumerate(zip(*numbers, strict=True)):
        a = jnp.moveaxis(f(jnp.moveaxis(a, axis - axes, -1), *of_axis), -1, axis - axes)
    return a


def finish(
    full: Inexact[Array, "*full"], x_space: Sequence[int], w_space: Sequence[int], boundary: str
) -> Inexact[Array, "*wanted"]:
    """What `boundary` wants of a linear convolution.

    Arguments:
        full: linear convolution, from its first output to its last or beyond.
        x_space, w_space: spatial shapes of the input and the kernel.
    """
    if boundary in SIGNS:
        # Beyond the last output there is nothing but noise.
        return on_axes(lambda a, n, k: fold(a[..., : n + k - 1], n, SIGNS[boundary]), full, x_space, w_space)

    def crop(a, length, taps):
        start, count = wanted(length, taps, boundary)
        return a[..., start : start + count]

    return on_axes(crop, full, x_space, w_space)


def fold(a: Inexact[Array, "*lead long"], n: int, sign: int) -> Inexact[Array, "*lead n"]:
    """Σ_m signᵐ a[i + m n]: the last axis wrapped onto n samples."""
    periods = -(-a.shape[-1] // n)
    a = jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, periods * n - a.shape[-1])]).reshape(
        *a.shape[:-1], periods, n
    )
    signs = jnp.asarray([sign**m for m in range(periods)], a.real.dtype)
    return jnp.sum(a * signs[:, None], axis=-2)


def wrapped(w: Inexact[Array, "*shape"], space: Sequence[int], boundary: str) -> Inexact[Array, "*wrapped"]:
    """The kernel, wrapped to at most one period where the boundary is periodic: the result is the same."""
    if boundary not in SIGNS:
        return w
    return on_axes(lambda a, n: fold(a, n, SIGNS[boundary]) if a.shape[-1] > n else a, w, space)


def exact(
    x: Inexact[Array, "*x"], w: Inexact[Array, "*w"], boundary: str, convolve: Callable
) -> Inexact[Array, "*y"]:
    """The convolution of planes without a device, as one circular convolution that is large enough."""
    x_space, w = x.shape[-2:], wrapped(w, x.shape[-2:], boundary)
    # Where outputs are wanted that no wrapped product reaches, or that all do, one period of the input is enough.
    short = boundary in ("valid", "circular")
    space = x_space if short else tuple(n + k - 1 for n, k in zip(x_space, w.shape[-2:], strict=True))
    y = convolve(grown(x, space), grown(w, space), None, None)
    return y if boundary == "circular" else finish(y, x_space, w.shape[-2:], boundary)


def grown(a: Inexact[Array, "*shape"], space: Sequence[int]) -> Inexact[Array, "*grown"]:
    """Zeros after the last axes, to the shape `space`."""
    lead = a.ndim - len(space)
    return jnp.pad(
        a, [(0, 0)] * lead + [(0, n - have) for n, have in zip(space, a.shape[lead:], strict=True)]
    )


def kernel_space(x_space: Sequence[int], w_space: Sequence[int], boundary: str) -> tuple[int, ...]:
    """Shape of the kernel after `wrapped`."""
    return tuple(min(n, k) if boundary in SIGNS else k for n, k in zip(x_space, w_space, strict=True))
