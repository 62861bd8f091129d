"""Which bench for which network: what a device costs and what it takes from the accuracy."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.plots._scale import BLUE, ORANGE

WITHIN = 2.0  # points of accuracy within which a bench does what its exact twin does


def devices(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench devices` measured.

    Arguments:
        rows: one for each device, with "difference_points" from its exact twin and its interval, "error",
            "ratio" of the times of a step, "exposures" and "joules" of an image.
        title: of the figure.

    Returns:
        the figure: the difference from the exact twin against exposures, joules, and the error of one
        convolution or product.
    """
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    axes_of = {"exposures": "exposures an image (1)", "joules": "energy an image (J)"}
    axes_of |= {"error": "relative RMS error of one convolution or product (1)"}
    for axes, (key, label) in zip(panels, axes_of.items(), strict=True):
        _draw_points(axes, rows, key)
        axes.set(xscale="log", xlabel=label)
        axes.margins(x=0.22)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("accuracy less that of the exact twin (points)")
    figure.suptitle(title or f"one block through every bench; band: within {WITHIN:g} points; bars: 95 %")
    return figure


def _draw_points(axes: Axes, rows: list[dict[str, Any]], key: str) -> None:
    axes.axhspan(-WITHIN, WITHIN, color="0.93", zorder=0)
    axes.axhline(0, color="0.3", linewidth=0.8)
    # Names alternate above and below, in the order of the axis, so that neighbours do not meet.
    for place, row in enumerate(sorted(rows, key=lambda row: row[key])):
        points, low, high = (row[f"difference_{name}"] for name in ("points", "low", "high"))
        error = None if low is None else [[max(points - low, 0)], [max(high - points, 0)]]
        colour = BLUE if row["operation"] == "convolution" else ORANGE
        axes.errorbar(row[key], points, yerr=error, fmt="o", color=colour, capsize=3)
        side = 1 if place % 2 else -1
        end = (high if side > 0 else low) if low is not None else points
        axes.annotate(
            row["device"],
            (row[key], end),
            (0, 5 * side),
            textcoords="offset points",
            ha="center",
            va="bottom" if side > 0 else "top",
            fontsize=8,
        )
