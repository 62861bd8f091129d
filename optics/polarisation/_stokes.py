"""Stokes parameters of fields, and Mueller matrices of elements."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics._check import as_array, as_floats, as_vector, check_range, describe
from optics._numerics import safe_divide, safe_sqrt
from optics._typing import ArrayLike
from optics.polarisation._elements import as_jones_matrices, as_jones_vectors

# S_j = E† σ_j E.
PAULI = np.array([[[1, 0], [0, 1]], [[1, 0], [0, -1]], [[0, 1], [1, 0]], [[0, 1j], [-1j, 0]]])


def stokes(field: ArrayLike, weights: ArrayLike | None = None) -> Float[Array, "*batch 4"]:
    """The Stokes parameters of light.

        S₀ = |E_x|² + |E_y|²,  S₁ = |E_x|² − |E_y|²,  S₂ = 2 Re E_x E_y*,  S₃ = 2 Im E_x E_y*

    Arguments:
        field: Jones vectors, shape (..., 2); with `weights`, shape (..., modes, 2) of modes that do not
            interfere.
        weights: power of each mode, shape (modes,), not negative. Two crossed modes of equal weight are
            unpolarised light.

    Returns:
        (S₀, S₁, S₂, S₃) in the unit of |field|², shape (..., 4).

    Raises:
        ValueError: a `field` that holds no Jones vectors, or `weights` below 0 or not one for each mode.

    Source: M. Born and E. Wolf, Principles of Optics, 7th ed. (1999), section 1.4.2.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> print(optics.polarisation.stokes(jnp.eye(2), weights=[0.5, 0.5]))
        [1. 0. 0. 0.]
    """
    light = as_jones_vectors("field", field)
    x, y = light[..., 0], light[..., 1]
    x_power, y_power = (part.real**2 + part.imag**2 for part in (x, y))
    product = 2 * x * jnp.conj(y)
    parameters = jnp.stack([x_power + y_power, x_power - y_power, product.real, product.imag], axis=-1)
    if weights is None:
        return parameters
    if light.ndim < 2:
        raise ValueError(
            "`field` must have an axis of modes where there are `weights`, shape (..., modes, 2), got shape "
            f"{light.shape}."
        )
    check_range("weights", weights, 0.0, np.inf)
    powers = as_vector("weights", weights, "", light.shape[-2]).astype(parameters.dtype)
    return jnp.sum(powers[:, None] * parameters, axis=-2)


def degree_of_polarisation(parameters: ArrayLike) -> Float[Array, "*batch"]:
    """The share of the power that is polarised, √(S₁² + S₂² + S₃²) / S₀.

    Arguments:
        parameters: Stokes parameters, shape (..., 4).

    Returns:
        from 0 (also in the dark) to 1, shape (...); unpolarised light has no slope.

    Raises:
        ValueError: `parameters` that are not real or not four.

    Example:
        >>> import optics
        >>> print(optics.polarisation.degree_of_polarisation([2.0, 1.0, 0.0, 0.0]))
        0.5
    """
    array = as_array("parameters", parameters)
    if array.ndim < 1 or array.shape[-1] != 4 or jnp.iscomplexobj(array):
        raise ValueError(
            "`parameters` must be real Stokes parameters (S0, S1, S2, S3), shape (..., 4), got "
            f"{describe(parameters)}."
        )
    array = as_floats("parameters", array)
    return safe_divide(safe_sqrt(jnp.sum(array[..., 1:] ** 2, axis=-1)), array[..., 0])


def mueller(jones: ArrayLike) -> Float[Array, "*batch 4 4"]:
    """The Mueller matrix of an element: what it makes of Stokes parameters.

        M_jk = ½ Tr(σ_j J σ_k J†)

    Arguments:
        jones: Jones matrices, shape (..., 2, 2); of an element that depolarises, average the result over its
            modes.

    Returns:
        real matrices, shape (..., 4, 4).

    Raises:
        ValueError: a `jones` that holds no Jones matrices.

    Source: R. A. Chipman, W.-S. T. Lam and G. Young, Polarized Light and Optical Systems (2018), chapter 6.

    Example:
        >>> import optics
        >>> print(optics.polarisation.mueller(optics.polarisation.polariser(0.0))[0])
        [0.5 0.5 0.  0. ]
    """
    matrix = as_jones_matrices("jones", jones)
    pauli = jnp.asarray(PAULI, matrix.dtype)
    return (
        jnp.einsum(
            "jab,...bc,kcd,...ad->...jk", pauli, matrix, pauli, jnp.conj(matrix), precision="highest"
        ).real
        / 2
    )
