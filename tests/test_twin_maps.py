"""Maps of a twin by few numbers: few frames tell a smooth map, and not every pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline

import optics
from optics import effects
from optics.twin import _fit
from optics.twin._node_maps import move_nodes, pixel_errors, sample_at_nodes, spline_weights

N = 9


def illumination(n):
    """A Gaussian beam off the axis, with astigmatism and a trefoil of a tenth of a wave."""
    y, x = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    waves = 0.1 * (x**2 - y**2) + 0.05 * x * y + 0.05 * (y**3 - 3 * y * x**2)
    return np.exp(-((x - 0.2) ** 2 + y**2) / 3 + 2j * np.pi * waves)


def bench(gain):
    panel = (effects.Gain(jnp.asarray(gain, jnp.complex64)),)
    return optics.FourierProcessor(optics.dft(N), optics.PhaseShifting(4), panel, (effects.Read(3e-3),))


def record(drives, measured=None):
    believed, truth = bench(np.ones((N, N))), bench(illumination(N)) if measured is None else measured
    exposure = believed.prepare(jax.random.normal(jax.random.key(1), (drives, N, N)))
    frames = truth.expose(exposure, jax.random.key(2))
    return believed, optics.Recording(exposure.drive, exposure.full_scale, frames, 4)


def gain_of(device):
    return device.slm[0].gain


def rms(a):
    return np.sqrt(np.mean(np.abs(a) ** 2))


def test_a_smooth_map_is_found_from_frames_that_do_not_tell_all_pixels():
    believed, recording = record(drives=1)
    smooth = optics.fit_twin(believed, recording, gain_of, map_pixels=5)
    whole = optics.fit_twin(believed, recording, gain_of)
    assert len(smooth.names) == 2 * 5 * 5 and len(whole.names) == 2 * N * N
    assert smooth.names[-1] == "imaginary slm[0].gain node [4, 4]"
    off = np.asarray(smooth.values) - illumination(N)
    assert 5 * rms(off) < rms(whole.values - illumination(N))
    assert smooth.is_good and rms(off) < 0.1
    # Its errors are those of its pixels.
    pulls = np.concatenate([off.real / smooth.errors.real, off.imag / smooth.errors.imag])
    assert 0.7 < rms(pulls) < 1.5


@pytest.mark.slow
def test_slopes_that_are_not_held_in_memory(monkeypatch):
    believed, recording = record(drives=1)
    smooth = optics.fit_twin(believed, recording, gain_of, map_pixels=5)
    monkeypatch.setattr(_fit, "MOST_SLOPES", 0)
    by_rows = optics.fit_twin(believed, recording, gain_of, map_pixels=5)
    np.testing.assert_allclose(by_rows.deviations, smooth.deviations, rtol=1e-6)
    assert np.all(np.abs(by_rows.numbers - smooth.numbers) < 1e-2 * smooth.deviations)
    assert (by_rows.chi2, by_rows.freedom) == (pytest.approx(smooth.chi2), smooth.freedom)


@pytest.mark.slow
def test_as_many_nodes_as_pixels_are_the_map():
    believed, recording = record(drives=4)
    nodes = optics.fit_twin(believed, recording, gain_of, map_pixels=(N, N))
    whole = optics.fit_twin(believed, recording, gain_of)
    np.testing.assert_allclose(nodes.numbers, whole.numbers, atol=1e-4 * np.min(whole.deviations))
    np.testing.assert_allclose(nodes.errors, whole.errors, rtol=1e-5)
    np.testing.assert_allclose(nodes.values, whole.values, atol=1e-6)


@pytest.mark.slow
def test_what_differs_from_pixel_to_pixel_stays():
    pixels = 1 + 0.1 * np.random.default_rng(0).standard_normal((N, N))
    measured = bench(pixels * illumination(N))
    _, recording = record(1, measured)
    believed = bench(pixels)
    fit = optics.fit_twin(believed, recording, gain_of, map_pixels=5)
    # The correction is smooth, and that of these pixels is not quite: it is added, not multiplied.
    assert rms(fit.values - measured.slm[0].gain) < 0.1
    held = optics.fit_twin(
        believed,
        recording,
        lambda d: (gain_of(d), d.measurement.reference),
        free=(False, True),
        map_pixels=5,
    )
    np.testing.assert_allclose(held.values[0], gain_of(believed), rtol=1e-6)
    assert held.names == ("measurement.reference",) and not np.any(held.errors[0])


@pytest.mark.parametrize(
    "shape, grid", [((9, 12), (5, 4)), ((9, 12), (9, 12)), ((7, 8), (2, 1)), ((1, 8), (1, 3))]
)
def test_nodes_against_scipy(shape, grid):
    rng = np.random.default_rng(1)
    nodes = rng.standard_normal(grid)
    surface = move_nodes(jnp.zeros(shape), jnp.asarray(nodes, jnp.float32))
    if min(grid) > 3:
        places = [np.linspace(0, n - 1, count) for n, count in zip(shape, grid, strict=True)]
        expected = RectBivariateSpline(*places, nodes, s=0)(*(np.arange(n) for n in shape))
        np.testing.assert_allclose(surface, expected, atol=3e-6)
    if grid == shape:
        np.testing.assert_allclose(surface, nodes, atol=1e-6)
        np.testing.assert_allclose(sample_at_nodes(surface, grid), nodes, atol=1e-6)
    # The variance of a sum, written out.
    spread = rng.standard_normal((nodes.size, nodes.size))
    covariance = spread @ spread.T
    deviations = np.sqrt(np.diag(covariance))
    weights = np.kron(*(spline_weights(n, count) for n, count in zip(shape, grid, strict=True)))
    expected = np.sqrt(np.diag(weights @ covariance @ weights.T)).reshape(shape)
    correlation = covariance / np.outer(deviations, deviations)
    np.testing.assert_allclose(
        pixel_errors(shape, deviations.reshape(grid), correlation), expected, rtol=1e-9
    )


def test_pixels_of_a_node_that_is_not_determined_have_no_error_bar():
    deviations = np.ones((4, 4))
    deviations[0, 0] = np.inf
    errors = pixel_errors((16, 16), deviations, np.eye(16))
    # The surface between the others depends on it little, and not at all along their lines.
    assert np.isinf(errors[:4, :4]).all() and np.isfinite(errors[::5, 5::5]).all()
    assert np.isfinite(errors[5::5]).all()


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(map_pixels=N + 1), "`map_pixels` of 10×10 must be at most the 9×9 pixels of `slm.0..gain`"),
        (dict(map_pixels=0), "`map_pixels`"),
        (dict(map_pixels=2.5), "`map_pixels` must be one whole number or a pair"),
        (
            dict(map_pixels=4, where=lambda d: d.camera[0].sigma),
            r"`map_pixels` of 4×4 must come with a map among what `where` picks.*got camera\[0\].sigma",
        ),
        (
            dict(map_pixels=4, free=np.eye(N, dtype=bool)),
            r"`free` must be True or False for the whole of `slm.0..gain` with `map_pixels`, got 9 of 81",
        ),
    ],
)
def test_refusals(options, message):
    believed, recording = record(1)
    with pytest.raises(ValueError, match=message):
        optics.fit_twin(believed, recording, **{"where": gain_of, **options})
