"""What a camera gives."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.plots._scale import GREY, SIGNED, image

MOST = 8  # frames that can be told apart on a page


def frames(frames: Any, dx: Any = None, title: str = "") -> Figure:
    """Camera frames side by side, on one scale: grey for intensities, two colours around zero where frames are signed.

    Arguments:
        frames: in units of full scale, shape (rows, columns) or (..., rows, columns); the first 8 are shown.
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
            f"`frames` must be real, of shape (..., rows, columns), got {planes.dtype} of shape {planes.shape}."
        )
    planes = planes.reshape(-1, *planes.shape[-2:])
    shown = planes[:MOST]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(max(3.2 * columns, 4), 3.1 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    largest = float(max(np.abs(shown).max(), 1e-30))
    signed = shown.min() < 0
    for i, (panel, plane) in enumerate(zip(axes, shown, strict=False)):
        cmap, limits = (SIGNED, (-largest, largest)) if signed else (GREY, (0, largest))
        image(panel, plane, "of full scale (1)", dx, cmap, limits, f"frame {i + 1} of {len(planes)}")
    for unused in axes[len(shown) :]:
        unused.set_axis_off()
    figure.suptitle(title)
    return figure
