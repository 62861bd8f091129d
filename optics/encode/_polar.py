"""Numbers in polar form, with the slope of the numbers that are zero."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from optics._phases import has_phase, safe_angle

# Amplitude given to the largest number. At 1 the arc cosine has no slope, and a gradient would be lost there.
LARGEST_ENCODED = 0.999


def polar_form(
    value: Complex[Array, "*any"],
) -> tuple[Float[Array, "*any"], Float[Array, "*any"], Complex[Array, "*any"]]:
    """Amplitude, phase (rad), and a zero that carries the slope of the numbers that are zero.

    Amplitude and phase have the slope of the number except at 0, where they have none although the encoded
    number does: added to each pixel of a block, the third result passes it on.
    """
    bright = has_phase(value)
    amplitude = jnp.where(bright, jnp.abs(jnp.where(bright, value, 1)), 0)
    return amplitude, safe_angle(value), jnp.where(bright, 0, value - jax.lax.stop_gradient(value))
