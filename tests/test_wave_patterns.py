"""Diffraction patterns that textbooks give in closed form."""

import jax
import numpy as np
import pytest
import scipy.special

from optics import wave

WAVELENGTH = float(np.float32(532e-9))


def single(*numbers):
    """The numbers as single precision holds them, for a compiled function and for its reference."""
    return tuple(float(np.float32(v)) for v in numbers)


def axis(n, dx):
    return (np.arange(n) - n // 2) * dx


def airy(r, radius, distance):
    """Goodman (2005), eq. 4-31, peak 1."""
    v = 2 * np.pi * radius * r / (WAVELENGTH * distance)
    return np.where(v, 2 * scipy.special.j1(v) / np.where(v, v, 1), 1) ** 2


def test_airy_pattern_in_the_far_field():
    n, (dx, radius, z) = 512, single(0.5e-6, 100.2e-6, 0.3)
    result = jax.jit(
        lambda dx, radius, *p: abs(wave.fraunhofer(wave.aperture((n, n), dx, radius), dx, *p)) ** 2
    )(dx, radius, WAVELENGTH, z)
    spacing, _ = wave.fraunhofer_spacing((n, n), dx, WAVELENGTH, z)
    x = axis(n, spacing)
    # The peak itself is π R² / λz.
    peak = (np.pi * radius**2 / (WAVELENGTH * z)) ** 2
    assert np.max(np.abs(result / peak - airy(np.hypot(x[:, None], x), radius, z))) <= 1e-5


def test_airy_pattern_in_the_focus_of_a_lens():
    n, (dx, radius, f, dx_out, aside) = 512, single(4e-6, 0.81e-3, 0.1, 0.9e-6, 40e-6)

    @jax.jit
    def intensity(dx, radius, f, dx_out, aside):
        u = wave.aperture((n, n), dx, radius) * wave.lens((n, n), dx, WAVELENGTH, f)
        return abs(wave.zoom(u, dx, WAVELENGTH, f, dx_out, (60, 200), (0.0, aside))) ** 2

    result = intensity(dx, radius, f, dx_out, aside)
    y, x = axis(60, dx_out), axis(200, dx_out) + aside
    peak = (np.pi * radius**2 / (WAVELENGTH * f)) ** 2
    assert np.max(np.abs(result / peak - airy(np.hypot(y[:, None], x), radius, f))) <= 1e-5


def test_airy_pattern_by_the_angular_spectrum():
    # The pattern itself is paraxial: at the rim (R/f)² = 5e-4 of its peak is all that the two may differ by.
    n, (dx, radius, f) = 1024, single(4e-6, 0.7e-3, 0.03)

    @jax.jit
    def intensity(dx, radius, f):
        u = wave.aperture((n, n), dx, radius) * wave.spherical_lens((n, n), dx, WAVELENGTH, f)
        return abs(wave.angular_spectrum(u, dx, WAVELENGTH, f)[n // 2]) ** 2

    result = intensity(dx, radius, f)
    x = axis(n, dx)
    inside = np.abs(x) < 2e-4
    peak = (np.pi * radius**2 / (WAVELENGTH * f)) ** 2
    assert np.max(np.abs(result / peak - airy(np.abs(x), radius, f))[inside]) <= 1e-3


def test_sinc_pattern_of_a_rectangle():
    n, (dx, z, *size), (dx_out, *shift) = (
        512,
        single(0.5e-6, 0.2, 200e-6, 150.25e-6),
        single(31e-6, 3e-4, -1e-4),
    )

    @jax.jit
    def both(dx, z, size, dx_out, shift):
        u = wave.rectangle((n, n), dx, size)
        focused = wave.zoom(
            u * wave.lens((n, n), dx, WAVELENGTH, z), dx, WAVELENGTH, z, dx_out, (40, 50), shift
        )
        return wave.fraunhofer(u, dx, WAVELENGTH, z), focused

    far, focused = both(dx, z, size, dx_out, shift)
    peak = size[0] * size[1] / (WAVELENGTH * z)

    def sinc(y, x):
        return np.sinc(size[0] * y / (WAVELENGTH * z))[:, None] * np.sinc(size[1] * x / (WAVELENGTH * z))

    spacing, _ = wave.fraunhofer_spacing((n, n), dx, WAVELENGTH, z)
    result = np.abs(np.asarray(far)) ** 2 / peak**2
    assert np.max(np.abs(result - sinc(axis(n, spacing), axis(n, spacing)) ** 2)) <= 1e-5
    y, x = axis(40, dx_out) + shift[0], axis(50, dx_out) + shift[1]
    assert np.max(np.abs(np.abs(np.asarray(focused)) ** 2 / peak**2 - sinc(y, x) ** 2)) <= 1e-5
    # And the field: Goodman (2005), eq. 5-14, without the piston.
    curved = np.exp(1j * np.pi * (y[:, None] ** 2 + x**2) / (WAVELENGTH * z)) / 1j
    assert np.max(np.abs(np.asarray(focused) / peak - curved * sinc(y, x))) <= 2e-4


def fresnel_slit(x, half, z):
    """Goodman (2005), section 4.5.1: a slit of half width `half` under a plane wave of amplitude 1."""
    scale = np.sqrt(2 / (WAVELENGTH * z))
    (s2, c2), (s1, c1) = scipy.special.fresnel(scale * (half - x)), scipy.special.fresnel(-scale * (half + x))
    return (c2 - c1 + 1j * (s2 - s1)) / np.sqrt(2j)


def test_square_aperture_against_fresnel_integrals():
    # From 9.4 Fresnel zones in its half width to 0.94.
    half, dx, n = 0.5e-3, 1.25e-6, 1024
    square = wave.rectangle((n, n), dx, (2 * half, 2 * half))
    zoom = jax.jit(lambda z: wave.zoom(square, dx, WAVELENGTH, z, 20e-6, (48, 64), (2e-4, 0.0)))
    for z in (0.05, 0.1, 0.5):
        expected = fresnel_slit(axis(48, 20e-6) + 2e-4, half, z)[:, None] * fresnel_slit(
            axis(64, 20e-6), half, z
        )
        assert np.max(np.abs(zoom(z) - expected)) <= 1e-3 * np.max(np.abs(expected))


def test_slit_against_fresnel_integrals():
    # Where every wave of the grid stays on it, over the lit part of the plane.
    n, (half, dx, z) = 2**14, single(0.5e-3, 2e-6, 0.1)
    slit = wave.rectangle((1, n), dx, (1.0, 2 * half))
    x = axis(n, dx)
    inside = np.abs(x) < 2 * half
    expected = fresnel_slit(x, half, z)
    propagators = wave.angular_spectrum, wave.band_limited_angular_spectrum, wave.fresnel
    for result in jax.jit(lambda *p: [propagate(slit, *p) for propagate in propagators])(dx, WAVELENGTH, z):
        assert np.max(np.abs(np.asarray(result) - expected)[0, inside]) <= 1e-3 * np.max(np.abs(expected))


def beam_parameters(u, dx):
    """Radius w and curvature radius R of a beam, from moments along a row (Siegman, 17.1 and 17.6)."""
    u = np.asarray(u, complex)
    x = axis(u.shape[1], dx)
    power = np.sum(np.abs(u) ** 2)
    second = np.sum(np.abs(u) ** 2 * x**2) / power
    slope = np.fft.ifft(np.fft.fft(u, axis=1) * 2j * np.pi * np.fft.fftfreq(x.size, dx), axis=1)
    bent = np.sum(np.imag(np.conj(u) * slope) * x) / power
    return 2 * np.sqrt(second), 2 * np.pi / WAVELENGTH * second / bent


@pytest.mark.parametrize("name", ["angular spectrum", "band limited", "fresnel", "impulse response", "zoom"])
def test_gaussian_beam(name):
    n, (waist, dx, z) = 128, single(150e-6, 12e-6, 0.03 if name in ("angular spectrum", "fresnel") else 0.1)
    out = 1.5 * dx if name == "zoom" else dx
    propagate = {
        "angular spectrum": wave.angular_spectrum,
        "band limited": wave.band_limited_angular_spectrum,
        "fresnel": wave.fresnel,
        "impulse response": wave.fresnel_impulse_response,
        "zoom": lambda *p: wave.zoom(*p, out, (n, n)),
    }[name]
    result = jax.jit(lambda waist, dx, *p: propagate(wave.gaussian((n, n), dx, waist), dx, *p))(
        waist, dx, WAVELENGTH, z
    )
    # 1/q(z) = 1/(q(0) + z): Siegman (1986), eqs. 17.3 to 17.5.
    rayleigh = np.pi * waist**2 / WAVELENGTH
    expected = waist * np.sqrt(1 + (z / rayleigh) ** 2), z * (1 + (rayleigh / z) ** 2)
    np.testing.assert_allclose(beam_parameters(result, out), expected, rtol=1e-6)
