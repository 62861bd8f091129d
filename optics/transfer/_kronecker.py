"""The shortest sum of row ⊗ column products for a lens, whose full matrix is never written out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from optics.transfer import _fourier_lens as described
from optics.transfer._fourier_lens import FourierLens
from optics.transfer._low_rank import truncated
from optics.transfer._separable import Separable

# Products that one pixel's field on the plane of the lens is written with: a square aperture propagated without
# approximation separates but for its light at large angles.
FIELD_TERMS = 6
FIRST_TRY = 32


def decompose(lens: FourierLens, half: int, terms: int | None, tolerance: float) -> Separable:
    """The map as (row pairs) × (column pairs), cut off after `terms`, or where `tolerance` allows (then not traced).

    Arguments:
        lens: the optics.
        half: half the samples of the box that holds the pupil.
        terms: how many, or None.
        tolerance: relative truncation error.
    """
    if terms is not None:
        return _decompose(lens, half, terms)[0]
    limit, tried = max(lens.pixels) ** 2, FIRST_TRY
    found, strengths = _decompose(lens, half, tried)
    while float(found.residual) > tolerance and tried < limit:
        tried = min(2 * tried, limit)
        found, strengths = _decompose(lens, half, tried)
    # As few as leave out no more than allowed, beyond what was never tried.
    strengths = np.asarray(strengths, float)
    tail = np.sqrt(np.cumsum(strengths[::-1] ** 2)[::-1] / np.sum(strengths**2) + float(found.residual) ** 2)
    enough = max(1, int(np.sum(tail > tolerance)))
    residual = found.residual if enough == tried else tail[enough]
    return Separable(found.rows[:enough], found.cols[:enough], lens.peak, residual, lens.subpixels)


@partial(jax.jit, static_argnames=("half", "terms"))
def _decompose(lens: FourierLens, half: int, terms: int) -> tuple[Separable, Array]:
    rows, cols = _pairs(lens, half)
    window = [described.box(n, half) for n in described.plane_shape(lens)]
    through = described.reference_phase(lens) * described.transmission(lens)[window[0]][:, window[1]]

    def forward(pairs):
        return _scatter(rows, _gather(cols, pairs) @ through.T)

    def backward(pairs):
        return _scatter(cols, _gather(rows, pairs) @ through)

    found, lit = (rows[i].shape[-1] for i in (0, 1))
    left, right, strengths, residual = truncated(
        forward, backward, cols[0].shape[-1] * cols[1].shape[-1], terms
    )
    across = right.reshape(terms, cols[0].shape[-1], cols[1].shape[-1])
    return Separable(
        left.reshape(terms, found, lit), jnp.swapaxes(across, 1, 2), lens.peak, residual, lens.subpixels
    ), strengths


def _pairs(lens: FourierLens, half: int) -> list[tuple[Array, Array]]:
    """Along each axis, what receivers see and emitters throw: shapes (products, samples, pixels)."""
    lines = [_field_lines(field) for field in (described.seen(lens), described.thrown(lens))]
    # A product of a strong line with a strong one matters, not one of two weak ones.
    first, second = zip(*((a, b) for a in range(FIELD_TERMS) for b in range(FIELD_TERMS - a)), strict=True)
    out = []
    for axis, samples in enumerate(described.plane_shape(lens)):
        window = described.box(samples, half)
        spread = []
        for line, chosen, subpixels in ((lines[0][axis], first, 1), (lines[1][axis], second, lens.subpixels)):
            where = (window[:, None] - described.shifts(lens, axis, subpixels)[None, :]) % samples
            spread.append(line[np.array(chosen)][:, where])
        out.append((spread[0], spread[1] * described.illumination_line(lens, axis)))
    return out


def _field_lines(field: Array) -> tuple[Array, Array]:
    """A field on the plane as a sum of column ⊗ row: lines (terms, rows) and (terms, columns)."""
    # Single-precision products are what the field itself is worth; the strongest first.
    terms = min(FIELD_TERMS, *field.shape)
    left, right, _, _ = truncated(lambda v: v @ field.T, lambda v: v @ field, field.shape[1], terms)
    return left, right


def _gather(pairs: tuple[Array, Array], weights: Array) -> Array:
    """Σ_mn seen[p, y, m] weights[k, m·n] thrown[p, y, n], shape (products, k, samples)."""
    weights = weights.reshape(-1, pairs[0].shape[-1], pairs[1].shape[-1])

    @jax.checkpoint
    def one(pair):
        seen, thrown = pair
        return jnp.sum(jnp.matmul(weights, thrown.T, precision="highest") * seen.T, axis=1)

    return jax.lax.map(one, pairs)


def _scatter(pairs: tuple[Array, Array], light: Array) -> Array:
    """Σ_py seen[p, y, m] light[p, k, y] thrown[p, y, n], shape (k, m·n)."""

    @jax.checkpoint
    def add(total, inputs):
        seen, thrown, light = inputs
        return total + jnp.matmul(seen.T * light[:, None, :], thrown, precision="highest"), None

    start = jnp.zeros((light.shape[1], pairs[0].shape[-1], pairs[1].shape[-1]), light.dtype)
    return jax.lax.scan(add, start, (*pairs, light))[0].reshape(light.shape[1], -1)
