"""The figure of the README: a device beside the training curve of a network that computes with it."""

from pathlib import Path

from matplotlib.figure import Figure

import optics
from bench.plots._layout import draw_layout
from bench.plots._scale import BLUE, ORANGE
from nets.run import RunFolder


def overview(run: Path | str = "bench/results/digits-conv2d-engine11", preset: str = "engine11") -> Figure:
    """Draw the lens of a device to scale, and beside it the accuracy of a run on this device.

        plots.overview().savefig("bench/results/overview.png", dpi=110)

    Arguments:
        run: folder of `python -m nets.train`, finished.
        preset: name of a device with one lens.

    Returns:
        the figure.

    Raises:
        ValueError: a preset without a lens, or a folder without a finished run.
    """
    lines = RunFolder(Path(run)).lines()
    if not lines or "test_accuracy" not in lines[-1]:
        raise ValueError(f"`run` must be the folder of a finished run, got {run}.")
    figure = Figure(figsize=(13, 4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(8, 5))
    draw_layout(left, optics.presets.load(preset, level="wave"), f"{preset}: one optical Fourier transform")
    axes = right.subplots()
    training = [line for line in lines if "train_accuracy" in line and "epoch" not in line]
    validation = [line for line in lines if "validation_accuracy" in line and "step" in line]
    axes.plot(
        [line["step"] for line in training],
        [100 * line["train_accuracy"] for line in training],
        color=ORANGE,
        linewidth=0.8,
        label="training",
    )
    axes.plot(
        [line["step"] for line in validation],
        [100 * line["validation_accuracy"] for line in validation],
        "o-",
        color=BLUE,
        markersize=4,
        label="validation",
    )
    test = 100 * lines[-1]["test_accuracy"]
    axes.axhline(test, color="0.3", linestyle="--", linewidth=1, label=f"test: {test:.1f} %")
    axes.set(xlabel="optimizer step (1)", ylabel="accuracy (%)", ylim=(0, 102))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    right.suptitle(f"training through noisy {preset}", fontsize=11)
    return figure
