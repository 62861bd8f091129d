"""How a plane and a kernel of any size are divided among planes of the device's size."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from optics._check import whole
from optics.mapping.boundary import SIGNS, check, kernel_space, wanted
from optics.mapping.plan import Plan
from optics.mapping.turns import groups


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
    x_shape: Sequence[int], w_shape: Sequence[int], shape: Sequence[int], boundary: str = "full", block: Any = None, method: Any = None
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
        raise ValueError(f'`method` must be {" or ".join(map(repr, methods))} or None for boundary "{boundary}", got {method!r}.')
    x_space, w_space = x_shape[-2:], kernel_space(x_shape[-2:], w_shape[-2:], boundary)
    fixed = (block, block) if isinstance(block, int | np.integer) else (None, None) if block is None else tuple(block)
    if len(fixed) != 2:
        raise ValueError(f"`block` must be one whole number or a pair (rows, columns), got {block!r}.")
    for taps, n, one in zip(w_space, shape, fixed, strict=True):
        if one is not None:
            whole("block", one, 1, min(taps, n))
    counts = [math.prod(lead) for lead in (x_shape[:-2], w_shape[:-2], jnp.broadcast_shapes(x_shape[:-2], w_shape[:-2]))]

    def tiling(method, down, across):
        block, blocks, step, tiles = zip(down, across, strict=True)
        s, b = math.prod(tiles), math.prod(blocks)
        pixels = counts[2] * b * math.prod(shape)
        at_once, turns = groups(tiles[0], pixels * tiles[1])
        turns *= groups(tiles[1], pixels * at_once)[1]
        planes = (counts[0] * s, turns * counts[1] * b, counts[2] * s * b)
        return Tiling(tuple(shape), *planes, boundary, method, step, tiles, block, blocks)

    def cost(chosen):
        _, (_, down_blocks, _, down), (_, across_blocks, _, across) = chosen
        s, b = down * across, down_blocks * across_blocks
        products = counts[2] * s * b
        return counts[0] * s + counts[1] * b + products, products

    found = []
    for m in methods if method is None else (method,):
        of_axes = (_divisions(*axis, boundary, m) for axis in zip(x_space, w_space, shape, fixed, strict=True))
        found += [(m, down, across) for down, across in itertools.product(*of_axes)]
    return tiling(*min(found, key=cost))


def _divisions(length: int, taps: int, pixels: int, fixed: int | None, boundary: str, method: str) -> list[tuple[int, int, int, int]]:
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
