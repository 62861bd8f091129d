"""Lookup tables of phase modulators from text files."""

from pathlib import Path

import numpy as np

from optics._check import check_whole
from optics.effects import PhaseLUT

TURN = 2 * np.pi
# No panel turns the phase further than this, rad; larger numbers are levels, or degrees.
LONGEST = 10 * TURN


def read_table(
    path: str | Path, levels: int = 256, unit: str = "rad", full_turn: float | int | None = None
) -> PhaseLUT:
    """A table of a phase modulator from a text file: the response of its panel, or the table that its driver applies.

        two columns    level, value; levels that were left out are interpolated
        one column     the value of level 0, 1, …, one a line, as vendors write the tables of their drivers

    With `unit="rad"` values are the phases that the panel was measured to give. The phase of the first level is one of the
    whole panel and is taken off; a table that falls throughout is turned round in sign, as its panel turns the phase the
    other way. With `unit="level"` values are the levels that the driver sends for the levels asked of it: the effect goes
    before that of the panel. Columns are parted by commas, semicolons, tabs or blanks; lines that begin with `#` and one
    line of headings are skipped.

    Arguments:
        path: of the file.
        levels: of the panel, 2^bits.
        unit: of the values, "rad" or "level".
        full_turn: level that the phase asked for reaches at 2π; by default `levels`, so that level k stands for the phase
            2π k / levels, and the entry for 2π is found by going on in a straight line.

    Returns:
        `PhaseLUT` for the device's chain; `optics.twin.inverse_table` makes the table that drives the panel right.

    Raises:
        ValueError: an empty file, text that is no number (with its line), levels outside of the panel, twice, or fewer than
            2, phases that are not finite, or a table that both rises and falls.
    """
    check_whole("levels", levels, 2, 2**16)
    if unit not in ("rad", "level"):
        raise ValueError(f'`unit` must be "rad" or "level", got {unit!r}.')
    rows = _rows(Path(path))
    if len(rows[0]) == 1:
        level, phase = np.arange(len(rows), dtype=float), np.array([row[0] for row in rows])
        if len(rows) != levels:
            raise ValueError(
                f"`levels` must be the number of lines, {len(rows)}, of a table of one column, got {levels}."
            )
    else:
        level, phase = np.array(rows).T
        order = np.argsort(level, kind="stable")
        level, phase = level[order], phase[order]
    if len(level) < 2:
        raise ValueError(f"{path} must hold at least 2 levels, got {len(level)}.")
    if level[0] < 0 or level[-1] > levels - 1 or np.any(level % 1):
        raise ValueError(
            f"{path} must hold whole levels from 0 to {levels - 1}, got {level[0]:g} to {level[-1]:g}; give `levels`."
        )
    if np.any(np.diff(level) == 0):
        raise ValueError(
            f"{path} holds level {level[:-1][np.diff(level) == 0][0]:g} twice; average its phases."
        )
    if level[0] != 0:
        raise ValueError(
            f"{path} must begin at level 0, got {level[0]:g}; measure it, as phases count from there."
        )
    if unit == "level":
        if np.min(phase) < 0 or np.max(phase) > levels - 1:
            raise ValueError(
                f"{path} must hold values from 0 to {levels - 1}, got {np.min(phase):g} to {np.max(phase):g}; give `levels`."
            )
        phase = phase * (TURN / levels)
    else:
        if np.max(np.abs(phase)) > LONGEST:
            raise ValueError(
                f'{path} must hold phases in rad, got up to {np.max(np.abs(phase)):g}; `unit="level"` reads levels of a driver.'
            )
        phase = phase - phase[0]
        phase = -phase if phase[-1] < 0 else phase
    falls = np.diff(phase) < 0
    if np.any(falls):
        place = int(np.argmax(falls))
        raise ValueError(
            f"{path} must hold phases that never fall with the level, but level {level[place + 1]:g} is below level {level[place]:g} "
            f"({phase[place + 1]:.4g} after {phase[place]:.4g} rad); unwrap the phases (`numpy.unwrap`) or smooth them."
        )
    end = float(levels if full_turn is None else full_turn)
    if not level[0] < end:
        raise ValueError(f"`full_turn` must be a level above 0, got {full_turn!r}.")
    if end > level[-1]:
        slope = (phase[-1] - phase[-2]) / (level[-1] - level[-2])
        level, phase = np.append(level, end), np.append(phase, phase[-1] + slope * (end - level[-1]))
    return PhaseLUT(np.interp(np.linspace(0, end, levels + 1), level, phase))


def _rows(path: Path) -> list[list[float]]:
    rows: list[list[float]] = []
    skipped = False
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        words = text.replace(",", " ").replace(";", " ").split()
        try:
            row = [float(word) for word in words]
        except ValueError:
            if rows or skipped:
                raise ValueError(
                    f"line {number} of {path} must hold numbers, got {line.strip()!r}."
                ) from None
            skipped = True
            continue
        if not np.all(np.isfinite(row)):
            raise ValueError(f"line {number} of {path} must hold finite numbers, got {line.strip()!r}.")
        if len(row) > 2 or (rows and len(row) != len(rows[0])):
            raise ValueError(
                f"line {number} of {path} must hold {len(rows[0]) if rows else '1 or 2'} numbers, got {len(row)}: {line.strip()!r}."
            )
        rows.append(row)
    if not rows:
        raise ValueError(f"{path} holds no numbers; a table has lines of level and phase in rad.")
    return rows
