"""Long sequences on a plane."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import check_convolve
from optics.convolution import check_device, convolve
from optics.mapping._boundary import check, exact, finish, kernel_space, line, wrapped
from optics.mapping._coprime import to_line, to_plane
from optics.mapping._plan import Plan, share, split
from optics.mapping._tiles import Tiling, overlap_add, plan_tiles, tiled


@dataclasses.dataclass(frozen=True)
class Folding(Plan):
    """A plan of `convolve_1d`.

    Attributes:
        boundary: that it is for.
        layout: "fold", a sequence written row by row, or "coprime", a line of rows · columns pixels.
        width: samples in a row of the fold; in the layout "coprime", in the whole line.
        rows: of each sequence, guard included.
        taps: (rows, columns) of the folded kernel.
        tiling: of the plane that all folded sequences are.
    """

    boundary: str
    layout: str
    width: int
    rows: int
    taps: tuple[int, int]
    tiling: Tiling


def plan_1d(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    shape: Sequence[int],
    boundary: str = "full",
    layout: str | None = None,
) -> Folding:
    """The layout of sequences on a plane that takes the fewest optical transforms.

    A sequence folded into rows of L samples, i = L r + c, has the convolution of the two planes for its own: indices add on
    the plane as on the line, and columns beyond L belong to the rows below, where they are added in electronics. With a
    kernel of K ≤ L taps in one row, L = columns − K + 1, this is overlap-add in the rows, one tile of the line in each. With
    a longer kernel, L = (columns + 1) / 2, the rows convolve too: a frame then has about (rows · columns / 4)² products of samples
    and taps, against rows · columns² / 4 in rows that are kept apart. A device with coprime sides has a third layout, a line
    of rows · columns pixels (`convolve_coprime`) with overlap-add along it.

    Arguments:
        x_shape, w_shape: of the arrays (..., length), leading axes included.
        shape: pixels (rows, columns) of the device.
        boundary: "full", "same", "valid", "circular" or "negacyclic".
        layout: "fold", "coprime", or None for the best.

    Returns:
        `Folding`.

    Raises:
        ValueError: an unknown boundary or layout, "coprime" where the sides are not, or arrays that do not fit together.

    Source: R. C. Agarwal and C. S. Burrus, IEEE Trans. ASSP 22, 1 (1974).
    """
    x_shape, w_shape = tuple(x_shape), tuple(w_shape)
    check(x_shape, w_shape, boundary, 1)
    (rows, cols), samples = tuple(shape), x_shape[-1]
    (taps,) = kernel_space(x_shape[-1:], w_shape[-1:], boundary)
    coprime = math.gcd(rows, cols) == 1 and rows > 1
    layouts = ("fold", "coprime") if coprime else ("fold",)
    if layout is not None and layout not in layouts:
        raise ValueError(
            f"`layout` must be {' or '.join(map(repr, layouts))} or None on a device of {rows}×{cols} pixels, got {layout!r}."
        )
    _, x_lead, w_lead = split(x_shape, w_shape, 1)
    items = math.prod(x_shape[:-1]) // math.prod(x_lead)

    def folded(width):
        down, across = -(-taps // width), min(taps, width)
        high = -(-samples // width) + down - 1
        tiling = plan_tiles(
            (*x_lead, items * high, width), (*w_lead, down, across), (rows, cols), "full", method="add"
        )
        return _folding(shape, tiling, boundary, "fold", width, high, (down, across))

    def lined():
        width = samples + taps - 1
        tiling = plan_tiles(
            (*x_lead, 1, items * width), (*w_lead, 1, taps), (1, rows * cols), "full", method="add"
        )
        return _folding(shape, tiling, boundary, "coprime", width, 1, (1, taps))

    found = []
    if layout != "coprime":
        # Rows as long as the columns leave room for beside a kernel of one row, and beside one of several.
        widths = {(cols + 1) // 2} | ({cols - taps + 1} if taps <= cols else set())
        found += [folded(width) for width in sorted(widths, reverse=True)]
    if layout != "fold" and coprime:
        found.append(lined())
    return min(found, key=lambda plan: (plan.transforms, plan.products))


def _folding(shape: Sequence[int], tiling: Tiling, *layout: Any) -> Folding:
    return Folding(tuple(shape), tiling.x_planes, tiling.w_planes, tiling.products, *layout, tiling)


def convolve_1d(
    x: Any,
    w: Any,
    device: Any = None,
    key: Array | None = None,
    *,
    boundary: str = "full",
    plan: Any = None,
    convolve: Any = convolve,
) -> Inexact[Array, "*lead length"]:
    """Convolution of sequences and kernels of any length on the planes of a device.

        y[i] = Σ_u w[u] x[i − u]

    Sequences share frames along those leading axes along which w does not vary. One period that fills a row of the device, or
    all of a device with coprime sides, needs no overlap: `convolve_rows` and `convolve_coprime` take fewer frames for those.

    Arguments:
        x, w: shapes (..., length), any length each, real or complex, any units; leading axes broadcast as in x * w.
        device: `FourierProcessor` and its like; None is the exact convolution.
        key: `jax.random.key` of the device's noise, consumed; every frame has its own. None gives the expected value.
        boundary: "full", "same", "valid", "circular" or "negacyclic", as in `convolve_tiled`.
        plan: of `plan_1d` for these shapes; None is the one with the fewest transforms.
        convolve: what convolves planes of the device's shape, such as `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape by `boundary`, in the product of the units; real when both are.

    Raises:
        ValueError: no axis, empty arrays, leading axes that do not broadcast, an unknown boundary, a kernel that does not fit in
            x for "valid", a plan for something else, or what is no device.
    """
    x, w = line("x", x), line("w", w)
    check(x.shape, w.shape, boundary, 1)
    check_convolve(convolve)
    if device is None:
        return exact(x[..., None, :], w[..., None, :], boundary, convolve)[..., 0, :]
    check_device(device)
    sizes = (x.shape, w.shape, tuple(device.shape))
    if plan is None:
        plan = plan_1d(*sizes, boundary)
    elif (
        not isinstance(plan, Folding)
        or plan.tile != sizes[2]
        or plan != plan_1d(*sizes, boundary, plan.layout)
    ):
        raise ValueError(
            f"`plan` must be that of `plan_1d{(*sizes, boundary)}`, with or without a layout; got {plan!r}."
        )
    return _folded(
        x, wrapped(w, x.shape[-1:], boundary), plan, _on_device(convolve, device, plan.layout), key
    )


def _on_device(convolve: Callable, device: Any, layout: str) -> Callable:
    """(x, w, key) -> circular convolution of the planes that the layout has."""
    if layout == "fold":
        return lambda x, w, key: convolve(x, w, device, key)

    def along_the_line(x, w, key):
        x, w = (to_plane(a[..., 0, :], device.shape) for a in (x, w))
        return to_line(convolve(x, w, device, key))[..., None, :]

    return along_the_line


def _folded(
    x: Inexact[Array, "*x"], w: Inexact[Array, "*w"], plan: Folding, on_device: Callable, key: Array | None
):
    samples, taps = x.shape[-1], w.shape[-1]
    x, w, back = share(x, w, 1)
    high, wide = plan.rows, plan.width
    # (items, ..., samples) to (..., items · rows, width); the rows after a sequence are its guard.
    planes = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, high * wide - samples)]).reshape(
        *x.shape[:-1], high, wide
    )
    planes = jnp.moveaxis(planes, 0, -3)
    across = plan.layout == "coprime"
    planes = planes.reshape(*planes.shape[:-3], *((1, -1) if across else (-1, wide)))
    down, width = plan.taps
    kernel = jnp.pad(w, [(0, 0)] * (w.ndim - 1) + [(0, down * width - taps)]).reshape(
        *w.shape[:-1], down, width
    )
    y = tiled(planes, kernel, plan.tiling, on_device, key)
    if across:
        y = y[..., 0, : x.shape[0] * wide].reshape(*y.shape[:-2], x.shape[0], wide)
    else:
        y = y[..., : x.shape[0] * high, :]
        y = overlap_add(y.reshape(*y.shape[:-2], x.shape[0], high, y.shape[-1]), wide)
    y = jnp.moveaxis(finish(y, (samples,), (taps,), plan.boundary), -2, 0)
    return back(y)
