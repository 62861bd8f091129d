"""Studies of trained networks on a device."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.output import select
from bench.plots._scale import BLUE, GREEN, ORANGE
from nets.config import current_names

AXES = {
    "photons": "photoelectrons of a full-scale field in a frame",
    "adc_bits": "ADC (bits a quadrature)",
    "dac_bits": "DAC (bits a quadrature)",
    "aberration": "aberrations (waves rms, mean of four units)",
}
NOMINAL_PHOTONS = 62_400  # photoelectrons of engine11
COLOURS = {"trained exactly": BLUE, "trained through the device": ORANGE}
RULES = {"simulator": BLUE, "ideal": ORANGE, "optical": GREEN}
# Reviews of IMDb, which rows that were recorded without a number of reviews are of.
HELD_OUT_REVIEWS, TEST_REVIEWS = 2_500, 25_000


def studies(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench studies` measured.

    Arguments:
        rows: of the studies "alone", "deployed", "population", "gradient" and "curve".
        title: of the figure.

    Returns:
        the figure, a panel for each study. Bars of error are ± one binomial standard error of an accuracy,
        from the number of reviews, and ± one standard deviation of a cosine over batches.
    """
    rows = [_with_current_names(row) for row in rows]
    figure = Figure(figsize=(13, 14), layout="constrained")
    panels = figure.subplots(4, 2)
    for axes, field in zip(panels[:2].ravel(), AXES, strict=True):
        _draw_sweep(axes, rows, field)
    _draw_population(panels[2, 0], select(rows, study="population"))
    _draw_gradients(panels[2, 1], select(rows, study="gradient"))
    curves = select(rows, study="curve")
    _draw_kernels(panels[3, 0], [row for row in curves if set(row["differs_in"]) <= {"kernel", "device"}])
    _draw_noise(panels[3, 1], curves)
    for axes in panels.ravel():
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    return figure


def standard_error(accuracy: float, rows: int) -> float:
    """Binomial standard error of an accuracy p over n rows, √(p (1 − p) / n)."""
    return math.sqrt(accuracy * (1 - accuracy) / rows)


def _with_current_names(row: dict[str, Any]) -> dict[str, Any]:
    """The row with options of a run under the names that they have now."""
    renamed = current_names(row)
    if "differs_in" in row:
        renamed["differs_in"] = [*current_names(dict.fromkeys(row["differs_in"]))]
    return renamed


def _draw_accuracies(
    axes: Axes, x: Sequence[float], accuracies: Sequence[float], reviews: int, style: str, **options: Any
) -> None:
    """Accuracies in per cent with their standard errors."""
    errors = [100 * standard_error(accuracy, reviews) for accuracy in accuracies]
    percent = [100 * accuracy for accuracy in accuracies]
    axes.errorbar(x, percent, errors, fmt=style, capsize=2, elinewidth=1, markersize=5, **options)


def _draw_sweep(axes: Axes, rows: list[dict[str, Any]], field: str) -> None:
    for name, colour in COLOURS.items():
        points = select(rows, study="deployed", network=name, field=field)
        values, accuracies = [row["value"] for row in points], [row["accuracy"] for row in points]
        if points:
            label = f"{name}, on the device"
            _draw_accuracies(axes, values, accuracies, HELD_OUT_REVIEWS, "o-", color=colour, label=label)
    for row in select(rows, study="alone", network="trained exactly"):
        label = "the same network without a device"
        axes.axhline(100 * row["accuracy"], color=COLOURS["trained exactly"], linestyle=":", label=label)
    axes.set(xlabel=AXES[field], ylabel="accuracy, reviews held out (%)")
    axes.set_xscale("log" if field == "photons" else "linear")


