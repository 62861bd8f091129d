"""A drop-in for `jax.lax.conv_general_dilated`, made of convolutions on a device."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Inexact

from optics._check import as_array, as_counts, check_key, check_whole, describe
from optics._chunks import largest_even_chunk
from optics._keys import split_key
from optics._program import as_one_program
from optics._typing import ArrayLike, CountLike, DeviceLike, GradientLike, KeyLike, ShapeLike, TextLike
from optics.convolution import check_device, convolve
from optics.gradients import gradient_rule
from optics.mapping._sequences import convolve_1d
from optics.mapping._tiles import convolve_tiled

PADDINGS = ("VALID", "SAME", "SAME_LOWER")


def conv_general_dilated(device: DeviceLike, key: KeyLike = None, gradient: GradientLike = None) -> Callable:
    """A function with the signature of `jax.lax.conv_general_dilated` that computes on a device.

        y[n, o, i] = Σ_c Σ_u w[o, c, u] x[n, c, stride · i + u]

    where x is dilated and padded, w is dilated and c runs over the channels of a group.

    `flax.nnx.Conv(..., conv_general_dilated=fn)` is an optical layer. Each pair of an input and an output
    channel is one convolution on the device, and channels are summed after detection. Planes and kernels
    larger than the device are tiled (`optics.mapping.convolve_tiled`). Where the kernel has one row, rows are
    sequences, and those of all examples may share an exposure (`optics.mapping.convolve_1d`). Strides
    subsample, because the optics computes the whole plane. `precision` has no effect on a device.

    Arguments:
        device: any device that convolves; None is `jax.lax.conv_general_dilated` itself.
        key: of the device's noise; every call of the returned function draws the same noise. None computes
            without noise.
        gradient: "simulator" (or None), "ideal" or "optical", or a wrapper such as `optics.ideal_gradient`.

    Returns:
        fn(lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers,
        feature_group_count, batch_group_count, precision, preferred_element_type, out_sharding), with one or
        two spatial axes, any unit. Sizes that do not fit together are refused in the words of
        `jax.lax.conv_general_dilated`.

    Raises:
        ValueError: no device, an unknown `gradient`; by fn: other than one or two spatial axes, or integers.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> fn = optics.conv_general_dilated(optics.presets.load("ideal", pixels=5))
        >>> fn(jnp.ones((2, 3, 8, 8)), jnp.ones((4, 3, 3, 3)), (2, 2), "SAME").shape
        (2, 4, 4, 4)
    """
    rule = gradient_rule(gradient)
    check_key("key", key)
    if device is None:
        return jax.lax.conv_general_dilated
    check_device(device)

    def fn(
        lhs: ArrayLike,
        rhs: ArrayLike,
        window_strides: ShapeLike,
        padding: TextLike | Sequence[tuple[int, int]],
        lhs_dilation: ShapeLike | None = None,
        rhs_dilation: ShapeLike | None = None,
        dimension_numbers: jax.lax.ConvGeneralDilatedDimensionNumbers = None,
        feature_group_count: CountLike = 1,
        batch_group_count: CountLike = 1,
        precision: jax.lax.PrecisionLike = None,
        preferred_element_type: jax.typing.DTypeLike | None = None,
        out_sharding: jax.sharding.Sharding | jax.sharding.PartitionSpec | None = None,
    ) -> Inexact[Array, "..."]:
        lhs, rhs = as_array("lhs", lhs), as_array("rhs", rhs)
        _check_arrays(lhs, rhs)
        spatial = lhs.ndim - 2
        strides = as_counts("window_strides", window_strides, spatial)
        spacing = (1,) * spatial if lhs_dilation is None else as_counts("lhs_dilation", lhs_dilation, spatial)
        dilation = (
            (1,) * spatial if rhs_dilation is None else as_counts("rhs_dilation", rhs_dilation, spatial)
        )
        _check_padding(padding, spatial)
        check_whole("feature_group_count", feature_group_count, 1)
        check_whole("batch_group_count", batch_group_count, 1)
        result = jax.eval_shape(
            functools.partial(
                jax.lax.conv_general_dilated,
                window_strides=window_strides,
                padding=padding,
                lhs_dilation=lhs_dilation,
                rhs_dilation=rhs_dilation,
                dimension_numbers=dimension_numbers,
                feature_group_count=feature_group_count,
                batch_group_count=batch_group_count,
                precision=precision,
                preferred_element_type=preferred_element_type,
            ),
            jax.ShapeDtypeStruct(lhs.shape, lhs.dtype),
            jax.ShapeDtypeStruct(rhs.shape, rhs.dtype),
        )
        if 0 in (result.size, lhs.size, rhs.size):
            return jnp.zeros(result.shape, result.dtype)
        numbers = jax.lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
        pads = padding if isinstance(padding, str) else tuple((int(low), int(high)) for low, high in padding)
        groups = (int(feature_group_count), int(batch_group_count))
        geometry = _Geometry(numbers, pads, strides, spacing, dilation, *groups)
        y = _convolve_and_sum(lhs, rhs, device, key, rule, geometry).astype(result.dtype)
        return y if out_sharding is None else jax.sharding.reshard(y, out_sharding)

    return fn


@dataclass(frozen=True)
class _Geometry:
    """Where the outputs of a convolution come from: the arguments of `jax.lax.conv_general_dilated`."""

    numbers: jax.lax.ConvDimensionNumbers
    padding: str | tuple[tuple[int, int], ...]
    strides: tuple[int, ...]
    spacing: tuple[int, ...]
    dilation: tuple[int, ...]
    feature_groups: int
    batch_groups: int


@as_one_program
def _convolve_and_sum(
    lhs: Inexact[Array, "..."],
    rhs: Inexact[Array, "..."],
    device: DeviceLike,
    key: KeyLike,
    rule: Callable,
    geometry: _Geometry,
) -> Inexact[Array, "..."]:
    numbers, strides, dilation = geometry.numbers, geometry.strides, geometry.dilation
    # Batch, channels and spatial axes, in this order.
    x, w = jnp.transpose(lhs, numbers.lhs_spec), jnp.transpose(rhs, numbers.rhs_spec)
    x = _pad(x, w.shape[2:], geometry.padding, strides, geometry.spacing, dilation)
    # An output channel belongs to one group, of input channels or of examples.
    if geometry.batch_groups > 1:
        x = rearrange(
            x, "(groups batch) channels ... -> batch groups channels ...", groups=geometry.batch_groups
        )
    else:
        x = rearrange(
            x, "batch (groups channels) ... -> batch groups channels ...", groups=geometry.feature_groups
        )
    w = rearrange(w, "(groups features) ... -> groups features ...", groups=x.shape[1])
    one_row = len(strides) == 1
    if one_row:
        # One dimension is a plane of one row.
        x, w, dilation, strides = x[..., None, :], w[..., None, :], (1, *dilation), (1, *strides)
    y = correlate(rule(convolve), x, w, dilation, device, key)
    y = y[..., :: strides[0], :: strides[1]]
    y = rearrange(y, "batch groups features ... -> batch (groups features) ...")
    return jnp.transpose(y[..., 0, :] if one_row else y, np.argsort(numbers.out_spec))


def _check_arrays(lhs: Array, rhs: Array) -> None:
    """Refuse more spatial axes than a plane has, and integers."""
    axes = lhs.ndim - 2
    if lhs.ndim != rhs.ndim:
        raise ValueError(
            f"`lhs` and `rhs` must have the same number of axes, got the shapes {lhs.shape} and {rhs.shape}."
        )
    if axes not in (1, 2):
        raise ValueError(
            f"`lhs` has {axes} spatial axes (shape {lhs.shape}), but a device convolves over one or two; "
            "fold another axis into the batch, or use `jax.lax.conv_general_dilated`."
        )
    for name, a in (("lhs", lhs), ("rhs", rhs)):
        if not jnp.issubdtype(a.dtype, jnp.inexact):
            raise ValueError(
                f"`{name}` must be floating point or complex, got {a.dtype}; light has no integers, "
                f"use `{name}.astype(float)`."
            )


def _check_padding(padding: TextLike | Sequence[tuple[int, int]], spatial: int) -> None:
    """Refuse what is neither a name of JAX's nor a pair of whole numbers for each spatial axis."""
    if isinstance(padding, str) and padding.upper() in PADDINGS:
        return
    pairs = padding if isinstance(padding, tuple | list) else ()
    if len(pairs) != spatial or not all(
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in pair)
        for pair in pairs
    ):
        raise ValueError(
            f"`padding` must be {', '.join(PADDINGS)} or {spatial} pairs of whole numbers, got "
            f"{describe(padding)}."
        )


