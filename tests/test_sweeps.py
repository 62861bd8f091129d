"""The errors that `python -m bench fidelity` sweeps, and the reference of its lens."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import optics
from bench.simulator.fidelity import convolve_exactly, measure_sampling
from bench.simulator.rayleigh_sommerfeld import map_entries
from bench.simulator.sweeps import scaled_error
from tests.helpers import relative


def test_neither_phase_nor_gain_of_a_bench_is_an_error(key):
    x, w = jax.random.normal(key, (2, 3, 5, 5))
    exact = jnp.asarray(convolve_exactly(x, w))
    transfer = optics.dft(5)
    turned = eqx.tree_at(lambda t: t.matrix, transfer, 0.8 * jnp.exp(1.3j) * transfer.matrix)
    assert scaled_error(x, w, optics.FourierProcessor(turned), None, exact) < 1e-5
    # Fields that are out of step with one another are.
    phases = jnp.linspace(0.0, 1.0, 25)[:, None]
    uneven = eqx.tree_at(lambda t: t.matrix, transfer, jnp.exp(1j * phases) * transfer.matrix)
    error = scaled_error(x, w, optics.FourierProcessor(uneven), None, exact)
    assert 0.1 < error <= 1


def test_the_sampling_of_a_lens_is_told_against_the_integral():
    lenses = [
        optics.FourierLens((1, 5), pitch=127e-6, wavelength=1.55e-6, subpixels=2, oversampling=oversampling)
        for oversampling in (4, 8)
    ]
    coarse, fine = (measure_sampling(lens) for lens in lenses)
    assert fine["value"] == 8 and 1e-7 < fine["relative_rms_error"] < 3e-4
    assert coarse["relative_rms_error"] > 5 * fine["relative_rms_error"]


def test_the_integral_is_the_paraxial_transform_of_both_openings():
    # A pupil that cuts little and small angles: ∫∫ exp(−2πi x x' / λf) over emitter and receiver, per axis.
    lens = optics.FourierLens(
        3, pitch=1e-3, wavelength=0.5e-6, fill=0.5, detector_fill=0.5, pupil_radius=12e-3, oversampling=12
    )
    places = [(1, 1), (0, 0), (2, 1)]
    nodes, weights = np.polynomial.legendre.leggauss(20)

    def line(numbers):
        x = numbers[:, None] + 0.25 * nodes
        kernel = np.exp(-2j * np.pi / 3 * x[:, :, None, None] * x)
        return np.einsum("minj,i,j->mn", kernel, weights / 2, weights / 2) * 0.5 / np.sqrt(3)

    y, x = np.array(places).T - 1
    assert relative(map_entries(lens, places, places), line(y) * line(x)) <= 2e-3
