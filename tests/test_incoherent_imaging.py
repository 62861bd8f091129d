"""The optical transfer function: an autocorrelation, that of a circle, of prysm, and the image of points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from optics import light, wave

WAVELENGTH, DX, F = 532e-9, 10e-6, 0.05


def aberrated(shape, rms=0.15):
    """A circular pupil with coma, astigmatism and defocus."""
    stop = wave.aperture(shape, DX, 0.45 * min(shape) * DX)
    waves = wave.aberration(shape, DX, 0.45 * min(shape) * DX, (0.0, 0.0, 0.0, rms, 0.2, -0.1, 0.3))
    return np.asarray(stop * waves)


@pytest.mark.parametrize("shape", [(16, 16), (15, 20), (1, 9), (33, 32)])
def test_autocorrelation(shape):
    rng = np.random.default_rng(sum(shape))
    pupil = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    double = pupil.astype(complex)
    # correlate(a, a)[s] = Σ a(p + s) a*(p); the transfer function has the shift on the conjugate.
    direct = np.conj(scipy.signal.correlate(double, double, method="direct"))
    exact = np.zeros((2 * shape[0], 2 * shape[1]), complex)
    exact[1:, 1:] = direct / np.sum(np.abs(double) ** 2)
    result = np.asarray(wave.optical_transfer_function(pupil))
    assert result.shape == exact.shape and result.dtype == np.complex64
    assert result[shape[0], shape[1]] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(result, exact, atol=1e-5)


def test_the_circular_pupil():
    """2/π (acos s − s √(1 − s²)): discs of ones with middles all over a sample, as on a fine grid."""
    radius, n, steps = 60.0, 128, 24
    offsets = (np.arange(steps) + 0.5) / steps - 0.5

    @jax.jit
    def of_disc(y, x):
        grid = jnp.arange(n) - n // 2
        inside = ((grid[:, None] - y) ** 2 + (grid - x) ** 2 <= radius**2).astype(jnp.float32)
        return jnp.sum(inside), wave.optical_transfer_function(inside).real

    total, weights = 0.0, 0.0
    for y in offsets:
        share, transfer = jax.vmap(of_disc, (None, 0))(y, offsets)
        total, weights = total + np.einsum("k,kij->ij", share, transfer, dtype=float), weights + share.sum()
    shift = np.arange(2 * n) - n
    s = np.minimum(np.hypot(shift[:, None], shift) / (2 * radius), 1)
    exact = 2 / np.pi * (np.arccos(s) - s * np.sqrt(1 - s**2))
    np.testing.assert_allclose(total / weights, exact, atol=1e-5)


def test_against_prysm(x64):
    """Of the spread of a point, prysm's way, and its formula of a circle."""
    otf = pytest.importorskip("prysm.otf")
    pupil = aberrated((48, 48))
    padded = np.pad(pupil, 24)
    spread = np.abs(wave.focus(padded, DX, WAVELENGTH, F)) ** 2
    dx_out = WAVELENGTH * F / (96 * DX)
    result = np.asarray(wave.optical_transfer_function(pupil))
    np.testing.assert_allclose(result, otf.otf_from_psf(spread, dx_out * 1e6).data, atol=1e-12)
    np.testing.assert_allclose(np.abs(result), otf.mtf_from_psf(spread, dx_out * 1e6).data, atol=1e-12)
    # In units of prysm: f-number, µm, cycles a millimetre. The edge of a stop on samples errs by 1/(3R).
    radius = 200.0
    stop = wave.aperture((420, 420), 1.0, radius)
    along = np.asarray(wave.optical_transfer_function(stop))[420, 420:].real
    fno, frequency = F / (2 * radius * DX), np.arange(420) * DX / (WAVELENGTH * F) * 1e-3
    expected = otf.diffraction_limited_mtf(fno, WAVELENGTH * 1e6, frequency)
    np.testing.assert_allclose(along, expected, atol=1 / (3 * radius))


