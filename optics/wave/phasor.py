"""exp of an exponent of thousands of radians, accurate in single precision."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from optics._check import concrete


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
    traced = [i for i, p in enumerate(parameters) if not concrete(p)]

    def double(values):
        """The exponent as a function of the traced parameters alone; the others keep their double precision."""
        merged = list(parameters)
        for i, value in zip(traced, values, strict=True):
            merged[i] = value
        return exponent(*(jnp.asarray(p, jnp.float64) for p in merged))

    working = jnp.result_type(complex)

    def evaluate(*values):
        with jax.enable_x64(True):
            return jnp.exp(double(values)).astype(working)

    if not traced:
        return evaluate()
    curve = jax.custom_jvp(evaluate)

    @curve.defjvp
    def rule(values, tangents):
        value = evaluate(*values)
        tangent = jnp.zeros_like(value)
        for i, dp in enumerate(tangents):
            with jax.enable_x64(True):
                one = [jnp.asarray(v, jnp.float64) for v in values]
                seed = [jnp.asarray(float(i == j), jnp.float64) for j in range(len(one))]
                slope = jax.jvp(lambda *v: double(v), tuple(one), tuple(seed))[1].astype(working)
            tangent = tangent + value * slope * dp
        return value, tangent

    return curve(*(parameters[i] for i in traced))
