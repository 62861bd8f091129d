"""Maps of a panel by few numbers: values at nodes of a coarse grid, and a smooth surface through them."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

# Share of a pixel's value that is of nodes which are not determined, above which its error is infinite.
UNKNOWN_WEIGHT = 1e-3


@functools.lru_cache(maxsize=32)
def spline_weights(pixels: int, nodes: int) -> Float[np.ndarray, "pixels nodes"]:
    """The weight of each node in the value of each pixel of a line.

        x(node) = node · (pixels − 1) / (nodes − 1),   s = cubic spline through the nodes (not-a-knot)

    The first and the last node lie on the first and the last pixel. Three nodes give a parabola, two a
    straight line, one a constant; as many as there are pixels give the pixels.

    Arguments:
        pixels: of the line.
        nodes: at most as many.

    Source: C. de Boor, A Practical Guide to Splines (1978), chapter IV, on the ends.
    """
    if nodes == 1:
        return np.ones((pixels, 1))
    if nodes == pixels:
        return np.eye(pixels)
    from scipy.interpolate import make_interp_spline  # takes half a second, which only coarse maps need spend

    spline = make_interp_spline(_node_places(pixels, nodes), np.eye(nodes), k=min(3, nodes - 1))
    return spline(np.arange(pixels))


def sample_at_nodes(plane: Inexact[Array, "*lead rows cols"], grid: tuple[int, int]) -> Inexact[Array, "..."]:
    """The values of a map at its nodes, between pixels by straight lines; shape (*lead, *grid)."""
    rows, cols = (_line_weights(n, nodes) for n, nodes in zip(plane.shape[-2:], grid, strict=True))
    return _contract(plane, rows, cols)


def move_nodes(
    plane: Inexact[Array, "*lead rows cols"], nodes: Inexact[Array, "*lead node_rows node_cols"]
) -> Inexact[Array, "*lead rows cols"]:
    """A map plus the smooth surface that brings its nodes to these values.

    Arguments:
        plane: the map.
        nodes: their new values.
    """
    moved = nodes - sample_at_nodes(plane, nodes.shape[-2:])
    rows, cols = (
        spline_weights(n, count) for n, count in zip(plane.shape[-2:], nodes.shape[-2:], strict=True)
    )
    return (plane + _contract(moved, rows, cols)).astype(plane.dtype)


def pixel_errors(
    shape: tuple[int, int],
    deviations: Float[np.ndarray, "node_rows node_cols"],
    correlation: Float[np.ndarray, "nodes nodes"],
) -> Float[np.ndarray, "rows cols"]:
    """Standard errors of the pixels of a map from those of its nodes.

        variance(pixel) = Σ_ij weight_i weight_j covariance_ij

    Arguments:
        shape: of the map.
        deviations: standard errors of the nodes, infinite where one is not determined.
        correlation: of the nodes, row by row.
    """
    rows, cols = (spline_weights(n, count) for n, count in zip(shape, deviations.shape, strict=True))
    known = np.isfinite(deviations)
    finite = np.where(known, deviations, 0.0).ravel()
    grid = deviations.shape
    covariance = (correlation * np.outer(finite, finite)).reshape(*grid, *grid)
    # Two products of matrices, over pairs of rows and then over pairs of columns.
    of_rows, of_cols = (
        (weights[:, :, None] * weights[:, None, :]).reshape(len(weights), -1) for weights in (rows, cols)
    )
    by_pairs = covariance.transpose(0, 2, 1, 3).reshape(grid[0] ** 2, grid[1] ** 2)
    variance = of_rows @ by_pairs @ of_cols.T
    unknown = rows**2 @ (~known).astype(float) @ (cols**2).T
    return np.where(unknown > UNKNOWN_WEIGHT, np.inf, np.sqrt(np.maximum(variance, 0)))


@functools.lru_cache(maxsize=32)
def _line_weights(pixels: int, nodes: int) -> Float[np.ndarray, "nodes pixels"]:
    """The weight of each pixel of a line in the value at each node."""
    if nodes == 1:
        # One number stands for the whole line.
        return np.full((1, pixels), 1 / pixels)
    hats = 1 - np.abs(_node_places(pixels, nodes)[:, None] - np.arange(pixels))
    return np.maximum(hats, 0.0)


def _node_places(pixels: int, nodes: int) -> Float[np.ndarray, " nodes"]:
    return np.linspace(0, pixels - 1, nodes)


def _contract(plane: Array, rows: np.ndarray, cols: np.ndarray) -> Array:
    """rows · plane · colsᵀ, in the precision of the plane."""
    rows, cols = (jnp.asarray(weights, plane.real.dtype).astype(plane.dtype) for weights in (rows, cols))
    return jnp.einsum("ir,...rc,jc->...ij", rows, plane, cols, precision="highest")
