"""The far field, and the field in the focus of a lens."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from optics._check import as_plane, check_positive_number, is_concrete
from optics._typing import ArrayLike, ScalarLike, ShapeLike
from optics._warn import warn_caller
from optics.wave._fresnel import log_amplitude
from optics.wave._geometry import as_samples, imaginary, outer, sample_numbers
from optics.wave._phase_factor import exp_in_double
from optics.wave._sampling import ROUNDING_MARGIN, SamplingWarning, as_floats

# Below this share of the largest amplitude a sample counts as dark.
DARK_AMPLITUDE = 1e-3


def fraunhofer(
    u: ArrayLike, dx: ScalarLike, wavelength: ScalarLike, z: ScalarLike
) -> Complex[Array, "*lead rows cols"]:
    """The far field of a plane, `z` away, on a grid of its own spacing.

        U(x', y') = dx² / (iλz) · exp(i π (x'² + y'²) / (λz)) Σ u(x, y) exp(−2πi (x x' + y y') / (λz))

    x' and y' are spaced by λz / (n dx), with the n of their axis: see `fraunhofer_spacing`. The piston
    exp(ikz) is left out. The phase in front of the sum is exact at each sample, but outside |x'| ≤ n dx / 2
    it turns by more than π from one sample to the next, as the far field does; the sum itself is sampled
    well. Energy is conserved exactly: Σ|U|² dx'² = Σ|u|² dx². An axis of one sample is light that is uniform
    along it.

    Arguments:
        u: field, shape (..., rows, columns), real or complex; any unit of amplitude.
        dx: sample spacing, m, scalar.
        wavelength: in the medium, m, scalar.
        z: distance, m, scalar, positive.

    Returns:
        complex field of the same shape and unit, axis at sample n//2.

    Raises:
        ValueError: `dx`, `wavelength` or `z` not positive, or `u` with fewer than two axes.

    Warns:
        SamplingWarning: `z` below 2 D² / λ, D the width of the light (above 1e-3 of the peak amplitude) along
            either axis: the neglected curvature is then more than π/8 at its edge. A traced field is not
            checked. For the focus of a lens use `focus`.

    Example:
        >>> from optics import wave
        >>> stop = wave.aperture((64, 64), dx=1e-6, radius=2e-5)
        >>> wave.fraunhofer(stop, 1e-6, 532e-9, z=0.1).shape
        (64, 64)

    Source: Goodman (2005), eqs. 4-25 and 4-27.
    """
    u = as_plane("u", u)
    check_positive_number("dx", dx, "m")
    check_positive_number("wavelength", wavelength, "m")
    check_positive_number("z", z, "m")
    _warn_near_field(u, dx, wavelength, z)
    return _scaled_transform(u, dx, wavelength, z)


def focus(
    u: ArrayLike, dx: ScalarLike, wavelength: ScalarLike, focal_length: ScalarLike
) -> Complex[Array, "*lead rows cols"]:
    """The field in the back focal plane of a thin paraxial lens that stands against the plane of `u`.

        U(x', y') = dx² / (iλf) · exp(i π (x'² + y'²) / (λf)) Σ u(x, y) exp(−2πi (x x' + y y') / (λf))

    This is `fraunhofer` at z = f, at any distance: the lens cancels the curvature that the far field
    neglects. The pupil of the lens belongs to `u`. The amplitude is always sampled well; the intensity also
    is where the light fills at most half of each axis.

    Arguments:
        u: field on the lens, shape (..., rows, columns), real or complex; any unit of amplitude.
        dx: sample spacing, m, scalar.
        wavelength: in the medium, m, scalar.
        focal_length: f, m, scalar, positive.

    Returns:
        complex field of the same shape and unit, spaced by λf / (n dx), axis at sample n//2.

    Raises:
        ValueError: `dx`, `wavelength` or `focal_length` not positive, or `u` with fewer than two axes.

    Source: Goodman (2005), eq. 5-14.
    """
    u = as_plane("u", u)
    check_positive_number("dx", dx, "m")
    check_positive_number("wavelength", wavelength, "m")
    check_positive_number("focal_length", focal_length, "m")
    return _scaled_transform(u, dx, wavelength, focal_length)


def fraunhofer_spacing(
    shape: ShapeLike, dx: ScalarLike, wavelength: ScalarLike, z: ScalarLike
) -> tuple[ScalarLike, ScalarLike]:
    """The sample spacings (dy', dx') of the result of `fraunhofer`, or of `focus` with z = f, m.

        dx' = λ z / (n dx)

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        wavelength: m, scalar.
        z: m, scalar.

    Returns:
        (dy', dx'), m, scalars.

    Raises:
        ValueError: `shape` not two whole numbers of at least 1, or `dx`, `wavelength` or `z` not positive.
    """
    rows, cols = as_samples("shape", shape)
    check_positive_number("dx", dx, "m")
    check_positive_number("wavelength", wavelength, "m")
    check_positive_number("z", z, "m")
    return wavelength * z / (rows * dx), wavelength * z / (cols * dx)


def _scaled_transform(u: jax.Array, dx: ScalarLike, wavelength: ScalarLike, z: ScalarLike) -> Array:
    def line(n):
        if n == 1:
            return jnp.ones(1, jnp.result_type(complex))

        def exponent(dx, wavelength, z):
            curvature = jnp.pi * wavelength * z * (sample_numbers(n, jnp.float64) / (n * dx)) ** 2
            return log_amplitude(dx, wavelength, z) + imaginary(curvature)

        return exp_in_double(exponent, dx, wavelength, z)

    axes = (-2, -1)
    sums = jnp.fft.fftshift(jnp.fft.fft2(jnp.fft.ifftshift(u, axes)), axes)
    return sums * outer(*map(line, u.shape[-2:]))


def _warn_near_field(u: jax.Array, dx: ScalarLike, wavelength: ScalarLike, z: ScalarLike) -> None:
    numbers = as_floats(dx, wavelength, z)
    if numbers is None or not is_concrete(u):
        return
    dx, wavelength, z = numbers
    shape = u.shape[-2:]
    if 2 * (max(n if n > 1 else 0 for n in shape) * dx) ** 2 / wavelength <= z * ROUNDING_MARGIN:
        return
    brightness = np.abs(np.asarray(u)).max(axis=tuple(range(u.ndim - 2)))
    bright_indices = np.nonzero(brightness > DARK_AMPLITUDE * brightness.max())
    widths = [
        np.ptp(indices) + 1
        for n, indices in zip(shape, bright_indices, strict=True)
        if n > 1 and indices.size
    ]
    width = max(widths, default=0) * dx
    far = 2 * width**2 / wavelength
    if z * ROUNDING_MARGIN < far:
        warn_caller(
            f"`z` of {z:g} m is not in the far field of light {width:g} m wide, which begins at "
            f"2 D² / λ = {far:g} m; use `zoom`, which keeps the curvature of the wavefront, or `focus` if "
            "a lens of that focal length stands at `u`.",
            SamplingWarning,
        )
