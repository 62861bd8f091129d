"""Light that fluctuates: every exposure has its own draw, and one laser feeds all arms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics import effects
from tests.helpers import relative

RIN = 0.05
REPEATS = 4000


def frames_of(measurement, slm, a, keys):
    device = optics.FourierProcessor(optics.dft(2), measurement, slm)
    exposure = device.prepare(a)
    return np.asarray(jax.jit(jax.vmap(lambda key: device.expose(exposure, key)))(keys), float)[:, 0]


@pytest.mark.parametrize("measurement", [optics.PhaseShifting(4), optics.PhaseShifting(5), optics.Offset()])
def test_frames_that_follow_each_other_have_their_own_laser_power(measurement, key):
    a = jnp.asarray([[1.0, 0.3j], [0.2, -0.5]])
    keys = jax.random.split(key, REPEATS)
    frames = frames_of(measurement, (effects.LaserNoise(RIN),), a, keys)
    steady = frames_of(measurement, (), a, keys[:1])
    power = frames / steady
    # One power for the pixels of an exposure, reference included; none is shared by two exposures.
    np.testing.assert_allclose(power, np.broadcast_to(power[..., :1, :1], power.shape), rtol=1e-4)
    power = power[..., 0, 0]
    error = 5 / np.sqrt(REPEATS)
    assert np.all(np.abs(power.mean(0) - 1) <= error * RIN)
    np.testing.assert_allclose(power.std(0), RIN, rtol=error)
    correlation = np.corrcoef(power.T)
    assert np.all(np.abs(correlation - np.eye(len(correlation))) <= error)


def test_the_field_of_four_steps_has_the_noise_of_four_exposures(key):
    a = jnp.asarray([[1.0, 0.3j], [0.2, -0.5]])
    device = optics.FourierProcessor(optics.dft(2), optics.PhaseShifting(4), (effects.LaserNoise(RIN),))
    draws = jax.jit(jax.vmap(lambda key: device.transform(a, key)))(jax.random.split(key, REPEATS))
    full_scale = device.prepare(a).full_scale[0, 0, 0]
    z = np.asarray(device.transform(a)) / full_scale
    # I_d = |z + i^d|² / 4 times a power of its own, and z = Σ_d I_d i^d, so Var z = Σ_d I_d² rin².
    frames = np.abs(z + np.array([1, 1j, -1, -1j])[:, None, None]) ** 2 / 4
    expected = full_scale * RIN * np.sqrt((frames**2).sum(0))
    np.testing.assert_allclose(np.std(draws, axis=0), expected, rtol=6 / np.sqrt(REPEATS))


@pytest.mark.parametrize("measurement", [optics.Coherent(), optics.Balanced()])
def test_frames_of_one_exposure_share_a_draw(measurement, key):
    a = jnp.asarray([[1.0, 0.3j], [0.2, -0.5]])
    keys = jax.random.split(key, 16)
    power = frames_of(measurement, (effects.LaserNoise(RIN),), a, keys) / frames_of(
        measurement, (), a, keys[:1]
    )
    power = power.reshape(16, -1)
    np.testing.assert_allclose(power, np.broadcast_to(power[:, :1], power.shape), rtol=1e-4)
    assert power[:, 0].std() > RIN / 3


@pytest.mark.parametrize(
    "ripple", [effects.Flicker(0.3), effects.Flicker(0.3, common=True, cycles=0.0)], ids=["pixels", "panel"]
)
def test_ripple_differs_from_step_to_step(ripple, key):
    device = optics.FourierProcessor(optics.dft(2), optics.PhaseShifting(4), (ripple,))
    frames = device.expose(device.prepare(jnp.asarray([[1.0, 0.3j], [0.2, -0.5]])), key)[0]
    # Of one field, opposite steps of the reference add up to the same sum.
    assert np.abs(frames[0] + frames[2] - frames[1] - frames[3]).max() > 1e-3


def test_every_pair_of_a_correlator_has_its_own_draw(key):
    slm = (effects.LaserNoise(RIN),)
    noisy, steady = (optics.Correlator(optics.dft(3), slm=chain) for chain in (slm, ()))
    x, w = jnp.ones((3, 1, 3, 3)), jnp.ones((4, 3, 3))
    power = np.asarray(noisy.convolve(x, w, key) / steady.convolve(x, w))
    np.testing.assert_allclose(power, np.broadcast_to(power[..., :1, :1], power.shape), rtol=1e-4)
    counts = optics.accounting.count(lambda device, key: device.convolve(x, w, key), noisy)
    assert len(np.unique(power[..., 0, 0])) == counts.exposures == 12
    # The laser's old kind of key draws too.
    assert noisy.convolve(x, w, jax.random.PRNGKey(0)).shape == (3, 4, 3, 3)


@pytest.mark.parametrize("name", ["slm-4f", "dmd-4f"])
@pytest.mark.every(2)
def test_a_steady_laser_is_the_limit(name, key):
    """Half a per cent of laser noise is a per cent of the field of a stepped reference; a monitor takes most
    of it.
    """
    device = optics.presets.load(name, level="ideal", pixels=4, monitor=0.0)
    monitored = optics.presets.load(name, level="ideal", pixels=4)
    steady = optics.presets.load(name, level="ideal", pixels=4, power_noise=0.0)
    a = jax.random.normal(jax.random.key(1), (8, 4, 4))
    transform = jax.jit(lambda device: device.with_stages(camera=()).transform(a, key))
    moved = relative(transform(device), transform(steady))
    assert 1e-3 < moved < 0.1
    assert relative(transform(monitored), transform(steady)) < 0.2 * moved
