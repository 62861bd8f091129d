"""Which tensor of a step is the first that is not finite."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from flax import nnx

from nets.run._checkpoint import path_name

NOTHING = "the update of the optimizer"  # where the step itself has nothing to show


def first_not_finite(model: nnx.Module, loss: Callable[[nnx.Module], jax.Array]) -> str:
    """Name the first tensor that is not finite, in the order in which a training step makes them.

    Arguments:
        model: as it is before the step, in training mode.
        loss: of the batch, a function of the model; it is run outside `jit`.

    Returns:
        "parameter PATH", "activation PATH" (the output of the layer of that name), "the loss" or "gradient PATH".
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.state(model)):
        if not _finite(leaf):
            return f"parameter {path_name(path)}"
    with _watched(model) as found:
        value = loss(model)
    if found:
        return f"activation {found[0]}"
    if not _finite(value):
        return "the loss"
    for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.grad(loss)(model)):
        if not _finite(leaf):
            return f"gradient {path_name(path)}"
    return NOTHING


@contextmanager
def _watched(model: nnx.Module) -> Iterator[list[str]]:
    """The paths of the layers whose output is not finite, in the order in which they end."""
    paths = {id(module): ".".join(map(str, path)) or "model" for path, module in nnx.iter_modules(model)}
    found: list[str] = []
    kinds = {type(module) for _, module in nnx.iter_modules(model) if "__call__" in vars(type(module))}
    before = {kind: kind.__call__ for kind in kinds}

    def watching(call: Callable) -> Callable:
        def watched(self, *args, **kwargs):
            output = call(self, *args, **kwargs)
            # Inside a scan or a vmap there are no numbers to look at; the layer around it has them.
            leaves = [leaf for leaf in jax.tree.leaves(output) if not isinstance(leaf, jax.core.Tracer)]
            if id(self) in paths and not all(_finite(leaf) for leaf in leaves):
                found.append(paths[id(self)])
            return output

        return watched

    try:
        for kind, call in before.items():
            kind.__call__ = watching(call)
        yield found
    finally:
        for kind, call in before.items():
            kind.__call__ = call


def _finite(leaf: Any) -> bool:
    array = np.asarray(leaf)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
