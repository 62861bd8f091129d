"""Convolutions of embeddings that are planes, one in each plane of a device or many in that of a panel."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

import optics
from nets.layers._kernels import centre_kernels
from optics._typing import DeviceLike


def convolve_planes(
    convolve: Callable,
    planes: Float[Array, "*lead rows cols"],
    kernels: Float[Array, "count taps_y taps_x"],
    device: DeviceLike,
    key: Array | None,
) -> Float[Array, "*newlead rows cols"]:
    """Circular convolutions with kernels whose middle tap acts on its own pixel.

    A device larger than a plane takes as many planes in each exposure as have room beside each other, if one
    has.

    Arguments:
        convolve: a function (x, w, device, key), such as `optics.convolve` or a gradient rule around it.
        planes: leading axes broadcast with those of the kernels; planes along axes that these do not have
            share an exposure.
        kernels: at most as large as the planes; a full one acts from its first tap.
        device: computes the convolutions; None is exact.
        key: of the device's noise, consumed, or None.
    """
    plane, taps = planes.shape[-2:], kernels.shape[-2:]
    if device is None or device.shape == plane or not fits_beside(plane, taps, device.shape):
        # A device with less room refuses the planes.
        return convolve(planes, centre_kernels(kernels, plane), device, key)
    y = optics.mapping.convolve_packed(planes, kernels, device, key, convolve=convolve)
    return y if taps == plane else jnp.roll(y, [-(k // 2) for k in taps], axis=(-2, -1))


def fits_beside(plane: tuple[int, int], taps: tuple[int, int], shape: tuple[int, int]) -> bool:
    """Whether a plane, with the end of its period again before it, has room on a device of another shape."""
    return all(n == m or n + k - 1 <= m for n, k, m in zip(plane, taps, shape, strict=True))
