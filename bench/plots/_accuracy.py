"""Accuracies of recorded runs with their intervals."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.config import BASELINES, EQUAL_WITHIN
from bench.output import select

# A light box behind a label, so that lines do not cross it.
BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}

FAR = 8.0  # points below the lower quartile, from where on a value stands at the edge


def accuracy(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench accuracy` gathered.

    Arguments:
        rows: one for each variant.
        title: of the figure.

    Returns:
        the figure, for each data set accuracies with their intervals and baselines, and differences from the
        reference beside a band of ±1 point. A value far below the others is an arrow at the edge, so that
        the others can be told apart.
    """
    sets = {data: select(rows, data=data) for data in dict.fromkeys(row["data"] for row in rows)}
    heights = [len(variants) + 2 for variants in sets.values()]
    figure = Figure(figsize=(11, 0.8 + 0.45 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(sets), 2, squeeze=False, height_ratios=heights, sharey="row")
    for (left, right), (data, variants) in zip(panels, sets.items(), strict=True):
        _draw_accuracies(left, data, variants)
        _draw_differences(right, data, variants)
        # The two share their vertical axis.
        left.set_ylim(len(variants) - 0.5, -0.7)
        for axes in (left, right):
            axes.margins(x=0.15)
            axes.title.set_fontsize(9)
            axes.tick_params(axis="y", labelsize=7)
            axes.grid(axis="x", alpha=0.3)
    figure.suptitle(title)
    return figure


def _draw_accuracies(axes: Axes, data: str, rows: list[dict[str, Any]]) -> None:
    known = [(name, row[key]) for key, name in BASELINES.items() for row in rows if row.get(key) is not None]
    # The axis reaches to the lowest line in any case.
    edge = min([_edge([100 * row["accuracy"] for row in rows]), *(100 * value for _, value in known)])
    for place, row in enumerate(rows):
        percent = 100 * row["accuracy"]
        limits = [None if row[side] is None else 100 * row[side] for side in ("low", "high")]
        _draw_interval(axes, place, percent, limits, edge)
        axes.annotate(
            f"{row['accuracy']:.2%}",
            (max(percent, edge), place),
            (0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            bbox=BOX,
        )
    names = []
    for (name, value), style in zip(dict.fromkeys(known), cycle(("dotted", "dashed", "dashdot"))):
        axes.axvline(100 * value, color="0.3", linestyle=style)
        names.append(f"{style}: {name} {value:.2%}")
    axes.set(yticks=range(len(rows)), title=", ".join([data, *names]), xlabel="test accuracy (%)")
    axes.set_yticklabels([row["name"] for row in rows])


def _draw_differences(axes: Axes, data: str, rows: list[dict[str, Any]]) -> None:
    references = {row.get("against") for row in rows}
    edge = _edge([row["difference_points"] for row in rows if "against" in row])
    for place, row in enumerate(rows):
        note = "the reference" if row["name"] in references else "nothing to be compared with"
        if "against" in row:
            points = row["difference_points"]
            _draw_interval(axes, place, points, (row["difference_low"], row["difference_high"]), edge)
            sign = "−" if points < 0 else "+"
            note = f"{sign}{abs(points):.2f} against {row['against']}, {row['compared']}"
        # Above the whole row, where a long name meets no axis.
        whole_row = axes.get_yaxis_transform()
        axes.annotate(
            note, (0.5, place), (0, 6), whole_row, "offset points", ha="center", fontsize=7, bbox=BOX
        )
    axes.axvspan(-EQUAL_WITHIN, EQUAL_WITHIN, color="0.9", zorder=0)
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set(title=f"{data}, band: ±{EQUAL_WITHIN:g} point", xlabel="difference from the reference (points)")


def _edge(values: Sequence[float]) -> float:
    """The lowest value to be drawn where it is."""
    return float(np.quantile(values, 0.25)) - FAR if values else 0.0


def _draw_interval(axes: Axes, place: int, value: float, limits: Sequence[float | None], edge: float) -> None:
    """A value with its interval, where it has one, or an arrow at the edge."""
    if value < edge:
        axes.plot(edge, place, "<", color="C0")
        return
    low, high = limits
    error = None if low is None or high is None else [[max(value - low, 0)], [max(high - value, 0)]]
    axes.errorbar(value, place, xerr=error, fmt="o", color="C0", capsize=3)
