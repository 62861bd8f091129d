"""From a described transfer to a compiled one."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from optics._check import as_path, check_instance, check_number, check_whole, is_concrete
from optics._typing import CountLike, LensLike, PathLike, ScalarLike
from optics.transfer._band_limit import EDGE_REACH
from optics.transfer._cross import compile_masked, warn_of_residual
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
from optics.transfer._masked_fft import MaskedFFT
from optics.transfer._modal import Modal
from optics.transfer._propagation import Propagation, keep_propagation
from optics.transfer._separable import Separable
from optics.transfer._transfer_files import check_folder, identify_lens, read_transfer, write_transfer

# Above this a full matrix costs more than a sum of row ⊗ column products; measured, see `python -m bench
# speed`.
LARGEST_DENSE = 16
# By default. Masks hold what light of the followed orders is accurate to.
SEPARABLE_TOLERANCE = 3e-5
MASKED_TOLERANCE = 3e-4


def compile_transfer(
    lens: LensLike,
    terms: CountLike | None = None,
    tolerance: ScalarLike | None = None,
    folder: PathLike | None = None,
) -> Dense | Separable | MaskedFFT | Propagation | Modal:
    """Run the wave optics once and keep the map from modulator pixels to detector pixels.

        matrix[m, n] = Σ_r g(r − r_m) · L(r) · h(r − r_n)

    h is the field of one modulator pixel on the lens plane, g that of a detector pixel (propagation is
    reciprocal), and L the lens in its pupil. Free space is shift invariant, so two propagations serve all
    pixels and the result is exact: it equals `lens(light)`. It is an ordinary differentiable function of the
    numbers of the lens.

    Up to 16 pixels a side, and for one-dimensional optics, the map is a full matrix. That of a larger panel,
    of which the lens follows some `orders`, is the shortest sum of Fourier transforms between masks that
    leaves out less than `tolerance`, found from the light of some of its pixels. A pupil that cuts the light
    has no short sum: where 88 terms leave out more than ten tolerances, the propagation is kept, whole. Of a
    lens that follows all orders of more pixels it is the shortest sum of row ⊗ column products.

    The derivative is that of the kept terms. It misses a change that would turn the map out of both their
    columns and their rows, such as astigmatism at 45° of a lens without any, in row ⊗ column products. More
    `terms` have more of it: with 16 masks the gradient of eight aberrations of a 20×20 panel is within 1 %.

    On two CPU cores a panel of 64×64 takes about 10 s, one of 1,024×1,024 a minute or two and 4 GB. Row ⊗
    column products of 64×64, with 8 samples a pixel, take 45 s on one core.

    Arguments:
        lens: the 2f system to compile, or the `Modal` of one.
        terms: of the sum, for a device of more than 16 pixels a side; by default as many as `tolerance` asks
            for. It must be given under `jit`, where terms cannot be counted.
        tolerance: largest relative error of the map by truncation (Frobenius norm); by default 3e-4 for
            masks and 3e-5 for row ⊗ column products.
        folder: of compiled transfers, where this one is looked for and, if it is not there, kept. The name of
            its file is that of all numbers of the lens, the other arguments, the precision and the code: with
            any of them changed the lens is compiled anew. Nothing is removed.

    Returns:
        `Dense`, `MaskedFFT` or `Separable`, with its truncation `residual`, or `Propagation`; a `Modal` of
        one of them.

    Raises:
        ValueError: `lens` is no `FourierLens`, `terms` not whole, `tolerance` not in (0, 1), no `terms` under
            `jit`, or a panel whose focal length is not that of its pixels, N · pitch² / λ; a `folder` that
            cannot be written or holds a damaged file, under `jit` or `grad`, or for a lens with a `profile`
            that is not one of `optics.wave`.

    Warns:
        UserWarning: a panel whose masks leave out more than `tolerance`, up to ten times as much, because the
            pupil comes close to its light or its errors are large.

    Example:
        >>> import optics
        >>> lens = optics.FourierLens(3, pitch=127e-6, wavelength=1.55e-6)
        >>> optics.compile_transfer(lens).matrix.shape
        (9, 9)

    Source: C. F. Van Loan and N. Pitsianis, Approximation with Kronecker products (1993), for row ⊗ column
    products; S. A. Goreinov, E. E. Tyrtyshnikov and N. L. Zamarashkin, Linear Algebra Appl. 261, 1 (1997),
    for masks.
    """
    described = lens.transfer if isinstance(lens, Modal) else lens
    name, example = "lens", "`optics.FourierLens(11, pitch=127e-6, wavelength=1.55e-6)`"
    if isinstance(lens, Modal):
        name, example = "lens.transfer", "that of `optics.illuminate`"
    check_instance(name, described, FourierLens, example)
    if tolerance is not None:
        check_number("tolerance", tolerance, 0.0, 1.0, open_low=True)
    if terms is not None:
        check_whole("terms", terms, 1, max(described.pixels) ** 2)
        terms = int(terms)
    compile_described = _compile_modes if isinstance(lens, Modal) else _compile_one
    if folder is None:
        transfer = compile_described(described, terms, tolerance)
    else:
        folder = as_path("folder", folder)
        if tolerance is not None and not is_concrete(tolerance):
            raise ValueError("`folder` must be None where `tolerance` is traced, under jit or grad.")
        # A lens that is known is compiled at once, within jit too.
        with jax.ensure_compile_time_eval():
            transfer = _compile_in(folder, compile_described, described, terms, tolerance)
    if isinstance(lens, Modal):
        return eqx.tree_at(lambda modal: modal.transfer, lens, transfer)
    return transfer


def _compile_in(
    folder: Path,
    compile_described: Callable,
    lens: FourierLens,
    terms: int | None,
    tolerance: ScalarLike | None,
) -> Dense | Separable | MaskedFFT | Propagation:
    """The transfer that the folder has, or a new one, which it has then."""
    identity = identify_lens(lens, terms, None if tolerance is None else float(tolerance))
    transfer = read_transfer(folder, identity)
    if transfer is None:
        check_folder(folder)
        transfer = compile_described(lens, terms, tolerance)
        write_transfer(folder, identity, transfer)
    elif isinstance(transfer, MaskedFFT) and terms is None:
        # What its compilation said.
        warn_of_residual(transfer, MASKED_TOLERANCE if tolerance is None else float(tolerance))
    return transfer


def _compile_one(
    lens: FourierLens, terms: int | None, tolerance: ScalarLike | None
) -> Dense | Separable | MaskedFFT | Propagation:
    if _is_dense(lens):
        return Dense(_overlaps(lens, _pupil_half_width(lens)), lens.shape, lens.subpixels)
    if terms is None and not is_concrete(
        lens.pitch + lens.wavelength + lens.focal_length + jnp.sum(lens.aberrations)
    ):
        raise ValueError(
            "`terms` must be given under jit or grad, such as 40: a traced lens cannot say how many it needs."
        )
    if lens.orders is not None:
        return compile_masked(lens, terms, MASKED_TOLERANCE if tolerance is None else float(tolerance))
    return decompose(
        lens, _pupil_half_width(lens), terms, SEPARABLE_TOLERANCE if tolerance is None else float(tolerance)
    )


def _compile_modes(
    described: FourierLens, terms: int | None, tolerance: ScalarLike | None
) -> Dense | Separable | MaskedFFT | Propagation:
    """The transfers of lenses along a first axis of their numbers, all with as many terms as the first."""
    lenses = [_select_mode(described, mode) for mode in range(len(described.pitch))]
    if _is_dense(described):
        half = max(map(_pupil_half_width, lenses))
        matrices = jax.lax.map(partial(_overlaps, half=half), described)
        return jax.vmap(lambda matrix: Dense(matrix, described.shape, described.subpixels))(matrices)
    first = _compile_one(lenses[0], terms, tolerance)
    terms = len(jax.tree.leaves(first)[0]) if terms is None else terms
    if isinstance(first, Propagation):
        compiled = [first, *map(keep_propagation, lenses[1:])]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *compiled)
    compiled = [first, *(_compile_one(lens, terms, tolerance) for lens in lenses[1:])]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *compiled)


def _is_dense(lens: FourierLens) -> bool:
    """Whether a full matrix is the cheapest map."""
    return lens.orders is None and (min(lens.pixels) == 1 or max(lens.pixels) <= LARGEST_DENSE)


def _select_mode(lenses: FourierLens, mode: int) -> FourierLens:
    """The lens of one mode; its numbers that are known stay known under `jit`."""

    def select(leaf):
        if not is_concrete(leaf):
            return leaf[mode]
        with jax.ensure_compile_time_eval():
            return leaf[mode]

    return jax.tree.map(select, lenses)


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
