"""The light on the first plane: its profile and its direction."""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from optics._check import check_positive_number
from optics._typing import ArrayLike, ScalarLike, ShapeLike
from optics.wave._geometry import as_pair, as_samples, imaginary, outer, sample_numbers
from optics.wave._phase_factor import exp_in_double


def gaussian(
    shape: ShapeLike, dx: ScalarLike, waist: ScalarLike, centre: ArrayLike = (0.0, 0.0)
) -> Float[Array, "rows cols"]:
    """Amplitude of a Gaussian beam at its waist.

        a(r) = exp(−r² / w²)

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        waist: w, where the amplitude is 1/e of the peak, m, scalar.
        centre: of the beam, (y, x), m; r is measured from it.

    Returns:
        real amplitude, peak 1, shape (rows, columns).

    Raises:
        ValueError: `shape` not two whole numbers of at least 1, `dx` or `waist` not positive, or `centre` not
            two finite numbers.

    Source: A. E. Siegman, Lasers (1986), section 17.1.
    """
    shape = as_samples("shape", shape)
    check_positive_number("dx", dx, "m")
    check_positive_number("waist", waist, "m")
    lines = (
        jnp.exp(-(((dx * sample_numbers(n) - c) / waist) ** 2))
        for n, c in zip(shape, as_pair("centre", centre), strict=True)
    )
    return outer(*lines)


def tilt(
    shape: ShapeLike, dx: ScalarLike, wavelength: ScalarLike, angles: ArrayLike
) -> Complex[Array, "rows cols"]:
    """Phase of a plane wave at an angle to the axis; phase 0 on the axis.

        t(x, y) = exp(i k (x sin θx + y sin θy)),   k = 2π / λ

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        wavelength: m, scalar.
        angles: θ (y, x), rad; a positive angle sends the light toward positive y or x.

    Returns:
        complex amplitude of modulus 1, shape (rows, columns). It is sampled well for |sin θ| < λ / (2 dx).

    Raises:
        ValueError: `shape` not two whole numbers of at least 1, `dx` or `wavelength` not positive, or
            `angles` not two finite numbers.

    Source: Goodman (2005), section 3.10.1.
    """
    shape = as_samples("shape", shape)
    check_positive_number("dx", dx, "m")
    check_positive_number("wavelength", wavelength, "m")

    def line(n, angle):
        def exponent(dx, wavelength, angle):
            return imaginary(2 * jnp.pi / wavelength * jnp.sin(angle) * dx * sample_numbers(n, jnp.float64))

        return exp_in_double(exponent, dx, wavelength, angle)

    return outer(*map(line, shape, as_pair("angles", angles, "rad")))
