"""Lambda layers against the sums that define them, in every way they are computed."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from flax import nnx

import nets
import optics
from nets._batch_norm import BatchNorm
from nets.layers import LambdaConv2d, LambdaLayer
from tests.helpers import relative, with_slow
from tests.helpers_layers import count, noisy, rngs, run
from tests.parts import load

METHODS = ("fft", "direct", "dense")


@functools.cache
def layer(boundary="circular", scope=4, intra=1, normalization=None, method="fft", heads=2):
    return LambdaLayer(6, heads, 3, scope, boundary, intra, normalization, method, rngs=rngs())


def by_definition(layer, x, boundary):
    """λᵀ q in float64, position after position and pair after pair; space has one axis or two."""
    (depth, intra, width), space = layer.shape, x.shape[1:-1]
    q, keys, v = (
        x @ np.asarray(part.kernel[...], np.float64) for part in (layer.query, layer.key, layer.value)
    )
    q, keys = q.reshape(*x.shape[:-1], layer.heads, depth), keys.reshape(*x.shape[:-1], depth, intra)
    v, relative_to = v.reshape(*x.shape[:-1], width, intra), np.asarray(layer.relative[...], np.float64)
    y = np.zeros((*x.shape[:-1], layer.heads, width))
    for b in range(len(x)):
        for n in np.ndindex(space):
            seen = [m for m in np.ndindex(space) if boundary != "causal" or m <= n]
            weights = scipy.special.softmax(np.stack([keys[b][m] for m in seen]), axis=0)
            total = sum(weights[i] @ v[b][m].T for i, m in enumerate(seen))
            for m in np.ndindex(space):
                for turn in np.ndindex((3,) * len(space) if boundary == "circular" else (1,) * len(space)):
                    # A pair on a circle is also the pairs that go around it.
                    around = [
                        size * (t - 1) if boundary == "circular" else 0
                        for size, t in zip(space, turn, strict=True)
                    ]
                    first = [t - 1 if boundary == "causal" else t // 2 for t in layer.taps]
                    tap = tuple(i - j + a + f for i, j, a, f in zip(m, n, around, first, strict=True))
                    if all(0 <= t < size for t, size in zip(tap, layer.taps, strict=True)):
                        total = total + relative_to[(slice(None), slice(None), *tap)] @ v[b][m].T
            y[b][n] = q[b][n] @ total
    return y.reshape(x.shape)


def test_parameter_counts():
    for scope, expected in ((23, 20_848), (512, 28_672), (1023, 36_848)):
        assert (
            count(lambda scope=scope: LambdaLayer(128, 8, 16, scope, normalization=None, rngs=rngs()))
            == expected
        )
        assert count(lambda scope=scope: LambdaLayer(128, 8, 16, scope, rngs=rngs())) == expected + 288
    assert count(lambda: LambdaConv2d(128, 8, 16, 23, normalization=None, rngs=rngs())) == 28_944
    assert count(
        lambda: LambdaLayer(128, 8, 16, 23, intra_depth=4, normalization=None, rngs=rngs())
    ) == 16_384 + 4 * (4_096 + 368)


@pytest.mark.parametrize(
    ("boundary", "scope", "intra"),
    [("circular", 7, 1), ("circular", 4, 2), ("zero", 13, 1), ("zero", 4, 2), ("causal", 5, 2)],
)
@pytest.mark.every(2)
def test_sequences(boundary, scope, intra, key):
    x = np.asarray(jax.random.normal(key, (2, 7, 6)))
    expected = by_definition(layer(boundary, scope, intra), x.astype(np.float64), boundary)
    for method in METHODS:
        assert relative(run(layer(boundary, scope, intra, None, method), x), expected) <= 1e-5, method
    # On planes as long as the sequence, the sequences being rows; and on smaller ones, cut.
    for pixels in ((2, 7), (3, 5)):
        assert (
            relative(run(layer(boundary, scope, intra), x, load("ideal", pixels=pixels), key), expected)
            <= 1e-4
        ), pixels


@pytest.mark.parametrize(("boundary", "scope"), [("circular", (3, 4)), ("zero", 3)])
@pytest.mark.every(2)
def test_images(boundary, scope, key):
    x = np.asarray(jax.random.normal(key, (2, 3, 5, 4)))

    def image_layer(method):
        return LambdaConv2d(4, 2, 3, scope, boundary, 1, None, method, rngs=rngs())

    expected = by_definition(image_layer("fft"), x.astype(np.float64), boundary)
    for method in METHODS:
        assert relative(run(image_layer(method), x), expected) <= 1e-5, method
    for pixels in ((3, 5), (5, 7)):
        assert relative(run(image_layer("fft"), x, load("ideal", pixels=pixels), key), expected) <= 1e-4, (
            pixels
        )


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_the_mean_of_a_text_is_in_the_mean_of_a_new_layer(normalization, key):
    # Without relative positions a new layer adds, in the mean over the tokens, the mean of the content
    # lambdas over k.
    model = LambdaLayer(6, 2, 3, 4, "circular", 1, normalization, rngs=rngs())
    model.relative[...] = jnp.zeros_like(model.relative[...])
    x = np.asarray(jax.random.normal(key, (1, 200, 6)) + jnp.arange(6) / 4)
    q, keys, v = (
        x[0] @ np.asarray(part.kernel[...], np.float64) for part in (model.query, model.key, model.value)
    )
    axis = {"batch": 0, "layer": 1}[normalization]
    q, v = ((a - a.mean(axis, keepdims=True)) / np.sqrt(a.var(axis, keepdims=True) + 1e-5) for a in (q, v))
    content = scipy.special.softmax(keys, axis=0).T @ v
    expected = content.mean(0) + q.mean(0).reshape(2, 3) @ content / 3
    mean = run(model, x)[0].mean(0).reshape(2, 3)
    np.testing.assert_allclose(mean, expected, atol=1e-5)
    # A layer with queries around zero would add nothing of it.
    if normalization == "batch":
        np.testing.assert_allclose(mean, np.tile(content.mean(0), (2, 1)), atol=1e-5)
        assert np.linalg.norm(mean) > 0.01


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: LambdaLayer(32, 4, 16, 64, rngs=rngs()), (8, 64, 32)),
        (lambda: LambdaLayer(32, 4, 16, 64, "causal", normalization="layer", rngs=rngs()), (8, 64, 32)),
        (lambda: LambdaLayer(32, 4, 4, 5, "zero", 2, rngs=rngs()), (8, 64, 32)),
        (lambda: LambdaConv2d(32, 4, 16, 7, rngs=rngs()), (8, 9, 9, 32)),
    ],
    ids=["circular", "causal", "local", "image"],
)
def test_a_new_layer_adds_less_than_it_is_added_to(make, shape, key):
    # Normalised queries that are not divided by k add 2.3 times as much for k = 16, √(k / 3).
    y = run(make(), jax.random.normal(key, shape))
    assert 0.02 < float(jnp.sqrt(jnp.mean(y**2))) < 0.6


def test_turning_a_circle_turns_the_result(key):
    x = np.asarray(jax.random.normal(key, (1, 7, 6)))
    assert relative(run(layer(), np.roll(x, 3, 1)), np.roll(run(layer(), x), 3, 1)) <= 1e-5


@pytest.mark.parametrize(
    ("boundary", "normalization"), [("circular", "batch"), ("zero", "layer"), ("causal", "layer")]
)
@pytest.mark.every(2)
def test_padding_is_in_no_lambda(boundary, normalization, key):
    # A row gives the same alone, beside a longer one, and padded with large numbers.
    x = np.asarray(jax.random.normal(key, (1, 7, 6)))
    rows = np.concatenate([x, np.concatenate([x[:, :5], np.full((1, 2, 6), 1e3, np.float32)], 1)])
    mask = jnp.arange(7)[None] < jnp.array([[7], [5]])
    model = layer(boundary, 4, 1, normalization, heads=3)
    model.eval()  # the statistics of a batch are another matter
    graph, state = nnx.split(model)

    @jax.jit
    def result(state, rows, mask):
        return nnx.merge(graph, state)(rows, None, None, mask)

    y = result(state, rows, mask)
    np.testing.assert_allclose(y[0], result(state, rows, jnp.ones((2, 7), bool))[0], atol=1e-5)
    np.testing.assert_allclose(y[1, :5], run(model, x[:, :5])[0], atol=1e-5)
    device = load("ideal", pixels=(2, 6))
    np.testing.assert_allclose(run(model, rows, device, key, mask)[1, :5], y[1, :5], atol=1e-4)
    slope = jax.jit(jax.grad(lambda rows: jnp.sum(nnx.merge(graph, state)(rows, None, None, mask) ** 2)))(
        rows
    )
    assert np.all(np.isfinite(slope)) and np.all(slope[1, 5:] == 0)
    nothing = result(state, rows, jnp.zeros((2, 7), bool))
    assert np.all(np.isfinite(nothing))


def test_padding_is_in_no_statistics_of_a_batch(key):
    model = LambdaLayer(6, 2, 3, 4, rngs=rngs())
    x = np.asarray(jax.random.normal(key, (2, 7, 6)))
    mask = jnp.arange(7)[None] < jnp.array([[7], [5]])

    @nnx.jit
    def statistics(model, x, mask):
        model(x, None, None, mask)
        return model.value_norm.mean[...], model.value_norm.var[...]

    mean, variance = statistics(model, jnp.asarray(x), mask)
    there = np.concatenate([x[0], x[1, :5]]) @ np.asarray(model.value.kernel[...])
    np.testing.assert_allclose(mean, there.mean(0), atol=1e-5)
    np.testing.assert_allclose(variance, there.var(0), atol=1e-5)
    assert all(
        np.all(np.isfinite(part)) for part in statistics(model, jnp.asarray(x), jnp.zeros((2, 7), bool))
    )


def test_evaluation_takes_the_mean_over_the_batches_before(key):
    # With a mean of the last ten, the order of short and long reviews moved an accuracy by a point.
    norm = BatchNorm(3, rngs=rngs())
    batches = np.asarray(jax.random.normal(key, (4, 5, 3))) * [[[1]], [[2]], [[3]], [[4]]]
    for batch in batches:
        norm(jnp.asarray(batch, jnp.float32))
    np.testing.assert_allclose(norm.mean[...], batches.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(norm.var[...], batches.var(1).mean(0), rtol=1e-5)
    norm.batches[...] = 1000.0
    norm(jnp.asarray(batches[0], jnp.float32))
    moved = (batches[0].mean(0) - batches.mean((0, 1))) / 100
    np.testing.assert_allclose(norm.mean[...] - batches.mean((0, 1)), moved, atol=1e-6)
    norm.eval()
    before = norm.mean[...]
    norm(jnp.asarray(batches[1], jnp.float32))
    np.testing.assert_array_equal(norm.mean[...], before)


@pytest.mark.parametrize(("method", "rounding"), [("direct", 0), ("fft", 1e-6)])
def test_no_token_sees_a_later_one(method, rounding, key):
    # Longer than a block of the causal sum; a later key beyond the range of the exponential changes nothing.
    graph, state = nnx.split(layer("causal", 130, 1, "layer", method))
    x = jax.random.normal(key, (1, 130, 6))

    @jax.jit
    def result_and_slope(state, x):
        model = nnx.merge(graph, state)
        y, back = jax.vjp(lambda x: model(x), x)
        # Values are normalised over the channels: their plain sum is zero whatever x is.
        return y, back(jnp.zeros_like(y).at[:, 64].set(jnp.arange(6.0)))[0]

    y, slope = result_and_slope(state, x)
    slope = np.abs(slope).max((0, 2))
    # An FFT rounds relative to the largest value of the whole sequence.
    assert np.all(slope[65:] <= rounding * slope.max()) and np.all(slope[:65] > 1e-5 * slope.max())
    changed, slope = result_and_slope(state, x.at[:, 100].set(1e4))
    assert np.all(np.isfinite(slope))
    np.testing.assert_allclose(changed[:, :100], y[:, :100], rtol=0, atol=rounding * np.max(np.abs(y)))
    assert not np.allclose(changed[:, 100:], y[:, 100:], atol=1e-2)


def test_the_causal_sum_is_the_same_whatever_the_block(key, monkeypatch):
    x = jax.random.normal(key, (1, 9, 6))
    whole = run(layer("causal", 4), x)
    monkeypatch.setattr("nets.layers.lambdas._content.BLOCK", 4)
    np.testing.assert_allclose(run(layer("causal", 4), x), whole, atol=1e-5)


def test_lambdas_in_chunks_are_those_at_once(key, monkeypatch):
    def value_and_slope():
        graph, state = nnx.split(layer())
        y, slope = jax.jit(jax.value_and_grad(lambda state: jnp.sum(nnx.merge(graph, state)(x) ** 2)))(state)
        return y, slope["relative"][...]

    x = jax.random.normal(key, (2, 7, 6))
    expected, slope = value_and_slope()
    monkeypatch.setattr("optics._chunks.MAX_ELEMENTS", 50)
    result, other = value_and_slope()
    assert float(result) == pytest.approx(float(expected), rel=1e-5) and relative(other, slope) <= 1e-5


@pytest.mark.parametrize("boundary", with_slow(["circular", "zero", "causal"], ("zero",)))
@pytest.mark.every(2)
def test_long_sequences_are_added_as_spectra(boundary, key):
    tokens, scope = 40, {"circular": 40, "zero": 79, "causal": 40}[boundary]
    layer = LambdaLayer(4, 2, 3, scope, boundary, normalization="layer", rngs=rngs())
    x = jax.random.normal(key, (2, tokens, 4))
    mask = jnp.arange(tokens) < jnp.array([[40], [23]])
    device = load("ideal", pixels=11)
    assert relative(run(layer, x, device, key, mask), run(layer, x, None, None, mask)) <= 1e-4
    # Two values of each of two sequences, three kernels: fewer transforms than one for each product.
    plan = optics.mapping.plan_partitioned((4, 1, 1, tokens + scope - 1), (3, 1, scope), (11, 11), "valid")
    counts = optics.accounting.count(lambda device, key: layer(x, device, key, mask), device)
    assert counts.exposures == plan.transforms == plan.x_planes + plan.w_planes + plan.outputs
    assert (
        plan.transforms
        < optics.mapping.plan_1d((4, 1, tokens + scope - 1), (3, scope), (11, 11), "valid").products
    )


@pytest.mark.parametrize("rule", with_slow(["simulator", "ideal", "optical"], ("optical",)))
@pytest.mark.every(2)
def test_a_noisy_device_changes_a_little_and_gradients_pass(rule, key):
    model = LambdaLayer(4, 2, 2, 3, "zero", 1, "layer", gradient=rule, rngs=rngs())
    graph, state = nnx.split(model)
    x = jax.random.normal(key, (1, 5, 4))

    @jax.jit
    def slope(state, x, device):
        def loss(state, x):
            y = nnx.merge(graph, state)(x, device, key)
            return jnp.sum(y**2), y

        (of_state, of_x), y = jax.grad(loss, (0, 1), has_aux=True)(state, x)
        return of_state["relative"][...], of_x, y

    for result, expected in zip(slope(state, x, noisy(3)), slope(state, x, None), strict=True):
        assert 1e-3 < relative(result, expected) < 0.03


def step_memory(make, length):
    """XLA's own account of a training step of a block with this mixing, in bytes; nothing is run."""

    def build():
        block = nets.Block(make(length), hidden=32, rngs=rngs())
        model = nets.Classifier(nets.TokenEmbedding(50, length, 32, rngs=rngs()), [block], 2, rngs=rngs())
        return model, nnx.Optimizer(model, optax.sgd(1e-3), wrt=nnx.Param)

    graph, state = nnx.split(nnx.eval_shape(build))

    def step(state, x):
        model, optimizer = nnx.merge(graph, state)
        optimizer.update(model, nnx.grad(lambda model: jnp.sum(model(x) ** 2))(model))
        return nnx.state((model, optimizer))

    shapes = state, jax.ShapeDtypeStruct((1, length), jnp.int32)
    return jax.jit(step).lower(*shapes).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize(
    ("make", "low", "high"),
    [
        (lambda n: nets.LinearSelfAttention(32, 4, "canonical", rngs=rngs()), 0.8, 1.1),
        (lambda n: LambdaLayer(32, 4, 8, n, rngs=rngs()), 0.9, 1.1),
    ],
    ids=["attention", "lambdas"],
)
@pytest.mark.every(2)
def test_memory_against_length(make, low, high):
    # The whole range, up to 16,384 tokens, is the business of the benchmark.
    lengths = [512, 2048]
    slope = np.polyfit(np.log(lengths), np.log([step_memory(make, n) for n in lengths]), 1)[0]
    assert low < slope < high


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: LambdaLayer(6, 2, 0, rngs=rngs()), "key_depth"),
        (lambda: LambdaLayer(6, 2, scope=0, rngs=rngs()), "scope"),
        (lambda: LambdaLayer(6, 2, intra_depth=0, rngs=rngs()), "intra_depth"),
        (lambda: LambdaLayer(128, 6, rngs=rngs()), "heads"),
        (lambda: LambdaLayer(6, 2, boundary="wrap", rngs=rngs()), "boundary"),
        (lambda: LambdaLayer(6, 2, normalization="group", rngs=rngs()), "normalization"),
        (lambda: LambdaLayer(6, 2, boundary="causal", rngs=rngs()), "normalization"),
        (lambda: LambdaLayer(6, 2, method="sparse", rngs=rngs()), "method"),
        (lambda: LambdaLayer(6, 2, gradient="exact", rngs=rngs()), "gradient"),
        (lambda: layer()(jnp.ones((1, 7, 5))), "x"),
        (lambda: layer()(jnp.ones((1, 7, 6)), "engine11"), "device"),
        (lambda: layer()(jnp.ones((1, 7, 6)), noisy(3), 0), "key"),
        (lambda: LambdaConv2d(6, 2, scope=(3, 3, 3), rngs=rngs()), "scope"),
        (lambda: LambdaConv2d(6, 2, scope=(3, 0), rngs=rngs()), "scope"),
        (lambda: LambdaConv2d(6, 2, boundary="causal", rngs=rngs()), "boundary"),
        (
            lambda: LambdaConv2d(6, 2, scope=4, boundary="circular", rngs=rngs())(jnp.ones((1, 3, 5, 6))),
            "scope",
        ),
        (lambda: LambdaConv2d(6, 2, rngs=rngs())(jnp.ones((1, 3, 6))), "x"),
        (lambda: LambdaConv2d(6, 2, rngs=rngs())(jnp.ones((1, 3, 3, 6)), noisy(3), 0), "key"),
    ],
)
def test_refusals_name_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"`{re.escape(argument)}`"):
        call()


def test_a_refusal_says_what_came_and_what_would_work():
    with pytest.raises(ValueError) as refusal:
        layer(scope=8)(jnp.ones((1, 7, 6)))
    message = (
        "`scope` must be at most the 7 tokens of a circular sequence, got 8; "
        "lower it, or use `boundary` zero."
    )
    assert str(refusal.value) == message
