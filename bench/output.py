"""The result of a measurement: a table on the screen, and COMMAND.json beside COMMAND.png in a folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import optics
from nets import run
from optics import AbstractDevice

Rows = list[dict[str, Any]]
DPI = 120  # of the plots
LONGEST_SIDE = 4000  # pixels of a plot; one with a row for each run has fewer an inch


def check_folder(folder: Path, name: str = "out") -> None:
    """Make the folder of the option `name`, or refuse before anything is measured.

    Raises:
        ValueError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"`{name}` {folder} cannot be written to ({error.strerror}); name another folder."
        ) from None


def load_device(name: str, **overrides: Any) -> AbstractDevice:
    """The preset that the option `device` names.

    Raises:
        ValueError: there is no such preset.
    """
    if name not in optics.presets.names():
        raise ValueError(
            f"`device` must be a preset, one of {', '.join(optics.presets.names())}; got {name!r}."
        )
    return optics.presets.load(name, **overrides)


def write(folder: Path, command: str, rows: Rows, options: Any, figure: Figure) -> None:
    """Write COMMAND.json and COMMAND.png, and print where they are.

    Arguments:
        folder: of both files.
        command: their name.
        rows: what was measured.
        options: dataclass of the command; its folders are left out, as they mean nothing on another machine.
        figure: the plot.
    """
    values = asdict(options)
    record = {
        "command": command,
        "config": {name: value for name, value in values.items() if not _holds_path(value)},
        "seed": values["seed"],
        **run.provenance(("jax", "jaxlib", "numpy", "scipy", "equinox")),
        "rows": rows,
    }
    run.write(folder / f"{command}.json", json.dumps(record, indent=2) + "\n")
    dpi = min(DPI, LONGEST_SIDE / max(figure.get_size_inches()))
    figure.savefig(folder / f"{command}.png", dpi=dpi)
    print(f"wrote {folder / command}.json and {folder / command}.png")


def _holds_path(value: Any) -> bool:
    return any(isinstance(item, Path) for item in (value if isinstance(value, tuple) else (value,)))


def select(rows: Rows, **values: Any) -> Rows:
    """The rows that have these values; None stands for a key that is absent."""
    return [row for row in rows if all(row.get(key) == value for key, value in values.items())]


def table(rows: Rows, columns: Mapping[str, str]) -> str:
    """Rows as aligned text.

    Arguments:
        rows: by key.
        columns: the format of each key; a row without the key has an empty cell.
    """
    head = [name.replace("_", " ") for name in columns]
    cells = [
        [format(row[key], spec) if row.get(key) is not None else "" for key, spec in columns.items()]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *cells)
    )


def growth_exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """p of values ∝ sizesᵖ, by least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
