"""Correlators of every kind equal the exact convolution where their parts are ideal, and differ where they
should.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import optics
from optics import effects
from optics.encode import phase_only
from tests.helpers import relative

convolve = jax.jit(optics.convolve)
LENS = dict(pixels=11, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)


def exact(x, w):
    return scipy.fft.ifft2(scipy.fft.fft2(np.asarray(x, complex)) * scipy.fft.fft2(np.asarray(w, complex)))


def architectures(n):
    rows, cols = n
    return {
        "4f correlator": optics.Correlator(optics.dft(n)),
        "4f correlator, intensity steps": optics.Correlator(
            optics.dft(n), measurement=optics.PhaseShifting(4)
        ),
        "joint transform, rows that wrap": optics.JointTransform(optics.dft((rows, 6 * cols - 3)), n),
        "joint transform, dark rows around": optics.JointTransform(
            optics.dft((2 * rows + 1, 6 * cols)), n, optics.PhaseShifting(3)
        ),
    }


@pytest.mark.parametrize("n", [(5, 5), (3, 4), (1, 6)])
@pytest.mark.parametrize("name", architectures((1, 1)))
@pytest.mark.every(3)
def test_exact_with_ideal_parts(name, n, key):
    device = architectures(n)[name]
    x, w = jax.random.normal(key, (2, 1, *n)), jax.random.normal(jax.random.fold_in(key, 1), (3, *n))
    y = convolve(x, w, device, key)
    assert y.dtype == jnp.float32
    assert relative(y, exact(x, w).real) <= 1e-4
    x = x + 1j * x[..., ::-1]
    assert relative(convolve(x, w, device), exact(x, w)) <= 1e-4


@pytest.mark.parametrize("name", architectures((1, 1)))
def test_gradients_and_darkness(name, key):
    device = architectures((3, 4))[name]
    x, w, target = (jax.random.normal(jax.random.fold_in(key, i), (3, 4)) for i in range(3))
    slopes = [
        jax.jit(jax.grad(lambda x, w: jnp.vdot(target, optics.convolve(x, w, d)), (0, 1)))
        for d in (device, None)
    ]
    for found, wanted in zip(*(f(x, w) for f in slopes), strict=True):
        assert relative(found, wanted) <= 1e-4
    for dark in ((0 * x, w), (x, 0 * w), (0 * x, 0 * w)):
        assert all(np.all(np.isfinite(s)) for s in slopes[0](*dark))
        assert np.max(np.abs(convolve(*dark, device))) <= 1e-5


def test_noise_and_faults_reach_the_result(key):
    noisy = dict(camera=(effects.Shot(1e5), effects.Read(1e-3)))
    coherent = dict(camera=(effects.BalancedShot(1e5),))
    n = (5, 5)
    devices = [
        optics.Correlator(optics.dft(n), filter=(effects.Quantize(6, signed=True),), **coherent),
        optics.JointTransform(optics.dft((5, 27)), n, detector=coherent["camera"], **noisy),
    ]
    x, w = jax.random.normal(key, (4, *n)), jax.random.normal(jax.random.fold_in(key, 1), n)
    for device in devices:
        shots = [np.asarray(convolve(x, w, device, jax.random.fold_in(key, i))) for i in (0, 0, 1)]
        np.testing.assert_array_equal(shots[0], shots[1])
        assert relative(shots[0], shots[2]) > 1e-3
        assert 1e-3 < relative(shots[0], exact(x, w).real) < 0.5


def test_real_lenses_in_a_correlator(key):
    transfer = optics.compile_transfer(optics.FourierLens(**LENS))
    gains = optics.calibrate(optics.FourierProcessor(transfer))
    device = optics.Correlator(transfer, input_gain=gains.input_gain, output_gain=gains.output_gain)
    x, w = jax.random.normal(key, (3, 11, 11)), jax.random.normal(jax.random.fold_in(key, 1), (11, 11))
    assert relative(convolve(x, w, device), exact(x, w).real) <= 5e-3
    assert relative(convolve(x, w, optics.Correlator(transfer)), exact(x, w).real) > 0.1


def test_a_phase_only_filter_convolves_with_the_phases_of_the_kernel(key):
    n = (4, 5)
    x, w = jax.random.normal(key, (3, *n)), jax.random.normal(jax.random.fold_in(key, 1), n)
    spectrum = scipy.fft.fft2(np.asarray(w, float))
    # Amplitude 1 in the unitary spectrum, so √pixels in that of scipy.
    wanted = scipy.fft.ifft2(
        scipy.fft.fft2(np.asarray(x, float)) * spectrum / np.abs(spectrum)
    ).real * np.sqrt(20)
    found = convolve(x, w, optics.Correlator(optics.dft(n), encode_filter=phase_only))
    assert relative(found, wanted) <= 1e-4
    drive, scale = phase_only(jnp.array([[0.0 + 0j, 3j]]))
    np.testing.assert_allclose(drive, [[1, 1j]])
    assert scale.shape == (1, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda t: optics.Correlator(t, optics.dft(4)),
            r"`first` and `second` must have the same pixels, got \(3, 3\) and \(4, 4\)",
        ),
        (lambda t: optics.Correlator(t, headroom=0.5), "`headroom` must be finite and at least 1"),
        (lambda t: optics.Correlator(t, filter=(effects.Read(0.1),)), "`filter` cannot hold Read"),
        (
            lambda t: optics.Correlator(t, input_gain=jnp.ones(4)),
            r"`input_gain` must be a scalar or have the shape \(3, 3\)",
        ),
        (lambda t: optics.Correlator(t, encoder="complex"), "`encoder` must be an `Encoder`"),
        (lambda t: optics.FourierProcessor(t, encoder=jnp.abs), "`encoder` must be an `Encoder`"),
        (
            lambda t: optics.FourierProcessor(t, input_gain=optics.dft(4)),
            r"`input_gain` must have the shape \(3, 3\) of the transfer, got \(4, 4\)",
        ),
        (
            lambda t: optics.JointTransform(optics.dft((3, 15)), 3, input_gain=jnp.nan),
            "`input_gain` must be finite, got nan",
        ),
        (
            lambda t: optics.JointTransform(optics.dft((3, 15)), 3, output_gain=jnp.ones(4)),
            r"`output_gain` must be a scalar or have the shape \(3, 15\)",
        ),
        (
            lambda t: optics.JointTransform(t, 3),
            "`transfer` must have at least 15 columns, and 3 or at least 5 rows, .*, got 3×3",
        ),
        (lambda t: optics.JointTransform(optics.dft((4, 15)), 3), "3 or at least 5 rows"),
        (
            lambda t: optics.JointTransform(optics.dft((3, 15)), 3, camera=(effects.BalancedShot(10),)),
            "`camera` cannot hold BalancedShot",
        ),
        (
            lambda t: optics.JointTransform(optics.dft((3, 15)), 3, optics.Coherent),
            "`measurement` must be an `AbstractMeasurement`",
        ),
        (
            lambda t: optics.transform(jnp.ones((3, 3)), optics.Correlator(t)),
            "`device` Correlator has no transform of its own",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(optics.dft(3))


def test_pixels_light_the_parts_that_a_lens_divides_them_into(key):
    lens = optics.FourierLens(4, pitch=20e-6, wavelength=633e-9, oversampling=4, subpixels=2)
    device = optics.FourierProcessor(optics.compile_transfer(lens))
    a = jax.random.normal(key, (4, 4))
    in_parts = device.transfer(jnp.kron(a, jnp.ones((2, 2))) + 0j)
    assert relative(device.transform(a), in_parts) <= 1e-5
    with pytest.raises(ValueError, match=r"`transfer` takes 8×8 pixels of light, but .* give 12×12"):
        optics.FourierProcessor(device.transfer, encoder=optics.encode.Superpixel(3))
