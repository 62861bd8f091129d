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
    leaves, structure = jax.tree.flatten(parts, is_leaf=_differs)
    places = [place for place, leaf in enumerate(leaves) if _differs(leaf)]
    modal = next((leaves[place] for place in places if isinstance(leaves[place], Modal)), None)
    if modal is None or (linear and len(places) == 1):
        # A transfer of modes gives their mean field, and linear frames of it are the sum.
        return form(parts)

    def form_of_mode(of_mode):
        of_place = dict(zip(places, of_mode, strict=True))
        return form(jax.tree.unflatten(structure, [of_place.get(i, leaf) for i, leaf in enumerate(leaves)]))

    of_modes = [getattr(leaves[place], "of_modes", leaves[place]) for place in places]
    frames = jax.vmap(form_of_mode)(of_modes)
    return jnp.tensordot(modal.weights.astype(frames.dtype), frames, 1, precision="highest")


def check_modes(*parts: PyTree) -> None:
    """Check that the parts that differ between modes have as many, and that a transfer has their weights."""
    found = [part for part in jax.tree.leaves(parts, is_leaf=_differs) if _differs(part)]
    counts = [part.modes for part in found]
    if found and not any(isinstance(part, Modal) for part in found):
        raise ValueError(
            "a device with a `PerMode` effect must have a `Modal` transfer, which has the weights of the "
            "modes; `optics.illuminate(lens, light)` makes one."
        )
    if len(set(counts)) > 1:
        raise ValueError(f"the parts of a device that differ between modes must have as many, got {counts}.")


def _differs(part: Any) -> bool:
    return isinstance(part, Modal | PerMode)
