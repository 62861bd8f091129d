"""Coherent modes of measured or computed partial coherence."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import as_floats, check_finite_field, check_whole, describe, is_concrete
from optics._typing import ArrayLike, CountLike

# Eigenvalues closer than this share of the largest have no slope of their own: their modes mix freely.
DEGENERATE = 1e-6
# How far from Hermitian or from positive a mutual intensity may be, relative.
TOLERANCE = 1e-3


def coherent_modes(
    mutual_intensity: ArrayLike, modes: CountLike | None = None
) -> tuple[Float[Array, " modes"], Inexact[Array, "modes ..."]]:
    """Mutually incoherent fields that together have a given mutual intensity: Mercer's sum.

        J(p, q) = ⟨u(p) u*(q)⟩ = tr J · Σ_k w_k φ_k(p) φ_k*(q),   Σ_p |φ_k(p)|² = 1,   w_1 ≥ w_2 ≥ …

    The gradient with respect to J is that of any quantity which does not depend on the phases of the modes,
    nor on how modes of the same power mix.

    Arguments:
        mutual_intensity: J at sampled points, Hermitian and not negative, any unit, shape (points, points),
            or (rows, columns, rows, columns) on a plane.
        modes: how many to keep, those of most power; all unless given.

    Returns:
        `weights`, the share of the power that each mode has, shape (modes,), with a sum of 1 if all are kept;
        and `fields` of unit energy, shape (modes, points) or (modes, rows, columns).

    Raises:
        ValueError: a `mutual_intensity` that is not square or not finite or, where concrete, not Hermitian
            within 1e-3 or with negative powers beyond that; or `modes` that are no whole number from 1 to the
            number of points.

    Source: E. Wolf, J. Opt. Soc. Am. 72, 343 (1982).

    Example:
        >>> import jax.numpy as jnp, optics
        >>> halves = jnp.array([[1.0, 0.5], [0.5, 1.0]])  # two points with a degree of coherence of ½
        >>> print(optics.light.coherent_modes(halves)[0])
        [0.75 0.25]
    """
    check_finite_field("mutual_intensity", mutual_intensity)
    j = as_floats("mutual_intensity", mutual_intensity)
    half = j.ndim // 2
    if j.ndim not in (2, 4) or j.shape[:half] != j.shape[half:] or not j.size:
        raise ValueError(
            f"`mutual_intensity` must have the shape (points, points) or (rows, columns, rows, columns), got "
            f"{describe(j)}."
        )
    points = math.prod(j.shape[:half])
    if modes is not None:
        check_whole("modes", modes, 1, points)
    matrix = j.reshape(points, points)
    _check_hermitian(matrix)
    powers, vectors = _eigenmodes((matrix + matrix.conj().T) / 2)
    powers, vectors = powers[::-1][:modes], vectors[:, ::-1][:, :modes]
    weights = jnp.maximum(powers, 0) / jnp.trace(matrix).real
    return weights, vectors.T.reshape(-1, *j.shape[:half])


def _check_hermitian(matrix: Array) -> None:
    if not is_concrete(matrix):
        return
    known = np.asarray(matrix)
    largest = np.max(np.abs(known))
    if np.max(np.abs(known - known.conj().T)) > TOLERANCE * largest:
        raise ValueError(
            "`mutual_intensity` must be Hermitian, J(q, p) = J(p, q)*, got a matrix that differs from its "
            "conjugate transpose; pass (J + J^H) / 2 of a measured one."
        )
    powers = np.linalg.eigvalsh(known)
    if powers[0] < -TOLERANCE * powers[-1]:
        raise ValueError(
            f"`mutual_intensity` must have no negative powers, got modes from {powers[0]:g} to "
            f"{powers[-1]:g}; no light has them."
        )
    if not powers[-1] > 0:
        raise ValueError(
            "`mutual_intensity` must have a power above 0, got none; pass J(p, q) = ⟨u(p) u*(q)⟩."
        )


@jax.custom_jvp
def _eigenmodes(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues in rising order, and vectors, of a Hermitian matrix."""
    values, vectors = jnp.linalg.eigh(matrix, symmetrize_input=False)
    return values, vectors


@_eigenmodes.defjvp
def _eigenmodes_slope(primals, tangents):
    # JAX's own rule divides by the difference of eigenvalues, also where it is zero.
    values, vectors = _eigenmodes(*primals)
    inner = vectors.conj().T @ tangents[0] @ vectors
    gap = values[None, :] - values[:, None]
    apart = jnp.abs(gap) > DEGENERATE * jnp.max(jnp.abs(values))
    slope = jnp.where(apart, inner / jnp.where(apart, gap, 1), 0)
    return (values, vectors), (jnp.diagonal(inner).real, vectors @ slope)
