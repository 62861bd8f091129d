"""Overlapping pieces of a line: cutting them out and adding them up, without a gather or a scatter."""

import jax.numpy as jnp
from jaxtyping import Array, Inexact


def cut(a: Inexact[Array, "*lead line"], length: int, step: int, count: int) -> Inexact[Array, "*lead count length"]:
    """Piece s is a[s · step : s · step + length]; zeros beyond the end."""
    # A piece is a whole number of steps, cut to its length in the end.
    parts = -(-length // step)
    steps = count + parts - 1
    have = min(a.shape[-1], steps * step)
    a = _pad(a[..., :have], steps * step - have).reshape(*a.shape[:-1], steps, step)
    a = jnp.broadcast_to(jnp.moveaxis(a, -2, -1)[..., None, :], (*a.shape[:-2], step, parts, steps))
    # Row p of (parts, steps) moves p places to the left: one place more in each row of the same line.
    flat = _pad(a.reshape(*a.shape[:-2], -1), parts)
    pieces = flat.reshape(*a.shape[:-1], steps + 1)[..., :count]
    # From (..., step, parts, count).
    order = [*range(a.ndim - 3), a.ndim - 1, a.ndim - 2, a.ndim - 3]
    return pieces.transpose(order).reshape(*a.shape[:-3], count, parts * step)[..., :length]


def overlap_add(pieces: Inexact[Array, "*lead count length"], step: int) -> Inexact[Array, "*lead line"]:
    """The line Σ_s piece s delayed by s · step, of (count − 1) · step + length samples; the transpose of `cut`."""
    count, length = pieces.shape[-2:]
    if count * step <= length:
        return jnp.sum(_delayed(pieces, step), axis=-2)
    # Many short pieces: in steps, so that the delayed copies are no longer than the line.
    parts = -(-length // step)
    in_steps = _pad(pieces, parts * step - length).reshape(*pieces.shape[:-1], parts, step)
    order = [*range(pieces.ndim - 2), pieces.ndim, pieces.ndim - 1, pieces.ndim - 2]
    line = jnp.sum(_delayed(in_steps.transpose(order), 1), axis=-2)
    line = jnp.moveaxis(line, -1, -2).reshape(*pieces.shape[:-2], -1)
    return line[..., : (count - 1) * step + length]


def _delayed(a: Inexact[Array, "*lead rows length"], step: int) -> Inexact[Array, "*lead rows line"]:
    """Row r moved r · step to the right: the same line, read with rows that are one step shorter."""
    rows, length = a.shape[-2:]
    line = (rows - 1) * step + length
    flat = _pad(a, line + step - length).reshape(*a.shape[:-2], -1)
    return flat[..., : rows * line].reshape(*a.shape[:-1], line)


def _pad(a: Array, after: int) -> Array:
    return jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, after)])
