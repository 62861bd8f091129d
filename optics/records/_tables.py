"""Lookup tables of phase modulators from text files."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from optics._check import as_path, check_choice, check_positive_number, check_whole
from optics._files import read_text
from optics._typing import CountLike, PathLike, ScalarLike, TextLike
from optics.effects import PhaseLUT
from optics.records._rows import read_rows

MAX_BYTES = 2**24  # the largest table that is read
# No panel turns the phase further than ten waves, rad; larger numbers are levels, or degrees.
LONGEST_STROKE = 10 * 2 * np.pi


def read_table(
    path: PathLike,
    levels: CountLike = 256,
    unit: TextLike = "rad",
    full_turn: ScalarLike | None = None,
    dac_levels: CountLike | None = None,
) -> PhaseLUT:
    """A table of a phase modulator from a text file: of its panel as measured, or of its driver.

        two columns    level, value; levels that are left out are interpolated
        one column     the value of level 0, 1, …, one a line, as vendors write the tables of their drivers

    With `unit="rad"` values are the phases that the panel was measured to give. The phase of the first level
    is common to the whole panel and is taken off. A table that falls throughout changes its sign: its panel
    turns the phase the other way. With `unit="level"` values are the levels that the driver sends for the
    levels it is asked for; that effect goes before the panel's. Meadowlark's `.lut` files are such: two
    columns, 256 grey levels and the levels of a converter of 12 bits, `dac_levels=4096`. Commas, semicolons,
    tabs or blanks separate the columns. Lines that begin with `#` and one line of headings are skipped.

    Arguments:
        path: of the file.
        levels: of the panel, 2^bits.
        unit: of the values, "rad" or "level".
        full_turn: level at which the phase asked for reaches 2π; by default `levels`, so that level k stands
            for the phase 2π k / levels, and a straight line continues the table to the entry for 2π.

    Returns:
        `PhaseLUT` for the device's chain; `optics.twin.inverse_table` makes the table that corrects the
        panel.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no regular file, one of more than 16 MiB, or not UTF-8; an empty file, text that is no
            number (with its line), levels outside of the panel or of the converter, twice, or fewer than 2,
            phases that are not finite, or a table that both rises and falls.

    Example:
        >>> import pathlib, tempfile, optics
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "panel.csv"
        >>> _ = path.write_text("level,phase\\n0,0.0\\n255,6.26")
        >>> optics.records.read_table(path).table.shape
        (257,)
    """
    check_whole("levels", levels, 2, 2**16)
    check_choice("unit", unit, ("rad", "level"))
    if full_turn is not None:
        check_positive_number("full_turn", full_turn, "levels")
    if dac_levels is not None:
        check_whole("dac_levels", dac_levels, 2, 2**16)
        if unit != "level":
            raise ValueError(f'`dac_levels` is of use with `unit="level"`, got {dac_levels}; leave it out.')
    path = as_path("path", path)
    level, value = _read_columns(path, levels)
    if unit == "level":
        outputs, name = (levels, "levels") if dac_levels is None else (dac_levels, "dac_levels")
        if np.min(value) < 0 or np.max(value) > outputs - 1:
            raise ValueError(
                f"{path} must hold values from 0 to {outputs - 1}, got {np.min(value):g} to "
                f"{np.max(value):g}; give `{name}`."
            )
        phase = value * (2 * np.pi / outputs)
    else:
        if np.max(np.abs(value)) > LONGEST_STROKE:
            raise ValueError(
                f"{path} must hold phases in rad, got up to {np.max(np.abs(value)):g}; "
                '`unit="level"` reads levels of a driver.'
            )
        phase = value - value[0]
        phase = -phase if phase[-1] < 0 else phase
    falls = np.diff(phase) < 0
    if np.any(falls):
        i = int(np.argmax(falls))
        raise ValueError(
            f"{path} must hold phases that never fall with the level, but level {level[i + 1]:g} is below "
            "level "
            f"{level[i]:g} ({phase[i + 1]:.4g} after {phase[i]:.4g} rad); unwrap the phases "
            "(`numpy.unwrap`) or "
            "smooth them."
        )
    end = float(levels if full_turn is None else full_turn)
    if end > level[-1]:
        slope = (phase[-1] - phase[-2]) / (level[-1] - level[-2])
        level, phase = np.append(level, end), np.append(phase, phase[-1] + slope * (end - level[-1]))
    return PhaseLUT(np.interp(np.linspace(0, end, levels + 1), level, phase))


def _read_columns(
    path: Path, levels: int
) -> tuple[Float[np.ndarray, " entries"], Float[np.ndarray, " entries"]]:
    """Levels in rising order from 0, and their values."""
    text = read_text(path, MAX_BYTES, "path")
    rows = read_rows(path, text, "a table has lines of level and phase in rad")
    if len(rows[0]) == 1:
        level, value = np.arange(len(rows), dtype=float), np.array([row[0] for row in rows])
        if len(rows) != levels:
            raise ValueError(
                f"`levels` must be the number of lines, {len(rows)}, of a table of one column, got {levels}."
            )
    else:
        level, value = np.array(rows).T
        order = np.argsort(level, kind="stable")
        level, value = level[order], value[order]
    if len(level) < 2:
        raise ValueError(f"{path} must hold at least 2 levels, got {len(level)}.")
    if level[0] < 0 or level[-1] > levels - 1 or np.any(level % 1):
        raise ValueError(
            f"{path} must hold whole levels from 0 to {levels - 1}, got {level[0]:g} to {level[-1]:g}; "
            "give `levels`."
        )
    twice = np.diff(level) == 0
    if np.any(twice):
        raise ValueError(f"{path} holds level {level[:-1][twice][0]:g} twice; average its phases.")
    if level[0] != 0:
        raise ValueError(
            f"{path} must begin at level 0, got {level[0]:g}; measure it, as phases count from there."
        )
    return level, value
