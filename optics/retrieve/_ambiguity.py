"""What an amplitude cannot tell: comparing objects up to it."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_plane
from optics.retrieve._retrieved import modulus, norm, phase


def align(found: Any, wanted: Any) -> Inexact[Array, "*lead rows cols"]:
    """Bring a found object as close to another as the trivial ambiguities of phase retrieval allow.

        found[r] -> c found[r − s]   or   c conj(found[s − r])

    These have the same amplitude of the Fourier transform for every circular shift s and every factor |c| = 1 (±1 for
    real objects). The shift and the factor are those of the largest correlation with `wanted`, which gives the least
    distance.

    Arguments:
        found, wanted: same shape (..., rows, columns), any unit, real or complex.

    Returns:
        the found object, moved, same shape; real if both are.

    Raises:
        ValueError: shapes that differ, or fewer than two axes.

    Source: R. H. T. Bates, Optik 61, 247 (1982); M. H. Hayes, IEEE Trans. Acoust. 30, 140 (1982).
    """
    found, wanted = as_plane("found", found), as_plane("wanted", wanted)
    if found.shape != wanted.shape:
        raise ValueError(f"`found` must have the shape of `wanted`, {wanted.shape}, got {found.shape}.")
    flat = (a.reshape(-1, *a.shape[-2:]) for a in (found, wanted))
    return jax.vmap(_align)(*flat).reshape(found.shape)


def error(found: Any, wanted: Any) -> Float[Array, "*lead"]:
    """Relative error of a retrieved object up to the trivial ambiguities: ‖align(found, wanted) − wanted‖ / ‖wanted‖.

    Arguments, errors and source: those of `align`.

    Returns:
        shape (...).
    """
    wanted = as_plane("wanted", wanted)
    return norm(align(found, wanted) - wanted) / norm(wanted)


def _align(
    found: Inexact[Array, "rows cols"], wanted: Inexact[Array, "rows cols"]
) -> Inexact[Array, "rows cols"]:
    both = jnp.stack([found, jnp.conj(jnp.roll(jnp.flip(found), 1, (0, 1)))])
    correlation = jnp.fft.ifft2(jnp.fft.fft2(wanted) * jnp.conj(jnp.fft.fft2(both)))
    if not (jnp.iscomplexobj(found) or jnp.iscomplexobj(wanted)):
        correlation = correlation.real
    which, down, right = jnp.unravel_index(jnp.argmax(modulus(correlation)), correlation.shape)
    return jnp.roll(both[which], (down, right), (0, 1)) * phase(correlation[which, down, right])
