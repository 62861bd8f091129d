"""The correlators of the presets against double precision: what they convolve with, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import optics
from optics.encode import flat_spectrum


def exact(x, w, flat=False):
    """The circular convolution in double precision; with the phases of the spectrum and the norm alone."""
    spectrum = scipy.fft.fft2(np.asarray(w, float))
    if flat:
        spectrum = (
            spectrum / np.abs(spectrum) * np.sqrt(np.mean(np.abs(spectrum) ** 2, (-2, -1), keepdims=True))
        )
    return scipy.fft.ifft2(scipy.fft.fft2(np.asarray(x, float)) * spectrum).real


def numbers(shape, count=8):
    x = jax.random.normal(jax.random.key(0), (count, *shape))
    return x, jax.random.uniform(jax.random.key(1), (count, *shape), minval=-1)


def relative(result, wanted):
    return np.linalg.norm(np.asarray(result) - wanted) / np.linalg.norm(wanted)


def without_effects(device):
    return device.with_stages(**{stage.name: () for stage in device.stages()})


@pytest.mark.parametrize("level", ["ideal", "compiled", "wave"])
@pytest.mark.every(2)
def test_a_complex_filter_convolves(level):
    device = optics.presets.load("correlator", pixels=5, level=level)
    x, w = numbers(device.shape)
    error = relative(optics.convolve(x, w, device, jax.random.key(2)), exact(x, w))
    # Fringing fields of two panels, converters and noise.
    assert 0.03 < error < 0.1
    optics_alone = relative(optics.convolve(x, w, without_effects(device)), exact(x, w))
    assert optics_alone < (1e-5 if level == "ideal" else 0.09)


def test_a_phase_filter_convolves_with_a_flat_spectrum_of_the_same_energy():
    device = optics.presets.load("phase-correlator", pixels=6, level="ideal")
    x, w = numbers(device.shape)
    assert relative(optics.convolve(x, w, without_effects(device)), exact(x, w, flat=True)) < 1e-5
    noisy = optics.convolve(x, w, device, jax.random.key(2))
    # The gaps of the panel add an image of the input; the kernel that is asked for is another one.
    assert 0.03 < relative(noisy, exact(x, w, flat=True)) < 0.15
    assert relative(noisy, exact(x, w)) > 0.3


def test_a_phase_filter_leaves_the_shading_of_the_lens():
    device = optics.presets.load("phase-correlator", pixels=6)
    x, w = numbers(device.shape)
    result = optics.convolve(x, w, without_effects(device))
    assert 0.1 < relative(result, exact(x, w, flat=True)) < 0.6
    gains = np.asarray(jax.lax.stop_gradient(device.output_gain * device.input_gain))
    spectrum = scipy.fft.fft2(np.asarray(w, float))
    flat = spectrum / np.abs(spectrum) * np.sqrt(np.mean(np.abs(spectrum) ** 2, (-2, -1), keepdims=True))
    shade = scipy.fft.ifftshift(1 / np.abs(gains))
    shaded = scipy.fft.ifft2(scipy.fft.fft2(np.asarray(x, float)) * flat * shade / shade.mean()).real
    # The gains say what the lens takes from each pixel of the filter.
    assert relative(result, shaded) < 0.05


def test_the_gradient_of_a_phase_filter_is_that_of_its_function():
    device = without_effects(optics.presets.load("phase-correlator", pixels=4, level="ideal"))
    x, w = numbers(device.shape, 1)
    target = exact(x, np.roll(w, 1, -1))

    def loss(w):
        return jnp.sum((optics.convolve(x, w, device) - target) ** 2)

    def loss_in_double(w):
        return np.sum((exact(x, w, flat=True) - target) ** 2)

    slope, w = np.asarray(jax.grad(loss)(w), float), np.asarray(w, float)
    for seed in range(3):
        direction = np.random.default_rng(seed).normal(size=w.shape)
        ends = [loss_in_double(w + sign * 1e-5 * direction) for sign in (1, -1)]
        assert np.sum(slope * direction) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=1e-3)


def test_a_kernel_of_zeros_has_a_finite_gradient():
    spectrum = jnp.zeros((2, 2), complex)
    drive, scale = flat_spectrum(spectrum)
    np.testing.assert_array_equal(drive, 1)
    np.testing.assert_array_equal(scale, 0)
    device = optics.presets.load("phase-correlator", pixels=3, level="ideal")
    slope = jax.grad(lambda w: jnp.sum(optics.convolve(jnp.ones((3, 3)), w, device, jax.random.key(0))))(
        jnp.zeros((3, 3))
    )
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("name", ["correlator", "phase-correlator"])
def test_units_differ_on_both_modulators(name):
    first, second = (
        optics.presets.load(name, unit=jax.random.key(i), pixels=3, level="ideal") for i in (0, 1)
    )
    for stage in ("slm", "filter"):
        residues = [getattr(device, stage)[1].response.a2 for device in (first, second)]
        gains = [getattr(device, stage)[2].gain for device in (first, second)]
        assert residues[0] != residues[1] and np.all(gains[0] != gains[1])
    assert first.slm[1].response.a2 != first.filter[1].response.a2
    assert {stage.name: stage.phase_only for stage in first.stages()}["filter"] == (name != "correlator")


def test_the_meter_counts_once_for_each_convolution():
    device = optics.presets.load("correlator", pixels=3, level="ideal")
    for count in (1, 5):
        x = jnp.ones((count, 3, 3))
        counts = optics.accounting.count(lambda device, key: optics.convolve(x, x[0], device, key), device)
        # Four steps of the reference and the meter.
        assert counts.exposures == 5 * count and counts.adc == 5 * 9 * count
