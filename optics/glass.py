"""Refractive indices of glasses and liquid crystals, and what dispersion does to a lens.

    n² = 1 + Σ_j B_j λ² / (λ² − C_j)   (Sellmeier)        n = A + B / λ² + C / λ⁴   (Cauchy),   λ in µm

| name | what | µm | source |
| --- | --- | --- | --- |
| `N-BK7` | crown, most lenses | 0.3 to 2.5 | Schott, data sheet N-BK7 517642.251 (2014) |
| `fused silica` | lenses, windows | 0.21 to 3.71 | Malitson, J. Opt. Soc. Am. 55, 1205 (1965) |
| `silicon` | infrared lenses | 1.357 to 11.04 | Salzberg, Villa, J. Opt. Soc. Am. 47, 244 (1957) |
| `5CB ordinary`, `5CB extraordinary` | nematic | 0.45 to 0.656 | Li et al., J. Disp. Technol. 1, 51 (2005) |
| `E7 ordinary`, `E7 extraordinary` | nematic | 0.532 to 1.7 | Tkachenko et al., MCLC 454, 263 (2006) |

The formula of silicon is the fit of B. Tatian, Appl. Opt. 23, 4477 (1984), to the measured indices.
Temperatures are 20 °C (fused silica), 22 °C (N-BK7), 25 °C (5CB), 26 °C (silicon) and that of the room (E7).
Other measurements of silicon differ by up to 4e-3, of 5CB by 6e-3 and of E7 by 2e-3. Indices are relative to
air. The formulas take the wavelength in air; that in vacuum, which is 3e-4 longer, changes an index of a
glass by less than 2e-5 in the visible.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import (
    as_real,
    check_choice,
    check_number,
    check_positive,
    check_positive_number,
)
from optics._typing import ArrayLike, ScalarLike, TextLike

MICRON = 1e-6
# A wavelength in single precision may lie this far beyond the end of a range, relative.
ROUNDING = 1e-6


class _Dispersion(NamedTuple):
    """A formula in µm, and the wavelengths between which it was fitted, µm."""

    formula: Callable[[Array], Array]
    shortest: float
    longest: float


def _sellmeier(*terms: tuple[float, float]) -> Callable[[Array], Array]:
    """The formula of Sellmeier with terms (B, C), C in µm²."""
    return lambda microns: jnp.sqrt(1 + sum(b * microns**2 / (microns**2 - c) for b, c in terms))


def _cauchy(a: float, b: float, c: float) -> Callable[[Array], Array]:
    return lambda microns: a + b / microns**2 + c / microns**4


_GLASSES = {
    "N-BK7": _Dispersion(
        _sellmeier((1.03961212, 0.00600069867), (0.231792344, 0.0200179144), (1.01046945, 103.560653)),
        0.3,
        2.5,
    ),
    "fused silica": _Dispersion(
        _sellmeier((0.6961663, 0.0684043**2), (0.4079426, 0.1162414**2), (0.8974794, 9.896161**2)),
        0.21,
        3.71,
    ),
    "silicon": _Dispersion(
        _sellmeier((10.6684293, 0.301516485**2), (0.0030434748, 1.13475115**2), (1.54133408, 1104.0**2)),
        1.357,
        11.04,
    ),
    "5CB ordinary": _Dispersion(_cauchy(1.5139, 0.0052, 0.0008), 0.45, 0.656),
    "5CB extraordinary": _Dispersion(_cauchy(1.6708, 0.0081, 0.0024), 0.45, 0.656),
    "E7 ordinary": _Dispersion(_cauchy(1.49669, 0.00785, 0.00026), 0.532, 1.7),
    "E7 extraordinary": _Dispersion(_cauchy(1.67798, 0.01696, 0.00127), 0.532, 1.7),
}


def names() -> list[str]:
    """Names of the glasses and liquid crystals.

    Example:
        >>> import optics
        >>> optics.glass.names()[:3]
        ['N-BK7', 'fused silica', 'silicon']
    """
    return list(_GLASSES)


def index(name: TextLike, wavelength: ArrayLike) -> Float[Array, "*any"]:
    """Refractive index, relative to air.

    Arguments:
        name: one of `names()`.
        wavelength: m, any shape; a traced one is not compared with the range of the formula.

    Returns:
        n, of the same shape.

    Raises:
        ValueError: a `name` that is unknown, or a `wavelength` outside the range of its formula.

    Example:
        >>> import optics
        >>> print(f"{optics.glass.index('N-BK7', 587.56e-9):.4f}")
        1.5168
    """
    return _dispersion(name, "wavelength", wavelength).formula(jnp.asarray(wavelength) / MICRON)


def group_index(name: TextLike, wavelength: ArrayLike) -> Float[Array, "*any"]:
    """Group index, by which a pulse or an envelope of fringes is slower than in air.

        n_g = n − λ dn/dλ

    Arguments:
        name: one of `names()`.
        wavelength: m, any shape.

    Returns:
        n_g, of the same shape.

    Raises:
        ValueError: a `name` that is unknown, or a `wavelength` outside the range of its formula.

    Source: M. Born and E. Wolf, Principles of Optics (1999), section 1.3.4.

    Example:
        >>> import optics
        >>> print(f"{optics.glass.group_index('fused silica', 1.55e-6):.4f}")
        1.4626
    """
    formula = _dispersion(name, "wavelength", wavelength).formula
    microns = jnp.asarray(wavelength) / MICRON
    # Along λ itself the slope is λ dn/dλ.
    n, slope = jax.jvp(formula, (microns,), (microns,))
    return n - slope


def focal_length(
    name: TextLike, focal_length: ScalarLike, design_wavelength: ScalarLike, wavelength: ArrayLike
) -> Float[Array, "*any"]:
    """Focal length of a thin singlet at another wavelength than the one it was designed for.

        1/f = (n − 1) (1/R₁ − 1/R₂),   so   f(λ) = f₀ (n(λ₀) − 1) / (n(λ) − 1)

    Arguments:
        name: the glass, one of `names()`.
        focal_length: f₀, at the design wavelength, m, scalar of either sign.
        design_wavelength: λ₀, m, scalar.
        wavelength: λ, m, any shape.

    Returns:
        f, m, of the shape of `wavelength`.

    Raises:
        ValueError: a `name` that is unknown, a `focal_length` of zero or not finite, or a wavelength outside
            the range of the formula of the glass.

    Source: E. Hecht, Optics (2017), eq. 5.16, the lensmaker's equation.

    Example:
        >>> import optics
        >>> print(f"{optics.glass.focal_length('N-BK7', 0.1, 587.56e-9, 486.13e-9):.4f}")
        0.0989
    """
    check_number("focal_length", focal_length, unit="m")
    if as_real("focal_length", focal_length) == 0:
        raise ValueError("`focal_length` must not be 0 m; a plane plate has an infinite one.")
    check_positive_number("design_wavelength", design_wavelength, "m")
    design = _dispersion(name, "design_wavelength", design_wavelength).formula
    ratio = design(jnp.asarray(design_wavelength) / MICRON) - 1
    return focal_length * ratio / (index(name, wavelength) - 1)


def _dispersion(name: TextLike, argument: str, wavelength: ArrayLike) -> _Dispersion:
    """The dispersion of a glass; refuse one that is unknown, and a wavelength that it was not measured at."""
    check_choice("name", name, names())
    glass = _GLASSES[name]
    check_positive(argument, wavelength, "m")
    numbers = as_real(argument, wavelength)
    if numbers is not None:
        outside = (numbers < glass.shortest * MICRON * (1 - ROUNDING)) | (
            numbers > glass.longest * MICRON * (1 + ROUNDING)
        )
        if outside.any():
            raise ValueError(
                f"`{argument}` must be from {glass.shortest:g} to {glass.longest:g} µm, the range of the "
                f"formula of {name}, got {numbers[outside].flat[0]:g} m."
            )
    return glass
