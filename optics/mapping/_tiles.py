"""Planes and kernels of any size, in tiles of the size of the device."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Inexact

from optics._check import as_plane, check_convolve, check_key, check_whole, describe
from optics._chunks import chunk_sizes, map_in_chunks
from optics._numerics import pad_last, zero_where_dark
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
    SIGNS,
    as_shapes,
    check_boundary,
    convolve_exact,
    on_axes,
    output_range,
    pad_to,
    select_outputs,
    taps_after_wrap,
    wrap_kernel,
)
from optics.mapping._overlap import cut_line, overlap_add
from optics.mapping._plan import Plan, choose_plan, count_planes, match_axes


@dataclasses.dataclass(frozen=True)
class Tiling(Plan):
    """A plan of `convolve_tiled`, by axis (rows, columns).

    Attributes:
        boundary: "full", "same", "valid", "circular" or "negacyclic".
        method: "add" (overlap-add) or "save" (overlap-save).
        step: samples that a tile is responsible for, n − block + 1 of its n pixels.
        tiles: the number of tiles.
        block: taps of one block of the kernel.
        blocks: the number of blocks.
    """

    boundary: str
    method: str
    step: tuple[int, int]
    tiles: tuple[int, int]
    block: tuple[int, int]
    blocks: tuple[int, int]

    def cut(
        self, x: Inexact[Array, "*lead height width"], taps: Sequence[int]
    ) -> Inexact[Array, "down across *lead 1 rows cols"]:
        """The tiles of the input for a kernel of `taps` (rows, columns), and an axis for its blocks."""

        def cut_axis(a, n, k, pixels, step, tiles, block, blocks):
            if self.method == "add":
                return pad_last(cut_line(a, step, step, tiles), pixels - step)
            before = blocks * block - 1 - output_range(n, k, self.boundary)[0]
            return cut_line(pad_last(a, 0, before), pixels, step, tiles)

        numbers = (x.shape[-2:], taps, self.tile, self.step, self.tiles, self.block, self.blocks)
        of_rows, of_columns = zip(*numbers, strict=True)
        x = rearrange(cut_axis(x, *of_columns), "... height across cols -> ... across cols height")
        return rearrange(cut_axis(x, *of_rows), "... across cols down rows -> down across ... 1 rows cols")

    def cut_kernel(self, w: Inexact[Array, "*lead height width"]) -> Inexact[Array, "*lead blocks rows cols"]:
        """The blocks of the kernel, row by row, each at the origin of a plane."""
        (block_rows, block_cols), (rows, cols) = self.blocks, self.block
        w = rearrange(
            pad_to(w, (block_rows * rows, block_cols * cols)),
            "... (block_rows rows) (block_cols cols) -> ... (block_rows block_cols) rows cols",
            rows=rows,
            cols=cols,
        )
        return pad_to(w, self.tile)

    def crop(self, y: Inexact[Array, "*lead rows cols"]) -> Inexact[Array, "*lead newrows newcols"]:
        """A product without its wrapped terms, which are at the beginning in overlap-save."""
        return y if self.method == "add" else y[..., self.block[0] - 1 :, self.block[1] - 1 :]

    def join_across(
        self, y: Inexact[Array, "across down *lead blocks rows cols"]
    ) -> Inexact[Array, "down *lead blockrows rows width"]:
        """Products of tiles and blocks, added to rows: over the tiles, then over the blocks."""
        y = rearrange(
            y,
            "across down ... (block_rows block_cols) rows cols "
            "-> down ... block_rows rows block_cols across cols",
            block_cols=self.blocks[1],
        )
        return overlap_add(overlap_add(y, self.step[1]), self.block[1])

    def join_down(
        self, y: Inexact[Array, "down *lead blockrows rows width"]
    ) -> Inexact[Array, "*lead height width"]:
        """Joined rows of tiles, added from top to bottom in the same way."""
        y = rearrange(y, "down ... block_rows rows width -> ... width block_rows down rows")
        y = overlap_add(overlap_add(y, self.step[0]), self.block[0])
        return rearrange(y, "... width height -> ... height width")

    def outputs(
        self, y: Inexact[Array, "*lead height width"], samples: Sequence[int], taps: Sequence[int]
    ) -> Inexact[Array, "*lead newheight newwidth"]:
        """The outputs that the boundary asks for, from joined tiles of `samples` with a kernel of `taps`."""
        if self.method == "add":
            return select_outputs(y, samples, taps, self.boundary)

        def crop_axis(a, n, k, block, blocks):
            start = (blocks - 1) * block
            return a[..., start : start + output_range(n, k, self.boundary)[1]]

        return on_axes(crop_axis, y, samples, taps, self.block, self.blocks)


class _Division(NamedTuple):
    """How one axis is divided; the fields are those of `Tiling`."""

    block: int
    blocks: int
    step: int
    tiles: int


def plan_tiles(
    x_shape: ShapeLike,
    w_shape: ShapeLike,
    shape: ShapeLike,
    boundary: TextLike = "full",
    block: ShapeLike | None = None,
    method: TextLike | None = None,
) -> Tiling:
    """The tiling that takes the fewest optical transforms.

    A kernel of K taps is split into B = ⌈K/k⌉ blocks of k, and a tile of n pixels then has L = n − k + 1
    samples that no wrapped product reaches. For N samples and O outputs, the number of tiles is

        overlap-add    S = ⌈N / L⌉                   the input is divided, and the linear results are added
        overlap-save   S = ⌈(O + (B − 1) k) / L⌉     the outputs are divided, and a tile holds what they need

    Every tile meets every block, so an engine transforms S tiles, B blocks and S · B products. L is the same
    for both methods. Where O ≥ N ("full", "same" and the periodic boundaries) overlap-add never takes more
    tiles, and where O < N ("valid") overlap-save never takes more. If they are equal, overlap-add is chosen:
    its tiles have a dark margin, so their exposure is shorter and their noise smaller. Choose it for "valid"
    too if noise matters more than time.

    A whole kernel is seldom best: with K = n each tile has a single sample, while k ≈ n/2 by axis gives four
    blocks and n²/4 samples a tile. A circular convolution of planes of exactly n pixels is one tile, which
    wraps on the device.

    Arguments:
        x_shape, w_shape: of the arrays, leading axes included, which broadcast.
        shape: pixels (rows, columns) of the device.
        boundary: "full", "same", "valid", "circular" or "negacyclic".
        block: taps (rows, columns) of a block, or one number for both; None for the best.
        method: "add", "save" (not for periodic boundaries), or None for the best.

    Returns:
        `Tiling`; ties go to fewer products.

    Raises:
        ValueError: an unknown boundary or method, arrays that do not fit together, or a block larger than the
            kernel or the device.

    Example:
        >>> from optics.mapping import plan_tiles
        >>> plan = plan_tiles((256, 256), (3, 3), (11, 11), "same")
        >>> plan.tiles, plan.transforms
        ((29, 29), 1683)

    Source: A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing, 3rd ed. (2010), section 8.7.3.
    """
    x_shape, w_shape, shape = as_shapes(x_shape, w_shape, shape)
    check_boundary(x_shape, w_shape, boundary)
    methods = ("add",) if boundary in SIGNS else ("add", "save")
    if method is not None and (not isinstance(method, str) or method not in methods):
        raise ValueError(
            f'`method` must be {" or ".join(map(repr, methods))} or None for boundary "{boundary}", '
            f"got {describe(method)}."
        )
    samples, taps = x_shape[-2:], taps_after_wrap(x_shape[-2:], w_shape[-2:], boundary)
    sizes = _block_sizes(block, taps, shape)
    inputs, kernels, pairs = count_planes(x_shape[:-2], w_shape[:-2])

    def cost(division):
        _, down, across = division
        tiles, blocks = down.tiles * across.tiles, down.blocks * across.blocks
        products = pairs * tiles * blocks
        return inputs * tiles + kernels * blocks + products, products

    divisions = []
    for name in methods if method is None else (method,):
        down, across = (
            _divide(*axis, boundary, name) for axis in zip(samples, taps, shape, sizes, strict=True)
        )
        divisions += itertools.product((name,), down, across)
    method, down, across = min(divisions, key=cost)

    tiles, blocks = down.tiles * across.tiles, down.blocks * across.blocks
    pixels = pairs * blocks * math.prod(shape)
    rows, chunks = chunk_sizes(down.tiles, pixels * across.tiles)
    chunks *= chunk_sizes(across.tiles, pixels * rows)[1]
    return Tiling(
        tile=shape,
        x_planes=inputs * tiles,
        w_planes=chunks * kernels * blocks,
        products=pairs * tiles * blocks,
        boundary=boundary,
        method=method,
        step=(down.step, across.step),
        tiles=(down.tiles, across.tiles),
        block=(down.block, across.block),
        blocks=(down.blocks, across.blocks),
    )


def _block_sizes(
    block: ShapeLike | None, taps: Sequence[int], shape: Sequence[int]
) -> tuple[int | None, int | None]:
    """The taps of a block that the user asks for, by axis; None where the plan chooses."""
    if block is None:
        return None, None
    sizes = (block, block) if isinstance(block, int | np.integer) else block
    if not isinstance(sizes, tuple | list) or len(sizes) != 2:
        raise ValueError(
            f"`block` must be one whole number or a pair (rows, columns), got {describe(block)}."
        )
    for size, k, pixels in zip(sizes, taps, shape, strict=True):
        if size is not None:
            check_whole("block", size, 1, min(k, pixels))
    return tuple(sizes)


def _divide(
    samples: int, taps: int, pixels: int, size: int | None, boundary: str, method: str
) -> list[_Division]:
    """The divisions of one axis: the smallest block for each number of blocks, or blocks of `size` taps."""
    divisions = []
    outputs = 0 if method == "add" else output_range(samples, taps, boundary)[1]
    for block in range(1, min(taps, pixels) + 1) if size is None else (size,):
        blocks, step = -(-taps // block), pixels - block + 1
        if size is None and block != -(-taps // blocks):
            continue
        covered = samples if method == "add" else outputs + (blocks - 1) * block
        divisions.append(_Division(block, blocks, step, -(-covered // step)))
    if boundary == "circular" and samples == pixels and size in (None, taps):
        # The plane is one period: the device's own convolution is the result.
        divisions.append(_Division(taps, 1, pixels, 1))
    return divisions


def convolve_tiled(
    x: ArrayLike,
    w: ArrayLike,
    device: DeviceLike = None,
    key: KeyLike = None,
    *,
    boundary: TextLike = "full",
    plan: PlanLike = None,
    convolve: FunctionLike = convolve,
) -> Inexact[Array, "*lead rows cols"]:
    """Convolution over the last two axes of arrays of any size, in tiles of the size of the device.

        y[i] = Σ_u w[u] x[i − u]

    "full", "same" and "valid" are those of `scipy.signal.convolve2d`: x is zero outside, and the result holds
    all outputs, those in the middle in the shape of x, or those that see no outside. "circular" and
    "negacyclic" have the shape of x. Their indices are modulo it, and "negacyclic" changes the sign with each
    wrap, by axis. Their origin is w[0, 0], as in `optics.convolve`; `jnp.roll` the result to move it.

    The products of several blocks of a kernel are added in electronics. A tile or a block of zeros is not
    exposed.

    Arguments:
        x, w: shapes (..., rows, columns), any size each, real or complex, any units; leading axes broadcast
            as in x * w.
        device: any device that convolves; None is the exact convolution, computed without tiles.
        key: `jax.random.key` of the device's noise, consumed; every tile has its own. None gives the expected
            value.
        boundary: "full", "same", "valid", "circular" or "negacyclic".
        plan: of `plan_tiles` for these shapes; None is the one with the fewest transforms.
        convolve: convolves planes of the device's shape, such as `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape by `boundary`, in the product of the units; real when both are.

    Raises:
        ValueError: fewer than two axes, empty arrays, leading axes that do not broadcast, an unknown
            boundary, a kernel that does not fit in x for "valid", a plan for other shapes, or no device.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> device = optics.presets.load("ideal", pixels=5)
        >>> optics.mapping.convolve_tiled(jnp.ones((20, 30)), jnp.ones((3, 3)), device, boundary="same").shape
        (20, 30)
    """
    x, w = as_plane("x", x), as_plane("w", w)
    check_boundary(x.shape, w.shape, boundary)
    check_convolve(convolve)
    check_key("key", key)
    if device is None:
        return convolve_exact(x, w, boundary, convolve)
    check_device(device)
    sizes = (x.shape, w.shape, tuple(device.shape), boundary)
    plan = choose_plan(plan, Tiling, plan_tiles, sizes, ("block", "method"))
    return convolve_with_plan(x, w, plan, lambda x, w, key: convolve(x, w, device, key), key)


def convolve_with_plan(
    x: Inexact[Array, "*x"], w: Inexact[Array, "*w"], plan: Tiling, convolve: Callable, key: Array | None
) -> Inexact[Array, "*lead rows cols"]:
    """`convolve_tiled` by a plan, with convolve(x, w, key) for planes of shape `plan.tile`.

    Rows of tiles are computed in chunks, and within them tiles, so that the memory is bounded. The tiles of a
    row are joined before the next chunk begins.
    """
    samples = x.shape[-2:]
    w = wrap_kernel(w, samples, plan.boundary)
    taps = w.shape[-2:]
    x, w = match_axes(x, w)
    tiles, blocks = plan.cut(x, taps), plan.cut_kernel(w)
    pixels = math.prod(jnp.broadcast_shapes(tiles.shape[2:], blocks.shape))

    def convolve_tiles(x, key):
        return plan.crop(zero_where_dark(convolve(x, blocks, key), x, blocks))

    def convolve_rows(x, key):
        x = rearrange(x, "down across ... -> across down ...")
        return plan.join_across(map_in_chunks(convolve_tiles, x, key, x.shape[1] * pixels))

    rows = map_in_chunks(convolve_rows, tiles, key, plan.tiles[1] * pixels)
    return plan.outputs(plan.join_down(rows), samples, taps)
