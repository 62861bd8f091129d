"""From described cylindrical optics between two modulators to a compiled product."""

from collections.abc import Callable

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
    return respond(line, jnp.eye(max(line.shape))).T


def respond(line: FourierLens | Relay, lights: Array) -> Array:
    """What a line of optics makes of each of many lights, shape (count, pixels)."""
    # A line along `axis` has one pixel along the other.
    other = 2 - int(line.shape[0] == 1)
    return _in_chunks(lambda lights: jnp.squeeze(line(jnp.expand_dims(lights, other)), other), line, lights)


def respond_transposed(line: FourierLens | Relay, lights: Array) -> Array:
    """The same of the transpose of its map."""
    other = 2 - int(line.shape[0] == 1)

    def pull(lights):
        light = jnp.expand_dims(lights, other)
        return jnp.squeeze(jax.linear_transpose(line, light)(light)[0], other)

    return _in_chunks(pull, line, lights)


def _in_chunks(f: Callable, line: FourierLens | Relay, lights: Array) -> Array:
    plane = (line if isinstance(line, FourierLens) else line.lens).plane
    lights = lights.astype(jnp.result_type(lights, jnp.complex64))
    count, at_once = len(lights), max(1, SAMPLES_AT_ONCE // plane)
    if count <= at_once:
        return f(lights)
    chunks = -(-count // at_once)
    lights = jnp.pad(lights, [(0, chunks * at_once - count), (0, 0)]).reshape(chunks, at_once, -1)
    return jax.lax.map(jax.checkpoint(f), lights).reshape(chunks * at_once, -1)[:count]


@as_one_program
def _compile(lenses: CrossedLenses) -> tuple[Array, Array, Array]:
    m, k, n = lenses.shape
    sources, rows = middle_rows(lenses, m), middle_rows(lenses, n)
    spread = line_matrix(lenses.spread)[rows][:, sources].T
    image = line_matrix(lenses.second_image)[rows][:, rows]
    # Element l of row i on the pixels of each element p of the second modulator, one after another.
    elements = jnp.eye(k)[None, :, :, None] * as_ramps(lenses)[:, None]
    seen = respond(lenses.shifted_image(), elements.reshape(m * k, -1))
    seen = seen.reshape(m, k, k, lenses.width)
    # Light of the pixels of element p at the detector column of row o: propagation is linear, and its
    # transpose needs those columns alone.
    at_columns = jnp.eye(k * lenses.width)[detector_columns(lenses)]
    focus = respond_transposed(lenses.focus, at_columns).reshape(m, k, lenses.width)
    coupling = jnp.einsum("opq,ilpq->oipl", focus, seen, precision="highest")
    return coupling, spread, image
