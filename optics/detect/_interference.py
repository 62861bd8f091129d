"""Frames of a field with a reference, and the field from two such frames."""

import jax
from jaxtyping import Array, Complex, Float, Inexact

from optics._numerics import safe_sqrt


def interference_frames(
    field: Inexact[Array, "*lead rows cols"],
    reference: Float[Array, ""],
    phase_factors: Inexact[Array, " frames"],
) -> Float[Array, "*lead frames rows cols"]:
    """Frames of a field with a reference, one for each phase factor of the reference.

        I_d = |z + r factor_d|² / (1 + r)²

    The division makes the brightest possible frame full scale, z = 1 being the brightest field.

    Arguments:
        field: z, shape (..., rows, columns).
        reference: r, amplitude of the reference relative to the brightest field, scalar.
        phase_factors: modulus 1, shape (frames,).

    Returns:
        frames (..., frames, rows, columns) in units of full scale.
    """
    total = field[..., None, :, :] + reference * phase_factors[:, None, None]
    # re² + im², not |·|²: the modulus has no gradient at zero.
    return (total.real**2 + total.imag**2) / (1 + reference) ** 2


def field_from_quadratures(
    frames: Float[Array, "*lead 2 rows cols"], reference: Float[Array, ""]
) -> Complex[Array, "*lead rows cols"]:
    """The field z = x + iy from its intensities with a known reference in phase and in quadrature.

        A = (1 + r)² I₁ − r² = |z|² + 2 r x,   B = (1 + r)² I₂ − r² = |z|² + 2 r y
        x − y = (A − B) / (2r),   x + y = −r + √(r² + A + B − (x − y)²)

    This is the smaller root of the quadratic equation for |z|². It is the right one where x + y ≥ −r, which
    holds for every |z| ≤ 1 if r ≥ √2.

    Arguments:
        frames: I₁ and I₂ in units of full scale, shape (..., 2, rows, columns).
        reference: r, relative to the brightest field, scalar.

    Returns:
        complex field, shape (..., rows, columns).

    Source: X. F. Meng et al., Opt. Lett. 31, 1414 (2006), whose equation is solved here for x ± y: the root
        is then that of a sum of terms of like size, without cancellation.
    """
    in_phase, quadrature = (frames[..., i, :, :] * (1 + reference) ** 2 for i in (0, 1))
    difference = (in_phase - quadrature) / (2 * reference)
    # Noise may have made the argument negative.
    total = safe_sqrt(in_phase + quadrature - reference**2 - difference**2) - reference
    return jax.lax.complex((total + difference) / 2, (total - difference) / 2)
