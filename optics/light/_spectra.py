"""Spectra: the light of a laser, of a line of finite width, of several channels."""

import math
from collections.abc import Callable

import numpy as np

from optics._check import (
    as_real,
    check_choice,
    check_number,
    check_positive,
    check_positive_number,
    check_whole,
    describe,
    is_concrete,
)
from optics._typing import ArrayLike, CountLike, ScalarLike, TextLike
from optics.light._light import Light, as_numbers

# Full width at half maximum of a Gaussian of standard deviation 1.
FWHM = 2 * math.sqrt(2 * math.log(2))
MOST_MODES = 4096


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


def channels(wavelength: ArrayLike, weights: ArrayLike | None = None) -> Light:
    """Several wavelengths along the axis, as lasers on one fibre send them.

    Arguments:
        wavelength: of each channel, m, shape (modes,).
        weights: power of each in any unit, shape (modes,); equal unless given.

    Returns:
        `Light` with a mode for each.

    Raises:
        ValueError: `wavelength` that is no vector of positive numbers, or `weights` that are negative, all
            zero or not as many.

    Example:
        >>> import optics
        >>> optics.light.channels([1550.0e-9, 1550.8e-9, 1551.6e-9]).modes
        3
    """
    check_positive("wavelength", wavelength, "m")
    wavelength = as_numbers("wavelength", wavelength)
    if wavelength.ndim != 1:
        raise ValueError(f"`wavelength` must be a vector of channels in m, got {describe(wavelength)}.")
    return Light(np.ones(wavelength.shape) if weights is None else weights, wavelength)


def line(
    wavelength: ScalarLike, width: ScalarLike, shape: TextLike = "gaussian", modes: CountLike = 9
) -> Light:
    """A spectral line of finite width, as modes at the nodes of a quadrature in optical frequency.

        gaussian     S(ν) ∝ exp(−4 ln 2 (ν − ν₀)² / Δν²)      nodes of Gauss–Hermite
        rectangle    S(ν) ∝ 1 for |ν − ν₀| ≤ Δν / 2           nodes of Gauss–Legendre
        lorentzian   S(ν) ∝ 1 / (1 + 4 (ν − ν₀)² / Δν²)       ν − ν₀ = Δν/2 · sinh(u), u in equal steps
        Δν / ν₀ = Δλ / λ₀

    The shape is even in frequency. K modes have the coherence of the line up to a delay, and return to
    coherence beyond it. To 1e-3 they have it up to

        K             3      5      9      17
        gaussian      0.27   0.56   1.06   1.84    times 1/Δν (from 1.39 on it is below 1e-3)
        rectangle     0.58   1.45   3.49   7.96

    The coherence of a Lorentzian has a kink at delay 0, which takes many modes: up to four coherence times,
    1.27/Δν, 9 of them err by 0.20, 65 by 0.03, 257 by 0.006 and 1025 by 0.001.

    Arguments:
        wavelength: λ₀ in vacuum, m, scalar.
        width: Δλ, full width at half maximum, m, scalar, at least 0.
        shape: "gaussian", "rectangle" or "lorentzian".
        modes: K, whole number from 1 to 4096; one is at the middle of the line.

    Returns:
        `Light` of `modes` modes along the axis, with a gradient with respect to `wavelength` and `width`.

    Raises:
        ValueError: `wavelength` not positive, `width` negative or so large that a mode would have no positive
            frequency, a `shape` that is unknown, or `modes` that are no whole number from 1 to 4096.

    Source: G. H. Golub and J. H. Welsch, Math. Comp. 23, 221 (1969); J. McNamee, F. Stenger, E. L. Whitney,
        Math. Comp. 25, 141 (1971), for the steps of sinh.

    Example:
        >>> from optics import light
        >>> diode = light.line(850e-9, 2e-9, modes=5)
        >>> print(f"{light.visibility(diode, delay=0.36e-3 / 299792458):.2f}")  # 0.36 mm of path
        0.14
    """
    check_positive_number("wavelength", wavelength, "m")
    check_number("width", width, 0.0, unit="m")
    check_choice("shape", shape, tuple(_NODES))
    check_whole("modes", modes, 1, MOST_MODES)
    offsets, weights = _NODES[shape](modes)
    check_line("width", width, wavelength, offsets)
    return Light(weights, wavelength, detuning=offsets * (width / wavelength))


def check_line(name: str, width: ScalarLike, wavelength: ScalarLike, offsets: np.ndarray) -> None:
    """Refuse a line whose modes, `offsets` in units of its width, would have no positive frequency."""
    if not (is_concrete(width) and is_concrete(wavelength)):
        return
    widest = as_real("wavelength", wavelength) / max(-offsets.min(), 1e-9)
    if not as_real(name, width) < widest:
        raise ValueError(
            f"`{name}` must be below {widest:g} m at this wavelength and number of modes, so that each has a "
            f"positive frequency, got {describe(width)}."
        )


def _hermite(modes: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy.special import roots_hermitenorm  # takes a third of a second to import

    nodes, weights = roots_hermitenorm(modes)
    return nodes / FWHM, weights


def _legendre(modes: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(modes)
    return nodes / 2, weights


def _sinh(modes: int) -> tuple[np.ndarray, np.ndarray]:
    # Fitted: the end of the range at which the error up to four coherence times is least.
    end = max(1.15 * math.log(modes) - 0.4, 0.0)
    u = np.linspace(-end, end, modes) if modes > 1 else np.zeros(1)
    return np.sinh(u) / 2, 1 / np.cosh(u)


# Nodes in units of the full width at half maximum, and weights in any unit.
_NODES: dict[str, Callable[[int], tuple[np.ndarray, np.ndarray]]] = {
    "gaussian": _hermite,
    "rectangle": _legendre,
    "lorentzian": _sinh,
}
