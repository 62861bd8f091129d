"""Errors of a device by condition, by effect, and against each of its numbers."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.plots._error_budget import draw_error_budget

# Sweeps of one unit share a panel; the label of its axis.
SHARED_AXES = {"bits": "bits of a converter (1)", "waves rms": "aberration (waves rms over the pupil)"}
PHOTONS = "photons of a full-scale pixel in a frame (1)"


def fidelity(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench fidelity` measured.

    Arguments:
        rows: errors by condition; those with "sweep" are of the error budget, of one number of the device, or
            of what laboratories do and of the sampling of the lens, which are not drawn.
        title: of the figure.

    Returns:
        the figure: conditions as bars, the error budget, and a panel for each kind of number.
    """
    conditions = [row for row in rows if "sweep" not in row]
    sweeps = [row for row in rows if row.get("sweep") not in (None, "budget", "practice", "sampling")]
    panels = _group_sweeps(sweeps)
    columns = max(3, -(-(len(panels) + 2) // 2))
    figure = Figure(figsize=(4.6 * columns, 8), layout="constrained")
    first, second, *others = figure.subplots(2, columns).ravel()
    _draw_conditions(first, conditions)
    draw_error_budget(second, [row for row in rows if row.get("sweep") == "budget"])
    second.set(xlabel="relative RMS error of one convolution (1)", ylabel="")
    second.tick_params(axis="y", labelsize=8)
    for axes, kinds in zip(others, panels, strict=False):
        _draw_sweeps(axes, sweeps, kinds)
    for axes in others[len(panels) :]:
        axes.set_axis_off()
    figure.suptitle(title and f"{title} against the exact FFT")
    return figure


def _group_sweeps(rows: list[dict[str, Any]]) -> list[list[tuple[str, str]]]:
    """(sweep, unit) of the curves of each panel: numbers first, then bits, aberrations and shifts."""
    kinds = list(dict.fromkeys((row["sweep"], row["unit"]) for row in rows))
    alone = [[kind] for kind in kinds if kind[1] not in (*SHARED_AXES, "pixels")]
    shared = [[kind for kind in kinds if kind[1] == unit] for unit in SHARED_AXES]
    shifts = [[kind] for kind in kinds if kind[1] == "pixels"]
    return [*alone, *filter(None, shared), *shifts]


def _draw_conditions(axes: Axes, rows: list[dict[str, Any]]) -> None:
    operations = list(dict.fromkeys(row["operation"] for row in rows))
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    # Bars of one condition stand side by side around its mark.
    shifts = 0.4 * np.arange(len(operations)) - 0.2 * (len(operations) - 1)
    for shift, operation in zip(shifts, operations, strict=True):
        errors = [row["relative_rms_error"] for row in rows if row["operation"] == operation]
        bars = axes.bar(np.arange(len(errors)) + shift, errors, width=0.38, label=operation)
        axes.bar_label(bars, [f"{error:.1e}" for error in errors], fontsize=7)
    axes.set(yscale="log", ylabel="relative RMS error (1)", xticks=range(len(conditions)))
    axes.set_xticklabels(conditions)
    # Room for the legend above the bars.
    low, high = (pick(row["relative_rms_error"] for row in rows) for pick in (min, max))
    axes.set_ylim(low / 2, high * (high / low) ** 0.25 * 2)
    axes.legend(frameon=False, loc="upper left", ncols=2, fontsize=8)


def _draw_sweeps(axes: Axes, rows: list[dict[str, Any]], kinds: list[tuple[str, str]]) -> None:
    for name, _ in kinds:
        points = [(row["value"], row["relative_rms_error"]) for row in rows if row["sweep"] == name]
        axes.plot(*zip(*points, strict=True), marker=".", label=name)
    name, unit = kinds[0]
    axes.set(yscale="log", ylabel="relative RMS error of one convolution (1)")
    axes.set_xlabel(SHARED_AXES.get(unit, f"{name} ({unit})"))
    if name == "photons":
        axes.set(xscale="log", xlabel=PHOTONS)
    if unit == "extinction":
        axes.set(xscale="log", xlabel=f"{unit} of the {name} (1)")
    if unit in SHARED_AXES:
        axes.legend(frameon=False, fontsize=8)
    axes.grid(which="major", alpha=0.3)
