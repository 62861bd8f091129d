"""Propagation to a grid of any spacing, shape and place."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from optics._check import as_plane, check_positive
from optics.wave._fresnel import amplitude, distance
from optics.wave._geometry import centred, imaginary, pair
from optics.wave._phase_factor import phasor
from optics.wave._sampling import SLACK, numbers, samples, tell


def zoom(
    u: Any, dx: Any, wavelength: Any, z: Any, dx_out: Any, shape: Any, shift: Any = (0.0, 0.0)
) -> Complex[Array, "*lead rows_out cols_out"]:
    """Propagate a field by `z` in the Fresnel approximation to an output grid of any spacing and shape.

        U(x', y') = dx² / (iλz) Σ u(x, y) exp(i π ((x' − x)² + (y' − y)²) / (λz))

    The sum is exact at every output sample. It is done by the chirp z-transform: −2 x x' = (x' − x)² − x'² − x² makes of
    it a convolution along each axis, of length n + m − 1, so that nothing is periodic. The chirps are computed in
    double precision. The piston exp(ikz) is left out. An axis of one sample is light that is uniform along it.

    The sum stands for the integral as long as the light at z lies within a period λ|z| / dx, which is then also the
    largest width of the output: beyond it the sum repeats itself. Long distances suit it, and focused light.

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
        ValueError: `dx`, `wavelength` or `dx_out` not positive, `z` zero or not finite, `shape` not two whole numbers of at
            least 1, `shift` not two finite numbers, or `u` with fewer than two axes.

    Warns:
        SamplingWarning: an output that reaches further than λ|z| / (2 dx) from the axis.

    Source: Goodman (2005), eq. 4-14; L. R. Rabiner, R. W. Schafer, C. M. Rader, IEEE Trans. Audio Electroacoust. 17, 86
    (1969); Y. Hu et al., Light Sci. Appl. 9, 119 (2020).
    """
    u = as_plane("u", u)
    check_positive("dx", dx, "m")
    check_positive("wavelength", wavelength, "m")
    distance(z)
    check_positive("dx_out", dx_out, "m")
    shape = samples("shape", shape)
    shift = pair("shift", shift)
    _check_sampling(u.shape[-2:], dx, wavelength, z, dx_out, shape, shift)
    for axis, (m, offset) in enumerate(zip(shape, shift, strict=True)):
        u = jnp.swapaxes(
            _along_last(jnp.swapaxes(u, -1, axis - 2), m, dx, wavelength, z, dx_out, offset), -1, axis - 2
        )
    return u


def _along_last(
    u: jax.Array, m: int, dx: Any, wavelength: Any, z: Any, dx_out: Any, offset: Any
) -> jax.Array:
    """The sum over the last axis, for `m` output samples around `offset`."""
    n = u.shape[-1]
    if n == 1:
        return jnp.broadcast_to(u, (*u.shape[:-1], m)).astype(jnp.result_type(u, jnp.complex64))
    length = _fast(n + m - 1)
    # With x = k dx and x' = j dx_out + s, (x' − x)² is a term in j, one in k and dx dx_out (j − k)².

    def before(dx, wavelength, z, dx_out, s):
        k = centred(n, jnp.float64)
        return imaginary(jnp.pi / (wavelength * z) * (k**2 * dx * (dx - dx_out) - 2 * s * dx * k))

    def between(dx, wavelength, z, dx_out):
        place = jnp.arange(length)
        lag = jnp.where(place < m, place, place - length) + n // 2 - m // 2
        return imaginary(jnp.pi / (wavelength * z) * dx * dx_out * lag.astype(jnp.float64) ** 2)

    def after(dx, wavelength, z, dx_out, s):
        j = centred(m, jnp.float64)
        phase = jnp.pi / (wavelength * z) * (j**2 * dx_out * (dx_out - dx) + 2 * s * dx_out * j + s**2)
        return amplitude(dx, wavelength, z) + imaginary(phase)

    spread = jnp.fft.fft(phasor(between, dx, wavelength, z, dx_out))
    sums = jnp.fft.ifft(jnp.fft.fft(u * phasor(before, dx, wavelength, z, dx_out, offset), length) * spread)[
        ..., :m
    ]
    return sums * phasor(after, dx, wavelength, z, dx_out, offset)


def _fast(n: int) -> int:
    """The smallest whole number from `n` on without prime factors above 5: a length that every FFT is fast at."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


def _check_sampling(
    source: tuple[int, int], dx: Any, wavelength: Any, z: Any, dx_out: Any, shape: Any, shift: tuple[Any, Any]
) -> None:
    known = numbers(dx, wavelength, z, dx_out, *shift)
    if known is None:
        return
    dx, wavelength, z, dx_out, *shift = known
    half = wavelength * abs(z) / (2 * dx)
    outputs = [
        (abs(offset) + m * dx_out / 2, m, abs(offset))
        for n, m, offset in zip(source, shape, shift, strict=True)
        if n > 1
    ]
    reach, m, offset = max(outputs, default=(0.0, 1, 0.0))
    if reach > half * SLACK:
        fits = int(2 * (half - offset) / dx_out)
        tell(
            f"`shape` of {m} samples at `dx_out` of {dx_out:g} m reaches {reach:g} m from the axis, but with `dx` of {dx:g} m the field is known "
            f"only within λ |z| / (2 dx) = {half:g} m and repeats beyond; sample `u` with `dx` of at most {wavelength * abs(z) / (2 * reach):g} m"
            f"{f', or ask for {fits} samples' if fits > 0 else ''}."
        )
