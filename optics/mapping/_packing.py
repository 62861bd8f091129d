"""Many short sequences in one frame: the rows of a device."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import as_plane, check_convolve
from optics._chunks import chunk_sizes, map_in_chunks
from optics._numerics import zero_where_dark
from optics.convolution import check_device, convolve
from optics.mapping._boundary import SIGNS, check, exact, grown, kernel_space, line, on_axes, wanted, wrapped
from optics.mapping._plan import Plan, counts, share


@dataclasses.dataclass(frozen=True)
class Packing(Plan):
    """A plan of `convolve_packed`, by axis (rows, columns).

    Attributes:
        boundary: that it is for.
        grid: cells in a frame, one for each small plane.
        pitch: pixels from one cell to the next, the plane and its guard band.
        before: pixels of periodic extension before the plane.
        first: the first wanted output within a cell.
        frames: for each kernel.
    """

    boundary: str
    grid: tuple[int, int]
    pitch: tuple[int, int]
    before: tuple[int, int]
    first: tuple[int, int]
    frames: int


def plan_packed(
    x_shape: Sequence[int], w_shape: Sequence[int], shape: Sequence[int], boundary: str = "circular"
) -> Packing:
    """How many small planes share a frame, and where they lie.

    Cells must be so far apart that no wanted output of one sees another. With N samples and K taps by axis that is

        full       N + K − 1              all outputs of a cell
        same       N + ⌊K/2⌋              one guard band serves the cells on both sides
        valid      N                      no wanted output looks beyond its cell
        periodic   N + K − 1              the end of the period, again, before it; N where the device has N pixels

    Arguments:
        x_shape, w_shape: of the arrays, leading axes included.
        shape: pixels (rows, columns) of the device.
        boundary: "full", "same", "valid", "circular" or "negacyclic".

    Returns:
        `Packing`.

    Raises:
        ValueError: an unknown boundary, arrays that do not fit together, or a cell or kernel larger than the device.
    """
    x_shape, w_shape = tuple(x_shape), tuple(w_shape)
    check(x_shape, w_shape, boundary)
    w_space = kernel_space(x_shape[-2:], w_shape[-2:], boundary)
    layouts = [_layout(*axis, boundary) for axis in zip(x_shape[-2:], w_space, shape, strict=True)]
    pitch, before, first = zip(*layouts, strict=True)
    if any(n < max(p, k) for n, p, k in zip(shape, pitch, w_space, strict=True)):
        raise ValueError(
            f"`x` and `w` do not fit in a frame: planes of {x_shape[-2:]} with a kernel of {w_space} take {pitch} pixels each "
            f'for boundary "{boundary}", and the device has {tuple(shape)}; use `convolve_tiled`.'
        )
    grid = tuple(n // p for n, p in zip(shape, pitch, strict=True))
    items, inputs, kernels, pairs = counts(x_shape, w_shape, 2)
    frames = -(-items // (grid[0] * grid[1]))
    turns = chunk_sizes(frames, pairs * shape[0] * shape[1])[1]
    return Packing(
        tuple(shape),
        inputs * frames,
        turns * kernels,
        pairs * frames,
        boundary,
        grid,
        pitch,
        before,
        first,
        frames,
    )


def _layout(length: int, taps: int, pixels: int, boundary: str) -> tuple[int, int, int]:
    """Pitch, pixels of extension before the plane and first wanted output, on one axis."""
    if boundary == "circular" and length == pixels:
        return length, 0, 0
    if boundary in SIGNS:
        return length + taps - 1, taps - 1, taps - 1
    first = wanted(length, taps, boundary)[0]
    return length + {"full": taps - 1, "same": taps // 2, "valid": 0}[boundary], 0, first


def convolve_packed(
    x: Any,
    w: Any,
    device: Any = None,
    key: Array | None = None,
    *,
    boundary: str = "circular",
    convolve: Any = convolve,
) -> Inexact[Array, "*lead rows cols"]:
    """Convolution of many small planes, as many in each frame of the device as there is room for.

        y[i] = Σ_u w[u] x[i − u]

    One exposure has one kernel. So planes share a frame along those leading axes along which w does not vary: tokens and
    examples of a batch, not channels or heads that have kernels of their own.

    Arguments:
        x: shape (..., rows, columns), real or complex, any unit.
        w: shape (..., rows, columns), any size up to the device's; leading axes broadcast as in x * w.
        device: `FourierProcessor` and its like; None is the exact convolution.
        key: `jax.random.key` of the device's noise, consumed; every frame has its own. None gives the expected value.
        boundary: "circular", "negacyclic", "full", "same" or "valid", as in `convolve_tiled`.
        convolve: what convolves planes of the device's shape, such as `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape by `boundary`, in the product of the units; real when both are.

    Raises:
        ValueError: fewer than two axes, empty arrays, leading axes that do not broadcast, an unknown boundary, planes that do
            not fit in a frame, or what is no device.
    """
    x, w = as_plane("x", x), as_plane("w", w)
    check(x.shape, w.shape, boundary)
    check_convolve(convolve)
    if device is None:
        return exact(x, w, boundary, convolve)
    check_device(device)
    plan = plan_packed(x.shape, w.shape, device.shape, boundary)
    x_space = x.shape[-2:]
    w = wrapped(w, x_space, boundary)
    w_space = w.shape[-2:]
    x, w, back = share(x, w, 2)
    kernel = grown(w, device.shape)
    frames = _packed(x, plan)
    pixels = plan.products // plan.frames * device.shape[0] * device.shape[1]
    y = map_in_chunks(
        lambda x, key: zero_where_dark(convolve(x, kernel, device, key), x, kernel), frames, key, pixels
    )
    size = (
        x_space
        if boundary in SIGNS
        else tuple(wanted(n, k, boundary)[1] for n, k in zip(x_space, w_space, strict=True))
    )
    return back(_unpacked(y, plan, size)[: x.shape[0]])


def _packed(
    x: Inexact[Array, "items *lead height width"], plan: Packing
) -> Inexact[Array, "frames *lead rows cols"]:
    """The frames: cells row by row, each with its extension before the plane and its guard after."""
    if plan.boundary in SIGNS:
        sign = SIGNS[plan.boundary]
        # A period has at least as many samples as the extension before it.
        x = on_axes(
            lambda a, n: jnp.concatenate([sign * a[..., a.shape[-1] - n :], a], axis=-1), x, plan.before
        )
    x = grown(x, plan.pitch)
    (down, across), (high, wide) = plan.grid, plan.pitch
    x = jnp.pad(x, [(0, plan.frames * down * across - x.shape[0])] + [(0, 0)] * (x.ndim - 1))
    x = x.reshape(plan.frames, down, across, *x.shape[1:])
    # From (frames, down, across, ..., rows, columns).
    x = jnp.moveaxis(jnp.moveaxis(x, 1, -3), 1, -2)
    return grown(x.reshape(*x.shape[:-4], down * high, across * wide), plan.tile)


def _unpacked(
    y: Inexact[Array, "frames *lead rows cols"], plan: Packing, size: Sequence[int]
) -> Inexact[Array, "items *lead height width"]:
    """The wanted outputs of every cell."""
    (down, across), (high, wide) = plan.grid, plan.pitch
    y = y[..., : down * high, : across * wide].reshape(*y.shape[:-2], down, high, across, wide)
    y = jnp.moveaxis(jnp.moveaxis(y, -4, 1), -2, 2)
    y = y.reshape(-1, *y.shape[3:])
    return on_axes(lambda a, first, n: a[..., first : first + n], y, plan.first, size)


def convolve_rows(
    x: Any,
    w: Any,
    device: Any = None,
    key: Array | None = None,
    *,
    boundary: str = "circular",
    convolve: Any = convolve,
) -> Inexact[Array, "*lead length"]:
    """Convolution of many short sequences, one or more in each row of a frame.

        y[i] = Σ_u w[u] x[i − u]

    A kernel in row 0 of a plane of zeros convolves every row with itself alone: the plane's circular convolution in the
    other direction is with a delta. So a device of R rows has at least R sequences in a frame, without a guard between the
    rows, and where a row has as many pixels as a sequence, a circular convolution has none within the row either. Sequences
    share a frame along those leading axes along which w does not vary.

    Arguments:
        x, w: shapes (..., length), of the sequences and of their kernels, real or complex, any units; leading axes broadcast
            as in x * w.
        device: `FourierProcessor` and its like; None is the exact convolution.
        key: `jax.random.key` of the device's noise, consumed; every frame has its own. None gives the expected value.
        boundary: "circular", "negacyclic", "full", "same" or "valid", as in `convolve_tiled`.
        convolve: what convolves planes of the device's shape, such as `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape by `boundary`, in the product of the units; real when both are.

    Raises:
        ValueError: no axis, empty arrays, leading axes that do not broadcast, an unknown boundary, sequences that do not fit in
            a row (`convolve_1d` takes those), or what is no device.
    """
    x, w = line("x", x), line("w", w)
    return convolve_packed(
        x[..., None, :], w[..., None, :], device, key, boundary=boundary, convolve=convolve
    )[..., 0, :]


def plan_rows(
    x_shape: Sequence[int], w_shape: Sequence[int], shape: Sequence[int], boundary: str = "circular"
) -> Packing:
    """The packing of `convolve_rows`, for arrays of these shapes (..., length) on a device of `shape` pixels.

    Raises:
        ValueError: as `convolve_rows`.
    """
    check(x_shape, w_shape, boundary, 1)
    *x_lead, x_length = x_shape
    *w_lead, w_length = w_shape
    return plan_packed((*x_lead, 1, x_length), (*w_lead, 1, w_length), shape, boundary)
