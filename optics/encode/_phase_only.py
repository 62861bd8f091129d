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


def flat_spectrum(
    spectrum: ArrayLike,
) -> tuple[Complex[Array, "*lead rows cols"], Float[Array, "*lead 1 1"]]:
    """Encode a filter on a modulator of phase alone, and keep the energy of the kernel in electronics.

        drive = spectrum / |spectrum|   (1 where it is zero),   scale = √(mean |spectrum|²)

    The kernel that light convolves with has a flat spectrum, and the norm of the one that was asked for.
    A network keeps the size of its numbers, which `phase_only` changes.

    Arguments:
        spectrum: shape (..., rows, columns), any unit.

    Returns:
        drive of modulus 1, same shape; scale, shape (..., 1, 1), in the unit of `spectrum`. Gradients flow
        through both.

    Raises:
        ValueError: fewer than two axes, or no numbers.

    Source: J. L. Horner and P. D. Gianino, Appl. Opt. 23, 812 (1984).

    Example:
        >>> import jax.numpy as jnp, optics
        >>> drive, scale = optics.encode.flat_spectrum(jnp.array([[3.0 + 0j, 1j]]))
        >>> print(drive, scale.round(3))
        [[1.+0.j 0.+1.j]] [[2.236]]
    """
    spectrum = as_plane("spectrum", spectrum)
    drive, _ = phase_only(spectrum)
    power = jnp.mean(spectrum.real**2 + spectrum.imag**2, axis=(-2, -1), keepdims=True)
    # A kernel of zeros has no slope.
    positive = power > 0
    return drive, jnp.where(positive, jnp.sqrt(jnp.where(positive, power, 1)), 0)
