"""What is reached of the machine."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.output import select
from bench.plots._scale import BLUE, GREEN, ORANGE, PURPLE

COLOURS, MARKERS = (BLUE, ORANGE, GREEN, PURPLE), "osv^"


def roofline(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench roofline` measured.

    Arguments:
        rows: "operation" is "ceiling", "primitive" with the share that is "reached", or "fields per second"
            with "kind", "side" and "per_second".
        title: of the figure.

    Returns:
        the figure: the share of the machine's ceilings that each primitive reaches, and planes per second
        against their size.
    """
    figure = Figure(figsize=(14, 5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    _draw_shares(left, select(rows, operation="primitive"))
    _draw_planes(right, select(rows, operation="fields per second"))
    figure.suptitle(title)
    return figure


def _draw_shares(axes: Axes, rows: list[dict[str, Any]]) -> None:
    names = [row["what"].replace(", ", ",\n", 1) for row in rows]
    bars = axes.barh(range(len(rows)), [100 * row["reached"] for row in rows])
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.bar_label(bars, [f"{row['milliseconds']:.3g} ms" for row in rows], padding=3, fontsize=8)
    axes.set_xlabel("least time that the machine could take, of the time taken (%)")
    axes.margins(x=0.15)
    axes.invert_yaxis()


def _draw_planes(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for kind, colour, marker in zip(
        dict.fromkeys(row["kind"] for row in rows), COLOURS, MARKERS, strict=False
    ):
        curve = select(rows, kind=kind)
        axes.loglog(
            [row["side"] for row in curve],
            [row["per_second"] for row in curve],
            marker=marker,
            color=colour,
            label=kind,
        )
    sides = sorted({row["side"] for row in rows})
    axes.minorticks_off()
    axes.set_xticks(sides, labels=[f"{side:,}" for side in sides])
    axes.set(xlabel="pixels a side (1)", ylabel="planes a second (1/s)")
    axes.grid(which="major", alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
