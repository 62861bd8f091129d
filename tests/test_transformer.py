"""The classifier: its blocks, its feed-forwards, its padding, its dropout."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from flax import nnx

import nets
import optics
from nets.layers import ConvFeedForward, Dropout, FeedForward, FourierMixing, LambdaLayer
from tests.helpers import relative
from tests.helpers_layers import count, noisy, rngs, run
from tests.parts import load


def classifier(make, depth=1, dropout=0.0, norm="post", feed_forward=lambda rngs: None):
    rngs = nnx.Rngs(0)

    def block():
        return nets.Block(make(rngs), dropout=dropout, norm=norm, feed_forward=feed_forward(rngs), rngs=rngs)

    blocks = [block() for _ in range(depth)]
    embedding = nets.TokenEmbedding(50, 8, blocks[0].attention.features, rngs=rngs)
    return nets.Classifier(embedding, blocks, 3, dropout=dropout, rngs=rngs)


def attention(rngs):
    return nets.ConvSelfAttention((3, 3), 2, rngs=rngs)


@functools.cache
def two_blocks():
    return classifier(attention, depth=2)


def tokens(key, shape=(3, 6)):
    return jax.random.randint(key, shape, 1, 50)


def normalise(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


@pytest.mark.parametrize(("norm", "layer_scale"), [("post", None), ("pre", None), ("pre", 0.1)])
def test_the_block(norm, layer_scale, key):
    block = nets.Block(attention(nnx.Rngs(0)), norm=norm, layer_scale=layer_scale, rngs=nnx.Rngs(0))
    first = second = 1
    if layer_scale is not None:
        assert np.all(block.scale1[...] == np.float32(layer_scale)) and np.all(
            block.scale2[...] == np.float32(layer_scale)
        )
        first, second = np.linspace(-1, 2, 18, dtype=np.float32).reshape(2, 9)
        block.scale1[...], block.scale2[...] = first, second
    x = np.asarray(jax.random.normal(key, (1, 3, 9)))

    def attended(x):
        return np.asarray(run(block.attention, jnp.asarray(x)))

    def forward(x):
        widen, narrow = block.feed_forward.widen, block.feed_forward.narrow
        widened = np.maximum(x @ np.asarray(widen.kernel[...]) + np.asarray(widen.bias[...]), 0)
        return widened @ np.asarray(narrow.kernel[...]) + np.asarray(narrow.bias[...])

    if norm == "post":
        after = normalise(attended(x) + x)
        expected = normalise(forward(after) + after)
    else:
        after = x + first * attended(normalise(x))
        expected = after + second * forward(normalise(after))
    assert relative(run(block, jnp.asarray(x)), expected) <= 1e-5


def test_parameters_of_the_article():
    # 50,000 tokens, 512 positions, 6 blocks, 2 classes.
    def total(make):
        def build():
            rngs = nnx.Rngs(0)
            blocks = [nets.Block(make(rngs), rngs=rngs) for _ in range(6)]
            return nets.Classifier(
                nets.TokenEmbedding(50_000, 512, blocks[0].attention.features, rngs=rngs),
                blocks,
                2,
                rngs=rngs,
            )

        return count(build)

    assert total(lambda rngs: nets.LinearSelfAttention(128, 8, rngs=rngs)) == 10_405_634
    assert total(lambda rngs: nets.LinearSelfAttention(128, 8, "canonical", rngs=rngs)) == 7_653_122
    assert total(lambda rngs: nets.ConvSelfAttention((8, 16), 8, rngs=rngs)) == 7_277_570
    assert total(lambda rngs: nets.LinearSelfAttention(121, 8, rngs=rngs)) == 9_633_296
    assert total(lambda rngs: nets.ConvSelfAttention((11, 11), 8, rngs=rngs)) == 6_838_922
    assert total(lambda rngs: LambdaLayer(128, 8, scope=512, rngs=rngs)) == 7_432_898
    assert count(lambda: FeedForward(128, rngs=nnx.Rngs(0))) == 131_712
    assert count(lambda: ConvFeedForward((8, 16), rngs=nnx.Rngs(0))) == 2 * 4 * 128 + 5 * 128


def test_the_convolutional_feed_forward_has_matrices_of_circulant_blocks(key):
    layer = ConvFeedForward((6,), 3, rngs=nnx.Rngs(0))
    layer.widen_bias[...] = jax.random.normal(key, (3, 1, 6))
    layer.narrow_bias[...] = jnp.arange(6.0)[None]
    x = np.asarray(jax.random.normal(key, (1, 4, 6)), np.float64)
    wide = np.concatenate([scipy.linalg.circulant(w) for w in np.asarray(layer.widen[...], np.float64)[:, 0]])
    narrow = np.concatenate(
        [scipy.linalg.circulant(u) for u in np.asarray(layer.narrow[...], np.float64)[:, 0]], axis=1
    )
    expected = np.maximum(x @ wide.T + np.asarray(layer.widen_bias[...]).ravel(), 0) @ narrow.T + np.arange(6)
    result = run(layer, jnp.asarray(x, jnp.float32))
    assert relative(result, expected) <= 1e-5
    assert (
        relative(run(layer, jnp.asarray(x, jnp.float32), load("ideal", pixels=(1, 6)), key), result) <= 1e-4
    )


def test_fourier_mixing(key):
    x = np.asarray(jax.random.normal(key, (2, 4, 6)))
    expected = np.fft.fft2(x, norm="ortho").real
    assert relative(run(FourierMixing(6), x, load("ideal", pixels=(4, 6)), key), expected) <= 1e-4
    assert relative(run(FourierMixing(6, (6,)), x, load("ideal", pixels=(1, 6)), key), expected) <= 1e-4
    in_planes = np.fft.fftn(x.reshape(2, 4, 2, 3), axes=(1, 2, 3), norm="ortho").real.reshape(x.shape)
    assert relative(run(FourierMixing(6, (2, 3)), x), in_planes) <= 1e-5
    mask = jnp.array([[True] * 4, [True] * 3 + [False]])
    masked = np.where(np.asarray(mask)[..., None], x, 0)
    assert (
        relative(run(FourierMixing(6), x, None, None, mask), np.fft.fft2(masked, norm="ortho").real) <= 1e-5
    )
    model = classifier(lambda rngs: FourierMixing(9, (3, 3)))
    slope = jax.jit(nnx.grad(lambda model: jnp.sum(model(tokens(key), noisy(3), key) ** 2)))(model)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(slope))


@pytest.mark.parametrize(
    "model",
    [
        lambda: two_blocks(),
        lambda: classifier(
            lambda rngs: nets.ConvSelfAttention((3, 3), 2, spectral=True, rngs=rngs), norm="pre"
        ),
        lambda: classifier(lambda rngs: LambdaLayer(9, 3, 4, scope=5, rngs=rngs)),
        lambda: classifier(
            lambda rngs: LambdaLayer(9, 3, 4, 5, "zero", rngs=rngs),
            feed_forward=lambda rngs: ConvFeedForward((9,), rngs=rngs),
        ),
    ],
    ids=["direct", "spectral, pre-norm", "circular lambdas", "zero lambdas, convolutional feed-forward"],
)
@pytest.mark.every(2)
def test_padded_rows_give_the_same_logits(model, key):
    # In training, where batch normalisation takes its statistics from the tokens that are there.
    graph, state = nnx.split(model())

    @jax.jit
    def logits(state, x):
        return nnx.merge(graph, state)(x)

    x = tokens(key)
    np.testing.assert_allclose(logits(state, jnp.pad(x, ((0, 0), (0, 2)))), logits(state, x), atol=1e-5)
    assert np.all(np.isfinite(logits(state, jnp.zeros((3, 6), int))))


@pytest.mark.parametrize("final_norm", [True, False])
def test_pre_norm_blocks_end_with_a_norm_unless_it_is_left_out(final_norm, key):
    rngs, x = nnx.Rngs(0), tokens(key)
    blocks = [nets.Block(attention(rngs), norm="pre", layer_scale=0.1, rngs=rngs)]
    model = nets.Classifier(
        nets.TokenEmbedding(50, 8, 9, rngs=rngs), blocks, 3, final_norm=final_norm, rngs=rngs
    )
    assert (model.norm is not None) == final_norm
    vectors = np.asarray(run(blocks[0], model.embedding(x)[0]))
    vectors = normalise(vectors) if final_norm else vectors
    expected = vectors.mean(1) @ np.asarray(model.classes.kernel[...]) + np.asarray(model.classes.bias[...])
    assert relative(run(model, x), expected) <= 1e-5


def test_an_ideal_device_changes_nothing(key):
    x = tokens(key)
    assert relative(run(two_blocks(), x, load("ideal", pixels=(3, 3)), key), run(two_blocks(), x)) <= 1e-4


def test_blocks_draw_different_noise_and_trace_once_for_every_device_of_a_kind(key):
    graph, state = nnx.split(two_blocks())
    x, traces = tokens(key), 0

    @jax.jit
    def logits(state, device, key):
        nonlocal traces
        traces += 1
        return nnx.merge(graph, state)(x, device, key)

    first, second = (logits(state, noisy(3), jax.random.fold_in(key, i)) for i in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, logits(state, noisy(3), jax.random.fold_in(key, 0)))
    brighter = load("engine11", pixels=3, level="ideal", photons=2e4)
    assert not np.array_equal(first, logits(state, brighter, jax.random.fold_in(key, 0)))
    assert traces == 1


def test_dropout(key):
    model, x = classifier(attention, dropout=0.5), tokens(key)
    first, second = (run(model, x, None, jax.random.fold_in(key, i)) for i in range(2))
    assert not np.array_equal(first, second)
    with pytest.raises(ValueError, match="`key` must be given in training"):
        model(x)
    model.eval()
    np.testing.assert_array_equal(run(model, x), run(model, x, None, key))
    kept = Dropout(0.25)(jnp.ones((100_000,)), key)
    assert np.mean(kept) == pytest.approx(1, abs=0.01) and set(np.unique(kept).round(5)) == {
        0,
        np.float32(1.33333),
    }


def block(**options):
    return nets.Block(nets.ConvSelfAttention((5,), rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0), **options)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: block(dropout=1.0), "dropout"),
        (lambda: block(hidden=0), "hidden"),
        (lambda: block(norm="middle"), "norm"),
        (lambda: block(layer_scale=0.1), "layer_scale"),
        (lambda: block(layer_scale=0.0, norm="pre"), "layer_scale"),
        (lambda: block(hidden=7, feed_forward=FeedForward(5, rngs=rngs())), "hidden"),
        (lambda: ConvFeedForward((5,), 0, rngs=rngs()), "maps"),
        (lambda: ConvFeedForward((5,), kernel=6, rngs=rngs()), "kernel"),
        (
            lambda: ConvFeedForward((5,), rngs=rngs())(jnp.ones((1, 2, 5)), load("ideal", pixels=(1, 5)), 0),
            "key",
        ),
        (
            lambda: nets.Classifier(
                nets.PatchEmbedding(4, 4, 5, rngs=rngs()), [block()], 2, final_norm=False, rngs=rngs()
            ),
            "final_norm",
        ),
        (lambda: nets.Classifier(nets.PatchEmbedding(4, 4, 5, rngs=rngs()), [], 2, rngs=rngs()), "blocks"),
        (lambda: two_blocks()(jnp.ones((1, 4), int), noisy(3), 0), "key"),
        (lambda: nets.TokenEmbedding(0, 4, 5, rngs=rngs()), "vocabulary"),
        (lambda: nets.TokenEmbedding(9, 4, 5, bigrams=0, rngs=rngs()), "bigrams"),
        (lambda: nets.PatchEmbedding(4, 4, 5, rngs=rngs())(jnp.ones((2, 6, 4))), "x"),
        (lambda: FourierMixing(0), "features"),
        (lambda: FourierMixing(6, (2, 2)), "shape"),
        (lambda: FourierMixing(6)(jnp.ones((1, 4, 5))), "x"),
        (lambda: FourierMixing(6)(jnp.ones((1, 4, 6)), noisy(3)), "device"),
        (lambda: FourierMixing(6, (2, 3))(jnp.ones((1, 4, 6)), noisy(3)), "device"),
        (lambda: FourierMixing(6, (2, 3))(jnp.ones((1, 4, 6)), load("ideal", pixels=(2, 3)), 0), "key"),
        (
            lambda: FourierMixing(6, (2, 3))(jnp.ones((1, 4, 6)), optics.Correlator(optics.dft((2, 3)))),
            "device",
        ),
    ],
)
def test_refusals_name_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        call()


def test_a_refusal_says_what_came_and_what_would_work():
    with pytest.raises(ValueError) as refusal:
        block(feed_forward=ConvFeedForward((2, 3), rngs=rngs()))
    assert str(refusal.value) == "`feed_forward` must have the 5 features of `attention`, got 6."
