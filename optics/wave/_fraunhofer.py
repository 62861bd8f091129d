"""The far field, and the field in the focus of a lens."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from optics._check import as_plane, check_positive, is_concrete
from optics.wave._fresnel import amplitude
from optics.wave._geometry import centred, imaginary, outer
from optics.wave._phase_factor import phasor
from optics.wave._sampling import SLACK, numbers, samples, tell

# Below this share of the largest amplitude a sample counts as dark.
_DARK = 1e-3


def fraunhofer(u: Any, dx: Any, wavelength: Any, z: Any) -> Complex[Array, "*lead rows cols"]:
    """The far field of a plane, `z` away, on a grid of its own spacing.

        U(x', y') = dx² / (iλz) · exp(i π (x'² + y'²) / (λz)) Σ u(x, y) exp(−2πi (x x' + y y') / (λz))

    x' and y' are spaced by λz / (n dx) with the n of their own axis: see `fraunhofer_spacing`. The piston exp(ikz) is left
    out. The phase in front of the sum is exact at each sample, but from one sample to the next it turns by more than π
    outside |x'| ≤ n dx / 2, as the far field does; what the sum gives is sampled well. It keeps energy exactly:
    Σ|U|² dx'² = Σ|u|² dx². An axis of one sample is light that is uniform along it.

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
        SamplingWarning: `z` below 2 D² / λ, D the width of the light (above 1e-3 of the peak amplitude) along either axis:
            the curvature that is left out is then more than π/8 at its edge. A traced field is not looked at. For the
            focus of a lens use `focus`.

    Source: Goodman (2005), eqs. 4-25 and 4-27.
    """
    u = as_plane("u", u)
    check_positive("dx", dx, "m")
    check_positive("wavelength", wavelength, "m")
    check_positive("z", z, "m")
    _check_far(u, dx, wavelength, z)
    return _transform(u, dx, wavelength, z)


def focus(u: Any, dx: Any, wavelength: Any, focal_length: Any) -> Complex[Array, "*lead rows cols"]:
    """The field in the back focal plane of a thin paraxial lens that stands against the plane of `u`.

        U(x', y') = dx² / (iλf) · exp(i π (x'² + y'²) / (λf)) Σ u(x, y) exp(−2πi (x x' + y y') / (λf))

    This is `fraunhofer` at z = f, at any distance: the lens takes out the curvature that the far field does without.
    The pupil of the lens belongs to `u`. The amplitude is always sampled well; the intensity too where the light fills
    at most half of each axis.

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
    check_positive("dx", dx, "m")
    check_positive("wavelength", wavelength, "m")
    check_positive("focal_length", focal_length, "m")
    return _transform(u, dx, wavelength, focal_length)


def fraunhofer_spacing(shape: Any, dx: Any, wavelength: Any, z: Any) -> tuple[Any, Any]:
    """The sample spacings (dy', dx') of what `fraunhofer`, or `focus` with z = f, returns, m.

        dx' = λ z / (n dx)

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        wavelength: m, scalar.
        z: m, scalar.

    Raises:
        ValueError: `shape` not two whole numbers of at least 1, or `dx`, `wavelength` or `z` not positive.
    """
    rows, cols = samples("shape", shape)
    check_positive("dx", dx, "m")
    check_positive("wavelength", wavelength, "m")
    check_positive("z", z, "m")
    return wavelength * z / (rows * dx), wavelength * z / (cols * dx)


def _transform(u: jax.Array, dx: Any, wavelength: Any, z: Any) -> Array:
    def line(n):
        if n == 1:
            return jnp.ones(1, jnp.result_type(complex))

        def exponent(dx, wavelength, z):
            curvature = jnp.pi * wavelength * z * (centred(n, jnp.float64) / (n * dx)) ** 2
            return amplitude(dx, wavelength, z) + imaginary(curvature)

        return phasor(exponent, dx, wavelength, z)

    axes = (-2, -1)
    sums = jnp.fft.fftshift(jnp.fft.fft2(jnp.fft.ifftshift(u, axes)), axes)
    return sums * outer(*map(line, u.shape[-2:]))


def _check_far(u: jax.Array, dx: Any, wavelength: Any, z: Any) -> None:
    known = numbers(dx, wavelength, z)
    if known is None or not is_concrete(u):
        return
    dx, wavelength, z = known
    shape = u.shape[-2:]
    if 2 * (max(n if n > 1 else 0 for n in shape) * dx) ** 2 / wavelength <= z * SLACK:
        return
    bright = np.abs(np.asarray(u)).max(axis=tuple(range(u.ndim - 2)))
    lit = np.nonzero(bright > _DARK * bright.max())
    width = (
        max(
            (np.ptp(where) + 1 if n > 1 else 0 for n, where in zip(shape, lit, strict=True) if where.size),
            default=0,
        )
        * dx
    )
    far = 2 * width**2 / wavelength
    if z * SLACK < far:
        tell(
            f"`z` of {z:g} m is not in the far field of light {width:g} m wide, which begins at 2 D² / λ = {far:g} m; use `zoom`, which "
            "keeps the curvature of the wavefront, or `focus` if a lens of that focal length stands at `u`."
        )
