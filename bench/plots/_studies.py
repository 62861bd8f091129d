"""The studies as pictures."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

UNITS = {
    "photons": "photoelectrons of a full-scale field in a frame",
    "adc_bits": "ADC (bits a quadrature)",
    "dac_bits": "DAC (bits a quadrature)",
    "aberration": "aberrations (waves rms, mean of four units)",
}
NOMINAL = 62_400  # photoelectrons of engine11
COLOURS = {"trained exactly": "C0", "trained through the device": "C1"}


def picture(rows: list[dict[str, Any]]) -> Figure:
    """A panel a study."""
    figure = Figure(figsize=(13, 14), layout="constrained")
    panels = figure.subplots(4, 2)
    for axes, field in zip(panels[:2].ravel(), UNITS, strict=True):
        _swept(axes, rows, field)
    _population(panels[2, 0], [row for row in rows if row["study"] == "population"])
    _gradients(panels[2, 1], [row for row in rows if row["study"] == "gradient"])
    curves = [row for row in rows if row["study"] == "curve"]
    _kernels(panels[3, 0], [row for row in curves if set(row["differs_in"]) <= {"kernel", "device"}])
    _noise(panels[3, 1], curves)
    for axes in panels.ravel():
        axes.grid(alpha=0.3)
    return figure


def _swept(axes: Any, rows: list[dict[str, Any]], field: str) -> None:
    for name, colour in COLOURS.items():
        own = [
            row
            for row in rows
            if row["study"] == "deployed" and row["network"] == name and row["field"] == field
        ]
        axes.plot(
            [row["value"] for row in own],
            [100 * row["accuracy"] for row in own],
            "o-",
            color=colour,
            label=f"{name}, on the device",
        )
        alone = [row["accuracy"] for row in rows if row["study"] == "alone" and row["network"] == name]
        if name == "trained exactly" and alone:
            axes.axhline(
                100 * alone[0], color=colour, linestyle=":", label="the same network without a device"
            )
    axes.set(
        xlabel=UNITS[field],
        ylabel="accuracy, reviews held out (%)",
        xscale="log" if field == "photons" else "linear",
    )
    _legend(axes)


def _population(axes: Any, rows: list[dict[str, Any]]) -> None:
    for name, colour in COLOURS.items():
        found = np.sort([100 * row["accuracy"] for row in rows if row["network"] == name])
        if len(found):
            label = f"{name}: mean {found.mean():.2f} %, 5th percentile {np.percentile(found, 5):.2f} %"
            axes.step(
                found, np.arange(1, len(found) + 1) / len(found), where="post", color=colour, label=label
            )
    axes.set(xlabel="accuracy, reviews held out (%)", ylabel="share of units at or below", ylim=(0, 1.3))
    _legend(axes)


def _gradients(axes: Any, rows: list[dict[str, Any]]) -> None:
    places = [(stage, part) for stage in ("before training", "after training") for part in ("mixers", "rest")]
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    for i, rule in enumerate(rules):
        own = {(row["stage"], row["part"]): row for row in rows if row["rule"] == rule}
        at = np.arange(len(places)) + 0.25 * (i - 1)
        values = [own[place]["cosine"] for place in places]
        axes.bar(
            at, values, 0.22, yerr=[own[place]["cosine_deviation"] for place in places], label=rule, capsize=2
        )
    axes.set_xticks(range(len(places)), [f"{part},\n{stage}" for stage, part in places])
    axes.set(ylabel="cosine with the exact gradient", ylim=(0, 1.15))
    _legend(axes, ncols=3, loc="upper center")


def _kernels(axes: Any, rows: list[dict[str, Any]]) -> None:
    # Beside one another, as runs of the two often take equally long.
    for device, colour, aside in (("none", "C0", -0.1), ("engine11", "C1", 0.1)):
        own = [row for row in rows if row["device"] == device and row["epochs_to_80"]]
        axes.plot(
            [(row["kernel"] or row["shape"])[0] + aside for row in own],
            [row["epochs_to_80"] for row in own],
            "o",
            color=colour,
            label={"none": "exact"}.get(device, device),
        )
    axes.set(xlabel="kernel (taps a side)", ylabel="passes until 80 % of the training reviews")
    axes.set_ylim(0, 1.15 * axes.get_ylim()[1])
    _legend(axes)


def _noise(axes: Any, rows: list[dict[str, Any]]) -> None:
    exact = [100 * row["accuracy"] for row in rows if not row["differs_in"]]
    # Of other numbers of the device the other panels tell.
    of_light = [row for row in rows if all(number.startswith("photons=") for number in row["overrides"])]
    through = [row for row in of_light if set(row["differs_in"]) in ({"device"}, {"device", "overrides"})]
    tuned = [row for row in of_light if "init_from" in row["differs_in"]]
    for own, style, label in (
        (through, "C1s-", "trained through the device"),
        (tuned, "C2*", "trained exactly, fine-tuned on the device"),
    ):
        points = [
            (
                float(row["overrides"][0].removeprefix("photons=")) if row["overrides"] else NOMINAL,
                100 * row["accuracy"],
            )
            for row in own
        ]
        photons = sorted({number for number, _ in points})
        means = [np.mean([accuracy for number, accuracy in points if number == one]) for one in photons]
        if points:
            axes.plot(photons, means, style, label=label)
    if exact:
        axes.axhline(np.mean(exact), color="C0", linestyle=":", label="exact twin")
        axes.axhline(np.mean(exact) - 3, color="0.4", linestyle="--", label="3 points below")
    axes.set(xlabel=UNITS["photons"], ylabel="test accuracy (%)", xscale="log")
    _legend(axes)


def _legend(axes: Any, **options: Any) -> None:
    """A legend, where there is something to explain."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, **options)
