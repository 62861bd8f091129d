"""Openings: real factors in [0, 1] of a field, the share of each sample that is open."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import check_memory, check_number, check_positive_number, check_whole
from optics._numerics import safe_sqrt
from optics._typing import ArrayLike, CountLike, ScalarLike, ShapeLike
from optics.wave._geometry import as_pair, as_samples, outer, sample_numbers


def aperture(
    shape: ShapeLike, dx: ScalarLike, radius: ScalarLike, centre: ArrayLike = (0.0, 0.0)
) -> Float[Array, "rows cols"]:
    """Circular stop: 1 inside `radius`, 0 outside, the open share of a sample at the edge.

        t(r) = ½ + ∫₀^d T(s) ds,   d = (R − r) / dx − dx / (24 R)

    T(s) is the width of a square sample along a straight edge at distance s from its middle: a trapezoid of
    area 1. The last term of d is the mean sagitta of the edge over a sample; with it the area is correct to
    third order in dx / R. The stop has a gradient with respect to all its numbers.

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        radius: R, m, scalar.
        centre: of the stop, (y, x), m.

    Returns:
        real transmission in [0, 1], shape (rows, columns).

    Raises:
        ValueError: `shape` not two whole numbers of at least 1, `dx` or `radius` not positive, or `centre`
            not two finite numbers.

    Example:
        >>> from optics import wave
        >>> stop = wave.aperture((64, 64), dx=1.0, radius=20.0)
        >>> round(float(stop.sum()), 1)  # π R² = 1256.64
        1256.7
    """
    shape = as_samples("shape", shape)
    check_positive_number("dx", dx, "m")
    check_positive_number("radius", radius, "m")
    cy, cx = as_pair("centre", centre)
    y = jnp.abs(sample_numbers(shape[0]) - cy / dx)[:, None]
    x = jnp.abs(sample_numbers(shape[1]) - cx / dx)[None, :]
    r2 = x**2 + y**2
    r = safe_sqrt(r2, otherwise=1.0)
    # Cosine and sine of the angle between the radius and the nearer axis.
    long = jnp.where(r2 > 0, jnp.maximum(x, y) / r, 1.0)
    short = jnp.minimum(x, y) / r
    samples = radius / dx
    d = samples - jnp.where(r2 > 0, r, 0.0) - 1 / (24 * samples)
    flat = (long - short) / 2
    slope = jnp.maximum(jnp.abs(d) - flat, 0.0)
    sloped_area = jnp.sign(d) * (slope - slope**2 / (2 * jnp.maximum(short, 1e-6)))
    share = 0.5 + (jnp.clip(d, -flat, flat) + sloped_area) / long
    # A choice, not a clip: away from the edge the stop has no slope.
    return jnp.where(jnp.abs(d) < flat + short, share, jnp.where(d > 0, 1.0, 0.0))


def rectangle(
    shape: ShapeLike, dx: ScalarLike, size: ArrayLike, centre: ArrayLike = (0.0, 0.0)
) -> Float[Array, "rows cols"]:
    """Rectangular stop with edges along the axes: the share of each sample that is open, exactly.

        t(y, x) = o(y) · o(x),   o(x) = |[x − dx/2, x + dx/2] ∩ [c − w/2, c + w/2]| / dx

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        size: full widths w (y, x), m.
        centre: c of the stop, (y, x), m.

    Returns:
        real transmission in [0, 1], shape (rows, columns).

    Raises:
        ValueError: `shape` not two whole numbers of at least 1, `dx` or `size` not positive, or `size` or
            `centre` not two finite numbers.
    """
    shape = as_samples("shape", shape)
    check_positive_number("dx", dx, "m")

    def slit(n, width, middle):
        check_positive_number("size", width, "m")
        return _open_share(sample_numbers(n) - middle / dx, width / (2 * dx))

    return outer(*map(slit, shape, as_pair("size", size), as_pair("centre", centre)))


def pixel_apertures(
    samples: CountLike, count: CountLike, per_pixel: CountLike, fill: ScalarLike
) -> Float[Array, "samples count"]:
    """Share of each sample of a line that the open part of each of `count` pixels covers.

    Pixel count//2 is centred on sample samples//2. Pixels are `per_pixel` samples apart and open over the
    middle `fill` of that distance. The product of two such lines is a square pixel.

    Arguments:
        samples: samples on the line.
        count: pixels on the line.
        per_pixel: samples from one pixel to the next.
        fill: linear fill factor in (0, 1], scalar.

    Returns:
        real array in [0, 1], shape (samples, count); each column sums to fill · per_pixel.

    Raises:
        ValueError: a count that is not a whole number of at least 1, or `fill` outside (0, 1].
    """
    check_number("fill", fill, 0.0, 1.0, open_low=True)
    for name, value in (("samples", samples), ("count", count), ("per_pixel", per_pixel)):
        check_whole(name, value, 1)
    check_memory("samples", samples, samples * count)
    offset = sample_numbers(samples)[:, None] - per_pixel * sample_numbers(count)[None, :]
    return _open_share(offset, 0.5 * fill * per_pixel)


def _open_share(offset: Array, half: ScalarLike) -> Array:
    """The open share of a sample at `offset` from the middle of an opening of half width `half`."""
    # Exactly 1 in the middle however far from the axis, unlike a difference of two edges.
    return jnp.clip(half + 0.5 - jnp.abs(offset), 0.0, jnp.minimum(2 * half, 1.0))
