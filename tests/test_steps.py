"""The training step: parts of a batch add up to it, and bfloat16 stays where it is safe."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from nets import data
from nets.config import Config, resolve
from nets.layers import FeedForward
from nets.run import build_model, compile_steps, loss_sums, named_arrays
from optics.metrics import relative_error

SMALL = dict(device="none", heads=2, dropout=0.0, patch=4)
RATE = 2.0**10  # so large that of its steps the rounding of the weights takes nothing


def make_step(**changes):
    """A model, a batch whose last rows weigh nothing, and what a step of slope `RATE` changes."""
    config = resolve(Config(**SMALL | changes))
    dataset = data.load(config)
    model = build_model(config, dataset, nnx.Rngs(0))
    batch = data.make_batch(dataset.train, np.arange(53), 64)

    def step(model, accumulate=1):
        optimizer = nnx.Optimizer(model, optax.sgd(RATE), wrt=nnx.Param)
        state, key = nnx.state((model, optimizer)), jax.random.key(0)
        after, sums = compile_steps(model, optimizer, None, accumulate)[0](state, batch, None, key)
        before, after = named_arrays(state[0]), named_arrays(after[0])
        return {name: before[name] - after[name] for name in before}, sums

    return model, batch, step


@pytest.mark.parametrize(
    "changes",
    [dict(model="conv2d", shape=(3, 4)), dict(model="lambda", shape=(8,), normalization="layer", depth=2)],
)
@pytest.mark.every(2)
def test_parts_of_a_batch_add_up_to_it(changes):
    model, _, step = make_step(**changes)
    (whole, of_whole), (parts, of_parts) = step(model), step(model, 8)
    for name, a in whole.items():
        a, b = a / RATE, parts[name] / RATE
        # Sums of 53 · 16 terms in another order: 2e-6 to 6.1e-6, by processor and version of jax.
        assert np.linalg.norm(a - b) <= 1e-5 * max(np.linalg.norm(a), 1e-2)
    assert of_parts[2] == 53 and np.allclose(of_whole, of_parts, rtol=1e-6)


def test_statistics_of_batches_are_those_of_the_parts_in_turn():
    model, (rows, _, _), step = make_step(model="lambda", shape=(8,))
    norm = model.blocks[0].attention.query_norm
    first = [np.asarray(statistic) for statistic in (norm.mean, norm.var)]
    means, variances = [], []
    changed = step(model, 2)[0]
    for part in (jnp.asarray(rows[:32]), jnp.asarray(rows[32:])):
        q = np.asarray(model.blocks[0].attention.query(model.embedding(part)[0]), np.float64)
        means.append(q.mean((0, 1)))
        variances.append(q.var((0, 1)))
    path = "blocks.0.attention.query_norm"
    assert (
        relative_error(first[0] - changed[f"{path}.mean"], np.mean(means, 0)) <= 1e-5
        and relative_error(first[1] - changed[f"{path}.var"], np.mean(variances, 0)) <= 1e-5
    )


def test_mixed_precision_reaches_the_matrices_alone(monkeypatch):
    single, batch, step = make_step(shape=(3, 4), precision="float32")
    mixed = make_step(shape=(3, 4), precision="mixed")[0]
    assert all(
        np.array_equal(a, b)
        for a, b in zip(*(jax.tree.leaves(nnx.state(m)) for m in (single, mixed)), strict=True)
    )
    for a, b in zip(*(step(m)[0].values() for m in (single, mixed)), strict=True):
        assert a.dtype == b.dtype == np.float32
        # Eight bits of each number, and of the sums over 256 tokens: 1.6 % by the emitters of jax 0.12.
        assert np.linalg.norm(a - b) <= 3 * 2**-7 * max(np.linalg.norm(a), 1e-2)
    rows = jnp.asarray(batch[0])
    assert relative_error(mixed(rows), single(rows)) <= 2**-7

    dtypes = []

    def watched(convolve, planes, *others):
        dtypes.append(planes.dtype)
        return convolve(planes, *others)

    for block in mixed.blocks:
        block.attention.convolve = partial(watched, block.attention.convolve)

    def loss(model):
        return loss_sums(model, (rows, *batch[1:]), None, jax.random.key(0))[0][0]

    used = list(
        equations(
            jax.make_jaxpr(lambda state: nnx.grad(loss)(nnx.merge(nnx.graphdef(mixed), state)))(
                nnx.state(mixed)
            ).jaxpr
        )
    )
    assert dtypes and all(dtype == jnp.float32 for dtype in dtypes)
    low = [name for name, types in used if jnp.dtype(jnp.bfloat16) in types]
    # The product with the patches and two in the block, and backwards two for each, save that no slope of the
    # pixels is asked for.
    assert low.count("dot_general") == 3 + 2 * 3 - 1
    assert set(low) <= {"dot_general", "convert_element_type", "transpose"}


def test_gradients_of_biases_add_up_in_mixed_precision():
    # In bfloat16 a sum of ones ends at 256.
    layer = FeedForward(4, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    slope = nnx.grad(lambda layer: layer(jnp.ones((64, 128, 4))).sum())(layer)
    assert np.array_equal(slope["narrow"]["bias"][...], np.full(4, 64 * 128))


def equations(jaxpr):
    """Name of each operation and the types of what goes in and comes out, those within others too."""
    for equation in jaxpr.eqns:
        inner = [
            leaf
            for leaf in jax.tree.leaves(
                list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")
            )
        ]
        inner = [getattr(p, "jaxpr", p) for p in inner if hasattr(p, "eqns") or hasattr(p, "jaxpr")]
        if inner:
            for one in inner:
                yield from equations(one)
        else:
            yield (
                equation.primitive.name,
                {getattr(v.aval, "dtype", None) for v in (*equation.invars, *equation.outvars)},
            )