def _draw_population(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for height, (name, colour) in zip((1.06, 1.14), COLOURS.items(), strict=True):
        accuracies = np.sort([row["accuracy"] for row in select(rows, network=name)])
        if not len(accuracies):
            continue
        shares = np.arange(1, len(accuracies) + 1) / len(accuracies)
        mean, lowest = 100 * accuracies.mean(), 100 * np.percentile(accuracies, 5)
        error = 100 * standard_error(accuracies.mean(), HELD_OUT_REVIEWS)
        label = f"{name}: mean {mean:.2f} ± {error:.2f} %, 5th percentile {lowest:.2f} %"
        axes.step(100 * accuracies, shares, where="post", color=colour, label=label)
        # All units read the same reviews: other reviews would move the whole curve by this much.
        axes.errorbar(mean, height, xerr=error, fmt="|", color=colour, capsize=2)
    axes.set(xlabel="accuracy, reviews held out (%)", ylabel="share of units at or below", ylim=(0, 1.5))


def _draw_gradients(axes: Axes, rows: list[dict[str, Any]]) -> None:
    places = [(stage, part) for stage in ("before training", "after training") for part in ("mixers", "rest")]
    for i, (rule, colour) in enumerate(RULES.items()):
        points = {(row["stage"], row["part"]): row for row in select(rows, rule=rule)}
        if not points:
            continue
        distances = np.array([1 - points[place]["cosine"] for place in places])
        # Rounding can leave a cosine a hair above 1.
        distances = np.maximum(distances, 1e-8)
        deviations = np.array([points[place]["cosine_deviation"] for place in places])
        errors = [np.minimum(deviations, 0.9 * distances), deviations]
        x = np.arange(len(places)) + 0.15 * (i - 1)
        axes.errorbar(x, distances, errors, fmt="osD"[i], color=colour, capsize=2, label=rule)
    axes.set_xticks(range(len(places)), [f"{part},\n{stage}" for stage, part in places])
    axes.set(ylabel="1 − cosine with the exact gradient", yscale="log")
    axes.margins(y=0.25)


def _draw_kernels(axes: Axes, rows: list[dict[str, Any]]) -> None:
    # Beside one another, as runs of the two often take equally long.
    for device, colour, shift in (("none", BLUE, -0.1), ("engine11", ORANGE, 0.1)):
        points = [row for row in select(rows, device=device) if row["epochs_to_80"]]
        axes.plot(
            [(row["kernel"] or row["shape"])[0] + shift for row in points],
            [row["epochs_to_80"] for row in points],
            "o",
            color=colour,
            label={"none": "exact"}.get(device, device),
        )
    axes.set(xlabel="kernel (taps a side)", ylabel="passes until 80 % of the training reviews")
    axes.set_ylim(0, 1.15 * axes.get_ylim()[1])


def _draw_noise(axes: Axes, rows: list[dict[str, Any]]) -> None:
    # Runs with other numbers of the device belong to other panels.
    with_light = [row for row in rows if all(text.startswith("photons=") for text in row["overrides"])]
    through = [row for row in with_light if set(row["differs_in"]) in ({"device"}, {"device", "overrides"})]
    tuned = [row for row in with_light if "init_from" in row["differs_in"]]
    for runs, style, colour, label in (
        (through, "s-", ORANGE, "trained through the device"),
        (tuned, "*", GREEN, "trained exactly, fine-tuned on the device"),
    ):
        accuracies: dict[float, list[float]] = {}
        for row in runs:
            accuracies.setdefault(_photons(row), []).append(row["accuracy"])
        photons = sorted(accuracies)
        if photons:
            means = [float(np.mean(accuracies[number])) for number in photons]
            _draw_accuracies(axes, photons, means, TEST_REVIEWS, style, color=colour, label=label)
    exact = [100 * row["accuracy"] for row in rows if not row["differs_in"]]
    if exact:
        axes.axhline(np.mean(exact), color=BLUE, linestyle=":", label="exact twin")
        axes.axhline(np.mean(exact) - 3, color="0.4", linestyle="--", label="3 points below")
    axes.set(xlabel=AXES["photons"], ylabel="test accuracy (%)", xscale="log")


def _photons(row: dict[str, Any]) -> float:
    return float(row["overrides"][0].removeprefix("photons=")) if row["overrides"] else NOMINAL_PHOTONS
