"""A product of matrices on its way through a device."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import optics
from optics.metrics import relative_error

MOST_ROWS = 12  # of the first matrix


def product(multiplier: Any, key: Any = None, title: str = "") -> Figure:
    """Draw two random matrices, their product by the device in one draw of its noise, and the error.

    Arguments:
        multiplier: a device that multiplies matrices.
        key: of the noise; None takes a fixed one.
        title: of the figure.

    Returns:
        the figure.

    Raises:
        ValueError: a device that has no product of matrices.
    """
    figure = Figure(figsize=(13, 4), layout="constrained")
    draw_product(figure, multiplier, key, title)
    return figure


def draw_product(figure: Any, multiplier: Any, key: Any = None, title: str = "") -> None:
    """`product` on a figure or a part of one."""
    m, k, n = multiplier.product_shape
    keys = jax.random.split(jax.random.key(0), 3)
    a, b = (
        jax.random.normal(key, shape) for key, shape in zip(keys, ((m or MOST_ROWS, k), (k, n)), strict=False)
    )
    result = optics.matmul(a, b, multiplier, keys[2] if key is None else key)
    exact = jnp.matmul(a, b, precision="highest")
    error = relative_error(result, exact)
    pictures = (
        (a, "a, rows of exposures" if m is None else "a, first modulator"),
        (b, "b, modulator" if m is None else "b, second modulator"),
        (result, "a b by the device"),
        (result - exact, f"error, {error:.1e} rms of the product"),
    )
    for axes, (values, name) in zip(figure.subplots(1, 4), pictures, strict=True):
        most = float(np.max(np.abs(values))) or 1.0
        picture = axes.imshow(
            np.asarray(values), cmap="RdBu", vmin=-most, vmax=most, interpolation="nearest", aspect="auto"
        )
        axes.set(xlabel="column", ylabel="row")
        axes.set_title(name, fontsize=10)
        figure.colorbar(picture, ax=axes, label="number (1)")
    figure.suptitle(title or f"{type(multiplier).__name__}: one draw of the noise")
