"""The signature of `jax.lax.conv_general_dilated`, brought to correlations of planes."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics.convolution import check_device, convolve
from optics.gradients import gradient_rule
from optics.mapping._sequences import convolve_1d
from optics.mapping._tiles import convolve_tiled

# Samples of the detected products held at once, 16 MiB in float32; more channels than that are added up in turns.
LARGEST = 2**22


def correlate(
    convolve: Callable,
    x: Inexact[Array, "batch groups channels height width"],
    w: Inexact[Array, "groups features channels taps_y taps_x"],
    dilation: tuple[int, int],
    device: Any,
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
        key: of its noise, consumed; None gives the expected value.

    Returns:
        the outputs for which the kernel lies within the plane; there must be one.
    """
    # A correlation is the convolution with the kernel reversed.
    w = jnp.flip(
        jax.lax.pad(w, jnp.zeros((), w.dtype), [(0, 0, 0)] * 3 + [(0, 0, d - 1) for d in dilation]), (-2, -1)
    )
    if w.shape[-2] > 1:
        return _summed(convolve_tiled, convolve, x, w, device, key, 2)
    # A kernel of one row keeps rows apart: they are sequences, and any may share a frame.
    return jnp.moveaxis(
        _summed(convolve_1d, convolve, jnp.moveaxis(x, -2, 0), w[..., 0, :], device, key, 1), 0, -2
    )


def _summed(
    mapped: Callable,
    convolve: Callable,
    x: Inexact[Array, "*lead"],
    w: Inexact[Array, "groups features channels *taps"],
    device: Any,
    key: Array | None,
    axes: int,
) -> Inexact[Array, "*found"]:
    """Σ_c x[..., g, c] ⊛ w[g, o, c] over `axes` axes, the outputs that see no border: (..., groups, features, *outputs)."""

    def some(x, w, key):
        pairs = mapped(jnp.expand_dims(x, -2 - axes), w, device, key, boundary="valid", convolve=convolve)
        return jnp.sum(pairs, axis=-1 - axes)

    channels, channel = w.shape[2], x.ndim - 1 - axes
    outputs = [n - k + 1 for n, k in zip(x.shape[-axes:], w.shape[-axes:], strict=True)]
    shape = (*x.shape[:channel], w.shape[1], *outputs)
    together = max(
        n for n in range(1, channels + 1) if channels % n == 0 and (n == 1 or n * math.prod(shape) <= LARGEST)
    )
    if together == channels:
        return some(x, w, key)
    x, w = (
        jnp.moveaxis(a.reshape(*a.shape[:axis], -1, together, *a.shape[axis + 1 :]), axis, 0)
        for a, axis in ((x, channel), (w, 2))
    )
    keys = None if key is None else jax.random.split(key, len(x))
    # Zero, but made of x and w, so that under shard_map it differs from shard to shard where they do.
    zero = jnp.where(jnp.zeros((), bool), jax.lax.stop_gradient(x.ravel()[0] * w.ravel()[0]), 0)
    add = jax.checkpoint(lambda total, part: (total + some(*part), None))
    return jax.lax.scan(add, jnp.broadcast_to(zero, shape), (x, w, keys))[0]


