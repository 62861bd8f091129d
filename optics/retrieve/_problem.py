"""The record of a retrieval from one amplitude and a support, and the two sets that the object lies in."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Inexact

from optics._check import check_flag
from optics._numerics import reverse_index, safe_sign
from optics._typing import ArrayLike, FlagLike, FunctionLike
from optics.retrieve._checks import as_amplitude, as_support, check_forward
from optics.retrieve._retrieved import Retrieved, amplitude_misfit, norm
from optics.retrieve._transform import adjoint, centred_dft, squared_norm, to_corner


class Problem(eqx.Module):
    """An object of known support behind a measured amplitude.

        |F x| = A,   x = 0 outside the support,   x ≥ 0 if `nonnegative`

    Attributes:
        amplitude: A, shape (..., rows, columns).
        support: boolean mask of the object's plane, shape (rows, columns).
        forward: F; None is `centred_dft`.
        nonnegative: the object is real and not negative, else it is complex.
    """

    amplitude: Array
    support: Array
    forward: Callable | None
    nonnegative: bool = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the objects, one for each amplitude."""
        return (*self.amplitude.shape[:-2], *self.support.shape)

    @property
    def dtype(self) -> jnp.dtype:
        """Type of the objects."""
        return self.amplitude.dtype if self.nonnegative else jnp.result_type(self.amplitude, jnp.complex64)

    def field(self, x: Inexact[Array, "*tries rows cols"]) -> Inexact[Array, "*tries out_rows out_cols"]:
        """F x."""
        forward = centred_dft if self.forward is None else self.forward
        return forward(x.astype(jnp.result_type(x, jnp.complex64)))

    def result(self, x: Inexact[Array, "*tries rows cols"]) -> Retrieved:
        """The object with its field and its residual."""
        field = self.field(x)
        return Retrieved(x, field, amplitude_misfit(field, self.amplitude))

    def random_objects(self, key: Array, count: int) -> Inexact[Array, "count *lead rows cols"]:
        """Random objects on the support, as bright as the amplitudes are."""
        draw = jax.random.uniform if self.nonnegative else jax.random.normal
        noise = jnp.where(self.support, draw(key, (count, *self.shape), self.dtype), 0)
        return noise * (norm(self.amplitude, keepdims=True) / norm(noise, keepdims=True))


def as_problem(
    amplitude: ArrayLike, support: ArrayLike, forward: FunctionLike | None, nonnegative: FlagLike
) -> Problem:
    """The record of the arguments of a retrieval, which are refused when they do not fit together."""
    amplitude, support = as_amplitude("amplitude", amplitude), as_support(support)
    check_forward(forward, support.shape, amplitude, "amplitude", "support")
    check_flag("nonnegative", nonnegative)
    return Problem(amplitude, support, forward, nonnegative)


class Constraints(NamedTuple):
    """The two sets that the object lies in.

    Attributes:
        fit: P_M, steps objects towards those that have the measured amplitude.
        allows: where the value of an object can be true: within the support and, if known, not below zero.
    """

    fit: Callable[[Array], Array]
    allows: Callable[[Array], Bool[Array, "..."]]

    def project(self, x: Inexact[Array, "*tries rows cols"]) -> Inexact[Array, "*tries rows cols"]:
        """P_S: zero where a value is not allowed."""
        return jnp.where(self.allows(x), x, 0)


def make_constraints(problem: Problem, like: Inexact[Array, "*tries rows cols"]) -> Constraints:
    """The constraints of objects of the shape and type of `like`.

    With the default transform objects have their origin at sample 0, which spares two shifts an iteration.
    """
    default = problem.forward is None
    amplitude, support = (to_corner(a) if default else a for a in (problem.amplitude, problem.support))
    amplitude = jnp.broadcast_to(amplitude, (*like.shape[:-2], *amplitude.shape[-2:]))
    fit = _spectral_fit(amplitude, like) if default else _linear_fit(amplitude, problem.forward, like)
    return Constraints(fit, lambda x: support & (x >= 0) if problem.nonnegative else support)


def _spectral_fit(amplitude: Array, like: Array) -> Callable:
    """x -> F†(A u/|u|), u = F x: for the Fourier transform the projection onto objects of amplitude A."""
    if jnp.iscomplexobj(like):
        return lambda x: jnp.fft.ifft2(amplitude * safe_sign(jnp.fft.fft2(x)), norm="ortho")
    # The spectrum of a real object is Hermitian: half of it suffices, with the mean of the two measured
    # amplitudes.
    half = ((amplitude + reverse_index(amplitude)) / 2)[..., : amplitude.shape[-1] // 2 + 1]
    return lambda x: jnp.fft.irfft2(half * safe_sign(jnp.fft.rfft2(x)), amplitude.shape[-2:], norm="ortho")


def _linear_fit(amplitude: Array, forward: Callable, like: Array) -> Callable:
    """x -> x − F†(u − A u/|u|) / ‖F‖², u = F x.

    This gradient step on ½ ‖ |F x| − A ‖² never makes it larger, and is the projection where F is unitary.
    For real objects the real part is taken, which is the same for that set.
    """
    backward, rate = adjoint(forward, like), 1 / squared_norm(forward, like.shape[-2:])

    def step(x):
        u = forward(x.astype(jnp.result_type(x, jnp.complex64)))
        correction = backward(amplitude * safe_sign(u) - u) * rate
        return x + (correction if jnp.iscomplexobj(like) else correction.real)

    return step
