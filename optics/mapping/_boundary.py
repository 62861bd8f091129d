"""Boundaries: the outputs of a linear convolution that a caller asks for, by the names of the field."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import as_counts, as_floats, describe
from optics._numerics import pad_last
from optics._typing import ArrayLike, ShapeLike, TextLike

BOUNDARIES = ("full", "same", "valid", "circular", "negacyclic")
# Samples of an axis that a plan is made for.
LARGEST_LENGTH = 2**48
# The factor of a period for each time that it wraps.
SIGNS = {"circular": 1, "negacyclic": -1}


def as_line(name: str, value: ArrayLike) -> Inexact[Array, "*lead length"]:
    """An array of numbers with at least one axis (..., length), integers made floating point."""
    array = as_floats(name, value)
    if array.ndim < 1:
        raise ValueError(
            f"`{name}` must have at least one axis (..., length), got the scalar {describe(value)}."
        )
    return array


def as_shapes(
    x_shape: ShapeLike, w_shape: ShapeLike, shape: ShapeLike, spatial: int = 2
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, int]]:
    """The shapes that a plan is made for, as tuples: of the input and the kernel, and of the device."""
    # A plan costs nothing, however large the arrays.
    of_x, of_w = (
        as_counts(name, value, high=LARGEST_LENGTH)
        for name, value in (("x_shape", x_shape), ("w_shape", w_shape))
    )
    for name, value in (("x_shape", of_x), ("w_shape", of_w)):
        if len(value) < spatial:
            raise ValueError(f"`{name}` must have at least {spatial} axes, got {value}.")
    rows, cols = as_counts("shape", shape, 2)
    return of_x, of_w, (rows, cols)


def check_boundary(
    x_shape: Sequence[int], w_shape: Sequence[int], boundary: TextLike, spatial: int = 2
) -> None:
    """Refuse an unknown boundary, empty arrays, and shapes that do not fit together.

    Arguments:
        x_shape, w_shape: of the arrays, whose last `spatial` axes are spatial.
        boundary: one of `BOUNDARIES`.
    """
    if not isinstance(boundary, str) or boundary not in BOUNDARIES:
        raise ValueError(f"`boundary` must be one of {', '.join(BOUNDARIES)}; got {describe(boundary)}.")
    for name, shape in (("x", x_shape), ("w", w_shape)):
        if len(shape) < spatial or 0 in shape:
            axes = "axes" if spatial > 1 else "axis"
            raise ValueError(
                f"`{name}` must have at least {spatial} {axes}, none of them empty; got shape {shape}."
            )
    try:
        jnp.broadcast_shapes(x_shape[:-spatial], w_shape[:-spatial])
    except ValueError:
        raise ValueError(
            f"`x` and `w` must broadcast in their leading axes, got {tuple(x_shape)} and {tuple(w_shape)}."
        ) from None
    samples, taps = tuple(x_shape[-spatial:]), tuple(w_shape[-spatial:])
    if boundary == "valid" and any(k > n for n, k in zip(samples, taps, strict=True)):
        raise ValueError(
            f'`w` must fit in `x` for `boundary="valid"`, got {taps} in {samples}; '
            'swap them, or use "full" or "same".'
        )


def output_range(samples: int, taps: int, boundary: str) -> tuple[int, int]:
    """First output within the full linear convolution and number of outputs, without wrapping."""
    return {
        "full": (0, samples + taps - 1),
        "same": ((taps - 1) // 2, samples),
        "valid": (taps - 1, samples - taps + 1),
    }[boundary]


def select_outputs(
    full: Inexact[Array, "*full"], samples: Sequence[int], taps: Sequence[int], boundary: str
) -> Inexact[Array, "*outputs"]:
    """The outputs that `boundary` asks for, out of a full linear convolution.

    Arguments:
        full: linear convolution, from its first output to its last or beyond.
        samples, taps: spatial shapes of the input and the kernel.
    """

    def wrap(a, n, k):
        # Beyond the last output there is only noise.
        return wrap_sum(a[..., : n + k - 1], n, SIGNS[boundary])

    def crop(a, n, k):
        start, count = output_range(n, k, boundary)
        return a[..., start : start + count]

    return on_axes(wrap if boundary in SIGNS else crop, full, samples, taps)


def wrap_sum(a: Inexact[Array, "*lead long"], n: int, sign: int) -> Inexact[Array, "*lead n"]:
    """Σ_m signᵐ a[i + m n]: the last axis wrapped onto n samples."""
    periods = -(-a.shape[-1] // n)
    a = pad_last(a, periods * n - a.shape[-1]).reshape(*a.shape[:-1], periods, n)
    signs = jnp.asarray([sign**m for m in range(periods)], a.real.dtype)
    return jnp.sum(a * signs[:, None], axis=-2)


def wrap_kernel(
    w: Inexact[Array, "*shape"], samples: Sequence[int], boundary: str
) -> Inexact[Array, "*wrapped"]:
    """The kernel, wrapped to at most one period where the boundary is periodic: the result is the same."""
    if boundary not in SIGNS:
        return w
    return on_axes(lambda a, n: wrap_sum(a, n, SIGNS[boundary]) if a.shape[-1] > n else a, w, samples)


def taps_after_wrap(samples: Sequence[int], taps: Sequence[int], boundary: str) -> tuple[int, ...]:
    """Spatial shape of the kernel that `wrap_kernel` returns."""
    return tuple(min(n, k) if boundary in SIGNS else k for n, k in zip(samples, taps, strict=True))


def pad_to(a: Inexact[Array, "*shape"], space: Sequence[int]) -> Inexact[Array, "*padded"]:
    """Zeros after the last axes, up to the shape `space`."""
    lead = a.ndim - len(space)
    after = [(0, n - length) for n, length in zip(space, a.shape[lead:], strict=True)]
    return jnp.pad(a, [(0, 0)] * lead + after)


def on_axes(f: Callable, a: Inexact[Array, "*shape"], *numbers: Sequence[int]) -> Inexact[Array, "*result"]:
    """`f(a, number, ...)`, a function of the last axis, applied to one of the last axes after the other.

    Arguments:
        f: function.
        a: array.
        numbers: arguments of f, each with one number for each of the last axes.
    """
    axes = len(numbers[0])
    for axis, numbers_of_axis in enumerate(zip(*numbers, strict=True)):
        a = jnp.moveaxis(f(jnp.moveaxis(a, axis - axes, -1), *numbers_of_axis), -1, axis - axes)
    return a


def convolve_exact(
    x: Inexact[Array, "*x"], w: Inexact[Array, "*w"], boundary: str, convolve: Callable
) -> Inexact[Array, "*y"]:
    """The convolution of planes without a device, as one circular convolution that is large enough."""
    samples = x.shape[-2:]
    w = wrap_kernel(w, samples, boundary)
    taps = w.shape[-2:]
    # One period of the input is enough where wrapped products reach no output, or where all of them count.
    one_period = boundary in ("valid", "circular")
    space = samples if one_period else tuple(n + k - 1 for n, k in zip(samples, taps, strict=True))
    y = convolve(pad_to(x, space), pad_to(w, space), None, None)
    return y if boundary == "circular" else select_outputs(y, samples, taps, boundary)
