"""Error budgets."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bench.plots._scale import BLUE, ORANGE

SMALLEST = 1e-12  # an error of zero has no place on a logarithmic axis


def error_budget(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw the error that each nonideality makes alone, and the error that is left without it.

    Arguments:
        rows: of `bench.simulator.budget.budget`: "condition", "relative_rms_error" and, for effects,
            "without".
        title: of the figure.

    Returns:
        the figure, on a logarithmic scale.

    Raises:
        ValueError: no rows, or rows that lack those keys.
    """
    if not rows or not all({"condition", "relative_rms_error"} <= set(row) for row in rows):
        raise ValueError(
            "`rows` must be rows with `condition` and `relative_rms_error`, as "
            "`bench.simulator.budget.budget` returns them."
        )
    figure = Figure(figsize=(8, 1.4 + 0.38 * len(rows)), layout="constrained")
    draw_error_budget(figure.subplots(), rows)
    figure.suptitle(title)
    return figure


def draw_error_budget(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """`error_budget` on given axes."""
    # By place, not by name: a chain may hold an effect twice.
    places = range(len(rows))
    alone = [max(float(row["relative_rms_error"]), SMALLEST) for row in rows]
    axes.barh(places, alone, color=BLUE, height=0.6, label="alone, with the optics")
    for place, error in zip(places, alone, strict=True):
        axes.annotate(
            f"{error:.1e}",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
    without = {
        place: max(float(row["without"]), SMALLEST)
        for place, row in zip(places, rows, strict=True)
        if row.get("without") is not None
    }
    if without:
        axes.plot([*without.values()], [*without], "D", color=ORANGE, markersize=6, label="all but this one")
    errors = [*alone, *without.values()]
    axes.set(xscale="log", xlabel="relative RMS error of the result (1)", ylabel="effect")
    axes.set_xlim(min(errors) / 3, 3 * max(errors))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(places, labels=[row["condition"] for row in rows])
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
