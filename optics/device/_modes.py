"""Light of several modes in a device: each mode meets its own parts, and the frames add up."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PyTree

from optics._check import is_concrete
from optics.effects import PerMode
from optics.transfer import Modal


def sum_modes(
    parts: PyTree, form: Callable[[PyTree], Inexact[Array, "*frames"]], linear: bool
) -> Inexact[Array, "*frames"]:
    """The frames of all modes of light.

        frames = Σ_m weight_m · form(parts as mode m meets them)

    Without a `Modal` among the parts it is `form(parts)`, the same program.

    Arguments:
        parts: chains of effects and transfers.
        form: of the parts that one mode meets -> frames.
        linear: frames are linear in the field.
    """
    different = _find_different(parts)
    modal = next((part for part in different if isinstance(part, Modal)), None)
    if modal is None or (linear and len(different) == 1):
        # A transfer of modes gives their mean field, and linear frames of it are the sum.
        return form(parts)
    frames = map_modes(parts, form)
    return jnp.tensordot(modal.weights.astype(frames.dtype), frames, 1, precision="highest")


def largest_of_modes(parts: PyTree, f: Callable[[PyTree], Float[Array, "*any"]]) -> Float[Array, "*any"]:
    """The largest of f(parts as mode m meets them) over the modes."""
    return f(parts) if not _find_different(parts) else jnp.max(map_modes(parts, f), axis=0)


def meter_modes(
    parts: PyTree, propagate: Callable[[PyTree], Inexact[Array, "*lead rows cols"]], linear: bool
) -> Float[Array, "*lead 1 1"]:
    """The field of the brightest pixel of each plane in light of all modes, without gradient.

    Of frames that are linear in the field it is that of the mean field; of intensities the root of the power
    of all modes, which no interference with a reference exceeds.

    Arguments:
        parts: as of `sum_modes`.
        propagate: parts that one mode meets -> field.
        linear: frames are linear in the field.
    """
    if linear or not _find_different(parts):
        return brightest_pixel(sum_modes(parts, propagate, linear=True))

    def power(parts):
        return jnp.abs(propagate(parts)) ** 2

    return jnp.sqrt(brightest_pixel(sum_modes(parts, power, linear=False)))


def brightest_pixel(field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead 1 1"]:
    """The amplitude of the brightest pixel of each plane, without gradient."""
    return jnp.max(jnp.abs(jax.lax.stop_gradient(field)), axis=(-2, -1), keepdims=True)


def map_modes(parts: PyTree, f: Callable, *of_modes: PyTree) -> PyTree:
    """f(parts as mode m meets them, *of_modes[m]) of every mode m, along a first axis."""
    leaves, structure = jax.tree.flatten(parts, is_leaf=_is_different)
    places = [place for place, leaf in enumerate(leaves) if _is_different(leaf)]

    def of_mode(different, *rest):
        of_place = dict(zip(places, different, strict=True))
        one = [of_place.get(place, leaf) for place, leaf in enumerate(leaves)]
        return f(jax.tree.unflatten(structure, one), *rest)

    stacks = [part.of_modes if isinstance(part, PerMode) else part for part in _find_different(parts)]
    return jax.vmap(of_mode)(stacks, *of_modes)


def check_modes(*parts: PyTree) -> None:
    """Check that the parts that differ between modes have as many, and that a transfer has their weights."""
    found = _find_different(parts)
    weights = [part.weights for part in found if isinstance(part, Modal)]
    if any(
        is_concrete(first)
        and is_concrete(other)
        and first.shape == other.shape
        and not np.allclose(first, other)
        for first, other in itertools.pairwise(weights)
    ):
        raise ValueError(
            f"the transfers of a device must have modes of the same weights, got {weights[0]} and "
            f"{weights[1]}; make them of the same light."
        )
    counts = [part.modes for part in found]
    if found and not any(isinstance(part, Modal) for part in found):
        raise ValueError(
            "a device with a `PerMode` effect must have a `Modal` transfer, which has the weights of the "
            "modes; `optics.illuminate(lens, light)` makes one."
        )
    if len(set(counts)) > 1:
        raise ValueError(f"the parts of a device that differ between modes must have as many, got {counts}.")


def _is_different(part: Any) -> bool:
    # A `Modal` of which a `jax.vmap` has left one mode is that mode.
    return isinstance(part, PerMode) or (isinstance(part, Modal) and part.weights.ndim == 1)


def _find_different(parts: PyTree) -> list[Modal | PerMode]:
    """The parts that differ between modes, in order."""
    return [part for part in jax.tree.leaves(parts, is_leaf=_is_different) if _is_different(part)]
