"""Propagation in the paraxial approximation, at the grid's own spacing."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from optics._check import as_plane, check_number, check_positive_number, is_concrete
from optics._typing import ArrayLike, ScalarLike
from optics._warn import warn_caller
from optics.wave._geometry import imaginary, outer
from optics.wave._phase_factor import exp_in_double
from optics.wave._sampling import ROUNDING_MARGIN, SamplingWarning, as_floats, warn_undersampled_transfer


def fresnel(
    u: ArrayLike, dx: ScalarLike, wavelength: ScalarLike, z: ScalarLike
) -> Complex[Array, "*lead rows cols"]:
    """Propagate a field by `z` in the Fresnel approximation, by its transfer function.

        u(z) = F⁻¹[ F u · exp(−i π λ z (fx² + fy²)) ]

    It is correct up to the critical distance |z| = n dx² / λ with n samples a side, and beyond that for
    fields without frequencies |f| > n dx / (2 λ |z|); for others use `fresnel_impulse_response` there. The
    approximation holds for π λ³ |z| f⁴ / 4 ≪ 1. The piston exp(ikz) is left out. The grid is periodic: leave
    a dark margin. Energy is conserved exactly. An axis of one sample is light that is uniform along it.

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
        SamplingWarning: as `angular_spectrum` does.

    Example:
        >>> from optics import wave
        >>> beam = wave.gaussian((64, 64), dx=8e-6, waist=1e-4)
        >>> round(float(abs(wave.fresnel(beam, 8e-6, 532e-9, z=5e-3)).max()), 3)
        0.996

    Source: Goodman (2005), eq. 4-21; D. G. Voelz, Computational Fourier Optics (2011), section 5.1.
    """
    u = as_plane("u", u)
    check_positive_number("dx", dx, "m")
    check_positive_number("wavelength", wavelength, "m")
    check_number("z", z, unit="m")

    def line(n):
        def exponent(dx, wavelength, z):
            return imaginary(-jnp.pi * wavelength * z * (jnp.fft.fftfreq(n, dtype=jnp.float64) / dx) ** 2)

        return exp_in_double(exponent, dx, wavelength, z)

    spectrum = jnp.fft.fft2(u)
    warn_undersampled_transfer(spectrum, dx, wavelength, z, "`fresnel_impulse_response`")
    return jnp.fft.ifft2(spectrum * outer(*map(line, u.shape[-2:])))


def fresnel_impulse_response(
    u: ArrayLike, dx: ScalarLike, wavelength: ScalarLike, z: ScalarLike
) -> Complex[Array, "*lead rows cols"]:
    """Propagate a field by `z` in the Fresnel approximation, by its impulse response.

        u(z) = F⁻¹[ F u · F h ] dx²,   h(x, y) = exp(i π (x² + y²) / (λ z)) / (i λ z)

    From the critical distance |z| = n dx² / λ on, h is sampled well over half the plane, and from twice that
    distance over the whole plane. At shorter distances h is aliased and repeats the field at distances λ |z|
    / dx; use `fresnel` there. The plane is padded to twice its size, so nothing returns from the other side:
    every sample of the result is the sum over all samples of `u`, as in `zoom` at this spacing. The
    approximation and the piston are those of `fresnel`. An axis of one sample is light that is uniform along
    it.

    Arguments:
        u: field, shape (..., rows, columns), real or complex; any unit of amplitude.
        dx: sample spacing, m, scalar.
        wavelength: in the medium, m, scalar.
        z: distance, m, scalar, of either sign, not zero.

    Returns:
        complex field of the same shape and unit.

    Raises:
        ValueError: `dx` or `wavelength` not positive, `z` zero or not finite, or `u` with fewer than two
            axes.

    Warns:
        SamplingWarning: `z` below n dx² / λ for the larger n.

    Source: Goodman (2005), eq. 4-16; Voelz (2011), sections 5.2 and 5.3.
    """
    u = as_plane("u", u)
    check_positive_number("dx", dx, "m")
    check_positive_number("wavelength", wavelength, "m")
    check_distance(z)
    shape = u.shape[-2:]
    _warn_undersampled_response(shape, dx, wavelength, z)

    def line(n):
        if n == 1:
            return jnp.ones(1, jnp.result_type(complex))

        def exponent(dx, wavelength, z):
            x = dx * jnp.fft.fftfreq(n, 1 / n, dtype=jnp.float64)
            return log_amplitude(dx, wavelength, z) + imaginary(jnp.pi * x**2 / (wavelength * z))

        return jnp.fft.fft(exp_in_double(exponent, dx, wavelength, z))

    padded = tuple(2 * n if n > 1 else 1 for n in shape)
    spectrum = jnp.fft.fft2(u, padded) * outer(*map(line, padded))
    return jnp.fft.ifft2(spectrum)[..., : shape[0], : shape[1]]


def _warn_undersampled_response(
    shape: tuple[int, int], dx: ScalarLike, wavelength: ScalarLike, z: ScalarLike
) -> None:
    numbers = as_floats(dx, wavelength, z)
    if numbers is None:
        return
    dx, wavelength, z = numbers
    critical = max(n if n > 1 else 0 for n in shape) * dx**2 / wavelength
    if abs(z) * ROUNDING_MARGIN < critical:
        finer = wavelength * abs(z) / (max(shape) * dx)
        cropped = max(1, int(wavelength * abs(z) / dx**2 * ROUNDING_MARGIN))
        warn_caller(
            f"`z` of {z:g} m is below the critical distance n dx² / λ = {critical:g} m of "
            f"{shape[0]}×{shape[1]} samples, where the impulse response is undersampled; use `fresnel`, "
            f"crop `u` to {cropped} samples a side, or keep its width with `dx` of at most "
            f"{finer:g} m.",
            SamplingWarning,
        )


def check_distance(z: ScalarLike) -> None:
    """Refuse a concrete `z` that is not finite or is zero."""
    check_number("z", z, unit="m")
    if is_concrete(z) and np.any(np.asarray(z) == 0):
        raise ValueError(
            "`z` must not be zero, got 0 m; over short distances use `angular_spectrum` or `fresnel`."
        )


def log_amplitude(dx: jax.Array, wavelength: jax.Array, z: jax.Array) -> jax.Array:
    """The logarithm of dx / √(iλz), the factor of one axis in dx² / (iλz)."""
    return jax.lax.complex(jnp.log(dx) - 0.5 * jnp.log(wavelength * jnp.abs(z)), -0.25 * jnp.pi * jnp.sign(z))
