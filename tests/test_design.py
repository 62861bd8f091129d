"""Design by gradient: joules of the ledger, rounding as noise, and the search, against counts and NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics import accounting, effects

COUNTS = accounting.Counts(exposures=52, dac=12_110, adc=6_796)
# Numbers of `accounting.energy`, away from the figures of the ledger.
NUMBERS = {"dac_bits": 4.3, "adc_bits": 5.7, "laser": 0.4, "oscillator": 0.2}


def test_energy_is_that_of_the_ledger_at_its_own_numbers():
    for costs in ("integrated", "mirrors", accounting.hardware(converters="LightCode")):
        ledger = accounting.price(COUNTS, costs).joules
        np.testing.assert_allclose(accounting.energy(COUNTS, costs), ledger, rtol=1e-6)


def test_energy_of_a_preset_is_its_ledger_but_for_the_bits_of_its_adc():
    # The ledger has one figure for an ADC, of 8 bits; engine11 reads 10.
    device, shape = optics.presets.load("engine11", level="ideal"), (1, 11, 11)
    ledger = optics.ledger(device, shape, shape)
    counts = accounting.Counts(ledger.exposures, ledger.dac, ledger.adc)
    bits = {"dac_bits": float(device.slm[0].bits), "adc_bits": float(device.camera[-1].bits)}
    assert bits == {"dac_bits": 8, "adc_bits": 10}
    costs = accounting.hardware("integrated")
    more = ledger.adc * (3 * costs["adc_energy"].value + 0.25 * costs["memory_energy"].value)
    np.testing.assert_allclose(accounting.energy(counts, costs, **bits), ledger.joules + more, rtol=1e-6)


def test_energy_by_hand():
    costs = {name: assumption.value for name, assumption in accounting.hardware("integrated").items()}
    time, pump = costs["exposure_time"], costs["wall_plug"]
    expected = COUNTS.dac * (
        costs["dac_energy"] * (2**4.3 / 4.3) / (2**8 / 8)
        + (costs["modulator_energy"] + costs["memory_energy"]) * 4.3 / 8
    )
    expected += COUNTS.adc * (
        costs["adc_energy"] * 2**5.7 / 2**8
        + costs["receiver_energy"]
        + costs["memory_energy"] * 5.7 / 8
        + 0.2 * time * costs["oscillator_power"] / pump
    )
    expected += COUNTS.exposures * time * (0.4 * costs["laser_power"] / pump + costs["static_power"])
    np.testing.assert_allclose(accounting.energy(COUNTS, "integrated", **NUMBERS), expected, rtol=1e-6)


@pytest.mark.parametrize("name", NUMBERS)
def test_gradient_of_energy_against_finite_differences(name):
    with jax.enable_x64(True):

        def joules(value):
            return accounting.energy(COUNTS, "integrated", **(NUMBERS | {name: value}))

        step = 1e-5 * NUMBERS[name]
        value, slope = jax.jit(jax.value_and_grad(joules))(NUMBERS[name])
        difference = (joules(NUMBERS[name] + step) - joules(NUMBERS[name] - step)) / (2 * step)
        assert value.dtype == jnp.float64
        np.testing.assert_allclose(slope, difference, rtol=1e-8)


def test_light_is_the_mean_of_relative_light_and_has_the_gradient_of_the_lens():
    key = jax.random.key(3)

    def device(fill):
        lens = optics.FourierLens(
            5, pitch=127e-6, wavelength=1.55e-6, fill=fill, detector_fill=fill, oversampling=4, plane=80
        )
        return optics.FourierProcessor(lens)

    numbers = jax.random.normal(key, (16, 5, 5))
    exact = device(0.5)
    mean = jnp.mean(exact.relative_light(exact.prepare(numbers)))
    np.testing.assert_allclose(accounting.mean_light(exact, key), mean, rtol=1e-5)
    # Twice the fill of both is four times the amplitude at the detector, of lenses in two axes.
    value, slope = jax.value_and_grad(lambda fill: accounting.mean_light(device(fill), key))(0.4)
    np.testing.assert_allclose(value, accounting.mean_light(device(0.8), key) * 16, rtol=1e-5)
    np.testing.assert_allclose(slope, -4 * value / 0.4, rtol=1e-4)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("signed", [False, True])
def test_variance_of_rounding_as_noise_is_that_of_a_converter(bits, signed):
    low = -1.0 if signed else 0.0
    values = np.random.default_rng(0).uniform(low, 1.0, 200_000)
    levels = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    variance = np.mean((np.round(values * levels) / levels - values) ** 2)
    soft = effects.QuantizationNoise(bits, signed)
    error = np.asarray(soft(jnp.asarray(values), jax.random.key(1))) - values
    np.testing.assert_allclose(np.mean(error**2), variance, rtol=0.02)
    assert abs(error.mean()) < 5 * np.sqrt(variance / values.size)


def test_rounding_as_noise_clips_where_a_converter_does():
    beyond = jnp.array([-3.0, -1.2, 1.4])
    for signed in (False, True):
        converter, soft = effects.Quantize(4, signed), effects.QuantizationNoise(4, signed)
        np.testing.assert_allclose(soft(beyond, None), converter(beyond, None))


def test_gradient_of_rounding_as_noise_by_its_bits():
    key = jax.random.key(0)
    with jax.enable_x64(True):
        values = jnp.linspace(-0.9, 0.9, 50) * (1 + 0.5j)

        def power(bits):
            return jnp.sum(jnp.abs(effects.QuantizationNoise(bits, signed=True)(values, key)) ** 2)

        slope = jax.grad(power)(4.6)
        np.testing.assert_allclose(slope, (power(4.6 + 1e-6) - power(4.6 - 1e-6)) / 2e-6, rtol=1e-6)


def test_a_device_with_soft_bits_has_its_other_parts():
    device = optics.presets.load("engine11", level="ideal")
    soft = device.with_stages(**{stage.name: effects.soften_bits(stage.effects) for stage in device.stages()})
    kinds = [type(effect).__name__ for effect in (*soft.slm, *soft.camera)]
    assert kinds == ["QuantizationNoise", "BalancedShot", "Read", "Saturate", "QuantizationNoise"]
    assert soft.camera[-1].bits == device.camera[-1].bits
    plane = jax.random.normal(jax.random.key(0), (11, 11))
    without = optics.transform(plane, soft)
    np.testing.assert_allclose(without, optics.transform(plane), atol=0.02)
