"""Rows of a record as tables of text."""

from typing import Any, NamedTuple

from bench.output import Rows

LONG_TEXT = 24  # characters, from which on a column may break its lines


class Column(NamedTuple):
    """Heading and cells of a column; `kind` is "number" (to the right), "long" (breaks lines) or ""."""

    heading: str
    cells: list[str]
    kind: str


class Table(NamedTuple):
    """A table; `caption` holds the texts that all its rows share."""

    caption: str
    columns: list[Column]
    length: int


def make_tables(rows: Rows) -> list[Table]:
    """Rows as tables: neighbours share one while `table` and `sweep` stay and four in five keys do."""
    groups: list[Rows] = []
    keys: set[str] = set()
    for row in rows:
        same_kind = groups and all(row.get(key) == groups[-1][0].get(key) for key in ("table", "sweep"))
        if not same_kind or len(keys & row.keys()) < 0.8 * min(len(keys), len(row)):
            groups.append([])
            keys = set()
        groups[-1].append(row)
        keys |= row.keys()
    return [make_table(group) for group in groups]


def make_table(rows: Rows) -> Table:
    """Rows as one table: texts that all of them share are its caption."""
    rows = [flatten(row) for row in rows]
    columns = {key: [row.get(key) for row in rows] for row in rows for key in row}
    shared = [
        key
        for key, values in columns.items()
        if len(rows) > 1 and isinstance(values[0], str) and values.count(values[0]) == len(rows)
    ]
    filled = [key for key, values in columns.items() if any(value is not None for value in values)]
    return Table(
        ", ".join(f"{as_words(key)} {rows[0][key]}" for key in shared),
        [
            Column(as_words(key), [as_cell(value) for value in columns[key]], column_kind(columns[key]))
            for key in filled
            if key not in shared
        ],
        len(rows),
    )


def flatten(row: dict[str, Any]) -> dict[str, Any]:
    """The row with a column for each entry of a value that has entries."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        entries = {f"{key} {name}": item for name, item in value.items()} if isinstance(value, dict) else None
        flat |= {key: value} if entries is None else entries
    return flat


def column_kind(values: list[Any]) -> str:
    """Kind of a column. True and False are not numbers here."""
    values = [value for value in values if value is not None]
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    if all(type(item) in (int, float) for item in items):
        return "number"
    return "long" if any(len(as_text(value)) > LONG_TEXT for value in values) else ""


def as_cell(value: Any) -> str:
    """A value in a table: whole numbers below a million in full, other numbers to four digits."""
    if type(value) is int:
        return f"{value:,}" if abs(value) < 1_000_000 else as_text(float(value))
    return "" if value is None else as_text(value)


def as_text(value: Any) -> str:
    """A value as text, real numbers to four digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        digits, _, power = f"{value:.4g}".partition("e")
        return f"{digits}e{int(power)}" if power else digits
    if isinstance(value, dict):
        return "; ".join(f"{as_words(key)} {as_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(as_text, value))
    return str(value)


def as_words(key: str) -> str:
    """A name of the code as text."""
    return key.replace("_", " ")
