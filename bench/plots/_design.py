"""Accuracy against joules of an image: designs by gradient and a grid."""

from typing import Any

from matplotlib.figure import Figure

from bench.plots._scale import BLUE, GREEN, ORANGE, quantity, with_prefix


def design(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench design` measured.

    Arguments:
        rows: as the command records them.
        title: name of the device.

    Returns:
        the figure: the best points of the grid on the rows held out, both fronts on the test rows, and the
        chosen design with its spread over units.
    """
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    fronts = {by: [row for row in rows if row["row"] == "front" and row["by"] == by] for by in SHOWN}
    factor, unit = with_prefix(max(row["joules"] for front in fronts.values() for row in front), "J")
    comparison = next(row for row in rows if row["row"] == "comparison")
    grid = [row for row in rows if row["row"] == "grid"]
    axes.scatter(
        [row["joules"] * factor for row in grid],
        [100 * row["accuracy"] for row in grid],
        s=5,
        color="0.7",
        linewidths=0,
        label=f"best of {comparison['evaluations_of_grid']:,} devices of the grid, rows held out",
    )
    for by, front in fronts.items():
        marker, colour = SHOWN[by]
        front = sorted(front, key=lambda row: row["joules"])
        axes.plot(
            [row["joules"] * factor for row in front],
            [100 * row["test_accuracy"] for row in front],
            marker=marker,
            markersize=5,
            color=colour,
            label=f"front of the {by}, {comparison[f'evaluations_of_{by}']:,} evaluations, test rows",
        )
    units = next(row for row in rows if row["row"] == "units" and row["design"] == "chosen")
    low, high = min(units["accuracies"]), max(units["accuracies"])
    axes.errorbar(
        [units["joules"] * factor],
        [100 * units["mean"]],
        [[100 * (units["mean"] - low)], [100 * (high - units["mean"])]],
        marker="D",
        markersize=7,
        capsize=5,
        color=GREEN,
        linestyle="none",
        zorder=5,
        label=f"chosen, {quantity(units['joules'], 'J')}: mean and range of {units['units']} units",
    )
    exact = next(row["test_accuracy"] for row in rows if row["row"] == "exact")
    axes.axhline(100 * exact, color="0.4", linestyle="--", linewidth=1, label="exact network")
    axes.set_xscale("log")
    axes.set_ylim(LOWEST, 101)
    axes.set(xlabel=f"energy of an image ({unit})", ylabel="accuracy (%)", title=title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    return figure


LOWEST = 70.0  # %
SHOWN = {"grid": ("s", ORANGE), "gradient": ("o", BLUE)}
