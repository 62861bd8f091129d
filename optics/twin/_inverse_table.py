"""The table that makes a phase modulator give the phase that is asked for."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics._check import check_whole, describe
from optics._phases import TWO_PI
from optics._typing import CountLike, EffectLike
from optics.effects import PhaseLUT

# How far below a whole turn the largest drive stays, rad: well above the seam where drives wrap.
TURN_MARGIN = 1e-4


def inverse_table(table: EffectLike, levels: CountLike = 1024) -> PhaseLUT:
    """The inverse of a modulator's phase table: the drive that makes it give a phase.

        T(inverse(φ)) = T(0) + φ,   φ = 0 … 2π

    It goes before the panel's table in the chain, and before a `PhaseQuantize` of its addressing. A phase
    beyond the range of the panel becomes the nearer of its two ends. Maps of a panel (`gain`, `stretch`)
    enter by their means.

    Arguments:
        table: of the panel, measured or fitted; where noise makes it fall, its running maximum is used.
        levels: entries of the inverse, at least 2.

    Returns:
        `PhaseLUT` of `levels` entries.

    Raises:
        ValueError: no `PhaseLUT`, `levels` below 2, or a table that never rises.
    """
    if not isinstance(table, PhaseLUT):
        raise ValueError(f"`table` must be a `PhaseLUT`, got {describe(table)}.")
    check_whole("levels", levels, 2, 2**16)
    drive = np.linspace(0, TWO_PI, 8 * levels + 1)
    phase = np.maximum.accumulate(np.asarray(_mean_curve(table, jnp.asarray(drive)), float))
    phase = phase - phase[0]
    largest = phase[-1]
    if not largest > 0:
        raise ValueError("`table` must rise somewhere: its modulator does not turn the phase.")
    target = np.linspace(0, TWO_PI, levels)
    # A drive of a whole turn wraps to 0, so the panel's last phase is asked for a little below it. Phases
    # beyond the range of the panel are divided in the middle between its two ends.
    inverse = np.minimum(np.interp(target, phase, drive), TWO_PI - TURN_MARGIN)
    return PhaseLUT(np.where(target > (largest + TWO_PI) / 2, TWO_PI, inverse))


def _mean_curve(table: PhaseLUT, drive: Float[Array, " n"]) -> Float[Array, " n"]:
    means = map(jnp.mean, (table.a2, table.a3, table.stretch, table.gain))
    return PhaseLUT(table.table, *means).curve(drive)
