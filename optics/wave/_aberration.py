"""The wavefront aberration of a pupil, as a sum of Zernike polynomials."""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Complex

from optics._check import check_number, check_positive_number, describe
from optics._typing import ArrayLike, ScalarLike, ShapeLike
from optics.wave._geometry import as_pair, as_samples, as_scalars, sample_numbers
from optics.wave._phase_factor import phase_factor
from optics.wave._zernike import noll, sum_zernikes

# Radius, in radii of the pupil, beyond which the polynomials keep their value: far outside they would
# overflow.
CLAMP_RADIUS = 2.0


def aberration(
    shape: ShapeLike,
    dx: ScalarLike,
    radius: ScalarLike,
    coefficients: ArrayLike | Mapping[int, ScalarLike],
    centre: ArrayLike = (0.0, 0.0),
) -> Complex[Array, "rows cols"]:
    """Phase of a wavefront aberration given by Zernike coefficients over a pupil.

        t(x, y) = exp(2πi Σ_j c_j Z_j(x/R, y/R))

    A positive coefficient is a longer optical path. Beyond 2R, where there should be no light, the phase is
    that at 2R in the same direction.

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        radius: R of the pupil, m, scalar.
        coefficients: c_j in waves (rms): a vector [c₁, …, c_J] in Noll's order from piston, or a mapping from
            Noll indices to scalars.
        centre: of the pupil, (y, x), m; x and y are measured from it.

    Returns:
        complex transmission of modulus 1, shape (rows, columns).

    Raises:
        ValueError: `shape` not two whole numbers of at least 1, `dx` or `radius` not positive, `coefficients`
            neither a vector nor a mapping or not finite, an index that is not a whole number of at least 1,
            or `centre` not two finite numbers.

    Source: Noll (1976); V. N. Mahajan, Optical Imaging and Aberrations II (2001), section 2.4.
    """
    shape = as_samples("shape", shape)
    check_positive_number("dx", dx, "m")
    check_positive_number("radius", radius, "m")
    if isinstance(coefficients, Mapping):
        for index in coefficients:
            noll(index)
        indices, waves = tuple(coefficients), tuple(coefficients.values())
    else:
        waves = as_scalars(coefficients)
        if waves is None:
            raise ValueError(
                "`coefficients` must be a vector of waves in Noll's order or a mapping from indices to "
                f"waves, got {describe(coefficients)}."
            )
        indices = range(1, len(waves) + 1)
    for value in waves:
        check_number("coefficients", value, unit="waves")
    cy, cx = as_pair("centre", centre)

    def phase(dx, radius, cy, cx, *waves):
        y, x = (
            ((dx * sample_numbers(n, dx.dtype) - c) / radius) for n, c in zip(shape, (cy, cx), strict=True)
        )
        y, x = jnp.broadcast_arrays(y[:, None], x[None, :])
        rho2 = x**2 + y**2
        far = rho2 > CLAMP_RADIUS**2
        inward = jnp.where(far, CLAMP_RADIUS / jnp.sqrt(jnp.where(far, rho2, 1.0)), 1.0)
        return 2 * jnp.pi * sum_zernikes(dict(zip(indices, waves, strict=True)), inward * x, inward * y)

    return phase_factor(phase, dx, radius, cy, cx, *waves)
