"""Stokes parameters from the intensities behind analysers."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics._check import as_array, as_floats, as_leaf, check_finite, check_flag, describe, is_concrete
from optics._typing import ArrayLike, FlagLike

# Least over largest singular value of settings that determine the Stokes parameters.
WORST_CONDITION = 1e-4


def analyser(
    angle: ArrayLike, retardance: ArrayLike = 0.0, plate_angle: ArrayLike = 0.0
) -> Float[Array, "*batch 4"]:
    """What a wave plate with a polariser behind it measures: intensity = analyser · Stokes parameters.

        ½ (1,  cos δ cos 2p − sin δ cos Γ sin 2p,  cos δ sin 2p + sin δ cos Γ cos 2p,  sin δ sin Γ)

    with p the angle of the plate and δ = 2(θ − p): the first row of the Mueller matrix of both.

    Arguments:
        angle: θ of the polariser, rad, any shape.
        retardance: Γ of the wave plate before it, rad, any shape; 0 without one.
        plate_angle: p of its fast axis, rad, any shape.

    Returns:
        coefficients of (S₀, S₁, S₂, S₃), shape (..., 4).

    Raises:
        ValueError: an argument that is not finite.

    Source: M. Born and E. Wolf, Principles of Optics, 7th ed. (1999), section 10.9.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> print(optics.polarisation.analyser(0.0))
        [0.5 0.5 0.  0. ]
    """
    for name, value in (("angle", angle), ("retardance", retardance), ("plate_angle", plate_angle)):
        check_finite(name, value, "rad")
    theta, gamma, plate = map(as_leaf, (angle, retardance, plate_angle))
    # On the sphere of Poincaré the plate turns about its axis; before it the analyser looks along:
    apart = 2 * (theta - plate)
    along, across = jnp.cos(apart), jnp.sin(apart) * jnp.cos(gamma)
    cos, sin = jnp.cos(2 * plate), jnp.sin(2 * plate)
    rows = (
        jnp.ones_like(along),
        along * cos - across * sin,
        along * sin + across * cos,
        jnp.sin(apart) * jnp.sin(gamma),
    )
    return jnp.stack(jnp.broadcast_arrays(*rows), axis=-1) / 2


def stokes_from_intensities(
    intensities: ArrayLike,
    angle: ArrayLike,
    retardance: ArrayLike = 0.0,
    plate_angle: ArrayLike = 0.0,
    linear: FlagLike = False,
) -> Float[Array, "*batch 4"]:
    """The Stokes parameters whose intensities behind analysers are nearest to those measured (least squares).

    A camera with a polariser on each pixel (division of the focal plane) has `angle` = 0, π/4, π/2, 3π/4 and
    sees nothing of circular light: `linear=True`. A turning quarter-wave plate before a fixed polariser has
    `angle` = 0, `retardance` = π/2 and `plate_angle` = the turns.

    Arguments:
        intensities: shape (..., settings), any unit.
        angle: of the polariser in each setting, rad, shape (settings,) or one number.
        retardance: of a wave plate before it, rad, shape (settings,) or one number.
        plate_angle: of its fast axis, rad, shape (settings,) or one number.
        linear: the light has no circular part: S₃ is 0, and the settings need not see it.

    Returns:
        (S₀, S₁, S₂, S₃) in the unit of the intensities, shape (..., 4).

    Raises:
        ValueError: `intensities` that are not real or not one for each setting, or settings that do not
            determine the parameters.

    Source: R. A. Chipman, W.-S. T. Lam and G. Young, Polarized Light and Optical Systems (2018), chapter 7.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> angles = jnp.arange(4) * jnp.pi / 4
        >>> light = optics.polarisation.stokes_from_intensities([1.0, 0.5, 0.0, 0.5], angles, linear=True)
        >>> print(bool(abs(light - jnp.array([1, 1, 0, 0])).max() < 1e-6))
        True
    """
    array = as_array("intensities", intensities)
    if array.ndim < 1 or not array.shape[-1] or jnp.iscomplexobj(array) or array.dtype == bool:
        raise ValueError(
            f"`intensities` must be real numbers, shape (..., settings), got {describe(intensities)}."
        )
    array = as_floats("intensities", array)
    check_flag("linear", linear)
    settings = array.shape[-1]
    values = {"angle": angle, "retardance": retardance, "plate_angle": plate_angle}
    for name, value in values.items():
        check_finite(name, value, "rad")
        if np.shape(value) not in ((), (settings,)):
            raise ValueError(
                f"`{name}` must be one number or one for each of the {settings} settings of `intensities`, "
                f"got shape {np.shape(value)}."
            )
    rows = jnp.broadcast_to(analyser(angle, retardance, plate_angle), (settings, 4))
    unknowns = rows[:, :3] if linear else rows
    _check_settings(unknowns, settings, bool(linear))
    q, r = jnp.linalg.qr(unknowns.astype(array.dtype))
    projections = jnp.einsum("sp,...s->p...", q, array, precision="highest")
    flat = jax.scipy.linalg.solve_triangular(r, projections.reshape(r.shape[0], -1))
    parameters = jnp.moveaxis(flat.reshape(projections.shape), 0, -1)
    return jnp.pad(parameters, [(0, 0)] * (parameters.ndim - 1) + [(0, 1)]) if linear else parameters


def _check_settings(rows: Float[Array, "settings unknowns"], settings: int, linear: bool) -> None:
    needed = rows.shape[1]
    remedy = (
        "take three angles of the polariser or more, evenly over half a turn"
        if linear
        else "take a wave plate in some of them, or `linear=True` for light without a circular part"
    )
    message = "`angle`, `retardance` and `plate_angle` must determine"
    message += f" {needed} Stokes parameters, got {settings} settings"
    if settings < needed:
        raise ValueError(f"{message}; take {needed} or more.")
    if is_concrete(rows):
        singular = np.linalg.svd(np.asarray(rows, float), compute_uv=False)
        if singular[-1] < WORST_CONDITION * singular[0]:
            raise ValueError(
                f"{message} that see only {int(np.sum(singular > WORST_CONDITION * singular[0]))}; {remedy}."
            )
