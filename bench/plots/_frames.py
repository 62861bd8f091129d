"""Camera frames."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.plots._scale import frame_colours, image

MOST_FRAMES = 8  # that are still large enough on a page


def frames(frames: Any, dx: Any = None, title: str = "") -> Figure:
    """Draw camera frames side by side on one scale: grey, or two colours around zero for signed frames.

    Arguments:
        frames: in units of full scale, shape (rows, columns) or (..., rows, columns); the first 8 are drawn.
        dx: pixel spacing, m; None counts pixels.
        title: of the figure.

    Returns:
        the figure.

    Raises:
        ValueError: fewer than two axes, complex numbers, or `dx` not positive.
    """
    planes = np.asarray(frames)
    if planes.ndim < 2 or not planes.size or np.iscomplexobj(planes):
        raise ValueError(
            f"`frames` must be real, of shape (..., rows, columns), got {planes.dtype} of shape "
            f"{planes.shape}."
        )
    planes = planes.reshape(-1, *planes.shape[-2:])
    first = planes[:MOST_FRAMES]
    columns = min(4, len(first))
    rows = -(-len(first) // columns)
    figure = Figure(figsize=(max(3.2 * columns, 4), 3.1 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    cmap, limits = frame_colours(first, signed=bool(first.min() < 0))
    for i, (panel, plane) in enumerate(zip(axes, first, strict=False), 1):
        image(panel, plane, "of full scale (1)", dx, cmap, limits, f"frame {i} of {len(planes)}")
    for unused in axes[len(first) :]:
        unused.set_axis_off()
    figure.suptitle(title)
    return figure
