"""The shortest sum of masked Fourier transforms for a lens, from the light of some of its pixels."""

import math
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from optics._check import is_concrete
from optics._warn import warn_caller
from optics.transfer._fourier_lens import FourierLens, as_panel, illumination, strides
from optics.transfer._masked_fft import MaskedFFT, fourier_transform
from optics.transfer._orders import propagate_panel
from optics.transfer._propagation import Propagation, keep_propagation
from optics.transfer._transfer import light_shape

# Pixels of light of the first attempt, whose fields are the first columns; each further attempt has twice as
# many.
FIRST_COLUMNS = 12
MOST_COLUMNS = 96
# Pixels of the detector for each pixel of light: more rows than columns hold the noise of rounding down.
ROWS_PER_COLUMN = 1.5
# Of the tolerance, beyond which the most terms that are tried are no map of the lens.
LARGEST_EXCESS = 10
# Columns beyond the terms that are kept. Where terms are given there are twice as many besides: the
# derivative needs columns of its own.
EXTRA_COLUMNS = 8
# Singular values of the crossing below this share of the largest, in rounding errors, are noise.
ROUNDING_ERRORS = 30
PROBES = 2
# Turns of phase between a lens and the Fourier transform of its pixels, at the edge of both.
LARGEST_MISMATCH = 4


class Cross(NamedTuple):
    """Some columns and some rows of W, the map of a lens over the Fourier transform.

    Attributes:
        columns: shape (columns, detector pixels).
        rows: shape (rows, pixels of light).
        column_at: the pixel of light of each column.
        row_at: the detector pixel of each row.
    """

    columns: Complex[Array, "columns out"]
    rows: Complex[Array, "rows in"]
    column_at: np.ndarray
    row_at: np.ndarray


def compile_masked(lens: FourierLens, terms: int | None, tolerance: float) -> MaskedFFT | Propagation:
    """The map as masks around Fourier transforms.

        M[m, n] = F[m, n] · W[m, n],   W = columns · (crossing)⁺ · rows ≈ Σ_k masks_out_k ⊗ masks_in_k

    Of a lens that is nearly ideal W is smooth: the light of some pixels (columns) and, by reciprocity, that
    of some detector pixels (rows) span it. A pupil that cuts light gives W an edge, which no short sum holds:
    then the propagation itself is kept.

    Arguments:
        lens: the 2f system, which follows some orders.
        terms: number of terms, or None: as many as `tolerance` asks for.
        tolerance: relative error of the map.

    Raises:
        ValueError: a focal length that does not match the pixels.

    Warns:
        UserWarning: as many terms as are tried leave out more than `tolerance`, up to ten times as much.

    Source: S. A. Goreinov, E. E. Tyrtyshnikov and N. L. Zamarashkin, Linear Algebra Appl. 261, 1 (1997).
    """
    _check_matched(lens)
    if terms is not None:
        count = 2 * terms + EXTRA_COLUMNS
        return _truncate(lens, _look(lens, 0, count), terms)
    cross, count = _look(lens, 0, FIRST_COLUMNS), FIRST_COLUMNS
    while True:
        strengths = np.asarray(_strengths(cross), float)
        tail = np.sqrt(np.cumsum(strengths[::-1] ** 2)[::-1] / np.sum(strengths**2))
        for share in (0.9, 0.5, 0.2):
            enough = max(1, int(np.sum(tail > share * tolerance)))
            if enough > count - EXTRA_COLUMNS and count < MOST_COLUMNS:
                break
            transfer = _truncate(lens, cross, enough)
            if float(transfer.residual) <= tolerance:
                return transfer
        else:
            if count >= MOST_COLUMNS:
                if float(transfer.residual) > LARGEST_EXCESS * tolerance:
                    return keep_propagation(lens)
                warn_of_residual(transfer, tolerance)
                return transfer
        cross, count = _extend(cross, _look(lens, count, count)), 2 * count