def _pad(
    x: Inexact[Array, "batch channels *space"],
    taps: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    strides: Sequence[int],
    spacing: Sequence[int],
    dilation: Sequence[int],
) -> Inexact[Array, "batch channels *padded"]:
    """Zeros before and after (a crop where negative), and `spacing` − 1 between samples."""
    if isinstance(padding, str):
        extent = [(k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True)]
        padding = jax.lax.padtype_to_pads(x.shape[2:], extent, strides, padding)
    around = [(low, high, d - 1) for (low, high), d in zip(padding, spacing, strict=True)]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *around])


def correlate(
    convolve: Callable,
    x: Inexact[Array, "batch groups channels height width"],
    w: Inexact[Array, "groups features channels taps_y taps_x"],
    dilation: tuple[int, int],
    device: DeviceLike,
    key: Array | None,
) -> Inexact[Array, "batch groups features rows cols"]:
    """Correlation without padding, summed over the channels of each group, of planes and kernels of any size.

        y[n, g, o, i] = Σ_c Σ_u w[g, o, c, u] x[n, g, c, i + dilation · u]

    Arguments:
        convolve: `optics.convolve`, or a gradient rule around it.
        x: planes, any unit.
        w: kernels, before dilation.
        dilation: distance of the taps by axis.
        device: convolves planes of `device.shape`.
        key: of its noise, consumed; None computes without noise.

    Returns:
        the outputs for which the kernel lies within the plane; there must be at least one.
    """
    w = jax.lax.pad(w, jnp.zeros((), w.dtype), [(0, 0, 0)] * 3 + [(0, 0, d - 1) for d in dilation])
    # A correlation is the convolution with the kernel reversed.
    w = jnp.flip(w, (-2, -1))
    options = {"device": device, "boundary": "valid", "convolve": convolve}
    if w.shape[-2] > 1:
        return _sum_channels(functools.partial(convolve_tiled, **options), x, w, key, "height width")
    # A kernel of one row keeps rows apart: they are sequences, and any may share a plane.
    x = rearrange(x, "... height width -> height ... width")
    y = _sum_channels(functools.partial(convolve_1d, **options), x, w[..., 0, :], key, "width")
    return rearrange(y, "height ... width -> ... height width")


