"""Find the first tensor of a step that is not finite."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nets.run._checkpoint import path_name
from nets.run._population import Objective, parts_of_units
from nets.run._steps import label_weights, loss_sums
from nets.run._watch import watch_outputs
from optics._typing import DeviceLike

OPTIMIZER = "the update of the optimizer"  # to blame if the step itself is finite


def diagnose_step(
    model: nnx.Module,
    batch: tuple,
    device: DeviceLike,
    key: jax.Array,
    shards: int = 1,
    accumulate: int = 1,
    over_units: Objective | None = None,
) -> str:
    """Name the first tensor of a training step that is not finite.

    Arguments:
        model: before the step, in training mode.
        batch: of the step.
        device: computes the convolutions.
        key: of the step.
        shards, accumulate: the batch is computed in these parts, as in the step, each with its own key.
        over_units: as of `compile_steps`; each unit of a part is computed alone, with the key it had there.
    """
    parts = shards * accumulate
    pieces = [np.array_split(array, parts) for array in batch]
    for i in range(parts):
        part_key = key if shards == 1 else jax.random.fold_in(key, i // accumulate)
        part_key = part_key if accumulate == 1 else jax.random.fold_in(part_key, i % accumulate)
        part = tuple(jnp.asarray(arrays[i]) for arrays in pieces)
        for rows, unit, unit_key in parts_of_units(over_units, part, device, part_key):

            def loss(model, rows=rows, unit=unit, unit_key=unit_key):
                return loss_sums(model, rows, unit, unit_key)[0][0] / label_weights(batch).sum()

            name = first_not_finite(model, loss)
            if name != OPTIMIZER:
                return name
    return OPTIMIZER


def first_not_finite(model: nnx.Module, loss: Callable[[nnx.Module], jax.Array]) -> str:
    """Name the first tensor that is not finite, in the order in which a training step makes them.

    Arguments:
        model: before the step, in training mode.
        loss: a function of the model; it runs outside `jit`.

    Returns:
        "parameter PATH", "activation PATH" (the output of the layer of that name), "the loss" or "gradient
        PATH".
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.state(model)):
        if not _is_finite(leaf):
            return f"parameter {path_name(path)}"
    failed: list[str] = []
    with watch_outputs(model, partial(_collect_not_finite, failed)):
        value = loss(model)
    if failed:
        return f"activation {failed[0]}"
    if not _is_finite(value):
        return "the loss"
    for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.grad(loss)(model)):
        if not _is_finite(leaf):
            return f"gradient {path_name(path)}"
    return OPTIMIZER


def _collect_not_finite(failed: list[str], path: str, output: Any) -> None:
    # Inside a scan or a vmap there are no numbers; the layer around it has them.
    leaves = [leaf for leaf in jax.tree.leaves(output) if not isinstance(leaf, jax.core.Tracer)]
    if not all(_is_finite(leaf) for leaf in leaves):
        failed.append(path)


def _is_finite(leaf: Any) -> bool:
    array = np.asarray(leaf)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
