"""Encoders: numbers as the drive of a modulator."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from bench.plots._patterns import complex_plane
from bench.plots._scale import amplitude_and_phase, error_label
from optics.encode import Amplitude, BitPlanes, Encoder
from optics.metrics import relative_error

MOST_EXPOSURES = 3  # that are drawn


def encoder(encoder: Encoder, numbers: Any = None, title: str = "") -> Figure:
    """Draw the drive for some numbers, exposure by exposure, and the numbers that the exposures stand for.

    Arguments:
        encoder: of `optics.encode`.
        numbers: shape (rows, columns); by default amplitudes from 0 to 1 down and all phases across.
        title: of the figure.

    Returns:
        the figure; the first 3 exposures are drawn.
    """
    numbers = _default_numbers(encoder) if numbers is None else jnp.asarray(numbers)
    drive, decoded = map(np.asarray, _encode(encoder, numbers))
    exposures = drive[:MOST_EXPOSURES]
    figure = Figure(figsize=(3 * (2 + len(exposures)), 5.4), layout="constrained")
    axes = figure.subplots(2, 2 + len(exposures), squeeze=False)
    amplitude_and_phase(axes[0, 0], axes[1, 0], numbers, title="numbers")
    for i, plane in enumerate(exposures, 1):
        amplitude_and_phase(axes[0, i], axes[1, i], plane, title=f"modulator, {i} of {len(drive)}")
    error = error_label(relative_error(decoded, numbers), "the numbers")
    amplitude_and_phase(axes[0, -1], axes[1, -1], decoded, title=f"decoded, off by {error}")
    figure.suptitle(title or type(encoder).__name__)
    return figure


def _default_numbers(encoder: Encoder) -> Any:
    """Test numbers that the encoder takes: exposures for one sign, or for each sign, have no phase."""
    if isinstance(encoder, BitPlanes):
        signs = encoder.parts
    elif isinstance(encoder, Amplitude):
        signs = encoder.exposures
    else:
        signs = 4
    return complex_plane((8, 8)) if signs > 2 else jnp.linspace(1 - signs, 1, 64).reshape(8, 8)


@eqx.filter_jit
def _encode(encoder: Encoder, numbers: Any) -> tuple[Any, Any]:
    drive, scale = encoder.encode(numbers)
    return drive, scale * encoder.combine(encoder.demodulate(drive, numbers.shape[-2:]))
