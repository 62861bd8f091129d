"""Which bench for which network: what a device costs and what it takes from the accuracy."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.plots._scale import BLUE, ORANGE

WITHIN = 2.0  # points of accuracy within which a bench does what its exact twin does
# Points this near to one another, as shares of the panel, have one label.
NEAR = (0.15, 0.05)


def devices(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench devices` measured.

    Arguments:
        rows: one for each device, with "difference_points" from its exact twin and its interval,
            "exposures" and "joules" of an image, and the "operation" that light computes.
        title: of the figure.

    Returns:
        the figure: the difference of each device from its exact twin with its interval, and the same against
        exposures and joules.
    """
    figure = Figure(figsize=(14, 4.6), layout="constrained")
    first, *others = figure.subplots(1, 3, width_ratios=(1, 1.3, 1.3))
    _draw_intervals(first, rows)
    axes_of = {"exposures": "exposures an image (1)", "joules": "energy an image (J)"}
    for axes, (key, label) in zip(others, axes_of.items(), strict=True):
        axes.set(xscale="log", xlabel=label, ylabel="accuracy less that of the exact twin (points)")
        axes.axhline(0, color="0.3", linewidth=0.8)
        _draw_points(axes, rows, key)
        axes.grid(alpha=0.3)
    figure.suptitle(title or "one block through every bench, beside its exact twin of the same size")
    return figure


def _colour(row: dict[str, Any]) -> str:
    return BLUE if row["operation"] == "convolution" else ORANGE


def _draw_intervals(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for place, row in enumerate(rows):
        points, low, high = (row[f"difference_{name}"] for name in ("points", "low", "high"))
        error = None if low is None else [[max(points - low, 0)], [max(high - points, 0)]]
        axes.errorbar(points, place, xerr=error, fmt="o", color=_colour(row), capsize=3)
    axes.set_yticks(range(len(rows)), labels=[f"{row['device']}, {row['shape']}" for row in rows])
    axes.invert_yaxis()
    axes.axvspan(-WITHIN, WITHIN, color="0.93", zorder=0)
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.grid(axis="x", alpha=0.3)
    axes.set(xlabel="difference (points), bars: 95 %", title=f"band: within {WITHIN:g} points")


def _draw_points(axes: Axes, rows: list[dict[str, Any]], key: str) -> None:
    for row in rows:
        axes.plot(row[key], row["difference_points"], "o", color=_colour(row))
    axes.margins(x=0.25, y=0.25)
    # In shares of the panel, where the scale of the axis no longer matters.
    x = np.log10([row[key] for row in rows])
    y = np.array([row["difference_points"] for row in rows])
    places = np.stack([x / max(np.ptp(x), 1e-3), y / max(np.ptp(y), 1e-3)], axis=1)
    labels: dict[int, list[str]] = {}
    for i, row in enumerate(rows):
        near = (j for j in labels if np.all(np.abs(places[i] - places[j]) < NEAR))
        labels.setdefault(next(near, i), []).append(row["device"])
    for i, names in labels.items():
        axes.annotate(
            ",\n".join(names),
            (rows[i][key], y[i]),
            # Away from the line of no difference, on which most devices lie.
            (0, 6 if y[i] >= 0 else -6),
            textcoords="offset points",
            ha="center",
            va="bottom" if y[i] >= 0 else "top",
            fontsize=8,
        )