def warn_of_residual(transfer: MaskedFFT, tolerance: float) -> None:
    """Warn of masks that leave out more than `tolerance`: of several lenses the first one's, which tell how
    many terms all of them have.
    """
    residual = float(jnp.ravel(transfer.residual)[0])
    if residual > tolerance:
        warn_caller(
            f"`lens` leaves a residual of {residual:.2g} with {transfer.masks_in.shape[-3]} terms, above "
            f"`tolerance` of {tolerance:g}: its pupil cuts the light, or its errors are large."
        )


def _check_matched(lens: FourierLens) -> None:
    """Refuse a focal length whose transform is another one than that of the pixels."""
    if not all(map(is_concrete, (lens.pitch, lens.wavelength, lens.focal_length))):
        return
    n = max(lens.pixels)
    matched = n * float(lens.pitch) ** 2 / float(lens.wavelength)
    turns = n / 4 * abs(matched / float(lens.focal_length) - 1)
    if turns > LARGEST_MISMATCH:
        raise ValueError(
            f"`lens` with a `focal_length` of {float(lens.focal_length):g} m is {turns:.3g} turns off the "
            f"Fourier transform of its pixels at the edge, and {LARGEST_MISMATCH} can be compiled; set it "
            f"near N · pitch² / wavelength = {matched:.4g} m, or call the lens itself."
        )


@jax.jit
def _look_at(lens: FourierLens, column_at: Array, row_at: Array) -> tuple[Array, Array]:
    """The columns and rows of W at these pixels of light and of the detector."""
    in_shape = light_shape(lens.shape, lens.subpixels)
    panel, light = as_panel(lens), illumination(lens)
    dtype = panel.lens.dtype

    def forward(field):
        return propagate_panel(panel, light * field, lens.shape, strides(lens))

    def exact(field):
        return fourier_transform(field, lens.shape)

    def respond(apply, exact, shape):
        @jax.checkpoint
        def one(pixel):
            lit = jnp.zeros(shape[0] * shape[1], dtype).at[pixel].set(1.0).reshape(shape)
            return (apply(lit) / exact(lit)).reshape(-1)

        return one

    of_light = jax.ShapeDtypeStruct(in_shape, dtype)
    transposed, exact_transposed = (
        (lambda field, f=f: jax.linear_transpose(f, of_light)(field)[0]) for f in (forward, exact)
    )
    columns = jax.lax.map(respond(forward, exact, in_shape), column_at)
    rows = jax.lax.map(respond(transposed, exact_transposed, lens.shape), row_at)
    return columns, rows


def _look(lens: FourierLens, start: int, count: int) -> Cross:
    column_at = _spread_pixels(light_shape(lens.shape, lens.subpixels), start, count, 0.1)
    rows_start, rows_end = (round(ROWS_PER_COLUMN * n) for n in (start, start + count))
    row_at = _spread_pixels(lens.shape, rows_start, rows_end - rows_start, 0.37)
    columns, rows = _look_at(lens, jnp.asarray(column_at), jnp.asarray(row_at))
    return Cross(columns, rows, column_at, row_at)


def _extend(first: Cross, second: Cross) -> Cross:
    return Cross(*(np.concatenate(parts) for parts in zip(first, second, strict=True)))


def _spread_pixels(shape: tuple[int, int], start: int, count: int, offset: float) -> np.ndarray:
    """Pixels (flat) that fill a plane evenly in the sine of their place: more near the edges, as the nodes of
    polynomials are, from the `start`-th of a sequence of low discrepancy.
    """
    # Powers of the inverse of the plastic number: M. Roberts, "The unreasonable effectiveness of
    # quasirandom sequences" (2018).
    steps = np.array([0.7548776662466927, 0.5698402909980532])
    turns = (np.arange(start + 1, start + count + 1)[:, None] * steps + offset) % 1
    size = np.array(shape)
    places = np.clip(((1 - np.cos(np.pi * turns)) / 2 * size).astype(int), 0, size - 1)
    return places[:, 0] * shape[1] + places[:, 1]


