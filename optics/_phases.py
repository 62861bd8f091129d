"""Phases of light, safe where a pixel is dark."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Inexact

TWO_PI = 2 * np.pi

# Below this amplitude a pixel is dark: the slope of its phase would overflow single precision.
DARK_AMPLITUDE = 1e-15

# `wrap_phase` starts this far (rad) below zero, so that rounding does not throw a phase of zero to the other
# end.
WRAP_MARGIN = 1e-5


def as_complex(value: Inexact[Array, "*any"]) -> Complex[Array, "*any"]:
    """`value` as a complex amplitude."""
    return value if jnp.iscomplexobj(value) else jax.lax.complex(value, jnp.zeros_like(value))


def has_phase(value: Complex[Array, "*any"]) -> Bool[Array, "*any"]:
    """Where a value is bright enough for its phase to have a slope."""
    return (jnp.abs(value.real) > DARK_AMPLITUDE) | (jnp.abs(value.imag) > DARK_AMPLITUDE)


def safe_angle(value: Complex[Array, "*any"]) -> Float[Array, "*any"]:
    """Phase in (−π, π], rad; 0 without a slope where a pixel is dark."""
    bright = has_phase(value)
    return jnp.where(
        bright, jnp.arctan2(jnp.where(bright, value.imag, 0), jnp.where(bright, value.real, 1)), 0
    )


def wrap_phase(phi: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Phase as a modulator is driven, in [0, 2π) rad to within `WRAP_MARGIN`."""
    return jnp.mod(phi + WRAP_MARGIN, TWO_PI) - WRAP_MARGIN


def unit_phasor(phi: Float[Array, "*any"]) -> Complex[Array, "*any"]:
    """exp(iφ)."""
    return jax.lax.complex(jnp.cos(phi), jnp.sin(phi))
