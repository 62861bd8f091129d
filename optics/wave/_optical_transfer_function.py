"""How incoherent light forms an image."""

import jax.numpy as jnp
from jaxtyping import Array, Complex

from optics._check import as_plane
from optics._numerics import safe_divide
from optics._typing import ArrayLike


def optical_transfer_function(pupil: ArrayLike) -> Complex[Array, "*lead rows2 cols2"]:
    """Optical transfer function of a pupil in incoherent light: its normalised autocorrelation.

        H(s) = Σ_p P(p) P*(p + s) / Σ_p |P(p)|²

    It is the Fourier transform of the intensity that a point makes, |`focus`(P)|²: a shift by s samples of
    the pupil, s · dx, is the spatial frequency s · dx / (λ f) of the image. With 2n samples the shift of no
    sample wraps around, and the image of 2n samples spaced by λ f / (2 n dx) is

        I' = F⁻¹[F[I] · H]

    with I the image of geometrical optics. Its modulus is the modulation transfer function. The edge of a
    stop on few samples is the largest error: 1e-3 of a circle with a radius of 300 samples and an open share
    at the edge (`aperture`), as its autocorrelation sees the square of that share.

    Arguments:
        pupil: P on n samples a side, real or complex, amplitude and aberrations, shape (..., rows, columns).

    Returns:
        H, 1 at frequency zero, which is at sample (rows, columns), shape (..., 2 · rows, 2 · columns); 0
        everywhere of a pupil that is dark.

    Raises:
        ValueError: a `pupil` with fewer than two axes.

    Source: Goodman (2005), eq. 6-28.

    Example:
        >>> import jax.numpy as jnp
        >>> from optics import wave
        >>> slit = jnp.ones((1, 4))
        >>> print(wave.optical_transfer_function(slit).real[1].round(2) + 0.0)
        [0.   0.25 0.5  0.75 1.   0.75 0.5  0.25]
    """
    pupil = as_plane("pupil", pupil)
    rows, cols = pupil.shape[-2:]
    spread = jnp.abs(jnp.fft.fft2(pupil, (2 * rows, 2 * cols))) ** 2
    overlap = jnp.fft.fftshift(jnp.fft.fft2(spread), (-2, -1))
    return safe_divide(overlap, overlap[..., rows : rows + 1, cols : cols + 1].real)
