"""Attention against matrices, numpy, flax and its own symmetries."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.special
from flax import nnx

import nets
import optics
from tests.helpers import relative
from tests.helpers_layers import count, noisy, rngs, run
from tests.parts import load


@functools.cache
def conv(shape, heads=2, spectral=False, **options):
    return nets.ConvSelfAttention(shape, heads, spectral=spectral, rngs=rngs(), **options)


def attend(q, k, v, scale=None):
    """Softmax attention of one head in float64."""
    return scipy.special.softmax(q @ k.T / np.sqrt(scale or q.shape[-1]), axis=-1) @ v


def test_parameter_counts():
    assert count(lambda: nets.LinearSelfAttention(128, 8, kind="wide", rngs=rngs())) == 524_416
    assert count(lambda: nets.LinearSelfAttention(121, 8, rngs=rngs())) == 468_633
    assert count(lambda: nets.LinearSelfAttention(128, 8, kind="canonical", rngs=rngs())) == 65_664
    assert count(lambda: nets.LinearSelfAttention(128, 8, kind="narrow", rngs=rngs())) == 17_280
    assert count(lambda: nets.ConvSelfAttention((128,), 8, rngs=rngs())) == 3_072
    assert count(lambda: nets.ConvSelfAttention((8, 16), 8, spectral=True, rngs=rngs())) == 3_072
    assert count(lambda: nets.ConvSelfAttention((11, 11), 8, rngs=rngs())) == 2_904
    for kernel, parameters in ((3, 216), (5, 600), (7, 1_176), (9, 1_944)):
        assert (
            count(lambda kernel=kernel: nets.ConvSelfAttention((11, 11), 8, kernel=kernel, rngs=rngs()))
            == parameters
        )


def test_wide_attention(key):
    layer = nets.LinearSelfAttention(6, 2, rngs=rngs())
    x = np.asarray(jax.random.normal(key, (5, 6)), np.float64)
    weights = np.asarray(layer.project.kernel[...], np.float64).reshape(6, 3, 2, 6)
    heads = [attend(*(x @ weights[:, part, head] for part in range(3))) for head in range(2)]
    exact = np.concatenate(heads, -1) @ np.asarray(layer.merge.kernel[...]) + np.asarray(
        layer.merge.bias[...]
    )
    assert relative(run(layer, jnp.asarray(x, jnp.float32)[None])[0], exact) <= 1e-5


def test_canonical_attention_is_that_of_flax(key):
    ours = nets.LinearSelfAttention(12, 3, kind="canonical", rngs=rngs())
    theirs = nnx.MultiHeadAttention(3, 12, decode=False, rngs=nnx.Rngs(1))
    for part, weights in zip(
        (theirs.query, theirs.key, theirs.value), jnp.split(ours.project.kernel[...], 3, axis=1), strict=True
    ):
        part.kernel[...] = weights.reshape(12, 3, 4)
    ours.merge.bias[...] = jnp.arange(12.0)
    theirs.out.kernel[...] = ours.merge.kernel[...].reshape(3, 4, 12)
    theirs.out.bias[...] = ours.merge.bias[...]
    x = jax.random.normal(key, (2, 5, 12))
    mask = jnp.arange(5)[None] < jnp.array([[5], [3]])
    exact = jax.jit(lambda x: theirs(x, mask=mask[:, None, None]))(x)
    np.testing.assert_allclose(run(ours, x, None, None, mask), exact, atol=2e-6)


def test_narrow_attention(key):
    # One small map for all heads, logits divided by the root of the full width.
    layer = nets.LinearSelfAttention(6, 2, kind="narrow", rngs=rngs())
    x = np.asarray(jax.random.normal(key, (5, 6)), np.float64)
    q, k, v = np.split(np.asarray(layer.project.kernel[...], np.float64), 3, axis=1)
    heads = [attend(part @ q, part @ k, part @ v, scale=6) for part in np.split(x, 2, axis=1)]
    exact = np.concatenate(heads, -1) @ np.asarray(layer.merge.kernel[...]) + np.asarray(
        layer.merge.bias[...]
    )
    assert relative(run(layer, jnp.asarray(x, jnp.float32)[None])[0], exact) <= 1e-5


@pytest.mark.parametrize("spectral", [False, True])
def test_convolutional_attention_in_one_dimension_is_attention_with_circulant_matrices(spectral, key):
    layer = conv((9,), spectral=spectral)
    x = np.asarray(jax.random.normal(key, (5, 9)), np.float64)
    kernels = np.asarray(layer.kernels[...], np.float64).reshape(3, 2, 9)
    exact = sum(
        attend(*(x @ scipy.linalg.circulant(kernels[part, head]).T for part in range(3))) for head in range(2)
    )
    assert relative(run(layer, jnp.asarray(x, jnp.float32)[None])[0], exact) <= 1e-5


@pytest.mark.parametrize("spectral", [False, True])
def test_convolutional_attention_in_two_dimensions_is_attention_with_block_circulant_matrices(spectral, key):
    rows, cols = 3, 4
    layer = conv((rows, cols), spectral=spectral)
    x = np.asarray(jax.random.normal(key, (5, 12)), np.float64)
    kernels = np.asarray(layer.kernels[...], np.float64).reshape(3, 2, rows, cols)

    def matrix(w):
        basis = np.eye(12).reshape(12, rows, cols)
        shifted = [
            sum(w[u, v] * np.roll(e, (u, v), (0, 1)) for u in range(rows) for v in range(cols)) for e in basis
        ]
        return np.stack(shifted).reshape(12, 12)

    parts = [[x @ matrix(kernels[part, head]) for part in range(3)] for head in range(2)]
    inputs = jnp.asarray(x, jnp.float32)[None]
    assert relative(run(layer, inputs)[0], sum(attend(*part) for part in parts)) <= 1e-5
    maps = [scipy.special.softmax(q @ k.T / np.sqrt(12), axis=-1) for q, k, _ in parts]
    np.testing.assert_allclose(run(layer, inputs, method="attention_map")[0], maps, atol=1e-6)


@pytest.mark.parametrize(("shape", "kernel"), [((128,), None), ((8, 16), None), ((11, 11), 5)])
def test_spectral_attention_is_the_direct_one(shape, kernel, key):
    x = jax.random.normal(key, (1, 4, np.prod(shape)))
    mask = jnp.array([[True, True, True, False]])
    result, exact = (
        run(conv(shape, spectral=spectral, kernel=kernel), x, None, None, mask) for spectral in (True, False)
    )
    assert relative(result, exact) <= 1e-5


def test_logits_keep_their_size_whatever_the_width():
    # q · k is a sum of `width` terms, whose deviation grows with its root; that of the first logits does not.
    rng, deviations = np.random.default_rng(0), []
    for width in (16, 256):
        x = rng.normal(size=(64, width))
        matrices = np.asarray(nets.LinearSelfAttention(width, 8, rngs=rngs()).project.kernel[...]).reshape(
            width, 3, 8, width
        )
        kernels = np.fft.fft(
            np.asarray(nets.ConvSelfAttention((width,), 8, rngs=rngs()).kernels[...]).reshape(3, 8, width)
        )
        of_matrices = [np.einsum("ti,iho->hto", x, matrices[:, part]) for part in (0, 1)]
        of_kernels = [np.fft.ifft(np.fft.fft(x) * kernels[part][:, None]).real for part in (0, 1)]
        for q, k in (of_matrices, of_kernels):
            logits = q @ np.swapaxes(k, -1, -2)
            deviations.append(logits[:, ~np.eye(64, dtype=bool)].std() / np.sqrt(width))
    # Weights uniform in ±1/√k have variance 1/(3k), each projection 1/3, and a product of two of them 1/9.
    np.testing.assert_allclose(deviations, 1 / 3, rtol=0.25)


@pytest.mark.parametrize("taps", [3, 5, 7, 9])
def test_small_kernels_are_centred(taps):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(11, 12)), 0.1 * rng.normal(size=(taps, taps))
    # A second round by the middle tap alone, and a bias that keeps every number above zero.
    layer = nets.ConvFeedForward((11, 12), 1, kernel=taps, rngs=rngs())
    layer.widen[...] = jnp.asarray(kernel[None], jnp.float32)
    layer.narrow[...] = jnp.zeros((1, taps, taps)).at[0, taps // 2, taps // 2].set(1)
    layer.widen_bias[...], layer.narrow_bias[...] = jnp.full((1, 11, 12), 10.0), jnp.full((11, 12), -10.0)
    exact = scipy.signal.convolve2d(x, kernel, mode="same", boundary="wrap")
    result = run(layer, jnp.asarray(x, jnp.float32).reshape(1, 1, 132)).reshape(11, 12)
    np.testing.assert_allclose(result, exact, atol=2e-5)


def test_the_middle_tap_alone_changes_nothing(key):
    layer = nets.ConvSelfAttention((7, 6), 1, kernel=(4, 3), rngs=rngs())
    layer.kernels[...] = jnp.zeros((3, 4, 3)).at[:, 2, 1].set(1)  # q = k = v = x
    x = np.asarray(jax.random.normal(key, (4, 42)))
    np.testing.assert_allclose(run(layer, jnp.asarray(x)[None])[0], attend(x, x, x), atol=1e-5)


@pytest.mark.parametrize("spectral", [False, True])
def test_cyclic_shifts_of_the_embedding_pass_through(spectral, key):
    layer = conv((3, 4), spectral=spectral)
    x = np.asarray(jax.random.normal(key, (1, 5, 3, 4)))
    result = run(layer, jnp.asarray(np.roll(x, (2, 1), (-2, -1)).reshape(1, 5, 12)))
    exact = np.roll(
        np.asarray(run(layer, jnp.asarray(x.reshape(1, 5, 12)))).reshape(x.shape), (2, 1), (-2, -1)
    )
    assert relative(result, exact.reshape(1, 5, 12)) <= 1e-5


@pytest.mark.parametrize(
    ("shape", "spectral"), [((12,), False), ((12,), True), ((11, 11), False), ((11, 11), True)]
)
def test_an_ideal_device_changes_nothing(shape, spectral, key):
    layer = conv(shape, spectral=spectral)
    device = load("ideal", pixels=(1,) * (2 - len(shape)) + shape)
    x = jax.random.normal(key, (1, 4, layer.features))
    assert relative(run(layer, x, device, key), run(layer, x)) <= 1e-4


@pytest.mark.parametrize(
    ("spectral", "rules"), [(False, ("simulator", "ideal")), (True, ("simulator", "ideal", "optical"))]
)
@pytest.mark.every(2)
def test_a_noisy_device_changes_a_little_and_gradients_pass(spectral, rules, key):
    x, device = jax.random.normal(key, (1, 4, 9)), noisy(3)

    def slope_and_result(rule, device):
        graph, state = nnx.split(conv((3, 3), spectral=spectral, gradient=rule))

        def loss(state):
            y = nnx.merge(graph, state)(x, device, key)
            return jnp.sum(y**2), y

        slopes, y = jax.jit(jax.grad(loss, has_aux=True))(state)
        return slopes["kernels"][...], y

    exact_slope, exact = slope_and_result("simulator", None)
    for rule in rules:
        slope, y = slope_and_result(rule, device)
        assert 5e-3 < relative(y, exact) < 0.05
        assert 5e-3 < relative(slope, exact_slope) < 0.06


def test_a_rule_around_the_convolution(key):
    layer = nets.ConvSelfAttention((3, 3), 2, convolve=optics.ideal_gradient(optics.convolve), rngs=rngs())
    x = jax.random.normal(key, (1, 4, 9))
    np.testing.assert_array_equal(run(layer, x), run(conv((3, 3)), x))


@pytest.mark.parametrize("spectral", [False, True])
def test_the_map_of_a_call_on_a_device_is_the_one_read_out(spectral, key):
    # With value kernels of a single tap a call gives the sum of the maps times the tokens, up to the noise.
    layer = nets.ConvSelfAttention((3, 3), 2, spectral=spectral, rngs=rngs())
    layer.kernels[...] = layer.kernels[...].at[4:].set(0).at[4:, 0, 0].set(1)
    x, device = jax.random.normal(key, (1, 4, 9)), noisy(3)
    graph, state = nnx.split(layer)

    @jax.jit
    def both(state, key):
        layer = nnx.merge(graph, state)
        return layer.attention_map(x, device, key), layer(x, device, key), layer.attention_map(x)

    weights, y, exact = both(state, key)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    assert 1e-3 < relative(weights, exact) < 0.02
    assert not np.array_equal(weights, both(state, jax.random.fold_in(key, 1))[0])
    assert relative(y[0], np.asarray(weights[0].sum(0) @ x[0])) < 0.02


@pytest.mark.parametrize("kind", ["wide", "canonical", "narrow", "direct", "spectral"])
def test_padding_is_not_attended_to(kind, key):
    if kind in ("direct", "spectral"):
        layer = conv((3, 4), spectral=kind == "spectral")
    else:
        layer = nets.LinearSelfAttention(12, 2, kind, rngs=rngs())
    x = np.asarray(jax.random.normal(key, (1, 5, 12)))
    padded = jnp.asarray(np.concatenate([x, np.full((1, 3, 12), 9, np.float32)], axis=1))
    mask = jnp.arange(8)[None] < 5
    graph, state = nnx.split(layer)

    @jax.jit
    def all_of(state, x, padded, mask):
        layer = nnx.merge(graph, state)
        return layer(padded, None, None, mask), layer(x), layer.attention_map(padded, None, None, mask)

    result, exact, weights = all_of(state, jnp.asarray(x), padded, mask)
    np.testing.assert_allclose(result[:, :5], exact, atol=1e-5)
    assert weights.shape == (1, 2, 8, 8) and np.all(weights[..., 5:] == 0)


def with_blocks(monkeypatch, layer, x, mask):
    """Result and gradients for parameters and input in blocks of 64 queries and in one piece, and the number
    of loops in each program.
    """
    graph, state = nnx.split(layer)

    def loss(state, x):
        y = nnx.merge(graph, state)(x, None, None, mask)
        return jnp.sum(jnp.sin(y)), y

    for elements in (64, 2**40):
        monkeypatch.setattr("optics._chunks.MAX_ELEMENTS", elements)
        monkeypatch.setattr("nets.layers.attention._weights.MAX_ELEMENTS", elements)
        program = jax.jit(lambda state, x: jax.grad(loss, (0, 1), has_aux=True)(state, x))
        yield jax.tree.leaves(program(state, x)), str(jax.make_jaxpr(program)(state, x)).count("scan[")


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["wide", "narrow", "direct", "spectral"])
def test_blocks_of_queries_change_nothing(kind, causal, key, monkeypatch):
    if kind in ("direct", "spectral"):
        layer = nets.ConvSelfAttention((2, 3), 2, spectral=kind == "spectral", causal=causal, rngs=rngs())
    else:
        layer = nets.LinearSelfAttention(6, 2, kind, causal=causal, rngs=rngs())
    # 150 tokens are three blocks, of which the last is not full.
    x, mask = jax.random.normal(key, (2, 150, 6)), jnp.arange(150) < jnp.array([[150], [97]])
    (blocks, loops), (whole, none) = with_blocks(monkeypatch, layer, x, mask)
    assert loops == 2 and none == 0
    for a, b in zip(blocks, whole, strict=True):
        assert relative(a, b) <= 1e-5


@pytest.mark.parametrize("kind", ["canonical", "direct", "spectral"])
def test_causal_attention_is_that_of_jax(kind, key):
    x, mask = jax.random.normal(key, (2, 7, 12)), jnp.arange(7) < jnp.array([[7], [4]])
    if kind == "canonical":
        layer = nets.LinearSelfAttention(12, 2, kind, causal=True, rngs=rngs())
        q, k, v = (part.reshape(2, 7, 2, 6) for part in jnp.split(x @ layer.project.kernel[...], 3, axis=-1))
    else:
        layer = nets.ConvSelfAttention((12,), 2, spectral=kind == "spectral", causal=True, rngs=rngs())
        kernels = jnp.asarray([scipy.linalg.circulant(w).T for w in layer.kernels[...][:, 0]])
        q, k, v = jnp.split(jnp.einsum("btf,hfg->bthg", x, kernels), 3, axis=2)
    exact = jax.nn.dot_product_attention(q, k, v, mask=mask[:, None, None], is_causal=True)
    exact = layer.merge(exact.reshape(2, 7, 12)) if kind == "canonical" else exact.sum(2)
    assert relative(run(layer, x, None, None, mask), exact) <= 1e-5
    weights = run(layer, x, None, None, mask, method="attention_map")
    assert np.all(np.triu(weights, 1) == 0) and np.all(np.asarray(weights)[1, ..., 4:] == 0)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: nets.LinearSelfAttention(128, 0, rngs=rngs()), "heads"),
        (lambda: nets.LinearSelfAttention(128, 8, kind="narrower", rngs=rngs()), "kind"),
        (lambda: nets.ConvSelfAttention((2, 3, 4), rngs=rngs()), "shape"),
        (lambda: nets.ConvSelfAttention((0, 3), rngs=rngs()), "shape"),
        (lambda: nets.ConvSelfAttention((5, 5), kernel=(7, 3), rngs=rngs()), "kernel"),
        (lambda: nets.ConvSelfAttention((5, 5), kernel=6, rngs=rngs()), "kernel"),
        (lambda: nets.ConvSelfAttention((5, 5), kernel=(3,), rngs=rngs()), "kernel"),
        (lambda: nets.ConvSelfAttention((5, 5), gradient="exact", rngs=rngs()), "gradient"),
        (lambda: nets.ConvSelfAttention((5, 5), causal="yes", rngs=rngs()), "causal"),
        (lambda: nets.LinearSelfAttention(5, 5, causal=2, rngs=rngs()), "causal"),
        (lambda: nets.ConvSelfAttention((5, 5), rngs=rngs())(jnp.ones((2, 3, 24))), "x"),
        (lambda: nets.LinearSelfAttention(5, 2, rngs=rngs())(jnp.ones((2, 3, 6))), "x"),
        (lambda: conv((3, 4), spectral=True)(jnp.ones((1, 2, 12)), noisy(3)), "x"),
        (
            lambda: conv((3, 4), spectral=True)(jnp.ones((1, 2, 12)), optics.Correlator(optics.dft((3, 4)))),
            "device",
        ),
        (lambda: conv((3, 4), spectral=True)(jnp.ones((1, 2, 12)), "engine11"), "device"),
        (lambda: conv((3, 3))(jnp.ones((1, 2, 9)), "engine11"), "device"),
        (lambda: conv((3, 3))(jnp.ones((1, 2, 9)), noisy(3), 0), "key"),
        (lambda: conv((3, 3))(jnp.ones((1, 2, 9)), jax.random.key(0), noisy(3)), "key"),
        (lambda: conv((3, 3)).attention_map(jnp.ones((1, 2, 9)), noisy(3), 0), "key"),
        (lambda: conv((3, 3))(jnp.ones((1, 2, 9)), noisy(3), jax.random.split(jax.random.key(0))), "key"),
        (lambda: nets.LinearSelfAttention(6, 2, rngs=rngs())(jnp.ones((1, 2, 6)), None, 0), "key"),
    ],
)
def test_refusals_name_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"`{re.escape(argument)}`"):
        call()


def test_a_refusal_says_what_came_and_what_would_work():
    with pytest.raises(ValueError) as refusal:
        nets.LinearSelfAttention(12, 8, kind="canonical", rngs=rngs())
    message = "`heads` must divide the 12 features, got 8; use one of 1, 2, 3, 4, 6, 12."
    assert str(refusal.value) == message
