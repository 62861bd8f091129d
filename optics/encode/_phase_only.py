"""Filters on modulators that set phase alone."""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from optics._check import as_plane
from optics._typing import ArrayLike


def phase_only(
    spectrum: ArrayLike,
) -> tuple[Complex[Array, "*lead rows cols"], Float[Array, "*lead 1 1"]]:
    """Encode a filter on a modulator of phase alone: its amplitudes are lost.

        drive = spectrum / |spectrum|   (1 where it is zero),   scale = 1

    Arguments:
        spectrum: shape (..., rows, columns), any unit.

    Returns:
        drive of modulus 1, same shape; scale of ones, shape (..., 1, 1).

    Raises:
        ValueError: fewer than two axes, or no numbers.

    Source: J. L. Horner and P. D. Gianino, Appl. Opt. 23, 812 (1984).
    """
    spectrum = as_plane("spectrum", spectrum)
    power = spectrum.real**2 + spectrum.imag**2
    dark = power == 0
    drive = jnp.where(dark, 1, spectrum / jnp.sqrt(jnp.where(dark, 1, power)))
    return drive, jnp.ones((*spectrum.shape[:-2], 1, 1), power.dtype)
