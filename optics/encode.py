"""Numbers -> light: how an array becomes amplitudes of modulator pixels. An encoder returns (drive, scale)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact


def complex_amplitude(
    a: Inexact[Array, "*lead rows cols"],
) -> tuple[Inexact[Array, "*lead rows cols"], Float[Array, "*lead 1 1"]]:
    """Encode on a modulator that sets amplitude and phase: each exposure's brightest pixel has amplitude 1.

        drive = a / scale,   scale = max |a| over the exposure (1 where all is zero)

    The scale is per exposure (the last two axes), so nothing leaks from one example of a batch to another. It is a
    setting of the electronics, not a signal: no gradient flows through it.

    Arguments:
        a: numbers, shape (..., rows, columns), real or complex, any unit.

    Returns:
        drive, same shape and kind, |drive| ≤ 1; scale, shape (..., 1, 1), in the unit of `a`.
    """
    brightest = jnp.max(jnp.abs(jax.lax.stop_gradient(a)), axis=(-2, -1), keepdims=True)
    scale = jnp.where(brightest > 0, brightest, 1)
    return a / scale, scale
