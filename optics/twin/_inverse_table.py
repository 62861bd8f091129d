"""The table that makes a phase modulator give the phase that is asked for."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import check_choice, check_whole, describe, is_concrete
from optics._phases import TWO_PI
from optics._typing import CountLike, EffectLike, TextLike
from optics.effects import PhaseLUT

# How far below a whole turn the largest drive stays, rad: well above the seam where drives wrap.
TURN_MARGIN = 1e-4


def inverse_table(table: EffectLike, levels: CountLike = 1024, beyond: TextLike = "nearest") -> PhaseLUT:
    """The inverse of a modulator's phase table: the drive that makes it give a phase.

        T(inverse(φ)) = T(0) + φ,   φ = 0 … 2π

    It goes before the panel's table in the chain, and before a `PhaseQuantize` of its addressing. Maps of a
    panel (`gain`, `stretch`) enter by their means.

    Arguments:
        table: of the panel, measured or fitted; where noise makes it fall, its running maximum is used.
        levels: entries of the inverse, at least 2.
        beyond: the end of the panel's range that a phase beyond it becomes: the "nearest", or the "highest",
            which is further off but makes no jump for crosstalk to act on.

    Returns:
        `PhaseLUT` of `levels` entries.

    Raises:
        ValueError: no `PhaseLUT`, `levels` below 2, an unknown `beyond`, or a table that never rises.
    """
    if not isinstance(table, PhaseLUT):
        raise ValueError(f"`table` must be a `PhaseLUT`, got {describe(table)}.")
    check_whole("levels", levels, 2, 2**16)
    check_choice("beyond", beyond, ("nearest", "highest"))
    drive = jnp.linspace(0, TWO_PI, 8 * levels + 1)
    phase = jax.lax.cummax(_mean_curve(table, drive))
    phase = phase - phase[0]
    largest = phase[-1]
    if is_concrete(largest) and not largest > 0:
        raise ValueError("`table` must rise somewhere: its modulator does not turn the phase.")
    target = jnp.linspace(0, TWO_PI, levels)
    # A drive of a whole turn wraps to 0, so the panel's last phase is asked for a little below it.
    inverse = jnp.minimum(jnp.interp(target, phase, drive), TWO_PI - TURN_MARGIN)
    if beyond == "highest":
        return PhaseLUT(inverse)
    # Phases beyond the range of the panel are divided in the middle between its two ends.
    return PhaseLUT(jnp.where(target > (largest + TWO_PI) / 2, TWO_PI, inverse))


def _mean_curve(table: PhaseLUT, drive: Float[Array, " n"]) -> Float[Array, " n"]:
    means = map(jnp.mean, (table.a2, table.a3, table.stretch, table.gain))
    return PhaseLUT(table.table, *means).curve(drive)
