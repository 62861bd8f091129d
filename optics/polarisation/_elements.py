"""Jones matrices of polarisers, wave plates and rotators, and light through a row of them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Inexact

from optics._check import as_array, as_floats, as_leaf, as_real, check_finite, describe
from optics._phases import as_complex
from optics._typing import ArrayLike


def rotation(angle: ArrayLike) -> Complex[Array, "*batch 2 2"]:
    """Turns light from x towards y, as an optical rotator does: R(θ) = [[cos θ, −sin θ], [sin θ, cos θ]].

    Arguments:
        angle: θ, rad, any shape.

    Returns:
        Jones matrices, shape (..., 2, 2).

    Raises:
        ValueError: `angle` not finite.

    Example:
        >>> import optics
        >>> from optics import polarisation
        >>> turned = polarisation.transmit(polarisation.linear(0.1), polarisation.rotation(0.2))
        >>> print(bool(abs(turned - polarisation.linear(0.3)).max() < 1e-6))
        True
    """
    check_finite("angle", angle, "rad")
    theta = as_leaf(angle)
    cos, sin = jnp.cos(theta), jnp.sin(theta)
    return as_complex(as_matrix(cos, -sin, sin, cos))


def polariser(angle: ArrayLike, extinction: ArrayLike = np.inf) -> Complex[Array, "*batch 2 2"]:
    """Passes light along its axis n = (cos θ, sin θ), and leaks of the crossed light: n nᵀ + ε (1 − n nᵀ).

        ε = 1/√extinction

    Arguments:
        angle: θ of the axis that passes, rad, any shape.
        extinction: power that passes of light along the axis over that of crossed light, at least 1, any
            shape; infinite where nothing leaks.

    Returns:
        Jones matrices, shape (..., 2, 2).

    Raises:
        ValueError: `angle` not finite, or `extinction` below 1.

    Source: R. C. Jones, J. Opt. Soc. Am. 31, 488 (1941).

    Example:
        >>> import optics
        >>> from optics import polarisation
        >>> behind = polarisation.transmit(polarisation.linear(1.0), polarisation.polariser(0.0))
        >>> print(f"{polarisation.stokes(behind)[0]:.4f}")  # Malus: cos² 1
        0.2919
    """
    check_finite("angle", angle, "rad")
    check_extinction("extinction", extinction)
    theta = as_leaf(angle)
    leak = as_leaf(extinction) ** -0.5
    cos, sin = jnp.cos(theta), jnp.sin(theta)
    crossed = (1 - leak) * cos * sin
    return as_complex(as_matrix(cos**2 + leak * sin**2, crossed, crossed, sin**2 + leak * cos**2))


def wave_plate(retardance: ArrayLike, angle: ArrayLike = 0.0) -> Complex[Array, "*batch 2 2"]:
    """Delays light along its slow axis: R(θ) diag(exp(−iΓ/2), exp(iΓ/2)) R(−θ).

    Arguments:
        retardance: Γ = 2π (n_slow − n_fast) thickness / wavelength, rad, any shape.
        angle: θ of the fast axis, rad, any shape.

    Returns:
        unitary Jones matrices of determinant 1, shape (..., 2, 2).

    Raises:
        ValueError: `retardance` or `angle` not finite.

    Source: E. Hecht, Optics, 5th ed. (2017), section 8.13.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> from optics import polarisation
        >>> plate = polarisation.wave_plate(jnp.pi / 2, 0.0)
        >>> behind = polarisation.transmit(polarisation.linear(jnp.pi / 4), plate)
        >>> print(f"{polarisation.stokes(behind)[3]:.3f}")  # left circular
        -1.000
    """
    check_finite("retardance", retardance, "rad")
    check_finite("angle", angle, "rad")
    half, theta = as_leaf(retardance) / 2, as_leaf(angle)
    cos, sin = jnp.cos(half), jnp.sin(half)
    along, across = -sin * jnp.cos(2 * theta), -sin * jnp.sin(2 * theta)
    return jax.lax.complex(
        as_matrix(cos, jnp.zeros_like(across), jnp.zeros_like(across), cos),
        as_matrix(along, across, across, -along),
    )


def half_wave_plate(angle: ArrayLike = 0.0) -> Complex[Array, "*batch 2 2"]:
    """A wave plate of retardance π: mirrors the plane of polarisation at its axis, and turns right to left.

    Arguments:
        angle: of the fast axis, rad, any shape.

    Returns:
        Jones matrices, shape (..., 2, 2).

    Raises:
        ValueError: `angle` not finite.

    Example:
        >>> from optics import polarisation
        >>> turned = polarisation.transmit(polarisation.linear(0.0), polarisation.half_wave_plate(0.3))
        >>> print(bool(abs(1j * turned - polarisation.linear(0.6)).max() < 1e-6))
        True
    """
    return wave_plate(np.pi, angle)


def quarter_wave_plate(angle: ArrayLike = 0.0) -> Complex[Array, "*batch 2 2"]:
    """A wave plate of retardance π/2: makes circular light of light at 45° to its axis.

    Arguments:
        angle: of the fast axis, rad, any shape.

    Returns:
        Jones matrices, shape (..., 2, 2).

    Raises:
        ValueError: `angle` not finite.

    Example:
        >>> import jax.numpy as jnp
        >>> from optics import polarisation
        >>> turned = polarisation.transmit([1.0, 0.0], polarisation.quarter_wave_plate(-jnp.pi / 4))
        >>> print(f"{polarisation.stokes(turned)[3]:.3f}")  # left circular
        -1.000
    """
    return wave_plate(np.pi / 2, angle)


def transmit(field: ArrayLike, *elements: ArrayLike) -> Complex[Array, "*batch 2"]:
    """Light behind elements, in the order in which it meets them.

    Arguments:
        field: Jones vectors, shape (..., 2).
        elements: Jones matrices, shape (..., 2, 2); leading axes broadcast.

    Returns:
        Jones vectors, shape (..., 2).

    Raises:
        ValueError: a `field` that holds no Jones vectors or `elements` that are no Jones matrices.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> from optics import polarisation
        >>> crossed = polarisation.polariser(0.0), polarisation.polariser(jnp.pi / 4)
        >>> print(polarisation.transmit([1.0, 0.0], *crossed).real)
        [0.49999997 0.49999997]
    """
    light = as_jones_vectors("field", field)
    for place, element in enumerate(elements):
        matrix = as_jones_matrices(f"elements[{place}]", element)
        light = jnp.sum(matrix * light[..., None, :], axis=-1)
    return light


def as_matrix(
    a: Inexact[Array, "..."], b: Inexact[Array, "..."], c: Inexact[Array, "..."], d: Inexact[Array, "..."]
) -> Inexact[Array, "*batch 2 2"]:
    """[[a, b], [c, d]] of numbers that broadcast."""
    entries = jnp.broadcast_arrays(a, b, c, d)
    return jnp.stack(entries, axis=-1).reshape(*entries[0].shape, 2, 2)


def as_jones_vectors(name: str, value: ArrayLike) -> Complex[Array, "*batch 2"]:
    """Jones vectors; refuse anything else by its type and shape."""
    array = as_array(name, value)
    if array.ndim < 1 or array.shape[-1] != 2:
        raise ValueError(f"`{name}` must be Jones vectors (E_x, E_y), shape (..., 2), got {describe(value)}.")
    return as_complex(as_floats(name, array))


def as_jones_matrices(name: str, value: ArrayLike) -> Complex[Array, "*batch 2 2"]:
    """Jones matrices; refuse anything else by its type and shape."""
    array = as_array(name, value)
    if array.ndim < 2 or array.shape[-2:] != (2, 2):
        raise ValueError(
            f"`{name}` must be Jones matrices, shape (..., 2, 2), such as `polarisation.polariser(0.0)`, got "
            f"{describe(value)}."
        )
    return as_complex(as_floats(name, array))


def check_extinction(name: str, value: ArrayLike) -> None:
    """Refuse a ratio that is no number, or below 1; infinite is one."""
    array = as_real(name, value)
    if array is not None and not np.all(array >= 1):
        raise ValueError(
            f"`{name}` must be at least 1, or infinite where nothing leaks, got {describe(value)}."
        )
