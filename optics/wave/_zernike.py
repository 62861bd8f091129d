"""Zernike polynomials over the unit disc, in Noll's order and with unit root mean square."""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import as_array, check_whole
from optics._typing import ArrayLike, CountLike, ScalarLike

# Each order is a step of the recurrence, traced on its own.
LARGEST_INDEX = 5151


def noll(index: CountLike) -> tuple[int, int]:
    """Radial order n and signed angular order m of a polynomial: cos mθ for m ≥ 0, sin |m|θ for m < 0.

    Arguments:
        index: j, from 1 (piston): 2, 3 tilt along x and y, 4 defocus, 5, 6 astigmatism, 7, 8 coma, 11
            spherical.

    Returns:
        (n, m).

    Raises:
        ValueError: `index` not a whole number from 1 to 5151, which is order 100.

    Source: R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976), table I.
    """
    check_whole("index", index, 1, LARGEST_INDEX)
    n = (math.isqrt(8 * index - 7) - 1) // 2
    place = index - n * (n + 1) // 2  # from 1 within the order
    m = 2 * (place // 2) if n % 2 == 0 else 2 * ((place - 1) // 2) + 1
    return n, m if index % 2 == 0 else -m


def zernike(index: CountLike, rho: ArrayLike, theta: ArrayLike) -> Float[Array, "*any"]:
    """Zernike polynomial in polar coordinates.

        Z_j = √(n+1) R_n⁰(ρ) for m = 0,   √(2(n+1)) R_n^m(ρ) cos mθ for even j,   √(2(n+1)) R_n^m(ρ) sin mθ
        for odd j

    Its mean square over the unit disc is 1. R_n^m(ρ) = ρ^m P_p(2ρ² − 1), where P_p is the Jacobi polynomial
    with parameters (0, m) and p = (n − m) / 2. It is evaluated by its recurrence: the sums of powers in
    textbooks lose all digits of single precision from order 15 on.

    Arguments:
        index: j in Noll's order, from 1; a Python integer.
        rho: radius in units of the disc's, any shape.
        theta: angle from x toward y, rad, any shape that broadcasts with that of `rho`.

    Returns:
        values, in the shape that `rho` and `theta` broadcast to, dimensionless.

    Raises:
        ValueError: `index` not a whole number from 1 to 5151, which is order 100.

    Example:
        >>> from optics import wave
        >>> round(float(wave.zernike(4, 1.0, 0.0)), 3)  # defocus at the rim: √3
        1.732

    Source: Noll (1976), eqs. 1 and 2; DLMF 18.9.2 for the recurrence.
    """
    n, m = noll(index)
    rho, theta = _as_floats("rho", rho), _as_floats("theta", theta)
    angular = jnp.cos(m * theta) if m >= 0 else jnp.sin(-m * theta)
    p = (n - abs(m)) // 2
    return _norm(n, m) * _radial_factors(p + 1, abs(m), rho**2)[p] * rho ** abs(m) * angular


def zernike_xy(index: CountLike, x: ArrayLike, y: ArrayLike) -> Float[Array, "*any"]:
    """Zernike polynomial in cartesian coordinates: the same as `zernike`, with exact derivatives everywhere.

        ρ^m cos mθ = Re (x + iy)^m,   ρ^m sin mθ = Im (x + iy)^m

    This is a polynomial in x and y: no root and no angle has to be differentiated in the middle.

    Arguments:
        index: j in Noll's order, from 1; a Python integer.
        x, y: in units of the disc's radius, shapes that broadcast with each other.

    Returns, errors and source: those of `zernike`.
    """
    noll(index)
    return sum_zernikes({index: 1.0}, _as_floats("x", x), _as_floats("y", y))


def sum_zernikes(coefficients: Mapping[int, ScalarLike], x: ArrayLike, y: ArrayLike) -> Float[Array, "*any"]:
    """Σ_j c_j Z_j(x, y), where polynomials of the same angular order share their factors.

    Arguments:
        coefficients: c_j, scalars, by index in Noll's order.
        x, y: in units of the disc's radius, shapes that broadcast with each other.

    Returns, errors and source: those of `zernike`.
    """
    x = jnp.asarray(x, jnp.result_type(float, x))
    y = jnp.asarray(y, jnp.result_type(float, y))
    orders = {j: noll(j) for j in coefficients}
    x, y = jnp.broadcast_arrays(x, y)
    # ρ^m cos mθ and ρ^m sin mθ of the current m.
    cos, sin, total = jnp.ones_like(x), jnp.zeros_like(x), jnp.zeros_like(x)
    for order in range(max((abs(m) for _, m in orders.values()), default=0) + 1):
        degrees = {j: (n - order) // 2 for j, (n, m) in orders.items() if abs(m) == order}
        radial = _radial_factors(max(degrees.values(), default=-1) + 1, order, x**2 + y**2)
        for j, p in degrees.items():
            n, m = orders[j]
            total += coefficients[j] * _norm(n, m) * radial[p] * (cos if m >= 0 else sin)
        cos, sin = cos * x - sin * y, sin * x + cos * y
    return total


def _as_floats(name: str, value: ArrayLike) -> Float[Array, "*any"]:
    array = as_array(name, value)
    return array.astype(jnp.result_type(float, array))


def _norm(n: int, m: int) -> float:
    return math.sqrt(n + 1) if m == 0 else math.sqrt(2 * (n + 1))


def _radial_factors(count: int, m: int, rho2: jax.Array) -> list[jax.Array]:
    """R_n^m(ρ) / ρ^m for n = m, m + 2, …, from ρ²: Jacobi polynomials with parameters (0, m) at 2ρ² − 1."""
    x = 2 * rho2 - 1
    values = [jnp.ones_like(x), ((m + 2) * x - m) / 2]
    for k in range(1, count - 1):
        # P_{k+1} = (a x − b) P_k − c P_{k−1}
        s = 2 * k + m
        scale = (k + 1) * (k + m + 1) * s
        a = (s + 1) * (s + 2) * s / (2 * scale)
        b = (s + 1) * m**2 / (2 * scale)
        c = k * (k + m) * (s + 2) / scale
        values.append((a * x - b) * values[k] - c * values[k - 1])
    return values[:count]
