"""Long sequences on planes."""

import dataclasses
import math
from collections.abc import Callable

import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Inexact

from optics._check import check_convolve, check_key, describe
from optics._numerics import pad_last
from optics._typing import (
    ArrayLike,
    DeviceLike,
    FunctionLike,
    KeyLike,
    PlanLike,
    ShapeLike,
    TextLike,
)
from optics.convolution import check_device, convolve
from optics.mapping._boundary import (
    as_line,
    as_shapes,
    check_boundary,
    convolve_exact,
    select_outputs,
    taps_after_wrap,
    wrap_kernel,
)
from optics.mapping._coprime import to_line, to_plane
from optics.mapping._overlap import overlap_add
from optics.mapping._plan import Plan, choose_plan, merge_shared_axes, shared_axes
from optics.mapping._tiles import Tiling, convolve_with_plan, plan_tiles


@dataclasses.dataclass(frozen=True)
class Folding(Plan):
    """A plan of `convolve_1d`.

    Attributes:
        boundary: "full", "same", "valid", "circular" or "negacyclic".
        layout: "fold", a sequence written row by row, or "coprime", a line of rows · columns pixels.
        width: samples in a row of the fold; in the layout "coprime", in the whole line.
        rows: of each sequence, guard included.
        taps: (rows, columns) of the folded kernel.
        tiling: of the plane that all folded sequences make up.
    """

    boundary: str
    layout: str
    width: int
    rows: int
    taps: tuple[int, int]
    tiling: Tiling

    def fold(self, x: Inexact[Array, "items *lead length"]) -> Inexact[Array, "*lead height width"]:
        """All sequences on one plane: one below the other, or on a line in the layout "coprime".

        Zeros after each sequence are its guard.
        """
        x = pad_last(x, self.rows * self.width - x.shape[-1])
        if self.layout == "coprime":
            return rearrange(x, "items ... width -> ... 1 (items width)")
        return rearrange(x, "items ... (rows width) -> ... (items rows) width", rows=self.rows)

    def fold_kernel(self, w: Inexact[Array, "*lead length"]) -> Inexact[Array, "*lead rows width"]:
        """The kernel in rows that are as long as those of the sequences, or as itself."""
        down, across = self.taps
        w = pad_last(w, down * across - w.shape[-1])
        return rearrange(w, "... (down across) -> ... down across", down=down)

    def unfold(
        self, y: Inexact[Array, "*lead height width"], items: int
    ) -> Inexact[Array, "*lead items newlength"]:
        """The linear convolution of each sequence, from the convolution of the planes."""
        if self.layout == "coprime":
            return rearrange(
                y[..., : items * self.width], "... 1 (items width) -> ... items width", items=items
            )
        y = rearrange(
            y[..., : items * self.rows, :], "... (items rows) length -> ... items rows length", items=items
        )
        return overlap_add(y, self.width)


