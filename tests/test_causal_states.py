"""Causal layers token by token, against a call with all tokens at once, in float64 and on devices."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import nets
import optics
from tests.helpers import relative, with_slow
from tests.helpers_layers import noisy, rngs, run
from tests.parts import load

TOKENS, WIDTH = 11, 9


def _linear(kind, **options):
    return lambda: nets.LinearSelfAttention(WIDTH, 3, kind, causal=True, rngs=rngs(), **options)


def _conv(spectral, **options):
    return lambda: nets.ConvSelfAttention((3, 3), 2, spectral=spectral, causal=True, rngs=rngs(), **options)


def _lambdas(scope, intra, method="fft"):
    return lambda: nets.LambdaLayer(WIDTH, 3, 4, scope, "causal", intra, "layer", method, rngs=rngs())


LAYERS = {
    "wide": _linear("wide"),
    "canonical": _linear("canonical"),
    "narrow": _linear("narrow"),
    "literal": _conv(False),
    "spectral": _conv(True),
    "lambdas": _lambdas(4, 1),
    "long lambdas": _lambdas(16, 2),
    "direct lambdas": _lambdas(1, 1, "direct"),
    "convolution": lambda: nets.layers.LongConvolution(WIDTH, 4, rngs=rngs()),
    "long convolution": lambda: nets.layers.LongConvolution(WIDTH, 16, rngs=rngs()),
    "mean": lambda: nets.layers.TokenMean(WIDTH, causal=True),
}
LIKE_OTHERS = ("wide", "narrow", "direct lambdas", "convolution")


def _ideal(pixels):
    return load("ideal", pixels=pixels)


def _multiplying(engine):
    return optics.Devices(convolve=engine, matmul=optics.CirculantMultiplier(engine))


# Layers that a device computes: the layer, pixels of an engine, and what is made of it.
OPTICAL = {
    "canonical": (_linear("canonical", products="device"), 5, optics.CirculantMultiplier),
    "literal": (_conv(False), 3, lambda engine: engine),
    "literal products": (_conv(False, products="device"), 3, _multiplying),
    "spectral": (_conv(True), 3, lambda engine: engine),
    "lambdas": (LAYERS["lambdas"], 5, lambda engine: engine),
    "long convolution": (LAYERS["long convolution"], 5, lambda engine: engine),
}


def optical(name, make_engine):
    """A layer, and a device for it of such an engine."""
    make, pixels, make_device = OPTICAL[name]
    return make(), make_device(make_engine(pixels))


def inputs(key, batch=2, tokens=TOKENS):
    return jax.random.normal(key, (batch, tokens, WIDTH))


def in_parts(layer, x, sizes, device=None, key=None, length=TOKENS):
    """Results of tokens that follow each other, so many at a time, each from a draw of its own."""
    graph, parameters = nnx.split(layer)

    @jax.jit
    def extend(parameters, x, state, key):
        return nnx.merge(graph, parameters).extend(x, state, device, key)

    state, results, begin = layer.start(len(x), length), [], 0
    for step, size in enumerate(sizes):
        draw = None if key is None else jax.random.fold_in(key, step)
        y, state = extend(parameters, x[:, begin : begin + size], state, draw)
        results.append(y)
        begin += size
    return jnp.concatenate(results, 1)


@pytest.mark.parametrize("name", with_slow(LAYERS, LIKE_OTHERS))
def test_tokens_in_parts_are_those_of_a_call_in_float64(name, key):
    layer, x = LAYERS[name](), inputs(key)
    graph, parameters = nnx.split(layer)
    with jax.enable_x64(True):
        double = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), parameters)
        exact = jax.jit(lambda p, x: nnx.merge(graph, p)(x))(double, jnp.asarray(x, jnp.float64))
        assert exact.dtype == jnp.float64
    assert relative(run(layer, x), exact) <= 1e-5
    for sizes in ((TOKENS,), (1,) * TOKENS, (5, 1, 1, 4)):
        y = in_parts(layer, x, sizes)
        assert y.dtype == jnp.float32 and relative(y, exact) <= 1e-5, sizes
    # Room for more tokens than come changes nothing.
    assert relative(in_parts(layer, x, (7, 4), length=40), exact) <= 1e-5


@pytest.mark.parametrize("name", OPTICAL)
def test_an_ideal_device_goes_on_like_no_device(name, key):
    (layer, device), x = optical(name, _ideal), inputs(key, 1)
    assert relative(in_parts(layer, x, (4, *(1,) * 7), device, key), run(layer, x)) <= 1e-4


# Of the others one step compiles for up to a minute.
@pytest.mark.parametrize("name", with_slow(OPTICAL, set(OPTICAL) - {"lambdas"}))
def test_a_noisy_device_draws_as_in_a_call_and_anew_at_each_step(name, key):
    (layer, device), x = optical(name, noisy), inputs(key, 1)
    # All tokens at once are a call, noise and all.
    graph, parameters = nnx.split(layer)

    @jax.jit
    def both(parameters, state, key):
        layer = nnx.merge(graph, parameters)
        return layer.extend(x, state, device, key)[0], layer(x, device, key)

    state = layer.start(1, TOKENS)
    y, of_call = both(parameters, state, key)
    np.testing.assert_array_equal(y, of_call)
    exact = run(layer, x)
    assert 1e-4 < relative(y, exact) < 0.1
    assert not np.array_equal(y, both(parameters, state, jax.random.fold_in(key, 1))[0])
    # The same tokens with the same state and another key: another draw.
    steps = [in_parts(layer, x, (7, *(1,) * 4), device, draw) for draw in jax.random.split(key)]
    assert all(1e-4 < relative(step, exact) < 0.1 for step in steps)
    assert not np.array_equal(*steps)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.every(2)
def test_no_token_sees_a_later_one(name, key):
    layer, x = LAYERS[name](), inputs(key)
    y, changed = run(layer, x), run(layer, x.at[:, 6:].multiply(-0.5))
    # An FFT rounds relative to the largest value of the whole text.
    np.testing.assert_allclose(changed[:, :6], y[:, :6], rtol=0, atol=2e-6)
    assert relative(changed[:, 6:], y[:, 6:]) > 0.1


# Where the planes of a device hold one token each, and where they hold several.
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("literal", 0),
        ("spectral", 0),
        ("long convolution", 0.01),
        ("lambdas", 0.01),
        ("canonical", 0.01),
        ("literal products", 0.01),
    ],
)
@pytest.mark.every(3)
def test_no_token_sees_a_later_one_on_a_device(name, most, key):
    # Tokens that share an exposure share its full scale and the steps of its converters, at which a later
    # one moves an earlier one by less than the device errs. Token by token nothing does.
    layer, device = optical(name, lambda pixels: load("engine11", pixels=pixels))
    x = inputs(key, 1)
    other = x.at[:, 6:].multiply(-0.5)
    y, changed = run(layer, x, device), run(layer, other, device)
    assert relative(changed[:, :6], y[:, :6]) <= most
    assert relative(changed[:, 6:], y[:, 6:]) > 0.1
    sizes = (1,) * TOKENS
    y, changed = in_parts(layer, x, sizes, device), in_parts(layer, other, sizes, device)
    np.testing.assert_array_equal(changed[:, :6], y[:, :6])


@pytest.mark.parametrize("name", ["canonical", "spectral", "lambdas", "long convolution", "mean"])
@pytest.mark.parametrize("donate", [False, True])
@pytest.mark.every(3)
def test_one_program_serves_all_steps(name, donate, key):
    layer, x = LAYERS[name](), inputs(key)
    graph, parameters = nnx.split(layer)
    traces = 0

    @functools.partial(jax.jit, donate_argnums=(2,) if donate else ())
    def extend(parameters, x, state):
        nonlocal traces
        traces += 1
        return nnx.merge(graph, parameters).extend(x, state)

    state, results = layer.start(2, TOKENS), []
    for n in range(TOKENS):
        y, state = extend(parameters, x[:, n : n + 1], state)
        results.append(y)
    assert traces == 1 and extend._cache_size() == 1
    assert relative(jnp.concatenate(results, 1), run(layer, x)) <= 1e-5


def test_a_text_as_long_as_a_scan_goes_on_in_one(key):
    # Steps in `jax.lax.scan`: states keep their shapes and types.
    layer, x = LAYERS["lambdas"](), inputs(key, 1, 70)

    def step(state, x):
        y, state = layer.extend(x[:, None], state)
        return state, y[:, 0]

    y = jax.lax.scan(step, layer.start(1, 70), jnp.swapaxes(x, 0, 1))[1]
    assert relative(jnp.swapaxes(y, 0, 1), run(layer, x)) <= 1e-5


def test_a_large_key_still_to_come_changes_no_step(key):
    # Beyond the range of the exponential, in a token long after the first.
    layer, x = LAYERS["lambdas"](), inputs(key, 1)
    layer.key.kernel[...] = layer.key.kernel[...].at[:, 0].set(1)
    x = x.at[:, 5].set(1e3)
    y = in_parts(layer, x, (1,) * TOKENS)
    assert np.all(np.isfinite(y)) and relative(y, run(layer, x)) <= 1e-5


TWO_WAYS = {
    "linear": (lambda: nets.LinearSelfAttention(WIDTH, 3, rngs=rngs()), "causal"),
    "conv": (lambda: nets.ConvSelfAttention((3, 3), 2, rngs=rngs()), "causal"),
    "lambdas": (lambda: nets.LambdaLayer(WIDTH, 3, 4, 3, "zero", rngs=rngs()), "boundary"),
    "convolution": (lambda: nets.layers.LongConvolution(WIDTH, 3, "zero", rngs=rngs()), "boundary"),
    "mean": (lambda: nets.layers.TokenMean(WIDTH), "causal"),
}


@pytest.mark.parametrize("name", TWO_WAYS)
def test_a_layer_that_sees_later_tokens_does_not_go_on(name):
    make, argument = TWO_WAYS[name]
    layer = make()
    for call in (lambda: layer.start(1, 4), lambda: layer.extend(jnp.ones((1, 1, WIDTH)), ())):
        with pytest.raises(ValueError, match=f"`{argument}` must be (True|causal)"):
            call()


@pytest.mark.parametrize("name", ["canonical", "literal", "lambdas", "convolution", "mean"])
def test_refusals_name_the_argument(name):
    layer, token = LAYERS[name](), jnp.ones((2, 1, WIDTH))
    state = layer.start(2, 4)
    other = LAYERS["mean" if name != "mean" else "lambdas"]().start(2, 4)
    for call, argument in (
        (lambda: layer.start(0, 4), "batch"),
        (lambda: layer.start(2, 0), "length"),
        (lambda: layer.start(2, 4.5), "length"),
        (lambda: layer.extend(token[..., :5], state), "x"),
        (lambda: layer.extend(token[:, :0], state), "x"),
        (lambda: layer.extend(token[:1], state), "state"),
        (lambda: layer.extend(token, other), "state"),
        (lambda: layer.extend(token, None), "state"),
        (lambda: layer.extend(token, jax.tree.map(lambda a: "a", state)), "state"),
        (lambda: layer.extend(token, state, "engine11"), "device"),
        (lambda: layer.extend(token, state, None, 0), "key"),
    ):
        with pytest.raises(ValueError, match=f"`{re.escape(argument)}`"):
            call()


def test_a_full_state_takes_no_more():
    layer = LAYERS["canonical"]()
    state = layer.extend(jnp.ones((1, 3, WIDTH)), layer.start(1, 4))[1]
    with pytest.raises(ValueError) as refusal:
        layer.extend(jnp.ones((1, 2, WIDTH)), state)
    message = (
        "`x` must have at most the 1 tokens that the state has room for, got 2; start it with a larger "
        "`length`."
    )
    assert str(refusal.value) == message
