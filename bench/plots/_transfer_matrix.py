"""The linear map of a compiled transfer."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import optics
from bench.plots._scale import CYCLIC, MAGNITUDE
from optics.metrics import best_factor, relative_error
from optics.transfer import light_shape

MOST_PIXELS = 256  # of a transfer whose whole matrix is drawn


def transfer_matrix(transfer: Any, title: str = "") -> Figure:
    """Draw the map from modulator to detector pixels, and its deviation from the discrete Fourier transform.

        deviation[m, n] = |c · T[m, n] − F[m, n]| / |F[m, n]|,   c: the common factor that makes it smallest

    For more than 256 pixels the map between the two middle rows is drawn.

    Arguments:
        transfer: `Dense`, `MaskedFFT`, `Propagation`, `Separable` or `FourierLens`.
        title: of the figure.

    Returns:
        the figure.

    Raises:
        ValueError: another kind of part.
    """
    matrix, exact, pixels = matrices(transfer)
    scaled = best_factor(matrix, exact) * matrix
    deviation = np.abs(scaled - exact) / np.abs(exact)
    rms = relative_error(scaled, exact)
    figure = Figure(figsize=(11, 3.7), layout="constrained")
    panels = (
        (np.abs(matrix), "amplitude (1)", MAGNITUDE, (0, None), "amplitude |T|"),
        (np.angle(matrix), "phase (rad)", CYCLIC, (-np.pi, np.pi), "phase of T"),
        (deviation, "relative deviation (1)", "magma", (0, None), f"deviation from the DFT, rms {rms:.1e}"),
    )
    for axes, (values, label, cmap, limits, name) in zip(figure.subplots(1, 3), panels, strict=True):
        picture = axes.imshow(
            values, cmap=cmap, vmin=limits[0], vmax=limits[1], interpolation="nearest", aspect="auto"
        )
        axes.set(xlabel=f"modulator pixel n {pixels}", ylabel=f"detector pixel m {pixels}")
        axes.set_title(name, fontsize=10)
        bar = figure.colorbar(picture, ax=axes, label=label)
        if cmap == CYCLIC:
            bar.set_ticks([-np.pi, 0, np.pi], labels=["−π", "0", "π"])
    figure.suptitle(title or f"{type(transfer).__name__}, {transfer.shape[0]}×{transfer.shape[1]} pixels")
    return figure


def matrices(transfer: Any) -> tuple[np.ndarray, np.ndarray, str]:
    """The map of whole pixels, the exact transform of the same pixels, and the name of these pixels.

    Raises:
        ValueError: another kind of part.
    """
    if not isinstance(transfer, optics.AbstractTransfer):
        raise ValueError(
            "`transfer` must be a transfer, such as `Dense`, `MaskedFFT` or `FourierLens`, got "
            f"{type(transfer).__name__}."
        )
    rows, cols = transfer.shape
    middle = rows // 2
    is_whole = rows * cols <= MOST_PIXELS
    light_rows, light_cols = light_shape(transfer.shape, transfer.subpixels)
    parts = light_rows // rows, light_cols // cols

    def receive(pixel):
        """The field of one bright pixel, or its middle row."""
        plane = jnp.zeros(rows * cols).at[pixel].set(1.0).reshape(rows, cols)
        field = transfer(jnp.repeat(jnp.repeat(plane, parts[0], axis=0), parts[1], axis=1))
        return field.reshape(-1) if is_whole else field[middle]

    if is_whole:
        received = jax.vmap(receive)(jnp.arange(rows * cols))
        return np.asarray(received).T, np.asarray(optics.dft(transfer.shape).matrix), "(row by row)"
    # One plane after another: those of a panel do not fit into memory together.
    received = jax.lax.map(receive, middle * cols + jnp.arange(cols))
    n = np.arange(cols) - cols // 2
    exact = np.exp(-2j * np.pi * np.outer(n, n) / cols) / math.sqrt(rows * cols)
    return np.asarray(received).T, exact, "of the middle row"
