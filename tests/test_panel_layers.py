"""Attention, feed-forward and lambda layers on a panel: many small planes share an exposure, and the ledger
counts what runs.
"""

import jax
import numpy as np
import pytest
from flax import nnx

import nets
import optics
from nets.config import Config, resolve
from nets.run import build_device
from optics import accounting, mapping
from tests.helpers import relative
from tests.helpers_layers import noisy, rngs, run


def _panel(pixels=64):
    return optics.Correlator(optics.dft(pixels))


def _exposures(layer, x, device):
    return accounting.count(lambda device, key: layer(x, device, key), device).exposures


@pytest.mark.parametrize(("kernel", "cells"), [((2, 2), 25), (None, 9)])
def test_attention_over_tokens_that_share_a_frame(kernel, cells, key):
    layer = nets.ConvSelfAttention((11, 11), 2, kernel, rngs=rngs())
    x, device = jax.random.normal(key, (2, 20, 121)), _panel()
    assert relative(run(layer, x, device, key), run(layer, x)) <= 1e-4
    plan = mapping.plan_packed((2, 20, 1, 11, 11), (6, *(kernel or (11, 11))), device.shape)
    assert np.prod(plan.grid) == cells
    # Six kernels of two heads; token by token it would be 40 exposures for each.
    assert _exposures(layer, x, device) == plan.products == 6 * -(-40 // cells)


def test_a_feed_forward_of_planes_that_share_a_frame(key):
    layer = nets.layers.ConvFeedForward((5, 7), 3, (3, 3), rngs=rngs())
    x, device = jax.random.normal(key, (2, 20, 35)), _panel((30, 40))
    assert relative(run(layer, x, device, key), run(layer, x)) <= 1e-4
    # Cells of 7×9 pixels, of which a frame has 16: three frames of tokens for each of three kernels, twice.
    assert _exposures(layer, x, device) == 2 * 3 * 3


def test_lambdas_of_sequences_that_share_a_frame(key):
    layer = nets.LambdaLayer(24, 4, 2, 5, "zero", rngs=rngs())
    layer.eval()
    x, device = jax.random.normal(key, (3, 16, 24)), _panel()
    assert relative(run(layer, x, device, key), run(layer, x)) <= 1e-4
    # Lines of all texts and values below each other: three texts of six values, of 16 tokens and their
    # neighbours.
    plan = mapping.plan_1d((1, 18, 1, 1, 1, 20), (1, 2, 1, 5), device.shape, "valid")
    assert _exposures(layer, x, device) == plan.products == 2


@pytest.mark.slow
def test_gradients_pass_through_a_frame(key):
    layer = nets.ConvSelfAttention((3, 3), 1, (2, 2), gradient="ideal", rngs=rngs())
    graph, state = nnx.split(layer)
    x = jax.random.normal(key, (1, 6, 9))

    def slope(device, key):
        return jax.jit(jax.grad(lambda state: (nnx.merge(graph, state)(x, device, key) ** 2).sum()))(state)

    exact, through = slope(None, None), slope(noisy(9), key)
    assert 1e-4 < relative(through["kernels"][...], exact["kernels"][...]) < 0.1


def test_a_device_without_room_is_refused():
    layer = nets.ConvSelfAttention((8, 8), 1, rngs=rngs())
    for pixels in (7, 11):
        with pytest.raises(ValueError, match=f"`x` has planes of 8×8 but the device has {pixels}×{pixels}"):
            layer(np.ones((1, 2, 64), np.float32), _panel(pixels))


@pytest.mark.parametrize(
    "options",
    [
        dict(overrides=("pixels=33",), shape=(11, 11)),
        dict(overrides=("pixels=24",), shape=(11, 11), kernel=(3, 3)),
        dict(overrides=("pixels=24",), shape=(11,), model="conv1d"),
        dict(overrides=("pixels=24",), shape=(11,), model="linear", feedforward_maps=2),
    ],
)
def test_a_device_that_is_set_larger_takes_many_embeddings(options):
    config = resolve(Config(device="ideal", **options))
    assert config.shape == options["shape"]
    pixels = int(options["overrides"][0].partition("=")[2])
    assert build_device(config).shape == (pixels, pixels)


@pytest.mark.parametrize(
    "options",
    [
        dict(overrides=("pixels=20",), shape=(11, 11)),
        dict(overrides=("pixels=33",), shape=(11, 11), spectral=True),
        dict(overrides=("pixels=33",), shape=(11, 11), model="fourier"),
    ],
)
def test_one_without_room_or_that_transforms_is_refused(options):
    with pytest.raises(ValueError, match=r"`overrides` set pixels to \d+. Leave --shape out"):
        build_device(resolve(Config(device="ideal", **options)))
