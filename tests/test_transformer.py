"""The classifier: its block, its padding, its dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import nets
from tests.conftest import relative
from tests.parts import load


def classifier(dropout=0.0, shape=(5, 5), depth=2):
    rngs = nnx.Rngs(0)
    blocks = [nets.Block(nets.ConvSelfAttention(shape, 2, rngs=rngs), dropout=dropout, rngs=rngs) for _ in range(depth)]
    embedding = nets.TokenEmbedding(50, 8, blocks[0].attention.features, rngs=rngs)
    return nets.Classifier(embedding, blocks, 3, dropout=dropout, rngs=rngs)


def tokens(key, shape=(4, 6)):
    return jax.random.randint(key, shape, 1, 50)


def test_the_block_is_post_norm(key):
    block = classifier().blocks[0]
    x = np.asarray(jax.random.normal(key, (1, 3, 25)))

    def norm(x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)

    after = norm(np.asarray(block.attention(jnp.asarray(x))) + x)
    widened = np.maximum(after @ np.asarray(block.widen.kernel[...]) + np.asarray(block.widen.bias[...]), 0)
    wanted = norm(widened @ np.asarray(block.narrow.kernel[...]) + np.asarray(block.narrow.bias[...]) + after)
    assert relative(block(jnp.asarray(x)), wanted) <= 1e-5


def test_padded_rows_give_the_same_logits(key):
    model = classifier()
    x = tokens(key)
    padded = jnp.pad(x, ((0, 0), (0, 2)))
    np.testing.assert_allclose(model(padded), model(x), atol=1e-5)
    assert np.all(np.isfinite(model(jnp.zeros((2, 4), int))))


def test_an_ideal_device_changes_nothing(key):
    model, x = classifier(), tokens(key)
    assert relative(model(x, load("ideal", pixels=(5, 5)), key), model(x)) <= 1e-4


def test_blocks_draw_different_noise(key):
    model, x, device = classifier(), tokens(key), load("engine11", pixels=5)
    first, second = (model(x, device, jax.random.fold_in(key, i)) for i in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(model(x, device, key), model(x, device, key))


def test_dropout(key):
    model, x = classifier(dropout=0.5), tokens(key)
    assert not np.array_equal(model(x, None, key), model(x, None, jax.random.fold_in(key, 1)))
    with pytest.raises(ValueError, match="`key` must be given in training"):
        model(x)
    model.eval()
    np.testing.assert_array_equal(model(x), model(x, None, key))
    kept = nets.transformer.Dropout(0.25)(jnp.ones((100_000,)), key)
    assert np.mean(kept) == pytest.approx(1, abs=0.01) and set(np.unique(kept).round(5)) == {0, np.float32(1.33333)}


def test_one_trace_for_every_device_of_a_kind(key):
    model, x = classifier(), tokens(key)
    graph, state = nnx.split(model)
    traces = 0

    @jax.jit
    def run(state, x, device, key):
        nonlocal traces
        traces += 1
        return nnx.merge(graph, state)(x, device, key)

    for photons in (1e3, 1e4):
        run(state, x, load("engine11", pixels=5, photons=photons), key)
    assert traces == 1
