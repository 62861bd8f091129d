"""Accuracy against the photons of a multiplication."""

from typing import Any

from matplotlib.figure import Figure

from bench.plots._scale import BLUE, ORANGE


def photons(rows: list[dict[str, Any]], data: str = "") -> Figure:
    """Draw what `python -m bench photons` measured.

    Arguments:
        rows: means over seeds: "training", "photons", "accuracy" and "spread"; and the "knee" beside the
            "exact" accuracy.
        data: name of the data set.

    Returns:
        the figure.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    summary = [row for row in rows if "seed" not in row]
    for training, colour in (("exact", ORANGE), ("through noise", BLUE)):
        curve = sorted(
            (row for row in summary if row["training"] == training and "photons" in row),
            key=lambda row: row["photons"],
        )
        axes.errorbar(
            [row["photons"] for row in curve],
            [100 * row["accuracy"] for row in curve],
            [100 * row["spread"] for row in curve],
            marker="o",
            capsize=3,
            color=colour,
            label={"exact": "trained exactly", "through noise": "trained through the noise"}[training],
        )
    exact = next(row["exact"] for row in summary if "exact" in row)
    axes.axhline(100 * exact, color="0.4", linestyle="--", label="exact product")
    axes.set_xscale("log")
    axes.set(xlabel="detected photons a multiplication (1)", ylabel="test accuracy (%)", title=data)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure
