"""exp of an exponent of thousands of radians, accurate in single precision."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from optics._check import is_concrete
from optics._fusion import fusion_barrier
from optics._typing import ArrayLike, ScalarLike


def exp_in_double(exponent: Callable[..., jax.Array], *parameters: ScalarLike) -> jax.Array:
    """exp(exponent(*parameters)): the exponent in double precision, the result in the working precision.

    Over a laboratory bench the phase of a plane wave or of a lens is 10³ to 10⁶ rad. Single precision holds 7
    digits, so a phase computed there is wrong by up to 0.1 rad, and so is its gradient. Here only the
    exponent and the exp are double precision, whatever `jax_enable_x64` says. The field and its derivatives
    with respect to the parameters,

        d exp(e) = exp(e) · Σ_j (∂e / ∂ parameter_j) d parameter_j,

    are the working precision (complex64 by default).

    Arguments:
        exponent: maps scalars to a complex array; it is called with float64 scalars.
        parameters: scalars; Python numbers keep their double precision, arrays and tracers their own.

    Returns:
        complex array of the shape that `exponent` returns.
    """
    traced, merge = _split_traced(parameters)
    real, working = jnp.result_type(float), jnp.result_type(complex)

    def exponent_of(values):
        """The exponent as a function of the traced parameters alone."""
        return exponent(*(jnp.asarray(p, jnp.float64) for p in merge(values)))

    def evaluate(*values):
        with jax.enable_x64(True):
            power = exponent_of(values)
            decay = jnp.exp(power.real.astype(real))
            angle = _reduce_angle(power.imag).astype(real)
            value = jax.lax.complex(decay * jnp.cos(angle), decay * jnp.sin(angle)).astype(working)
        # Without the barrier it would be computed again for every field of a batch.
        return fusion_barrier(value)

    if not traced:
        return evaluate()
    differentiable = jax.custom_jvp(evaluate)

    @differentiable.defjvp
    def rule(values, tangents):
        # Not `evaluate`: a second derivative must find this rule again.
        value = differentiable(*values)
        tangent = jnp.zeros_like(value)
        for i, dp in enumerate(tangents):
            with jax.enable_x64(True):
                point = tuple(jnp.asarray(v, jnp.float64) for v in values)
                direction = tuple(jnp.asarray(float(i == j), jnp.float64) for j in range(len(point)))
                slope = jax.jvp(lambda *v: exponent_of(v), point, direction)[1].astype(working)
            tangent = tangent + value * slope * dp
        return value, tangent

    return differentiable(*(parameters[i] for i in traced))


def phase_factor(phase: Callable[..., jax.Array], *parameters: ArrayLike) -> jax.Array:
    """exp(i · phase(*parameters)) for parameters of any shape, with the value computed in double precision.

    `exp_in_double` takes scalars, and its slopes are double precision too. Here the slopes are the working
    precision, which suffices where no large terms cancel in them, and one pass gives those of all parameters,

        d exp(i·phase) = i · exp(i·phase) · d phase.

    Arguments:
        phase: maps the parameters, all in one precision, single or double, to a real array in that precision,
            rad.
        parameters: arrays or numbers; Python numbers keep their double precision, arrays and tracers their
            own.

    Returns:
        complex array of modulus 1 and of the shape that `phase` returns.
    """
    working, real = jnp.result_type(complex), jnp.result_type(float)
    traced, merge = _split_traced(parameters)

    def phase_of(values, dtype):
        return phase(*(jnp.asarray(p, dtype) for p in merge(values)))

    def evaluate(*values):
        with jax.enable_x64(True):
            angle = _reduce_angle(phase_of(values, jnp.float64)).astype(real)
            value = jax.lax.complex(jnp.cos(angle), jnp.sin(angle)).astype(working)
        return fusion_barrier(value)

    if not traced:
        return evaluate()
    differentiable = jax.custom_jvp(evaluate)

    @differentiable.defjvp
    def rule(values, tangents):
        value = differentiable(*values)
        slope = jax.jvp(lambda *v: phase_of(v, real), values, tangents)[1].astype(real)
        return value, value * jax.lax.complex(jnp.zeros_like(slope), slope)

    return differentiable(*(parameters[i] for i in traced))


def _split_traced(
    parameters: tuple[ArrayLike, ...],
) -> tuple[list[int], Callable[[tuple[ArrayLike, ...]], list[ArrayLike]]]:
    """The places of the traced parameters, and a function that puts values there and keeps the others."""
    traced = [i for i, p in enumerate(parameters) if not is_concrete(p)]

    def merge(values):
        merged = list(parameters)
        for i, value in zip(traced, values, strict=True):
            merged[i] = value
        return merged

    return traced, merge


def _reduce_angle(angle: jax.Array) -> jax.Array:
    """The angle within half a turn of 0: single precision holds it to 1e-7 rad, and cos and sin are cheap."""
    turns = angle / (2 * jnp.pi)
    return 2 * jnp.pi * (turns - jnp.round(turns))
