"""Lines and kernels of any length on a Fourier engine, whose parts are added as spectra."""

import dataclasses
import math
import string
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Complex, Inexact

from optics._check import check_function, check_key, describe
from optics._chunks import largest_even_chunk, map_in_chunks
from optics._half_spectra import half_spectrum, planes_from_half
from optics._keys import split_key
from optics._numerics import pad_last, zero_where_dark
from optics._typing import ArrayLike, DeviceLike, FunctionLike, KeyLike, PlanLike, ShapeLike, TextLike
from optics.convolution import check_device, transform
from optics.mapping._boundary import as_line, as_shapes, check_boundary, output_range
from optics.mapping._overlap import cut_line, overlap_add
from optics.mapping._plan import Plan, choose_plan, count_planes, match_axes
from optics.mapping._sequences import convolve_1d

BOUNDARIES = ("full", "same", "valid")


@dataclasses.dataclass(frozen=True)
class Partition(Plan):
    """A plan of `convolve_partitioned`.

    Attributes:
        boundary: "full", "same" or "valid".
        width: samples in a row of the plane.
        block: (rows, columns) of the plane that one block of the kernel fills.
        blocks: (along the rows, within a row) of the kernel.
        step: rows of a plane whose outputs are kept.
        tiles: of the output, in a line.
        outputs: planes that are transformed back.
    """

    boundary: str
    width: int
    block: tuple[int, int]
    blocks: tuple[int, int]
    step: int
    tiles: int
    outputs: int

    @property
    def transforms(self) -> int:
        """Optical transforms: of each part of the input and the kernel, and one back for each sum."""
        return self.x_planes + self.w_planes + self.outputs

    @property
    def parts(self) -> int:
        """Parts of a line that are transformed, for each delay within a row."""
        return (self.tiles - 1) * (self.step // self.block[0]) + self.blocks[0]

    def cut(self, x: Inexact[Array, "*lead samples"], taps: int) -> Inexact[Array, "*lead delays parts r c"]:
        """The parts of the input on planes, delayed by each of the columns at which a block begins."""
        start, _ = output_range(x.shape[-1], taps, self.boundary)
        rows, cols = self.tile
        down, across = self.block
        # The first output lies where nothing of the row before it reaches.
        before = (across - 1 - start) % self.width
        first_row = (start + before - (across - 1)) // self.width - down * self.blocks[0] + 1
        height = down * (self.parts - 1) + rows
        samples = height * self.width
        lines = []
        for delay in range(self.blocks[1]):
            shift = before + across * delay - first_row * self.width
            line = pad_last(x, 0, shift) if shift >= 0 else x[..., -shift:]
            lines.append(pad_last(line[..., :samples], max(0, samples - line.shape[-1])))
        x = rearrange(jnp.stack(lines, -2), "... (height width) -> ... width height", width=self.width)
        x = rearrange(cut_line(x, rows, down, self.parts), "... width parts rows -> ... parts rows width")
        return pad_last(x, cols - self.width)

    def cut_kernel(self, w: Inexact[Array, "*lead taps"]) -> Inexact[Array, "*lead delays blocks r c"]:
        """The blocks of the kernel at the origin of planes, the last ones first."""
        (down, across), (along, within) = self.block, self.blocks
        rows, cols = self.tile
        w = pad_last(w, along * down * self.width - w.shape[-1])
        w = rearrange(w, "... (rows width) -> ... rows width", width=self.width)
        # A kernel of one row may be shorter than that, and blocks may end beyond it: there are zeros.
        w = pad_last(w, max(0, within * across - self.width))[..., : within * across]
        w = rearrange(
            w,
            "... (along down) (within across) -> ... within along down across",
            down=down,
            across=across,
        )
        return jnp.pad(jnp.flip(w, -3), [(0, 0)] * (w.ndim - 2) + [(0, rows - down), (0, cols - across)])

    def join(
        self, y: Inexact[Array, "*lead tiles rows cols"], outputs: int
    ) -> Inexact[Array, "*lead outputs"]:
        """The line of outputs, from the planes of the sums."""
        down, across = self.block
        y = y[..., down - 1 : down - 1 + self.step, : self.width + across - 1]
        y = overlap_add(rearrange(y, "... tiles rows cols -> ... (tiles rows) cols"), self.width)
        return y[..., across - 1 : across - 1 + outputs]


def plan_partitioned(
    x_shape: ShapeLike, w_shape: ShapeLike, shape: ShapeLike, boundary: TextLike = "full"
) -> Partition:
    """The partition that takes the fewest optical transforms.

    A line lies on planes row by row, L samples in each; blocks of the kernel have k ≤ L taps in each of b
    rows, with L + k − 1 columns in all. A plane of R rows then gives R − b + 1 rows of outputs that no
    wrapped product reaches. Every block meets a part of the input of its own delay; their products are added
    as spectra, and one transform back gives a tile of the output, whatever the number of blocks and channels.

    Arguments:
        x_shape, w_shape: of the arrays (..., channels, length), leading axes included.
        shape: pixels (rows, columns) of the device.
        boundary: "full", "same" or "valid".

    Returns:
        `Partition`; ties go to fewer products.

    Raises:
        ValueError: another boundary, or arrays that do not fit together.

    Source: uniformly partitioned overlap-save, W. G. Gardner, J. Audio Eng. Soc. 43, 127 (1995); rows of a
    line on planes, R. C. Agarwal and C. S. Burrus, IEEE Trans. ASSP 22, 1 (1974).
    """
    x_shape, w_shape, (rows, cols) = as_shapes(x_shape, w_shape, shape, 1)
    _check_shapes(x_shape, w_shape, boundary)
    samples, taps = x_shape[-1], w_shape[-1]
    inputs, kernels, pairs = count_planes(x_shape[:-1], w_shape[:-1])
    sums = math.prod(jnp.broadcast_shapes(x_shape[:-2], w_shape[:-2]))
    _, outputs = output_range(samples, taps, boundary)

    def plan(across: int, down: int) -> Partition:
        width = cols - across + 1
        kernel_rows = -(-taps // width)
        blocks = (-(-kernel_rows // down), -(-min(taps, width) // across))
        step = (rows - down + 1) // down * down
        tiles = -(-(across - 1 + outputs) // (width * step))
        partition = Partition(
            (rows, cols), 0, 0, 0, boundary, width, (down, across), blocks, step, tiles, sums * tiles
        )
        return dataclasses.replace(
            partition,
            x_planes=inputs * blocks[1] * partition.parts,
            w_planes=kernels * math.prod(blocks),
            products=pairs * tiles * math.prod(blocks),
        )

    plans = [
        plan(across, down)
        for across in range(1, (cols + 1) // 2 + 1)
        for down in range(1, (rows + 1) // 2 + 1)
        if across <= taps and (down == 1 or (down - 1) * (cols - across + 1) < taps)
    ]
    return min(plans, key=lambda plan: (plan.transforms, plan.products))


def convolve_partitioned(
    x: ArrayLike,
    w: ArrayLike,
    device: DeviceLike = None,
    key: KeyLike = None,
    *,
    boundary: TextLike = "full",
    plan: PlanLike = None,
    transform: FunctionLike = transform,
) -> Inexact[Array, "*lead length"]:
    """Convolution of lines of any length, summed over channels, with one optical transform back for each part
    of a sum.

        y[i] = Σ_c Σ_u w[c, u] x[c, i − u]

    Where `convolve_1d` detects the product of each channel and each block of a long kernel, this adds the
    products as spectra, in electronics, before they are transformed back. A device must have a transform of
    its own, as a Fourier engine has. The result has about the noise of `convolve_1d`.

    Arguments:
        x, w: shapes (..., channels, length), any length each, real or complex, any units; leading axes
            broadcast as in x * w.
        device: a device with a transform of its own; None is the exact convolution.
        key: `jax.random.key` of the device's noise, consumed; None computes without noise.
        boundary: "full", "same" or "valid", as in `convolve_tiled`.
        plan: of `plan_partitioned` for these shapes; None is the one with the fewest transforms.
        transform: transforms planes of the device's shape, such as `optics.ideal_gradient(optics.transform)`.

    Returns:
        shape (..., outputs) by `boundary`, in the product of the units; real when both are.

    Raises:
        ValueError: fewer than two axes, empty arrays, axes that do not broadcast, another boundary, a kernel
            that does not fit in x for "valid", a plan for other shapes, or a device that only convolves.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> device = optics.presets.load("ideal", pixels=11)
        >>> x, w = jnp.ones((8, 1000)), jnp.ones((8, 300))
        >>> optics.mapping.convolve_partitioned(x, w, device, boundary="valid").shape
        (701,)
    """
    x, w = as_line("x", x), as_line("w", w)
    _check_shapes(x.shape, w.shape, boundary)
    check_function("transform", transform, "`optics.transform`")
    check_key("key", key)
    if device is None:
        return jnp.sum(convolve_1d(x, w, boundary=boundary), axis=-2)
    check_device(device)
    plan = choose_plan(plan, Partition, plan_partitioned, (x.shape, w.shape, tuple(device.shape), boundary))
    x_key, w_key, y_key = split_key(key, 3)
    samples, taps = x.shape[-1], w.shape[-1]
    outputs = output_range(samples, taps, boundary)[1]
    optical = _Transforms(transform, device, not (jnp.iscomplexobj(x) or jnp.iscomplexobj(w)))
    x, w = match_axes(x, w)
    spectra = optical.forward(plan.cut(x, taps), x_key)
    kernels = optical.forward(plan.cut_kernel(w), w_key)
    scale = math.sqrt(math.prod(plan.tile))

    def apply(kernels, key):
        return plan.join(scale * optical.back(_add_products(spectra, kernels, plan), key), outputs)

    # Kernels that share their inputs are computed in parts of bounded memory.
    shared = [axis for axis in range(x.ndim - 2) if x.shape[axis] == 1]
    if not shared:
        return apply(kernels, y_key)
    axis = max(shared, key=lambda axis: w.shape[axis])
    elements = plan.outputs * math.prod(plan.tile) // w.shape[axis]

    def apply_part(kernels, key):
        return jnp.moveaxis(apply(jnp.moveaxis(kernels, 0, axis), key), axis, 0)

    y = map_in_chunks(apply_part, jnp.moveaxis(kernels, axis, 0), y_key, elements)
    return jnp.moveaxis(y, 0, axis)


@dataclasses.dataclass(frozen=True)
class _Transforms:
    """Transforms of planes, forward and back; of real ones by half of the spectrum."""

    transform: Callable
    device: DeviceLike
    real: bool

    def forward(
        self, a: Inexact[Array, "*lead rows cols"], key: KeyLike
    ) -> Complex[Array, "*lead rows half"]:
        """Spectra; parts that are zero are not exposed."""
        if self.real:
            spectra = half_spectrum(a, self.transform, self.device, key)
        else:
            spectra = self.transform(a, self.device, key)
        return zero_where_dark(spectra, a)

    def back(self, a: Complex[Array, "*lead rows half"], key: KeyLike) -> Inexact[Array, "*lead rows cols"]:
        """Planes; sums that are zero are not exposed."""
        if self.real:
            planes = planes_from_half(a, tuple(self.device.shape), self.transform, self.device, key)
        else:
            # The lens only transforms forwards.
            planes = jnp.conj(self.transform(jnp.conj(a), self.device, key))
        return zero_where_dark(planes, a)


def _add_products(
    spectra: Complex[Array, "*x channels delays parts rows half"],
    kernels: Complex[Array, "*w channels delays blocks rows half"],
    plan: Partition,
) -> Complex[Array, "*lead tiles rows half"]:
    """The spectrum of each tile of the output: the sum over channels, delays and blocks.

    Every block meets all tiles; a long kernel is added in parts, so that the memory is bounded.
    """
    count = plan.blocks[0]
    of_tiles = np.arange(plan.tiles)[:, None] * (plan.step // plan.block[0])

    def add(blocks, kernels):
        parts = jnp.take(spectra, of_tiles + blocks, axis=-3)
        return _sum_of_products(jnp.moveaxis(parts, -4, -6), kernels)

    size = largest_even_chunk(count, plan.tiles * spectra.size // plan.parts)
    if size == count:
        return add(np.arange(count), kernels)
    kernels = jnp.moveaxis(kernels, -3, 0)
    kernels = jnp.moveaxis(kernels.reshape(-1, size, *kernels.shape[1:]), 1, -3)
    chunks = (jnp.arange(count).reshape(-1, size), kernels)
    start = jnp.zeros_like(jax.eval_shape(add, *jax.tree.map(lambda a: a[0], chunks)))
    total = jax.checkpoint(lambda total, chunk: (total + add(*chunk), None))
    return jax.lax.scan(total, start, chunks)[0]


def _sum_of_products(
    x: Complex[Array, "*x tiles channels delays blocks rows half"],
    w: Complex[Array, "*w channels delays blocks rows half"],
) -> Complex[Array, "*lead tiles rows half"]:
    """Σ x w over channels, delays and blocks, as a product of real matrices for each frequency: of
    [Re x, Im x] with [Re w, −Im w] and [Im w, Re w].
    """
    shape = (*jnp.broadcast_shapes(x.shape[:-6], w.shape[:-5]), x.shape[-6], *x.shape[-2:])
    terms = "channels delays blocks rows half -> ... (rows half) (channels delays blocks)"
    x, w = (rearrange(a, f"... {terms}") for a in (x, w))
    x = jnp.concatenate([x.real, x.imag], -1)
    w = jnp.stack([jnp.concatenate([w.real, -w.imag], -1), jnp.concatenate([w.imag, w.real], -1)])
    # A letter for each leading axis that an array varies along: einsum broadcasts no axis of length 1.
    letters = string.ascii_lowercase[: x.ndim - 3]
    of_x, of_w = (
        "".join(letter for letter, n in zip(letters, lead, strict=True) if n > 1)
        for lead in (x.shape[:-3], w.shape[1:-2])
    )
    x, w = (
        x.reshape(*(n for n in x.shape[:-3] if n > 1), *x.shape[-3:]),
        w.reshape(2, *(n for n in w.shape[1:-2] if n > 1), *w.shape[-2:]),
    )
    of_both = "".join(letter for letter in letters if letter in of_x + of_w)
    y = jnp.einsum(f"{of_x}TFZ,C{of_w}FZ->C{of_both}TF", x, w)
    return jax.lax.complex(y[0], y[1]).reshape(shape)


def _check_shapes(x_shape: tuple[int, ...], w_shape: tuple[int, ...], boundary: TextLike) -> None:
    """Refuse another boundary, and arrays without an axis of channels or that do not fit together."""
    if not isinstance(boundary, str) or boundary not in BOUNDARIES:
        raise ValueError(f"`boundary` must be one of {', '.join(BOUNDARIES)}; got {describe(boundary)}.")
    for name, shape in (("x", x_shape), ("w", w_shape)):
        if len(shape) < 2:
            raise ValueError(f"`{name}` must have axes (..., channels, length), got shape {tuple(shape)}.")
    check_boundary(x_shape, w_shape, boundary, 1)
    if x_shape[-2] != w_shape[-2]:
        raise ValueError(
            f"`x` and `w` must have the same number of channels, got {x_shape[-2]} and {w_shape[-2]}."
        )
