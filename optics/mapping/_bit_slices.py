"""More bits than the modulator has, in several exposures."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import as_plane, check_convolve, check_shape, check_whole
from optics._numerics import zero_where_dark
from optics.convolution import check_device, convolve, transform
from optics.mapping._boundary import check
from optics.mapping._plan import Plan


def bit_slices(
    a: Any, bits: int, slices: int
) -> tuple[Inexact[Array, "slices *lead rows cols"], Inexact[Array, "slices *lead 1 1"]]:
    """Planes of whole numbers that a converter of few bits shows exactly, and the weights with which they add up to `a`.

        a ≈ Σ_j weight_j slice_j,   slice_j = round(r_j / weight_j),   r_0 = a,   r_{j+1} = r_j − weight_j slice_j

    With M = 2^(bits−1) − 1 the weight is r_j / M at the pixel where |r_j| is largest, its phase included. So every slice has a
    pixel of exactly M, which an encoder makes full scale, and all other pixels are then levels of a converter of `bits` bits
    (`effects.Quantize(bits, signed=True)`). Each slice after the first adds 1 + log2(M) bits, about `bits`, and the weights,
    which are electronic, follow what is left: planes of any range, real or complex, need one exposure a slice.

    Gradients are those of `a`, through the first slice (straight through).

    Arguments:
        a: shape (..., rows, columns), real or complex, any unit; a plane is an exposure.
        bits: of the converter, sign included, 2 to 16.
        slices: at least 1.

    Returns:
        slices, whole numbers (or whole real and imaginary parts) of modulus at most M; weights, in the unit of a.

    Raises:
        ValueError: fewer than two axes, or `bits` or `slices` outside their range.
    """
    a = as_plane("a", a)
    check_whole("bits", bits, 2, 16)
    check_whole("slices", slices, 1)
    largest = 2 ** (bits - 1) - 1
    left, found, weights = jax.lax.stop_gradient(a), [], []
    for _ in range(slices):
        flat = left.reshape(*left.shape[:-2], -1)
        at = jnp.argmax(jnp.abs(flat), axis=-1, keepdims=True)
        weight = jnp.take_along_axis(flat, at, axis=-1)[..., None] / largest
        some = weight != 0
        number = left / jnp.where(some, weight, 1)
        number = jnp.where(some, _whole(number, largest), 0)
        left = left - weight * number
        found.append(number)
        weights.append(weight)
    weights[0] = jnp.where(weights[0] != 0, weights[0], 1)
    found[0] = found[0] + (a - jax.lax.stop_gradient(a)) / weights[0]
    return jnp.stack(found), jnp.stack(weights)


def _whole(number: Inexact[Array, "*any"], largest: int) -> Inexact[Array, "*any"]:
    """Nearest whole number, of each part of a complex one, but none of a modulus above `largest`."""
    if not jnp.iscomplexobj(number):
        return jnp.clip(jnp.round(number), -largest, largest)
    near = jax.lax.complex(jnp.round(number.real), jnp.round(number.imag))
    below = jax.lax.complex(jnp.trunc(number.real), jnp.trunc(number.imag))
    # The brightest pixel may not be outshone by one whose parts were rounded up.
    return jnp.where(jnp.abs(near) > largest, below, near)


def convolve_sliced(
    x: Any,
    w: Any,
    device: Any = None,
    key: Array | None = None,
    *,
    bits: int,
    slices: int = 2,
    convolve: Any = convolve,
) -> Inexact[Array, "*lead rows cols"]:
    """Circular convolution with every number shown to the device in slices of few bits.

        Fourier engine:   F a = Σ_j weight_j F slice_j, for x, for w, and for the product of their spectra
        other devices:    x ⊛ w = Σ_jk weight_j weight_k (slice_j ⊛ slice_k)

    What is quantised at the modulator is then only what is left after the last slice. Noise and quantisation of the camera
    stay: every exposure has its own, in proportion to its weight. An engine takes `slices` times as many transforms, other
    devices slices² times as many exposures.

    Arguments:
        x, w: shapes (..., rows, columns), of the device's size, real or complex, any units; leading axes broadcast as in x * w.
        device: `FourierProcessor` and its like; None is the exact convolution.
        key: `jax.random.key` of the device's noise, consumed; every slice has its own. None gives the expected value.
        bits: of the modulator's converter, sign included, 2 to 16; a pixel by pixel gain before it costs exactness.
        slices: exposures for one plane, at least 1.
        convolve: for devices without `transform`, what convolves planes, such as `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape of x * w, in the product of the units; real when both are.

    Raises:
        ValueError: `bits` or `slices` outside their range, or as `optics.convolve`.
    """
    x, w = as_plane("x", x), as_plane("w", w)
    check_whole("bits", bits, 2, 16)
    check_whole("slices", slices, 1)
    check_convolve(convolve)
    check(x.shape, w.shape, "circular")
    if device is None:
        return convolve(x, w, None, None)
    check_device(device)
    check_shape("x", x, device)
    check_shape("w", w, device)
    axes = max(x.ndim, w.ndim)
    x, w = (a.reshape((1,) * (axes - a.ndim) + a.shape) for a in (x, w))
    if not hasattr(device, "transform"):
        (of_x, x_weight), (of_w, w_weight) = bit_slices(x, bits, slices), bit_slices(w, bits, slices)
        of_x, x_weight = of_x[:, None], x_weight[:, None]
        y = zero_where_dark(convolve(of_x, of_w, device, key), of_x, of_w)
        return jnp.sum(x_weight * w_weight * y, axis=(0, 1))
    keys = (None,) * 3 if key is None else jax.random.split(key, 3)

    def sliced(a, key):
        found, weights = bit_slices(a, bits, slices)
        return jnp.sum(weights * zero_where_dark(transform(found, device, key), found), axis=0)

    # Unitary transforms, and the way back as a way forward: F⁻¹ P = conj(F conj P).
    product = math.sqrt(math.prod(device.shape)) * sliced(x, keys[0]) * sliced(w, keys[1])
    y = jnp.conj(sliced(jnp.conj(product), keys[2]))
    return y if jnp.iscomplexobj(x) or jnp.iscomplexobj(w) else y.real


def plan_sliced(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    shape: Sequence[int],
    slices: int = 2,
    transforms: bool = True,
) -> Plan:
    """The planes of `convolve_sliced`, for arrays of these shapes on a device of `shape` pixels.

    Arguments:
        x_shape, w_shape: of the arrays, leading axes included.
        shape: pixels (rows, columns).
        slices: exposures for one plane.
        transforms: the device is a Fourier engine, which shows the product of the spectra in slices too.

    Raises:
        ValueError: `slices` below 1, or arrays that do not fit together.
    """
    check_whole("slices", slices, 1)
    check(x_shape, w_shape, "circular")
    x, w, y = (
        math.prod(lead)
        for lead in (x_shape[:-2], w_shape[:-2], jnp.broadcast_shapes(x_shape[:-2], w_shape[:-2]))
    )
    return Plan(tuple(shape), slices * x, slices * w, (slices if transforms else slices**2) * y)
