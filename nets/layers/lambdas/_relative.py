"""The sum over relative positions, computed in four ways that give the same result.

    λ[b, k, v, i] = Σ_u Σ_s R[k, u, s] V[b, v, u, i + s]

i and s have one axis or two. The sum ends where the values end, or wraps around (`wraps`).
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float

import optics
from optics._numerics import fast_length, reverse_index
from optics._typing import DeviceLike, GradientLike, KeyLike
from optics.convolution import check_device
from optics.gradients import gradient_rule

METHODS = ("fft", "direct", "dense")


def lambdas_by_fft(
    v: Float[Array, "batch depth intra *positions"], taps: tuple[int, ...], wraps: bool
) -> Callable[[Float[Array, "keys intra *taps"]], Float[Array, "keys batch depth *space"]]:
    """Transform the values once; return a function from relative positions of some keys to their lambdas.

    Both transforms have the length of the values: sums that wrap around it only reach outputs that are cut
    off.
    """
    positions, axes = v.shape[-len(taps) :], tuple(range(-len(taps), 0))
    size = positions if wraps else tuple(fast_length(n, real=True) for n in positions)
    outputs = tuple(slice(n if wraps else n - t + 1) for n, t in zip(positions, taps, strict=True))
    spectra = jnp.fft.rfftn(v, s=size, axes=axes)

    def lambdas(relative):
        kernels = jnp.conj(jnp.fft.rfftn(relative, s=size, axes=axes))
        # An einsum would be a separate product of matrices for every frequency.
        products = sum(kernels[:, None, None, u] * spectra[None, :, :, u] for u in range(v.shape[2]))
        return jnp.fft.irfftn(products, s=size, axes=axes)[..., *outputs]

    return lambdas


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
    if len(taps) == 1 and _is_better_by_spectra(planes.shape, relative.shape, device):
        return _lambdas_by_spectra(planes, relative, v.shape[1], gradient, device, key)
    conv = optics.conv_general_dilated(device, key, gradient)
    y = conv(planes, relative, (1,) * len(taps), "VALID")
    return rearrange(y, "(batch depth) keys ... -> keys batch depth ...", depth=v.shape[1])


def _is_better_by_spectra(planes: tuple[int, ...], relative: tuple[int, ...], device: DeviceLike) -> bool:
    """Whether a device can add spectra, and then takes fewer transforms than for each product."""
    if device is None or not device.supports(optics.AbstractDevice.transform):
        return False
    count, intra, positions = planes
    keys, _, taps = relative
    lines = ((count, 1, intra, positions), (keys, intra, taps), device.shape, "valid")
    return optics.mapping.plan_partitioned(*lines).transforms < optics.mapping.plan_1d(*lines).transforms


def _lambdas_by_spectra(planes, relative, depth, gradient, device, key):
    """Blocks of long kernels and intra-depths are added as spectra; values are transformed once for all
    keys.
    """
    transform = gradient_rule(gradient)(optics.transform)
    # A correlation is the convolution with the kernel reversed.
    kernels = jnp.flip(relative, -1)[:, None]
    y = optics.mapping.convolve_partitioned(
        planes[None], kernels, device, key, boundary="valid", transform=transform
    )
    return rearrange(y, "keys (batch depth) positions -> keys batch depth positions", depth=depth)


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
