"""The angular spectrum: accuracy in both precisions, gradients, one trace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optics import wave
from tests.helpers import relative

N, DX, WAVELENGTH = 256, 8e-6, 532e-9

# The transfer function itself is compared here, whether or not a plane of 256 samples carries the light.
beyond_critical = pytest.mark.filterwarnings("ignore::optics.wave.SamplingWarning")


def reference(u, dx, wavelength, z):
    """The angular spectrum in float64, written as textbooks do, with the piston taken out at the end."""
    fy, fx = (np.fft.fftfreq(n, dx) for n in u.shape)
    k = 2 * np.pi / wavelength
    root = np.sqrt(1 - wavelength**2 * (fy[:, None] ** 2 + fx[None, :] ** 2) + 0j)
    return np.fft.ifft2(np.fft.fft2(u.astype(complex)) * np.exp(1j * k * z * (root - 1)))


def field(seed=0, n=N):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))


@beyond_critical
@pytest.mark.parametrize("z", [0.0, 0.01, 0.0308, 0.1, 0.25, 0.5, -0.1])
def test_single_precision_agrees_with_double(z):
    # Noise fills the whole band, so that the largest phases count as much as the smallest.
    u = field().astype(np.complex64)
    result = wave.angular_spectrum(u, DX, WAVELENGTH, z)
    assert result.dtype == jnp.complex64
    assert relative(result, reference(u, DX, WAVELENGTH, z)) <= 1e-6
    # The same with the numbers traced: they are float32 then, and so are those of the reference.
    traced = jax.jit(wave.angular_spectrum)(u, jnp.float32(DX), jnp.float32(WAVELENGTH), jnp.float32(z))
    assert (
        relative(
            traced, reference(u, float(np.float32(DX)), float(np.float32(WAVELENGTH)), float(np.float32(z)))
        )
        <= 1e-6
    )


def test_the_usual_formula_fails_this_test():
    # k z √(1 − s) in float32, as other codes have it: the tolerance above means something.
    u = field().astype(np.complex64)
    fx = jnp.fft.fftfreq(N, DX)
    s = WAVELENGTH**2 * (fx[:, None] ** 2 + fx[None, :] ** 2)
    k, z = 2 * jnp.pi / WAVELENGTH, 0.1
    usual = jnp.fft.ifft2(jnp.fft.fft2(u) * jnp.exp(1j * (k * z * jnp.sqrt(1 - s)))) * np.exp(-1j * k * z)
    assert relative(usual, reference(u, DX, WAVELENGTH, z)) > 1e-3


@beyond_critical
@pytest.mark.usefixtures("x64")
def test_double_precision():
    u = field()
    assert relative(wave.angular_spectrum(u, DX, WAVELENGTH, 0.1), reference(u, DX, WAVELENGTH, 0.1)) <= 1e-9


@pytest.mark.parametrize("z", [0.01, 0.05])
def test_gaussian_beam(z):
    # Siegman, Lasers (1986), 17.1: 1/q(z) = 1/(q(0) + z).
    waist = 200e-6
    x = (np.arange(N) - N // 2) * DX
    r2 = x[:, None] ** 2 + x[None, :] ** 2
    rayleigh = np.pi * waist**2 / WAVELENGTH
    beam = 1 / (1 + 1j * z / rayleigh) * np.exp(-r2 / waist**2 / (1 + 1j * z / rayleigh))
    result = np.asarray(wave.angular_spectrum(np.exp(-r2 / waist**2), DX, WAVELENGTH, z))
    # The beam is the paraxial solution: the two may differ by (λ / π w)² / 8 · z/z_R of its phase.
    assert relative(result, beam) <= 2e-6


@beyond_critical
def test_energy_and_return(key):
    u = jax.random.normal(key, (3, 64, 64))
    there = wave.angular_spectrum(u, DX, WAVELENGTH, 0.02)
    assert np.isclose(np.sum(np.abs(there) ** 2), np.sum(u**2), rtol=1e-6)
    assert relative(wave.angular_spectrum(there, DX, WAVELENGTH, -0.02), u) <= 1e-6


def test_evanescent_waves_decay_and_have_gradients():
    dx = WAVELENGTH / 4  # the corner of the spectrum is at s = 8
    fx = np.fft.fftfreq(32, dx)
    s = WAVELENGTH**2 * (fx[:, None] ** 2 + fx[None, :] ** 2)
    for z in (1e-6, -1e-6):
        kept = np.abs(np.asarray(wave.transfer_function((32, 32), dx, WAVELENGTH, z)))
        decay = np.exp(-2 * np.pi / WAVELENGTH * abs(z) * np.sqrt(np.maximum(s - 1, 0)))
        np.testing.assert_allclose(kept, decay, atol=1e-6)

    def power(dx, wavelength, z):
        return jnp.sum(jnp.abs(wave.angular_spectrum(jnp.eye(32), dx, wavelength, z)[8]) ** 2)

    # At half a wavelength s = 1 exactly, where the root has no slope.
    slopes = jax.jit(jax.grad(power, (0, 1, 2)))
    for spacing in (dx, WAVELENGTH / 2):
        assert np.all(np.isfinite(slopes(spacing, WAVELENGTH, 1e-6)))


@beyond_critical
def test_gradients_against_double_precision():
    # Over 0.1 m the phase is 1e6 rad; float32 codes have gradients of noise here.
    u = field(3, 64).astype(np.complex64)
    target = field(4, 64).astype(np.complex64)

    def overlap(dx, wavelength, z, f):
        lens = wave.lens((64, 64), dx, wavelength, f)
        return jnp.real(jnp.vdot(target, wave.angular_spectrum(lens * u, dx, wavelength, z)))

    point = tuple(float(np.float32(p)) for p in (DX, WAVELENGTH, 0.1, 0.2))
    single = jax.jit(jax.grad(overlap, (0, 1, 2, 3)))(*map(jnp.float32, point))
    with jax.enable_x64(True):
        for i, p in enumerate(point):
            step = [np.zeros(4) for _ in range(2)]
            step[0][i], step[1][i] = 1e-7 * p, -1e-7 * p
            up, down = (float(overlap(*(np.asarray(point) + s))) for s in step)
            assert np.isclose(single[i], (up - down) / (2e-7 * p), rtol=1e-4)


def test_a_sweep_is_one_trace():
    traces = 0

    @jax.jit
    def run(z):
        nonlocal traces
        traces += 1
        return wave.angular_spectrum(jnp.ones((8, 8)), DX, WAVELENGTH, z)

    for z in (0.01, 0.02, 0.03):
        run(z)
    assert traces == 1
    swept = jax.vmap(run)(jnp.array([0.01, 0.02]))
    np.testing.assert_allclose(swept[1], run(0.02), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wave.angular_spectrum(jnp.ones(8), DX, WAVELENGTH, 0.1), "`u`"),
        (
            lambda: wave.angular_spectrum(jnp.ones((8, 8)), -DX, WAVELENGTH, 0.1),
            r"`dx` must be finite and above 0 m, got -8e-06",
        ),
        (
            lambda: wave.angular_spectrum(jnp.ones((8, 8)), DX, 0.0, 0.1),
            "`wavelength`",
        ),
        (
            lambda: wave.angular_spectrum(jnp.ones((8, 8)), DX, float("nan"), 0.1),
            "`wavelength`",
        ),
        (
            lambda: wave.angular_spectrum(jnp.ones((8, 8)), DX, WAVELENGTH, "far"),
            "`z`",
        ),
        (
            lambda: wave.angular_spectrum(jnp.ones((8, 8)), DX, WAVELENGTH, np.inf),
            "`z`",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_second_derivatives_backwards_over_backwards():
    field = jnp.exp(-(jnp.linspace(-2, 2, 8) ** 2))[:, None] * jnp.ones(8)

    def power(wavelength):
        u = wave.angular_spectrum(field * wave.lens((8, 8), 20e-6, wavelength, 0.05), 20e-6, wavelength, 1e-3)
        return jnp.abs(u[4, 2]) ** 2 * 1e6

    result = jax.jit(jax.grad(jax.grad(power)))(1e-6)
    with jax.enable_x64(True):
        expected = jax.jit(jax.grad(jax.grad(power)))(1e-6)
    assert result == pytest.approx(float(expected), rel=1e-2)
