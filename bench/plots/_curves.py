"""Training curves of run folders."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nets.run import RunFolder, plot_curves


def training_curves(folder: Path | str, *more: Path | str, title: str = "") -> Figure:
    """Draw loss and accuracy of one or several runs against the step, also while they train.

    Arguments:
        folder, more: run folders of `python -m nets.train`.
        title: of the figure; by default the main options of a single run.

    Returns:
        the figure: train thin, validation with marks, test dashed where the run is finished.

    Raises:
        ValueError: a folder without metrics.jsonl or with no whole line in it.
    """
    folders = [Path(path) for path in (folder, *more)]
    curves = [(path.name, _lines(path)) for path in folders]
    return plot_curves(curves, title or (_caption(folders[0]) if len(folders) == 1 else ""))


def _lines(folder: Path) -> list[dict[str, Any]]:
    lines = RunFolder(folder).lines()
    if not lines:
        raise ValueError(
            f"`folder` must be a run folder with lines in metrics.jsonl, got {folder}; "
            "`python -m nets.train --out` makes one."
        )
    return lines


def _caption(folder: Path) -> str:
    run = RunFolder(folder)
    if not run.exists():
        return folder.name
    facts = run.facts()
    names = [name for name in ("data", "model", "device", "gradient") if facts.get(name) is not None]
    return ", ".join(f"{name} {facts[name]}" for name in names)
