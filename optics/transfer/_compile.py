"""From the optics described to the optics compiled."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from optics._check import check_range, check_whole, is_concrete
from optics.transfer import _fourier_lens as described
from optics.transfer._dense import Dense
from optics.transfer._fourier_lens import FourierLens
from optics.transfer._kronecker import decompose
from optics.transfer._separable import Separable

# Above this a full matrix costs more than a sum of row ⊗ column products; measured, see `python -m bench speed`.
LARGEST_DENSE = 16


def compile_transfer(
    lens: FourierLens, terms: int | None = None, tolerance: float = 3e-5
) -> Dense | Separable:
    """Run the wave optics once and keep the map from modulator pixels to detector pixels.

        matrix[m, n] = Σ_r g(r − r_m) · L(r) · h(r − r_n)

    with h what one modulator pixel throws onto the lens plane, g the same for a detector pixel (propagation is
    reciprocal) and L the lens in its pupil. Free space is shift invariant, so two propagations serve all pixels and
    the result is exact, not an approximation: it equals `lens(light)`. It is an ordinary differentiable function of
    the lens's numbers.

    Up to 16 pixels a side, and for one-dimensional optics, the map is a full matrix. Above, it is the shortest sum of
    row ⊗ column products that leaves out less than `tolerance`. Its derivative is that of the terms that are kept: what
    would turn the map out of both their rows and their columns is missed, such as astigmatism at 45° in a lens with
    none yet. Where such a derivative matters, compile at 16 pixels, or start from a lens that has a little of it.

    Arguments:
        lens: the optics.
        terms: of the sum, for a device of more than 16 pixels a side; by default as many as `tolerance` asks for,
            which must be given under `jit`, where a number of terms cannot be counted.
        tolerance: largest relative error of the map by truncation (Frobenius norm).

    Returns:
        `Dense` or `Separable`, which tells its truncation `residual`.

    Raises:
        ValueError: `terms` not whole, `tolerance` not in (0, 1), or no `terms` under `jit`.

    Source: C. F. Van Loan and N. Pitsianis, Approximation with Kronecker products (1993), for the shortest sum.
    """
    check_range("tolerance", tolerance, 0.0, 1.0, open_low=True)
    if terms is not None:
        check_whole("terms", terms, 1, max(lens.pixels) ** 2)
    half = _pupil_box(lens)
    if min(lens.pixels) == 1 or max(lens.pixels) <= LARGEST_DENSE:
        return Dense(_overlaps(lens, half), lens.shape, lens.subpixels)
    if terms is None and not is_concrete(
        lens.pitch + lens.wavelength + lens.focal_length + jnp.sum(lens.aberrations)
    ):
        raise ValueError(
            "`terms` must be given under jit or grad, such as 40: a traced lens cannot say how many it needs."
        )
    return decompose(lens, half, terms, tolerance)


def _pupil_box(lens: FourierLens) -> int:
    """Half the samples of the box that the pupil lies in: outside nothing passes. Only known when the radius is a number."""
    half = lens.plane // 2
    if all(map(is_concrete, (lens.pupil_radius, lens.pitch, lens.decentre))):
        # numpy: inside of a traced function jax.numpy would make a tracer of a number.
        reach = float(lens.pupil_radius) + float(np.max(np.abs(np.asarray(lens.decentre))))
        half = min(half, int(np.ceil(reach / float(lens.pitch) * lens.oversampling)) + 1)
    return half


@partial(jax.jit, static_argnames="half")
def _overlaps(lens: FourierLens, half: int) -> Array:
    thrown, seen = described.thrown(lens), described.seen(lens)
    shape = described.plane_shape(lens)
    rows, cols = (described.box(n, half) for n in shape)
    lit, found = ([described.shifts(lens, axis, s) for axis in (0, 1)] for s in (lens.subpixels, 1))
    # (line, pixel column, sample): each line of the plane as every column of pixels casts it.
    thrown = thrown[:, (cols[None, :] - lit[1][:, None]) % shape[1]]
    seen = seen[:, (cols[None, :] - found[1][:, None]) % shape[1]]

    @jax.checkpoint
    def add_line(total, inputs):
        line, through = inputs
        h = thrown[(line - lit[0]) % shape[0]].reshape(-1, cols.size)
        g = seen[(line - found[0]) % shape[0]].reshape(-1, cols.size)
        return total + jnp.matmul(g * through, h.T, precision="highest"), None

    size = found[0].size * found[1].size, lit[0].size * lit[1].size
    through = described.transmission(lens)[rows][:, cols]
    start = jnp.zeros(size, through.dtype)
    total = jax.lax.scan(add_line, start, (jnp.asarray(rows), through))[0]
    return described.reference_phase(lens) * total * described.illumination(lens).reshape(-1)
