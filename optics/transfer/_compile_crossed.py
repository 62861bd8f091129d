"""From described cylindrical optics between two modulators to a compiled product."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from optics._check import check_instance
from optics._program import as_one_program
from optics._typing import PartLike
from optics.transfer._bilinear import Bilinear
from optics.transfer._crossed_lenses import CrossedLenses, as_ramps, detector_columns, middle_rows
from optics.transfer._fourier_lens import FourierLens
from optics.transfer._relay import Relay

# Samples of the planes that are propagated at once.
SAMPLES_AT_ONCE = 2**22


def compile_crossed(lenses: PartLike) -> Bilinear:
    """Run the wave optics of cylindrical lenses once and keep what is bilinear in the two modulators.

        out[o, q] = Σ_j image[q, j] Σ_i spread[i, j] Σ_pl coupling[o, i, p, l] a[i, l] b[p, j]

    Unit pixels of each axis are propagated in full; the pixels of an element are then summed with the phases
    of its ramp. Nothing is truncated, and it is an ordinary differentiable function.

    Arguments:
        lenses: `CrossedLenses`.

    Returns:
        `Bilinear`.

    Raises:
        ValueError: no `CrossedLenses`.

    Example:
        >>> import optics
        >>> lenses = optics.CrossedLenses((1, 4, 4), pitch=127e-6, wavelength=1.55e-6)
        >>> optics.compile_crossed(lenses).coupling.shape
        (1, 1, 4, 4)
    """
    check_instance("lenses", lenses, CrossedLenses, "`optics.CrossedLenses((4, 4, 4), 20e-6, 532e-9)`")
    return Bilinear(*_compile(lenses))


def line_matrix(line: FourierLens | Relay) -> Array:
    """The map of a line of optics, shape (pixels out, pixels in), by unit pixels."""
    axis = int(line.shape[0] == 1)
    size = line.shape[axis]
    plane = (line if isinstance(line, FourierLens) else line.lens).plane

    def respond(lights):
        # Each light is a line along `axis`, which has one pixel along the other.
        other = 1 - axis
        return jnp.squeeze(line(jnp.expand_dims(lights, 1 + other)), 1 + other)

    at_once = max(1, SAMPLES_AT_ONCE // plane)
    units = jnp.eye(size, dtype=jnp.result_type(complex))
    if size <= at_once:
        return respond(units).T
    chunks = -(-size // at_once)
    units = jnp.pad(units, [(0, chunks * at_once - size), (0, 0)]).reshape(chunks, at_once, size)
    return jax.lax.map(jax.checkpoint(respond), units).reshape(-1, size)[:size].T


@as_one_program
def _compile(lenses: CrossedLenses) -> tuple[Array, Array, Array]:
    m, k, n = lenses.shape
    sources, rows = middle_rows(lenses, m), middle_rows(lenses, n)
    spread = line_matrix(lenses.spread)[rows][:, sources].T
    image = line_matrix(lenses.second_image)[rows][:, rows]
    across = line_matrix(lenses.shifted_image()).reshape(k, lenses.width, k, lenses.width)
    # (p, pixel, i, l): element l of row i on the pixels of element p of the second modulator.
    ramped = jnp.einsum("pqlw,iw->pqil", across, as_ramps(lenses), precision="highest")
    focus = line_matrix(lenses.focus)[detector_columns(lenses)].reshape(m, k, lenses.width)
    coupling = jnp.einsum("opq,pqil->oipl", focus, ramped, precision="highest")
    return coupling, spread, image
