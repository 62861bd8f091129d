"""Correlations of planes of any size, summed over their channels."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics.mapping import convolve_1d, convolve_tiled

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
    w = jnp.flip(jax.lax.pad(w, jnp.zeros((), w.dtype), [(0, 0, 0)] * 3 + [(0, 0, d - 1) for d in dilation]), (-2, -1))
    if w.shape[-2] > 1:
        return _summed(convolve_tiled, convolve, x, w, device, key, 2)
    # A kernel of one row keeps rows apart: they are sequences, and any may share a frame.
    return jnp.moveaxis(_summed(convolve_1d, convolve, jnp.moveaxis(x, -2, 0), w[..., 0, :], device, key, 1), 0, -2)


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
    together = max(n for n in range(1, channels + 1) if channels % n == 0 and (n == 1 or n * math.prod(shape) <= LARGEST))
    if together == channels:
        return some(x, w, key)
    x, w = (jnp.moveaxis(a.reshape(*a.shape[:axis], -1, together, *a.shape[axis + 1 :]), axis, 0) for a, axis in ((x, channel), (w, 2)))
    keys = None if key is None else jax.random.split(key, len(x))
    # Zero, but made of x and w, so that under shard_map it differs from shard to shard where they do.
    zero = jnp.where(jnp.zeros((), bool), jax.lax.stop_gradient(x.ravel()[0] * w.ravel()[0]), 0)
    add = jax.checkpoint(lambda total, part: (total + some(*part), None))
    return jax.lax.scan(add, jnp.broadcast_to(zero, shape), (x, w, keys))[0]
