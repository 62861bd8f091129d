"""Every measurement: what it detects it gives back."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import optics
from optics import detect
from tests.helpers import relative
from tests.parts import MEASUREMENTS

HARIHARAN = np.pi * np.array([-1, -0.5, 0, 0.5, 1])
ALL = {name: part.make() for name, part in MEASUREMENTS.items()} | {
    "2 steps": detect.PhaseShifting(2),
    "2 steps, weak reference": detect.PhaseShifting(2, reference=1.5),
    "Hariharan's steps": detect.PhaseShifting(phases=HARIHARAN),
    "unequal steps": detect.PhaseShifting(phases=(0.1, 1.2, 2.9, 4.0), reference=0.7),
    "balanced": detect.Balanced(),
    "balanced, strong oscillator": detect.Balanced(3.0),
    "offset": detect.Offset(),
    "off-axis": detect.OffAxis(),
    "off-axis, 5 columns a pixel": detect.OffAxis(5, reference=0.7, fill=0.5),
}
ONE_FRAME_WHEN_REAL = {"coherent": 1, "balanced": 2, "balanced, strong oscillator": 2, "offset": 1}


def disc(seed, shape):
    """Fields all over the unit disc, zero and points of its edge among them."""
    rng = np.random.default_rng(seed)
    z = np.sqrt(rng.random(shape)) * np.exp(2j * np.pi * rng.random(shape))
    z[..., 0, 1:] = np.exp(0.25j * np.pi * np.arange(shape[-1] - 1))
    z[..., 0, 0] = 0
    return jnp.asarray(z, jnp.complex64)


@functools.cache
def compile_measurement(name):
    """Frames, field and the pullback of a cotangent through both."""
    measurement = ALL[name]

    @jax.jit
    def run(field, cotangent):
        frames = measurement.frames(field)
        result, back = jax.vjp(lambda z: measurement.field(measurement.frames(z)), field)
        return frames, result, back(cotangent.astype(result.dtype))[0]

    return run


@pytest.mark.parametrize("name", ALL)
@pytest.mark.every(3)
def test_round_trip_and_its_gradient(name):
    field, cotangent = disc(0, (4, 5, 9)), disc(1, (4, 5, 9))
    frames, result, back = compile_measurement(name)(field, cotangent)
    assert frames.shape[:1] == (4,) and frames.shape[-2] == 5 and not jnp.iscomplexobj(frames)
    assert relative(result, field) <= 1e-6
    # What is measured comes back as it was, so the round trip's derivative is the identity.
    assert relative(back, cotangent) <= 1e-5
    frames, result, back = compile_measurement(name)(field.real, cotangent.real)
    assert relative(result.real, field.real) <= 1e-6
    assert relative(back, cotangent.real) <= 1e-5
    assert ALL[name].supports_real == (name in ONE_FRAME_WHEN_REAL)
    assert frames.shape[-3] == ONE_FRAME_WHEN_REAL.get(name, frames.shape[-3])
    assert jnp.iscomplexobj(result) != ALL[name].supports_real


@pytest.mark.parametrize("name, n", [(name, 8) for name in ALL] + [("off-axis", 9)])
def test_frames_of_a_device_are_within_full_scale(name, n):
    # The transform of a finite modulator over what the brightest pixel could be, as a device exposes it.
    rng = np.random.default_rng(0)
    slm = rng.random((20, 1, n)) * np.exp(2j * np.pi * rng.random((20, 1, n)))
    slm[0], slm[1] = 1, (-1.0) ** np.arange(n)
    z = scipy.fft.fftshift(scipy.fft.fft(scipy.fft.ifftshift(slm, -1)), -1) / np.sum(
        np.abs(slm), -1, keepdims=True
    )
    frames = jax.jit(lambda z: ALL[name].frames(z))(jnp.asarray(z, jnp.complex64))
    assert np.max(frames) <= 1 + 1e-6
    assert np.min(frames) >= (-1 if ALL[name].signed else 0) - 1e-6


@pytest.mark.parametrize("name", ALL)
def test_no_nan_gradient_at_zero(name):
    measurement = ALL[name]

    def power(a):
        result = measurement.field(measurement.frames(a.astype(complex)))
        return jnp.sum(measurement.frames(result) ** 2)

    value, slope = jax.jit(jax.value_and_grad(power))(jnp.zeros((2, 2)))
    assert np.isfinite(value) and np.all(np.isfinite(slope))


@pytest.mark.parametrize(
    "measurement",
    [detect.PhaseShifting(2), detect.Offset(1.0), detect.Offset(1.5), detect.Intensity(lambda a: a)],
)
def test_no_nan_gradient_where_noise_made_light_negative(measurement):
    dark = jnp.asarray([[[-0.1, 0, 0]]] * (1 if isinstance(measurement, detect.Intensity) else 2))
    for frames in (dark, dark[:1]) if isinstance(measurement, detect.Offset) else (dark,):
        value, slope = jax.jit(jax.value_and_grad(lambda f: jnp.sum(measurement.field(f).real)))(frames)
        assert np.isfinite(value) and np.all(np.isfinite(slope))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ALL)
def test_double_precision(name):
    z = 0.8 * np.exp(1j * np.arange(12).reshape(3, 4))
    measurement = jax.tree.map(lambda a: a.astype(float), ALL[name])
    result = jax.jit(lambda z: measurement.field(measurement.frames(z)))(jnp.asarray(z))
    assert result.dtype == np.complex128
    assert relative(result, z) <= 1e-12


def test_phase_shifting_frames_are_intensities():
    z, r = 0.3 - 0.4j, 0.5
    frames = optics.PhaseShifting(4, reference=r).frames(jnp.full((1, 1), z))
    expected = [abs(z + r * 1j**d) ** 2 / (1 + r) ** 2 for d in range(4)]
    np.testing.assert_allclose(frames[:, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("field", [0.7, -0.7])
def test_four_steps_against_the_textbook(field):
    # Bruning (1974): Re z = (I0 − I2)/(4 r) for intensities in units of the field's.
    r = 0.8
    frames = optics.PhaseShifting(4, reference=r).frames(jnp.full((1, 1), field)) * (1 + r) ** 2
    assert (frames[0] - frames[2])[0, 0] / (4 * r) == pytest.approx(field, abs=1e-6)


def test_two_frames_against_the_quadratic_equation():
    # Meng (2006): |z|² is the smaller root of 2m² − (2A + 2B + 4r²)m + A² + B² = 0, A and B without the
    # reference's light.
    z, r = 0.5 - 0.6j, 2.0
    frames = np.asarray(detect.PhaseShifting(2).frames(jnp.full((1, 1), z)), float)[:, 0, 0] * (1 + r) ** 2
    a, b = frames - r**2
    m = np.min(np.roots([2, -(2 * a + 2 * b + 4 * r**2), a**2 + b**2]).real)
    expected = ((a - m) + 1j * (b - m)) / (2 * r)
    assert expected == pytest.approx(z, abs=1e-5)
    assert detect.PhaseShifting(2).field(jnp.asarray(frames, jnp.float32)[:, None, None] / (1 + r) ** 2)[
        0, 0
    ] == pytest.approx(z, abs=1e-5)


def test_unequal_steps_against_least_squares():
    # Frames with noise, which no field gives: numpy's least squares is the judge.
    phases, r = np.array([0.0, 0.9, 2.2, 3.1, 5.0]), 0.6
    frames = np.random.default_rng(0).random((5, 3, 4))
    model = np.stack([np.ones(5), 2 * r * np.cos(phases), 2 * r * np.sin(phases)], -1) / (1 + r) ** 2
    _, x, y = np.linalg.lstsq(model, frames.reshape(5, -1), rcond=None)[0].reshape(3, 3, 4)
    result = detect.PhaseShifting(phases=phases, reference=r).field(jnp.asarray(frames, jnp.float32))
    assert relative(result, x + 1j * y) <= 1e-5


def test_phases_are_leaves_with_a_gradient():
    # A step error of the reference turns into an error of the field: the derivative against finite
    # differences.
    z = disc(0, (3, 9))

    @jax.jit
    def wrong(phases):
        assumed = detect.PhaseShifting(phases=phases)
        return jnp.sum(jnp.abs(assumed.field(detect.PhaseShifting(4).frames(z)) - z) ** 2)

    phases = np.float32([0.1, 1.5, 3.2, 4.7])
    slope = jax.grad(wrong)(jnp.asarray(phases))
    h = 1e-2
    expected = [
        (
            wrong(jnp.asarray(phases + h * (np.arange(4) == d), jnp.float32))
            - wrong(jnp.asarray(phases - h * (np.arange(4) == d), jnp.float32))
        )
        / (2 * h)
        for d in range(4)
    ]
    np.testing.assert_allclose(slope, expected, rtol=2e-2, atol=2e-2)


def test_balanced_diodes_cancel_what_they_share():
    z = disc(0, (5, 9))
    balanced = detect.Balanced(0.5)
    frames = balanced.frames(z)
    expected = [np.abs(np.asarray(z) + r) ** 2 / 1.5**2 for r in (0.5, -0.5, 0.5j, -0.5j)]
    np.testing.assert_allclose(frames, expected, atol=1e-6)
    assert relative(balanced.field(frames + 0.1), z) <= 1e-5


def test_off_axis_between_pixels():
    # A modulator of n pixels with one of them lit gives a plane wave at any point of the camera: its frame is
    # known.
    n, s, r = 6, 4, 0.8
    for lit in range(n):
        order = lit - n // 2
        z = np.exp(-2j * np.pi * order * np.arange(n) / n)
        x = np.arange(s * n) / s
        carrier = n + (n - 1) // 2
        expected = (
            np.abs(np.exp(-2j * np.pi * order * x / n) + r * np.exp(-2j * np.pi * carrier * x / n)) ** 2
            / (1 + r) ** 2
        )
        sharp = detect.OffAxis(s, reference=r, fill=1e-3).frames(jnp.asarray(z)[None])
        np.testing.assert_allclose(sharp[0, 0], expected, atol=1e-5)
        # An open column of the camera lowers the contrast by the sinc of its share of a fringe.
        blurred = detect.OffAxis(s, reference=r).frames(jnp.asarray(z)[None])
        mean = np.mean(expected)
        contrast = np.sinc((carrier - order) / (s * n))
        np.testing.assert_allclose(blurred[0, 0], mean + contrast * (expected - mean), atol=1e-5)


def test_off_axis_needs_its_four_columns():
    # With three columns a pixel the spectrum of |z|² overlaps the fringes: the bound of 4 is not for comfort.
    rng = np.random.default_rng(0)
    n = 8
    z = rng.normal(size=n) + 1j * rng.normal(size=n)

    def trip(s):
        fine = scipy.fft.ifft(np.pad(np.roll(scipy.fft.fft(z), (n - 1) // 2), (n, s * n - 2 * n))) * s
        return scipy.fft.ifft(np.roll(scipy.fft.fft(np.abs(fine + 1) ** 2)[n : 2 * n], -((n - 1) // 2))) / s

    assert relative(trip(4), z) < 1e-12 and relative(trip(3), z) > 0.1


def test_intensity_leaves_the_phase_to_its_retrieval():
    z = disc(0, (2, 5, 9))
    size = jnp.asarray(np.abs(z))
    plain = detect.Intensity(lambda amplitude: amplitude)
    frames = plain.frames(z)
    assert frames.shape == (2, 1, 5, 9) and relative(frames[:, 0], np.abs(z) ** 2) <= 1e-6
    assert relative(plain.field(plain.frames(size)), size) <= 1e-6
    slope = jax.jit(jax.grad(lambda a: jnp.sum(plain.field(plain.frames(a)))))(size)
    np.testing.assert_allclose(slope, np.where(np.asarray(size) > 0, 1, 0), atol=1e-5)
    assert not jax.tree.leaves(plain)
    # A module's arrays are leaves; a result that holds a field gives it.
    known = detect.Intensity(_KnownPhase(jnp.asarray(np.angle(z))))
    assert len(jax.tree.leaves(known)) == 1
    assert relative(known.field(known.frames(z)), z) <= 1e-6
    whole = detect.Intensity(lambda a: optics.retrieve.Retrieved(a, 2 * a, jnp.zeros(a.shape[:-2])))
    assert relative(whole.field(frames), 2 * size) <= 1e-6


class _KnownPhase(eqx.Module):
    phase: jax.Array

    def __call__(self, amplitude):
        return amplitude * jnp.exp(1j * self.phase)


@pytest.mark.parametrize("name", ["2 steps", "balanced", "offset", "off-axis"])
def test_a_device_with_it_is_exact(name, key):
    device = optics.FourierProcessor(optics.dft((3, 4)), ALL[name])
    x, w = jax.random.normal(key, (2, 3, 4))
    expected = scipy.fft.ifft2(scipy.fft.fft2(np.asarray(x, float)) * scipy.fft.fft2(np.asarray(w, float)))
    result = jax.jit(optics.convolve)(x, w, device)
    assert not jnp.iscomplexobj(result) and relative(result, expected.real) <= 1e-5


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: detect.PhaseShifting(1),
            "`steps` must be a whole number of at least 2 and at most 1,024, got 1",
        ),
        (lambda: detect.PhaseShifting(4.0), "`steps`"),
        (lambda: detect.PhaseShifting(4, reference=0.0), "`reference`"),
        (
            lambda: detect.PhaseShifting(2, reference=1.4),
            "`reference`",
        ),
        (
            lambda: detect.PhaseShifting(phases=(0.0, 1.0)),
            "`phases`",
        ),
        (
            lambda: detect.PhaseShifting(phases=1.0),
            "`phases`",
        ),
        (lambda: detect.PhaseShifting(phases=(0.0, np.inf, 1.0)), "`phases`"),
        (
            lambda: detect.PhaseShifting(phases=(0.0, 2 * np.pi, 1.0, 1.0)),
            "`phases`",
        ),
        (
            lambda: detect.PhaseShifting(3, phases=(0.0, 1.0, 2.0, 3.0)),
            "`steps`",
        ),
        (lambda: detect.Balanced(-1.0), "`reference`"),
        (lambda: detect.Offset(0.9), "`offset`"),
        (
            lambda: detect.Offset(1.2).frames(jnp.zeros((2, 2), complex)),
            "`offset`",
        ),
        (lambda: detect.OffAxis(3), "`oversampling`"),
        (lambda: detect.OffAxis(reference=np.nan), "`reference`"),
        (lambda: detect.OffAxis(fill=0.0), "`fill`"),
        (
            lambda: detect.OffAxis().field(jnp.zeros((1, 2, 6))),
            "`frames`",
        ),
        (lambda: detect.Intensity(3), "`retrieve`"),
        (lambda: detect.Intensity(detect.Coherent), "`retrieve`"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_weaker_reference_than_that_is_ambiguous():
    # Two fields within the unit disc that two frames cannot tell apart: the bound of √2 is not for comfort.
    r, z = 1.2, -0.7 - 0.68j
    mirrored = -1j * np.conj(z + (1 + 1j) * r / 2) - (1 + 1j) * r / 2
    assert abs(mirrored) <= 1
    pair = detect.Balanced(r)
    frames = [np.asarray(pair.frames(jnp.full((1, 1), field)))[::2] for field in (z, mirrored)]
    np.testing.assert_allclose(*frames, rtol=1e-5)
    assert abs(z - mirrored) > 0.1


def test_hariharan_withstands_errors_of_the_step():
    """Its phase has an error of second order in that of the step; that of least squares is of first order."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)[None, :]
    z = 0.5 * np.exp(1j * angle)
    error = 0.02
    steps = (1 + error) * np.pi * np.array([-1, -0.5, 0, 0.5, 1])
    frames = np.abs(z + np.exp(1j * steps)[:, None, None]) ** 2 / 4
    five, fitted = (
        optics.detect.hariharan(),
        optics.PhaseShifting(phases=np.pi * np.array([-1, -0.5, 0, 0.5, 1])),
    )
    wrong = [np.angle(np.asarray(m.field(jnp.asarray(frames))) / z) for m in (five, fitted)]
    # Hariharan, Oreb and Eiju, eq. 7: the tangent grows by 1 + ε²/2, ε = π error / 2.
    epsilon = np.pi * error / 2
    published = np.arctan2((1 + epsilon**2 / 2) * np.sin(angle), np.cos(angle)) - angle
    np.testing.assert_allclose(wrong[0], np.angle(np.exp(1j * published)), atol=2e-5)
    assert np.abs(wrong[1]).max() > 10 * np.abs(wrong[0]).max()


