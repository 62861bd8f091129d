"""The shortest sum of row ⊗ column products for a lens, without its full matrix."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array

from optics.transfer._fourier_lens import (
    FourierLens,
    emitter_field,
    illumination_line,
    pixel_offsets,
    plane_shape,
    receiver_field,
    reference_phase,
    transmission,
    window,
)
from optics.transfer._low_rank import truncated_svd
from optics.transfer._separable import Separable

# Products in the field of one pixel on the plane of the lens: the field of a square aperture separates but
# for its light at large angles.
FIELD_TERMS = 6
# Terms of the first attempt; each further attempt has twice as many.
FIRST_TERMS = 32


def decompose(lens: FourierLens, half: int, terms: int | None, tolerance: float) -> Separable:
    """The map as (row pairs) × (column pairs), truncated after `terms` or, untraced, at `tolerance`.

    Arguments:
        lens: the 2f system.
        half: half the samples of the window that holds the pupil.
        terms: number of terms, or None.
        tolerance: relative truncation error.
    """
    if terms is not None:
        return _decompose(lens, half, terms)[0]
    limit, count = max(lens.pixels) ** 2, FIRST_TERMS
    transfer, strengths = _decompose(lens, half, count)
    while float(transfer.residual) > tolerance and count < limit:
        count = min(2 * count, limit)
        transfer, strengths = _decompose(lens, half, count)
    # The error after k terms: the strengths of the others, and the residual beyond the last attempt.
    powers = np.asarray(strengths, float) ** 2
    tail = np.sqrt(np.cumsum(powers[::-1])[::-1] / np.sum(powers) + float(transfer.residual) ** 2)
    enough = max(1, int(np.sum(tail > tolerance)))
    residual = transfer.residual if enough == count else tail[enough]
    return Separable(transfer.rows[:enough], transfer.cols[:enough], lens.peak, residual, lens.subpixels)


@partial(jax.jit, static_argnames=("half", "terms"))
def _decompose(lens: FourierLens, half: int, terms: int) -> tuple[Separable, Array]:
    rows, cols = _pair_lines(lens, half)
    row_window, col_window = (window(n, half) for n in plane_shape(lens))
    passing = reference_phase(lens) * transmission(lens)[row_window][:, col_window]

    def forward(pairs):
        return _scatter(rows, _gather(cols, pairs) @ passing.T)

    def backward(pairs):
        return _scatter(cols, _gather(rows, pairs) @ passing)

    rows_in = rows[1].shape[-1]
    cols_out, cols_in = (lines.shape[-1] for lines in cols)
    left, right, strengths, residual = truncated_svd(forward, backward, cols_out * cols_in, terms)
    row_factors = rearrange(left, "term (row_out row_in) -> term row_out row_in", row_in=rows_in)
    col_factors = rearrange(right, "term (col_out col_in) -> term col_in col_out", col_in=cols_in)
    return Separable(row_factors, col_factors, lens.peak, residual, lens.subpixels), strengths


def _pair_lines(lens: FourierLens, half: int) -> list[tuple[Array, Array]]:
    """Along each axis, the lines of all receivers and of all emitters: shapes (products, samples, pixels)."""
    receiver_lines, emitter_lines = (
        _field_lines(field) for field in (receiver_field(lens), emitter_field(lens))
    )
    # A product of a strong line with a strong one matters, not one of two weak ones.
    pairs = [(a, b) for a in range(FIELD_TERMS) for b in range(FIELD_TERMS - a)]
    receiver_terms, emitter_terms = (np.array(terms) for terms in zip(*pairs, strict=True))

    def shift_to_pixels(line, terms, axis, samples, subpixels):
        offsets = pixel_offsets(lens, axis, subpixels)
        return line[terms][:, (window(samples, half)[:, None] - offsets[None, :]) % samples]

    lines = []
    for axis, samples in enumerate(plane_shape(lens)):
        receivers = shift_to_pixels(receiver_lines[axis], receiver_terms, axis, samples, 1)
        emitters = shift_to_pixels(emitter_lines[axis], emitter_terms, axis, samples, lens.subpixels)
        lines.append((receivers, emitters * illumination_line(lens, axis)))
    return lines


def _field_lines(field: Array) -> tuple[Array, Array]:
    """A field on the plane as a sum of column ⊗ row: lines (terms, rows) and (terms, columns)."""
    # Products in the default precision: the field itself is no more accurate.
    terms = min(FIELD_TERMS, *field.shape)
    parts = truncated_svd(lambda v: v @ field.T, lambda v: v @ field, field.shape[1], terms)
    return parts.left, parts.right


def _gather(pairs: tuple[Array, Array], weights: Array) -> Array:
    """Σ_mn receivers[p, y, m] weights[k, m·n] emitters[p, y, n], shape (products, k, samples)."""
    weights = weights.reshape(-1, pairs[0].shape[-1], pairs[1].shape[-1])

    @jax.checkpoint
    def gather_product(pair):
        receivers, emitters = pair
        return jnp.sum(jnp.matmul(weights, emitters.T, precision="highest") * receivers.T, axis=1)

    return jax.lax.map(gather_product, pairs)


def _scatter(pairs: tuple[Array, Array], light: Array) -> Array:
    """Σ_py receivers[p, y, m] light[p, k, y] emitters[p, y, n], shape (k, m·n)."""

    @jax.checkpoint
    def add_product(total, inputs):
        receivers, emitters, light = inputs
        return total + jnp.matmul(receivers.T * light[:, None, :], emitters, precision="highest"), None

    start = jnp.zeros((light.shape[1], pairs[0].shape[-1], pairs[1].shape[-1]), light.dtype)
    return jax.lax.scan(add_product, start, (*pairs, light))[0].reshape(light.shape[1], -1)
