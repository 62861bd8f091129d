"""Validation loss against an option."""

from typing import Any

from matplotlib.figure import Figure

from bench.output import select


def tuning(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench tuning` measured.

    Arguments:
        rows: "arm", the option that was tuned as the second key, and "validation_loss".
        title: of the figure.

    Returns:
        the figure, a line for each variant.
    """
    option = [*rows[0]][1]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for i, name in enumerate(dict.fromkeys(row["arm"] for row in rows)):
        variant = select(rows, arm=name)
        axes.plot(
            [row[option] for row in variant],
            [row["validation_loss"] for row in variant],
            marker="osv^D"[i % 5],
            linestyle=("-", "--")[i // 10 % 2],
            label=name,
        )
    axes.set(xscale="log", xlabel=option.replace("_", " "), ylabel="validation loss (nat)")
    values = sorted({row[option] for row in rows})
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.suptitle(title)
    return figure
