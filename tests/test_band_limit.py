"""Openings without what samples cannot hold, against the Fourier transforms of the true openings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from optics.transfer._band_limit import opening, stop
from tests.helpers import relative


@pytest.mark.parametrize("tilt", [0.0, 0.21, -1.3])
@pytest.mark.parametrize("samples", [64, 63])
def test_an_opening_has_the_spectrum_of_the_true_one(samples, tilt):
    # Every frequency that is kept, as the integral over the opening; its edges lie between samples.
    width = 5.3
    spectrum = np.fft.fft(np.fft.ifftshift(np.asarray(opening(samples, width, tilt), complex)))
    nodes, weights = np.polynomial.legendre.leggauss(60)
    turns = np.exp(-2j * np.pi * np.outer(np.fft.fftfreq(samples) - tilt, width / 2 * nodes))
    assert relative(spectrum, turns @ weights * np.sqrt(width) / 2) <= 1e-5


def test_a_sum_over_a_stop_is_the_integral_over_the_disc():
    radius, centre, dx = 20.4e-6, (0.3e-6, -0.45e-6), 1e-6
    y, x = (np.arange(n) - n // 2 for n in (64, 81))
    weights = np.asarray(stop((64, 81), dx, radius, centre), float)
    # Waves of up to 0.3 cycles a sample in several directions, and the area.
    for fy, fx in ((0.0, 1e-9), (0.2, 0.1), (-0.25, 0.15), (0.0, 0.3)):
        wave = np.exp(2j * np.pi * (fy * (y[:, None] - 0.3) + fx * (x + 0.45)))
        frequency = np.hypot(fy, fx)
        expected = 20.4 / frequency * scipy.special.j1(2 * np.pi * 20.4 * frequency)
        # Of the part that an edge adds: its length times a sample.
        assert abs(np.sum(weights * wave) - expected) <= 2e-3 * 2 * np.pi * 20.4
    assert np.isclose(weights.sum(), np.pi * 20.4**2, rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_the_gradient_of_a_stop_is_the_light_on_its_edge():
    # d/dR ∫ a dA = ∮ a ds, here of a wave.
    y, x = (np.arange(64) - 32 for _ in range(2))
    wave = jnp.asarray(np.cos(2 * np.pi * (0.1 * y[:, None] + 0.15 * x)))
    result = jax.grad(lambda radius: jnp.sum(stop((64, 64), 1.0, radius, (0.0, 0.0)) * wave))(20.0)
    frequency = np.hypot(0.1, 0.15)
    assert np.isclose(result, 2 * np.pi * 20 * scipy.special.j0(2 * np.pi * 20 * frequency), rtol=2e-3)
