"""Accuracies over physical units, and of a device that drifts."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.plots._scale import BLUE, GREEN, ORANGE, PURPLE


def populations(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench populations` measured.

    Arguments:
        rows: the "accuracy" on each "unit", the "summary" of each training, "drift" and "average".
        title: of the figure.

    Returns:
        the figure.
    """
    figure = Figure(figsize=(13.6, 4.2), layout="constrained")
    left, right, last = figure.subplots(1, 3, width_ratios=(1.3, 1, 0.9))
    names = [row["training"] for row in rows if row["row"] == "summary"]
    for place, (name, colour) in enumerate(zip(names, (ORANGE, PURPLE, BLUE, GREEN), strict=False)):
        values = [row["accuracy"] for row in rows if row["row"] == "unit" and row["training"] == name]
        # Moved sideways, so that equal values stay apart.
        offsets = np.linspace(-0.28, 0.28, len(values))
        left.scatter(place + offsets, 100 * np.array(values), s=8, alpha=0.5, color=colour, linewidths=0)
        summary = next(row for row in rows if row["row"] == "summary" and row["training"] == name)
        left.hlines(100 * summary["fifth"], place - 0.35, place + 0.35, color="0.1", linewidth=1.2)
        left.annotate(
            f"{summary['fifth']:.1%}",
            (place, 100 * summary["fifth"]),
            xytext=(0, -12),
            textcoords="offset points",
            ha="center",
        )
    left.set_xticks(range(len(names)), [name.replace(" ", "\n", 1).replace(", ", ",\n") for name in names])
    left.set(ylabel="test accuracy on a unit (%)", ylim=(0, 102))
    left.set_title("3 photoelectrons, 2-bit converters; line: 5th percentile")
    left.grid(alpha=0.3, axis="y")
    states = list(dict.fromkeys(row["state"] for row in rows if row["row"] == "drift"))
    for state, colour, marker in zip(states, (ORANGE, BLUE, PURPLE, GREEN), "osv^", strict=False):
        curve = [row for row in rows if row["row"] == "drift" and row["state"] == state]
        right.plot(
            [row["hours"] for row in curve],
            [100 * row["mean"] for row in curve],
            marker=marker,
            color=colour,
            label=state,
        )
    right.set(xlabel="time since the device was set up (h)", ylabel="test accuracy, mean over units (%)")
    right.set_title("the preset's own light; phases wander, light fades")
    right.grid(alpha=0.3)
    right.legend(frameon=False)
    _draw_averages(last, [row for row in rows if row["row"] == "average"])
    if title:
        figure.suptitle(title)
    return figure


def _draw_averages(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for place, row in enumerate(rows):
        for side, (name, colour) in enumerate((("once", ORANGE), ("alike", PURPLE), ("chosen", BLUE))):
            words = {"once": "one exposure", "alike": "averaged alike", "chosen": "averaged by sensitivity"}
            label = None if place else words[name]
            bar = axes.bar(place + 0.28 * (side - 1), 100 * row[name], 0.26, color=colour, label=label)
            axes.bar_label(bar, [f"{100 * row[name]:.0f}"])
    axes.set_xticks(range(len(rows)), [f"{row['photons']:g}" for row in rows])
    axes.set(xlabel="photoelectrons of a full-scale field", ylabel="test accuracy (%)", ylim=(0, 135))
    axes.set_yticks(range(0, 101, 20))
    axes.set_title("trained at its own light, tested in less")
    axes.legend(frameon=False, loc="upper left")
