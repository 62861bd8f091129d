"""Patterns of a modulator, in grey levels."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

MOST = 8  # that are still large enough on a page


def pattern(rows: list[dict[str, Any]], title: str = "") -> Figure:
    """Draw what `python -m bench pattern` wrote: the grey levels in the middle of each file.

    Arguments:
        rows: one a file; `levels` holds its lines in hexadecimal.
        title: of the figure.

    Returns:
        the figure, of the first 8 files.
    """
    first = rows[:MOST]
    columns = min(4, len(first))
    lines = -(-len(first) // columns)
    figure = Figure(figsize=(max(3.3 * columns, 4.5), 3.3 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    picture = None
    for panel, row in zip(axes, first, strict=False):
        levels = np.array([list(bytes.fromhex(line)) for line in row["levels"]])
        picture = panel.imshow(levels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        panel.set_title(f"{row['file']}\nrms error {row['rms_error']:.2g} {row['unit']}", fontsize=8)
        panel.set(xticks=[], yticks=[])
    for unused in axes[len(first) :]:
        unused.set_axis_off()
    figure.colorbar(picture, ax=list(axes), label="grey level (1)")
    figure.suptitle(title or "patterns of the modulator")
    return figure
