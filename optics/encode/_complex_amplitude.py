"""Modulators that set amplitude and phase of each pixel."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_plane
from optics._typing import ArrayLike
from optics.encode._encoder import Encoder, largest_amplitude


def complex_amplitude(
    a: ArrayLike,
) -> tuple[Inexact[Array, "*lead rows cols"], Float[Array, "*lead 1 1"]]:
    """Encode on a modulator that sets amplitude and phase: each exposure's brightest pixel has amplitude 1.

        drive = a / scale,   scale = max |a| over the exposure (1 where all is zero)

    The scale is per exposure (the last two axes), so nothing leaks from one example of a batch to another. It
    is a setting of the electronics, not a signal: no gradient flows through it.

    Arguments:
        a: numbers, shape (..., rows, columns), real or complex, any unit.

    Returns:
        drive, same shape and kind, |drive| ≤ 1; scale, shape (..., 1, 1), in the unit of `a`.

    Raises:
        ValueError: fewer than two axes, or no numbers.
    """
    a = as_plane("a", a)
    scale = largest_amplitude(a)
    if jnp.iscomplexobj(a):
        # JAX would make the scale complex, and a complex division costs three times this.
        return jax.lax.complex(a.real / scale, a.imag / scale), scale
    return a / scale, scale


class ComplexAmplitude(Encoder):
    """`complex_amplitude` as an encoder: one exposure, a pixel a number.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> drive, scale = optics.encode.ComplexAmplitude().encode(jnp.array([[2.0, -4.0j]]))
        >>> print(drive, scale)
        [[[ 0.5+0.j -0. -1.j]]] [[4.]]
    """

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Inexact[Array, "*lead 1 rows cols"], Float[Array, "*lead 1 1"]]:
        """Drive (..., 1, rows, columns) and scale (..., 1, 1)."""
        drive, scale = complex_amplitude(a)
        return drive[..., None, :, :], scale
