"""From a described transfer to a compiled one."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from optics._check import check_instance, check_number, check_whole, is_concrete
from optics._typing import CountLike, LensLike, ScalarLike
from optics.transfer._band_limit import EDGE_REACH
from optics.transfer._dense import Dense
from optics.transfer._fourier_lens import (
    FourierLens,
    emitter_field,
    illumination,
    pixel_offsets,
    plane_shape,
    receiver_field,
    reference_phase,
    transmission,
    window,
)
from optics.transfer._kronecker import decompose
from optics.transfer._separable import Separable

# Above this a full matrix costs more than a sum of row ⊗ column products; measured, see `python -m bench
# speed`.
LARGEST_DENSE = 16


def compile_transfer(
    lens: LensLike, terms: CountLike | None = None, tolerance: ScalarLike = 3e-5
) -> Dense | Separable:
    """Run the wave optics once and keep the map from modulator pixels to detector pixels.

        matrix[m, n] = Σ_r g(r − r_m) · L(r) · h(r − r_n)

    h is the field of one modulator pixel on the lens plane, g that of a detector pixel (propagation is
    reciprocal), and L the lens in its pupil. Free space is shift invariant, so two propagations serve all
    pixels and the result is exact: it equals `lens(light)`. It is an ordinary differentiable function of the
    numbers of the lens.

    Up to 16 pixels a side, and for one-dimensional optics, the map is a full matrix. Above, it is the
    shortest sum of row ⊗ column products that leaves out less than `tolerance`. Its derivative is that of the
    kept terms. It misses a change that would turn the map out of both their rows and their columns, such as
    astigmatism at 45° of a lens without any. Where such a derivative matters, compile at 16 pixels, or start
    from a lens that has a little of it.

    On one CPU core, with the default `oversampling`, it takes about 20 s and 0.7 GB (the whole process) for
    32×32 pixels, 45 s and 1.5 GB for 64×64. Both grow with the computed plane, `lens.plane` samples a side.

    Arguments:
        lens: the 2f system to compile.
        terms: of the sum, for a device of more than 16 pixels a side; by default as many as `tolerance` asks
            for. It must be given under `jit`, where terms cannot be counted.
        tolerance: largest relative error of the map by truncation (Frobenius norm).

    Returns:
        `Dense` or `Separable`, with its truncation `residual`.

    Raises:
        ValueError: `lens` is no `FourierLens`, `terms` not whole, `tolerance` not in (0, 1), or no `terms`
            under `jit`.

    Example:
        >>> import optics
        >>> lens = optics.FourierLens(3, pitch=127e-6, wavelength=1.55e-6)
        >>> optics.compile_transfer(lens).matrix.shape
        (9, 9)

    Source: C. F. Van Loan and N. Pitsianis, Approximation with Kronecker products (1993), for the shortest
    sum.
    """
    check_instance("lens", lens, FourierLens, "`optics.FourierLens(11, pitch=127e-6, wavelength=1.55e-6)`")
    check_number("tolerance", tolerance, 0.0, 1.0, open_low=True)
    if terms is not None:
        check_whole("terms", terms, 1, max(lens.pixels) ** 2)
    half = _pupil_half_width(lens)
    if min(lens.pixels) == 1 or max(lens.pixels) <= LARGEST_DENSE:
        return Dense(_overlaps(lens, half), lens.shape, lens.subpixels)
    if terms is None and not is_concrete(
        lens.pitch + lens.wavelength + lens.focal_length + jnp.sum(lens.aberrations)
    ):
        raise ValueError(
            "`terms` must be given under jit or grad, such as 40: a traced lens cannot say how many it needs."
        )
    return decompose(lens, half, terms, tolerance)


def _pupil_half_width(lens: FourierLens) -> int:
    """Samples from the axis to the edge of the pupil; half the plane where the radius is traced."""
    half = lens.plane // 2
    if all(map(is_concrete, (lens.pupil_radius, lens.pitch, lens.decentre))):
        # numpy: inside of a traced function jax.numpy would make a tracer of a number.
        edge = float(lens.pupil_radius) + float(np.max(np.abs(np.asarray(lens.decentre))))
        half = min(half, int(np.ceil(edge / float(lens.pitch) * lens.oversampling + EDGE_REACH)))
    return half


@partial(jax.jit, static_argnames="half")
def _overlaps(lens: FourierLens, half: int) -> Array:
    """The matrix of `compile_transfer`, summed line by line over the window that holds the pupil."""
    height, width = plane_shape(lens)
    rows, cols = window(height, half), window(width, half)
    emitter_rows, emitter_cols = (pixel_offsets(lens, axis, lens.subpixels) for axis in (0, 1))
    receiver_rows, receiver_cols = (pixel_offsets(lens, axis) for axis in (0, 1))
    # (line, pixel column, sample): each line of the plane as every column of pixels casts it.
    emitters = emitter_field(lens)[:, (cols[None, :] - emitter_cols[:, None]) % width]
    receivers = receiver_field(lens)[:, (cols[None, :] - receiver_cols[:, None]) % width]

    @jax.checkpoint
    def add_line(total, inputs):
        line, passing = inputs
        h = emitters[(line - emitter_rows) % height].reshape(-1, cols.size)
        g = receivers[(line - receiver_rows) % height].reshape(-1, cols.size)
        return total + jnp.matmul(g * passing, h.T, precision="highest"), None

    passing = transmission(lens)[rows][:, cols]
    size = receiver_rows.size * receiver_cols.size, emitter_rows.size * emitter_cols.size
    start = jnp.zeros(size, passing.dtype)
    total = jax.lax.scan(add_line, start, (jnp.asarray(rows), passing))[0]
    return reference_phase(lens) * total * illumination(lens).reshape(-1)
