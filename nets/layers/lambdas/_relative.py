"""The sum over relative positions, in the four ways it can be computed; all give the same.

    λ[b, k, v, i] = Σ_u Σ_s R[k, u, s] V[b, v, u, i + s]

i and s have one axis or two. The sum runs over the values as they lie, or wraps around their end (`wraps`).
"""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import scipy.fft
from jaxtyping import Array, Float

from optics.convolution import check_device
from optics.mapping import conv_general_dilated

METHODS = ("fft", "direct", "dense")


def by_fft(
    v: Float[Array, "batch depth intra *seen"], taps: tuple[int, ...], wraps: bool
) -> Callable[[Float[Array, "keys intra *taps"]], Float[Array, "keys batch depth *space"]]:
    """Transform the values once; what is returned takes relative positions to lambdas, a key at a time or many.

    Both transforms have the length of the values: sums that wrap around it only spoil outputs that are not there.
    """
    seen, axes = v.shape[-len(taps) :], tuple(range(-len(taps), 0))
    size = seen if wraps else tuple(scipy.fft.next_fast_len(n, real=True) for n in seen)
    out = tuple(slice(n if wraps else n - t + 1) for n, t in zip(seen, taps, strict=True))
    spectra = jnp.fft.rfftn(v, s=size, axes=axes)

    def lambdas(relative):
        kernels = jnp.conj(jnp.fft.rfftn(relative, s=size, axes=axes))
        # Not an einsum: its product of matrices would be one for every frequency.
        products = sum(kernels[:, None, None, u] * spectra[None, :, :, u] for u in range(v.shape[2]))
        return jnp.fft.irfftn(products, s=size, axes=axes)[..., *out]

    return lambdas


def by_matrix(
    v: Float[Array, "batch depth intra *seen"], relative: Float[Array, "keys intra *taps"], wraps: bool
) -> Float[Array, "keys batch depth *space"]:
    """With the tensor of all pairs of positions, E[i, m] = R[m − i]; its memory grows with the square of the length."""
    taps = relative.shape[2:]
    index = []
    for n, t in zip(v.shape[3:], taps, strict=True):
        difference = jnp.arange(n)[None, :] - jnp.arange(n if wraps else n - t + 1)[:, None]
        difference = difference % n if wraps else difference
        # One more tap, of zero, for pairs out of reach.
        index.append(jnp.where((difference >= 0) & (difference < t), difference, t))
    padded = jnp.pad(relative, [(0, 0), (0, 0)] + [(0, 1)] * len(taps))
    if len(taps) == 1:
        return jnp.einsum("kuim,bvum->kbvi", padded[:, :, index[0]], v)
    pairs = padded[:, :, index[0][:, :, None, None], index[1][None, None]]
    return jnp.einsum("kuimjn,bvumn->kbvij", pairs, v)


def by_convolution(
    v: Float[Array, "batch depth intra *seen"],
    relative: Float[Array, "keys intra *taps"],
    wraps: bool,
    convolve: Callable,
    device: Any,
    key: Array | None,
) -> Float[Array, "keys batch depth *space"]:
    """As a convolution over positions, by a device or, if that is None, directly.

    A device whose plane is as long as a circle of one dimension, or has its shape in two, convolves it as it is; the rows
    of a plane are sequences of their own. Else the sequences are cut into overlapping pieces that fit.

    Arguments:
        convolve: `optics.convolve`, or a gradient rule around it.
        device: of any size.
        key: of its noise, consumed; None gives the expected value.
    """
    taps, seen = relative.shape[2:], v.shape[3:]
    if device is not None:
        check_device(device)
    if wraps and device is not None and device.shape[-len(seen) :] == seen:
        return _as_it_is(v, relative, convolve, device, key)
    if wraps:
        v = jnp.pad(v, [(0, 0)] * 3 + [(0, t - 1) for t in taps], mode="wrap")
    planes = v.reshape(-1, *v.shape[2:])
    fn = conv_general_dilated(device, key, lambda _: convolve)
    y = fn(planes, relative, (1,) * len(taps), "VALID")
    return jnp.moveaxis(y.reshape(*v.shape[:2], *y.shape[1:]), 2, 0)


def _as_it_is(v, relative, convolve, device, key):
    """Circles of exactly the device's size, as many on a plane as it has rows to spare."""
    seen, axes = v.shape[3:], tuple(range(-len(relative.shape[2:]), 0))
    taps = [(0, n - t) for n, t in zip(seen, relative.shape[2:], strict=True)]
    kernels = jnp.pad(relative, [(0, 0), (0, 0), *taps])
    # A correlation is the convolution with the mirrored kernel.
    kernels = jnp.roll(jnp.flip(kernels, axes), 1, axes)
    planes = v.reshape(-1, *v.shape[2:])
    if len(seen) == 1:
        rows = device.shape[0]
        count = -(-len(planes) // rows)
        planes = jnp.pad(planes, [(0, count * rows - len(planes)), (0, 0), (0, 0)])
        planes = jnp.swapaxes(planes.reshape(count, rows, *planes.shape[1:]), 1, 2)
        kernels = jnp.pad(kernels[:, :, None], [(0, 0), (0, 0), (0, rows - 1), (0, 0)])
    # Each product of an intra-depth is detected, and the sum is electronic.
    y = convolve(planes[None], kernels[:, None], device, key).sum(axis=2)
    y = y.reshape(len(relative), -1, *seen)[:, : math.prod(v.shape[:2])]
    return y.reshape(len(relative), *v.shape[:2], *seen)
