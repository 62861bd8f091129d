"""Training curves as a figure."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    # Matplotlib takes a second, which a run has to spend at its end alone.
    Figure: TypeAlias = Any


def plot_curves(runs: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], title: str = "") -> Figure:
    """Loss and accuracy of runs against the step, also of unfinished ones.

    Arguments:
        runs: name and lines of metrics.jsonl of each run; at least one line.
        title: of the figure.

    Returns:
        the figure: train as a thin line, validation with markers, test dashed, the others in the last line
        (baselines, the exact FFT) in patterns of their own.
    """
    from matplotlib import figure as drawing

    figure = drawing.Figure(figsize=(9.5, 3.8), layout="constrained")
    for axes, metric, unit in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), ("nat", "share of predictions"), strict=True
    ):
        for i, (run, lines) in enumerate(runs):
            _plot_run(axes, metric, f"C{i}", f"{run}, " if len(runs) > 1 else "", lines)
        axes.set(xlabel="optimizer step (1)", ylabel=f"{metric} ({unit})")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    return figure


def _plot_run(axes: Any, metric: str, colour: str, prefix: str, lines: Sequence[Mapping[str, Any]]) -> None:
    steps = [line for line in lines if f"train_{metric}" in line and "epoch" not in line]
    epochs = [line for line in lines if f"validation_{metric}" in line and "step" in line]
    axes.plot(
        [line["step"] for line in steps],
        [line[f"train_{metric}"] for line in steps],
        color=colour,
        linewidth=0.8,
        alpha=0.7,
    )
    axes.plot(
        [line["step"] for line in epochs],
        [line[f"validation_{metric}"] for line in epochs],
        "o-",
        color=colour,
        markersize=4,
        label=f"{prefix}validation (thin: train)",
    )
    patterns = cycle([":", "-.", (0, (1, 4)), (0, (6, 3, 1, 3, 1, 3))])
    for key, value in lines[-1].items():
        name = key.removesuffix(f"_{metric}")
        if name == key or name in ("train", "validation"):
            continue
        axes.axhline(
            value,
            color=colour,
            linestyle="--" if name == "test" else next(patterns),
            linewidth=1,
            label=f"{prefix}{name.replace('_', ' ')} {value:.4f}",
        )
