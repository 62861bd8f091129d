"""States of polarisation of power 1."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from optics._check import as_leaf, check_choice, check_finite
from optics._phases import as_complex
from optics._typing import ArrayLike, TextLike


def linear(angle: ArrayLike) -> Complex[Array, "*batch 2"]:
    """Light that is polarised along a line: (cos θ, sin θ).

    Arguments:
        angle: θ of the electric field from x, rad, any shape.

    Returns:
        Jones vectors of power 1, shape (..., 2).

    Raises:
        ValueError: `angle` not finite.

    Example:
        >>> import optics
        >>> print(optics.polarisation.linear(0.0).real)
        [1. 0.]
    """
    check_finite("angle", angle, "rad")
    theta = as_leaf(angle)
    return as_complex(jnp.stack([jnp.cos(theta), jnp.sin(theta)], axis=-1))


def circular(handedness: TextLike) -> Complex[Array, " 2"]:
    """Circular light: right is (1, −i)/√2, left is (1, i)/√2.

    Arguments:
        handedness: "right", clockwise for an observer whom the light meets, or "left".

    Returns:
        a Jones vector of power 1, shape (2,).

    Raises:
        ValueError: another `handedness`.

    Source: E. Hecht, Optics, 5th ed. (2017), section 8.13.

    Example:
        >>> import optics
        >>> print(float(optics.polarisation.stokes(optics.polarisation.circular("right"))[3].round(3)))
        1.0
    """
    check_choice("handedness", handedness, ("right", "left"))
    sign = -1 if handedness == "right" else 1
    return jnp.asarray(np.array([1, sign * 1j]) / np.sqrt(2), jnp.result_type(complex))