def _sum_channels(
    convolve: Callable,
    x: Inexact[Array, "*lead"],
    w: Inexact[Array, "groups features channels *taps"],
    key: Array | None,
    space: str,
) -> Inexact[Array, "*result"]:
    """Σ_c x[..., g, c] ⊛ w[g, o, c], over all channels at once or, to save memory, in chunks of channels.

    Arguments:
        convolve: (x, w, key=key) -> the outputs that depend on no pixel outside x.
        x: (..., groups, channels, *space).
        w: kernels.
        key: consumed; each chunk draws its own noise.
        space: names of the spatial axes, one or two.

    Returns:
        (..., groups, features, *outputs).
    """
    spatial = len(space.split())

    def convolve_and_sum(x, w, key):
        products = convolve(jnp.expand_dims(x, -2 - spatial), w, key=key)
        return jnp.sum(products, axis=-1 - spatial)

    outputs = [n - k + 1 for n, k in zip(x.shape[-spatial:], w.shape[-spatial:], strict=True)]
    shape = (*x.shape[: -1 - spatial], w.shape[1], *outputs)
    size = largest_even_chunk(w.shape[2], math.prod(shape))
    if size == w.shape[2]:
        return convolve_and_sum(x, w, key)
    x = rearrange(x, f"... (chunks channels) {space} -> chunks ... channels {space}", channels=size)
    w = rearrange(w, f"... (chunks channels) {space} -> chunks ... channels {space}", channels=size)
    keys = None if key is None else split_key(key, len(x))
    # Zero, but made of x and w, so that under shard_map it differs from shard to shard where they do.
    zero = jnp.where(jnp.zeros((), bool), jax.lax.stop_gradient(x.ravel()[0] * w.ravel()[0]), 0)
    add = jax.checkpoint(lambda total, chunk: (total + convolve_and_sum(*chunk), None))
    return jax.lax.scan(add, jnp.broadcast_to(zero, shape), (x, w, keys))[0]
