"""Zernike polynomials over the unit disc, in Noll's order and with unit root mean square."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import check_whole


def noll(index: Any) -> tuple[int, int]:
    """Radial order n and signed angular order m of a polynomial; m ≥ 0 goes with cos mθ, m < 0 with sin |m|θ.

    Arguments:
        index: j, from 1 (piston): 2, 3 tilt along x and y, 4 defocus, 5, 6 astigmatism, 7, 8 coma, 11 spherical.

    Raises:
        ValueError: `index` not a whole number of at least 1.

    Source: R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976), table I.
    """
    check_whole("index", index, 1)
    n = (math.isqrt(8 * index - 7) - 1) // 2
    place = index - n * (n + 1) // 2  # from 1 within the order
    m = 2 * (place // 2) if n % 2 == 0 else 2 * ((place - 1) // 2) + 1
    return n, m if index % 2 == 0 else -m


def zernike(index: int, rho: Any, theta: Any) -> Float[Array, "*any"]:
    """Zernike polynomial in polar coordinates.

        Z_j = √(n+1) R_n⁰(ρ) for m = 0,   √(2(n+1)) R_n^m(ρ) cos mθ for even j,   √(2(n+1)) R_n^m(ρ) sin mθ for odd j

    Its mean square over the unit disc is 1. R_n^m(ρ) = ρ^m P_p(2ρ² − 1) with the Jacobi polynomial P_p of
    parameters (0, m) and p = (n − m) / 2, evaluated by its recurrence: the sums of powers that textbooks give lose all
    digits of single precision from order 15 on.

    Arguments:
        index: j in Noll's order, from 1; a Python integer.
        rho: radius in units of the disc's, any shape.
        theta: angle from x toward y, rad, any shape that broadcasts with that of `rho`.

    Returns:
        values, in the shape that `rho` and `theta` broadcast to, dimensionless.

    Raises:
        ValueError: `index` not a whole number of at least 1.

    Source: Noll (1976), eqs. 1 and 2; DLMF 18.9.2 for the recurrence.
    """
    n, m = noll(index)
    rho, theta = (
        jnp.asarray(rho, jnp.result_type(float, rho)),
        jnp.asarray(theta, jnp.result_type(float, theta)),
    )
    around = jnp.cos(m * theta) if m >= 0 else jnp.sin(-m * theta)
    p = (n - abs(m)) // 2
    return _norm(n, m) * _radials(p + 1, abs(m), rho**2)[p] * rho ** abs(m) * around


def zernike_xy(index: int, x: Any, y: Any) -> Float[Array, "*any"]:
    """Zernike polynomial in cartesian coordinates: the same as `zernike`, with exact derivatives everywhere.

        ρ^m cos mθ = Re (x + iy)^m,   ρ^m sin mθ = Im (x + iy)^m

    so that it is a polynomial in x and y, and neither a root nor an angle has to be differentiated in the middle.

    Arguments:
        index: j in Noll's order, from 1; a Python integer.
        x, y: in units of the disc's radius, shapes that broadcast with each other.

    Returns, errors and source: those of `zernike`.
    """
    return combination({index: 1.0}, x, y)


def combination(coefficients: Mapping[int, Any], x: Any, y: Any) -> Float[Array, "*any"]:
    """Σ_j c_j Z_j(x, y), with what the polynomials have in common computed once.

    Arguments:
        coefficients: c_j, scalars, by index in Noll's order.
        x, y: in units of the disc's radius, shapes that broadcast with each other.

    Returns, errors and source: those of `zernike`.
    """
    x, y = jnp.asarray(x, jnp.result_type(float, x)), jnp.asarray(y, jnp.result_type(float, y))
    orders = {j: noll(j) for j in coefficients}
    x, y = jnp.broadcast_arrays(x, y)
    cos, sin, total = jnp.ones_like(x), jnp.zeros_like(x), jnp.zeros_like(x)
    for m in range(max((abs(m) for _, m in orders.values()), default=0) + 1):
        alike = {j: (n - m) // 2 for j, (n, own) in orders.items() if abs(own) == m}
        radial = _radials(max(alike.values(), default=-1) + 1, m, x**2 + y**2)
        for j, p in alike.items():
            n, own = orders[j]
            total += coefficients[j] * _norm(n, own) * radial[p] * (cos if own >= 0 else sin)
        cos, sin = cos * x - sin * y, sin * x + cos * y
    return total


def _norm(n: int, m: int) -> float:
    return math.sqrt(n + 1) if m == 0 else math.sqrt(2 * (n + 1))


def _radials(count: int, m: int, rho2: jax.Array) -> list[jax.Array]:
    """R_n^m(ρ) / ρ^m for n = m, m + 2, …, from ρ²: Jacobi polynomials of parameters (0, m) at 2ρ² − 1."""
    x = 2 * rho2 - 1
    values = [jnp.ones_like(x), ((m + 2) * x - m) / 2]
    for k in range(1, count - 1):
        # P_{k+1} = (a x − b) P_k − c P_{k−1}
        s = 2 * k + m
        scale = (k + 1) * (k + m + 1) * s
        a, b, c = (
            (s + 1) * (s + 2) * s / (2 * scale),
            (s + 1) * m**2 / (2 * scale),
            k * (k + m) * (s + 2) / scale,
        )
        values.append((a * x - b) * values[k] - c * values[k - 1])
    return values[:count]
