"""Which numbers of a device are fitted, by name and as one vector."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from optics.device import FourierProcessor
from optics.effects import Noise


class Leaves(eqx.Module):
    """The leaves that `where` picks, as the real vector of their free numbers.

    Arguments:
        where: function of a device that returns leaves, as of `equinox.tree_at`.
        device: whose leaves are picked.
        free: booleans shaped, or broadcast, like what `where` returns; False holds a number. None frees all.

    Raises:
        ValueError: what the device does not have, what is no array of floating-point numbers, or is not finite, or a `free` of another shape.
    """

    where: Callable = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    paths: tuple[str, ...] = eqx.field(static=True)
    noisy: tuple[bool, ...] = eqx.field(static=True)
    free: tuple[Array, ...]

    def __init__(self, where: Any, device: FourierProcessor, free: Any = None):
        picked = _picked(where, device)
        leaves, structure = jax.tree.flatten(picked)
        named = jax.tree_util.tree_map_with_path(
            lambda path, _: jax.tree_util.keystr(path).lstrip("."), device
        )
        noise = jax.tree.map(
            lambda node: jax.tree.map(lambda _: isinstance(node, Noise), node),
            device,
            is_leaf=lambda node: isinstance(node, Noise),
        )
        self.where, self.paths, self.noisy = (
            where,
            tuple(jax.tree.leaves(where(named))),
            tuple(jax.tree.leaves(where(noise))),
        )
        for path, leaf in zip(self.paths, leaves, strict=True):
            if not bool(jnp.all(jnp.isfinite(jnp.abs(leaf)))):
                raise ValueError(
                    f"`where` must pick numbers that are finite to start from, but `{path}` is {leaf}."
                )
        if len(set(self.paths)) < len(self.paths):
            raise ValueError(f"`where` must pick each leaf once, got {', '.join(self.paths)}.")
        masks = [True] * len(leaves)
        if free is not None:
            try:
                masks = structure.flatten_up_to(free)
                masks = [
                    np.broadcast_to(np.asarray(mask, bool), leaf.shape)
                    for mask, leaf in zip(masks, leaves, strict=True)
                ]
            except (ValueError, TypeError) as error:
                raise ValueError(
                    f"`free` must be booleans like what `where` picks, {[leaf.shape for leaf in leaves]}, got {free!r}."
                ) from error
        names, places = [], []
        for path, leaf, mask in zip(self.paths, leaves, masks, strict=True):
            index = np.flatnonzero(np.broadcast_to(mask, leaf.shape))
            parts = ("real ", "imaginary ") if jnp.iscomplexobj(leaf) else ("",)
            for part in parts:
                names += [
                    part + path + (str(list(map(int, np.unravel_index(i, leaf.shape)))) if leaf.ndim else "")
                    for i in index
                ]
            places.append(
                jnp.asarray(np.concatenate([index + k * leaf.size for k in range(len(parts))]), int)
            )
        if not names:
            raise ValueError("`free` must leave at least one number free.")
        self.names, self.free = tuple(names), tuple(places)

    @property
    def counts(self) -> list[int]:
        """Free numbers of each leaf."""
        return [place.shape[0] for place in self.free]

    def of_noise(self) -> np.ndarray:
        """For each free number whether it is of noise."""
        return np.repeat(self.noisy, self.counts)

    def of_lens(self) -> list[bool]:
        """For each leaf whether it is of the transfer."""
        return [path.startswith("transfer") for path in self.paths]

    def vector(self, device: FourierProcessor) -> Array:
        """The free numbers."""
        return jnp.concatenate(
            [_flat(leaf)[place] for leaf, place in zip(self._leaves(device), self.free, strict=True)]
        )

    def put(self, device: FourierProcessor, vector: Array) -> FourierProcessor:
        """The device with other free numbers."""
        return eqx.tree_at(self.where, device, self.like(device, vector))

    def like(self, device: FourierProcessor, vector: Array, fill: float | None = None) -> Any:
        """What `where` picks of the device, with other free numbers, and `fill` for those that are held, if it is given."""
        parts = jnp.split(jnp.asarray(vector), np.cumsum(self.counts)[:-1])
        leaves = []
        for leaf, place, part in zip(self._leaves(device), self.free, parts, strict=True):
            flat = _flat(leaf) if fill is None else jnp.full_like(_flat(leaf), fill)
            flat = flat.at[place].set(part.astype(flat.dtype))
            shaped = (
                jax.lax.complex(*(half.reshape(leaf.shape) for half in jnp.split(flat, 2)))
                if jnp.iscomplexobj(leaf)
                else flat
            )
            leaves.append(shaped.reshape(leaf.shape))
        return jax.tree.unflatten(jax.tree.structure(self.where(device)), leaves)

    def _leaves(self, device: FourierProcessor) -> list[Array]:
        return jax.tree.leaves(self.where(device))


def _flat(leaf: Array) -> Array:
    flat = leaf.ravel()
    return jnp.concatenate([flat.real, flat.imag]) if jnp.iscomplexobj(leaf) else flat


def _picked(where: Any, device: FourierProcessor) -> Any:
    if not callable(where):
        raise ValueError(
            f"`where` must be a function of the device, such as `lambda d: (d.transfer.defocus, d.transfer.aberrations)`, got {where!r}."
        )
    try:
        picked = where(device)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f"`where` must pick what the device has, but {error}. The transfer must be a `FourierLens` to have defocus or aberrations, "
            'as `presets.load(name, level="wave")` has; what a chain lacks is to be put in it, such as `effects.Gain(jnp.ones(shape))`.'
        ) from None
    nodes = jax.tree.leaves(picked, is_leaf=lambda node: node is None)
    if not nodes or not all(eqx.is_inexact_array(node) for node in nodes):
        strange = next((node for node in nodes if not eqx.is_inexact_array(node)), None)
        raise ValueError(
            f"`where` must pick arrays of floating-point numbers, got {strange!r}; a table, for one, must be there to be fitted."
        )
    return picked
