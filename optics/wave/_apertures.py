"""Openings: real arrays in [0, 1] that a field is multiplied by, each sample's share of open area."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import check_positive, check_range
from optics.wave._geometry import centred as centred
from optics.wave._geometry import pair


def aperture(
    shape: tuple[int, int], dx: Any, radius: Any, centre: Any = (0.0, 0.0)
) -> Float[Array, "rows cols"]:
    """Circular stop: 1 inside `radius`, 0 outside, the covered share of a sample where the edge passes through it.

        t(r) = ½ + ∫₀^d T(s) ds,   d = (R − r) / dx − dx / (24 R)

    T is what a straight edge at right angles to the radius meets: a sample's width across its direction, a trapezoid of
    area 1. The last term of d is the mean sagitta of the edge over a sample, so that the area is right to third order
    in dx / R. The stop has a gradient in all its numbers.

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        radius: R, m, scalar.
        centre: of the stop, (y, x), m.

    Returns:
        real transmission in [0, 1], shape (rows, columns).

    Raises:
        ValueError: `dx` or `radius` not positive, or `centre` not two finite numbers.
    """
    check_positive("dx", dx, "m")
    check_positive("radius", radius, "m")
    cy, cx = pair("centre", centre)
    y, x = jnp.abs(centred(shape[0]) - cy / dx)[:, None], jnp.abs(centred(shape[1]) - cx / dx)[None, :]
    r2 = x**2 + y**2
    # The root is fed a harmless 1 in the middle, where it has no slope.
    r = jnp.sqrt(jnp.where(r2 > 0, r2, 1.0))
    long, short = jnp.where(r2 > 0, jnp.maximum(x, y) / r, 1.0), jnp.minimum(x, y) / r
    samples = radius / dx
    d = samples - jnp.where(r2 > 0, r, 0.0) - 1 / (24 * samples)
    flat = (long - short) / 2
    slope = jnp.maximum(jnp.abs(d) - flat, 0.0)
    share = (
        0.5
        + (jnp.clip(d, -flat, flat) + jnp.sign(d) * (slope - slope**2 / (2 * jnp.maximum(short, 1e-6))))
        / long
    )
    # Chosen, not clipped: away from the edge nothing has a slope.
    return jnp.where(jnp.abs(d) < flat + short, share, jnp.where(d > 0, 1.0, 0.0))


def rectangle(
    shape: tuple[int, int], dx: Any, size: Any, centre: Any = (0.0, 0.0)
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
        ValueError: `dx` or `size` not positive, or `size` or `centre` not two finite numbers.
    """
    check_positive("dx", dx, "m")

    def open_(n, width, middle):
        check_positive("size", width, "m")
        return _covered(centred(n) - middle / dx, width / (2 * dx))

    rows, cols = map(open_, shape, pair("size", size), pair("centre", centre))
    return rows[:, None] * cols[None, :]


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
    check_range("fill", fill, 0.0, 1.0, open_low=True)
    offset = centred(samples)[:, None] - per_pixel * centred(count)[None, :]
    return _covered(offset, 0.5 * fill * per_pixel)


def _covered(offset: Array, half: Any) -> Array:
    """Share of a sample, `offset` samples from the middle of an opening of half width `half`, that is open."""
    # Exactly 1 in the middle however far from the axis, unlike a difference of two edges.
    return jnp.clip(half + 0.5 - jnp.abs(offset), 0.0, jnp.minimum(2 * half, 1.0))
