"""What a camera sees of a field and a reference, and the field from two such frames."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact


def intensity(
    field: Inexact[Array, "*lead rows cols"], reference: Float[Array, ""], turns: Inexact[Array, " frames"]
) -> Float[Array, "*lead frames rows cols"]:
    """Frames of a field with a reference of each phase factor in `turns`.

        I_d = |z + r turn_d|² / (1 + r)²

    The division makes the brightest possible frame full scale, z = 1 being the brightest field.

    Arguments:
        field: z, shape (..., rows, columns).
        reference: r, amplitude of the reference relative to the brightest field, scalar.
        turns: phase factors, modulus 1, shape (frames,).

    Returns:
        frames (..., frames, rows, columns) in units of full scale.
    """
    sum_ = field[..., None, :, :] + reference * turns[:, None, None]
    # re² + im², not |·|²: the modulus has no gradient at zero.
    return (sum_.real**2 + sum_.imag**2) / (1 + reference) ** 2


def root(squared: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """√, and 0 with no slope where the argument is not above 0: noise may have made it negative."""
    lit = squared > 0
    return jnp.where(lit, jnp.sqrt(jnp.where(lit, squared, 1)), 0)


def from_quadratures(
    frames: Float[Array, "*lead 2 rows cols"], reference: Float[Array, ""]
) -> Complex[Array, "*lead rows cols"]:
    """The field z = x + iy from its intensities with a known reference in phase and in quadrature.

        A = (1 + r)² I₁ − r² = |z|² + 2 r x,   B = (1 + r)² I₂ − r² = |z|² + 2 r y
        x − y = (A − B) / (2r),   x + y = −r + √(r² + A + B − (x − y)²)

    This is the smaller root of the quadratic equation for |z|². It is the right one where x + y ≥ −r, which holds for
    every |z| ≤ 1 if r ≥ √2.

    Arguments:
        frames: I₁ and I₂ in units of full scale, shape (..., 2, rows, columns).
        reference: r, relative to the brightest field, scalar.

    Returns:
        complex field, shape (..., rows, columns).

    Source: X. F. Meng et al., Opt. Lett. 31, 1414 (2006), whose equation is solved here for x ± y: the root is then
        that of a sum of like size, with nothing left to cancel.
    """
    in_phase, quadrature = (frames[..., i, :, :] * (1 + reference) ** 2 for i in (0, 1))
    difference = (in_phase - quadrature) / (2 * reference)
    sum_ = root(in_phase + quadrature - reference**2 - difference**2) - reference
    return jax.lax.complex((sum_ + difference) / 2, (sum_ - difference) / 2)
