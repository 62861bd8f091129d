"""The table that drives a phase modulator right."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics._check import check_whole
from optics.effects import PhaseLUT
from optics.effects._phase import TURN

# Well above the seam where drives wrap, rad.
END = 1e-4


def inverse_table(table: Any, levels: int = 1024) -> PhaseLUT:
    """What a modulator is to be asked for, so that it gives the phase that is wanted.

        T(inverse(φ)) = T(0) + φ,   φ = 0 … 2π

    It goes before the panel's table in the chain, and before a `PhaseQuantize` of its addressing. Phases that the panel does
    not reach are given the nearer of its two ends. Maps of a panel (`gain`, `stretch`) enter by their means.

    Arguments:
        table: of the panel, measured or fitted; noise that makes it fall here and there is levelled.
        levels: entries of the inverse, at least 2.

    Returns:
        `PhaseLUT` of `levels` entries.

    Raises:
        ValueError: no `PhaseLUT`, `levels` below 2, or a table that never rises.
    """
    if not isinstance(table, PhaseLUT):
        raise ValueError(f"`table` must be a `PhaseLUT`, got {table!r}.")
    check_whole("levels", levels, 2)
    drive = np.linspace(0, TURN, 8 * levels + 1)
    given = np.maximum.accumulate(np.asarray(_mean_curve(table, jnp.asarray(drive)), float))
    given = given - given[0]
    if not given[-1] > 0:
        raise ValueError("`table` must rise somewhere: its modulator does not turn the phase.")
    wanted = np.linspace(0, TURN, levels)
    # A whole turn is driven as 0, so the panel's last phase is asked for a little below; what the panel cannot give is parted
    # in the middle between its two ends.
    found = np.where(
        wanted > (given[-1] + TURN) / 2, TURN, np.minimum(np.interp(wanted, given, drive), TURN - END)
    )
    return PhaseLUT(found)


def _mean_curve(table: PhaseLUT, drive: Float[Array, " n"]) -> Float[Array, " n"]:
    plain = PhaseLUT(
        table.table, jnp.mean(table.a2), jnp.mean(table.a3), jnp.mean(table.stretch), jnp.mean(table.gain)
    )
    return plain.curve(drive)
