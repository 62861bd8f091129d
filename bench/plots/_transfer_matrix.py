"""The linear map of a compiled transfer."""

import math
from typing import Any

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
        transfer: `Dense`, `Separable` or `FourierLens`.
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
    if not isinstance(transfer, optics.Dense | optics.Separable | optics.FourierLens):
        raise ValueError(
            f"`transfer` must be a `Dense`, `Separable` or `FourierLens`, got {type(transfer).__name__}."
        )
    rows, cols = transfer.shape
    middle = rows // 2
    is_whole = rows * cols <= MOST_PIXELS
    # One bright pixel in each plane: all of them, or those of the middle row.
    if is_whole:
        planes = np.eye(rows * cols).reshape(-1, rows, cols)
    else:
        planes = np.eye(cols)[:, None] * (np.arange(rows) == middle)[:, None]
    light_rows, light_cols = light_shape(transfer.shape, transfer.subpixels)
    light = np.repeat(np.repeat(planes, light_rows // rows, axis=1), light_cols // cols, axis=2)
    received = np.asarray(transfer(jnp.asarray(light, jnp.result_type(float))))
    if is_whole:
        exact = np.asarray(optics.dft(transfer.shape).matrix)
        return received.reshape(rows * cols, -1).T, exact, "(row by row)"
    n = np.arange(cols) - cols // 2
    exact = np.exp(-2j * np.pi * np.outer(n, n) / cols) / math.sqrt(rows * cols)
    return received[:, middle].T, exact, "of the middle row"
