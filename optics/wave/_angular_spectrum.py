"""Propagation without approximation: the angular spectrum of plane waves."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from optics._check import as_plane, check_finite, check_positive
from optics.wave._phase_factor import phasor
from optics.wave._sampling import transfer_sampled


def angular_spectrum(u: Any, dx: Any, wavelength: Any, z: Any) -> Complex[Array, "*lead rows cols"]:
    """Propagate a field by `z` through free space by the angular spectrum of plane waves, without approximation.

        u(z) = F⁻¹[ F u · exp(i k z (√(1 − s) − 1)) ],   s = λ² (fx² + fy²),   k = 2π / λ

    The piston exp(ikz) is left out: it is common to the plane and, in single precision, is what other codes lose
    the phase to. √(1 − s) − 1 is evaluated as −s / (1 + √(1 − s)), in double precision. Waves with s > 1 are
    evanescent and decay as exp(−k |z| √(s − 1)). The grid is periodic: what leaves on one side enters on the other,
    so leave a dark margin. The transfer function is sampled well for |z| ≤ n dx² / λ with n samples a side, and beyond
    that for frequencies |f| ≤ n dx / (2 λ |z|): a field that holds no others is still carried rightly.
    An axis of one sample is light that is uniform along it.

    Arguments:
        u: field, shape (..., rows, columns), real or complex; any unit of amplitude.
        dx: sample spacing, m, scalar.
        wavelength: in the medium, m, scalar.
        z: distance, m, scalar, of either sign.

    Returns:
        complex field of the same shape and unit.

    Raises:
        ValueError: `dx` or `wavelength` not positive, `z` not finite, or `u` with fewer than two axes.

    Warns:
        SamplingWarning: `z` beyond n dx² / λ, and more than 1e-8 of the power at frequencies that are not sampled well
            there. A field or number that is traced is not looked at.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), eq. 3-74.
    """
    u = as_plane("u", u)
    spectrum = jnp.fft.fft2(u)
    transfer = transfer_function(u.shape[-2:], dx, wavelength, z)
    transfer_sampled(spectrum, dx, wavelength, z, "`band_limited_angular_spectrum`")
    return jnp.fft.ifft2(spectrum * transfer)


def transfer_function(
    shape: tuple[int, int], dx: Any, wavelength: Any, z: Any
) -> Complex[Array, "rows cols"]:
    """What `angular_spectrum` multiplies the spectrum by, shape (rows, columns) in the order of `jnp.fft.fft2`.

    Arguments, errors and source: those of `angular_spectrum`.
    """
    check_positive("dx", dx, "m")
    check_positive("wavelength", wavelength, "m")
    check_finite("z", z, "m")

    def exponent(dx, wavelength, z):
        fy, fx = (jnp.fft.fftfreq(n, dtype=jnp.float64) for n in shape)
        s = (wavelength / dx) ** 2 * (fy[:, None] ** 2 + fx[None, :] ** 2)
        # √ is fed a harmless 1 where its branch is not the one taken: its infinite slope at 0 would be NaN there.
        forward = s < 1
        phase = jnp.where(forward, -s / (1 + jnp.sqrt(jnp.where(forward, 1 - s, 1.0))), -1.0)
        decay = jnp.where(s > 1, jnp.sqrt(jnp.where(s > 1, s - 1, 1.0)), 0.0)
        k = 2 * jnp.pi / wavelength
        return jax.lax.complex(-k * jnp.abs(z) * decay, k * z * phase)

    return phasor(exponent, dx, wavelength, z)
