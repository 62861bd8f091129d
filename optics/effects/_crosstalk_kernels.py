"""Kernels of the fringing field: how far the field of one electrode reaches."""

import abc

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics._check import as_leaf, check_number, check_positive, check_positive_number, check_range
from optics._typing import ArrayLike, ScalarLike

# Quadrature of the inverse transform, up to the largest distance (in units of the kernel's own width). Beyond
# it less than 1 part in 1000 is left, which falls off as the tail of a stable density.
QUADRATURE_POINTS = 1024
LARGEST_DISTANCE = 128.0

# Where a stretched exponential ends: exp(−16.6) is nothing in single precision.
LARGEST_EXPONENT = 16.6


class AbstractKernel(eqx.Module):
    """A kernel of the fringing field along one axis, of area 1, known by its cumulative distribution."""

    @abc.abstractmethod
    def cumulative(self, x: Float[Array, "*any"]) -> Float[Array, "*any"]:
        """Share of the kernel to the left of a point.

        Arguments:
            x: pixels, any shape.

        Returns:
            shares, rising from 0 to 1, same shape.
        """

    def half_width(self) -> Float[Array, ""]:
        """The distance, in pixels, within which half of the kernel lies, on a grid of 64 distances."""
        distance = jnp.logspace(-4, 1, 64)
        share = self.cumulative(distance) - self.cumulative(-distance)
        return jnp.interp(0.5, share, distance)


class SuperGaussian(AbstractKernel):
    """A kernel whose transform is a super-Gaussian; along each axis

        K(x) = ∫ exp(−|f/σ|^q + 2πi f x) df,   x in pixels

    For q ≤ 2 this is a symmetric stable density of scale 1/(2πσ), positive and of area 1; the modulus that
    the source takes of it changes nothing then. For q > 2 it has small negative lobes, which are kept.

    Arguments:
        width: σ, cycles per pixel, scalar.
        order: q, in [1, 4], scalar.

    Raises:
        ValueError: `width` not positive, or `order` outside its range.

    Source: P. Schroff et al., Sci. Rep. 13, 3252 (2023); the defaults are those of the authors' program
        hologradpy, fitted to a panel of 12.5 µm pitch.
    """

    width: Array = eqx.field(converter=as_leaf)
    order: Array = eqx.field(converter=as_leaf)

    def __init__(self, width: ScalarLike = 2.03, order: ScalarLike = 1.2):
        check_positive_number("width", width, "cycles per pixel")
        check_number("order", order, 1.0, 4.0)
        self.width, self.order = width, order

    def cumulative(self, x: Float[Array, "*any"]) -> Float[Array, "*any"]:
        """Share of the kernel to the left of `x` (pixels): ½ + ∫₀^∞ exp(−g^q) sin(2πσx g) / (πg) dg."""
        distance = 2 * jnp.pi * self.width * x
        z = jnp.clip(distance, -LARGEST_DISTANCE, LARGEST_DISTANCE)
        # g = v²: the kink of g^q at 0 becomes smooth, so that the midpoint rule is accurate.
        upper = 16.0 ** (0.5 / self.order)
        v = upper * (jnp.arange(QUADRATURE_POINTS, dtype=z.dtype) + 0.5) / QUADRATURE_POINTS
        g = v**2
        integrand = jnp.exp(-(g**self.order)) * 2 / (jnp.pi * v)
        inner = jnp.sum(integrand * jnp.sin(z[..., None] * g), axis=-1) * (upper / QUADRATURE_POINTS)
        beyond = jnp.abs(distance) > LARGEST_DISTANCE
        fall = (LARGEST_DISTANCE / jnp.where(beyond, jnp.abs(distance), LARGEST_DISTANCE)) ** self.order
        outer = jnp.sign(inner) * (0.5 - (0.5 - jnp.abs(inner)) * fall)
        return 0.5 + jnp.where(beyond, outer, inner)


class Exponential(AbstractKernel):
    """A kernel that falls as a stretched exponential, on each side in its own way if two numbers are given.

        K(x) ∝ exp(−|x/α|^n),   x in pixels

    Arguments:
        reach: α, pixels, scalar or (before, after): toward lower and toward higher pixel numbers.
        power: n, in [½, 8], scalar or (before, after).

    Raises:
        ValueError: `reach` not positive, `power` outside its range, or neither scalar nor a pair.

    Source: M. Persson et al., Opt. Express 20, 22334 (2012); E. Ronzitti et al., Opt. Express 20, 17843
        (2012).
    """

    reach: Array = eqx.field(converter=as_leaf)
    power: Array = eqx.field(converter=as_leaf)

    def __init__(self, reach: ArrayLike = 0.1, power: ArrayLike = 1.0):
        check_positive("reach", reach, "pixels")
        check_range("power", power, 0.5, 8.0)
        for name, value in (("reach", reach), ("power", power)):
            if np.shape(value) not in ((), (2,)):
                raise ValueError(
                    f"`{name}` must be one number or a pair (before, after), got shape {np.shape(value)}."
                )
        self.reach, self.power = reach, power

    def cumulative(self, x: Float[Array, "*any"]) -> Float[Array, "*any"]:
        """Share of the kernel to the left of `x` (pixels)."""
        reach, power = (jnp.broadcast_to(v, (2,)).astype(x.dtype) for v in (self.reach, self.power))
        furthest = LARGEST_EXPONENT ** (1 / power)
        area = reach * _integrate_stretched_exponential(furthest, power)
        side = (x > 0).astype(int)
        distance = jnp.where(x == 0, 1.0, jnp.abs(x))
        from_middle = reach[side] * _integrate_stretched_exponential(
            jnp.minimum(distance / reach[side], furthest[side]), power[side]
        )
        signed_area = jnp.where(x > 0, 1, -1) * jnp.where(x == 0, 0, from_middle)
        return (area[0] + signed_area) / (area[0] + area[1])


def _integrate_stretched_exponential(
    z: Float[Array, "*any"], power: Float[Array, "*any"]
) -> Float[Array, "*any"]:
    """∫₀^z exp(−t^n) dt = ∫₀^√z 2v exp(−v^(2n)) dv by Gauss's rule."""
    # The incomplete gamma function of JAX takes long to compile.
    node, weight = (jnp.asarray(v, z.dtype) for v in np.polynomial.legendre.leggauss(48))
    half = jnp.sqrt(z)[..., None] / 2
    v = half * (1 + node)
    return jnp.sum(weight * half * 2 * v * jnp.exp(-(v ** (2 * power[..., None]))), axis=-1)
