"""Convolution that changes its sign where it wraps: products of polynomials modulo Xⁿ + 1."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from optics._check import check_convolve, check_key, describe
from optics._typing import (
    ArrayLike,
    DeviceLike,
    FunctionLike,
    KeyLike,
    ShapeLike,
)
from optics.convolution import convolve
from optics.mapping._boundary import as_line, check_boundary


def convolve_negacyclic(
    x: ArrayLike,
    w: ArrayLike,
    device: DeviceLike = None,
    key: KeyLike = None,
    *,
    axes: ShapeLike = (-2, -1),
    convolve: FunctionLike = convolve,
) -> Inexact[Array, "*shape"]:
    """Convolution with the sign −1 for each wrap, in one call of a device that takes complex numbers.

        y = t* · ((t x) ⊛ (t w)),   t[i] = exp(iπ i / n) along each of `axes`

    t[u] t[i − u] is t[i] where i − u does not wrap and t[i] exp(iπ) where it does. The other axes stay
    circular. For planes of another size than the device's use `convolve_tiled(..., boundary="negacyclic")`,
    which needs no twist.

    Arguments:
        x, w: shapes (..., rows, columns), of the device's size, real or complex, any units; leading axes
            broadcast as in x * w.
        device: any device that convolves; None is the exact convolution.
        key: `jax.random.key` of the device's noise, consumed; None computes without noise.
        axes: which of the last two axes change sign: (-2, -1), (-2,) or (-1,).
        convolve: the circular convolution; with `convolve_coprime` and axes=(-1,) x and w are sequences.

    Returns:
        shape of x * w, in the product of the units; real when both are.

    Raises:
        ValueError: other axes, spatial shapes that differ or are not the device's, or as `convolve`.

    Source: H. J. Nussbaumer, Fast Fourier Transform and Convolution Algorithms (1981).
    """
    check_convolve(convolve)
    check_key("key", key)
    signed = tuple(axes) if isinstance(axes, Sequence) and not isinstance(axes, str) else axes
    if signed not in ((-2, -1), (-1, -2), (-2,), (-1,)):
        raise ValueError(f"`axes` must be (-2, -1), (-2,) or (-1,), got {describe(axes)}.")
    x, w = as_line("x", x), as_line("w", w)
    depth = -min(signed)
    check_boundary(x.shape, w.shape, "negacyclic", depth)
    if x.shape[-depth:] != w.shape[-depth:]:
        raise ValueError(
            f"`x` and `w` must have the same size along {signed}, got {x.shape} and {w.shape}; "
            "pad `w` with zeros."
        )
    real = not (jnp.iscomplexobj(x) or jnp.iscomplexobj(w))
    twist = jnp.asarray(_twist(x.shape, signed), jnp.result_type(x, w, jnp.complex64))
    y = jnp.conj(twist) * convolve(x * twist, w * twist, device, key)
    return y.real if real else y


def _twist(shape: Sequence[int], axes: Sequence[int]) -> np.ndarray:
    """exp(iπ i / n) along each of the axes, broadcastable to `shape`, in double precision."""
    twist = np.ones(())
    for axis in axes:
        n = shape[axis]
        phases = np.exp(1j * math.pi * np.arange(n) / n)
        twist = twist * phases.reshape(n, *(1,) * (-axis - 1))
    return twist
