"""The numbers of a device that are fitted, by name and as one vector."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from optics._typing import FunctionLike
from optics.device import FourierProcessor
from optics.effects import Noise
from optics.transfer import FourierLens


class FreeParameters(eqx.Module):
    """The leaves of a device that `where` picks, as the real vector of their free numbers.

    A complex number counts as two, its real and its imaginary part.

    Arguments:
        where: function of a device that returns leaves, as for `equinox.tree_at`.
        device: whose leaves are picked.
        free: booleans shaped, or broadcast, like the result of `where`; False holds a number. None frees all.

    Attributes:
        names: of the free numbers.
        paths: of the leaves, such as "slm[0].gain".

    Raises:
        ValueError: leaves that the device does not have, that are not arrays of floating-point numbers or not
            finite, or a `free` of another shape.
    """

    where: Callable = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    paths: tuple[str, ...] = eqx.field(static=True)
    in_noise: tuple[bool, ...] = eqx.field(static=True)
    in_lens: tuple[bool, ...] = eqx.field(static=True)
    places: tuple[Array, ...]

    def __init__(self, where: FunctionLike, device: FourierProcessor, free: PyTree = None):
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
        names, places = [], []
        for path, leaf, mask in zip(self.paths, leaves, _free_masks(free, picked), strict=True):
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
            [_as_real_line(leaf)[place] for leaf, place in zip(leaves, self.places, strict=True)]
        )

    def put(self, device: FourierProcessor, vector: Float[Array, " free"]) -> FourierProcessor:
        """The device with other free numbers."""
        return eqx.tree_at(self.where, device, self.unflatten(device, vector))

    def unflatten(
        self, device: FourierProcessor, vector: Float[Array, " free"], fill: float | None = None
    ) -> PyTree:
        """The leaves that `where` picks, with other free numbers; `fill` replaces those that are held."""
        parts = jnp.split(jnp.asarray(vector), np.cumsum(self.counts)[:-1])
        picked = self.where(device)
        leaves = []
        for leaf, place, part in zip(jax.tree.leaves(picked), self.places, parts, strict=True):
            line = _as_real_line(leaf)
            line = line if fill is None else jnp.full_like(line, fill)
            line = line.at[place].set(part.astype(line.dtype))
            if jnp.iscomplexobj(leaf):
                line = jax.lax.complex(*jnp.split(line, 2))
            leaves.append(line.reshape(leaf.shape))
        return jax.tree.unflatten(jax.tree.structure(picked), leaves)


def _as_real_line(leaf: Array) -> Float[Array, " numbers"]:
    """All numbers of a leaf in a line; of a complex one first the real parts, then the imaginary ones."""
    line = leaf.ravel()
    return jnp.concatenate([line.real, line.imag]) if jnp.iscomplexobj(leaf) else line


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
