"""Numbers that are assumed, each with its range, unit and source, and the data files that hold them."""

import dataclasses
import functools
import tomllib
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Assumption:
    """A number that is assumed, and why.

    Attributes:
        value, low, high: best estimate and range, in `unit`.
        unit: of the three.
        source: where the value is from.
        guess: the value is our choice.
    """

    value: float | int
    low: float | int
    high: float | int
    unit: str
    source: str
    guess: bool = False


def as_assumptions(table: dict[str, Any]) -> dict[str, Assumption]:
    """The assumptions of a table of a data file, by name."""
    return {name: Assumption(**entry) for name, entry in table.items()}


@functools.cache
def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a data file, read once."""
    return tomllib.loads(path.read_text(encoding="utf-8"))
