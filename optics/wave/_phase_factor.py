"""exp of an exponent of thousands of radians, accurate in single precision."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from optics._check import is_concrete
from optics._fusion import fusion_barrier_in_lines


def phasor(exponent: Callable[..., jax.Array], *parameters: Any) -> jax.Array:
    """exp(exponent(*parameters)), with the exponent computed in double precision and the result in the working one.

    Over a laboratory bench the phase of a plane wave or of a lens is 10³ to 10⁶ rad. Single precision holds 7
    digits, so a phase computed there is wrong by up to 0.1 rad, and so is its gradient. Here only the exponent and
    the exp are double precision, whatever `jax_enable_x64` says; the field and its derivatives with respect to the
    parameters,

        d phasor = phasor · Σ_j (∂ exponent / ∂ parameter_j) d parameter_j,

    are the working precision (complex64 by default).

    Arguments:
        exponent: maps scalars to a complex array; it is called with float64 scalars.
        parameters: scalars: Python numbers keep their double precision, arrays and tracers are taken as they are.

    Returns:
        complex array of the shape that `exponent` returns.
    """
    traced = [i for i, p in enumerate(parameters) if not is_concrete(p)]

    def double(values):
        """The exponent as a function of the traced parameters alone; the others keep their double precision."""
        merged = list(parameters)
        for i, value in zip(traced, values, strict=True):
            merged[i] = value
        return exponent(*(jnp.asarray(p, jnp.float64) for p in merged))

    real, working = jnp.result_type(float), jnp.result_type(complex)

    def evaluate(*values):
        with jax.enable_x64(True):
            power = double(values)
            decay, angle = jnp.exp(power.real.astype(real)), _wrapped(power.imag).astype(real)
            value = jax.lax.complex(decay * jnp.cos(angle), decay * jnp.sin(angle)).astype(working)
        # Not again for every field of a batch.
        return fusion_barrier_in_lines(value)

    if not traced:
        return evaluate()
    curve = jax.custom_jvp(evaluate)

    @curve.defjvp
    def rule(values, tangents):
        # Not `evaluate`: a second derivative must find this rule again.
        value = curve(*values)
        tangent = jnp.zeros_like(value)
        for i, dp in enumerate(tangents):
            with jax.enable_x64(True):
                one = [jnp.asarray(v, jnp.float64) for v in values]
                seed = [jnp.asarray(float(i == j), jnp.float64) for j in range(len(one))]
                slope = jax.jvp(lambda *v: double(v), tuple(one), tuple(seed))[1].astype(working)
            tangent = tangent + value * slope * dp
        return value, tangent

    return curve(*(parameters[i] for i in traced))


def turned(phase: Callable[..., jax.Array], *parameters: Any) -> jax.Array:
    """exp(i · phase(*parameters)) for parameters of any shape, with the value computed in double precision.

    For `phasor` the parameters are scalars and the slopes are double precision too. Here the slopes are the working
    precision, which serves where no large terms cancel in them, and one pass gives those of all parameters,

        d turned = i · turned · d phase.

    Arguments:
        phase: maps the parameters, all in one precision, single or double, to a real array in that precision, rad.
        parameters: arrays or numbers; those that are traced are taken as they are.

    Returns:
        complex array of modulus 1 and of the shape that `phase` returns.
    """
    working, real = jnp.result_type(complex), jnp.result_type(float)
    traced = [i for i, p in enumerate(parameters) if not is_concrete(p)]

    def filled(values, dtype):
        """All parameters in one precision, with `values` in the traced places; the others keep their double precision."""
        merged = list(parameters)
        for i, value in zip(traced, values, strict=True):
            merged[i] = value
        return tuple(jnp.asarray(p, dtype) for p in merged)

    def evaluate(*values):
        with jax.enable_x64(True):
            angle = _wrapped(phase(*filled(values, jnp.float64))).astype(real)
            value = jax.lax.complex(jnp.cos(angle), jnp.sin(angle)).astype(working)
        return fusion_barrier_in_lines(value)

    if not traced:
        return evaluate()
    curve = jax.custom_jvp(evaluate)

    @curve.defjvp
    def rule(values, tangents):
        value = curve(*values)
        slope = jax.jvp(lambda *v: phase(*filled(v, real)), values, tangents)[1].astype(real)
        return value, value * jax.lax.complex(jnp.zeros_like(slope), slope)

    return curve(*(parameters[i] for i in traced))


def _wrapped(angle: jax.Array) -> jax.Array:
    """The angle within half a turn of 0, where single precision holds it to 1e-7 rad; cos and sin are cheap there."""
    turns = angle / (2 * jnp.pi)
    return 2 * jnp.pi * (turns - jnp.round(turns))