def plan_1d(
    x_shape: ShapeLike,
    w_shape: ShapeLike,
    shape: ShapeLike,
    boundary: TextLike = "full",
    layout: TextLike | None = None,
) -> Folding:
    """The layout of sequences on a plane that takes the fewest optical transforms.

    A sequence folded into rows of L samples, i = L r + c, is convolved by convolving the planes: indices add
    on the plane as on the line. Columns beyond L belong to the rows below and are added there in electronics.
    With a kernel of K ≤ L taps in one row, L = columns − K + 1, this is overlap-add in the rows, one tile of
    the line in each. With a longer kernel, L = (columns + 1) / 2, the rows convolve too. One convolution then
    has about (rows · columns / 4)² products of samples and taps, against rows · columns² / 4 in rows that are
    kept apart. A device with coprime sides has a third layout, a line of rows · columns pixels
    (`convolve_coprime`) with overlap-add along it.

    Arguments:
        x_shape, w_shape: of the arrays (..., length), leading axes included.
        shape: pixels (rows, columns) of the device.
        boundary: "full", "same", "valid", "circular" or "negacyclic".
        layout: "fold", "coprime", or None for the best.

    Returns:
        `Folding`.

    Raises:
        ValueError: an unknown boundary or layout, "coprime" where the sides are not, or arrays that do not
            fit together.

    Source: R. C. Agarwal and C. S. Burrus, IEEE Trans. ASSP 22, 1 (1974).
    """
    x_shape, w_shape, (rows, cols) = as_shapes(x_shape, w_shape, shape, 1)
    check_boundary(x_shape, w_shape, boundary, 1)
    samples = x_shape[-1]
    (taps,) = taps_after_wrap(x_shape[-1:], w_shape[-1:], boundary)
    coprime = math.gcd(rows, cols) == 1 and rows > 1
    layouts = ("fold", "coprime") if coprime else ("fold",)
    if layout is not None and layout not in layouts:
        raise ValueError(
            f"`layout` must be {' or '.join(map(repr, layouts))} or None on a device of {rows}×{cols} "
            f"pixels, got {describe(layout)}."
        )
    _, x_lead, w_lead, items = shared_axes(x_shape, w_shape, 1)

    def plan(layout, width, height, kernel, pixels):
        planes = (*x_lead, items * height, width) if layout == "fold" else (*x_lead, 1, items * width)
        tiling = plan_tiles(planes, (*w_lead, *kernel), pixels, "full", method="add")
        numbers = (tiling.x_planes, tiling.w_planes, tiling.products)
        return Folding((rows, cols), *numbers, boundary, layout, width, height, kernel, tiling)

    plans = []
    if layout != "coprime":
        # Rows as long as the columns leave room for beside a kernel of one row, and beside one of several.
        widths = {(cols + 1) // 2} | ({cols - taps + 1} if taps <= cols else set())
        for width in sorted(widths, reverse=True):
            kernel = (-(-taps // width), min(taps, width))
            height = -(-samples // width) + kernel[0] - 1
            plans.append(plan("fold", width, height, kernel, (rows, cols)))
    if layout != "fold" and coprime:
        plans.append(plan("coprime", samples + taps - 1, 1, (1, taps), (1, rows * cols)))
    return min(plans, key=lambda plan: (plan.transforms, plan.products))


def convolve_1d(
    x: ArrayLike,
    w: ArrayLike,
    device: DeviceLike = None,
    key: KeyLike = None,
    *,
    boundary: TextLike = "full",
    plan: PlanLike = None,
    convolve: FunctionLike = convolve,
) -> Inexact[Array, "*lead length"]:
    """Convolution of sequences and kernels of any length on the planes of a device.

        y[i] = Σ_u w[u] x[i − u]

    Sequences share planes along those leading axes along which w does not vary. A circular convolution whose
    period fills a row of the device, or all of a device with coprime sides, needs no overlap: `convolve_rows`
    and `convolve_coprime` take fewer exposures for those.

    Arguments:
        x, w: shapes (..., length), any length each, real or complex, any units; leading axes broadcast as in
            x * w.
        device: any device that convolves; None is the exact convolution.
        key: `jax.random.key` of the device's noise, consumed; every plane of the device has its own. None
            computes without noise.
        boundary: "full", "same", "valid", "circular" or "negacyclic", as in `convolve_tiled`.
        plan: of `plan_1d` for these shapes; None is the one with the fewest transforms.
        convolve: convolves planes of the device's shape, such as `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape by `boundary`, in the product of the units; real when both are.

    Raises:
        ValueError: no axis, empty arrays, leading axes that do not broadcast, an unknown boundary, a kernel
            that does not fit in x for "valid", a plan for other shapes, or no device.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> device = optics.presets.load("ideal", pixels=11)
        >>> optics.mapping.convolve_1d(jnp.ones(1000), jnp.ones(30), device, boundary="valid").shape
        (971,)
    """
    x, w = as_line("x", x), as_line("w", w)
    check_boundary(x.shape, w.shape, boundary, 1)
    check_convolve(convolve)
    check_key("key", key)
    if device is None:
        return convolve_exact(x[..., None, :], w[..., None, :], boundary, convolve)[..., 0, :]
    check_device(device)
    sizes = (x.shape, w.shape, tuple(device.shape), boundary)
    plan = choose_plan(plan, Folding, plan_1d, sizes, ("layout",))
    samples = x.shape[-1:]
    w = wrap_kernel(w, samples, boundary)
    taps = w.shape[-1:]
    x, w, split_shared_axes = merge_shared_axes(x, w, 1)
    convolve_planes = _on_planes(convolve, device, plan.layout)
    y = convolve_with_plan(plan.fold(x), plan.fold_kernel(w), plan.tiling, convolve_planes, key)
    y = select_outputs(plan.unfold(y, x.shape[0]), samples, taps, boundary)
    return split_shared_axes(jnp.moveaxis(y, -2, 0))


def _on_planes(convolve: Callable, device: DeviceLike, layout: str) -> Callable:
    """(x, w, key) -> circular convolution of planes of the layout; those of "coprime" have one long row."""
    if layout == "fold":
        return lambda x, w, key: convolve(x, w, device, key)

    def convolve_lines(x, w, key):
        x, w = (to_plane(a[..., 0, :], device.shape) for a in (x, w))
        return to_line(convolve(x, w, device, key))[..., None, :]

    return convolve_lines
