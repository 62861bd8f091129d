"""What whole panels cost, and how close they come."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.output import select
from bench.plots._scale import BLUE, GREEN, ORANGE

KINDS = {"wave": (ORANGE, "s"), "compiled": (BLUE, "o"), "bare FFT": (GREEN, "v")}


def panels(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench panels` measured.

    Arguments:
        rows: "operation" is "sampling" with the errors "raw" and "after_gains" of "orders", or "speed" with
            "side", "kind", "what" and "milliseconds".
        title: of the figure.

    Returns:
        the figure: the error against the diffraction orders that are followed, and the times of a transform,
        forward and with its gradient, against the pixels.
    """
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    _draw_sampling(left, select(rows, operation="sampling"))
    for axes, what in ((middle, "forward"), (right, "gradient")):
        _draw_times(axes, select(rows, operation="speed", what=what))
        axes.set_title({"forward": "one transform", "gradient": "with its gradient to the light"}[what])
    figure.suptitle(title)
    return figure


def _draw_sampling(axes: Axes, rows: list[dict[str, Any]]) -> None:
    sides = sorted({row["side"] for row in rows})
    for side, colour in zip(sides, (BLUE, ORANGE, GREEN), strict=False):
        curve = select(rows, side=side)
        orders = [row["orders"] for row in curve]
        raw, calibrated = ([row[key] for row in curve] for key in ("raw", "after_gains"))
        axes.semilogy(orders, raw, marker="o", color=colour, label=f"{side}×{side} pixels")
        axes.semilogy(orders, calibrated, marker="o", color=colour, linestyle="--", fillstyle="none")
    axes.plot([], [], color="0.3", linestyle="--", label="after gains")
    axes.set_xticks(sorted({row["orders"] for row in rows}))
    axes.set(xlabel="diffraction orders that are followed (1)", ylabel="relative RMS error (1)")
    axes.set_title("wave optics against the Rayleigh–Sommerfeld integral")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)


def _draw_times(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for kind, (colour, marker) in KINDS.items():
        curve = sorted(select(rows, kind=kind), key=lambda row: row["side"])
        if curve:
            sides, times = ([row[key] for row in curve] for key in ("side", "milliseconds"))
            axes.loglog(sides, times, marker=marker, color=colour, label=kind)
    sides = sorted({row["side"] for row in rows})
    axes.minorticks_off()
    axes.set_xticks(sides, labels=[f"{side:,}" for side in sides], rotation=45)
    axes.set(xlabel="pixels a side (1)", ylabel="time (ms)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
