"""Language models: perplexities beside those of counting, and what a device does to them."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.plots._scale import BLUE, ORANGE

LABELS = {
    "photons": "photons of a full-scale pixel (1)",
    "adc_bits": "bits of the ADCs",
    "dac_bits": "bits of the DACs",
    "aberration": "aberration (waves rms)",
}
COLOURS = {"trained without light": ORANGE, "trained through light": BLUE}


def language(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench language` measured.

    Arguments:
        rows: of "what" network (perplexity and its interval), baseline, and study.
        title: of the figure.

    Returns:
        the figure: perplexity of each network beside the baselines, and against each parameter of the device;
        units before and after recalibration at last.
    """
    studies = [row for row in rows if row["what"] == "study"]
    fields = [field for field in LABELS if any(row.get("field") == field for row in studies)]
    has_units = any(row["study"] == "unit" for row in studies)
    panels = 1 + len(fields) + has_units
    lines, columns = -(-panels // 3), min(panels, 3)
    figure = Figure(figsize=(4.6 * columns, 3.9 * lines), layout="constrained")
    first, *others = np.ravel(figure.subplots(lines, columns))
    for axes in others[panels - 1 :]:
        axes.set_axis_off()
    others = others[: panels - 1]
    _draw_networks(first, rows)
    for axes, field in zip(others, fields, strict=False):
        _draw_sweep(axes, studies, field)
    if has_units:
        _draw_units(others[-1], studies)
    figure.suptitle(title or "language models: perplexity of a token")
    return figure


def _draw_networks(axes: Axes, rows: list[dict[str, Any]]) -> None:
    networks = [row for row in rows if row["what"] == "network"]
    for place, row in enumerate(networks):
        error = [[row["perplexity"] - row["low"]], [row["high"] - row["perplexity"]]]
        colour = ORANGE if row["device"] == "none" else BLUE
        axes.errorbar(row["perplexity"], place, xerr=error, fmt="o", color=colour, capsize=3)
    axes.set_yticks(range(len(networks)), labels=[row["name"] for row in networks])
    axes.invert_yaxis()
    shown = [row for row in rows if row["what"] == "baseline" and row["name"] != "unigram"]
    for row, style in zip(shown, ("--", ":"), strict=False):
        axes.axvline(row["perplexity"], color="0.3", linestyle=style, linewidth=1, label=row["name"])
    if shown:
        axes.legend(frameon=False, fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    axes.set(xlabel="perplexity of the test (1), bars: 95 %")


def _draw_sweep(axes: Axes, studies: list[dict[str, Any]], field: str) -> None:
    for name, colour in COLOURS.items():
        points = [row for row in studies if row["network"] == name and row.get("field") == field]
        fitted = [row for row in points if row["study"] == "recalibrated device"]
        axes.plot(
            [row["value"] for row in fitted],
            [row["perplexity"] for row in fitted],
            "o--",
            color=colour,
            markerfacecolor="none",
            label=f"{name}, norms fitted there" if fitted else None,
        )
        points = [row for row in points if row not in fitted]
        axes.plot(
            [row["value"] for row in points],
            [row["perplexity"] for row in points],
            "o-",
            color=colour,
            label=name,
        )
        for row in studies:
            if row["network"] == name and row["study"] == "exact":
                axes.axhline(row["perplexity"], color=colour, linestyle=":", linewidth=1)
    axes.set(xlabel=LABELS[field], ylabel="perplexity of rows held out (1)")
    if field == "photons":
        axes.set(xscale="log", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False, fontsize=8, title="dotted: exact", title_fontsize=8)


def _draw_units(axes: Axes, studies: list[dict[str, Any]]) -> None:
    kinds = {"unit": "as trained", "recalibrated unit": "norms fitted there"}
    for place, (name, colour) in enumerate(COLOURS.items()):
        for shift, kind in zip((-0.15, 0.15), kinds, strict=True):
            values = [row["perplexity"] for row in studies if row["network"] == name and row["study"] == kind]
            filled = colour if kind == "unit" else "none"
            axes.plot([place + shift] * len(values), values, "o", color=colour, markerfacecolor=filled)
    axes.set_xticks(range(len(COLOURS)), labels=[name.replace(" ", "\n", 1) for name in COLOURS])
    axes.set(ylabel="perplexity of rows held out (1)", title="units; open: norms fitted there")
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.margins(x=0.3)
    axes.grid(axis="y", alpha=0.3, which="both")
