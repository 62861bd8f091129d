"""Whether a grid is fine and wide enough for a propagation, and which grid would be."""

import jax
import numpy as np

from optics._check import check_positive_number, is_concrete
from optics._typing import ScalarLike, ShapeLike
from optics._warn import warn_caller
from optics.wave._geometry import as_samples

# A 2f system lies exactly at the critical distance; numbers rounded to single precision must not exceed it.
ROUNDING_MARGIN = 1 + 1e-5

# Share of the power beyond the sampled band that makes a result wrong: 1e-4 of the amplitude.
LARGEST_ALIASED_POWER = 1e-8


class SamplingWarning(UserWarning):
    """The grid of a propagator is too coarse or too small; the message names a remedy."""


def critical_distance(shape: ShapeLike, dx: ScalarLike, wavelength: ScalarLike) -> ScalarLike:
    """The distance at which transfer function and impulse response are both sampled exactly at their limit.

        z_c = n dx² / λ,   n the smaller number of samples; an axis of one sample does not count

    Up to it use `angular_spectrum` or `fresnel`, from it on `fresnel_impulse_response`.

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        wavelength: m, scalar.

    Returns:
        distance, m, scalar; infinite for one sample.

    Raises:
        ValueError: `dx` or `wavelength` not positive, or `shape` not two whole numbers of at least 1.

    Source: D. G. Voelz, Computational Fourier Optics (2011), section 5.3.
    """
    rows, cols = as_samples("shape", shape)
    check_positive_number("dx", dx, "m")
    check_positive_number("wavelength", wavelength, "m")
    return min((float(n) for n in (rows, cols) if n > 1), default=np.inf) * dx**2 / wavelength


def as_floats(*values: ScalarLike) -> tuple[float, ...] | None:
    """The values as Python numbers, or None where one of them is traced or not a scalar."""
    if not all(is_concrete(v) and np.ndim(v) == 0 for v in values):
        return None
    return tuple(float(v) for v in values)


def warn_undersampled_transfer(
    spectrum: jax.Array, dx: ScalarLike, wavelength: ScalarLike, z: ScalarLike, alternative: str
) -> None:
    """Warn of light in a band in which the transfer function is undersampled.

    The phase of the transfer function turns by more than π from one frequency to the next where |f| > n dx /
    (2 λ |z|). Light there travels more than half the plane and returns from its other side. Only the field
    tells whether there is any, so a traced field is not checked.

    Arguments:
        spectrum: of the field, ordered as `jnp.fft.fft2`.
        dx, wavelength, z: m, scalars.
        alternative: the propagator that the message recommends.
    """
    numbers = as_floats(dx, wavelength, z)
    if numbers is None or not is_concrete(spectrum):
        return
    dx, wavelength, z = numbers
    shape = spectrum.shape[-2:]
    critical = critical_distance(shape, dx, wavelength)
    if abs(z) <= critical * ROUNDING_MARGIN:
        return
    power = np.sum(np.abs(np.asarray(spectrum, np.complex128)) ** 2, axis=tuple(range(spectrum.ndim - 2)))
    aliased = np.zeros(shape, bool)
    limits = [n * dx / (2 * wavelength * abs(z)) for n in shape]
    for axis, (n, limit) in enumerate(zip(shape, limits, strict=True)):
        if n > 1:
            aliased |= np.expand_dims(np.abs(np.fft.fftfreq(n, dx)) > limit * ROUNDING_MARGIN, 1 - axis)
    share = power[aliased].sum() / max(power.sum(), np.finfo(float).tiny)
    if share <= LARGEST_ALIASED_POWER:
        return
    needed = int(np.ceil(wavelength * abs(z) / dx**2 / ROUNDING_MARGIN))
    limit = min(limit for n, limit in zip(shape, limits, strict=True) if n > 1)
    warn_caller(
        f"`z` of {z:g} m is beyond the critical distance n dx² / λ = {critical:g} m of "
        f"{shape[0]}×{shape[1]} samples, and {share:.1e} of the power lies above {limit:g} cycles/m: it "
        "travels more than half the plane and returns from the other side; "
        f"pad `u` to {needed} samples a side at this `dx`, or use {alternative}.",
        SamplingWarning,
    )
