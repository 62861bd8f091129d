"""One long period on a plane whose sides have no common divisor."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from optics._check import check_convolve, check_key
from optics._numerics import pad_last, zero_where_dark
from optics._typing import (
    ArrayLike,
    DeviceLike,
    FunctionLike,
    KeyLike,
    ShapeLike,
)
from optics.convolution import check_device, convolve
from optics.mapping._boundary import as_line, as_shapes, check_boundary, wrap_kernel
from optics.mapping._plan import Plan, count_planes


def convolve_coprime(
    x: ArrayLike,
    w: ArrayLike,
    device: DeviceLike = None,
    key: KeyLike = None,
    *,
    convolve: FunctionLike = convolve,
) -> Inexact[Array, "*lead length"]:
    """Circular convolution of sequences that fill the rows · columns pixels of a device with coprime sides.

        y[i] = Σ_u w[u] x[i − u mod n],   n = rows · columns

    By the Chinese remainder theorem the map i ↦ (i mod rows, i mod columns) gives every sample its own pixel,
    and indices add on the plane as they do on the line. So the device's circular convolution of the two
    planes is that of the two sequences, with every pixel used and no twiddle factors.

    Arguments:
        x: shape (..., n), real or complex, any unit.
        w: shape (..., k) with any k, wrapped modulo n; leading axes broadcast as in x * w.
        device: any device that convolves, of n pixels in all; None is the exact convolution, for any n.
        key: `jax.random.key` of the device's noise, consumed; None computes without noise.
        convolve: convolves planes of the device's shape, such as `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape (..., n), in the product of the units; real when both are.

    Raises:
        ValueError: no axis, empty arrays, leading axes that do not broadcast, a device whose sides have a
            common divisor or another number of pixels, or no device.

    Source: I. J. Good, J. R. Stat. Soc. B 20, 361 (1958); R. C. Agarwal and J. W. Cooley, IEEE Trans. ASSP
    25, 392 (1977).
    """
    x, w = as_line("x", x), as_line("w", w)
    check_boundary(x.shape, w.shape, "circular", 1)
    check_convolve(convolve)
    check_key("key", key)
    w = wrap_kernel(w, x.shape[-1:], "circular")
    w = pad_last(w, x.shape[-1] - w.shape[-1])
    if device is None:
        return convolve(x[..., None, :], w[..., None, :], None, None)[..., 0, :]
    check_device(device)
    plan_coprime(x.shape, w.shape, device.shape)
    x, w = to_plane(x, device.shape), to_plane(w, device.shape)
    return to_line(zero_where_dark(convolve(x, w, device, key), x, w))


def plan_coprime(x_shape: ShapeLike, w_shape: ShapeLike, shape: ShapeLike) -> Plan:
    """The planes of `convolve_coprime` for arrays of shapes (..., length) on a device of `shape` pixels.

    Arguments:
        x_shape, w_shape: of the arrays, leading axes included.
        shape: pixels (rows, columns) of the device.

    Returns:
        `Plan`.

    Raises:
        ValueError: as `convolve_coprime`.
    """
    x_shape, w_shape, (rows, cols) = as_shapes(x_shape, w_shape, shape, 1)
    check_boundary(x_shape, w_shape, "circular", 1)
    divisor = math.gcd(rows, cols)
    if divisor > 1:
        raise ValueError(
            f"`device` must have coprime sides, got {rows}×{cols}, which share the divisor {divisor}; "
            "load one of another shape, or use `convolve_1d`."
        )
    if x_shape[-1] != rows * cols:
        raise ValueError(
            f"`x` must have {rows * cols} samples to be one period of a device of {rows}×{cols} pixels, "
            f"got {x_shape[-1]}; `convolve_1d` takes any number."
        )
    return Plan((rows, cols), *count_planes(x_shape[:-1], w_shape[:-1]))


def to_plane(a: Inexact[Array, "*lead length"], shape: tuple[int, int]) -> Inexact[Array, "*lead rows cols"]:
    """Sample i at pixel (i mod rows, i mod columns)."""
    rows, cols = shape
    # The sample of each pixel, found by counting: no inverse modulo is needed.
    sample = np.zeros(shape, int)
    index = np.arange(rows * cols)
    sample[index % rows, index % cols] = index
    return jnp.take(a, sample, axis=-1, unique_indices=True)


def to_line(a: Inexact[Array, "*lead rows cols"]) -> Inexact[Array, "*lead length"]:
    """The inverse of `to_plane`."""
    rows, cols = a.shape[-2:]
    index = np.arange(rows * cols)
    pixel = index % rows * cols + index % cols
    return jnp.take(a.reshape(*a.shape[:-2], -1), pixel, axis=-1, unique_indices=True)
