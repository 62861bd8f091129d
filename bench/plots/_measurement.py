"""Measurements: a field as frames, and the field computed from them."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from bench.plots._patterns import complex_plane
from bench.plots._scale import amplitude_and_phase, error_label, frame_colours, image
from optics import AbstractMeasurement
from optics.metrics import relative_error

MOST_FRAMES = 3  # that are drawn


def measurement(measurement: AbstractMeasurement, field: Any = None, title: str = "") -> Figure:
    """Draw the frames that a measurement takes of a field, and the error of the field computed from them.

    Arguments:
        measurement: such as `optics.PhaseShifting(4)`.
        field: shape (rows, columns), of at most 1 in modulus; by default amplitudes from 0 to 0.7 down and
            all phases across.
        title: of the figure.

    Returns:
        the figure; the first 3 frames are drawn.
    """
    field = 0.7 * complex_plane((12, 12)) if field is None else jnp.asarray(field)
    frames, measured = map(np.asarray, _measure(measurement, field))
    first = frames[:MOST_FRAMES]
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    axes = figure.subplots(2, max(3, len(first)))
    amplitude_and_phase(axes[0, 0], axes[0, 1], field, title="field")
    error = np.abs(measured - np.asarray(field))
    image(
        axes[0, 2],
        error,
        "|measured − field| (1)",
        limits=(0, max(error.max(), 1e-9)),
        title=f"error: {error_label(relative_error(measured, field), 'the field')}",
    )
    cmap, limits = frame_colours(first, measurement.signed)
    for i, (panel, plane) in enumerate(zip(axes[1], first, strict=False), 1):
        image(panel, plane, "of full scale (1)", None, cmap, limits, f"frame {i} of {len(frames)}")
    for unused in (*axes[0, 3:], *axes[1, len(first) :]):
        unused.set_axis_off()
    figure.suptitle(title or type(measurement).__name__)
    return figure


@eqx.filter_jit
def _measure(measurement: AbstractMeasurement, field: Any) -> tuple[Any, Any]:
    frames = measurement.frames(field)
    return frames, measurement.field(frames)
