"""Memory of training steps and convolutions."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.output import growth_exponent, select
from bench.plots._scale import BLUE, GREEN, ORANGE, PURPLE, RED, SKY

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)
# Lines of networks that need the same memory lie on one another: each has its dashes and its marker.
DASHES = ("-", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 1, 2)), (0, (1, 1)), (0, (4, 1)))
MARKERS = "osv^DP"


def memory(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench memory` measured.

    Arguments:
        rows: "operation", "what" and "MiB"; those of convolutions have a "ratio", those of training steps a
            "length".
        title: of the figure.

    Returns:
        the figure: convolutions as bars, training steps against the length.
    """
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    _draw_convolutions(left, [row for row in rows if "ratio" in row])
    _draw_training_steps(right, [row for row in rows if "length" in row])
    figure.suptitle(title)
    return figure


def _draw_convolutions(axes: Axes, rows: list[dict[str, Any]]) -> None:
    bars = axes.barh([row["what"].replace(", ", ",\n") for row in rows], [row["MiB"] for row in rows])
    axes.bar_label(bars, [f"{row['ratio']:.2f}×" for row in rows], padding=3, fontsize=8)
    axes.set_xlabel("temporary memory (MiB)")
    axes.set_title(rows[0]["operation"].replace(", ", ",\n"), fontsize=9)
    axes.margins(x=0.15)
    axes.invert_yaxis()


def _draw_training_steps(axes: Axes, rows: list[dict[str, Any]]) -> None:
    names = dict.fromkeys(row["what"] for row in select(rows, operation="training step, compiled"))
    for name, colour, dashes, marker in zip(names, COLOURS, DASHES, MARKERS, strict=False):
        lengths, sizes = _curve(select(rows, operation="training step, compiled", what=name))
        label = f"{name}: power {growth_exponent(lengths, sizes):.2f}"
        axes.loglog(lengths, sizes, linestyle=dashes, marker=marker, markersize=4, color=colour, label=label)
        process = _curve(select(rows, operation="two training steps, process", what=name))
        axes.loglog(*process, linestyle="", marker=marker, markersize=8, color=colour, markerfacecolor="none")
    axes.set(xlabel="length of the sequence (tokens)", ylabel="memory of a training step (MiB)")
    axes.set_title("compiled (lines), whole process (open marks)", fontsize=9)
    axes.grid(which="major", alpha=0.3)
    axes.legend(frameon=False, fontsize=8)


def _curve(rows: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    return [row["length"] for row in rows], [row["MiB"] for row in rows]
