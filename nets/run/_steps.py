"""The training step and the evaluation of one batch, compiled for one device or for a mesh of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

AXIS = "data"  # of the mesh, and the name by which layers that need the whole batch know it


def compile_steps(
    model: nnx.Module, optimizer: nnx.Optimizer, mesh: Mesh | None = None, accumulate: int = 1
) -> tuple[Callable, Callable]:
    """The training step and the evaluation of one batch, as compiled functions of the state.

    Arguments:
        model, optimizer: as they are to start.
        mesh: of the devices that share a batch, with one axis "data"; None is one device.
        accumulate: parts of a batch, or of a device's share of it, that are computed in turn; the gradient is that of the
            batch, noise, dropout and statistics of batches aside, which are those of the parts.

    Returns:
        step: (state, batch, device, key, number) -> state, and sums of loss, right answers and rows followed by the norm of
            the gradient; `number` is folded into the key unless it is None.
        evaluate: (state, batch, device, key, number) -> those sums and the class of each row; no dropout, statistics as
            they are.
    """
    graph = _graph(model, optimizer, None if mesh is None else AXIS)
    model.eval()
    still = _graph(model, optimizer, None)
    model.train()

    def step(state, batch, device, key, number=None):
        model, optimizer = nnx.merge(graph, state)
        rows = _total(batch[2].sum(), mesh)

        def of_part(model, part, key):
            def loss(model):
                found = sums(model, part, device, key)[0]
                return found[0] / rows, found

            return nnx.grad(loss, has_aux=True)(model)

        own = _key(key, number, mesh)
        found = (
            of_part(model, batch, own)
            if accumulate == 1
            else _in_turn(of_part, model, batch, own, accumulate)
        )
        gradients, found = _total(found, mesh)
        optimizer.update(model, gradients)
        return nnx.state((model, optimizer)), jnp.append(found, optax.tree.norm(gradients))

    def evaluate(state, batch, device, key, number=None):
        found, predicted = sums(nnx.merge(still, state)[0], batch, device, _key(key, number, mesh))
        if mesh is None:
            return found, predicted
        return jax.lax.psum(found, AXIS), jax.lax.all_gather(predicted, AXIS, tiled=True)

    if mesh is None:
        return jax.jit(step), jax.jit(evaluate)
    # Automatic sharding would gather the whole batch around every FFT. What is replicated is so by construction, which
    # the checker of shard_map cannot see through the gather.
    specs = (P(), P(AXIS), P(), P(), P())

    def spread(f):
        shared = jax.shard_map(f, mesh=mesh, in_specs=specs, out_specs=(P(), P()), check_vma=False)
        return jax.jit(
            lambda state, batch, device, key, number=None: shared(state, batch, device, key, number)
        )

    return spread(step), spread(evaluate)


def sums(model: nnx.Module, batch: tuple, device: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sums of loss, right answers and rows over a batch (rows, labels, weights), and the class of each row."""
    rows, labels, weights = batch
    logits = model(rows, device, key)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    predicted = logits.argmax(-1)
    right = (predicted == labels) * weights
    return jnp.stack([(losses * weights).sum(), right.sum(), weights.sum()]), predicted


def _in_turn(
    of_part: Callable, model: nnx.Module, batch: tuple, key: jax.Array, parts: int
) -> tuple[Any, jax.Array]:
    """Gradients and sums of a batch, added up over its parts; the statistics of the model take each part into account."""
    graph, weights, statistics = nnx.split(model, nnx.Param, ...)

    def add(carry, part):
        total, statistics = carry
        model = nnx.merge(graph, weights, statistics, copy=True)
        found = of_part(model, part[0], part[1])
        return (jax.tree.map(jnp.add, total, found), nnx.split(model, nnx.Param, ...)[2]), None

    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(parts))
    turns = (jax.tree.map(lambda a: a.reshape(parts, -1, *a.shape[1:]), batch), keys)
    none = (jax.tree.map(jnp.zeros_like, weights), jnp.zeros(3))
    (total, statistics), _ = jax.lax.scan(add, (none, statistics), turns)
    nnx.update(model, statistics)
    return total


def _graph(model: nnx.Module, optimizer: nnx.Optimizer, axis: str | None) -> nnx.GraphDef:
    """The structure of both, with statistics of batches taken over the axis of the mesh."""
    norms = [module for _, module in nnx.iter_modules(model) if isinstance(module, nnx.BatchNorm)]
    for norm in norms:
        norm.axis_name = axis
    graph = nnx.graphdef((model, optimizer))
    for norm in norms:
        norm.axis_name = None
    return graph


def _key(key: jax.Array, number: Any, mesh: Mesh | None) -> jax.Array:
    """The key of a step, another one on each shard."""
    key = key if number is None else jax.random.fold_in(key, number)
    return key if mesh is None else jax.random.fold_in(key, jax.lax.axis_index(AXIS))


def _total(tree: Any, mesh: Mesh | None) -> Any:
    return tree if mesh is None else jax.lax.psum(tree, AXIS)