def test_the_residual_tells_errors_of_the_steps(key):
    z = 0.5 * jnp.exp(1j * jnp.linspace(0, 6, 30).reshape(5, 6))
    four = optics.PhaseShifting(4)
    assert np.max(four.residual(four.frames(z))) <= 1e-6
    wrong = np.array([0, np.pi / 2 + 0.1, np.pi, 3 * np.pi / 2])
    frames = np.abs(np.asarray(z) + np.exp(1j * wrong)[:, None, None]) ** 2 / 4
    basis = np.stack([np.ones(4), np.cos(np.pi / 2 * np.arange(4)), np.sin(np.pi / 2 * np.arange(4))], 1)
    left = np.linalg.lstsq(basis, frames.reshape(4, -1), rcond=None)[1].reshape(5, 6)
    np.testing.assert_allclose(four.residual(jnp.asarray(frames)), np.sqrt(left), atol=1e-6)
    noisy = four.frames(jnp.full((60, 60), 0.5)) + 0.01 * jax.random.normal(key, (4, 60, 60))
    assert np.sqrt(np.mean(four.residual(noisy) ** 2)) == pytest.approx(0.01, rel=0.05)
    with pytest.raises(ValueError, match="`steps`"):
        optics.PhaseShifting(3).residual(jnp.zeros((3, 2, 2)))


@pytest.mark.parametrize(
    "weights", [np.ones(5), np.array([-0.25, -0.5j, 0.5, 0.5j, 0]), np.ones(4), np.full(5, np.nan)]
)
def test_weights_that_do_not_give_the_field_are_refused(weights):
    with pytest.raises(ValueError, match="`weights`"):
        optics.PhaseShifting(phases=np.pi * np.array([-1, -0.5, 0, 0.5, 1]), weights=weights)
    with pytest.raises(ValueError, match="`weights`"):
        optics.PhaseShifting(5, weights=weights)
