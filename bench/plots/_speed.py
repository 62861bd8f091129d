"""Ratios of times."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def speed(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench speed` measured.

    Arguments:
        rows: "operation", "what" and "against", the "ratio" of their times, and its "spread": the
            interquartile range of the ratios of neighbouring calls, over their median.
        title: of the figure.

    Returns:
        the figure: ratios as bars from 1, in two columns; each error bar is the spread.
    """
    half = -(-len(rows) // 2)
    figure = Figure(figsize=(15, 1.2 + 0.36 * half), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    _draw_ratios(left, rows[:half])
    _draw_ratios(right, rows[half:])
    ratios = [row["ratio"] for row in rows]
    # Room for the labels.
    left.set_xlim(0.5 * min(0.5, *ratios), 30 * max(1, *ratios))
    figure.suptitle(f"{title}: ratios of times, with their interquartile range".removeprefix(": "))
    return figure


def _draw_ratios(axes: Axes, rows: list[dict[str, Any]]) -> None:
    # By place, not by name: a label may occur twice.
    places = range(len(rows))
    ratios = [row["ratio"] for row in rows]
    # On a logarithmic axis a bar of error must end above zero.
    half_ranges = [row["ratio"] * min(row["spread"] / 2, 0.9) for row in rows]
    axes.barh(
        places,
        [ratio - 1 for ratio in ratios],
        left=1,
        xerr=half_ranges,
        error_kw={"elinewidth": 1, "capsize": 2, "ecolor": "0.2"},
    )
    labels = [f"{row['operation']}\n{row['what']} / {row['against']}" for row in rows]
    axes.set_yticks(places, labels, fontsize=7)
    for place, row, half_range in zip(places, rows, half_ranges, strict=True):
        # To the right of the bar, where no name of a row is.
        end = max(row["ratio"] + half_range, 1)
        label = f"{row['ratio']:.3g} (spread {row['spread']:.2f})"
        axes.annotate(label, (end, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(xscale="log", xlabel="ratio of times (1)")
    axes.margins(y=0.02)
    axes.invert_yaxis()
