"""Jones matrices of liquid-crystal cells."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from optics._check import as_leaf, check_finite
from optics._phases import unit_phasor
from optics._typing import ArrayLike
from optics.polarisation._elements import as_matrix, rotation

# Below this square of an angle, cos and sinc are the first terms of their series: exact in double precision.
SMALL_SQUARE = 0.1


def parallel_aligned(phase: ArrayLike, angle: ArrayLike = 0.0) -> Complex[Array, "*batch 2 2"]:
    """A cell whose molecules all lie in one plane: delays light along the director, and no other.

        R(θ) diag(exp(iφ), 1) R(−θ)

    Arguments:
        phase: φ, of light along the director (extraordinary) against light across it (ordinary), rad, any
            shape.
        angle: θ of the director, rad, any shape.

    Returns:
        unitary Jones matrices, shape (..., 2, 2).

    Raises:
        ValueError: `phase` or `angle` not finite.

    Source: Z. Zhang et al., Light Sci. Appl. 3, e213 (2014).

    Example:
        >>> import jax.numpy as jnp, optics
        >>> print(jnp.diag(optics.polarisation.parallel_aligned(jnp.pi)).real.round(3).tolist())
        [-1.0, 1.0]
    """
    check_finite("phase", phase, "rad")
    check_finite("angle", angle, "rad")
    phi, theta = as_leaf(phase), as_leaf(angle)
    cos, sin = jnp.cos(theta), jnp.sin(theta)
    turn = unit_phasor(phi) - 1
    crossed = turn * cos * sin
    return as_matrix(1 + turn * cos**2, crossed, crossed, 1 + turn * sin**2)


def twisted_nematic(
    twist: ArrayLike, retardance: ArrayLike, angle: ArrayLike = 0.0
) -> Complex[Array, "*batch 2 2"]:
    """A cell whose director turns evenly from its entrance to its exit.

        exp(iβ) R(θ + φ) [[cos X + iβ S, φ S], [−φ S, cos X − iβ S]] R(−θ)
        β = Γ/2,   X = √(φ² + β²),   S = sin X / X

    The limit of many thin wave plates, each turned a little against the one before. With Γ much above φ
    (Mauguin) the polarisation follows the director.

    Arguments:
        twist: φ from entrance to exit, rad, any shape.
        retardance: Γ = 2π (n_e − n_o) thickness / wavelength, rad, any shape; under a voltage, the mean over
            the cell of what the tilt of the molecules leaves of it.
        angle: θ of the director at the entrance, rad, any shape.

    Returns:
        unitary Jones matrices, shape (..., 2, 2).

    Raises:
        ValueError: `twist`, `retardance` or `angle` not finite.

    Source: K. Lu and B. E. A. Saleh, Opt. Eng. 29, 240 (1990), who write β for Γ/2 and another sign of i;
        P. Yeh and C. Gu, Optics of Liquid Crystal Displays, 2nd ed. (2010), chapter 4.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> from optics import polarisation
        >>> followed = polarisation.transmit([1.0, 0.0], polarisation.twisted_nematic(jnp.pi / 2, 300.0))
        >>> print(f"{polarisation.stokes(followed)[1]:.2f}")  # now along y
        -1.00
    """
    check_finite("twist", twist, "rad")
    check_finite("retardance", retardance, "rad")
    check_finite("angle", angle, "rad")
    phi, gamma, theta = as_leaf(twist), as_leaf(retardance), as_leaf(angle)
    cos, along, across = _path(phi, gamma)
    local = jax.lax.complex(
        as_matrix(cos, across, -across, cos),
        as_matrix(along, jnp.zeros_like(along), jnp.zeros_like(along), -along),
    )
    local = unit_phasor(gamma / 2)[..., None, None] * local
    return _multiply(rotation(theta + phi), _multiply(local, rotation(-theta)))


def twisted_nematic_transmission(
    retardance: ArrayLike, twist: ArrayLike, polariser: ArrayLike, analyser: ArrayLike
) -> Complex[Array, "*batch"]:
    """The amplitude that a twisted cell between a polariser and an analyser passes.

        exp(iβ) [cos X cos(α − φ − ψ) − φ S sin(α − φ − ψ) + iβ S cos(α − φ + ψ)]

    with β, X and S of `twisted_nematic`; amplitude and phase change together.

    Arguments:
        retardance: Γ, rad, any shape.
        twist: φ from entrance to exit, rad, any shape.
        polariser: ψ, angle of the light from the director at the entrance, rad, any shape.
        analyser: α, angle that passes, from the director at the entrance, rad, any shape.

    Returns:
        complex amplitudes of modulus at most 1, of the shape that the arguments broadcast to.

    Raises:
        ValueError: an argument that is not finite.

    Source: K. Lu and B. E. A. Saleh, Opt. Eng. 29, 240 (1990).

    Example:
        >>> import jax.numpy as jnp, optics
        >>> dark = optics.polarisation.twisted_nematic_transmission(0.0, jnp.pi / 2, 0.0, jnp.pi / 2)
        >>> print(bool(abs(dark) < 1e-6))  # without retardance the light stays along x
        True
    """
    for name, value in (
        ("retardance", retardance),
        ("twist", twist),
        ("polariser", polariser),
        ("analyser", analyser),
    ):
        check_finite(name, value, "rad")
    gamma, phi, psi, alpha = map(as_leaf, (retardance, twist, polariser, analyser))
    cos, along, across = _path(phi, gamma)
    exit_angle = alpha - phi
    real = cos * jnp.cos(exit_angle - psi) - across * jnp.sin(exit_angle - psi)
    imaginary = along * jnp.cos(exit_angle + psi)
    real, imaginary = jnp.broadcast_arrays(real, imaginary)
    return unit_phasor(gamma / 2) * jax.lax.complex(real, imaginary)


def _path(
    twist: Float[Array, "..."], retardance: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]:
    """cos X, β S and φ S of the formulas above, which depend smoothly on X² alone."""
    beta, phi = jnp.broadcast_arrays(retardance / 2, twist)
    cos, sinc = _cos_and_sinc(phi**2 + beta**2)
    return cos, beta * sinc, phi * sinc


def _cos_and_sinc(square: Float[Array, "*any"]) -> tuple[Float[Array, "*any"], Float[Array, "*any"]]:
    """cos X and sin X / X of X², with slopes at X = 0, where √ has none."""
    small = square < SMALL_SQUARE
    x = jnp.sqrt(jnp.where(small, 1, square))
    orders = np.arange(8)
    signs = (-1.0) ** orders
    even = np.cumprod([1.0, *((2 * n - 1) * 2 * n for n in orders[1:])])
    near = jnp.where(small, square, 0)
    cos, sinc = (
        jnp.polyval(jnp.asarray((signs / factorials)[::-1], square.dtype), near)
        for factorials in (even, even * (2 * orders + 1))
    )
    return jnp.where(small, cos, jnp.cos(x)), jnp.where(small, sinc, jnp.sin(x) / x)


def _multiply(
    a: Complex[Array, "*batch_a 2 2"], b: Complex[Array, "*batch_b 2 2"]
) -> Complex[Array, "*batch 2 2"]:
    """a b, in full precision on every machine."""
    return jnp.sum(a[..., :, :, None] * b[..., None, :, :], axis=-2)
