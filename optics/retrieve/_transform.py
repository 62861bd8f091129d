"""The transform between the plane of the object and that of the measurement, its adjoint and its norm."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_plane
from optics._numerics import safe_divide
from optics._typing import ArrayLike
from optics.retrieve._retrieved import norm

AXES = (-2, -1)


def centred_dft(a: ArrayLike) -> Complex[Array, "*lead rows cols"]:
    """Unitary Fourier transform of the last two axes with the origin of both planes at sample n//2.

    It is the default `forward` of every retrieval.

    Arguments:
        a: shape (..., rows, columns), any unit.

    Returns:
        complex, same shape and unit.

    Raises:
        ValueError: fewer than two axes, or no numbers.
    """
    a = as_plane("a", a)
    return to_centre(jnp.fft.fft2(to_corner(a), norm="ortho"))


def to_corner(a: Array) -> Array:
    """Move the origin from sample n//2 to sample 0."""
    return jnp.fft.ifftshift(a, AXES)


def to_centre(a: Array) -> Array:
    """Move the origin from sample 0 to sample n//2."""
    return jnp.fft.fftshift(a, AXES)


def adjoint(forward: Callable, like: Inexact[Array, "*lead rows cols"]) -> Callable:
    """y -> F† y for a linear `forward`, whose argument is complex and has the shape of `like`."""
    zero = jnp.zeros(like.shape, jnp.result_type(like, jnp.complex64))
    transposed = jax.vjp(forward, zero)[1]
    # vjp gives the transpose; F† y = conj(Fᵀ conj y).
    return lambda y: jnp.conj(transposed(jnp.conj(y))[0])


def squared_norm(forward: Callable, shape: tuple[int, int], steps: int = 30) -> Float[Array, ""]:
    """‖F‖², the largest eigenvalue of F†F, by power iteration; no gradient flows through it."""
    # Stopped before the loop, so that no part of the loop is differentiated.
    leaves, rest = eqx.partition(forward, eqx.is_inexact_array)
    forward = eqx.combine(jax.lax.stop_gradient(leaves), rest)
    x = jax.random.normal(jax.random.key(0), shape, jnp.result_type(complex))
    backward = adjoint(forward, x)

    def step(_, x):
        image = backward(forward(x))
        return safe_divide(image, norm(image))

    largest = norm(forward(jax.lax.fori_loop(0, steps, step, x / norm(x)))) ** 2
    return jax.lax.stop_gradient(jnp.where(largest > 0, largest, 1))
