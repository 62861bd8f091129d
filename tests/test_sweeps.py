"""The errors that `python -m bench fidelity` sweeps, and the reference of its lens."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from bench import output
from bench.simulator.budget import without_effects
from bench.simulator.fidelity import convolve_exactly, measure_sampling
from bench.simulator.rayleigh_sommerfeld import map_entries
from bench.simulator.sweeps import (
    ANGLE_OF_ANALYSED_LIGHT,
    _lens_sweeps,
    _polarisation_sweeps,
    describe_lens,
    scaled_error,
    sweep_error,
)
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


def polarisation_sweeps(preset):
    device = output.load_device(preset, level="ideal")
    return device, {sweep.name: sweep for sweep in _polarisation_sweeps(device, quick=True)}


def test_light_is_swept_in_one_trace_and_errs_as_with_many_more_modes(key, monkeypatch):
    load = functools.partial(output.load_device, pixels=5)
    monkeypatch.setattr("bench.simulator.sweeps.load_device", load)
    device = load("engine11")
    sweeps = {sweep.name: sweep for sweep in _lens_sweeps("engine11", device)}
    bare = optics.calibrate(without_effects(device))
    x, w = jax.random.normal(key, (2, 4, 5, 5))
    exact = jnp.asarray(convolve_exactly(x, w))
    lens = load("engine11", level="wave").transfer
    for name, unit, make_light in (
        ("line width", "nm", lambda value: optics.light.line(lens.wavelength, 1e-9 * value, modes=9)),
        ("radius of the source", "mrad", lambda value: optics.light.disc(lens.wavelength, 1e-3 * value)),
    ):
        sweep, traces = sweeps[name], []
        assert sweep.unit == unit and sweep.values[0] == 0

        def error(value, key, sweep=sweep, traces=traces):
            traces.append(value)
            transfer = sweep.change(value).transfer
            return scaled_error(x, w, eqx.tree_at(lambda d: d.transfer, bare, transfer), None, exact)

        values = sweep.values[[0, -1]]
        good, bad = sweep_error(error, values, jax.random.split(key, 1))
        assert len(traces) == 1
        # Of no width and no size it is the lens itself.
        assert good == pytest.approx(scaled_error(x, w, bare, None, exact), rel=1e-2)
        # Many more modes say the same.
        finer = optics.compile_transfer(optics.illuminate(lens, make_light(values[1])))
        expected = scaled_error(x, w, eqx.tree_at(lambda d: d.transfer, bare, finer), None, exact)
        assert bad == pytest.approx(expected, rel=0.02) and bad > 1.2 * good


def test_light_off_the_director_is_swept_with_a_reference_and_without(key):
    _, sweeps = polarisation_sweeps("engine11")
    turn = sweeps["polarisation off the director"]
    assert turn.unit == "°" and turn.values[0] == 0
    # What the panel passes unmodulated is tan² ψ of a bright pixel in each, and the analyser costs cos² ψ.
    effect = turn.change(10.0).slm[-1]
    field = effect(jnp.zeros((2, 2)), None)
    np.testing.assert_allclose(field, np.sin(np.deg2rad(10.0)) ** 2, rtol=1e-5)
    misaligned, others = polarisation_sweeps("slm-misaligned")
    # A panel that is misaligned already is turned, not put before another one.
    changed = others["polarisation off the director"].change(0.0)
    assert len(changed.slm) == len(misaligned.slm)


def test_a_camera_adds_the_light_that_its_analyser_leaks(key):
    device = optics.FourierProcessor(optics.dft(4), optics.Intensity(lambda amplitude: amplitude))
    sweeps = {sweep.name: sweep for sweep in _polarisation_sweeps(device, quick=False)}
    turn, analyse = sweeps.values()
    assert (turn.unit, analyse.unit) == ("°", "extinction")
    drive = jax.random.uniform(key, (4, 4))

    def frames(changed):
        exposure = device.prepare(drive)
        return changed.expose(exposure)[..., 0, :, :]

    def intensity(light):
        full_scale = device.prepare(drive).full_scale
        return jnp.abs(optics.dft(4)(light) / full_scale) ** 2

    light, psi = device.prepare(drive).drive, np.deg2rad(ANGLE_OF_ANALYSED_LIGHT)
    even = jnp.ones((4, 4))
    both = np.cos(psi) ** 2 * intensity(light) + np.sin(psi) ** 2 * intensity(even)
    passed, leaked = intensity(np.cos(psi) * light), intensity(np.sin(psi) * even)
    np.testing.assert_allclose(frames(turn.change(ANGLE_OF_ANALYSED_LIGHT)), both, rtol=1e-5, atol=1e-6)
    for extinction in (1.0, 100.0):
        expected = passed + leaked / extinction
        np.testing.assert_allclose(frames(analyse.change(extinction)), expected, rtol=1e-5, atol=1e-6)


def test_no_light_is_swept_where_its_modes_are_products():
    device, sweeps = polarisation_sweeps("wdm4")
    assert isinstance(device, optics.WavelengthChannels) and not sweeps


def test_a_device_of_several_lenses_has_no_sweep_of_one(monkeypatch):
    load = functools.partial(output.load_device, pixels=4)
    monkeypatch.setattr("bench.simulator.sweeps.load_device", load)
    assert describe_lens("correlator") is None and not _lens_sweeps("correlator", load("correlator"))
    assert describe_lens("engine11").shape == (4, 4)
