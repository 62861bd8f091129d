"""Light of many modes drawn from a source and a line at once."""

import warnings
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from optics._check import check_choice, check_number, check_positive_number, check_whole
from optics._typing import ArrayLike, CountLike, ScalarLike, TextLike
from optics.light._light import Light
from optics.light._sources import as_sides
from optics.light._spectra import FWHM, MOST_MODES, check_line


def sample(
    wavelength: ScalarLike,
    modes: CountLike = 64,
    width: ScalarLike = 0.0,
    shape: TextLike = "gaussian",
    size: ArrayLike = 0.0,
    source: TextLike = "disc",
    seed: CountLike = 0,
) -> Light:
    """Quasi-random modes of equal power, drawn from a source of finite size and a line of finite width.

    A grid of every wavelength and every direction needs the product of their numbers of modes; these points
    of Sobol's sequence fill the three dimensions together. The error of an intensity falls nearly as 1 / K.
    A power of two fills them evenly.

    Arguments:
        wavelength: of the middle of the line, in vacuum, m, scalar.
        modes: K, whole number from 1 to 4096.
        width: full width at half maximum of the line, m, scalar, at least 0.
        shape: of the line, "gaussian", "rectangle" or "lorentzian", as of `line`.
        size: of the source over the focal length of the collimator, rad: the radius of a disc, the standard
            deviation of a Gaussian or the full sides of a chip; scalar, or (y, x), at least 0.
        source: "disc", "gaussian" or "chip".
        seed: of the scrambling, whole number of at least 0; another seed is another draw.

    Returns:
        `Light` of `modes` modes, with a gradient with respect to `wavelength`, `width` and `size`.

    Raises:
        ValueError: `wavelength` not positive; `width` or `size` negative; `shape` or `source` unknown;
            `modes` or `seed` that are no whole numbers, or a line so wide that a mode would have no positive
            frequency.

    Source: A. B. Owen, J. Complexity 14, 466 (1998), on scrambled Sobol points.

    Example:
        >>> import optics
        >>> optics.light.sample(850e-9, modes=32, width=20e-9, size=1e-3, source="chip").modes
        32
    """
    check_positive_number("wavelength", wavelength, "m")
    check_whole("modes", modes, 1, MOST_MODES)
    check_number("width", width, 0.0, unit="m")
    check_choice("shape", shape, tuple(_LINES))
    sides = as_sides("size", size)
    check_choice("source", source, tuple(_SOURCES))
    check_whole("seed", seed, 0)
    draws = _sobol(modes, seed)
    offsets = _LINES[shape](draws[:, 2])
    check_line("width", width, wavelength, offsets)
    points = _SOURCES[source](draws[:, 0], draws[:, 1])
    tilt = jnp.stack([jnp.asarray(side) * along for side, along in zip(sides, points, strict=True)], axis=-1)
    return Light(np.ones(modes), wavelength, tilt, offsets * (width / wavelength))


def _sobol(count: int, seed: int) -> np.ndarray:
    """Points in the open unit cube, shape (count, 3)."""
    from scipy.stats import qmc  # takes a second to import

    with warnings.catch_warnings():
        # Numbers that are no power of two are less even, as the docstring says.
        warnings.filterwarnings("ignore", message="The balance properties of Sobol", category=UserWarning)
        points = qmc.Sobol(3, scramble=True, rng=seed).random(count)
    # The outermost points stand for half a share of the power: a Lorentzian's tails have no end.
    return np.clip(points, 0.5 / count, 1 - 0.5 / count)


def _normal(uniform: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri(uniform)


# Offsets of frequency in units of the full width at half maximum.
_LINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gaussian": lambda u: _normal(u) / FWHM,
    "rectangle": lambda u: u - 0.5,
    "lorentzian": lambda u: np.tan(np.pi * (u - 0.5)) / 2,
}
# Points (y, x) in units of the size.
_SOURCES: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "disc": lambda u, v: (np.sqrt(u) * np.sin(2 * np.pi * v), np.sqrt(u) * np.cos(2 * np.pi * v)),
    "gaussian": lambda u, v: (_normal(u), _normal(v)),
    "chip": lambda u, v: (u - 0.5, v - 0.5),
}
