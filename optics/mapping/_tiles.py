"""Convolution of planes and kernels of any size on a device of a given one."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from optics._check import as_plane, check_convolve, check_whole
from optics._chunks import chunk_sizes, map_in_chunks
from optics._numerics import zero_where_dark
from optics.convolution import check_device, convolve
from optics.mapping._boundary import (
    SIGNS,
    check,
    exact,
    finish,
    grown,
    kernel_space,
    on_axes,
    wanted,
    wrapped,
)
from optics.mapping._plan import Plan


def cut(
    a: Inexact[Array, "*lead line"], length: int, step: int, count: int
) -> Inexact[Array, "*lead count length"]:
    """Piece s is a[s · step : s · step + length]; zeros beyond the end."""
    # A piece is a whole number of steps, cut to its length in the end.
    parts = -(-length // step)
    steps = count + parts - 1
    have = min(a.shape[-1], steps * step)
    a = _pad(a[..., :have], steps * step - have).reshape(*a.shape[:-1], steps, step)
    a = jnp.broadcast_to(jnp.moveaxis(a, -2, -1)[..., None, :], (*a.shape[:-2], step, parts, steps))
    # Row p of (parts, steps) moves p places to the left: one place more in each row of the same line.
    flat = _pad(a.reshape(*a.shape[:-2], -1), parts)
    pieces = flat.reshape(*a.shape[:-1], steps + 1)[..., :count]
    # From (..., step, parts, count).
    order = [*range(a.ndim - 3), a.ndim - 1, a.ndim - 2, a.ndim - 3]
    return pieces.transpose(order).reshape(*a.shape[:-3], count, parts * step)[..., :length]


def overlap_add(pieces: Inexact[Array, "*lead count length"], step: int) -> Inexact[Array, "*lead line"]:
    """The line Σ_s piece s delayed by s · step, of (count − 1) · step + length samples; the transpose of `cut`."""
    count, length = pieces.shape[-2:]
    if count * step <= length:
        return jnp.sum(_delayed(pieces, step), axis=-2)
    # Many short pieces: in steps, so that the delayed copies are no longer than the line.
    parts = -(-length // step)
    in_steps = _pad(pieces, parts * step - length).reshape(*pieces.shape[:-1], parts, step)
    order = [*range(pieces.ndim - 2), pieces.ndim, pieces.ndim - 1, pieces.ndim - 2]
    line = jnp.sum(_delayed(in_steps.transpose(order), 1), axis=-2)
    line = jnp.moveaxis(line, -1, -2).reshape(*pieces.shape[:-2], -1)
    return line[..., : (count - 1) * step + length]


def _delayed(a: Inexact[Array, "*lead rows length"], step: int) -> Inexact[Array, "*lead rows line"]:
    """Row r moved r · step to the right: the same line, read with rows that are one step shorter."""
    rows, length = a.shape[-2:]
    line = (rows - 1) * step + length
    flat = _pad(a, line + step - length).reshape(*a.shape[:-2], -1)
    return flat[..., : rows * line].reshape(*a.shape[:-1], line)


def _pad(a: Array, after: int) -> Array:
    return jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, after)])


@dataclasses.dataclass(frozen=True)
class Tiling(Plan):
    """A plan of `convolve_tiled`, by axis (rows, columns).

    Attributes:
        boundary: that it is for.
        method: "add" (overlap-add) or "save" (overlap-save).
        step: samples that a tile is responsible for, n − block + 1 of its n pixels.
        tiles: how many tiles.
        block: taps of one block of the kernel.
        blocks: how many blocks.
    """

    boundary: str
    method: str
    step: tuple[int, int]
    tiles: tuple[int, int]
    block: tuple[int, int]
    blocks: tuple[int, int]


def plan_tiles(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    shape: Sequence[int],
    boundary: str = "full",
    block: Any = None,
    method: Any = None,
) -> Tiling:
    """The tiling that takes the fewest optical transforms.

    A kernel of K taps is split into B = ⌈K/k⌉ blocks of k, and a tile of n pixels then has L = n − k + 1 samples that no
    wrapped product reaches. Of N samples and O wanted outputs, the number of tiles is

        overlap-add    S = ⌈N / L⌉                       the input is divided, and the linear results are added
        overlap-save   S = ⌈(O + (B − 1) k) / L⌉         the outputs are divided, and each tile sees what they need

    Every tile meets every block, so an engine transforms S tiles, B blocks and S · B products. A tile holds the same L
    either way, but where O ≥ N ("full", "same" and the periodic boundaries) overlap-add never takes more, and where O < N
    ("valid") overlap-save never takes more. Where they are equal, overlap-add is taken: its tiles have a dark margin, so a
    shorter exposure and less noise. Where the camera's noise matters more than time, it is better for "valid" too.

    A whole kernel is seldom best: with K = n each tile has a single sample, while k ≈ n/2 by axis has four blocks and n²/4
    samples a tile. A period of n samples is a tile of its own, and wraps on the device.

    Arguments:
        x_shape, w_shape: of the arrays, leading axes included, which broadcast.
        shape: pixels (rows, columns) of the device.
        boundary: "full", "same", "valid", "circular" or "negacyclic".
        block: taps (rows, columns) of a block, or one number for both; None for the best.
        method: "add", "save" (not for periodic boundaries), or None for the best.

    Returns:
        `Tiling`; ties go to fewer products.

    Raises:
        ValueError: an unknown boundary or method, arrays that do not fit together, or a block larger than the kernel or the
            device.

    Source: A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing, 3rd ed. (2010), section 8.7.3.
    """
    x_shape, w_shape = tuple(x_shape), tuple(w_shape)
    check(x_shape, w_shape, boundary)
    methods = ("add",) if boundary in SIGNS else ("add", "save")
    if method is not None and (not isinstance(method, str) or method not in methods):
        raise ValueError(
            f'`method` must be {" or ".join(map(repr, methods))} or None for boundary "{boundary}", got {method!r}.'
        )
    x_space, w_space = x_shape[-2:], kernel_space(x_shape[-2:], w_shape[-2:], boundary)
    fixed = (
        (block, block)
        if isinstance(block, int | np.integer)
        else (None, None)
        if block is None
        else tuple(block)
    )
    if len(fixed) != 2:
        raise ValueError(f"`block` must be one whole number or a pair (rows, columns), got {block!r}.")
    for taps, n, one in zip(w_space, shape, fixed, strict=True):
        if one is not None:
            check_whole("block", one, 1, min(taps, n))
    counts = [
        math.prod(lead)
        for lead in (x_shape[:-2], w_shape[:-2], jnp.broadcast_shapes(x_shape[:-2], w_shape[:-2]))
    ]

    def tiling(method, down, across):
        block, blocks, step, tiles = zip(down, across, strict=True)
        s, b = math.prod(tiles), math.prod(blocks)
        pixels = counts[2] * b * math.prod(shape)
        at_once, turns = chunk_sizes(tiles[0], pixels * tiles[1])
        turns *= chunk_sizes(tiles[1], pixels * at_once)[1]
        planes = (counts[0] * s, turns * counts[1] * b, counts[2] * s * b)
        return Tiling(tuple(shape), *planes, boundary, method, step, tiles, block, blocks)

    def cost(chosen):
        _, (_, down_blocks, _, down), (_, across_blocks, _, across) = chosen
        s, b = down * across, down_blocks * across_blocks
        products = counts[2] * s * b
        return counts[0] * s + counts[1] * b + products, products

    found = []
    for m in methods if method is None else (method,):
        of_axes = (
            _divisions(*axis, boundary, m) for axis in zip(x_space, w_space, shape, fixed, strict=True)
        )
        found += [(m, down, across) for down, across in itertools.product(*of_axes)]
    return tiling(*min(found, key=cost))


def _divisions(
    length: int, taps: int, pixels: int, fixed: int | None, boundary: str, method: str
) -> list[tuple[int, int, int, int]]:
    """(block, blocks, step, tiles) for each number of blocks, with the smallest block that makes it."""
    found = []
    outputs = 0 if method == "add" else wanted(length, taps, boundary)[1]
    for block in range(1, min(taps, pixels) + 1) if fixed is None else (fixed,):
        blocks, step = -(-taps // block), pixels - block + 1
        if fixed is None and block != -(-taps // blocks):
            continue
        samples = length if method == "add" else outputs + (blocks - 1) * block
        found.append((block, blocks, step, -(-samples // step)))
    if boundary == "circular" and length == pixels and fixed in (None, taps):
        # The plane is one period: what the device computes is what is wanted.
        found.append((taps, 1, pixels, 1))
    return found


def convolve_tiled(
    x: Any,
    w: Any,
    device: Any = None,
    key: Array | None = None,
    *,
    boundary: str = "full",
    plan: Any = None,
    convolve: Any = convolve,
) -> Inexact[Array, "*lead rows cols"]:
    """Convolution over the last two axes of arrays of any size, in tiles of the size of the device.

        y[i] = Σ_u w[u] x[i − u]

    "full", "same" and "valid" are those of `scipy.signal.convolve2d`: x is zero outside, and all outputs, those in the
    middle in the shape of x, or those that see no outside are returned. "circular" and "negacyclic" have the shape of x,
    indices are modulo it, and "negacyclic" changes the sign with each wrap, by axis. Their origin is w[0, 0], as in
    `optics.convolve`; `jnp.roll` the result to have it elsewhere.

    Blocks of a kernel that are shown apart are added in electronics. A tile or a block of zeros is not exposed.

    Arguments:
        x, w: shapes (..., rows, columns), any size each, real or complex, any units; leading axes broadcast as in x * w.
        device: `FourierProcessor` and its like; None is the exact convolution, computed without tiles.
        key: `jax.random.key` of the device's noise, consumed; every tile has its own. None gives the expected value.
        boundary: "full", "same", "valid", "circular" or "negacyclic".
        plan: of `plan_tiles` for these shapes; None is the one with the fewest transforms.
        convolve: what convolves planes of the device's shape, such as `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape by `boundary`, in the product of the units; real when both are.

    Raises:
        ValueError: fewer than two axes, empty arrays, leading axes that do not broadcast, an unknown boundary, a kernel that
            does not fit in x for "valid", a plan for something else, or what is no device.
    """
    x, w = as_plane("x", x), as_plane("w", w)
    check(x.shape, w.shape, boundary)
    check_convolve(convolve)
    if device is None:
        return exact(x, w, boundary, convolve)
    check_device(device)
    sizes = (x.shape, w.shape, tuple(device.shape))
    if plan is None:
        plan = plan_tiles(*sizes, boundary)
    elif (
        not isinstance(plan, Tiling)
        or plan.tile != sizes[2]
        or plan != plan_tiles(*sizes, boundary, plan.block, plan.method)
    ):
        raise ValueError(
            f"`plan` must be that of `plan_tiles{(*sizes, boundary)}`, with or without a block and a method; got {plan!r}."
        )
    return tiled(x, w, plan, lambda x, w, key: convolve(x, w, device, key), key)


def tiled(
    x: Inexact[Array, "*x"], w: Inexact[Array, "*w"], plan: Tiling, on_device: Callable, key: Array | None
) -> Inexact[Array, "*lead rows cols"]:
    """`convolve_tiled` by a plan, with on_device(x, w, key) for planes of shape `plan.tile`."""
    x_space, (down, across) = x.shape[-2:], zip(plan.step, plan.block, strict=True)
    w = wrapped(w, x_space, plan.boundary)
    w_space = w.shape[-2:]
    axes = max(x.ndim, w.ndim)
    x, w = (a.reshape((1,) * (axes - a.ndim) + a.shape) for a in (x, w))
    tiles, blocks = _tiles(x, w_space, plan), _blocks(w, plan)
    pixels = math.prod(jnp.broadcast_shapes(tiles.shape[2:], blocks.shape))

    def products(x, key):
        y = zero_where_dark(on_device(x, blocks, key), x, blocks)
        # All of a tile of overlap-add is right; wrapped products reach the beginning of a tile of overlap-save.
        return y if plan.method == "add" else y[..., plan.block[0] - 1 :, plan.block[1] - 1 :]

    def rows(x, key):
        """Rows of tiles, put together from left to right: (rows of tiles, ..., blocks down, rows, columns)."""
        y = map_in_chunks(products, jnp.moveaxis(x, 1, 0), key, x.shape[0] * pixels)
        y = y.reshape(*y.shape[:-3], *plan.blocks, *y.shape[-2:])
        # From (tiles, rows of tiles, ..., blocks down, blocks across, rows, columns).
        return _line(jnp.swapaxes(jnp.moveaxis(y, 0, -2), -4, -3), *across)

    y = map_in_chunks(rows, tiles, key, plan.tiles[1] * pixels)
    y = jnp.swapaxes(_line(jnp.moveaxis(jnp.moveaxis(y, 0, -3), -1, -4), *down), -2, -1)
    if plan.method == "add":
        return finish(y, x_space, w_space, plan.boundary)

    def crop(a, length, taps, block, blocks):
        start = (blocks - 1) * block
        return a[..., start : start + wanted(length, taps, plan.boundary)[1]]

    return on_axes(crop, y, x_space, w_space, plan.block, plan.blocks)


def _line(
    pieces: Inexact[Array, "*lead blocks tiles piece"], step: int, block: int
) -> Inexact[Array, "*lead line"]:
    """The pieces of all tiles and blocks, each where it belongs on the line, added."""
    return overlap_add(overlap_add(pieces, step), block)


def _tiles(
    x: Inexact[Array, "*lead height width"], w_space: tuple[int, int], plan: Tiling
) -> Inexact[Array, "down across *lead 1 rows cols"]:
    """What is shown of the input in each tile."""

    def of_axis(a, length, taps, n, step, block, blocks, tiles):
        if plan.method == "add":
            pieces = cut(a, step, step, tiles)
            return jnp.pad(pieces, [(0, 0)] * (pieces.ndim - 1) + [(0, n - step)])
        before = blocks * block - 1 - wanted(length, taps, plan.boundary)[0]
        return cut(jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(before, 0)]), n, step, tiles)

    down, across = zip(
        x.shape[-2:], w_space, plan.tile, plan.step, plan.block, plan.blocks, plan.tiles, strict=True
    )
    # (..., height, width) to (..., height, tiles, columns) to (..., tiles across, columns, tiles down, rows).
    a = of_axis(jnp.moveaxis(of_axis(x, *across), -3, -1), *down)
    return jnp.moveaxis(jnp.moveaxis(a, (-2, -4), (0, 1)), -2, -1)[..., None, :, :]


def _blocks(
    w: Inexact[Array, "*lead height width"], plan: Tiling
) -> Inexact[Array, "*lead blocks rows cols"]:
    """The blocks of the kernel, row by row, each at the origin of a plane."""
    w = grown(w, tuple(b * k for b, k in zip(plan.blocks, plan.block, strict=True)))
    (down, across), (rows, cols) = plan.blocks, plan.block
    w = jnp.swapaxes(w.reshape(*w.shape[:-2], down, rows, across, cols), -3, -2)
    return grown(w.reshape(*w.shape[:-4], down * across, rows, cols), plan.tile)
