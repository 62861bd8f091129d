"""Cost of the hardware: energy by cause, break-even, and exposures."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.config import CORRELATOR_SIDE, PLANE_SIDE
from bench.output import select
from optics import accounting


def ledger(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench ledger` counted.

    Arguments:
        rows: of the tables "computations" and "one frame", and "break-even" if conversions have a price.
        title: of the figure.

    Returns:
        the figure: shares of the energy, break-even where there is such a table, and exposures against
            tokens.
    """
    break_even = select(rows, table="break-even")
    figure = Figure(figsize=(15 if break_even else 10, 4.2), layout="constrained")
    energy, *middle, exposures = figure.subplots(1, 3 if break_even else 2)
    computations = select(rows, table="computations")
    _draw_energy(energy, [row for row in computations if "training" not in row["computation"]])
    for axes in middle:
        _draw_break_even(axes, break_even)
    _draw_exposures(exposures, select(rows, table="one frame"))
    figure.suptitle(title)
    return figure


def _draw_energy(axes: Axes, rows: list[dict[str, Any]]) -> None:
    places = np.arange(len(rows))
    bottom = np.zeros(len(rows))
    for term in rows[0]["terms"]:
        share = np.array([100 * row["terms"][term][0] / row["joules"] for row in rows])
        if share.max() >= 0.5:
            axes.barh(places, share, left=bottom, label=term, height=0.6)
            bottom += share
    axes.set(yticks=places, xlabel="share of the energy (%)", title="where the energy goes")
    labels = [row["computation"].replace(" attention, ", "\n").replace("heads, ", "heads,\n") for row in rows]
    axes.set_yticklabels(labels, fontsize=7)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4)


def _draw_break_even(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Energy of a complex number: 5 log₂ N operations of the FFT, or all that light pays for it."""
    numbers = np.logspace(0.31, 9, 100)
    for name, per_flop in accounting.electronics().items():
        axes.loglog(numbers, 5e12 * np.log2(numbers) * per_flop.value, label=f"FFT on {name}")
    published = [row for row in rows if row["converters"] in accounting.converters()] or rows
    for name, row in {row["converters"]: row for row in published}.items():
        energy = 1e12 * (row["joules_of_number"] + row["joules_of_exposure"] / numbers)
        axes.loglog(numbers, energy, color="0.4", linewidth=0.8, linestyle="--")
        # Two sets lie close together.
        side = "top" if name.startswith("Albireo") else "bottom"
        place = (1.01, energy[-1])
        axes.annotate(name, place, xycoords=("axes fraction", "data"), va=side, fontsize=7)
    axes.set(xlabel="numbers in a transform (1)", ylabel="energy of a complex number (pJ)")
    axes.set_title("electronics at its peak rate (lines), light (dashed)")
    axes.legend(frameon=False, fontsize=7, loc="upper left")


def _draw_exposures(axes: Axes, rows: list[dict[str, Any]]) -> None:
    tokens = [row["tokens"] for row in rows]
    planes, correlator = f"{PLANE_SIDE}×{PLANE_SIDE}", f"{CORRELATOR_SIDE}×{CORRELATOR_SIDE}"
    for key, style, label in (
        ("correlator_frames", "o-", f"{planes} planes on a {correlator} correlator"),
        ("device_frames", "s-", "one at a time on the device"),
    ):
        axes.loglog(tokens, [row[key] for row in rows], style, label=label)
    axes.set(xlabel="tokens that meet one kernel (1)", ylabel="exposures (1)")
    axes.set_title("flat until the frame is full")
    axes.grid(which="major", alpha=0.3)
    axes.legend(frameon=False, fontsize=7)
