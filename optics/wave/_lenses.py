"""Thin lenses: phase factors of a field, computed in double precision."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from optics._check import check_number, check_positive_number, describe, is_concrete
from optics._numerics import safe_sqrt
from optics._typing import ArrayLike, ScalarLike, ShapeLike
from optics.wave._geometry import as_pair, as_samples, as_scalars, imaginary, outer, sample_numbers
from optics.wave._phase_factor import exp_in_double


def lens(
    shape: ShapeLike,
    dx: ScalarLike,
    wavelength: ScalarLike,
    focal_length: ScalarLike,
    centre: ArrayLike = (0.0, 0.0),
) -> Complex[Array, "rows cols"]:
    """Thin lens with the paraxial (quadratic) phase.

        t(x, y) = exp(−i π (x² + y²) / (λ f))

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        wavelength: m, scalar.
        focal_length: f, m, scalar; negative for a diverging lens.
        centre: of the lens, (y, x), m; x and y are measured from it.

    Returns:
        complex transmission of modulus 1, shape (rows, columns). It is sampled well within λ f / (2 dx) of
        the centre.

    Raises:
        ValueError: `shape` not two whole numbers of at least 1, `dx` or `wavelength` not positive,
            `focal_length` zero or not finite, `centre` not two finite numbers.

    Example:
        >>> from optics import wave
        >>> thin = wave.lens((64, 64), dx=8e-6, wavelength=532e-9, focal_length=0.1)
        >>> thin.shape, complex(thin[32, 32])
        ((64, 64), (1+0j))

    Source: Goodman (2005), eq. 5-10.
    """
    shape = as_samples("shape", shape)
    _check_numbers(dx, wavelength, focal_length)

    def line(n, middle):
        def exponent(dx, wavelength, focal_length, middle):
            x = dx * sample_numbers(n, jnp.float64) - middle
            return imaginary(-jnp.pi * x**2 / (wavelength * focal_length))

        return exp_in_double(exponent, dx, wavelength, focal_length, middle)

    return outer(*map(line, shape, as_pair("centre", centre)))


def spherical_lens(
    shape: ShapeLike,
    dx: ScalarLike,
    wavelength: ScalarLike,
    focal_length: ScalarLike,
    centre: ArrayLike = (0.0, 0.0),
) -> Complex[Array, "rows cols"]:
    """Thin lens that turns a plane wave into an exact spherical one, free of spherical aberration for it.

        t(r) = exp(−i k (√(r² + f²) − |f|) sign f) = exp(−i k r² / (f (1 + √(1 + r²/f²)))),   k = 2π / λ

    Arguments, errors: those of `lens`.

    Returns:
        complex transmission of modulus 1, shape (rows, columns). It is sampled well where r / √(r² + f²) < λ
        / (2 dx).

    Source: Goodman (2005), section 5.1, before the paraxial approximation.
    """
    # A path of conic constant −2 is this hyperbola.
    return aspheric_lens(shape, dx, wavelength, focal_length, -2.0, (), centre)


def aspheric_lens(
    shape: ShapeLike,
    dx: ScalarLike,
    wavelength: ScalarLike,
    focal_length: ScalarLike,
    conic: ScalarLike = -1.0,
    coefficients: ArrayLike = (),
    centre: ArrayLike = (0.0, 0.0),
) -> Complex[Array, "rows cols"]:
    """Thin lens whose optical path is an even asphere.

        t(r) = exp(−i k W(r)),   W(r) = r² / (f (1 + √(1 − (1 + κ) r²/f²))) + α₄ r⁴ + α₆ r⁶ + …,   k = 2π / λ

    κ = −1 is `lens`, κ = −2 is `spherical_lens`. One refracting surface of relative index N and of vertex
    radius (N − 1) f, with conic constant K and coefficients a_j of its sag, has as a thin element 1 + κ = (1
    + K) / (N − 1)² and α_j = (N − 1) a_j. Beyond the edge of the surface, where the root's argument is
    negative, the root is 0.

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        wavelength: λ, m, scalar.
        focal_length: f, m, scalar; negative for a diverging lens.
        conic: κ, scalar.
        coefficients: α₄, α₆, … of the path, α_j in m^(1−j), any number of scalars.
        centre: of the lens, (y, x), m; r is measured from it.

    Returns:
        complex transmission of modulus 1, shape (rows, columns).

    Raises:
        ValueError: those of `lens`, or `conic` or one of `coefficients` not finite.

    Source: ISO 10110-12 (2019) for the surface; Goodman (2005), section 5.1, for the thin element.
    """
    shape = as_samples("shape", shape)
    _check_numbers(dx, wavelength, focal_length)
    check_number("conic", conic)
    terms = as_scalars(coefficients)
    if terms is None:
        raise ValueError(
            f"`coefficients` must be a sequence of numbers α₄, α₆, …, got {describe(coefficients)}."
        )
    for term in terms:
        check_number("coefficients", term)

    def path(r2, focal_length, conic, *terms):
        root = safe_sqrt(1 - (1 + conic) * r2 / focal_length**2)
        polynomial = 0.0
        for term in reversed(terms):
            polynomial = (polynomial + term) * r2
        return r2 / (focal_length * (1 + root)) + polynomial * r2

    return _radial_phase(path, shape, dx, wavelength, centre, focal_length, conic, *terms)


def cylindrical_lens(
    shape: ShapeLike,
    dx: ScalarLike,
    wavelength: ScalarLike,
    focal_length: ScalarLike,
    angle: ScalarLike = 0.0,
    centre: ArrayLike = (0.0, 0.0),
) -> Complex[Array, "rows cols"]:
    """Thin lens that focuses along one direction only, with the paraxial phase: a point becomes a line.

        t(x, y) = exp(−i π (x cos θ + y sin θ)² / (λ f))

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        wavelength: m, scalar.
        focal_length: f, m, scalar; negative for a diverging lens.
        angle: θ of the direction with power, from x (along a row) toward y, rad, scalar: 0 focuses x, π/2
            focuses y.
        centre: of the lens, (y, x), m; x and y are measured from it.

    Returns:
        complex transmission of modulus 1, shape (rows, columns). It is sampled well within λ f / (2 dx) of
        its axis.

    Raises:
        ValueError: those of `lens`, or `angle` not finite.

    Source: Goodman (2005), section 5.1.
    """
    shape = as_samples("shape", shape)
    _check_numbers(dx, wavelength, focal_length)
    check_number("angle", angle, unit="rad")

    def exponent(dx, wavelength, focal_length, angle, cy, cx):
        y, x = (dx * sample_numbers(n, jnp.float64) - c for n, c in zip(shape, (cy, cx), strict=True))
        along = jnp.cos(angle) * x[None, :] + jnp.sin(angle) * y[:, None]
        return imaginary(-jnp.pi * along**2 / (wavelength * focal_length))

    return exp_in_double(exponent, dx, wavelength, focal_length, angle, *as_pair("centre", centre))


def defocus(
    shape: ShapeLike,
    dx: ScalarLike,
    wavelength: ScalarLike,
    focal_length: ScalarLike,
    distance: ScalarLike,
    centre: ArrayLike = (0.0, 0.0),
) -> Complex[Array, "rows cols"]:
    """Phase that moves the focus of a lens by `distance`: `lens` of f times this is `lens` of f + d.

        t(x, y) = exp(i π (x² + y²) d / (λ f (f + d)))

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        wavelength: m, scalar.
        focal_length: f, m, scalar.
        distance: d, m, scalar; 0 does nothing.
        centre: of the lens, (y, x), m.

    Returns:
        complex transmission of modulus 1, shape (rows, columns).

    Raises:
        ValueError: those of `lens`, `distance` not finite, or −f.
    """
    shape = as_samples("shape", shape)
    _check_numbers(dx, wavelength, focal_length)
    check_number("distance", distance, unit="m")
    if is_concrete(distance) and is_concrete(focal_length) and float(distance) == -float(focal_length):
        raise ValueError(
            f"`distance` must not be −`focal_length`, got {float(distance):g} m; no lens focuses on itself."
        )

    def path(r2, focal_length, distance):
        return -0.5 * r2 * distance / (focal_length * (focal_length + distance))

    return _radial_phase(path, shape, dx, wavelength, centre, focal_length, distance)


def _check_numbers(dx: ScalarLike, wavelength: ScalarLike, focal_length: ScalarLike) -> None:
    check_positive_number("dx", dx, "m")
    check_positive_number("wavelength", wavelength, "m")
    check_number("focal_length", focal_length, unit="m")
    if is_concrete(focal_length) and not float(focal_length):
        raise ValueError(
            f"`focal_length` must not be zero, got {focal_length} m; a plane without power needs no lens."
        )


def _radial_phase(
    path: Callable[..., jax.Array],
    shape: tuple[int, int],
    dx: ScalarLike,
    wavelength: ScalarLike,
    centre: ArrayLike,
    *parameters: ScalarLike,
) -> Array:
    """exp(−ik path(r², *parameters)) on the plane, r from `centre`."""

    def exponent(dx, wavelength, cy, cx, *parameters):
        y, x = (dx * sample_numbers(n, jnp.float64) - c for n, c in zip(shape, (cy, cx), strict=True))
        return imaginary(-2 * jnp.pi / wavelength * path(x[None, :] ** 2 + y[:, None] ** 2, *parameters))

    return exp_in_double(exponent, dx, wavelength, *as_pair("centre", centre), *parameters)
