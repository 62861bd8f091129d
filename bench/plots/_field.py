"""A complex field on a plane."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.plots._scale import amplitude_and_phase


def field(u: Any, dx: Any = None, title: str = "") -> Figure:
    """Draw amplitude and phase of a field side by side, the axis at sample n//2.

    Arguments:
        u: field, complex or real, shape (rows, columns).
        dx: sample spacing, m; None counts samples.
        title: of the figure.

    Returns:
        the figure; the phase is left out where the amplitude is below a thousandth of the largest.

    Raises:
        ValueError: `u` is not one plane, or `dx` not positive.
    """
    u = as_one_plane("u", u)
    figure = Figure(figsize=(8.6, 3.6), layout="constrained")
    amplitude_and_phase(*figure.subplots(1, 2), u, dx)
    figure.suptitle(title)
    return figure


def as_one_plane(name: str, value: Any) -> np.ndarray:
    """The value as an array of two axes.

    Raises:
        ValueError: another number of axes, or an empty one.
    """
    array = np.asarray(value)
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"`{name}` must be one plane of shape (rows, columns), got shape {array.shape}; "
            f"pick one, such as `{name}[0]`."
        )
    return array
