"""Many small planes, or many short sequences, in each plane of the device."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Inexact

from optics._check import as_plane, check_convolve, check_key
from optics._chunks import chunk_sizes, map_in_chunks
from optics._numerics import zero_where_dark
from optics._typing import (
    ArrayLike,
    DeviceLike,
    FunctionLike,
    KeyLike,
    ShapeLike,
    TextLike,
)
from optics.convolution import check_device, convolve
from optics.mapping._boundary import (
    SIGNS,
    as_line,
    as_shapes,
    check_boundary,
    convolve_exact,
    on_axes,
    output_range,
    pad_to,
    taps_after_wrap,
    wrap_kernel,
)
from optics.mapping._plan import Plan, count_planes, merge_shared_axes, shared_axes


@dataclasses.dataclass(frozen=True)
class Packing(Plan):
    """A plan of `convolve_packed`, by axis (rows, columns).

    Attributes:
        boundary: "full", "same", "valid", "circular" or "negacyclic".
        grid: cells in a plane of the device, one for each small plane.
        pitch: pixels from one cell to the next, the small plane and its guard band.
        before: pixels of periodic extension before the small plane.
        first: the first output within a cell.
        planes: planes of the device for each kernel.
    """

    boundary: str
    grid: tuple[int, int]
    pitch: tuple[int, int]
    before: tuple[int, int]
    first: tuple[int, int]
    planes: int

    def pack(self, x: Inexact[Array, "items *lead height width"]) -> Inexact[Array, "planes *lead rows cols"]:
        """The planes of the device: cells row by row, each an extension, the small plane and its guard."""
        if self.boundary in SIGNS:
            sign = SIGNS[self.boundary]
            # A period has at least as many samples as the extension before it.
            x = on_axes(
                lambda a, n: jnp.concatenate([sign * a[..., a.shape[-1] - n :], a], axis=-1), x, self.before
            )
        down, across = self.grid
        x = jnp.pad(x, [(0, self.planes * down * across - x.shape[0])] + [(0, 0)] * (x.ndim - 1))
        x = rearrange(
            pad_to(x, self.pitch),
            "(planes down across) ... rows cols -> planes ... (down rows) (across cols)",
            down=down,
            across=across,
        )
        return pad_to(x, self.tile)

    def unpack(
        self, y: Inexact[Array, "planes *lead rows cols"], count: Sequence[int]
    ) -> Inexact[Array, "items *lead height width"]:
        """The outputs of every cell, `count` of them by axis."""
        (down, across), (rows, cols) = self.grid, self.pitch
        y = rearrange(
            y[..., : down * rows, : across * cols],
            "planes ... (down rows) (across cols) -> (planes down across) ... rows cols",
            rows=rows,
            cols=cols,
        )
        return on_axes(lambda a, first, n: a[..., first : first + n], y, self.first, count)


def plan_packed(
    x_shape: ShapeLike, w_shape: ShapeLike, shape: ShapeLike, boundary: TextLike = "circular"
) -> Packing:
    """How many small planes share a plane of the device, and where they lie.

    Cells must be so far apart that no output of one depends on another. With N samples and K taps by axis
    that is

        full       N + K − 1              all outputs of a cell
        same       N + ⌊K/2⌋              one guard band serves the cells on both sides
        valid      N                      no output depends on pixels beyond its cell
        periodic   N + K − 1              the end of the period again before it; N on a device of N pixels

    Arguments:
        x_shape, w_shape: of the arrays, leading axes included.
        shape: pixels (rows, columns) of the device.
        boundary: "full", "same", "valid", "circular" or "negacyclic".

    Returns:
        `Packing`.

    Raises:
        ValueError: an unknown boundary, arrays that do not fit together, or a cell or kernel larger than the
            device.
    """
    x_shape, w_shape, shape = as_shapes(x_shape, w_shape, shape)
    check_boundary(x_shape, w_shape, boundary)
    samples, taps = x_shape[-2:], taps_after_wrap(x_shape[-2:], w_shape[-2:], boundary)
    cells = [_cell(*axis, boundary) for axis in zip(samples, taps, shape, strict=True)]
    pitch, before, first = zip(*cells, strict=True)
    if any(n < max(p, k) for n, p, k in zip(shape, pitch, taps, strict=True)):
        raise ValueError(
            f"`x` and `w` do not fit on the device: planes of {samples} with a kernel of {taps} take "
            f'{pitch} pixels each for boundary "{boundary}", the device has {shape}; use `convolve_tiled`.'
        )
    grid = (shape[0] // pitch[0], shape[1] // pitch[1])
    shared = shared_axes(x_shape, w_shape, 2)
    inputs, kernels, pairs = count_planes(shared.x_lead, shared.w_lead)
    planes = -(-shared.items // (grid[0] * grid[1]))
    chunks = chunk_sizes(planes, pairs * shape[0] * shape[1])[1]
    return Packing(
        tile=shape,
        x_planes=inputs * planes,
        w_planes=chunks * kernels,
        products=pairs * planes,
        boundary=boundary,
        grid=grid,
        pitch=pitch,
        before=before,
        first=first,
        planes=planes,
    )


def _cell(samples: int, taps: int, pixels: int, boundary: str) -> tuple[int, int, int]:
    """Pitch, pixels of extension before the small plane and first output, on one axis."""
    if boundary == "circular" and samples == pixels:
        return samples, 0, 0
    if boundary in SIGNS:
        return samples + taps - 1, taps - 1, taps - 1
    guard = {"full": taps - 1, "same": taps // 2, "valid": 0}[boundary]
    return samples + guard, 0, output_range(samples, taps, boundary)[0]


def convolve_packed(
    x: ArrayLike,
    w: ArrayLike,
    device: DeviceLike = None,
    key: KeyLike = None,
    *,
    boundary: TextLike = "circular",
    convolve: FunctionLike = convolve,
) -> Inexact[Array, "*lead rows cols"]:
    """Convolution of many small planes, side by side in each plane of the device.

        y[i] = Σ_u w[u] x[i − u]

    All small planes that share a plane of the device have the same kernel. So planes share along those
    leading axes along which w does not vary: tokens and examples of a batch, not channels or heads with a
    kernel each.

    Arguments:
        x: shape (..., rows, columns), real or complex, any unit.
        w: shape (..., rows, columns), any size up to the device's; leading axes broadcast as in x * w.
        device: any device that convolves; None is the exact convolution.
        key: `jax.random.key` of the device's noise, consumed; every plane of the device has its own. None
            computes without noise.
        boundary: "circular", "negacyclic", "full", "same" or "valid", as in `convolve_tiled`.
        convolve: convolves planes of the device's shape, such as `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape by `boundary`, in the product of the units; real when both are.

    Raises:
        ValueError: fewer than two axes, empty arrays, leading axes that do not broadcast, an unknown
            boundary, planes that do not fit on the device, or no device.
    """
    x, w = as_plane("x", x), as_plane("w", w)
    check_boundary(x.shape, w.shape, boundary)
    check_convolve(convolve)
    check_key("key", key)
    if device is None:
        return convolve_exact(x, w, boundary, convolve)
    check_device(device)
    plan = plan_packed(x.shape, w.shape, device.shape, boundary)
    samples = x.shape[-2:]
    w = wrap_kernel(w, samples, boundary)
    count = samples
    if boundary not in SIGNS:
        count = [output_range(n, k, boundary)[1] for n, k in zip(samples, w.shape[-2:], strict=True)]
    x, w, split_shared_axes = merge_shared_axes(x, w, 2)
    kernel = pad_to(w, device.shape)

    def convolve_planes(x, key):
        return zero_where_dark(convolve(x, kernel, device, key), x, kernel)

    pixels = plan.products // plan.planes * device.shape[0] * device.shape[1]
    y = map_in_chunks(convolve_planes, plan.pack(x), key, pixels)
    return split_shared_axes(plan.unpack(y, count)[: x.shape[0]])


def convolve_rows(
    x: ArrayLike,
    w: ArrayLike,
    device: DeviceLike = None,
    key: KeyLike = None,
    *,
    boundary: TextLike = "circular",
    convolve: FunctionLike = convolve,
) -> Inexact[Array, "*lead length"]:
    """Convolution of many short sequences, one or more in each row of the device.

        y[i] = Σ_u w[u] x[i − u]

    A kernel in row 0 of a plane of zeros keeps the rows apart: in the other direction the plane's circular
    convolution is with a delta. So a device of R rows takes at least R sequences at once, without a guard
    between the rows. If a row has as many pixels as a sequence has samples, a circular convolution needs no
    guard within the row either. Sequences share a plane along those leading axes along which w does not vary.

    Arguments:
        x, w: shapes (..., length), of the sequences and of their kernels, real or complex, any units; leading
            axes broadcast as in x * w.
        device: any device that convolves; None is the exact convolution.
        key: `jax.random.key` of the device's noise, consumed; every plane of the device has its own. None
            computes without noise.
        boundary: "circular", "negacyclic", "full", "same" or "valid", as in `convolve_tiled`.
        convolve: convolves planes of the device's shape, such as `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape by `boundary`, in the product of the units; real when both are.

    Raises:
        ValueError: no axis, empty arrays, leading axes that do not broadcast, an unknown boundary, sequences
            that do not fit in a row (`convolve_1d` takes those), or no device.
    """
    x, w = as_line("x", x), as_line("w", w)
    y = convolve_packed(x[..., None, :], w[..., None, :], device, key, boundary=boundary, convolve=convolve)
    return y[..., 0, :]


def plan_rows(
    x_shape: ShapeLike, w_shape: ShapeLike, shape: ShapeLike, boundary: TextLike = "circular"
) -> Packing:
    """The packing of `convolve_rows`, for arrays of these shapes (..., length) on a device of `shape` pixels.

    Arguments:
        x_shape, w_shape: of the arrays, leading axes included.
        shape: pixels (rows, columns) of the device.
        boundary: as in `convolve_rows`.

    Returns:
        `Packing`.

    Raises:
        ValueError: as `convolve_rows`.
    """
    x_shape, w_shape, shape = as_shapes(x_shape, w_shape, shape, 1)
    check_boundary(x_shape, w_shape, boundary, 1)
    *x_lead, x_length = x_shape
    *w_lead, w_length = w_shape
    return plan_packed((*x_lead, 1, x_length), (*w_lead, 1, w_length), shape, boundary)
