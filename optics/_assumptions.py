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
    """The tables of a data file, read once; `like` names the file beside it whose entries it starts from."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    base = tables.pop("like", None)
    return tables if base is None else _merge(read_toml(path.with_name(f"{base}.toml")), tables)


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The base with changes: an entry (a table with a `value`) as a whole, tables of entries one by one."""
    merged = dict(base)
    for key, value in changes.items():
        is_table_of_entries = isinstance(value, dict) and "value" not in value
        merged[key] = _merge(base.get(key, {}), value) if is_table_of_entries else value
    return merged
