"""Drift: the history of one unit, the error that it makes, and what calibrations on a schedule save."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics import aging, effects

LIGHT = jnp.exp(1j * jnp.linspace(0, 3, 12)).reshape(3, 4)


@pytest.mark.parametrize("relaxation", [np.inf, 5.0])
def test_statistics_of_the_histories(relaxation, key):
    diffusion, duration, moments = 0.02, 20.0, 41
    draw = jax.jit(lambda key: effects.draw_drift(key, (100, 100), diffusion, duration, moments, relaxation))
    phase = np.asarray(draw(key), float)
    time = np.linspace(0, duration, moments)
    variance = (
        diffusion * time
        if np.isinf(relaxation)
        else diffusion * relaxation / 2 * (1 - np.exp(-2 * time / relaxation))
    )
    assert phase.shape == (moments, 100, 100) and not np.any(phase[0])
    # 10⁴ histories give a variance to √(2 / 10⁴).
    np.testing.assert_allclose(np.var(phase[1:], axis=(1, 2)), variance[1:], rtol=5 * np.sqrt(2e-4))
    # A phase is correlated with the earlier one by what has not been pulled back since.
    kept = 1.0 if np.isinf(relaxation) else np.exp(-(time[40] - time[20]) / relaxation)
    assert np.mean(phase[40] * phase[20]) / np.var(phase[20]) == pytest.approx(kept, abs=0.06)


def test_phase_and_amplitude_at_a_time():
    phase = np.array([0.0, 0.4, -0.2])[:, None, None] * np.ones((3, 3, 4))
    for time, phi in ((0.0, 0.0), (5.0, 0.2), (10.0, 0.4), (15.0, 0.1), (20.0, -0.2)):
        drift = effects.Drift(phase, 20.0, time, fading=-0.01)
        expected = LIGHT * (1 - 0.01 * time) * np.exp(1j * phi)
        np.testing.assert_allclose(drift(LIGHT, None), expected, atol=1e-6)
        # The history of the unit, not of the draw.
        np.testing.assert_array_equal(drift(LIGHT, jax.random.key(1)), drift(LIGHT, None))
    assert drift.fading.shape == () and effects.Drift(phase, 20.0, fading=jnp.zeros((3, 4)))(
        LIGHT, None
    ).shape == (3, 4)


def test_a_sweep_over_time_compiles_once(key):
    traces = []
    device = drifting(key)

    @jax.jit
    def field(device, time):
        traces.append(None)
        return optics.transform(jnp.ones((4, 4)), aging.at_time(device, time))

    fields = [field(device, time) for time in (0.0, 3.0, 60.0)]
    assert len(traces) == 1
    swept = jax.jit(jax.vmap(field, (None, 0)))(device, jnp.array([0.0, 3.0, 60.0]))
    np.testing.assert_allclose(swept, jnp.stack(fields), atol=1e-5)
    slope = jax.jit(jax.grad(lambda time: jnp.sum(jnp.abs(field(device, time)) ** 2)))(3.0)
    assert np.isfinite(slope) and slope != 0


def drifting(key, n=4):
    history = effects.draw_drift(key, (n, n), 1e-3, 100.0)
    return optics.FourierProcessor(
        optics.dft(n), slm=(effects.Drift(history, 100.0, fading=-1e-4),), camera=(effects.Read(1e-4),)
    )


def test_the_error_of_a_phase_and_a_gain_that_all_pixels_share():
    # A convolution makes three transforms and conjugates between them: c c̄² y = |c|² c̄ y, whose real part
    # is |c|³ cos φ y.
    turn, fading, times = np.array([0.0, 0.3, -0.2, 0.5, 0.1]), -2e-3, np.linspace(0, 100, 11)
    drift = effects.Drift(turn[:, None, None] * np.ones((5, 4, 4)), 100.0, fading=fading)
    device = optics.FourierProcessor(optics.dft(4), slm=(drift,))
    phase, size = np.interp(times, np.linspace(0, 100, 5), turn), 1 + fading * times
    never = aging.error_over_time(device, times, np.inf)
    np.testing.assert_allclose(never, np.abs(size**3 * np.cos(phase) - 1), atol=2e-6)
    # A calibration takes the phase and the gain of its moment off.
    since = np.floor(times / 40) * 40
    phase -= np.interp(since, np.linspace(0, 100, 5), turn)
    size = size / (1 + fading * since)
    often = aging.error_over_time(device, times, 40.0)
    np.testing.assert_allclose(often, np.abs(size**3 * np.cos(phase) - 1), atol=2e-6)


def error_by_hand(device, time, planes=200):
    """The error of three transforms by emitters that have drifted, in double precision, for other numbers."""
    x, w = np.random.default_rng(0).normal(size=(2, planes, 4, 4))
    histories, axes = np.asarray(device.slm[0].phase, float).reshape(257, 16).T, (-2, -1)
    phase = [np.interp(time, np.linspace(0, 100, 257), history) for history in histories]
    emitters = (1 - 1e-4 * time) * np.exp(1j * np.reshape(phase, (4, 4)))

    def transform(a):
        return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(a * emitters, axes), norm="ortho"), axes)

    # Moving the origin of one of the two is enough.
    light = 4 * transform(np.conj(transform(x) * transform(np.fft.fftshift(w, axes)))).real
    exact = np.fft.ifft2(np.fft.fft2(x) * np.fft.fft2(w)).real
    return np.linalg.norm(light - exact) / np.linalg.norm(exact)


def test_the_error_grows_and_a_schedule_of_calibrations_holds_it_down(key):
    device, times = drifting(key), np.linspace(0, 100, 21)
    never = np.asarray(aging.error_over_time(device, times, np.inf, planes=200))
    # Both are means over 200 planes of numbers, each of its own.
    np.testing.assert_allclose(never[1:], [error_by_hand(device, time) for time in times[1:]], rtol=0.05)
    often = np.asarray(aging.error_over_time(device, times, 25.0, planes=200))
    np.testing.assert_array_equal(never[:5], often[:5])
    # Just calibrated, the device is exact; then the error grows until the next calibration.
    assert np.all(often[::5] < 1e-5) and np.all(often[4::5] > 0.03)
    assert np.sqrt(np.mean(often**2)) < 0.5 * np.sqrt(np.mean(never**2))
    noisy = np.asarray(aging.error_over_time(device, times[:2], 25.0, key=key))
    assert 1e-5 < noisy[0] < 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda d: effects.Drift(jnp.zeros((1, 2, 2)), 1.0),
            r"`phase` must have the shape \(moments, rows, columns\)",
        ),
        (lambda d: effects.Drift(jnp.full((2, 2, 2), jnp.nan), 1.0), "`phase`"),
        (lambda d: effects.Drift(jnp.zeros((2, 2, 2)), 0.0), "`duration`"),
        (lambda d: effects.Drift(jnp.zeros((2, 2, 2)), 1.0, 2.0), "`time`"),
        (lambda d: effects.Drift(jnp.zeros((2, 2, 2)), 1.0, fading=jnp.inf), "`fading`"),
        (lambda d: effects.draw_drift(jax.random.key(0), (2, 2), -1.0, 1.0), "`diffusion`"),
        (lambda d: effects.draw_drift(jax.random.key(0), (2, 2), 1.0, 0.0), "`duration`"),
        (lambda d: effects.draw_drift(jax.random.key(0), (2, 2), 1.0, 1.0, 1), "`moments`"),
        (lambda d: effects.draw_drift(jax.random.key(0), (2, 2), 1.0, 1.0, relaxation=0.0), "`relaxation`"),
        (lambda d: aging.at_time(eqx.tree_at(lambda d: d.slm, d, ()), 1.0), "`device`"),
        (lambda d: aging.error_over_time(eqx.tree_at(lambda d: d.slm, d, ()), [0.0], 1.0), "`device`"),
        (lambda d: aging.error_over_time(d, [0.0, 101.0], 10.0), "`times`"),
        (lambda d: aging.error_over_time(d, [0.0], 0.0), "`every`"),
        (lambda d: aging.error_over_time(d, [0.0], 1.0, planes=0), "`planes`"),
        (lambda d: aging.error_over_time(d, [0.0], 1.0, "phase"), "`compensation`"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(drifting(jax.random.key(0)))
