"""The numbers of a device that are fitted, by name and as one vector."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from optics._check import as_pixels
from optics._typing import FunctionLike, ShapeLike
from optics.device import FourierProcessor
from optics.effects import Noise
from optics.transfer import FourierLens
from optics.twin._node_maps import move_nodes, pixel_errors, sample_at_nodes


class FreeParameters(eqx.Module):
    """The leaves of a device that `where` picks, as the real vector of their free numbers.

    A complex number counts as two, its real and its imaginary part. With `map_pixels` the numbers of a map
    are its values at the nodes of a coarse grid.

    Arguments:
        where: function of a device that returns leaves, as for `equinox.tree_at`.
        device: whose leaves are picked.
        free: booleans shaped, or broadcast, like the result of `where`; False holds a number. None frees all.
        map_pixels: nodes (rows, columns) of each map, or None: every pixel.

    Attributes:
        names: of the free numbers.
        paths: of the leaves, such as "slm[0].gain".

    Raises:
        ValueError: leaves that the device does not have, that are not arrays of floating-point numbers or not
            finite, a `free` of another shape or that holds part of a map of nodes, or `map_pixels` without a
            map or of more nodes than a map has pixels.
    """

    where: Callable = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    paths: tuple[str, ...] = eqx.field(static=True)
    in_noise: tuple[bool, ...] = eqx.field(static=True)
    in_lens: tuple[bool, ...] = eqx.field(static=True)
    grids: tuple[tuple[int, int] | None, ...] = eqx.field(static=True)
    places: tuple[Array, ...]

    def __init__(
        self,
        where: FunctionLike,
        device: FourierProcessor,
        free: PyTree = None,
        map_pixels: ShapeLike | None = None,
    ):
        picked = _pick(where, device)
        leaves = jax.tree.leaves(picked)
        self.where = where
        self.paths = tuple(jax.tree.leaves(where(_leaf_paths(device))))
        self.in_noise = tuple(jax.tree.leaves(where(_leaves_within(Noise, device))))
        self.in_lens = tuple(jax.tree.leaves(where(_leaves_within(FourierLens, device))))
        for path, leaf in zip(self.paths, leaves, strict=True):
            if not bool(jnp.all(jnp.isfinite(jnp.abs(leaf)))):
                raise ValueError(
                    f"`where` must pick numbers that are finite to start from, but `{path}` is {leaf}."
                )
        if len(set(self.paths)) < len(self.paths):
            raise ValueError(f"`where` must pick each leaf once, got {', '.join(self.paths)}.")
        self.grids = _grids(self.paths, leaves, map_pixels)
        names, places = [], []
        for path, leaf, mask, grid in zip(
            self.paths, leaves, _free_masks(free, picked), self.grids, strict=True
        ):
            if grid is not None:
                path, mask = f"{path} node ", _mask_of_nodes(path, mask, grid)
                leaf = jax.ShapeDtypeStruct((*leaf.shape[:-2], *grid), leaf.dtype)
            indices = np.flatnonzero(mask)
            parts = ("real ", "imaginary ") if jnp.iscomplexobj(leaf) else ("",)
            names += [part + _number_name(path, i, leaf.shape) for part in parts for i in indices.tolist()]
            offsets = leaf.size * np.arange(len(parts))
            places.append(jnp.asarray((offsets[:, None] + indices).ravel(), int))
        if not names:
            raise ValueError("`free` must leave at least one number free.")
        self.names, self.places = tuple(names), tuple(places)

    @property
    def counts(self) -> list[int]:
        """Free numbers of each leaf."""
        return [place.shape[0] for place in self.places]

    def is_noise(self) -> np.ndarray:
        """For each free number whether it is a level of noise."""
        return np.repeat(self.in_noise, self.counts)

    def is_lens(self) -> np.ndarray:
        """For each free number whether it is of a lens that is yet to be compiled."""
        return np.repeat(self.in_lens, self.counts)

    def vector(self, device: FourierProcessor) -> Float[Array, " free"]:
        """The free numbers of a device."""
        leaves = jax.tree.leaves(self.where(device))
        return jnp.concatenate(
            [
                _as_real_line(_nodes_of(leaf, grid))[place]
                for leaf, place, grid in zip(leaves, self.places, self.grids, strict=True)
            ]
        )

    def put(self, device: FourierProcessor, vector: Float[Array, " free"]) -> FourierProcessor:
        """The device with other free numbers."""
        return eqx.tree_at(self.where, device, self.unflatten(device, vector))

    def unflatten(self, device: FourierProcessor, vector: Float[Array, " free"]) -> PyTree:
        """The leaves that `where` picks, with other free numbers; those that are held stay."""
        parts = jnp.split(jnp.asarray(vector), np.cumsum(self.counts)[:-1])
        picked = self.where(device)
        leaves = []
        for leaf, place, part, grid in zip(
            jax.tree.leaves(picked), self.places, parts, self.grids, strict=True
        ):
            numbers = _nodes_of(leaf, grid)
            line = _as_real_line(numbers)
            numbers = _as_leaf(line.at[place].set(part.astype(line.dtype)), numbers)
            leaves.append(numbers if grid is None else move_nodes(leaf, numbers))
        return jax.tree.unflatten(jax.tree.structure(picked), leaves)

    def leaf_errors(
        self,
        device: FourierProcessor,
        deviations: Float[np.ndarray, " free"],
        correlation: Float[np.ndarray, "free free"],
    ) -> PyTree:
        """Standard errors shaped like the leaves that `where` picks; 0 for what is held."""
        picked, ends = self.where(device), np.cumsum(self.counts)
        leaves = []
        for leaf, place, end, grid in zip(
            jax.tree.leaves(picked), self.places, ends, self.grids, strict=True
        ):
            chosen = slice(end - len(place), end)
            if grid is None:
                line = jnp.zeros_like(_as_real_line(leaf))
                line = line.at[place].set(jnp.asarray(deviations[chosen], line.dtype))
                leaves.append(_as_leaf(line, leaf))
                continue
            # All nodes of a map are free, or none.
            planes, nodes = [], grid[0] * grid[1]
            for start in range(chosen.start, chosen.stop, nodes):
                of_plane = slice(start, start + nodes)
                of_nodes = deviations[of_plane].reshape(grid), correlation[of_plane, of_plane]
                planes.append(pixel_errors(leaf.shape[-2:], *of_nodes))
            line = (
                jnp.asarray(planes, leaf.real.dtype).ravel()
                if planes
                else jnp.zeros_like(_as_real_line(leaf))
            )
            leaves.append(_as_leaf(line, leaf))
        return jax.tree.unflatten(jax.tree.structure(picked), leaves)


def _as_real_line(leaf: Array) -> Float[Array, " numbers"]:
    """All numbers of a leaf in a line; of a complex one first the real parts, then the imaginary ones."""
    line = leaf.ravel()
    return jnp.concatenate([line.real, line.imag]) if jnp.iscomplexobj(leaf) else line


def _as_leaf(line: Float[Array, " numbers"], like: Array) -> Array:
    """The array of which `_as_real_line` made a line."""
    if jnp.iscomplexobj(like):
        line = jax.lax.complex(*jnp.split(line, 2))
    return line.reshape(like.shape)


def _nodes_of(leaf: Array, grid: tuple[int, int] | None) -> Array:
    return leaf if grid is None else sample_at_nodes(leaf, grid)


def _grids(
    paths: tuple[str, ...], leaves: list[Array], map_pixels: ShapeLike | None
) -> tuple[tuple[int, int] | None, ...]:
    """The nodes of each leaf that is a map; None for other leaves."""
    if map_pixels is None:
        return (None,) * len(leaves)
    nodes = as_pixels("map_pixels", map_pixels)
    if all(leaf.ndim < 2 for leaf in leaves):
        raise ValueError(
            f"`map_pixels` of {nodes[0]}×{nodes[1]} must come with a map among what `where` picks, an array "
            f"of (rows, columns); got {', '.join(paths)}."
        )
    grids: list[tuple[int, int] | None] = []
    for path, leaf in zip(paths, leaves, strict=True):
        if leaf.ndim < 2:
            grids.append(None)
            continue
        rows, cols = leaf.shape[-2:]
        if (rows > 1 and nodes[0] > rows) or (cols > 1 and nodes[1] > cols):
            raise ValueError(
                f"`map_pixels` of {nodes[0]}×{nodes[1]} must be at most the {rows}×{cols} pixels of `{path}`."
            )
        grids.append((min(nodes[0], rows), min(nodes[1], cols)))
    return tuple(grids)


def _mask_of_nodes(path: str, mask: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    if mask.any() and not mask.all():
        raise ValueError(
            f"`free` must be True or False for the whole of `{path}` with `map_pixels`, got {np.sum(mask)} of"
            f" {mask.size} pixels."
        )
    return np.full((*mask.shape[:-2], *grid), bool(mask.all()))


def _number_name(path: str, index: int, shape: tuple[int, ...]) -> str:
    return path + (str(list(map(int, np.unravel_index(index, shape)))) if shape else "")


def _leaf_paths(device: FourierProcessor) -> FourierProcessor:
    """The device with its leaves replaced by their paths."""
    return jax.tree_util.tree_map_with_path(lambda path, _: jax.tree_util.keystr(path).lstrip("."), device)


def _leaves_within(kind: type, device: FourierProcessor) -> FourierProcessor:
    """The device with its leaves replaced by whether they belong to a part of this kind."""

    def is_kind(node):
        return isinstance(node, kind)

    return jax.tree.map(lambda node: jax.tree.map(lambda _: is_kind(node), node), device, is_leaf=is_kind)


def _free_masks(free: PyTree, picked: PyTree) -> list[np.ndarray]:
    """For each leaf which of its numbers are free."""
    leaves, structure = jax.tree.flatten(picked)
    if free is None:
        return [np.ones(leaf.shape, bool) for leaf in leaves]
    try:
        masks = structure.flatten_up_to(free)
        return [
            np.broadcast_to(np.asarray(mask, bool), leaf.shape)
            for mask, leaf in zip(masks, leaves, strict=True)
        ]
    except (ValueError, TypeError) as error:
        shapes = [leaf.shape for leaf in leaves]
        raise ValueError(
            f"`free` must be booleans like what `where` picks, {shapes}, got {free!r}."
        ) from error


def _pick(where: FunctionLike, device: FourierProcessor) -> PyTree:
    """The leaves that `where` picks, after checking that they can be fitted."""
    if not callable(where):
        raise ValueError(
            "`where` must be a function of the device, such as "
            f"`lambda d: (d.transfer.defocus, d.transfer.aberrations)`, got {where!r}."
        )
    try:
        picked = where(device)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f"`where` must pick what the device has, but {error}. The transfer must be a `FourierLens` to "
            'have defocus or aberrations, as `presets.load(name, level="wave")` has; an effect must be in '
            "its chain first, such as `effects.Gain(jnp.ones(shape))`."
        ) from None
    nodes = jax.tree.leaves(picked, is_leaf=lambda node: node is None)
    if not nodes or not all(eqx.is_inexact_array(node) for node in nodes):
        culprit = next((node for node in nodes if not eqx.is_inexact_array(node)), None)
        raise ValueError(
            f"`where` must pick arrays of floating-point numbers, got {culprit!r}; a table, for one, must be "
            "there to be fitted."
        )
    return picked
