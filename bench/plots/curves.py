"""Training curves of run folders."""

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nets.record import read_lines


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
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    for axes, what, unit in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("nat", "share of rows"), strict=True):
        for i, (path, lines) in enumerate(runs):
            colour, name = f"C{i}", f"{path.name}, " if len(runs) > 1 else ""
            steps = [line for line in lines if f"train_{what}" in line and "epoch" not in line]
            epochs = [line for line in lines if f"validation_{what}" in line]
            axes.plot([line["step"] for line in steps], [line[f"train_{what}"] for line in steps], color=colour, linewidth=0.8, alpha=0.7)
            axes.plot(
                [line["step"] for line in epochs],
                [line[f"validation_{what}"] for line in epochs],
                "o-",
                color=colour,
                markersize=4,
                label=f"{name}validation (thin: train)",
            )
            if f"test_{what}" in lines[-1]:
                value = lines[-1][f"test_{what}"]
                axes.axhline(value, color=colour, linestyle="--", linewidth=1, label=f"{name}test {value:.4g}")
        axes.set(xlabel="optimizer step (1)", ylabel=f"{what} ({unit})")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(caption(runs[0][0]) if len(runs) == 1 else "")
    return figure


def recorded(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run.

    Raises:
        ValueError: there are none.
    """
    lines = read_lines(folder)
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
    return ", ".join(f"{name} {about[name]}" for name in ("data", "model", "device", "gradient") if about.get(name) is not None)
