"""Attention maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.plots._scale import MAGNITUDE


def attention_map(weights: Any, tokens: Sequence[Any] | None = None, title: str = "") -> Figure:
    """Draw the weights with which each token attends to each other, one panel a head.

    Arguments:
        weights: shape (tokens, tokens) or (heads, tokens, tokens), each row summing to 1: the row attends to
            the columns.
        tokens: their names; by default their numbers.
        title: of the figure.

    Returns:
        the figure; colours are shared by the heads.

    Raises:
        ValueError: weights of another shape, or another number of names than tokens.
    """
    maps = np.asarray(weights)
    maps = maps[None] if maps.ndim == 2 else maps
    if maps.ndim != 3 or maps.shape[1] != maps.shape[2] or not maps.size:
        raise ValueError(
            f"`weights` must have shape (heads, tokens, tokens) or (tokens, tokens), got {np.shape(weights)}."
        )
    count = maps.shape[1]
    if tokens is not None and len(tokens) != count:
        raise ValueError(f"`tokens` must name the {count} tokens of `weights`, got {len(tokens)} names.")
    columns = min(4, len(maps))
    rows = -(-len(maps) // columns)
    side = 3.4 if tokens is None else max(3.4, 0.22 * count)
    figure = Figure(figsize=(max(side * columns, 4.5), side * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for head, (panel, weights_of_head) in enumerate(zip(axes, maps, strict=False), 1):
        picture = panel.imshow(
            weights_of_head, cmap=MAGNITUDE, vmin=0, vmax=float(maps.max()), interpolation="nearest"
        )
        panel.set(xlabel="token attended to", ylabel="token that attends")
        panel.set_title(f"head {head}", fontsize=10)
        if tokens is not None:
            panel.set_xticks(range(count), labels=list(map(str, tokens)), rotation=90, fontsize=8)
            panel.set_yticks(range(count), labels=list(map(str, tokens)), fontsize=8)
    for unused in axes[len(maps) :]:
        unused.set_axis_off()
    figure.colorbar(picture, ax=list(axes[: len(maps)]), label="weight (1)", shrink=0.8)
    figure.suptitle(title)
    return figure