def conv_general_dilated(device: Any, key: Array | None = None, gradient: Any = None) -> Callable:
    """A function with the signature of `jax.lax.conv_general_dilated` that computes on a device.

        y[n, o, i] = Σ_c Σ_u w[o, c, u] x[n, c, stride · i + u]      x dilated and padded, w dilated, c within a group

    `flax.nnx.Conv(..., conv_general_dilated=fn)` is an optical layer. Each pair of an input and an output channel is a
    convolution of its own on the device, and channels are summed after detection. Planes and kernels larger than the device
    are tiled (`optics.mapping.convolve_tiled`). Where the kernel has one row, rows are sequences, and those of all examples
    may share an exposure (`optics.mapping.convolve_1d`). Strides subsample, for the optics computes the whole plane.
    `precision` says nothing to light.

    Arguments:
        device: `FourierProcessor` and its like; None is `jax.lax.conv_general_dilated` itself.
        key: of the device's noise; every call of what is returned draws the same noise. None gives the expected value.
        gradient: "simulator" (None means that), "ideal" or "optical", or a wrapper such as `optics.ideal_gradient`.

    Returns:
        fn(lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, feature_group_count,
        batch_group_count, precision, preferred_element_type, out_sharding), with one or two spatial axes, any unit. It
        refuses what `jax.lax.conv_general_dilated` refuses, in the same words.

    Raises:
        ValueError: no device, an unknown `gradient`; by fn: other than one or two spatial axes, or integers.
    """
    rule = gradient_rule(gradient)
    if device is None:
        return jax.lax.conv_general_dilated
    check_device(device)
    on_device = rule(convolve)

    def fn(
        lhs: Any,
        rhs: Any,
        window_strides: Sequence[int],
        padding: str | Sequence[tuple[int, int]],
        lhs_dilation: Sequence[int] | None = None,
        rhs_dilation: Sequence[int] | None = None,
        dimension_numbers: Any = None,
        feature_group_count: int = 1,
        batch_group_count: int = 1,
        precision: Any = None,
        preferred_element_type: Any = None,
        out_sharding: Any = None,
    ) -> Inexact[Array, "..."]:
        lhs, rhs = jnp.asarray(lhs), jnp.asarray(rhs)
        wanted = jax.eval_shape(
            lambda x, w: jax.lax.conv_general_dilated(
                x,
                w,
                window_strides,
                padding,
                lhs_dilation,
                rhs_dilation,
                dimension_numbers,
                feature_group_count,
                batch_group_count,
                precision,
                preferred_element_type,
            ),
            jax.ShapeDtypeStruct(lhs.shape, lhs.dtype),
            jax.ShapeDtypeStruct(rhs.shape, rhs.dtype),
        )
        _refuse(lhs, rhs)
        if 0 in (wanted.size, lhs.size, rhs.size):
            return jnp.zeros(wanted.shape, wanted.dtype)
        numbers = jax.lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
        x, w = jnp.transpose(lhs, numbers.lhs_spec), jnp.transpose(rhs, numbers.rhs_spec)
        ones = (1,) * (lhs.ndim - 2)
        spacing, dilation = (
            ones if given is None else tuple(given) for given in (lhs_dilation, rhs_dilation)
        )
        strides, pads = tuple(window_strides), padding
        if isinstance(padding, str):
            spread = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
            pads = jax.lax.padtype_to_pads(x.shape[2:], spread, strides, padding)
        # Zeros before and after (a crop where negative) and between samples.
        around = [(low, high, d - 1) for (low, high), d in zip(pads, spacing, strict=True)]
        x = jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *around])
        x = _grouped(x, feature_group_count, batch_group_count)
        w = w.reshape(x.shape[1], -1, *w.shape[1:])
        if lhs.ndim == 3:
            # One dimension is a plane of one row.
            x, w, dilation, strides = x[..., None, :], w[..., None, :], (1, *dilation), (1, *strides)
        y = correlate(on_device, x, w, dilation, device, key)[..., :: strides[0], :: strides[1]]
        y = y.reshape([wanted.shape[axis] for axis in numbers.out_spec]).astype(wanted.dtype)
        y = jnp.transpose(y, sorted(range(lhs.ndim), key=numbers.out_spec.__getitem__))
        return y if out_sharding is None else jax.sharding.reshard(y, out_sharding)

    return fn


def _refuse(lhs: Array, rhs: Array) -> None:
    """Refuse what the optics has no plane or no numbers for."""
    axes = lhs.ndim - 2
    if axes not in (1, 2):
        raise ValueError(
            f"`lhs` has {axes} spatial axes (shape {lhs.shape}), but a device convolves over one or two; "
            "fold another axis into the batch, or use `jax.lax.conv_general_dilated`."
        )
    for name, a in (("lhs", lhs), ("rhs", rhs)):
        if not jnp.issubdtype(a.dtype, jnp.inexact):
            raise ValueError(
                f"`{name}` must be floating point or complex, got {a.dtype}; light has no integers, use `{name}.astype(float)`."
            )


def _grouped(
    x: Inexact[Array, "batch channels *space"], features: int, batches: int
) -> Inexact[Array, "part groups each *space"]:
    """The group that an output channel sees as an axis, whether groups are of channels or of examples."""
    if batches > 1:
        return jnp.moveaxis(x.reshape(batches, -1, *x.shape[1:]), 0, 1)
    return x.reshape(x.shape[0], features, -1, *x.shape[2:])
