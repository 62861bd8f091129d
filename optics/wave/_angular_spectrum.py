"""Propagation without approximation: the angular spectrum of plane waves."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from optics._check import as_plane, check_number, check_positive_number
from optics._numerics import safe_sqrt
from optics._typing import ArrayLike, ScalarLike, ShapeLike
from optics.wave._geometry import as_samples
from optics.wave._phase_factor import exp_in_double
from optics.wave._sampling import warn_undersampled_transfer


def angular_spectrum(
    u: ArrayLike, dx: ScalarLike, wavelength: ScalarLike, z: ScalarLike
) -> Complex[Array, "*lead rows cols"]:
    """Propagate a field by `z` through free space, without approximation, as a sum of plane waves.

        u(z) = F⁻¹[ F u · exp(i k z (√(1 − s) − 1)) ],   s = λ² (fx² + fy²),   k = 2π / λ

    The piston exp(ikz) is left out: the whole plane has it in common, and in single precision it would cost
    the accuracy of the phase. √(1 − s) − 1 is evaluated as −s / (1 + √(1 − s)), in double precision. Waves
    with s > 1 are evanescent and decay as exp(−k |z| √(s − 1)). The grid is periodic: light that leaves on
    one side enters on the other, so leave a dark margin. The transfer function is sampled well for |z| ≤ n
    dx² / λ with n samples a side, and beyond that for frequencies |f| ≤ n dx / (2 λ |z|): a field without
    higher frequencies is still propagated correctly. An axis of one sample is light that is uniform along it.

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
        SamplingWarning: `z` beyond n dx² / λ, and more than 1e-8 of the power at frequencies that are not
            sampled well there. A traced field or number is not checked.

    Example:
        >>> from optics import wave
        >>> beam = wave.gaussian((64, 64), dx=8e-6, waist=1e-4)
        >>> round(float(abs(wave.angular_spectrum(beam, 8e-6, 532e-9, z=5e-3)).max()), 3)
        0.996

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), eq. 3-74.
    """
    u = as_plane("u", u)
    spectrum = jnp.fft.fft2(u)
    transfer = transfer_function(u.shape[-2:], dx, wavelength, z)
    warn_undersampled_transfer(spectrum, dx, wavelength, z, "`band_limited_angular_spectrum`")
    return jnp.fft.ifft2(spectrum * transfer)


def transfer_function(
    shape: ShapeLike, dx: ScalarLike, wavelength: ScalarLike, z: ScalarLike
) -> Complex[Array, "rows cols"]:
    """The factor by which `angular_spectrum` multiplies the spectrum, in the order of `jnp.fft.fft2`.

    Arguments, errors and source: those of `angular_spectrum`.
    """
    shape = as_samples("shape", shape)
    check_positive_number("dx", dx, "m")
    check_positive_number("wavelength", wavelength, "m")
    check_number("z", z, unit="m")

    def exponent(dx, wavelength, z):
        fy, fx = (jnp.fft.fftfreq(n, dtype=jnp.float64) for n in shape)
        s = (wavelength / dx) ** 2 * (fy[:, None] ** 2 + fx[None, :] ** 2)
        phase, decay = axial_wavenumber(s)
        k = 2 * jnp.pi / wavelength
        return jax.lax.complex(-k * jnp.abs(z) * decay, k * z * phase)

    return exp_in_double(exponent, dx, wavelength, z)


def axial_wavenumber(s: Float[Array, "*any"]) -> tuple[Float[Array, "*any"], Float[Array, "*any"]]:
    """√(1 − s) − 1 in units of k, as its real part, and √(s − 1), the decay of evanescent waves."""
    phase = jnp.where(s < 1, -s / (1 + safe_sqrt(1 - s)), -1.0)
    return phase, safe_sqrt(s - 1)
