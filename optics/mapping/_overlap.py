"""A line cut into pieces at equal steps, and the sum that puts them together again. Pieces may overlap."""

import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Inexact

from optics._numerics import pad_last


def cut_line(
    a: Inexact[Array, "*lead line"], length: int, step: int, count: int
) -> Inexact[Array, "*lead count length"]:
    """Piece s is a[s · step : s · step + length]; zeros beyond the end.

    It pads and reshapes instead of indexing, so that its transpose does the same instead of scattering.
    """
    # A piece is made of whole steps, and cut to its length in the end.
    parts = -(-length // step)
    steps = count + parts - 1
    samples = min(a.shape[-1], steps * step)
    a = pad_last(a[..., :samples], steps * step - samples)
    a = repeat(a, "... (steps step) -> ... step (parts steps)", step=step, parts=parts)
    # Read with rows that are one place longer, row p begins p places later: part p of every piece.
    longer = rearrange(pad_last(a, parts), "... step (parts longer) -> ... step parts longer", parts=parts)
    pieces = rearrange(longer[..., :count], "... step parts count -> ... count (parts step)")
    return pieces[..., :length]


def overlap_add(pieces: Inexact[Array, "*lead count length"], step: int) -> Inexact[Array, "*lead line"]:
    """The sum of all pieces, piece s delayed by s · step: the transpose of `cut_line`.

    The line has (count − 1) · step + length samples.
    """
    count, length = pieces.shape[-2:]
    if count * step <= length:
        return jnp.sum(_delay_rows(pieces, step), axis=-2)
    # Many short pieces: step by step, so that the delayed copies are no longer than the line.
    parts = -(-length // step)
    pieces = pad_last(pieces, parts * step - length)
    by_step = rearrange(pieces, "... count (parts step) -> ... step parts count", step=step)
    line = rearrange(jnp.sum(_delay_rows(by_step, 1), axis=-2), "... step steps -> ... (steps step)")
    return line[..., : (count - 1) * step + length]


def _delay_rows(a: Inexact[Array, "*lead rows length"], step: int) -> Inexact[Array, "*lead rows line"]:
    """Row r moved r · step to the right: the same memory, read with rows that are one step shorter."""
    rows, length = a.shape[-2:]
    line = (rows - 1) * step + length
    flat = rearrange(pad_last(a, line + step - length), "... rows length -> ... (rows length)")
    return rearrange(flat[..., : rows * line], "... (rows line) -> ... rows line", rows=rows)