def points():
    """Powers of points of a scene on 64 × 64 samples."""
    scene = np.zeros((64, 64), np.float32)
    for y, x, power in ((32, 32, 1.0), (20, 40, 0.5), (41, 27, 2.0), (33, 34, 0.7), (5, 60, 0.3)):
        scene[y, x] = power
    return scene


def image(scene, pupil):
    """What the transfer function makes of a scene."""
    transfer = jnp.fft.ifftshift(wave.optical_transfer_function(pupil))
    # Energy: what the pupil passes of a point.
    return jnp.fft.ifft2(jnp.fft.fft2(scene) * transfer).real * jnp.sum(jnp.abs(pupil) ** 2)


def test_an_incoherent_image_is_the_sum_over_points():
    """Each point is a plane wave on the pupil: 64 samples of the image are spaced by λ f / (64 dx)."""
    pupil, scene = aberrated((32, 32)), points()
    padded = np.pad(pupil, 16)
    frames = 0.0
    for y, x in np.argwhere(scene):
        angles = [np.arcsin(WAVELENGTH * (i - 32) / (64 * DX)) for i in (y, x)]
        field = padded * np.asarray(wave.tilt((64, 64), DX, WAVELENGTH, angles))
        # Energy of the focus over that of the pupil, whatever the spacings.
        focus = np.abs(wave.focus(field, DX, WAVELENGTH, F)) ** 2
        frames = frames + scene[y, x] * focus * (WAVELENGTH * F / (64 * DX**2)) ** 2
    result = np.asarray(image(scene, pupil))
    assert np.max(np.abs(result - frames)) <= 1e-5 * np.max(frames)


def test_an_extended_source_images_as_its_modes():
    """A disc of directions, mode by mode through the lens, is imaged by the spread of a point."""
    pupil = aberrated((32, 32))
    padded = np.pad(pupil, 16)
    source = light.disc(WAVELENGTH, 2.5 * WAVELENGTH / (64 * DX), 2, 6)

    def frame(weight, wavelength, tilt):
        field = padded * wave.tilt((64, 64), DX, wavelength, (tilt[0], tilt[1]))
        return weight * jnp.abs(wave.focus(field, DX, wavelength, F)) ** 2

    frames = jax.vmap(frame)(source.weights, source.wavelength, source.tilt).sum(0)
    # The transform of the source is its coherence between points of the pupil.
    lag = DX * (np.arange(64) - 32)
    separation = np.stack(np.meshgrid(lag, lag, indexing="ij"), -1)
    coherence = np.conj(light.coherence(source, separation=separation))
    transfer = np.fft.ifftshift(np.asarray(wave.optical_transfer_function(pupil)) * coherence)
    expected = np.fft.fftshift(np.fft.ifft2(transfer)).real * float(frames.sum())
    assert np.max(np.abs(frames - expected)) <= 1e-5 * expected.max()


def test_gradients_and_dark_pupils(x64):
    pupil = jnp.asarray(aberrated((12, 12)))

    @jax.jit
    def contrast(scale):
        waves = wave.aberration((12, 12), DX, 5 * DX, scale * jnp.array([0.0, 0.0, 0.0, 0.1, 0.05]))
        return jnp.sum(jnp.abs(wave.optical_transfer_function(pupil * waves)) ** 2)

    step = 1e-5
    numeric = (contrast(1 + step) - contrast(1 - step)) / (2 * step)
    assert jax.jit(jax.grad(contrast))(1.0) == pytest.approx(float(numeric), rel=1e-6)
    transfer = jax.jit(wave.optical_transfer_function)
    dark = jax.grad(lambda p: jnp.sum(jnp.abs(transfer(p)) ** 2))(jnp.zeros((4, 4)))
    assert np.all(np.isfinite(dark))
    assert np.all(transfer(jnp.zeros((4, 4))) == 0)
    stack = jnp.stack([pupil, pupil.conj()])
    np.testing.assert_allclose(jax.vmap(transfer)(stack), transfer(stack), atol=1e-12)
