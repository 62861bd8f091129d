"""More bits than the modulator has, in several exposures."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import as_plane, check_convolve, check_flag, check_key, check_shape, check_whole
from optics._keys import split_key
from optics._numerics import zero_where_dark
from optics._typing import (
    ArrayLike,
    CountLike,
    DeviceLike,
    FlagLike,
    FunctionLike,
    KeyLike,
    ShapeLike,
)
from optics.convolution import check_device, convolve, transform
from optics.device import AbstractDevice
from optics.mapping._boundary import as_shapes, check_boundary
from optics.mapping._plan import Plan, count_planes, match_axes

# Beyond it even slices of 2 bits are below what double precision holds.
LARGEST_SLICES = 64


def bit_slices(
    a: ArrayLike, bits: CountLike, slices: CountLike
) -> tuple[Inexact[Array, "slices *lead rows cols"], Inexact[Array, "slices *lead 1 1"]]:
    """Planes of whole numbers that a converter of few bits represents exactly, weighted to sum to `a`.

        a ≈ Σ_j weight_j slice_j,   slice_j = round(r_j / weight_j)
        r_0 = a,   r_{j+1} = r_j − weight_j slice_j

    With M = 2^(bits−1) − 1 the weight is r_j / M at the pixel where |r_j| is largest, its phase included. So
    every slice has a pixel of exactly M, which an encoder makes full scale, and all other pixels are then
    levels of a converter of `bits` bits (`effects.Quantize(bits, signed=True)`). Each slice after the first
    adds 1 + log2(M) bits, about `bits`. The weights are electronic and follow the remainder, so that planes
    of any range, real or complex, need one exposure a slice.

    Gradients are those of `a`, through the first slice (straight through).

    Arguments:
        a: shape (..., rows, columns), real or complex, any unit; a plane is an exposure.
        bits: of the converter, sign included, 2 to 16.
        slices: at least 1.

    Returns:
        slices, whole numbers (or whole real and imaginary parts) of modulus at most M; weights, in the unit
        of a.

    Raises:
        ValueError: fewer than two axes, or `bits` or `slices` outside their range.
    """
    a = as_plane("a", a)
    check_whole("bits", bits, 2, 16)
    check_whole("slices", slices, 1, LARGEST_SLICES)
    largest = 2 ** (bits - 1) - 1
    remainder, planes, weights = jax.lax.stop_gradient(a), [], []
    for _ in range(slices):
        flat = remainder.reshape(*remainder.shape[:-2], -1)
        brightest = jnp.argmax(jnp.abs(flat), axis=-1, keepdims=True)
        weight = jnp.take_along_axis(flat, brightest, axis=-1)[..., None] / largest
        nonzero = weight != 0
        plane = remainder / jnp.where(nonzero, weight, 1)
        plane = jnp.where(nonzero, _round(plane, largest), 0)
        remainder = remainder - weight * plane
        planes.append(plane)
        weights.append(weight)
    weights[0] = jnp.where(weights[0] != 0, weights[0], 1)
    planes[0] = planes[0] + (a - jax.lax.stop_gradient(a)) / weights[0]
    return jnp.stack(planes), jnp.stack(weights)


def _round(number: Inexact[Array, "*any"], largest: int) -> Inexact[Array, "*any"]:
    """Nearest whole number, of each part of a complex one, but none of a modulus above `largest`."""
    if not jnp.iscomplexobj(number):
        return jnp.clip(jnp.round(number), -largest, largest)
    nearest = jax.lax.complex(jnp.round(number.real), jnp.round(number.imag))
    smaller = jax.lax.complex(jnp.trunc(number.real), jnp.trunc(number.imag))
    # Rounding up both parts must not make another pixel brighter than the brightest.
    return jnp.where(jnp.abs(nearest) > largest, smaller, nearest)


def convolve_sliced(
    x: ArrayLike,
    w: ArrayLike,
    device: DeviceLike = None,
    key: KeyLike = None,
    *,
    bits: CountLike,
    slices: CountLike = 2,
    convolve: FunctionLike = convolve,
) -> Inexact[Array, "*lead rows cols"]:
    """Circular convolution with every number split into slices of few bits for the device.

        Fourier engine:   F a = Σ_j weight_j F slice_j, for x, for w, and for the product of their spectra
        other devices:    x ⊛ w = Σ_jk weight_j weight_k (slice_j ⊛ slice_k)

    The modulator's quantisation then affects only the remainder after the last slice. Noise and quantisation
    of the camera stay: every exposure has its own, in proportion to its weight. An engine takes `slices`
    times as many transforms, other devices slices² times as many exposures.

    Arguments:
        x, w: shapes (..., rows, columns), of the device's size, real or complex, any units; leading axes
            broadcast as in x * w.
        device: any device that convolves; None is the exact convolution.
        key: `jax.random.key` of the device's noise, consumed; every slice has its own. None computes
            without noise.
        bits: of the modulator's converter, sign included, 2 to 16; exact only without a gain pixel by pixel
            before the modulator.
        slices: exposures for one plane, at least 1.
        convolve: convolves planes on devices without `transform`, such as
            `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape of x * w, in the product of the units; real when both are.

    Raises:
        ValueError: `bits` or `slices` outside their range, or as `optics.convolve`.
    """
    x, w = as_plane("x", x), as_plane("w", w)
    check_whole("bits", bits, 2, 16)
    check_whole("slices", slices, 1, LARGEST_SLICES)
    check_convolve(convolve)
    check_key("key", key)
    check_boundary(x.shape, w.shape, "circular")
    if device is None:
        return convolve(x, w, None, None)
    check_device(device)
    check_shape("x", x, device)
    check_shape("w", w, device)
    x, w = match_axes(x, w)
    if not device.supports(AbstractDevice.transform):
        (x_slices, x_weights), (w_slices, w_weights) = (
            bit_slices(x, bits, slices),
            bit_slices(w, bits, slices),
        )
        x_slices, x_weights = x_slices[:, None], x_weights[:, None]
        y = zero_where_dark(convolve(x_slices, w_slices, device, key), x_slices, w_slices)
        return jnp.sum(x_weights * w_weights * y, axis=(0, 1))
    x_key, w_key, y_key = split_key(key, 3)

    def transform_sliced(a, key):
        planes, weights = bit_slices(a, bits, slices)
        return jnp.sum(weights * zero_where_dark(transform(planes, device, key), planes), axis=0)

    # The transforms are unitary, and the inverse is made of a forward one: F⁻¹ P = conj(F conj P).
    scale = math.sqrt(math.prod(device.shape))
    product = scale * transform_sliced(x, x_key) * transform_sliced(w, w_key)
    y = jnp.conj(transform_sliced(jnp.conj(product), y_key))
    return y if jnp.iscomplexobj(x) or jnp.iscomplexobj(w) else y.real


def plan_sliced(
    x_shape: ShapeLike,
    w_shape: ShapeLike,
    shape: ShapeLike,
    slices: CountLike = 2,
    transforms: FlagLike = True,
) -> Plan:
    """The planes of `convolve_sliced`, for arrays of these shapes on a device of `shape` pixels.

    Arguments:
        x_shape, w_shape: of the arrays, leading axes included.
        shape: pixels (rows, columns).
        slices: exposures for one plane.
        transforms: whether the device is a Fourier engine, which takes the product of the spectra in slices
            too.

    Returns:
        `Plan`.

    Raises:
        ValueError: `slices` below 1, or arrays that do not fit together.
    """
    check_whole("slices", slices, 1, LARGEST_SLICES)
    check_flag("transforms", transforms)
    x_shape, w_shape, shape = as_shapes(x_shape, w_shape, shape)
    check_boundary(x_shape, w_shape, "circular")
    if x_shape[-2:] != shape or w_shape[-2:] != shape:
        raise ValueError(
            f"`x_shape` and `w_shape` must end with the {shape} pixels of `shape`, got {x_shape} and "
            f"{w_shape}."
        )
    inputs, kernels, pairs = count_planes(x_shape[:-2], w_shape[:-2])
    per_pair = slices if transforms else slices**2
    return Plan(shape, slices * inputs, slices * kernels, per_pair * pairs)
