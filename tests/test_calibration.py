"""Calibration: gains and maps measured with probes bring a real lens to the exact transform."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import optics
from optics import effects
from tests.helpers import relative
from tests.parts import load

transform = jax.jit(optics.transform)


@pytest.fixture(scope="module")
def raw():
    return optics.FourierProcessor(optics.compile_transfer(load("engine11", level="wave").transfer))


def error(device, key):
    x = jax.random.normal(key, (8, *device.shape))
    return relative(transform(x, device), scipy.fft.fft2(np.asarray(x, float), norm="ortho"))


def test_what_each_compensation_reaches(raw, key):
    result = {
        name: error(optics.calibrate(raw, compensation=name), key)
        for name in optics.calibration.COMPENSATIONS
    }
    # A paraxial lens phase under exact propagation is spherical aberration; gains cannot mend it, a matrix
    # can.
    assert 1e-5 < result["complex"] <= result["amplitude"] * 1.01 <= 5e-3
    assert result["matrix"] <= 1e-5


def test_the_lens_profile_is_a_design_choice(key):
    # A Fourier lens puts a beam at the sine of its angle. The paraxial phase does so better than the
    # spherical one, which is right for a beam along the axis alone; the difference grows with the angles, so
    # with fine pixels.
    fine = dict(pixels=11, pitch=30e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
    paraxial, spherical = (
        error(
            optics.calibrate(
                optics.FourierProcessor(optics.compile_transfer(optics.FourierLens(**fine, profile=profile)))
            ),
            key,
        )
        for profile in (optics.wave.lens, optics.wave.spherical_lens)
    )
    assert paraxial <= 5e-3 < spherical


def test_complex_gains_undo_phases(key):
    phases = jnp.exp(1j * jax.random.uniform(key, (2, 5, 5)))
    device = optics.FourierProcessor(optics.dft(5), slm=(effects.Gain(phases[0]),))
    device = eqx.tree_at(
        lambda d: d.transfer.matrix, device, phases[1].reshape(-1, 1) * device.transfer.matrix
    )
    assert error(optics.calibrate(device, compensation="amplitude"), key) > 0.3
    calibrated = optics.calibrate(device, compensation="complex")
    assert error(calibrated, key) <= 1e-5
    x, w = jax.random.normal(key, (5, 5)), jax.random.normal(jax.random.fold_in(key, 1), (5, 5))
    assert relative(optics.convolve(x, w, calibrated), optics.convolve(x, w)) <= 1e-5


def test_recorded_frames_of_another_device(raw, key):
    # A bench that dims: what is recorded there calibrates the simulated device.
    bench = eqx.tree_at(lambda d: d.transfer.matrix, raw, 0.7 * raw.transfer.matrix)
    probe = jax.random.normal(key, (200, 11, 11)) + 0j
    response = bench.transform(probe)
    calibrated = optics.calibrate(raw, probe, response)
    again = optics.calibrate(calibrated, probe, response)
    np.testing.assert_allclose(again.input_gain, calibrated.input_gain)
    applied = eqx.tree_at(lambda d: d.transfer, calibrated, bench.transfer)
    assert error(applied, key) <= 5e-3
    assert error(calibrated, key) > 0.3


def test_noise_is_averaged_by_more_probes(raw, key):
    noisy = eqx.tree_at(lambda d: d.camera, raw, (effects.Read(1e-3),))
    one = jnp.eye(121).reshape(-1, 11, 11)
    few, many = (optics.calibrate(noisy, jnp.tile(one, (n, 1, 1)), key=key) for n in (1, 16))
    truth = optics.calibrate(raw)
    errors = [relative(d.input_gain, truth.input_gain) for d in (few, many)]
    assert errors[1] < errors[0] / 2


def test_calibration_keeps_what_is_ideal():
    for compensation in ("amplitude", "complex"):
        device = optics.calibrate(load("ideal"), compensation=compensation)
        np.testing.assert_allclose(device.input_gain, 1, atol=1e-4)
        np.testing.assert_allclose(device.output_gain, 1, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: optics.calibrate(optics.dft(3)), "`device` must be a `FourierProcessor`"),
        (
            lambda d: optics.calibrate(d, compensation="phase"),
            "`compensation`",
        ),
        (
            lambda d: optics.calibrate(d, response=jnp.ones((9, 3, 3))),
            "`probe`",
        ),
        (
            lambda d: optics.calibrate(d, jnp.ones((9, 4, 3))),
            "`probe`",
        ),
        (
            lambda d: optics.calibrate(d, jnp.ones((9, 3, 3))),
            "`probe`",
        ),
        (
            lambda d: optics.calibrate(d, jnp.ones((9, 3, 3)), jnp.ones((8, 3, 3))),
            "`response`",
        ),
        (
            lambda d: optics.calibrate(
                d, jnp.eye(9).reshape(9, 3, 3), jnp.ones((9, 3, 3)).at[4, 0, 0].set(jnp.nan)
            ),
            "`response`",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(optics.presets.load("ideal", pixels=3))
