"""Training curves as a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure


def drawn(runs: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], title: str = "") -> Figure:
    """Loss and accuracy of runs against the step; also while they train.

    Arguments:
        runs: (name, lines of metrics.jsonl) of each, at least one line.
        title: of the figure.

    Returns:
        the figure: train thin, validation with marks, test dashed and a bag of words dotted where the run is finished.
    """
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    for axes, what, unit in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), ("nat", "share of rows"), strict=True
    ):
        for i, (run, lines) in enumerate(runs):
            colour, name = f"C{i}", f"{run}, " if len(runs) > 1 else ""
            steps = [line for line in lines if f"train_{what}" in line and "epoch" not in line]
            epochs = [line for line in lines if f"validation_{what}" in line and "step" in line]
            axes.plot(
                [line["step"] for line in steps],
                [line[f"train_{what}"] for line in steps],
                color=colour,
                linewidth=0.8,
                alpha=0.7,
            )
            marks = {"color": colour, "markersize": 4, "label": f"{name}validation (thin: train)"}
            axes.plot(
                [line["step"] for line in epochs],
                [line[f"validation_{what}"] for line in epochs],
                "o-",
                **marks,
            )
            for key, style, words in (
                (f"test_{what}", "--", "test"),
                (f"bag_of_words_{what}", ":", "bag of words"),
            ):
                if key in lines[-1]:
                    axes.axhline(
                        lines[-1][key],
                        color=colour,
                        linestyle=style,
                        linewidth=1,
                        label=f"{name}{words} {lines[-1][key]:.4f}",
                    )
        axes.set(xlabel="optimizer step (1)", ylabel=f"{what} ({unit})")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    return figure
