"""Long convolutions against scipy, and means of tokens against numpy."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from flax import nnx

import optics
from nets.layers import LongConvolution, TokenMean
from tests.helpers import relative
from tests.helpers_layers import count, noisy, rngs, run
from tests.parts import load

BOUNDARIES = ("causal", "zero", "circular")


@functools.cache
def layer(boundary="causal", scope=4, gradient=None):
    return LongConvolution(6, scope, boundary, gradient=gradient, rngs=rngs())


def by_definition(layer, x):
    """The layer in float64, with a convolution of scipy for each text and feature."""
    project, kernels, merge = (
        np.asarray(weights[...], np.float64)
        for weights in (layer.project.kernel, layer.kernels, layer.merge.kernel)
    )
    q, k, v = np.split(np.asarray(x, np.float64) @ project, 3, axis=-1)
    tokens, y = x.shape[1], np.zeros(x.shape)
    for text, feature in np.ndindex(len(x), x.shape[2]):
        line = (k * v)[text, :, feature]
        if layer.boundary == "causal":
            sums = scipy.signal.fftconvolve(line, kernels[feature])[:tokens]
        elif layer.boundary == "zero":
            # The middle as in mode "same", which follows the longer array.
            middle = (layer.scope - 1) // 2
            sums = scipy.signal.fftconvolve(line, kernels[feature])[middle : middle + tokens]
        else:
            three = scipy.signal.fftconvolve(np.tile(line, 3), kernels[feature])
            sums = three[tokens + (layer.scope - 1) // 2 :][:tokens]
        y[text, :, feature] = sums
    return (q * y) @ merge


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("scope", [1, 4, 7])
@pytest.mark.every(2)
def test_the_convolution_of_scipy(boundary, scope, key):
    x = jax.random.normal(key, (2, 7, 6))
    expected = by_definition(layer(boundary, scope), x)
    assert relative(run(layer(boundary, scope), x), expected) <= 1e-5
    for pixels in ((2, 7), 5):
        result = run(layer(boundary, scope), x, load("ideal", pixels=pixels), key)
        assert relative(result, expected) <= 1e-4, pixels


@pytest.mark.parametrize(("boundary", "scope"), [("causal", 40), ("zero", 79), ("circular", 40)])
def test_long_kernels_are_added_as_spectra(boundary, scope, key):
    x, device = jax.random.normal(key, (2, 40, 6)), load("ideal")
    model = layer(boundary, scope)
    expected = by_definition(model, x)
    assert relative(run(model, x), expected) <= 1e-5
    assert relative(run(model, x, device, key), expected) <= 1e-4
    exposures = optics.accounting.count(lambda device, key: model(x, device, key), device).exposures
    lines = (6, 1, 2, 1, 40 + scope - 1), (6, 1, 1, 1, scope), (11, 11), "valid"
    plan = optics.mapping.plan_partitioned(*lines)
    assert exposures == plan.transforms < optics.mapping.plan_1d(*lines).transforms


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_padding_is_in_no_sum(boundary, key):
    x = np.asarray(jax.random.normal(key, (1, 7, 6)))
    rows = np.concatenate([x, np.concatenate([x[:, :5], np.full((1, 2, 6), np.nan, np.float32)], 1)])
    mask = jnp.arange(7)[None] < jnp.array([[7], [5]])
    model = layer(boundary)
    y = run(model, rows, None, None, mask)
    np.testing.assert_allclose(y[0], run(model, x)[0], atol=1e-5)
    np.testing.assert_allclose(y[1, :5], run(model, x[:, :5])[0], atol=1e-5)
    on_device = run(model, rows, load("ideal", pixels=5), key, mask)
    np.testing.assert_allclose(on_device[1, :5], y[1, :5], atol=1e-4)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(model(x, None, None, mask) ** 2)))(rows)
    assert np.all(np.isfinite(slope)) and np.all(slope[1, 5:] == 0)


@pytest.mark.parametrize("rule", ["simulator", "ideal", "optical"])
@pytest.mark.every(2)
def test_a_noisy_device_changes_a_little_and_gradients_pass(rule, key):
    graph, state = nnx.split(layer("causal", 9, rule))
    x = jax.random.normal(key, (1, 12, 6))

    @jax.jit
    def slope(state, x, device, key):
        def loss(state, x):
            y = nnx.merge(graph, state)(x, device, key)
            return jnp.sum(y**2), y

        (of_state, of_x), y = jax.grad(loss, (0, 1), has_aux=True)(state, x)
        return of_state["kernels"][...], of_x, y

    results = slope(state, x, noisy(5), key)
    for result, expected in zip(results, slope(state, x, None, key), strict=True):
        assert 1e-3 < relative(result, expected) < 0.05
    assert not np.array_equal(results[2], slope(state, x, noisy(5), jax.random.fold_in(key, 1))[2])


def test_parameter_count():
    assert count(lambda: LongConvolution(128, 512, rngs=rngs())) == 4 * 128**2 + 128 * 512
    assert count(lambda: TokenMean(128)) == 0


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_new_layer_adds_less_than_it_is_added_to(boundary, key):
    model = LongConvolution(64, 64, boundary, rngs=rngs())
    y = run(model, jax.random.normal(key, (8, 64, 64)))
    assert 0.02 < float(jnp.sqrt(jnp.mean(y**2))) < 0.6
    kernels = np.asarray(model.kernels[...])
    # Uniform numbers have a variance of a third, and envelopes an energy of three.
    assert np.mean(np.sum(kernels**2, axis=1)) == pytest.approx(1, rel=0.3)
    centre = 0 if boundary == "causal" else 31
    far = np.abs(np.arange(64) - centre) > 16
    shares = np.sum(kernels[:, far] ** 2, axis=1) / np.sum(kernels**2, axis=1)
    assert np.all(shares[:8] < 1e-3) and np.mean(shares[-8:]) > 0.2


def test_the_mean_of_all_tokens_and_of_the_earlier_ones(key):
    x = np.asarray(jax.random.normal(key, (2, 5, 3)))
    mask = np.array([[True] * 5, [False, True, True, False, True]])
    padded = np.where(mask[..., None], x, np.nan)
    weights = mask[..., None].astype(float)
    filled = np.where(mask[..., None], x, 0).astype(np.float64)
    whole, earlier = TokenMean(3), TokenMean(3, causal=True)
    np.testing.assert_allclose(run(whole, x), np.broadcast_to(x.mean(1, keepdims=True), x.shape), atol=1e-6)
    expected = filled.sum(1, keepdims=True) / weights.sum(1, keepdims=True)
    result = run(whole, padded, None, None, jnp.asarray(mask))
    np.testing.assert_allclose(result, np.broadcast_to(expected, x.shape), atol=1e-6)
    expected = np.stack([x[:, : n + 1].mean(1) for n in range(5)], 1)
    np.testing.assert_allclose(run(earlier, x), expected, atol=1e-6)
    result = run(earlier, padded, None, None, jnp.asarray(mask))
    expected = filled.cumsum(1) / np.maximum(weights.cumsum(1), 1)
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert np.all(result[1, 0] == 0)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: LongConvolution(0, rngs=rngs()), "features"),
        (lambda: LongConvolution(6, 0, rngs=rngs()), "scope"),
        (lambda: LongConvolution(6, 3, "wrap", rngs=rngs()), "boundary"),
        (lambda: LongConvolution(6, 3, gradient="exact", rngs=rngs()), "gradient"),
        (lambda: LongConvolution(6, 3, rngs=0), "rngs"),
        (lambda: layer()(jnp.ones((1, 7, 5))), "x"),
        (lambda: layer()(jnp.ones((1, 7, 6)), "engine11"), "device"),
        (lambda: layer()(jnp.ones((1, 7, 6)), noisy(3), 0), "key"),
        (lambda: layer()(jnp.ones((1, 7, 6)), mask=jnp.ones((1, 6), bool)), "mask"),
        (lambda: layer("circular", 8)(jnp.ones((1, 7, 6))), "scope"),
        (lambda: TokenMean(0), "features"),
        (lambda: TokenMean(3, causal=1), "causal"),
        (lambda: TokenMean(3)(jnp.ones((1, 2, 4))), "x"),
    ],
)
def test_refusals_name_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"`{re.escape(argument)}`"):
        call()
