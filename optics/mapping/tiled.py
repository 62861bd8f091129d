"""Convolution of planes and kernels of any size on a device of a given one."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import plane
from optics.convolution import convolve, is_device
from optics.mapping.boundary import check, exact, finish, grown, on_axes, wanted, wrapped
from optics.mapping.pieces import cut, overlap_add
from optics.mapping.tiling import Tiling, plan_tiles
from optics.mapping.turns import function, in_turns, unlit


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
    x, w = plane("x", x), plane("w", w)
    check(x.shape, w.shape, boundary)
    function(convolve)
    if device is None:
        return exact(x, w, boundary, convolve)
    is_device(device)
    sizes = (x.shape, w.shape, tuple(device.shape))
    if plan is None:
        plan = plan_tiles(*sizes, boundary)
    elif not isinstance(plan, Tiling) or plan.tile != sizes[2] or plan != plan_tiles(*sizes, boundary, plan.block, plan.method):
        raise ValueError(f"`plan` must be that of `plan_tiles{(*sizes, boundary)}`, with or without a block and a method; got {plan!r}.")
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
        y = unlit(on_device(x, blocks, key), x, blocks)
        # All of a tile of overlap-add is right; wrapped products reach the beginning of a tile of overlap-save.
        return y if plan.method == "add" else y[..., plan.block[0] - 1 :, plan.block[1] - 1 :]

    def rows(x, key):
        """Rows of tiles, put together from left to right: (rows of tiles, ..., blocks down, rows, columns)."""
        y = in_turns(products, jnp.moveaxis(x, 1, 0), key, x.shape[0] * pixels)
        y = y.reshape(*y.shape[:-3], *plan.blocks, *y.shape[-2:])
        # From (tiles, rows of tiles, ..., blocks down, blocks across, rows, columns).
        return _line(jnp.swapaxes(jnp.moveaxis(y, 0, -2), -4, -3), *across)

    y = in_turns(rows, tiles, key, plan.tiles[1] * pixels)
    y = jnp.swapaxes(_line(jnp.moveaxis(jnp.moveaxis(y, 0, -3), -1, -4), *down), -2, -1)
    if plan.method == "add":
        return finish(y, x_space, w_space, plan.boundary)

    def crop(a, length, taps, block, blocks):
        start = (blocks - 1) * block
        return a[..., start : start + wanted(length, taps, plan.boundary)[1]]

    return on_axes(crop, y, x_space, w_space, plan.block, plan.blocks)


def _line(pieces: Inexact[Array, "*lead blocks tiles piece"], step: int, block: int) -> Inexact[Array, "*lead line"]:
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

    down, across = zip(x.shape[-2:], w_space, plan.tile, plan.step, plan.block, plan.blocks, plan.tiles, strict=True)
    # (..., height, width) to (..., height, tiles, columns) to (..., tiles across, columns, tiles down, rows).
    a = of_axis(jnp.moveaxis(of_axis(x, *across), -3, -1), *down)
    return jnp.moveaxis(jnp.moveaxis(a, (-2, -4), (0, 1)), -2, -1)[..., None, :, :]


def _blocks(w: Inexact[Array, "*lead height width"], plan: Tiling) -> Inexact[Array, "*lead blocks rows cols"]:
    """The blocks of the kernel, row by row, each at the origin of a plane."""
    w = grown(w, tuple(b * k for b, k in zip(plan.blocks, plan.block, strict=True)))
    (down, across), (rows, cols) = plan.blocks, plan.block
    w = jnp.swapaxes(w.reshape(*w.shape[:-2], down, rows, across, cols), -3, -2)
    return grown(w.reshape(*w.shape[:-4], down * across, rows, cols), plan.tile)
