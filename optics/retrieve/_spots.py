"""Figures of merit of an array of spots."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import as_plane, is_concrete
from optics._numerics import safe_divide
from optics._typing import ArrayLike
from optics.retrieve._checks import as_amplitude


def uniformity(field: ArrayLike, target_amplitude: ArrayLike) -> Float[Array, "*lead"]:
    """How equal the spots of a hologram are, relative to their targets.

        1 − (max q − min q)/(max q + min q),   q = |field|²/target² over the spots

    Arguments:
        field: shape (..., rows, columns), any unit.
        target_amplitude: zero where there is no spot, shape (..., rows, columns), any unit.

    Returns:
        in [0, 1], 1 where every spot has the brightness of its target; shape (...).

    Raises:
        ValueError: a `field` with fewer than two axes, or a target that is complex, negative or without a
            spot.

    Source: R. Di Leonardo, F. Ianni and G. Ruocco, Opt. Express 15, 1913 (2007), section 2.
    """
    field, target = as_plane("field", field), as_spots(target_amplitude)
    spot = target > 0
    q = (field.real**2 + field.imag**2) / jnp.where(spot, target, 1) ** 2
    most = jnp.max(jnp.where(spot, q, 0), axis=(-2, -1))
    least = jnp.min(jnp.where(spot, q, jnp.inf), axis=(-2, -1))
    return 1 - (most - least) / jnp.where(most > 0, most + least, 1)


def efficiency(field: ArrayLike, target_amplitude: ArrayLike) -> Float[Array, "*lead"]:
    """Share of the light that is in the spots: Σ_spots |field|² / Σ |field|².

    Arguments, errors and source: those of `uniformity`.

    Returns:
        in [0, 1], shape (...).
    """
    field, target = as_plane("field", field), as_spots(target_amplitude)
    power = field.real**2 + field.imag**2
    in_spots = jnp.sum(jnp.where(target > 0, power, 0), axis=(-2, -1))
    return safe_divide(in_spots, jnp.sum(power, axis=(-2, -1)))


def as_spots(target_amplitude: ArrayLike) -> Float[Array, "*lead rows cols"]:
    """The amplitudes of spots as an array; a concrete one without a spot in each plane is refused."""
    target = as_amplitude("target_amplitude", target_amplitude)
    check_spots(target, target_amplitude)
    return target


def check_spots(target: Float[Array, "*lead rows cols"], target_amplitude: ArrayLike) -> None:
    """Refuse a concrete `target_amplitude` with a plane without a spot; `target` is the same as an array."""
    concrete = is_concrete(target_amplitude) and is_concrete(target)
    if concrete and not bool(jnp.all(jnp.any(target > 0, axis=(-2, -1)))):
        raise ValueError(
            "`target_amplitude` must be above 0 in at least one spot of each plane, got a dark one."
        )
