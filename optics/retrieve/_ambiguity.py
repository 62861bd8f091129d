"""Comparing objects up to what an amplitude leaves open: a shift, a factor and the twin image."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_plane
from optics._numerics import reverse_index, safe_abs, safe_sign
from optics._typing import ArrayLike
from optics.retrieve._retrieved import norm


def align(retrieved: ArrayLike, reference: ArrayLike) -> Inexact[Array, "*lead rows cols"]:
    """Bring a retrieved object as close to another as the trivial ambiguities of phase retrieval allow.

        x[r] -> c x[r − s]   or   c conj(x[s − r])

    For every circular shift s and every factor |c| = 1 (±1 for real objects) these have the same amplitude of
    the Fourier transform. The shift and the factor are those of the largest correlation with the reference,
    which gives the least distance.

    Arguments:
        retrieved, reference: same shape (..., rows, columns), any unit, real or complex.

    Returns:
        the retrieved object, moved, same shape; real if both are.

    Raises:
        ValueError: shapes that differ, or fewer than two axes.

    Source: R. H. T. Bates, Optik 61, 247 (1982); M. H. Hayes, IEEE Trans. Acoust. 30, 140 (1982).
    """
    retrieved, reference = as_plane("retrieved", retrieved), as_plane("reference", reference)
    if retrieved.shape != reference.shape:
        raise ValueError(
            f"`retrieved` must have the shape of `reference`, {reference.shape}, got {retrieved.shape}."
        )
    flat = (a.reshape(-1, *a.shape[-2:]) for a in (retrieved, reference))
    return jax.vmap(_align)(*flat).reshape(retrieved.shape)


def aligned_error(retrieved: ArrayLike, reference: ArrayLike) -> Float[Array, "*lead"]:
    """Relative error of a retrieved object after `align`: up to the trivial ambiguities of retrieval.

        ‖align(retrieved, reference) − reference‖ / ‖reference‖

    Arguments, errors and source: those of `align`.

    Returns:
        shape (...).
    """
    reference = as_plane("reference", reference)
    return norm(align(retrieved, reference) - reference) / norm(reference)


def _align(
    retrieved: Inexact[Array, "rows cols"], reference: Inexact[Array, "rows cols"]
) -> Inexact[Array, "rows cols"]:
    images = jnp.stack([retrieved, jnp.conj(reverse_index(retrieved))])
    correlation = jnp.fft.ifft2(jnp.fft.fft2(reference) * jnp.conj(jnp.fft.fft2(images)))
    if not (jnp.iscomplexobj(retrieved) or jnp.iscomplexobj(reference)):
        correlation = correlation.real
    image, down, right = jnp.unravel_index(jnp.argmax(safe_abs(correlation)), correlation.shape)
    return jnp.roll(images[image], (down, right), (0, 1)) * safe_sign(correlation[image, down, right])
