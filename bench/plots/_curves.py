"""Training curves of run folders."""

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nets.run import RunFolder, plot_curves


def training_curves(folder: Any, *more: Any) -> Figure:
    """Loss and accuracy of a run against the step, of several runs beside one another; also while they train.

    Arguments:
        folder, more: run folders of `python -m nets.train`.

    Returns:
        the figure: train thin, validation with marks, test dashed where the run is finished.

    Raises:
        ValueError: a folder without metrics.jsonl or with no whole line in it.
    """
    runs = [(Path(one), recorded(Path(one))) for one in (folder, *more)]
    return plot_curves([(path.name, lines) for path, lines in runs], caption(runs[0][0]) if len(runs) == 1 else "")


def recorded(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run.

    Raises:
        ValueError: there are none.
    """
    lines = RunFolder(folder).lines()
    if not lines:
        raise ValueError(
            f"`folder` must be a run folder with lines in metrics.jsonl, got {folder}; `python -m nets.train --out` makes one."
        )
    return lines


def caption(folder: Path) -> str:
    """What was trained, from config.json."""
    path = folder / "config.json"
    if not path.exists():
        return folder.name
    about = json.loads(path.read_text(encoding="utf-8"))
    return ", ".join(
        f"{name} {about[name]}"
        for name in ("data", "model", "device", "gradient")
        if about.get(name) is not None
    )
