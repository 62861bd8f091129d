"""The angular spectrum for long distances and for planes off the axis."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from optics._check import as_plane, check_finite, check_positive
from optics.wave._geometry import pair
from optics.wave._phase_factor import phasor
from optics.wave._sampling import SLACK, numbers, tell

# Fresnel number (n dx)² / (λ z) of the plane, below which the sharp end of the band shows.
_ZONES = 10

# exp of this is 0 in every precision.
_NOTHING = -1e4


def band_limited_angular_spectrum(
    u: Any, dx: Any, wavelength: Any, z: Any, shift: Any = (0.0, 0.0)
) -> Complex[Array, "*lead rows cols"]:
    """Propagate a field by `z` by the angular spectrum, keeping only what its grid can carry to the window looked at.

        u(z) = F⁻¹[ F u · H · B ],   H = exp(i k z (√(1 − s) − 1) + 2πi (fx X + fy Y)),   s = λ² (fx² + fy²)
        B = 1 where |X + z φ(fx)| ≤ n dx along x and the same along y, else 0;   φ(f) = −λ f / √(1 − s)

    The plane is padded to twice its size, so nothing returns from the other side, and B drops the waves that leave the
    padded plane: their phase in H is undersampled, and none of them goes from the plane to the window. (X, Y) is where
    the window's middle lies. The piston exp(ikz) is left out, and the phase is evaluated as in `angular_spectrum`.
    Evanescent waves, which decay but do not travel, are kept. An axis of one sample is light that is uniform along it.

    It is right at every distance from 0 up to some (n dx)² / (10 λ). There the band that is left holds so few frequencies
    that its sharp end shows, by some percent of the peak where the light fills the plane.

    Arguments:
        u: field, shape (..., rows, columns), real or complex; any unit of amplitude.
        dx: sample spacing, m, scalar.
        wavelength: in the medium, m, scalar.
        z: distance, m, scalar, of either sign.
        shift: (Y, X) from the axis to sample n//2 of the result, m.

    Returns:
        complex field of the same shape and unit at the same spacing, around `shift`.

    Raises:
        ValueError: `dx` or `wavelength` not positive, `z` not finite, `shift` not two finite numbers, or `u` with fewer
            than two axes.

    Warns:
        SamplingWarning: `z` beyond (n dx)² / (10 λ) for the smaller n, or `shift` so far that `dx` is too coarse for the
            angle to the window's middle.

    Source: K. Matsushima, T. Shimobaba, Opt. Express 17, 19662 (2009), with the limit on each frequency in place of the
    rectangle that contains them; K. Matsushima, Opt. Express 18, 18453 (2010), for the shift.
    """
    u = as_plane("u", u)
    check_positive("dx", dx, "m")
    check_positive("wavelength", wavelength, "m")
    check_finite("z", z, "m")
    shift = pair("shift", shift)
    shape = u.shape[-2:]
    _check_sampling(shape, dx, wavelength, z, shift)
    padded = tuple(2 * n if n > 1 else 1 for n in shape)
    spectrum = jnp.fft.fft2(u, padded) * _transfer(padded, dx, wavelength, z, shift)
    return jnp.fft.ifft2(spectrum)[..., : shape[0], : shape[1]]


def _transfer(shape: tuple[int, int], dx: Any, wavelength: Any, z: Any, shift: tuple[Any, Any]) -> Array:
    def exponent(dx, wavelength, z, *shift):
        f = [
            jnp.expand_dims(jnp.fft.fftfreq(n, dtype=jnp.float64) / dx, 1 - axis)
            for axis, n in enumerate(shape)
        ]
        s = wavelength**2 * (f[0] ** 2 + f[1] ** 2)
        # √ is fed a harmless 1 where its branch is not the one taken: its infinite slope at 0 would be NaN there.
        forward = s < 1
        root = jnp.where(forward, jnp.sqrt(jnp.where(forward, 1 - s, 1.0)), 1.0)
        decay = jnp.where(s > 1, jnp.sqrt(jnp.where(s > 1, s - 1, 1.0)), 0.0)
        k = 2 * jnp.pi / wavelength
        phase = k * z * jnp.where(forward, -s / (1 + root), -1.0)
        kept = jnp.ones(shape, bool)
        for n, frequency, offset in zip(shape, f, shift, strict=True):
            if n > 1:
                phase += 2 * jnp.pi * frequency * offset
                travel = jnp.where(forward, z * wavelength * frequency / root, 0.0)
                kept &= jnp.abs(offset - travel) <= n * dx / 2 * SLACK
        return jax.lax.complex(jnp.where(kept, -k * jnp.abs(z) * decay, _NOTHING), phase)

    return phasor(exponent, dx, wavelength, z, *shift)


def _check_sampling(shape: tuple[int, int], dx: Any, wavelength: Any, z: Any, shift: tuple[Any, Any]) -> None:
    known = numbers(dx, wavelength, z, *shift)
    if known is None:
        return
    dx, wavelength, z, *shift = known
    shortest = min((n for n in shape if n > 1), default=np.inf)
    longest = (shortest * dx) ** 2 / (_ZONES * wavelength)
    if abs(z) > longest * SLACK:
        tell(
            f"`z` of {z:g} m is beyond (n dx)² / ({_ZONES} λ) = {longest:g} m of {shortest} samples: the band that can be carried so far holds "
            f"few frequencies, and its end shows; pad `u` to {int(np.ceil(np.sqrt(_ZONES * wavelength * abs(z)) / dx / SLACK))} samples a side "
            "at this `dx`, or use `zoom` or `fraunhofer`."
        )
    offset = max((abs(offset) for n, offset in zip(shape, shift, strict=True) if n > 1), default=0.0)
    frequency = offset / (wavelength * np.hypot(offset, z)) if offset else 0.0
    if 2 * dx * frequency > SLACK:
        tell(
            f"`shift` of {offset:g} m at `z` of {z:g} m needs waves of {frequency:g} cycles/m, but `dx` of {dx:g} m holds {1 / (2 * dx):g} "
            f"cycles/m: little or nothing arrives; sample `u` with `dx` of at most {1 / (2 * frequency):g} m."
        )
