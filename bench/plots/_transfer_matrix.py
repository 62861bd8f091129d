"""The linear map of a compiled optics."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import optics
from bench.plots._scale import CYCLIC, MAGNITUDE
from optics.transfer import light_shape

LARGEST = 256  # pixels of which the whole matrix is shown


def transfer_matrix(transfer: Any, title: str = "") -> Figure:
    """Amplitude and phase of the map from modulator to detector pixels, and how far it is from the discrete Fourier transform.

        deviation[m, n] = |c · T[m, n] − F[m, n]| / |F[m, n]|,   c: the common factor that makes it smallest

    Of more than 256 pixels the map between the two middle rows is shown.

    Arguments:
        transfer: `Dense`, `Separable` or `FourierLens`.
        title: of the figure.

    Returns:
        the figure.

    Raises:
        ValueError: what is no transfer.
    """
    found, exact, what = matrices(transfer)
    factor = np.vdot(found, exact) / np.vdot(found, found).real
    deviation = np.abs(factor * found - exact) / np.abs(exact)
    rms = np.linalg.norm(factor * found - exact) / np.linalg.norm(exact)
    figure = Figure(figsize=(11, 3.7), layout="constrained")
    panels = (
        (np.abs(found), "amplitude (1)", MAGNITUDE, (0, None), "amplitude |T|"),
        (np.angle(found), "phase (rad)", CYCLIC, (-np.pi, np.pi), "phase of T"),
        (deviation, "relative deviation (1)", "magma", (0, None), f"deviation from the DFT, rms {rms:.1e}"),
    )
    for axes, (values, label, cmap, limits, name) in zip(figure.subplots(1, 3), panels, strict=True):
        shown = axes.imshow(
            values, cmap=cmap, vmin=limits[0], vmax=limits[1], interpolation="nearest", aspect="auto"
        )
        axes.set(xlabel=f"modulator pixel n {what}", ylabel=f"detector pixel m {what}")
        axes.set_title(name, fontsize=10)
        bar = figure.colorbar(shown, ax=axes, label=label)
        if cmap == CYCLIC:
            bar.set_ticks([-np.pi, 0, np.pi], labels=["−π", "0", "π"])
    figure.suptitle(title or f"{type(transfer).__name__}, {transfer.shape[0]}×{transfer.shape[1]} pixels")
    return figure


def matrices(transfer: Any) -> tuple[np.ndarray, np.ndarray, str]:
    """The map of whole pixels, the exact transform of the same pixels, and which pixels they are.

    Raises:
        ValueError: what is no transfer.
    """
    if not isinstance(transfer, optics.Dense | optics.Separable | optics.FourierLens):
        raise ValueError(
            f"`transfer` must be a `Dense`, `Separable` or `FourierLens`, got {type(transfer).__name__}."
        )
    rows, cols = transfer.shape
    middle = rows // 2
    whole = rows * cols <= LARGEST
    lit = (
        np.eye(rows * cols).reshape(-1, rows, cols)
        if whole
        else np.eye(cols)[:, None] * (np.arange(rows) == middle)[:, None]
    )
    subpixels = light_shape(transfer.shape, transfer.subpixels)
    divided = [np.repeat(lit, subpixels[0] // rows, axis=1)]
    divided = np.repeat(divided[0], subpixels[1] // cols, axis=2)
    seen = np.asarray(transfer(jnp.asarray(divided, jnp.result_type(float))))
    n = np.arange(cols) - cols // 2
    if whole:
        return seen.reshape(rows * cols, -1).T, np.asarray(optics.dft(transfer.shape).matrix), "(row by row)"
    return (
        seen[:, middle].T,
        np.exp(-2j * np.pi * np.outer(n, n) / cols) / math.sqrt(rows * cols),
        "of the middle row",
    )
