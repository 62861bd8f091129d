"""Products of matrices through light: how close they come, and what they cost."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.output import select
from bench.plots._scale import BLUE, GREEN, ORANGE, PURPLE, RED, SKY

# Readings of the one-shot geometry that are drawn.
READINGS = {
    "a constant": ("0.5", ":"),
    "ramps alone, no whole cycles": (SKY, "s--"),
    "optics, no whole cycles": (PURPLE, "s--"),
    "optics, gain of one exposure": (GREEN, "v-"),
    "optics, gains of two exposures": (BLUE, "o-"),
    "bench with a reference": (ORANGE, "o-"),
    "bench, intensity alone": (RED, "^-"),
}
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)


def products(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench products` measured.

    Arguments:
        rows: "operation" is "geometry" with the error "of_spread" of "reading" and "size", "sweep" with the
            "error" of "device" at "value", "photons" with "terms" and "photons", "ledger" with the joules
            "per_mac" of "device" and "size", or "electronics" with "name" and "per_mac".
        title: of the figure.

    Returns:
        the figure: the error of the one-shot geometry, of noisy devices, and by photons, and the energy of a
            multiply-accumulate.
    """
    figure = Figure(figsize=(11.5, 8.8), layout="constrained")
    (geometry, sweep), (photons, energy) = figure.subplots(2, 2)
    _draw_geometry(geometry, select(rows, operation="geometry"))
    _draw_sweeps(sweep, select(rows, operation="sweep", sweep="photons"))
    _draw_photons(photons, select(rows, operation="photons"))
    _draw_energy(energy, select(rows, operation="ledger"), select(rows, operation="electronics"))
    for axes in (geometry, sweep, photons, energy):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8.5)
    # The legend stands below the curves.
    geometry.set_ylim(bottom=4e-3)
    geometry.legend(frameon=False, fontsize=8.5, ncols=2, loc="lower center")
    figure.suptitle(title)
    return figure


def _draw_geometry(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for reading, (colour, style) in READINGS.items():
        curve = select(rows, reading=reading)
        sizes, errors = ([row[key] for row in curve] for key in ("size", "of_spread"))
        axes.semilogy(sizes, errors, style, color=colour, label=reading)
    sizes = sorted({row["size"] for row in rows})
    # The published bound of the RMS error, of the maximum, in units of the spread.
    bounds = [0.1 * row["maximum"] for row in select(rows, reading="a constant")]
    axes.semilogy(sizes, bounds, color="0.2", linestyle="-.", label="RMS 0.1 of the maximum (published)")
    axes.set_xticks(sizes)
    axes.set(xlabel="rows, inner size and columns (1)", ylabel="RMS error (spread of the exact product)")
    axes.set_title("one exposure multiplies two matrices of numbers from 0 to 1")


def _draw_sweeps(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for colour, device in zip(COLOURS, dict.fromkeys(row["device"] for row in rows), strict=False):
        curve = select(rows, device=device)
        photons, errors = ([row[key] for row in curve] for key in ("value", "error"))
        axes.loglog(photons, errors, "o-", color=colour, label=f"{device}, {curve[0]['shape']}")
    axes.set(xlabel="photons of a full-scale detector (1)", ylabel="relative RMS error (1)")
    axes.set_title("devices with all their noise, numbers of both signs")


def _draw_photons(axes: Axes, rows: list[dict[str, Any]]) -> None:
    # Both sweeps fall on one line: the photons of a product are those of a multiplication times the terms.
    published = [row for row in rows if row.get("published")]
    ours = [row for row in rows if not row.get("published")]
    fixed = max({row["terms"] for row in ours}, key=lambda count: len(select(ours, terms=count)))
    for curve, style, label in (
        ([row for row in ours if row["terms"] != fixed], (BLUE, "o"), "1 photon a multiplication, any terms"),
        (select(ours, terms=fixed), (ORANGE, "s"), f"{fixed} terms, any light"),
        (published, (RED, "*"), "505,521 terms, 0.001 photons each (Wang 2022)"),
    ):
        light = [row["photons"] * row["terms"] for row in curve]
        errors = [row["error"] for row in curve]
        axes.loglog(light, errors, style[1], color=style[0], markersize=13 if curve is published else 6)
        if curve:
            axes.lines[-1].set_label(label)
    light = np.array(sorted({row["photons"] * row["terms"] for row in rows}))
    axes.loglog(light, light**-0.5, color="0.4", linewidth=1, label="1/√photons")
    axes.set(xlabel="detected photons of a product (1)", ylabel="RMS error (mean of the product)")
    axes.set_title("shot noise alone, numbers from 0 to 1")


def _draw_energy(axes: Axes, rows: list[dict[str, Any]], electronics: list[dict[str, Any]]) -> None:
    for colour, device in zip(COLOURS, dict.fromkeys(row["device"] for row in rows), strict=False):
        curve = select(rows, device=device)
        keys = "size", "per_mac", "per_mac_low", "per_mac_high"
        sizes, joules, low, high = ([row[key] for row in curve] for key in keys)
        axes.loglog(sizes, joules, "o-", color=colour, label=device)
        axes.fill_between(sizes, low, high, color=colour, alpha=0.08, linewidth=0)
    sizes = sorted({row["size"] for row in rows})
    for row in electronics:
        axes.axhline(row["per_mac"], color="0.4", linestyle="--", linewidth=1)
        place = (0.99, row["per_mac"])
        axes.annotate(
            row["name"], place, xycoords=("axes fraction", "data"), fontsize=8, ha="right", va="bottom"
        )
    axes.minorticks_off()
    axes.set_xticks(sizes, labels=[f"{size:,}" for size in sizes])
    axes.set(xlabel="rows, inner size and columns (1)", ylabel="energy of a multiply–accumulate (J)")
    axes.set_title("all costs of the ledger; electronics, arithmetic alone (dashed)")
