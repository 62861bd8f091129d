"""Openings without the frequencies that samples cannot hold, so that a sum over samples is an integral.

Samples at spacing dx hold frequencies up to 1 / (2 dx), and an edge has all frequencies. Where an opening is
sampled, even by the open share of each sample, those above the limit are taken for others below it: an error
of second order in dx. Without them, Σ t(r) a(r) dx² over the samples is ∫ t a dr over the true opening for
every field a that the samples hold, and the error falls exponentially with the oversampling.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from optics._numerics import safe_sqrt
from optics._typing import ArrayLike, ScalarLike

# Frequencies of a pupil's edge are kept up to half a cycle a sample. The cut is this soft, cycles a sample,
# so that the edge reaches no further than this, samples.
CUT_WIDTH = 0.1
EDGE_REACH = 7.5
# Of the Fourier series of an edge, samples: more than four times its reach.
EDGE_PERIOD = 32


def opening(samples: int, width: ScalarLike, tilt: ScalarLike = 0.0) -> Complex[Array, " samples"]:
    """An opening in the middle of a line, under a tilted plane wave of power 1 through it.

        o(j) = 1/M Σ_ν √w sinc(w (ν − ν₀)) exp(2πi ν j),   ν = −½ … ½ in steps of 1/M

    Arguments:
        samples: M, samples on the line; the opening is centred on sample M//2.
        width: w, samples.
        tilt: ν₀, cycles a sample; the phase is 0 in the middle.

    Returns:
        complex amplitude, shape (samples,), Σ |o|² = 1 less the power beyond ν = ±½.
    """
    return jnp.fft.fftshift(jnp.fft.ifft(opening_spectrum(samples, width, tilt)))


def opening_spectrum(samples: int, width: ScalarLike, tilt: ScalarLike = 0.0) -> Float[Array, " samples"]:
    """The Fourier transform of `opening` around sample 0, in the order of `jnp.fft.fft`.

    Arguments: those of `opening`.
    """
    return jnp.sqrt(width) * jnp.sinc(width * (jnp.fft.fftfreq(samples) - tilt))


def stop(
    shape: tuple[int, int], dx: ScalarLike, radius: ScalarLike, centre: ArrayLike
) -> Float[Array, "rows cols"]:
    """Circular stop.

        t(r) = E((R − r) / dx),   E(d) = ∫ K(ν) exp(2πi ν d) / (2πi ν) dν,   K(ν) = ½ erfc((|ν| − ½) / 0.1)

    E is a step without the frequencies beyond half a cycle a sample. It rises over a few samples and
    overshoots on both sides.

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m.
        radius: R, m; many samples.
        centre: of the stop, (y, x), m.

    Returns:
        real transmission, shape (rows, columns).
    """
    y, x = (jnp.arange(n) - n // 2 - c / dx for n, c in zip(shape, centre, strict=True))
    distance = radius / dx - safe_sqrt(x[None, :] ** 2 + y[:, None] ** 2)
    # A choice, not a clip: away from the edge the stop has no slope.
    return jnp.where(jnp.abs(distance) < EDGE_REACH, _edge(distance), jnp.where(distance > 0, 1.0, 0.0))


def _edge(distance: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """E at a distance in samples of at most `EDGE_REACH`, as the Fourier series of a square wave."""
    angle = 2 * jnp.pi / EDGE_PERIOD * distance
    sine, previous, twice_cosine = jnp.sin(angle), -jnp.sin(angle), 2 * jnp.cos(2 * angle)
    total = jnp.full_like(distance, 0.5)
    for k in range(1, int(EDGE_PERIOD * (0.5 + 3 * CUT_WIDTH)), 2):
        weight = 2 / math.pi / k * 0.5 * math.erfc((k / EDGE_PERIOD - 0.5) / CUT_WIDTH)
        total += weight * sine
        sine, previous = twice_cosine * sine - previous, sine  # sin (k + 2) θ
    return total
