"""The angular spectrum for long distances and for planes off the axis."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from optics._check import as_plane, check_number, check_positive_number
from optics._numerics import safe_sqrt
from optics._typing import ArrayLike, ScalarLike
from optics._warn import warn_caller
from optics.wave._angular_spectrum import axial_wavenumber
from optics.wave._geometry import as_pair
from optics.wave._phase_factor import exp_in_double
from optics.wave._sampling import ROUNDING_MARGIN, SamplingWarning, as_floats

# Fresnel number (n dx)² / (λ z) of the plane, below which the sharp edge of the band shows.
SMALLEST_FRESNEL_NUMBER = 10

# exp of this is 0 in every precision.
LOG_ZERO = -1e4


def band_limited_angular_spectrum(
    u: ArrayLike, dx: ScalarLike, wavelength: ScalarLike, z: ScalarLike, shift: ArrayLike = (0.0, 0.0)
) -> Complex[Array, "*lead rows cols"]:
    """Propagate a field by `z` by the angular spectrum, limited to the band that its grid can carry.

        u(z) = F⁻¹[ F u · H · B ],   H = exp(i k z (√(1 − s) − 1) + 2πi (fx X + fy Y)),   s = λ² (fx² + fy²)
        B = 1 where |X + z φ(fx)| ≤ n dx along x and the same along y, else 0;   φ(f) = −λ f / √(1 − s)

    The plane is padded to twice its size, so nothing returns from the other side. B drops the waves that
    leave the padded plane: their phase in H is undersampled, and none of them goes from the plane to the
    window. (X, Y) is the middle of the window. The piston exp(ikz) is left out, and the phase is evaluated as
    in `angular_spectrum`. Evanescent waves, which decay but do not travel, are kept. An axis of one sample is
    light that is uniform along it.

    It is accurate at every distance from 0 to about (n dx)² / (10 λ). Farther away the band holds so few
    frequencies that its sharp edge shows, by some percent of the peak where the light fills the plane.

    Arguments:
        u: field, shape (..., rows, columns), real or complex; any unit of amplitude.
        dx: sample spacing, m, scalar.
        wavelength: in the medium, m, scalar.
        z: distance, m, scalar, of either sign.
        shift: (Y, X) from the axis to sample n//2 of the result, m.

    Returns:
        complex field of the same shape and unit at the same spacing, around `shift`.

    Raises:
        ValueError: `dx` or `wavelength` not positive, `z` not finite, `shift` not two finite numbers, or `u`
            with fewer than two axes.

    Warns:
        SamplingWarning: `z` beyond (n dx)² / (10 λ) for the smaller n, or `shift` so far that `dx` is too
            coarse for the angle to the window's middle.

    Source: K. Matsushima, T. Shimobaba, Opt. Express 17, 19662 (2009), with the limit on each frequency in
    place of the rectangle that contains them; K. Matsushima, Opt. Express 18, 18453 (2010), for the shift.
    """
    u = as_plane("u", u)
    check_positive_number("dx", dx, "m")
    check_positive_number("wavelength", wavelength, "m")
    check_number("z", z, unit="m")
    shift = as_pair("shift", shift)
    shape = u.shape[-2:]
    _warn_beyond_band(shape, dx, wavelength, z, shift)
    padded = tuple(2 * n if n > 1 else 1 for n in shape)
    spectrum = jnp.fft.fft2(u, padded) * _transfer(padded, dx, wavelength, z, shift)
    return jnp.fft.ifft2(spectrum)[..., : shape[0], : shape[1]]


def _transfer(
    shape: tuple[int, int],
    dx: ScalarLike,
    wavelength: ScalarLike,
    z: ScalarLike,
    shift: tuple[ScalarLike, ScalarLike],
) -> Array:
    def exponent(dx, wavelength, z, *shift):
        f = [
            jnp.expand_dims(jnp.fft.fftfreq(n, dtype=jnp.float64) / dx, 1 - axis)
            for axis, n in enumerate(shape)
        ]
        s = wavelength**2 * (f[0] ** 2 + f[1] ** 2)
        forward_phase, decay = axial_wavenumber(s)
        root = safe_sqrt(1 - s, otherwise=1.0)
        k = 2 * jnp.pi / wavelength
        phase = k * z * forward_phase
        kept = jnp.ones(shape, bool)
        for n, frequency, offset in zip(shape, f, shift, strict=True):
            if n > 1:
                phase += 2 * jnp.pi * frequency * offset
                travel = jnp.where(s < 1, z * wavelength * frequency / root, 0.0)
                kept &= jnp.abs(offset - travel) <= n * dx / 2 * ROUNDING_MARGIN
        return jax.lax.complex(jnp.where(kept, -k * jnp.abs(z) * decay, LOG_ZERO), phase)

    return exp_in_double(exponent, dx, wavelength, z, *shift)


def _warn_beyond_band(
    shape: tuple[int, int],
    dx: ScalarLike,
    wavelength: ScalarLike,
    z: ScalarLike,
    shift: tuple[ScalarLike, ScalarLike],
) -> None:
    """Warn of a distance at which the band is too narrow, and of a window at too large an angle."""
    numbers = as_floats(dx, wavelength, z, *shift)
    if numbers is None:
        return
    dx, wavelength, z, *shift = numbers
    shortest = min((n for n in shape if n > 1), default=np.inf)
    longest = (shortest * dx) ** 2 / (SMALLEST_FRESNEL_NUMBER * wavelength)
    if abs(z) > longest * ROUNDING_MARGIN:
        width = np.sqrt(SMALLEST_FRESNEL_NUMBER * wavelength * abs(z))
        warn_caller(
            f"`z` of {z:g} m is beyond (n dx)² / ({SMALLEST_FRESNEL_NUMBER} λ) = {longest:g} m of {shortest} "
            "samples: the band that the grid carries so far holds few frequencies, and its edge shows; "
            f"pad `u` to {int(np.ceil(width / dx / ROUNDING_MARGIN))} samples a side at this `dx`, "
            "or use `zoom` or `fraunhofer`.",
            SamplingWarning,
        )
    offset = max((abs(offset) for n, offset in zip(shape, shift, strict=True) if n > 1), default=0.0)
    frequency = offset / (wavelength * np.hypot(offset, z)) if offset else 0.0
    if 2 * dx * frequency > ROUNDING_MARGIN:
        warn_caller(
            f"`shift` of {offset:g} m at `z` of {z:g} m needs waves of {frequency:g} cycles/m, "
            f"but `dx` of {dx:g} m holds {1 / (2 * dx):g} cycles/m: little or nothing arrives; "
            f"sample `u` with `dx` of at most {1 / (2 * frequency):g} m.",
            SamplingWarning,
        )
