"""Light of several modes in a device: each mode meets its own parts, and the frames add up."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PyTree

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
