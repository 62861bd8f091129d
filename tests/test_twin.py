"""The digital twin: a bench whose numbers are hidden from the fit, and found from its frames."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

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
    assert "does not fit" in str(fit._replace(chi2=7.5 * fit.freedom))
    assert not fit.undetermined and np.all(np.isfinite(fit.correlation))
    np.testing.assert_allclose(np.diag(fit.correlation), 1)
    assert "transfer.defocus = 0.00" in str(fit) and "slm[2].gain[0, 0]" in str(fit)


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
