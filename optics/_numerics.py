"""Numerical steps that many parts take: roots and phases that are safe at zero, and indices."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact


def safe_sqrt(a: Float[Array, "*any"], otherwise: float = 0.0) -> Float[Array, "*any"]:
    """√a where a is above zero, elsewhere `otherwise`, without a slope: the slope of √ is infinite at
    zero.
    """
    above = a > 0
    return jnp.where(above, jnp.sqrt(jnp.where(above, a, 1)), otherwise)


def standard_deviation(variance: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """√variance, without a slope where it is zero; not a number where the variance is none or negative, so
    that a wrong number does not switch noise off.
    """
    zero = variance == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, variance)))


def safe_divide(a: Inexact[Array, "*a"], b: Inexact[Array, "*b"]) -> Inexact[Array, "*quotient"]:
    """a / b, and a itself where b is not above zero."""
    return a / jnp.where(b > 0, b, 1)


def safe_abs(a: Inexact[Array, "*any"]) -> Float[Array, "*any"]:
    """|a|, without a slope where a is zero."""
    zero = a == 0
    return jnp.where(zero, 0, jnp.abs(jnp.where(zero, 1, a)))


def safe_sign(a: Inexact[Array, "*any"]) -> Inexact[Array, "*any"]:
    """a / |a|, and 1 without a slope where a is zero."""
    zero = a == 0
    nonzero = jnp.where(zero, 1, a)
    return jnp.where(zero, 1, nonzero / jnp.abs(nonzero))


def unit_ratio(positive: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """1, with the relative gradient of a value: value / its value; of 0 without a gradient."""
    constant = jax.lax.stop_gradient(positive)
    return jnp.where(constant > 0, positive / jnp.where(constant > 0, constant, 1), 1)


def fast_length(n: int, real: bool = False) -> int:
    """The smallest length from n on whose FFTs are fast; `real`: those of real numbers."""
    from scipy.fft import next_fast_len  # takes half a second to import, which many programs need not spend

    return next_fast_len(n, real=real)


def reverse_index(a: Inexact[Array, "*shape"], axes: tuple[int, ...] = (-2, -1)) -> Inexact[Array, "*shape"]:
    """a[−n modulo the length] along the axes, with the origin at index 0."""
    return jnp.roll(jnp.flip(a, axes), 1, axes)


def reverse_about_centre(a: Inexact[Array, "*lead rows cols"]) -> Inexact[Array, "*lead rows cols"]:
    """a[−n] of the last two axes, with the origin at pixel n//2: what two forward transforms do to a
    plane.
    """
    even = tuple(1 - n % 2 for n in a.shape[-2:])
    return jnp.roll(jnp.flip(a, (-2, -1)), even, (-2, -1))


def pad_last(a: Inexact[Array, "*lead n"], after: int, before: int = 0) -> Inexact[Array, "*lead padded"]:
    """Zeros after the last axis, and before it."""
    return jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(before, after)])


def zero_where_dark(y: Inexact[Array, "*y"], *inputs: Inexact[Array, "..."]) -> Inexact[Array, "*y"]:
    """Zero, with the gradient of y, where a plane of an input is zero: it is not exposed.

    Without a signal to set the exposure by, the noise of a device would be that of full scale.
    """
    signal = jnp.ones((), bool)
    for a in inputs:
        signal = signal & jnp.any(a != 0, axis=(-2, -1), keepdims=True)
    return jnp.where(signal, y, y - jax.lax.stop_gradient(y))