class Factors(NamedTuple):
    """W ≈ leftᵀ · right from a cross: rows of `right` are orthonormal, those of `left` fall in strength."""

    left: Array
    right: Array
    strengths: Array


def _factor(cross: Cross) -> Factors:
    dtype = cross.columns.dtype
    smallest = ROUNDING_ERRORS * float(jnp.finfo(dtype).eps)
    # In single precision the inverse of the crossing would add its own rounding, some hundred times as large.
    with jax.enable_x64(True):
        columns, rows = (part.astype(jnp.complex128) for part in (cross.columns, cross.rows))
        crossing = columns[:, cross.row_at].T  # (rows, columns)
        right = jnp.linalg.pinv(crossing, rtol=smallest) @ rows
        q_left, r_left = jnp.linalg.qr(columns.T)
        q_right, r_right = jnp.linalg.qr(right.T)
        u, strengths, vh = jnp.linalg.svd(r_left @ r_right.T, full_matrices=False)
        left, right = (q_left @ (u * strengths)).T, vh @ q_right.T
        return Factors(left.astype(dtype), right.astype(dtype), strengths.astype(jnp.finfo(dtype).dtype))


@jax.jit
def _strengths_of(columns: Array, rows: Array, row_at: Array) -> Array:
    return _factor(Cross(columns, rows, row_at, row_at)).strengths


def _strengths(cross: Cross) -> Array:
    return _strengths_of(cross.columns, cross.rows, jnp.asarray(cross.row_at))


def _truncate(lens: FourierLens, cross: Cross, terms: int) -> MaskedFFT:
    return _truncate_as_program(
        lens, cross.columns, cross.rows, jnp.asarray(cross.column_at), jnp.asarray(cross.row_at), terms
    )


@partial(jax.jit, static_argnames="terms")
def _truncate_as_program(
    lens: FourierLens, columns: Array, rows: Array, column_at: Array, row_at: Array, terms: int
) -> MaskedFFT:
    """The first terms, with the derivative of W where it shares their columns or their rows."""
    fixed = Cross(*map(jax.lax.stop_gradient, (columns, rows)), column_at, row_at)
    factors = jax.tree.map(jax.lax.stop_gradient, _factor(fixed))
    left, right = factors.left[:terms], factors.right[:terms]
    # Zero, with the slope of W: as its columns give it, and what of its rows lies across them.
    of_columns = jnp.linalg.pinv(right[:, column_at].T) @ (columns - fixed.columns)
    of_rows = jnp.linalg.pinv(left[:, row_at].T) @ (rows - fixed.rows)
    across = of_rows - (of_rows @ jnp.conj(right).T) @ right
    in_shape = light_shape(lens.shape, lens.subpixels)
    # Masks on the light are about 1, and those on the detector tell what a term gives.
    size = math.sqrt(math.prod(in_shape))
    masks_in = size * (right + across).reshape(terms, *in_shape)
    masks_out = (left + of_columns).reshape(terms, *lens.shape) / size
    transfer = MaskedFFT(masks_in, masks_out, lens.peak, 0.0, lens.subpixels)
    return eqx.tree_at(lambda t: t.residual, transfer, _residual(lens, transfer))


def _residual(lens: FourierLens, transfer: MaskedFFT) -> Array:
    """Relative error of the map, as random light finds it."""
    lens, transfer = jax.tree.map(jax.lax.stop_gradient, (lens, transfer))
    light = jax.random.normal(jax.random.key(0), (PROBES, *light_shape(lens.shape, lens.subpixels)))
    expected = lens(light)
    return jnp.linalg.norm(jnp.ravel(transfer(light) - expected)) / jnp.linalg.norm(jnp.ravel(expected))
