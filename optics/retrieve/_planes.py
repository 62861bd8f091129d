"""Between the plane of the object and that of the measurement."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics.retrieve._retrieved import norm, phase

AXES = (-2, -1)


def dft(a: Inexact[Array, "*lead rows cols"]) -> Complex[Array, "*lead rows cols"]:
    """Unitary Fourier transform of the last two axes with its origin at sample n//2 of both planes: the default `forward`.

    Arguments:
        a: shape (..., rows, columns), any unit.

    Returns:
        complex, same shape and unit.
    """
    return leave(jnp.fft.fft2(enter(a), norm="ortho"))


def enter(a: Array) -> Array:
    """From the origin at sample n//2 to the origin at sample 0."""
    return jnp.fft.ifftshift(a, AXES)


def leave(a: Array) -> Array:
    """From the origin at sample 0 to the origin at sample n//2."""
    return jnp.fft.fftshift(a, AXES)


def adjoint(forward: Callable, like: Inexact[Array, "*lead rows cols"]) -> Callable:
    """y -> F† y for a linear `forward`, whose argument is complex and of the shape of `like`."""
    zero = jnp.zeros(like.shape, jnp.result_type(like, jnp.complex64))
    transposed = jax.vjp(forward, zero)[1]
    # vjp gives the transpose; F† y = conj(Fᵀ conj y).
    return lambda y: jnp.conj(transposed(jnp.conj(y))[0])


def gain(forward: Callable, shape: tuple[int, int], steps: int = 30) -> Float[Array, ""]:
    """‖F‖², the largest eigenvalue of F†F, by power iteration; no gradient flows through it."""
    # Stopped before the loop, so that nothing of it is ever differentiated.
    leaves, rest = eqx.partition(forward, eqx.is_inexact_array)
    forward = eqx.combine(jax.lax.stop_gradient(leaves), rest)
    x = jax.random.normal(jax.random.key(0), shape, jnp.result_type(complex))
    backward = adjoint(forward, x)

    def step(_, x):
        image = backward(forward(x))
        size = norm(image)
        return image / jnp.where(size > 0, size, 1)

    largest = norm(forward(jax.lax.fori_loop(0, steps, step, x / norm(x)))) ** 2
    return jax.lax.stop_gradient(jnp.where(largest > 0, largest, 1))


def fit(
    amplitude: Float[Array, "*lead rows cols"], forward: Callable | None, like: Inexact[Array, "..."]
) -> Callable:
    """The step from an object towards what was measured.

        x -> x − F†(u − A u/|u|) / ‖F‖²,   u = F x

    Where F is unitary this is the projection onto the objects of the measured amplitude, F†(A u/|u|). Otherwise it is
    the gradient step on ½ ‖ |F x| − A ‖² that never makes it larger. For real objects the real part is taken, which
    is the same for that set.

    Arguments:
        amplitude: A, shape (..., rows, columns); with the default transform its origin is at sample 0.
        forward: F, linear in the last two axes; None for the DFT with its origin at sample 0 in both planes.
        like: an object of the shape and kind (real or complex) that will be stepped.
    """
    real = not jnp.iscomplexobj(like)
    if forward is None:
        if not real:
            return lambda x: jnp.fft.ifft2(amplitude * phase(jnp.fft.fft2(x)), norm="ortho")
        # The spectrum of a real object is Hermitian: half of it, with the mean of the two amplitudes that were measured.
        mirrored = jnp.roll(jnp.flip(amplitude, AXES), 1, AXES)
        half = ((amplitude + mirrored) / 2)[..., : amplitude.shape[-1] // 2 + 1]
        return lambda x: jnp.fft.irfft2(half * phase(jnp.fft.rfft2(x)), amplitude.shape[-2:], norm="ortho")
    backward, rate = adjoint(forward, like), 1 / gain(forward, like.shape[-2:])

    def step(x):
        u = forward(x.astype(jnp.result_type(x, jnp.complex64)))
        correction = backward(amplitude * phase(u) - u) * rate
        return x + (correction.real if real else correction)

    return step
