"""The picture that a panel of phases is given: phases placed on its pixels, and the grey level of each."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt16

from optics._check import as_counts, as_numpy, check_flag, check_instance, check_positive_number, check_whole
from optics._phases import TWO_PI
from optics._typing import ArrayLike, CountLike, EffectLike, FlagLike, ScalarLike, ShapeLike
from optics.effects import PhaseLUT

LARGEST_LEVELS = 2**16
SHORTEST_STROKE = 0.75 * TWO_PI  # rad; a panel with less misses phases by more than an eighth of a turn


def panel_phase(
    phase: ArrayLike, panel: ShapeLike, group: CountLike = 1
) -> Float[np.ndarray, "panel_rows panel_cols"]:
    """The phase of each panel pixel: a pattern in the middle of the panel, and around it 0 and π in turn,
    which send their light to the corners of what the panel reaches.

    Arguments:
        phase: shape (rows, columns), rad.
        panel: its pixels, (rows, columns).
        group: panel pixels a side of a pixel of the pattern.

    Returns:
        rad, in [0, 2π), shape `panel`, float32.

    Raises:
        ValueError: a `phase` that is no plane of finite real numbers, or a pattern larger than the panel.

    Example:
        >>> import numpy as np, optics
        >>> optics.records.panel_phase(np.ones((2, 2)), (4, 6), group=2)[:, 1:5].mean().round(2)
        np.float32(1.0)
    """
    phase = _as_phase(phase)
    rows, cols = as_counts("panel", panel, 2)
    check_whole("group", group, 1)
    if phase.shape[0] * group > rows or phase.shape[1] * group > cols:
        raise ValueError(
            f"`group` {group} makes {phase.shape[0] * group}×{phase.shape[1] * group} panel pixels of a "
            f"pattern of {phase.shape[0]}×{phase.shape[1]}, but the panel has {rows}×{cols}."
        )
    pixels = np.kron(np.mod(phase, TWO_PI), np.ones((group, group)))
    whole = np.pi * (np.add.outer(np.arange(rows), np.arange(cols)) % 2).astype(np.float32)
    top, left = (rows - pixels.shape[0]) // 2, (cols - pixels.shape[1]) // 2
    whole[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return whole


def as_levels(
    phase: ArrayLike,
    levels: CountLike = 256,
    table: EffectLike | None = None,
    full_turn: ScalarLike | None = None,
    falling: FlagLike = False,
) -> UInt16[np.ndarray, "rows cols"]:
    """The grey levels that make a panel of phases show a pattern.

        k = round(φ · full_turn / 2π) mod full_turn,   or with a table the k whose T(2π k / levels) is nearest
        to φ, whole turns aside

    Arguments:
        phase: shape (rows, columns), rad; need not be wrapped.
        levels: of the panel, 2^bits.
        table: response of the panel, `effects.PhaseLUT`, as `read_table`, a calibration or a fitted twin
            gives it; None takes the panel, or its driver, for straight.
        full_turn: level that stands for 2π where there is no table; by default `levels`. Bitmaps of panels
            that reach more than a turn have it on their data sheet.
        falling: the phase falls with the level, as slmsuite takes panels to do: level `levels` − 1 − k
            then.

    Returns:
        whole numbers from 0 to `levels` − 1, shape (rows, columns), uint16.

    Raises:
        ValueError: a `phase` that is no plane of finite real numbers, a `table` that is no `PhaseLUT`,
            differs from pixel to pixel, or turns the phase by less than three quarters of a turn, a
            `full_turn` above `levels`, or one beside a table.

    Example:
        >>> import numpy as np, optics
        >>> print(optics.records.as_levels(np.array([[0.0, np.pi / 2, np.pi]])))
        [[  0  64 128]]
    """
    phase = _as_phase(phase)
    check_whole("levels", levels, 2, LARGEST_LEVELS)
    check_flag("falling", falling)
    if full_turn is not None:
        check_positive_number("full_turn", full_turn, "levels")
        if full_turn > levels or table is not None:
            raise ValueError(
                f"`full_turn` must be at most `levels`, {levels}, and belongs to a panel without a `table`, "
                f"got {float(full_turn):g}; leave it out."
            )
    if table is None:
        end = float(levels if full_turn is None else full_turn)
        chosen = np.mod(np.rint(np.mod(phase, TWO_PI) * (end / TWO_PI)), end).astype(int)
        chosen = np.minimum(chosen, levels - 1)
    else:
        chosen = _nearest_levels(phase, level_phases(table, levels))
    return (levels - 1 - chosen if falling else chosen).astype(np.uint16)


def _as_phase(phase: ArrayLike) -> np.ndarray:
    array = as_numpy("phase", phase)
    if array.ndim != 2 or not array.size or np.iscomplexobj(array) or not np.all(np.isfinite(array)):
        raise ValueError(
            "`phase` must be a plane of finite real numbers in rad, such as `numpy.angle(drive)`, got an "
            f"array of {array.dtype} with shape {array.shape}."
        )
    return np.asarray(array, float)


def level_phases(table: EffectLike, levels: int) -> Float[np.ndarray, " levels"]:
    """The phase that each level gives, rad."""
    check_instance("table", table, PhaseLUT, "`optics.records.read_table(path)`")
    if any(np.ndim(part) for part in (table.a2, table.a3, table.stretch, table.gain)):
        raise ValueError(
            "`table` must be the response of the whole panel, but it differs from pixel to pixel; give "
            "`optics.effects.PhaseLUT(table.table)`."
        )
    drive = np.arange(levels) * (TWO_PI / levels)
    response = np.asarray(table.curve(jnp.asarray(drive)), float)
    # One step more, which a panel of few levels needs for its whole turn.
    stroke = np.ptp(response) * levels / (levels - 1)
    if not stroke >= SHORTEST_STROKE:
        raise ValueError(
            f"`table` turns the phase by {stroke:.3g} rad, less than three quarters of a turn, so that the "
            "panel cannot show phases; look at its unit, and for which wavelength it is."
        )
    return response


def _nearest_levels(phase: np.ndarray, response: Float[np.ndarray, " levels"]) -> np.ndarray:
    wrapped = np.mod(response, TWO_PI)
    order = np.argsort(wrapped, kind="stable")
    ring = np.concatenate([wrapped[order[-1:]] - TWO_PI, wrapped[order], wrapped[order[:1]] + TWO_PI])
    place = np.searchsorted((ring[:-1] + ring[1:]) / 2, np.mod(phase, TWO_PI))
    return np.concatenate([order[-1:], order, order[:1]])[place]
