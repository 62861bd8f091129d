"""What a measurement leaves behind: a table on the screen, JSON and a plot beside each other."""

import json
from pathlib import Path
from typing import Any

import optics
from nets import run as record

Rows = list[dict[str, Any]]


def prepare(folder: Path, name: str = "out") -> None:
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


def load(name: str, **overrides: Any) -> Any:
    """The device that was asked for.

    Raises:
        ValueError: unknown preset.
    """
    if name not in optics.presets.names():
        raise ValueError(
            f"`device` must be a preset, one of {', '.join(optics.presets.names())}; got {name!r}."
        )
    return optics.presets.load(name, **overrides)


def write(folder: Path, command: str, rows: Rows, config: dict[str, Any], figure: Any) -> None:
    """Write COMMAND.json and COMMAND.png and say where."""
    about = {
        "command": command,
        # Folders are of one machine, and no part of what was measured.
        "config": {key: value for key, value in config.items() if not _is_place(value)},
        "seed": config["seed"],
        **record.provenance(("jax", "jaxlib", "numpy", "scipy", "equinox")),
    }
    record.write(folder / f"{command}.json", json.dumps(about | {"rows": rows}, indent=2) + "\n")
    figure.savefig(folder / f"{command}.png", dpi=120)
    print(f"wrote {folder / command}.json and {folder / command}.png")


def _is_place(value: Any) -> bool:
    return isinstance(value, Path) or (
        isinstance(value, tuple) and any(isinstance(part, Path) for part in value)
    )


def table(rows: Rows, columns: dict[str, str]) -> str:
    """Rows as aligned text: `columns` maps a key to its format."""
    cells = [
        [*columns],
        *(
            [format(row[key], spec) if row.get(key) is not None else "" for key, spec in columns.items()]
            for row in rows
        ),
    ]
    cells[0] = [name.replace("_", " ") for name in cells[0]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )
