"""Thin elements: arrays that a field is multiplied by. The optical axis passes through sample n//2 of each axis."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from optics._check import concrete, finite, number, positive
from optics.wave.phasor import phasor


def lens(shape: tuple[int, int], dx: Any, wavelength: Any, focal_length: Any) -> Complex[Array, "rows cols"]:
    """Thin lens with the paraxial (quadratic) phase.

        t(x, y) = exp(−i π (x² + y²) / (λ f))

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        wavelength: m, scalar.
        focal_length: f, m, scalar; negative for a diverging lens.

    Returns:
        complex transmission of modulus 1, shape (rows, columns). It is sampled well within λ f / (2 dx) of the axis.

    Raises:
        ValueError: `dx` or `wavelength` not positive, `focal_length` zero or not finite.

    Source: Goodman (2005), eq. 5-10.
    """
    positive("dx", dx, "m")
    positive("wavelength", wavelength, "m")
    finite("focal_length", focal_length, "m")
    if concrete(focal_length) and not float(focal_length):
        raise ValueError(f"`focal_length` must not be zero, got {focal_length} m; a plane without power needs no lens.")

    def exponent(dx, wavelength, focal_length):
        y, x = (centred(n, jnp.float64) for n in shape)
        phase = -jnp.pi * dx**2 / (wavelength * focal_length) * (y[:, None] ** 2 + x[None, :] ** 2)
        return jax.lax.complex(jnp.zeros_like(phase), phase)

    return phasor(exponent, dx, wavelength, focal_length)


def aperture(shape: tuple[int, int], dx: Any, radius: Any) -> Float[Array, "rows cols"]:
    """Circular stop: 1 inside `radius`, 0 outside, linear over the one sample that the edge passes through.

        t(r) = clip((R − r) / dx + ½, 0, 1)

    The soft edge is the covered share of a sample to first order, so the stop's area does not jump with `radius`
    and has a gradient.

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        radius: R, m, scalar.

    Returns:
        real transmission in [0, 1], shape (rows, columns).

    Raises:
        ValueError: `dx` or `radius` not positive.
    """
    positive("dx", dx, "m")
    positive("radius", radius, "m")
    y, x = (centred(n) for n in shape)
    return jnp.clip(radius / dx - jnp.hypot(y[:, None], x[None, :]) + 0.5, 0.0, 1.0)


def pixels(samples: int, count: int, per_pixel: int, fill: Any) -> Float[Array, "samples count"]:
    """Share of each sample of a line that the open part of each of `count` pixels covers.

    Pixel count//2 is centred on sample samples//2; pixels are `per_pixel` samples apart and open over the middle
    `fill` of that. A product of two such lines is a square pixel.

    Arguments:
        samples: samples on the line.
        count: pixels on the line.
        per_pixel: samples from one pixel to the next.
        fill: linear fill factor in (0, 1], scalar.

    Returns:
        real array in [0, 1], shape (samples, count); each column sums to fill · per_pixel.

    Raises:
        ValueError: `fill` outside (0, 1].
    """
    number("fill", fill, 0.0, 1.0, open_low=True)
    offset = centred(samples)[:, None] - per_pixel * centred(count)[None, :]
    half = 0.5 * fill * per_pixel
    return jnp.clip(jnp.minimum(offset + 0.5, half) - jnp.maximum(offset - 0.5, -half), 0.0, 1.0)


def centred(n: int, dtype: Any = None) -> Float[Array, " n"]:
    """Sample numbers −n//2 … with 0 at sample n//2, as floating point."""
    return jnp.arange(n, dtype=dtype or jnp.result_type(float)) - n // 2
