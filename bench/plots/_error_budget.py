"""Error budgets."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bench.plots._scale import BLUE, ORANGE


def error_budget(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """What each nonideality costs alone, and what is left without it.

    Arguments:
        rows: of `bench.simulator.budget.budget`: "condition", "relative_rms_error" and, for effects, "without".
        title: of the figure.

    Returns:
        the figure, on a logarithmic scale.

    Raises:
        ValueError: no rows, or rows that lack those keys.
    """
    if not rows or not all({"condition", "relative_rms_error"} <= set(row) for row in rows):
        raise ValueError(
            "`rows` must be rows with `condition` and `relative_rms_error`, as `bench.simulator.budget.budget` gives them."
        )
    figure = Figure(figsize=(8, 1.4 + 0.38 * len(rows)), layout="constrained")
    axes = figure.subplots()
    errors = [max(float(row["relative_rms_error"]), 1e-12) for row in rows]
    axes.barh(range(len(rows)), errors, color=BLUE, height=0.6, label="alone, with the optics")
    for i, error in enumerate(errors):
        axes.annotate(
            f"{error:.1e}",
            (1.01, i),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
    without = [(i, float(row["without"])) for i, row in enumerate(rows) if row.get("without") is not None]
    if without:
        axes.plot(
            [max(v, 1e-12) for _, v in without],
            [i for i, _ in without],
            "D",
            color=ORANGE,
            markersize=6,
            label="all but this one",
        )
    axes.set(xscale="log", xlabel="relative RMS error of the result (1)", ylabel="effect")
    every = errors + [v for _, v in without]
    axes.set_xlim(min(every) / 3, 3 * max(every))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(np.arange(len(rows)), labels=[row["condition"] for row in rows])
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    figure.suptitle(title)
    return figure
