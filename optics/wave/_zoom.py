"""Propagation to a grid of any spacing, shape and place."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from optics._check import as_plane, check_positive_number
from optics._numerics import fast_length
from optics._typing import ArrayLike, ScalarLike, ShapeLike
from optics._warn import warn_caller
from optics.wave._fresnel import check_distance, log_amplitude
from optics.wave._geometry import as_pair, as_samples, imaginary, sample_numbers
from optics.wave._phase_factor import exp_in_double
from optics.wave._sampling import ROUNDING_MARGIN, SamplingWarning, as_floats


def zoom(
    u: ArrayLike,
    dx: ScalarLike,
    wavelength: ScalarLike,
    z: ScalarLike,
    dx_out: ScalarLike,
    shape: ShapeLike,
    shift: ArrayLike = (0.0, 0.0),
) -> Complex[Array, "*lead rows_out cols_out"]:
    """Propagate a field by `z` in the Fresnel approximation to an output grid of any spacing and shape.

        U(x', y') = dx² / (iλz) Σ u(x, y) exp(i π ((x' − x)² + (y' − y)²) / (λz))

    The sum is exact at every output sample. The chirp z-transform computes it: with
    −2 x x' = (x' − x)² − x'² − x² the sum along each axis is a convolution of length n + m − 1, so nothing is
    periodic. The chirps are computed in double precision. The piston exp(ikz) is left out. An axis of one
    sample is light that is uniform along it.

    The sum equals the integral as long as the light at z lies within a period λ|z| / dx. This is also the
    largest width of the output: beyond it the sum repeats itself. Use it for long distances and for focused
    light.

    Arguments:
        u: field, shape (..., rows, columns), real or complex; any unit of amplitude.
        dx: sample spacing, m, scalar.
        wavelength: in the medium, m, scalar.
        z: distance, m, scalar, of either sign, not zero.
        dx_out: spacing of the output, m, scalar.
        shape: samples (rows, columns) of the output.
        shift: (y, x) from the axis to sample m//2 of the output, m.

    Returns:
        complex field of the same unit, shape (..., *shape).

    Raises:
        ValueError: `dx`, `wavelength` or `dx_out` not positive, `z` zero or not finite, `shape` not two whole
            numbers of at least 1, `shift` not two finite numbers, or `u` with fewer than two axes.

    Warns:
        SamplingWarning: an output that extends further than λ|z| / (2 dx) from the axis.

    Example:
        >>> from optics import wave
        >>> field = wave.aperture((64, 64), 8e-6, 2e-4) * wave.lens((64, 64), 8e-6, 532e-9, 0.1)
        >>> wave.zoom(field, 8e-6, 532e-9, z=0.1, dx_out=2e-6, shape=(100, 100)).shape
        (100, 100)

    Source: Goodman (2005), eq. 4-14; L. R. Rabiner, R. W. Schafer, C. M. Rader, IEEE Trans. Audio
    Electroacoust. 17, 86 (1969); Y. Hu et al., Light Sci. Appl. 9, 119 (2020).
    """
    u = as_plane("u", u)
    check_positive_number("dx", dx, "m")
    check_positive_number("wavelength", wavelength, "m")
    check_distance(z)
    check_positive_number("dx_out", dx_out, "m")
    shape = as_samples("shape", shape)
    shift = as_pair("shift", shift)
    _warn_beyond_period(u.shape[-2:], dx, wavelength, z, dx_out, shape, shift)
    (rows, cols), (y, x) = shape, shift
    along_columns = _sum_last_axis(jnp.swapaxes(u, -1, -2), rows, dx, wavelength, z, dx_out, y)
    return _sum_last_axis(jnp.swapaxes(along_columns, -1, -2), cols, dx, wavelength, z, dx_out, x)


def _sum_last_axis(
    u: jax.Array,
    m: int,
    dx: ScalarLike,
    wavelength: ScalarLike,
    z: ScalarLike,
    dx_out: ScalarLike,
    offset: ScalarLike,
) -> jax.Array:
    """The sum over the last axis, for `m` output samples around `offset`."""
    n = u.shape[-1]
    if n == 1:
        return jnp.broadcast_to(u, (*u.shape[:-1], m)).astype(jnp.result_type(u, jnp.complex64))
    length = fast_length(n + m - 1, real=True)
    # With x = k dx and x' = j dx_out + s, (x' − x)² is a term in j, one in k and dx dx_out (j − k)².

    def chirp_in(dx, wavelength, z, dx_out, s):
        k = sample_numbers(n, jnp.float64)
        return imaginary(jnp.pi / (wavelength * z) * (k**2 * dx * (dx - dx_out) - 2 * s * dx * k))

    def chirp_lag(dx, wavelength, z, dx_out):
        index = jnp.arange(length)
        lag = jnp.where(index < m, index, index - length) + n // 2 - m // 2
        return imaginary(jnp.pi / (wavelength * z) * dx * dx_out * lag.astype(jnp.float64) ** 2)

    def chirp_out(dx, wavelength, z, dx_out, s):
        j = sample_numbers(m, jnp.float64)
        phase = jnp.pi / (wavelength * z) * (j**2 * dx_out * (dx_out - dx) + 2 * s * dx_out * j + s**2)
        return log_amplitude(dx, wavelength, z) + imaginary(phase)

    kernel = jnp.fft.fft(exp_in_double(chirp_lag, dx, wavelength, z, dx_out))
    chirped = u * exp_in_double(chirp_in, dx, wavelength, z, dx_out, offset)
    sums = jnp.fft.ifft(jnp.fft.fft(chirped, length) * kernel)[..., :m]
    return sums * exp_in_double(chirp_out, dx, wavelength, z, dx_out, offset)


def _warn_beyond_period(
    shape_in: tuple[int, int],
    dx: ScalarLike,
    wavelength: ScalarLike,
    z: ScalarLike,
    dx_out: ScalarLike,
    shape: tuple[int, int],
    shift: tuple[ScalarLike, ScalarLike],
) -> None:
    """Warn of an output that is wider than the period of the sum."""
    numbers = as_floats(dx, wavelength, z, dx_out, *shift)
    if numbers is None:
        return
    dx, wavelength, z, dx_out, *shift = numbers
    half_period = wavelength * abs(z) / (2 * dx)
    outputs = [
        (abs(offset) + m * dx_out / 2, m, abs(offset))
        for n, m, offset in zip(shape_in, shape, shift, strict=True)
        if n > 1
    ]
    farthest, m, offset = max(outputs, default=(0.0, 1, 0.0))
    if farthest > half_period * ROUNDING_MARGIN:
        finest = wavelength * abs(z) / (2 * farthest)
        fitting = int(2 * (half_period - offset) / dx_out)
        fewer = f", or ask for {fitting} samples" if fitting > 0 else ""
        warn_caller(
            f"`shape` of {m} samples at `dx_out` of {dx_out:g} m reaches {farthest:g} m from the axis, "
            f"but with `dx` of {dx:g} m the field is known only within λ |z| / (2 dx) = {half_period:g} m "
            f"and repeats beyond; sample `u` with `dx` of at most {finest:g} m{fewer}.",
            SamplingWarning,
        )
