"""The training step and the evaluation of a batch, compiled for one JAX device or for a mesh of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from nets.run._population import HELD_OUT_PER_BATCH, Objective, choose_units, next_units, sums_of_units
from optics._keys import fold_key
from optics._typing import DeviceLike

AXIS = "data"  # of the mesh; batch norm averages over it


def compile_steps(
    model: nnx.Module,
    optimizer: nnx.Optimizer,
    mesh: Mesh | None = None,
    accumulate: int = 1,
    over_units: Objective | None = None,
) -> tuple[Callable, Callable]:
    """The training step and the evaluation of a batch, as compiled functions of `nnx.state((model,
    optimizer))`.

    Arguments:
        model, optimizer: their structure; the arrays are passed as the state.
        mesh: of the JAX devices that share a batch, with one axis "data"; None for a single one.
        accumulate: number of parts that a batch, or the share of a JAX device, is computed in. The gradient
            is that of the batch; noise, dropout and batch statistics are those of the parts.
        over_units: what is minimised over several units; `device` is then a population, of which each part
            of a batch meets other units. None takes one device.

    Returns:
        step: (state, batch, device, key, number) -> the next state, and an array of loss, correct labels and
            labels summed over the batch, and the norm of the gradient. `number` is folded into the key unless
            it is None.
        evaluate: (state, batch, device, key, number) -> the first three of these numbers, and the second
            result of `loss_sums`; without dropout, with the running statistics.
    """
    graph = _graph(model, optimizer, None if mesh is None else AXIS)
    model.eval()
    evaluation_graph = _graph(model, optimizer, None)
    model.train()

    def step(state, batch, device, key, number=None):
        model, optimizer = nnx.merge(graph, state)
        count = _total(label_weights(batch).sum(), mesh)

        def gradient(model, part, key):
            def loss(model):
                if over_units is None:
                    sums = loss_sums(model, part, device, key)[0]
                    return sums[0] / count, sums
                units = choose_units(device, key, over_units.count)
                sums = sums_of_units(loss_sums, model, part, units, key, over_units.divide)[0]
                return over_units.of_sums(sums) / count, sums.sum(0) if over_units.divide else sums.mean(0)

            return nnx.grad(loss, has_aux=True)(model)

        key = _step_key(key, number, mesh)
        if accumulate == 1:
            result = gradient(model, batch, key)
        else:
            result = _accumulate(gradient, model, batch, key, accumulate)
        gradients, sums = _total(result, mesh)
        optimizer.update(model, gradients)
        return nnx.state((model, optimizer)), jnp.append(sums, optax.tree.norm(gradients))

    def evaluate(state, batch, device, key, number=None):
        model, _ = nnx.merge(evaluation_graph, state)
        key = _step_key(key, number, mesh)
        if over_units is None or device is None:
            sums, of_rows = loss_sums(model, batch, device, key)
        else:
            units = next_units(device, number, HELD_OUT_PER_BATCH)
            sums, of_rows = sums_of_units(loss_sums, model, batch, units, key, divide=True)
            sums = sums.sum(0)
        if mesh is None:
            return sums, of_rows
        return jax.lax.psum(sums, AXIS), jax.lax.all_gather(of_rows, AXIS, tiled=True)

    if mesh is None:
        return jax.jit(step), jax.jit(evaluate)
    # Automatic sharding would gather the whole batch around every FFT. The checker of shard_map is off
    # because it cannot see that the gathered classes are replicated.
    specs = (P(), P(AXIS), P(), P(), P())

    def shard(f):
        sharded = jax.shard_map(f, mesh=mesh, in_specs=specs, out_specs=(P(), P()), check_vma=False)
        return jax.jit(
            lambda state, batch, device, key, number=None: sharded(state, batch, device, key, number)
        )

    return shard(step), shard(evaluate)


def loss_sums(
    model: nnx.Module, batch: tuple, device: DeviceLike, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Loss, correct labels and labels, summed over a batch; and for each row its predicted class, or, where
    labels are tokens, the loss of each, in nats.

    Arguments:
        model: called as `model(rows, device, key)`, gives logits.
        batch: rows, labels and weights, as `nets.data.batches` makes them.
        device: computes the convolutions; None is the exact FFT.
        key: of the noise and of dropout.
    """
    rows, labels, _ = batch
    weights = label_weights(batch)
    logits = model(rows, device, key)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    predicted = logits.argmax(-1)
    correct = (predicted == labels) * weights
    sums = jnp.stack([(losses * weights).sum(), correct.sum(), weights.sum()])
    return sums, predicted if labels.ndim == 1 else losses * weights


def label_weights(batch: tuple) -> jax.Array:
    """How much each label of a batch counts: 1, and 0 in rows that fill it up and for token 0."""
    _, labels, weights = batch
    return jnp.asarray(weights if labels.ndim == 1 else weights[:, None] * (labels != 0))


def _accumulate(
    gradient: Callable, model: nnx.Module, batch: tuple, key: jax.Array, parts: int
) -> tuple[Any, jax.Array]:
    """Gradients and sums of a batch, added up over its parts; each part updates the batch statistics of the
    model."""
    graph, weights, statistics = nnx.split(model, nnx.Param, ...)

    def add(carry, part):
        total, statistics = carry
        model = nnx.merge(graph, weights, statistics, copy=True)
        result = gradient(model, part[0], part[1])
        return (jax.tree.map(jnp.add, total, result), nnx.split(model, nnx.Param, ...)[2]), None

    keys = jax.vmap(lambda i: fold_key(key, i))(jnp.arange(parts))
    batches = jax.tree.map(lambda a: a.reshape(parts, -1, *a.shape[1:]), batch)
    zero = (jax.tree.map(jnp.zeros_like, weights), jnp.zeros(3))
    (total, statistics), _ = jax.lax.scan(add, (zero, statistics), (batches, keys))
    nnx.update(model, statistics)
    return total


def _graph(model: nnx.Module, optimizer: nnx.Optimizer, axis: str | None) -> nnx.GraphDef:
    """The structure of both, with batch statistics averaged over the axis of the mesh."""
    norms = [module for _, module in nnx.iter_modules(model) if isinstance(module, nnx.BatchNorm)]
    for norm in norms:
        norm.axis_name = axis
    graph = nnx.graphdef((model, optimizer))
    for norm in norms:
        norm.axis_name = None
    return graph


def _step_key(key: jax.Array, number: Any, mesh: Mesh | None) -> jax.Array:
    """The key of a step, different on each shard."""
    key = key if number is None else fold_key(key, number)
    return key if mesh is None else fold_key(key, jax.lax.axis_index(AXIS))


def _total(tree: Any, mesh: Mesh | None) -> Any:
    return tree if mesh is None else jax.lax.psum(tree, AXIS)
