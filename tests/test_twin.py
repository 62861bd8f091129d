"""The digital twin: a bench whose numbers are hidden from the fit, and found from its frames."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import optics
from optics import compile_device, effects
from optics.twin import inverse_table, standard_errors
from tests.helpers import relative

TWO_PI = 2 * np.pi
N, NODES, ZERNIKES = 8, 17, 10


def make_bench(defocus=0.0, aberrations=(0.0,) * ZERNIKES, decentre=(0.0, 0.0), table=None, gain=None):
    """A bench of 8×8 pixels: a phase modulator, a lens, a camera with a stepped reference."""
    lens = optics.FourierLens(
        N,
        127e-6,
        1.55e-6,
        fill=0.5,
        detector_fill=0.5,
        oversampling=3,
        plane=84,
        pupil_radius=1.45 * N * 127e-6,
        aberrations=aberrations,
        defocus=defocus,
        decentre=decentre,
    )
    slm = (
        effects.PhaseQuantize(10),
        effects.PhaseLUT(jnp.linspace(0, TWO_PI, NODES) if table is None else table),
        effects.Gain(jnp.ones((N, N)) if gain is None else gain),
    )
    camera = (effects.Shot(3e4), effects.Read(1e-3), effects.Quantize(12))
    return optics.FourierProcessor(lens, optics.PhaseShifting(4), slm, camera)


def hidden():
    rng = np.random.default_rng(0)
    u = np.linspace(0, 1, NODES)
    aberrations = np.array([0, 0, 0, 0, 0.04, -0.05, 0.03, 0.04, -0.03, 0.05])
    gain = 1 + 0.1 * rng.standard_normal((N, N))
    return make_bench(
        4e-3,
        aberrations,
        (6e-6, -9e-6),
        TWO_PI * (1.05 * u + 0.03 * np.sin(TWO_PI * u)),
        jnp.asarray(gain, float),
    )


def picked(d):
    return d.transfer.defocus, d.transfer.aberrations, d.transfer.decentre, d.slm[1].table, d.slm[2].gain


# Piston and tilts are what the reference and a shift imitate; Zernike 4 is all but a defocus. Phases count
# from drive 0.
FREE = True, np.arange(ZERNIKES) > 3, True, np.arange(NODES) > 0, True

prepare = jax.jit(lambda device, numbers: device.prepare(numbers))
expose = jax.jit(lambda device, exposure, key: device.expose(exposure, key))


def record(truth, nominal, key, count=50):
    """The frames that a bench gives of random numbers, set as the nominal device sets them."""
    number_key, noise_key = jax.random.split(key)
    parts = jax.random.normal(number_key, (2, count, *nominal.shape))
    exposure = prepare(compile_device(nominal), jax.lax.complex(*parts))
    frames = expose(compile_device(truth), exposure, noise_key)
    return optics.Recording(exposure.drive, exposure.full_scale, frames, frames.shape[-3])


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.fixture(scope="module")
def fitted():
    truth, nominal = hidden(), make_bench()
    recording = record(truth, nominal, jax.random.key(1))
    assert recording.count == 200
    return truth, nominal, optics.fit_twin(nominal, recording, picked, FREE)


@pytest.mark.slow
def test_hidden_numbers_are_recovered_within_their_errors(fitted):
    truth, nominal, fit = fitted
    error, result, expected, start = (
        flat(tree) for tree in (fit.errors, fit.values, picked(truth), picked(nominal))
    )
    moved = error > 0
    assert np.sum(moved) == 1 + 6 + 2 + 16 + 64 == len(fit.names)
    off = (result - expected)[moved] / error[moved]
    assert np.max(np.abs(off)) < 3 and 0.8 < np.std(off) < 1.2
    # What was held is as it was, and what was moved is known well.
    np.testing.assert_array_equal(result[~moved], start[~moved])
    assert fit.errors[0] < 0.01 * truth.transfer.defocus and np.max(fit.errors[4]) < 0.01
    assert fit.chi2 / fit.freedom == pytest.approx(1, abs=0.06) and "does not fit" not in str(fit)
    # Its noise was not fitted, so χ² tells: 1 ± √(2 / freedom).
    assert fit.is_good and fit.lack_of_fit.evidence == "noise" and not fit.noise_is_fitted
    assert "does not fit" in str(fit._replace(chi2=7.5 * fit.freedom))
    assert not fit.undetermined and np.all(np.isfinite(fit.correlation))
    np.testing.assert_allclose(np.diag(fit.correlation), 1)
    assert "transfer.defocus = 0.00" in str(fit) and "slm[2].gain[0, 0]" in str(fit)


@pytest.mark.slow
def test_the_twin_corrects_the_bench(fitted):
    truth, nominal, fit = fitted
    x, w = jax.random.normal(jax.random.key(5), (2, 8, N, N))
    exact = optics.convolve(x, w)
    convolve = jax.jit(optics.convolve)
    before, after = (
        relative(convolve(x, w, optics.compensate(truth, twin)), exact) for twin in (nominal, fit.device)
    )
    assert before > 0.1 and after < before / 10


def small(gain=1.0, reference=1.0, photons=None, sigma=0.01, bits=None, n=4):
    shot = () if photons is None else (effects.Shot(photons),)
    converter = () if bits is None else (effects.Quantize(bits),)
    return optics.FourierProcessor(
        optics.dft(n),
        optics.PhaseShifting(4, reference),
        (effects.Gain(gain),),
        (*shot, effects.Read(sigma), *converter),
    )


@pytest.mark.parametrize("noise", ["known", pytest.param("unknown", marks=pytest.mark.slow)])
def test_standard_errors_against_scipy(noise, key):
    recording = record(small(0.9, 1.1), small(), key, 20)
    # A camera of which no noise is known has that of what is left over.
    believed = small() if noise == "known" else eqx.tree_at(lambda d: d.camera, small(), ())
    fit = optics.fit_twin(believed, recording, lambda d: (d.slm[0].gain, d.measurement.reference))
    # The same frames by hand: a unitary Fourier transform around pixel 2, and a reference of four phases.
    drive = np.asarray(recording.drive[:, 0], complex)
    field = np.fft.fftshift(
        np.fft.fft2(np.fft.ifftshift(drive, (-2, -1)), norm="ortho"), (-2, -1)
    ) / np.asarray(recording.full_scale[:, 0])

    def model(_, gain, reference):
        steps = reference * np.exp(2j * np.pi * np.arange(4) / 4)[:, None, None]
        return (np.abs(gain * field[:, None] + steps) ** 2 / (1 + reference) ** 2).ravel()

    frames = np.asarray(recording.frames, float).ravel()
    sigma = np.full(frames.size, 0.01) if noise == "known" else None
    values, covariance = scipy.optimize.curve_fit(
        model, None, frames, (1, 1), sigma, absolute_sigma=noise == "known"
    )
    np.testing.assert_allclose(fit.numbers, values, rtol=1e-5)
    np.testing.assert_allclose(fit.deviations, np.sqrt(np.diag(covariance)), rtol=1e-3)
    np.testing.assert_allclose(
        fit.correlation[0, 1], covariance[0, 1] / np.sqrt(np.prod(np.diag(covariance))), rtol=1e-3
    )


def gain_of(d):
    return d.slm[0].gain


def noise_of(d):
    return d.slm[0].gain, d.camera[0].photons, d.camera[1].sigma


def test_noise_levels_are_found_with_their_errors(key):
    truth, start = (
        small(0.9, photons=300.0, sigma=0.02, bits=8),
        small(1.0, photons=1000.0, sigma=0.05, bits=8),
    )
    fit = optics.fit_twin(start, record(truth, start, key, 100), noise_of)
    off = (flat(fit.values) - flat(noise_of(truth))) / flat(fit.errors)
    assert np.max(np.abs(off)) < 3
    assert fit.names == ("slm[0].gain", "camera[0].photons", "camera[1].sigma")
    # Frames are around a quarter of full scale, so shot and read noise are hard to separate, which their
    # correlation says.
    assert 0 < fit.errors[1] / fit.values[1] < 0.2 and fit.correlation[1, 2] > 0.5
    assert fit.chi2 / fit.freedom == pytest.approx(1, abs=0.02)


def tiny(reference=1.0, camera_gain=1.0, gain=None, transfer=None, laser=0.0, sigma=0.01):
    """A bench of 3×3 pixels."""
    return optics.FourierProcessor(
        optics.dft(3) if transfer is None else transfer,
        optics.PhaseShifting(4, reference),
        (effects.Gain(jnp.ones((3, 3)) if gain is None else gain), effects.LaserNoise(laser)),
        (effects.Gain(camera_gain), effects.Read(sigma)),
    )


HIDDEN_GAIN = 1 + 0.1 * jax.random.normal(jax.random.key(99), (3, 3))


def record_tiny(truth, key, repeats=1, stray=0.0):
    """Frames of 60 drives of a tiny bench, each shown `repeats` times."""
    count = 60 // repeats
    number_key, noise_key = jax.random.split(key)
    exposure = prepare(tiny(), jax.lax.complex(*jax.random.normal(number_key, (2, count, 3, 3))))
    exposure = jax.tree.map(lambda part: jnp.repeat(part, repeats, axis=0), exposure)
    frames = expose(truth, exposure, noise_key) + stray
    return optics.Recording(exposure.drive, exposure.full_scale, frames, 4)


def frames_without_noise(device, recording):
    """Frames of the drives of a recording without noise."""
    return expose(device, optics.Exposure(recording.drive, recording.full_scale, jnp.ones((1, 1))), None)


def gain_and_noise(d):
    return d.slm[0].gain, d.camera[1].sigma


def fit_tiny(truth, key, **recording):
    return optics.fit_twin(tiny(), record_tiny(truth, key, **recording), gain_and_noise)


def mixed_transfer(share):
    """A Fourier transform whose fields leak into the neighbours, as an aberration that is not in the model
    lets them.
    """
    plain = optics.dft(3)
    leak = np.kron(np.ones((3, 3)), np.eye(3)) + np.kron(np.eye(3), np.ones((3, 3)))
    identity = jnp.eye(9).reshape(9, 3, 3)
    matrix = np.asarray(plain(identity.astype(complex))).reshape(9, 9).T
    return optics.Dense(jnp.asarray((np.eye(9) + 1j * share * leak) @ matrix, jnp.complex64), (3, 3))


WRONG = {
    "reference": (tiny(1.05, gain=HIDDEN_GAIN), 0.0),
    "gain of the camera": (tiny(camera_gain=1.02, gain=HIDDEN_GAIN), 0.0),
    "stray light": (tiny(gain=HIDDEN_GAIN), 0.01),
    "aberration": (tiny(gain=HIDDEN_GAIN, transfer=mixed_transfer(0.05)), 0.0),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.every(2)
def test_a_wrong_model_is_found_though_its_noise_is_fitted(name, key):
    truth, stray = WRONG[name]
    for repeats, evidence in ((1, "patterns"), (2, "repeats")):
        fit = fit_tiny(truth, key, repeats=repeats, stray=stray)
        # χ² shows nothing.
        assert fit.chi2 / fit.freedom == pytest.approx(1, abs=1e-4)
        assert fit.lack_of_fit.evidence == evidence and fit.lack_of_fit.probability < 1e-4
        assert fit.is_good is False and "the model does not fit: it is off by" in str(fit)


def test_a_right_model_is_good_if_something_could_have_shown_otherwise(key):
    truth = tiny(gain=HIDDEN_GAIN)
    fit = fit_tiny(truth, key, repeats=2)
    assert fit.is_good and fit.noise_is_fitted and "the model fits; an error of 0." in str(fit)
    assert "which says nothing of the model: the noise was fitted" in str(fit)
    # Patterns can refuse a model, and not confirm it.
    fit = fit_tiny(truth, key)
    assert fit.is_good is None and fit.lack_of_fit.probability > 0.01
    assert "the model cannot be judged: the noise was fitted" in str(fit)
    assert "record some drives twice" in str(fit)
    # One drive twice shows large errors alone.
    recording = record_tiny(truth, key)
    kept = jnp.append(jnp.arange(59), 0)
    noise = 0.01 * jax.random.normal(jax.random.key(4), recording.frames[0].shape)
    frames = recording.frames.at[59].set(frames_without_noise(truth, recording)[0] + noise)
    fit = optics.fit_twin(
        tiny(), optics.Recording(recording.drive[kept], recording.full_scale[kept], frames, 4), gain_and_noise
    )
    assert fit.lack_of_fit.evidence == "repeats" and fit.lack_of_fit.freedom[1] == 36
    assert fit.is_good and fit.lack_of_fit.detectable > 0.7
    fit = fit._replace(lack_of_fit=fit.lack_of_fit._replace(detectable=1.5))
    assert fit.is_good is None and "an error of 1.5 standard deviations of the noise would pass" in str(fit)
    # Without a test there is no verdict either.
    fit = fit._replace(lack_of_fit=None)
    assert fit.is_good is None and "cannot be judged" in str(fit)


def test_lack_of_fit_is_that_of_the_textbook(key):
    # Drives two and three times; all pixels have the same noise.
    frames_of_three = record_tiny(tiny(1.02, gain=HIDDEN_GAIN), key, 3)
    frames_of_two = record_tiny(tiny(1.02, gain=HIDDEN_GAIN), jax.random.key(2), 2)
    recording = jax.tree.map(
        lambda three, two: jnp.concatenate([three[:36], two[:24]]), frames_of_three, frames_of_two
    )
    fit = optics.fit_twin(tiny(), recording, gain_and_noise)
    residual = np.asarray(recording.frames - frames_without_noise(fit.device, recording), float)
    drives = np.append(np.arange(36) // 3, 12 + np.arange(24) // 2)
    # Two nested models: nine gains, and a mean for each pixel of each drive.
    about_means = sum(
        np.sum((residual[drives == drive] - np.mean(residual[drives == drive], axis=0)) ** 2)
        for drive in range(24)
    )
    means = 24 * 36
    freedom = means - 9, residual.size - means
    ratio = (np.sum(residual**2) - about_means) / freedom[0] / (about_means / freedom[1])
    assert fit.lack_of_fit.ratio == pytest.approx(ratio, rel=1e-4)
    # Pixels are independent, so hardly any degrees of freedom are taken away.
    shared = freedom[0] / fit.lack_of_fit.freedom[0]
    assert 1 <= shared < 1.5 and freedom[1] / fit.lack_of_fit.freedom[1] == pytest.approx(shared)
    assert fit.lack_of_fit.probability == pytest.approx(
        scipy.stats.f.sf(ratio, *(number / shared for number in freedom)), rel=1e-2
    )
    # Against noise that is known, χ² by itself.
    fit = optics.fit_twin(tiny(), record_tiny(tiny(), key), gain_of)
    tails = [tail(fit.chi2, fit.freedom) for tail in (scipy.stats.chi2.sf, scipy.stats.chi2.cdf)]
    assert fit.lack_of_fit.evidence == "noise"
    assert fit.lack_of_fit.probability == pytest.approx(2 * min(tails), rel=1e-6)
    noisy = optics.fit_twin(tiny(sigma=0.02), record_tiny(tiny(), key), gain_of)
    assert noisy.is_good is False and "it has more noise than the frames" in str(noisy)


def test_patterns_are_those_of_a_wider_least_squares(key):
    recording = record_tiny(tiny(1.01, gain=HIDDEN_GAIN), key)
    fit = optics.fit_twin(tiny(), recording, gain_and_noise)
    drive = np.asarray(recording.drive[:, 0], complex)
    full_scale = np.asarray(recording.full_scale[:, 0], float)
    gain = np.asarray(fit.device.slm[0].gain, float)
    steps = np.exp(2j * np.pi * np.arange(4) / 4)[:, None, None]

    def frames(p):
        """Nine complex gains of the light and of the field, nine offsets, a gain, a square; nine gains."""
        of_light, of_field = (1 + part[:9] + 1j * part[9:] for part in (p[:18], p[18:36]))
        light = drive * (gain + p[47:].reshape(3, 3)) * of_light.reshape(3, 3)
        field = (
            np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(light, (-2, -1)), norm="ortho"), (-2, -1))
            / full_scale
            * of_field.reshape(3, 3)
        )
        mean = np.abs(field[:, None] + steps) ** 2 / 4
        return (mean + p[36:45].reshape(3, 3) + p[45] * mean + p[46] * mean**2).ravel()

    step = 1e-4
    columns = np.stack([(frames(d) - frames(-d)) / (2 * step) for d in step * np.eye(56)], axis=-1)
    residual = np.asarray(recording.frames, float).ravel() - frames(np.zeros(56))

    def left(columns):
        solution, _, rank, _ = np.linalg.lstsq(columns, residual, rcond=1e-6)
        return np.sum((residual - columns @ solution) ** 2), rank

    (before, narrow), (after, wide) = left(columns[:, 47:]), left(columns)
    ratio = (before - after) / (wide - narrow) / (after / (residual.size - wide))
    assert fit.lack_of_fit.evidence == "patterns" and ratio > 1.5
    assert fit.lack_of_fit.ratio == pytest.approx(ratio, rel=1e-3)
    shared = (wide - narrow) / fit.lack_of_fit.freedom[0]
    assert 1 <= shared < 1.5 and (residual.size - wide) / fit.lack_of_fit.freedom[1] == pytest.approx(shared)


def test_equal_numbers_are_repeats_and_noise_free_repeats_are_none(key):
    numbers = jax.random.normal(key, (30, 3, 3))
    numbers = jnp.concatenate([numbers, numbers[::-1]])
    truth = tiny(gain=HIDDEN_GAIN)
    recording = optics.Recording.of(tiny(), numbers, expose(truth, prepare(tiny(), numbers), None))
    np.testing.assert_array_equal(recording.drive[:30], recording.drive[:29:-1])
    # They do not scatter, so the noise of the camera is what is left to compare with.
    fit = optics.fit_twin(tiny(), recording, gain_of)
    assert fit.lack_of_fit.evidence == "noise" and fit.is_good is False


@pytest.mark.slow
@pytest.mark.parametrize("laser", [0.0, 0.02])
def test_right_models_are_refused_as_often_as_told(laser):
    """Of 60 fits 0 to 4 below one in 100 and 0 to 9 below one in 20, at 99.7 %. Noise of the laser, common to
    all pixels of an exposure, does not change it.
    """
    truth = tiny(gain=HIDDEN_GAIN, laser=laser)
    for repeats in (1, 2):
        fits = [fit_tiny(truth, jax.random.key(seed), repeats=repeats) for seed in range(60)]
        probability = np.array([fit.lack_of_fit.probability for fit in fits])
        assert np.sum(probability < 0.01) <= 4 and np.sum(probability < 0.05) <= 9
        assert 0.25 < np.median(probability) < 0.75


def test_numbers_that_cannot_be_separated_have_no_error_bar(key):
    twice = optics.FourierProcessor(
        optics.dft(4),
        optics.Coherent(),
        (effects.Gain(jnp.ones((4, 4))), effects.Gain(1.0)),
        (effects.Read(0.01),),
    )
    fit = optics.fit_twin(twice, record(twice, twice, key, 20), lambda d: (d.slm[0].gain, d.slm[1].gain))
    # A gain of all against the gains of each.
    assert fit.undetermined == fit.names and len(fit.names) == 17
    assert (
        not np.any(np.isnan(fit.correlation))
        and np.all(np.isfinite(fit.numbers))
        and np.all(np.isinf(fit.errors[0]))
    )
    assert fit.chi2 / fit.freedom == pytest.approx(1, abs=0.2) and "not determined: slm[0].gain[0, 0]" in str(
        fit
    )


def test_standard_errors_by_hand():
    # Two numbers that are determined, one that is not, and two whose sum alone is.
    slopes = np.array([[3.0, 1, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 0, 1, 1], [0, 0, 0, 2, 2]])
    errors, correlation = standard_errors(slopes)
    covariance = np.linalg.inv(slopes[:2, :2].T @ slopes[:2, :2])
    np.testing.assert_allclose(errors[:2], np.sqrt(np.diag(covariance)))
    np.testing.assert_array_equal(np.isinf(errors), [False, False, True, True, True])
    assert correlation[0, 1] == pytest.approx(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
    np.testing.assert_array_equal(correlation[2:], np.eye(5)[2:])


@pytest.mark.slow
def test_complex_gains_of_a_coherent_engine(key):
    plain = optics.FourierProcessor(
        optics.dft(4), slm=(effects.Gain(jnp.ones((4, 4), complex)),), camera=(effects.Read(2e-3),)
    )
    turns = jnp.exp(0.5j * jax.random.normal(key, (4, 4))) * (
        1 + 0.1 * jax.random.normal(jax.random.key(3), (4, 4))
    )
    truth = eqx.tree_at(lambda d: d.slm[0].gain, plain, turns)
    recording = record(truth, plain, key, 100)
    fit = optics.fit_twin(plain, recording, gain_of)
    off = (fit.values - turns) / fit.errors.real
    assert (
        fit.errors.dtype == turns.dtype and np.max(np.abs(off.real)) < 3.5 and np.max(np.abs(off.imag)) < 3.5
    )
    x = jax.random.normal(key, (5, 4, 4))
    assert (
        relative(optics.transform(x, optics.compensate(truth, fit.device, "complex")), optics.transform(x))
        < 0.02
    )
    assert relative(optics.transform(x, truth), optics.transform(x)) > 0.3


@pytest.mark.slow
def test_hardware_in_the_loop_with_a_fitted_twin(key):
    maps = 1 + 0.2 * jax.random.normal(key, (2, 5, 5))
    twin = optics.FourierProcessor(
        optics.dft(5),
        slm=(effects.Gain(jnp.ones((5, 5))),),
        camera=(effects.Gain(jnp.ones((5, 5))), effects.Read(1e-3)),
    )
    # The hardware has an emitter law that the twin does not know: it is wrong whatever is fitted.
    hardware = eqx.tree_at(lambda d: (d.slm[0].gain, d.camera[0].gain), twin, tuple(maps))
    hardware = eqx.tree_at(lambda d: d.slm, hardware, (effects.PhaseLUT(a2=0.005), *hardware.slm))

    def forward(drive, full_scale):
        with jax.ensure_compile_time_eval():
            exposure = optics.Exposure(jnp.asarray(drive), jnp.asarray(full_scale), jnp.ones((1, 1)))
            return np.asarray(hardware.expose(exposure, jax.random.key(9)))

    numbers = jax.lax.complex(*jax.random.normal(jax.random.key(1), (2, 50, 5, 5)))
    exposure = twin.prepare(numbers)
    recording = optics.Recording.of(twin, numbers, forward(exposure.drive, exposure.full_scale))
    # The mean of all emitters against that of all receivers: one of them is held.
    fit = optics.fit_twin(
        twin, recording, lambda d: (d.slm[0].gain, d.camera[0].gain), (np.arange(25).reshape(5, 5) > 0, True)
    )
    assert not fit.undetermined and fit.chi2 / fit.freedom > 1.2
    x = jax.random.normal(jax.random.key(2), (8, 5, 5))
    measured = optics.transform(x, optics.External(forward, twin))
    before, after = (relative(optics.transform(x, t), measured) for t in (twin, fit.device))
    assert after < before / 5


def test_the_inverse_table_drives_a_panel_right():
    act = jax.jit(lambda effect, light: effect(light, None))
    u = np.linspace(0, 1, 257)
    target = jnp.exp(1j * jnp.linspace(0.01, TWO_PI - 0.01, 200))
    for turns in (1.0, 1.2):
        panel = effects.PhaseLUT(TWO_PI * (turns * u + 0.05 * np.sin(TWO_PI * u)))
        np.testing.assert_allclose(act(panel, act(inverse_table(panel), target)), target, atol=2e-3)
    # A panel that reaches 80 % of a turn gives the nearer of its ends for the rest.
    short = effects.PhaseLUT(0.8 * TWO_PI * u)
    light = jnp.exp(1j * jnp.asarray(TWO_PI * np.linspace(0.5, 0.95, 200)))
    result = act(short, act(inverse_table(short), light))
    np.testing.assert_allclose(
        np.angle(np.asarray(result)[[0, 155, -1]]) / TWO_PI % 1, [0.5, 0.8, 0.0], atol=2e-3
    )
    result = act(short, act(inverse_table(short, beyond="highest"), light))
    np.testing.assert_allclose(
        np.angle(np.asarray(result)[[0, 155, -1]]) / TWO_PI % 1, [0.5, 0.8, 0.8], atol=2e-3
    )
    with pytest.raises(ValueError, match=r"`beyond` must be .*nearest.*highest"):
        inverse_table(short, beyond="lowest")
    with pytest.raises(ValueError, match="`table` must rise somewhere"):
        inverse_table(effects.PhaseLUT([0.0, 0.0]))
    with pytest.raises(ValueError, match="`table` must be a `PhaseLUT`"):
        inverse_table(effects.Gain(1.0))


@pytest.mark.slow
def test_errors_are_honest_over_repetitions():
    # The spread of 20 fits of other noise is known to 1 / √(2 · 19) = 16 % a number.
    truth, nominal = hidden(), make_bench()
    fits = [
        optics.fit_twin(nominal, record(truth, nominal, jax.random.key(seed)), picked, FREE)
        for seed in range(20)
    ]
    spread = np.std([fit.numbers for fit in fits], axis=0, ddof=1) / np.mean(
        [fit.deviations for fit in fits], axis=0
    )
    assert np.sqrt(np.mean(spread**2)) == pytest.approx(1, abs=0.05)
    assert np.all(spread[:9] > 0.55) and np.all(spread[:9] < 1.5)
    off = np.array(
        [(fit.numbers - flat(picked(truth))[flat(fit.errors) > 0]) / fit.deviations for fit in fits]
    )
    assert np.sqrt(np.mean(off**2)) == pytest.approx(1, abs=0.05) and np.max(np.abs(off)) < 4.5
    truth, start = (
        small(0.9, photons=300.0, sigma=0.02, bits=8),
        small(1.0, photons=1000.0, sigma=0.05, bits=8),
    )
    fits = [
        optics.fit_twin(start, record(truth, start, jax.random.key(seed), 100), noise_of)
        for seed in range(40)
    ]
    spread = np.std([fit.numbers for fit in fits], axis=0, ddof=1) / np.mean(
        [fit.deviations for fit in fits], axis=0
    )
    assert np.all(np.abs(spread - 1) < 0.35)


@pytest.mark.slow
def test_a_device_of_more_than_16_pixels():
    lens = optics.FourierLens(
        18,
        127e-6,
        1.55e-6,
        fill=0.5,
        detector_fill=0.5,
        oversampling=2,
        plane=80,
        pupil_radius=0.95 * 18 * 127e-6,
        aberrations=(0.0,) * 8,
    )
    nominal = optics.FourierProcessor(
        lens, optics.PhaseShifting(4), camera=(effects.Shot(1e4), effects.Read(1e-3))
    )
    start = eqx.tree_at(
        lambda d: d.transfer.aberrations, nominal, jnp.array([0, 0, 0, 0, 0.02, 0.02, 0.02, 0.02])
    )
    truth = eqx.tree_at(
        lambda d: d.transfer.aberrations, nominal, jnp.array([0, 0, 0, 0, 0.05, 0.03, -0.02, 0.04])
    )
    fit = optics.fit_twin(
        start, record(truth, start, jax.random.key(0), 20), lambda d: d.transfer.aberrations, np.arange(8) > 3
    )
    off = (fit.values - truth.transfer.aberrations)[4:] / fit.errors[4:]
    assert np.max(np.abs(off)) < 3.5


def recorded(change=None, nominal=None):
    nominal = small() if nominal is None else nominal
    recording = record(nominal, nominal, jax.random.key(0), 10)
    return nominal, recording if change is None else optics.Recording(
        recording.drive, recording.full_scale, change(recording.frames), 4
    )


def with_frames(change):
    return lambda: optics.fit_twin(*recorded(change), gain_of)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            with_frames(lambda f: np.rot90(f, axes=(-2, -1))),
            r"`frames` are turned .* as `numpy.rot90\(frames, 3, axes=\(-2, -1\)\)`",
        ),
        (
            with_frames(lambda f: f[..., ::-1]),
            r"`frames` are turned or mirrored .* `numpy.flip\(numpy.rot90\(frames, 0",
        ),
        (with_frames(lambda f: f[::-1]), "`frames` do not belong to the drives: .* Look at their order"),
        (
            with_frames(lambda f: np.pad(f, [(0, 0)] * 3 + [(0, 1), (0, 0)], "edge")),
            "4 frames of 4×4 pixels an exposure.*got 4 of 5×4. Crop",
        ),
        (
            lambda: optics.fit_twin(optics.dft(3), recorded()[1], gain_of),
            "`device` must be a `FourierProcessor`",
        ),
        (lambda: optics.fit_twin(small(), jnp.ones(3), gain_of), "`recording`"),
        (lambda: optics.fit_twin(*recorded(), "gain"), "`where`"),
        (
            lambda: optics.fit_twin(*recorded(), lambda d: d.transfer.defocus),
            "must be a `FourierLens` to have defocus",
        ),
        (
            lambda: optics.fit_twin(*recorded(), lambda d: d.measurement.phases),
            "`where`",
        ),
        (
            lambda: optics.fit_twin(*recorded(), lambda d: d.output_gain),
            "`where`",
        ),
        (
            lambda: optics.fit_twin(*recorded(), gain_of, np.ones(3, bool)),
            "`free`",
        ),
        (lambda: optics.fit_twin(*recorded(), gain_of, False), "`free`"),
        (
            lambda: optics.fit_twin(*recorded(), lambda d: (gain_of(d), gain_of(d))),
            "`where`",
        ),
        (lambda: optics.fit_twin(*recorded(), gain_of, steps=0), "`steps`"),
        (
            lambda: optics.fit_twin(*recorded(nominal=small(sigma=0.0)), lambda d: d.camera[0].sigma),
            "`device`",
        ),
        (
            lambda: optics.fit_twin(
                eqx.tree_at(gain_of, small(), jnp.asarray(jnp.nan)), recorded()[1], gain_of
            ),
            "must pick numbers that are finite to start from, but `slm.0..gain`",
        ),
        (
            lambda: optics.fit_twin(
                *recorded(nominal=small(1e-4, sigma=1e-5)), lambda d: d.measurement.reference, steps=1
            ),
            "did not converge in 1 steps",
        ),
        (
            lambda: optics.fit_twin(
                *(lambda d, r: (eqx.tree_at(lambda d: d.camera[0].sigma, d, jnp.ones(())), r))(
                    *recorded(nominal=small(bits=8))
                ),
                gain_of,
            ),
            "`recording` must hold more pixels",
        ),
        (
            lambda: optics.Recording(jnp.ones((3, 3)), 1.0, np.ones((1, 3, 3))),
            "`drive`",
        ),
        (
            lambda: optics.Recording(jnp.full((2, 3, 3), jnp.nan), 1.0, np.full((2, 3, 3), 0.5)),
            "`drive`",
        ),
        (
            lambda: optics.Recording(jnp.ones((2, 3, 3)), 1.0, np.full((7, 3, 3), 0.5), 4),
            "`frames`",
        ),
        (
            lambda: optics.Recording.of(small(), jnp.ones((2, 3, 3)), np.ones((8, 4, 4))),
            "`numbers`",
        ),
        (lambda: optics.compensate(small(), small(n=3)), "`twin`"),
        (
            lambda: optics.compensate(
                small(), optics.FourierProcessor(optics.dft(4), slm=(effects.PhaseLUT(), effects.PhaseLUT()))
            ),
            "`twin`",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_frames_of_a_device_that_is_not_square_look_turned():
    device = optics.FourierProcessor(
        optics.dft((3, 5)), camera=(effects.Read(0.01),), slm=(effects.Gain(1.0),)
    )
    recording = record(device, device, jax.random.key(0), 10)
    turned = optics.Recording(
        recording.drive, recording.full_scale, np.rot90(recording.frames, axes=(-2, -1)), 2
    )
    with pytest.raises(ValueError, match=r"got 2 of 5×3\. They look turned by 90°"):
        optics.fit_twin(device, turned, gain_of)
    half = optics.Recording(
        recording.drive, recording.full_scale, np.rot90(recording.frames, 2, axes=(-2, -1)), 2
    )
    with pytest.raises(ValueError, match=r"as `numpy.rot90\(frames, 2"):
        optics.fit_twin(device, half, gain_of)
