"""The sum over relative positions, by a matrix or by a convolution; `nets.layers._positions` has that by FFT.

    λ[b, k, v, i] = Σ_u Σ_s R[k, u, s] V[b, v, u, i + s]

i and s have one axis or two. The sum ends where the values end, or wraps around (`wraps`).
"""

import math

import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float

import optics
from nets.layers._positions import correlate_lines
from optics._numerics import reverse_index
from optics._typing import DeviceLike, GradientLike, KeyLike
from optics.convolution import check_device
from optics.gradients import gradient_rule

METHODS = ("fft", "direct", "dense")


def lambdas_by_matrix(
    v: Float[Array, "batch depth intra *positions"], relative: Float[Array, "keys intra *taps"], wraps: bool
) -> Float[Array, "keys batch depth *space"]:
    """With the tensor of all pairs of positions, E[i, m] = R[m − i]; memory grows with the length squared."""
    taps = relative.shape[2:]
    index = []
    for n, t in zip(v.shape[3:], taps, strict=True):
        difference = jnp.arange(n)[None, :] - jnp.arange(n if wraps else n - t + 1)[:, None]
        difference = difference % n if wraps else difference
        # Pairs farther apart than the scope take an added tap, which is zero.
        index.append(jnp.where((difference >= 0) & (difference < t), difference, t))
    padded = jnp.pad(relative, [(0, 0), (0, 0)] + [(0, 1)] * len(taps))
    if len(taps) == 1:
        return jnp.einsum("kuim,bvum->kbvi", padded[:, :, index[0]], v)
    pairs = padded[:, :, index[0][:, :, None, None], index[1][None, None]]
    return jnp.einsum("kuimjn,bvumn->kbvij", pairs, v)


def lambdas_by_convolution(
    v: Float[Array, "batch depth intra *positions"],
    relative: Float[Array, "keys intra *taps"],
    wraps: bool,
    gradient: GradientLike,
    device: DeviceLike,
    key: KeyLike,
) -> Float[Array, "keys batch depth *space"]:
    """As a convolution over positions, by a device, or directly if that is None.

    A sum that wraps needs no padding on a device whose plane has its length (each row of the plane is a
    sequence), or, in two dimensions, its shape. Otherwise the values are cut into overlapping pieces that fit
    the device.

    Arguments:
        gradient: a gradient rule, as in `optics.conv_general_dilated`.
        device: of any size.
        key: of its noise, consumed; None computes without noise.
    """
    taps, positions = relative.shape[2:], v.shape[3:]
    if device is not None:
        check_device(device)
    if wraps and device is not None and device.shape[-len(positions) :] == positions:
        return _lambdas_on_circle(v, relative, gradient, device, key)
    if wraps:
        v = jnp.pad(v, [(0, 0)] * 3 + [(0, t - 1) for t in taps], mode="wrap")
    planes = rearrange(v, "batch depth ... -> (batch depth) ...")
    if len(taps) == 1:
        y = correlate_lines(planes, relative, 1, gradient, device, key)
    else:
        y = optics.conv_general_dilated(device, key, gradient)(planes, relative, (1, 1), "VALID")
    return rearrange(y, "(batch depth) keys ... -> keys batch depth ...", depth=v.shape[1])


def _lambdas_on_circle(v, relative, gradient, device, key):
    """Sums that wrap exactly where the device does; sequences share a plane, one in each row."""
    batch, depth, _, *positions = v.shape
    taps = relative.shape[2:]
    missing = [(0, n - t) for n, t in zip(positions, taps, strict=True)]
    kernels = jnp.pad(relative, [(0, 0), (0, 0), *missing])
    # A correlation is the convolution with the kernel reversed.
    kernels = reverse_index(kernels, tuple(range(-len(taps), 0)))
    planes = rearrange(v, "batch depth ... -> (batch depth) ...")
    if len(positions) == 1:
        rows = device.shape[0]
        planes = jnp.pad(planes, [(0, -len(planes) % rows), (0, 0), (0, 0)])
        planes = rearrange(planes, "(count rows) intra n -> count intra rows n", rows=rows)
        kernels = jnp.pad(kernels[:, :, None], [(0, 0), (0, 0), (0, rows - 1), (0, 0)])
    convolve = gradient_rule(gradient)(optics.convolve)
    # The product of each intra-depth is detected, and the sum is electronic.
    y = convolve(planes[None], kernels[:, None], device, key).sum(axis=2)
    y = y.reshape(len(relative), -1, *positions)[:, : math.prod((batch, depth))]
    return y.reshape(len(relative), batch, depth, *positions)
