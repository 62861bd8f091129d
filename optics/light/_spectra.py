"""Spectra: the light of a laser, of a line of finite width, of several channels."""

import math

import jax.numpy as jnp
import numpy as np

from optics._check import check_choice, check_number, check_positive_number, check_whole
from optics._typing import ArrayLike, CountLike, ScalarLike, TextLike
from optics.light._light import Light

SHAPES = ("gaussian", "rectangle", "lorentzian")


def laser(wavelength: ScalarLike) -> Light:
    """Coherent light: one mode along the axis.

    Arguments:
        wavelength: in vacuum, m, scalar.

    Returns:
        `Light` of one mode.

    Raises:
        ValueError: `wavelength` not positive.

    Example:
        >>> import optics
        >>> optics.light.laser(633e-9).modes
        1
    """
    check_positive_number("wavelength", wavelength, "m")
    return Light(np.ones(1), wavelength)
