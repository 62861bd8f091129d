"""The mean over draws of noise: against theory, and against what a call without noise gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics import effects
from tests.helpers import relative
from tests.parts import load


def test_noise_of_a_dark_pixel_that_is_cut_off_at_zero(key):
    """E max(n, 0) = σ / √(2π), where the call without noise gives 0."""
    read, well = 5.0, 1e4
    camera = effects.camera(full_well=well, read_noise=read, bits=16, gain=6.0)
    dark = jnp.zeros((128, 128))
    mean = optics.expected(lambda key: effects.apply(camera, dark, key).mean(), key, draws=16)
    assert well * mean == pytest.approx(read / np.sqrt(2 * np.pi), rel=0.02)
    assert effects.apply(camera, dark, None).max() == 0


def test_noise_averages_rounding_away(key):
    """Noise of half a step and more makes the mean of a converter linear, to exp(−2π²σ²)/π steps."""
    chain = (effects.Read(0.7 / 15), effects.Quantize(4))
    value = jnp.linspace(0.3, 0.7, 41)[None, :]
    mean = optics.expected(lambda key: effects.apply(chain, value, key), key, draws=4000)
    np.testing.assert_allclose(mean, value, atol=5 * 0.8 / 15 / np.sqrt(4000))
    assert np.abs(effects.apply(chain, value, None) - value).max() > 0.03


def test_trees_and_whole_numbers(key):
    def f(key):
        sample = jax.random.uniform(key, (200,))
        return {"sample": sample, "above": (sample > 0.25).astype(int)}

    mean = optics.expected(f, key, draws=300)
    assert mean["sample"].mean() == pytest.approx(0.5, abs=0.01)
    assert mean["above"].mean() == pytest.approx(0.75, abs=0.01)
    assert relative(optics.expected(f, key, draws=1)["sample"], f(jax.random.split(key, 1)[0])["sample"]) == 0


def test_calibration_with_many_draws_does_not_take_rounding_for_the_map(key):
    device = load("engine11", level="ideal", pixels=3, dac_bits=16, adc_bits=4, photons=100.0)
    exact = np.ones(device.shape)
    errors = [
        np.abs(calibrated.output_gain * calibrated.input_gain - exact).max()
        for calibrated in (optics.calibrate(device), optics.calibrate(device, key=key, draws=400))
    ]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda key: optics.expected(3, key), "f"),
        (lambda key: optics.expected(lambda key: key, None), "key"),
        (lambda key: optics.expected(lambda key: key, 3), "key"),
        (lambda key: optics.expected(jax.random.normal, key, draws=0), "draws"),
        (lambda key: optics.calibrate(load("ideal", pixels=2), draws=3), "draws"),
    ],
)
def test_refusals(call, name, key):
    with pytest.raises(ValueError, match=f"`{name}`"):
        call(key)
