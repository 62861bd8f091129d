"""A bench that sees intensity alone: the phase is retrieved in the program, and gradients pass through."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import optics
from optics import detect, effects, encode, metrics, retrieve

PIXELS = 8


def complex_normal(seed, shape):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


class FixedScale(encode.Encoder):
    """Numbers as they are, without the scale of the electronics, through which no gradient flows."""

    def encode(self, a):
        return a[..., None, :, :], jnp.ones((*a.shape[:-2], 1, 1))


def bench(measurement, photons=None, encoder=None):
    """A phase panel that sends the same light in every exposure, and a camera of this many photons."""
    camera = () if photons is None else (effects.Shot(photons),)
    encoder = encode.SequentialPhase() if encoder is None else encoder
    # Fields of amplitudes of 1 in a unitary transform: root mean square 1, and 4 at full scale.
    return optics.FourierProcessor(
        optics.dft(PIXELS), measurement, camera=camera, encoder=encoder, full_scale=4.0
    )


def intensity(**options):
    return optics.PhaseDiversity(reference=0.25, **options)


def test_random_fields_come_back():
    field = jnp.asarray(complex_normal(0, (128, 16, 16)), jnp.complex64)
    measurement = detect.PhaseDiversity()
    result = jax.jit(lambda z: measurement.field(measurement.frames(z)))(field)
    errors = np.linalg.norm(result - field, axis=(1, 2)) / np.linalg.norm(field, axis=(1, 2))
    assert np.max(errors) <= 1e-4


def test_frames_against_scipy():
    z, r = complex_normal(1, (3, 6)), 0.7
    y, x = (np.arange(n) - (n - 1) / 2 for n in z.shape)
    phase = np.pi * (y[:, None] ** 2 / 3 + x**2 / 6)
    light = scipy.fft.fftshift(scipy.fft.ifft2(scipy.fft.ifftshift(z), norm="ortho"))
    expected = []
    for k in range(4):
        masked = scipy.fft.ifftshift(np.exp(1j * (k + 0.5) * phase) * light)
        u = scipy.fft.fftshift(scipy.fft.fft2(masked, norm="ortho")) + r * np.exp(1j * phase)
        expected.append(np.abs(u) ** 2 / (1 + r) ** 2)
    frames = detect.PhaseDiversity(4, reference=r).frames(jnp.asarray(z))
    np.testing.assert_allclose(frames, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("plane", [np.ones((16, 16)), np.zeros((16, 16)), np.eye(256)[70].reshape(16, 16)])
def test_even_dark_and_single_pixels_come_back(plane):
    device = optics.FourierProcessor(
        optics.dft(16), intensity(), encoder=encode.SequentialPhase(), full_scale=4.0
    )
    result = jax.jit(optics.transform)(jnp.asarray(plane), device)
    exact = optics.transform(jnp.asarray(plane))
    scale = max(np.linalg.norm(exact), 1.0)
    assert np.linalg.norm(result - exact) / scale <= 1e-3


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("operation", ["transform", "convolve"])
def test_gradient_against_finite_differences(operation):
    device = bench(intensity(iterations=80), encoder=FixedScale())
    # A fixed error of the frames, so that no field explains them and the misfit is not zero at its minimum.
    pattern = jnp.asarray(0.003 * np.random.default_rng(2).normal(size=(PIXELS, PIXELS)))
    device = device.with_stages(camera=(effects.Bias(pattern),))
    rng = np.random.default_rng(3)
    x, w, dx, dw = (jnp.asarray(rng.normal(size=(2, PIXELS, PIXELS))) for _ in range(4))
    weights = jnp.asarray(rng.normal(size=(2, PIXELS, PIXELS)))

    @jax.jit
    def loss(x, w):
        if operation == "convolve":
            return jnp.sum(weights * optics.convolve(x, w, device))
        return jnp.sum(weights * jnp.abs(optics.transform(x + 1j * w, device)))

    assert metrics.relative_error(optics.transform(x, device), optics.transform(x)) > 1e-3
    slope = jax.jit(jax.grad(loss, (0, 1)))(x, w)
    analytic = jnp.vdot(slope[0], dx) + jnp.vdot(slope[1], dw)
    step = 1e-6
    numeric = (loss(x + step * dx, w + step * dw) - loss(x - step * dx, w - step * dw)) / (2 * step)
    assert abs(analytic - numeric) <= 1e-5 * abs(numeric)


@pytest.mark.usefixtures("x64")
def test_gradient_of_masks_and_reference_against_finite_differences():
    rng = np.random.default_rng(4)
    x, masks = complex_normal(5, (4, 4)), np.exp(2j * np.pi * rng.random((5, 4, 4)))
    reference, turn = complex_normal(6, (4, 4)), rng.normal(size=(5, 4, 4))
    amplitudes = np.abs(retrieve.centred_dft(masks * x) + reference) + 0.02 * rng.random((5, 4, 4))
    weights = complex_normal(7, (4, 4))

    @jax.jit
    def loss(a):
        retrieved = retrieve.coded_diffraction(
            amplitudes, masks * jnp.exp(1j * a * turn), reference * (1 + a), 80
        )
        return jnp.sum((weights * retrieved.object).real)

    step = 1e-6
    numeric = (loss(step) - loss(-step)) / (2 * step)
    assert abs(jax.grad(loss)(0.0) - numeric) <= 1e-5 * abs(numeric)


def test_a_batch_is_a_loop_and_numbers_do_not_recompile():
    z = jnp.asarray(complex_normal(8, (3, 2, 5, 6)), jnp.complex64)
    traces = []

    @jax.jit
    def run(z, measurement):
        traces.append(0)
        return measurement.field(measurement.frames(z))

    batch = run(z, detect.PhaseDiversity(5))
    mapped = jax.vmap(jax.vmap(lambda z: run(z, detect.PhaseDiversity(5))))(z)
    np.testing.assert_allclose(batch, mapped, atol=1e-4)
    np.testing.assert_allclose(batch[1, 1], run(z[1, 1], detect.PhaseDiversity(5)), atol=1e-4)
    count = len(traces)
    run(z, detect.PhaseDiversity(5, reference=0.8))
    assert len(traces) == count


def test_the_error_falls_as_one_over_the_root_of_the_photons():
    x = jax.random.normal(jax.random.key(0), (64, PIXELS, PIXELS))
    exact = optics.transform(x)
    run = jax.jit(optics.transform)
    errors = [
        float(metrics.relative_error(run(x, bench(intensity(), photons), jax.random.key(1)), exact))
        for photons in (1e4, 1e6)
    ]
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)


def test_the_noise_is_near_the_bound_of_amplitudes():
    """An amplitude in root photoelectrons has the variance 1/4, whatever it is. Each of the K N amplitudes of
    N pixels has a slope of norm 1 along one of the 2N real numbers of the field: the trace of the
    information is 4 K N, and the variances add up to at least (2N)² / (4 K N), 1/K a pixel (Cramér and Rao).
    """
    field = jnp.asarray(complex_normal(9, (64, 16, 16)), jnp.complex64)
    measurement, photons = detect.PhaseDiversity(4), 1e5
    camera = (effects.Shot(photons),)

    @jax.jit
    def run(field, key):
        frames = effects.apply(camera, measurement.frames(field), key)
        return measurement.field(frames)

    # Full scale is (1 + r)² = 4 times the light of a field of 1.
    variance = np.mean(np.abs(run(field, jax.random.key(0)) - field) ** 2) * photons / 4
    assert 1 / 4 <= variance <= 1 / 2


def test_intensity_is_no_worse_than_a_reference_beam_of_the_same_light():
    x = jax.random.normal(jax.random.key(0), (64, PIXELS, PIXELS))
    exact, errors = optics.transform(x), []
    for measurement in (intensity(), optics.PhaseShifting(4, reference=0.25)):
        device = bench(measurement)
        light = jnp.mean(device.expose(device.prepare(x)))
        # The same photoelectrons in all frames of a field.
        device = bench(measurement, 100 / light)
        errors.append(metrics.relative_error(jax.jit(optics.transform)(x, device, jax.random.key(1)), exact))
    assert errors[0] <= 1.05 * errors[1]


def test_no_nan_where_all_is_dark_or_noise():
    measurement = detect.PhaseDiversity(4)
    noise = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 5, 5)), jnp.float32)

    @jax.jit
    def loss(frames):
        return jnp.sum(jnp.abs(measurement.field(frames)))

    for frames in (0 * noise, noise, 1e-20 * noise, -jnp.abs(noise)):
        value, slope = jax.value_and_grad(loss)(frames)
        assert np.isfinite(value) and np.all(np.isfinite(slope))


def test_the_residual_tells_a_search_that_has_not_arrived():
    field = jnp.asarray(complex_normal(10, (4, 16, 16)), jnp.complex64)
    frames = detect.PhaseDiversity(4).frames(field)
    early, late = (detect.PhaseDiversity(4, iterations=n).residual(frames) for n in (2, 30))
    assert early.shape == (4,) and np.all(early > 0.02) and np.all(late < 1e-5)


@pytest.mark.parametrize("pixels", [3, (2, 5)])
def test_the_preset_at_its_levels(pixels):
    x, w = (
        jax.random.normal(jax.random.key(i), optics.presets.load("ideal", pixels=pixels).shape)
        for i in (0, 1)
    )
    device = optics.presets.load("intensity-4f", level="ideal", pixels=pixels, steps=6, iterations=40)
    y = jax.jit(optics.convolve)(x, w, device)
    assert metrics.relative_error(y, optics.convolve(x, w)) < 0.1
    counts = optics.accounting.count(lambda device, key: optics.transform(x, device, key), device)
    # Two phases a number, one after the other, and six frames of each.
    assert counts.exposures == 12


@pytest.mark.slow
def test_a_small_preset_compiled_and_propagated():
    x, w = (jax.random.normal(jax.random.key(i), (4, 4)) for i in range(2))
    for level in ("compiled", "wave"):
        device = optics.presets.load("intensity-4f", level=level, pixels=4, steps=6, iterations=40)
        y = jax.jit(optics.convolve)(x, w, device)
        assert metrics.relative_error(y, optics.convolve(x, w)) < 0.15, level


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: detect.PhaseDiversity(1), "`steps`"),
        (lambda: detect.PhaseDiversity(3, masks=np.ones((4, 2, 2))), "`steps`"),
        (lambda: detect.PhaseDiversity(reference=0.0), "`reference`"),
        (lambda: detect.PhaseDiversity(iterations=0), "`iterations`"),
        (lambda: detect.PhaseDiversity(masks=2 * np.ones((4, 2, 2))), "`masks`"),
        (lambda: detect.PhaseDiversity(masks=np.ones((2, 2))), "`masks`"),
        (lambda: detect.PhaseDiversity(masks=np.ones((4, 2, 2))).frames(jnp.ones((3, 3))), "`masks`"),
        (lambda: retrieve.coded_diffraction(np.ones((2, 2)), np.ones((3, 2, 2)), 1.0), "`amplitudes`"),
        (lambda: retrieve.coded_diffraction(-np.ones((3, 2, 2)), np.ones((3, 2, 2)), 1.0), "`amplitudes`"),
        (lambda: retrieve.coded_diffraction(np.ones((3, 2, 2)), np.ones((4, 2, 2)), 1.0), "`masks`"),
        (lambda: retrieve.coded_diffraction(np.ones((3, 2, 2)), np.ones((3, 2, 2)), [1.0]), "`reference`"),
        (lambda: optics.presets.load("intensity-4f", pixels=69), "`pixels`"),
    ],
)
def test_refusals(call, named):
    with pytest.raises(ValueError, match=named):
        call()
