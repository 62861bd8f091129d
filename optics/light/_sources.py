"""Sources of finite size behind a collimator: every point of the source is a direction."""

import jax.numpy as jnp
import numpy as np

from optics._check import as_array, as_pixels, check_number, check_positive_number, check_whole, describe
from optics._typing import ArrayLike, CountLike, ScalarLike, ShapeLike
from optics.light._light import Light
from optics.light._spectra import MOST_MODES

# The two axes (y, x).
AXES = 2


def disc(wavelength: ScalarLike, radius: ScalarLike, rings: CountLike = 4, spokes: CountLike = 12) -> Light:
    """A disc of even brightness, such as the end of a fibre or a pinhole before a lamp.

    A point at (y, x) in the focal plane of a collimator makes a plane wave of angle (y, x) / f. Modes are at
    the nodes of Gauss–Legendre in the square of the angle, and at equal steps around the axis.

    Arguments:
        wavelength: in vacuum, m, scalar.
        radius: α, radius of the source over the focal length of the collimator, rad, scalar, at least 0.
        rings: nodes along the radius, whole number of at least 1.
        spokes: nodes around the axis, whole number of at least 1. The modes have the coherence of the disc to
            1e-3 between points up to 1.2 λ/α apart (4 rings, 12 spokes), 1.7 (4, 24) or 3.4 (8, 24).

    Returns:
        `Light` of rings × spokes modes, with a gradient with respect to its numbers.

    Raises:
        ValueError: `wavelength` not positive, `radius` negative, or counts that are no whole numbers of at
            least 1.

    Source: A. H. Stroud, Approximate Calculation of Multiple Integrals (1971), section 2.6.

    Example:
        >>> from optics import light
        >>> lamp = light.disc(633e-9, radius=1e-3)
        >>> print(f"{light.visibility(lamp, separation=(0.0, 0.61 * 633e-9 / 1e-3)):.3f}")  # first dark ring
        0.000
    """
    check_positive_number("wavelength", wavelength, "m")
    check_number("radius", radius, 0.0, unit="rad")
    check_whole("rings", rings, 1, MOST_MODES)
    check_whole("spokes", spokes, 1, MOST_MODES)
    nodes, weights = np.polynomial.legendre.leggauss(rings)
    r = np.sqrt((1 + nodes) / 2)[:, None]
    # Every other ring is turned by half a step: their errors have opposite signs.
    turn = 2 * np.pi * (np.arange(spokes) + np.arange(rings)[:, None] % 2 / 2) / spokes
    points = np.stack([r * np.sin(turn), r * np.cos(turn)], axis=-1).reshape(-1, AXES)
    return Light(np.repeat(weights, spokes), wavelength, points * radius)


def gaussian(wavelength: ScalarLike, sigma: ArrayLike, modes: ShapeLike = 5) -> Light:
    """A source whose brightness falls as a Gaussian, which makes a Gaussian Schell-model beam.

        B(θ) ∝ exp(−θ_y² / (2 σ_y²) − θ_x² / (2 σ_x²))

    Modes are at the nodes of Gauss–Hermite along each axis.

    Arguments:
        wavelength: in vacuum, m, scalar.
        sigma: σ, standard deviation of the source over the focal length of the collimator, rad, scalar or
            (y, x), at least 0.
        modes: along each axis, or (y, x), whole numbers of at least 1. With K of them the light has its
            coherence to 1e-3 between points up to 0.24 λ/σ (K = 5) or 0.45 (9) apart; it is below 1e-3 from
            0.59 on.

    Returns:
        `Light` of as many modes as their product, with a gradient with respect to its numbers.

    Raises:
        ValueError: `wavelength` not positive, `sigma` negative or neither one nor two numbers, or `modes`
            that are no whole numbers.

    Source: L. Mandel and E. Wolf, Optical Coherence and Quantum Optics (1995), section 5.4.

    Example:
        >>> import optics
        >>> optics.light.gaussian(633e-9, sigma=1e-4).modes
        25
    """
    from scipy.special import roots_hermitenorm  # takes a third of a second to import

    return _tensor(roots_hermitenorm, wavelength, "sigma", sigma, modes)


def chip(wavelength: ScalarLike, size: ArrayLike, modes: ShapeLike = 5) -> Light:
    """A rectangle of even brightness, such as the chip of a light-emitting diode.

    Modes are at the nodes of Gauss–Legendre along each axis.

    Arguments:
        wavelength: in vacuum, m, scalar.
        size: full sides of the source over the focal length of the collimator, rad, scalar of a square or
            (y, x), at least 0.
        modes: along each axis, or (y, x), whole numbers of at least 1. With K of them a side s has its
            coherence to 1e-3 between points up to 1.4 λ/s (K = 5), 3.5 (9) or 8.0 (17) apart.

    Returns:
        `Light` of as many modes as their product, with a gradient with respect to its numbers.

    Raises:
        ValueError: `wavelength` not positive, `size` negative or neither one nor two numbers, or `modes`
            that are no whole numbers.

    Example:
        >>> import optics
        >>> optics.light.chip(850e-9, size=(1e-3, 2e-3), modes=(3, 6)).modes
        18
    """

    def nodes(count):
        points, weights = np.polynomial.legendre.leggauss(count)
        return points / 2, weights

    return _tensor(nodes, wavelength, "size", size, modes)


def as_sides(name: str, value: ArrayLike) -> tuple[ScalarLike, ScalarLike]:
    """Angular sizes (y, x) of one number or a pair."""
    numbers = as_array(name, value)
    if numbers.shape not in ((), (AXES,)):
        raise ValueError(f"`{name}` must be one number or a pair (y, x) in rad, got {describe(value)}.")
    sides = (value[0], value[1]) if numbers.ndim else (value, value)
    for side in sides:
        check_number(name, side, 0.0, unit="rad")
    return sides


def _tensor(rule, wavelength: ScalarLike, name: str, size: ArrayLike, modes: ShapeLike) -> Light:
    """Light from the points of a grid, its nodes along each axis by `rule` in units of the size."""
    check_positive_number("wavelength", wavelength, "m")
    sides = as_sides(name, size)
    counts = as_pixels("modes", modes)
    for count in counts:
        check_whole("modes", count, 1, MOST_MODES)
    (y, of_y), (x, of_x) = map(rule, counts)
    grid = np.meshgrid(y, x, indexing="ij")
    angles = [jnp.asarray(side) * points.ravel() for side, points in zip(sides, grid, strict=True)]
    return Light(np.outer(of_y, of_x).ravel(), wavelength, jnp.stack(angles, axis=-1))
