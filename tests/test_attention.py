"""Attention against matrices, numpy and its own symmetries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.special
from flax import nnx

import nets
import optics
from tests.conftest import relative
from tests.parts import load


def parameters(layer):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(layer, nnx.Param)))


def rngs():
    return nnx.Rngs(0)


def attend(q, k, v, mask=None):
    """Softmax attention of one head in float64, row by row."""
    out = np.zeros_like(v)
    for i, row in enumerate(q):
        logits = k @ row / np.sqrt(len(row))
        logits = logits if mask is None else np.where(mask, logits, -np.inf)
        out[i] = scipy.special.softmax(logits) @ v
    return out


def test_parameter_counts():
    assert parameters(nets.LinearSelfAttention(128, 8, kind="wide", rngs=rngs())) == 524_416
    assert parameters(nets.LinearSelfAttention(121, 8, rngs=rngs())) == 468_633
    assert parameters(nets.ConvSelfAttention((128,), 8, rngs=rngs())) == 3_072
    assert parameters(nets.ConvSelfAttention((8, 16), 8, rngs=rngs())) == 3_072
    assert parameters(nets.ConvSelfAttention((11, 11), 8, rngs=rngs())) == 2_904
    for kernel, count in ((3, 216), (5, 600), (7, 1_176)):
        assert parameters(nets.ConvSelfAttention((11, 11), 8, kernel=(kernel, kernel), rngs=rngs())) == count


def test_linear_attention(key):
    layer = nets.LinearSelfAttention(6, 2, rngs=rngs())
    x = np.asarray(jax.random.normal(key, (5, 6)), np.float64)
    weights = np.asarray(layer.project.kernel[...], np.float64).reshape(6, 3, 2, 6)
    heads = [attend(*(x @ weights[:, part, head] for part in range(3))) for head in range(2)]
    wanted = np.concatenate(heads, -1) @ np.asarray(layer.merge.kernel[...]) + np.asarray(layer.merge.bias[...])
    assert relative(layer(jnp.asarray(x, jnp.float32)[None])[0], wanted) <= 1e-5


def test_convolutional_attention_in_one_dimension_is_attention_with_circulant_matrices(key):
    layer = nets.ConvSelfAttention((9,), 2, rngs=rngs())
    x = np.asarray(jax.random.normal(key, (5, 9)), np.float64)
    kernels = np.asarray(layer.kernels[...], np.float64).reshape(3, 2, 9)
    wanted = sum(attend(*(x @ scipy.linalg.circulant(kernels[part, head]).T for part in range(3))) for head in range(2))
    assert relative(layer(jnp.asarray(x, jnp.float32)[None])[0], wanted) <= 1e-5


def test_convolutional_attention_in_two_dimensions_is_attention_with_block_circulant_matrices(key):
    rows, cols = 3, 4
    layer = nets.ConvSelfAttention((rows, cols), 2, rngs=rngs())
    x = np.asarray(jax.random.normal(key, (5, 12)), np.float64)
    kernels = np.asarray(layer.kernels[...], np.float64).reshape(3, 2, rows, cols)

    def matrix(w):
        basis = np.eye(12).reshape(12, rows, cols)
        shifted = [sum(w[u, v] * np.roll(e, (u, v), (0, 1)) for u in range(rows) for v in range(cols)) for e in basis]
        return np.stack(shifted).reshape(12, 12)

    wanted = sum(attend(*(x @ matrix(kernels[part, head]) for part in range(3))) for head in range(2))
    assert relative(layer(jnp.asarray(x, jnp.float32)[None])[0], wanted) <= 1e-5
    flat = nets.ConvSelfAttention((1, 12), 2, rngs=rngs())
    line = nets.ConvSelfAttention((12,), 2, rngs=rngs())
    np.testing.assert_array_equal(flat(jnp.asarray(x)[None]), line(jnp.asarray(x)[None]))


def test_small_kernels_are_centred(key):
    layer = nets.ConvSelfAttention((7, 6), 1, kernel=(3, 3), rngs=rngs())
    layer.kernels[...] = jnp.zeros((3, 3, 3)).at[:, 1, 1].set(1)  # the middle tap alone: q = k = v = x
    x = np.asarray(jax.random.normal(key, (4, 42)))
    np.testing.assert_allclose(layer(jnp.asarray(x)[None])[0], attend(x, x, x), atol=1e-5)


def test_cyclic_shifts_of_the_embedding_pass_through(key):
    layer = nets.ConvSelfAttention((5, 6), 3, rngs=rngs())
    x = jax.random.normal(key, (2, 4, 5, 6))

    def apply(x):
        return layer(x.reshape(2, 4, 30)).reshape(2, 4, 5, 6)

    assert relative(apply(jnp.roll(x, (2, 1), (-2, -1))), jnp.roll(apply(x), (2, 1), (-2, -1))) <= 1e-5


@pytest.mark.parametrize("shape", [(12,), (11, 11)])
def test_an_ideal_device_changes_nothing(shape, key):
    layer = nets.ConvSelfAttention(shape, 2, rngs=rngs())
    device = load("ideal", pixels=(1,) * (2 - len(shape)) + shape)
    x = jax.random.normal(key, (2, 4, layer.features))
    assert relative(layer(x, device, key), layer(x)) <= 1e-4


def test_a_noisy_device_changes_a_little_and_gradients_pass(key):
    x = jax.random.normal(key, (2, 4, 25))
    device = load("engine11", pixels=5)
    slopes = {}
    for name, convolve in (("simulator", optics.convolve), ("ideal", optics.ideal_gradient(optics.convolve))):
        layer = nets.ConvSelfAttention((5, 5), 2, convolve=convolve, rngs=rngs())
        assert 1e-3 < relative(layer(x, device, key), layer(x)) < 0.2
        slopes[name] = nnx.jit(nnx.grad(lambda layer: jnp.sum(layer(x, device, key) ** 2)))(layer)["kernels"][...]
    assert relative(slopes["simulator"], slopes["ideal"]) < 0.3


@pytest.mark.parametrize("layer", [nets.LinearSelfAttention(12, 2, rngs=rngs()), nets.ConvSelfAttention((3, 4), 2, rngs=rngs())])
def test_padding_is_not_attended_to(layer, key):
    x = jax.random.normal(key, (2, 5, 12))
    padded = jnp.concatenate([x, 9 * jnp.ones((2, 3, 12))], axis=1)
    mask = jnp.arange(8)[None].repeat(2, 0) < 5
    np.testing.assert_allclose(layer(padded, None, None, mask)[:, :5], layer(x), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nets.LinearSelfAttention(128, 0, rngs=rngs()), "`heads` must be a whole number of at least 1, got 0"),
        (lambda: nets.LinearSelfAttention(128, 8, kind="narrower", rngs=rngs()), "`kind` must be \"wide\", got 'narrower'"),
        (lambda: nets.ConvSelfAttention((2, 3, 4), rngs=rngs()), r"`shape` must be \(k,\) or \(k1, k2\), got \(2, 3, 4\)"),
        (lambda: nets.ConvSelfAttention((0, 3), rngs=rngs()), r"`shape\[0\]` must be a whole number of at least 1"),
        (lambda: nets.ConvSelfAttention((5, 5), kernel=(7, 3), rngs=rngs()), r"`kernel` must have between 1 and \(5, 5\) taps"),
        (lambda: nets.ConvSelfAttention((5, 5), kernel=6, rngs=rngs()), r"`kernel` must have between 1 and \(5, 5\) taps"),
        (
            lambda: nets.ConvSelfAttention((5, 5), rngs=rngs())(jnp.ones((2, 3, 24))),
            r"`x` must have shape \(batch, tokens, 25\), got \(2, 3, 24\)",
        ),
        (lambda: nets.LinearSelfAttention(5, 2, rngs=rngs())(jnp.ones((2, 3, 6))), r"`x` must have shape \(batch, tokens, 5\)"),
        (lambda: nets.ConvSelfAttention((5, 5), kernel=(3,), rngs=rngs()), "`kernel` must have"),
        (
            lambda: nets.Block(nets.ConvSelfAttention((5,), rngs=rngs()), dropout=1.0, rngs=rngs()),
            "`dropout` must be at least 0 and below 1",
        ),
        (lambda: nets.Block(nets.ConvSelfAttention((5,), rngs=rngs()), hidden=0, rngs=rngs()), "`hidden` must be"),
        (
            lambda: nets.Classifier(nets.PatchEmbedding(4, 4, 5, rngs=rngs()), [], 2, rngs=rngs()),
            "`blocks` must be a whole number of at least 1",
        ),
        (lambda: nets.TokenEmbedding(0, 4, 5, rngs=rngs()), "`vocabulary` must be"),
        (
            lambda: nets.PatchEmbedding(4, 4, 5, rngs=rngs())(jnp.ones((2, 6, 4))),
            "`x` has rows of 6 tokens but the model was built for at most 4",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
