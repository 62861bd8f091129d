"""Find the first tensor of a step that is not finite."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nets.run._checkpoint import path_name
from nets.run._steps import loss_sums
from optics._typing import DeviceLike

OPTIMIZER = "the update of the optimizer"  # to blame if the step itself is finite


def diagnose_step(
    model: nnx.Module, batch: tuple, device: DeviceLike, key: jax.Array, shards: int = 1, accumulate: int = 1
) -> str:
    """Name the first tensor of a training step that is not finite.

    Arguments:
        model: before the step, in training mode.
        batch: of the step.
        device: computes the convolutions.
        key: of the step.
        shards, accumulate: the batch is computed in these parts, as in the step, each with its own key.
    """
    parts = shards * accumulate
    pieces = [np.array_split(array, parts) for array in batch]
    for i in range(parts):
        part_key = key if shards == 1 else jax.random.fold_in(key, i // accumulate)
        part_key = part_key if accumulate == 1 else jax.random.fold_in(part_key, i % accumulate)
        part = tuple(jnp.asarray(arrays[i]) for arrays in pieces)

        def loss(model, part=part, part_key=part_key):
            return loss_sums(model, part, device, part_key)[0][0] / batch[2].sum()

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
    with _watch_outputs(model) as paths:
        value = loss(model)
    if paths:
        return f"activation {paths[0]}"
    if not _is_finite(value):
        return "the loss"
    for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.grad(loss)(model)):
        if not _is_finite(leaf):
            return f"gradient {path_name(path)}"
    return OPTIMIZER


@contextmanager
def _watch_outputs(model: nnx.Module) -> Iterator[list[str]]:
    """Collect the paths of the layers whose output is not finite, in the order in which they return."""
    paths = {id(module): ".".join(map(str, path)) or "model" for path, module in nnx.iter_modules(model)}
    failed: list[str] = []
    kinds = {type(module) for _, module in nnx.iter_modules(model) if "__call__" in vars(type(module))}
    before = {kind: kind.__call__ for kind in kinds}

    def watch(call: Callable) -> Callable:
        def watched_call(self, *args, **kwargs):
            output = call(self, *args, **kwargs)
            # Inside a scan or a vmap there are no numbers; the layer around it has them.
            leaves = [leaf for leaf in jax.tree.leaves(output) if not isinstance(leaf, jax.core.Tracer)]
            if id(self) in paths and not all(_is_finite(leaf) for leaf in leaves):
                failed.append(paths[id(self)])
            return output

        return watched_call

    try:
        for kind, call in before.items():
            kind.__call__ = watch(call)
        yield failed
    finally:
        for kind, call in before.items():
            kind.__call__ = call


def _is_finite(leaf: Any) -> bool:
    array = np.asarray(leaf)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
