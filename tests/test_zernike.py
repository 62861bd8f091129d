"""Zernike polynomials: Noll's table, orthonormality by exact quadrature, and aberrations made of them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optics import wave
from tests.helpers import relative

# Noll (1976), table I, up to the first spherical aberration.
TABLE = {
    1: lambda r, t: 1 + 0 * r,
    2: lambda r, t: 2 * r * np.cos(t),
    3: lambda r, t: 2 * r * np.sin(t),
    4: lambda r, t: math.sqrt(3) * (2 * r**2 - 1),
    5: lambda r, t: math.sqrt(6) * r**2 * np.sin(2 * t),
    6: lambda r, t: math.sqrt(6) * r**2 * np.cos(2 * t),
    7: lambda r, t: math.sqrt(8) * (3 * r**3 - 2 * r) * np.sin(t),
    8: lambda r, t: math.sqrt(8) * (3 * r**3 - 2 * r) * np.cos(t),
    9: lambda r, t: math.sqrt(8) * r**3 * np.sin(3 * t),
    10: lambda r, t: math.sqrt(8) * r**3 * np.cos(3 * t),
    11: lambda r, t: math.sqrt(5) * (6 * r**4 - 6 * r**2 + 1),
}
RADII, ANGLES = np.meshgrid(np.linspace(0, 1, 9), np.linspace(-3, 3, 7), indexing="ij")


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("index", TABLE)
def test_noll_table(index):
    expected = TABLE[index](RADII, ANGLES)
    np.testing.assert_allclose(wave.zernike(index, RADII, ANGLES), expected, atol=1e-14)
    np.testing.assert_allclose(
        wave.zernike_xy(index, RADII * np.cos(ANGLES), RADII * np.sin(ANGLES)), expected, atol=1e-14
    )


def test_noll_order():
    # Each order n holds n + 1 polynomials, |m| rises within it, and even indices are cosines.
    index = 0
    for n in range(12):
        orders = [wave.noll(index + 1 + i) for i in range(n + 1)]
        assert [o[0] for o in orders] == [n] * (n + 1)
        assert [abs(o[1]) for o in orders] == sorted(abs(m) for m in range(-n, n + 1, 2))
        assert all(m == 0 or (m > 0) == ((index + 1 + i) % 2 == 0) for i, (_, m) in enumerate(orders))
        index += n + 1


@pytest.mark.usefixtures("x64")
def test_orthonormal():
    # Gauss in ρ², evenly spaced in θ: exact for products of polynomials of this order.
    nodes, weights = np.polynomial.legendre.leggauss(12)
    rho, theta = np.meshgrid(np.sqrt((nodes + 1) / 2), 2 * np.pi * np.arange(20) / 20, indexing="ij")
    weights = (weights[:, None] / 2 / 20 * np.ones(20)).ravel()
    values = np.stack([np.asarray(wave.zernike(j, rho, theta)).ravel() for j in range(1, 37)])
    np.testing.assert_allclose(values * weights @ values.T, np.eye(36), atol=1e-13)


def factorials(n, m, rho):
    """Noll (1976), eq. 2, in extended precision."""
    total = np.zeros_like(rho, dtype=np.longdouble)
    for s in range((n - m) // 2 + 1):
        term = math.factorial(n - s) // (
            math.factorial(s) * math.factorial((n + m) // 2 - s) * math.factorial((n - m) // 2 - s)
        )
        total += (-1) ** s * term * rho.astype(np.longdouble) ** (n - 2 * s)
    return total


@pytest.mark.parametrize("index", [36, 91, 200, 231])  # orders 7, 12, 19 and 20
def test_high_orders_in_single_precision(index):
    n, m = wave.noll(index)
    rho = np.linspace(0, 1, 200, dtype=np.float32)
    theta = np.float32(0.3)
    norm = math.sqrt((n + 1) * (1 if m == 0 else 2)) * (
        np.cos(m * float(theta)) if m >= 0 else np.sin(-m * float(theta))
    )
    expected = norm * factorials(n, abs(m), rho)
    result = np.asarray(wave.zernike(index, rho, theta))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected.astype(float), atol=5e-5)
    np.testing.assert_allclose(
        wave.zernike_xy(index, rho * np.cos(theta), rho * np.sin(theta)), expected.astype(float), atol=1e-4
    )


def test_derivatives_in_the_middle():
    # Exact there: tilt, defocus and astigmatism have known first and second derivatives, and none is NaN.
    def all_of(p):
        return jnp.stack([wave.zernike_xy(j, p[0], p[1]) for j in (*range(1, 12), 22, 36)])

    slopes, curves = map(
        np.asarray,
        jax.jit(lambda p: (jax.jacfwd(all_of)(p), jax.jacfwd(jax.jacfwd(all_of))(p)))(jnp.zeros(2)),
    )
    assert np.all(np.isfinite(slopes)) and np.all(np.isfinite(curves))
    np.testing.assert_allclose(slopes[1:3], 2 * np.eye(2), rtol=1e-6)
    np.testing.assert_allclose(slopes[6:8], -2 * math.sqrt(8) * np.eye(2)[::-1], rtol=1e-6)
    np.testing.assert_allclose(curves[3], 4 * math.sqrt(3) * np.eye(2), rtol=1e-6)
    np.testing.assert_allclose(curves[4], 2 * math.sqrt(6) * np.eye(2)[::-1], rtol=1e-6)
    np.testing.assert_allclose(curves[5], 2 * math.sqrt(6) * np.diag([1, -1]), rtol=1e-6)


SHAPE, DX, RADIUS = (64, 48), 0.1, 2.0
CENTRE = (0.13, -0.21)


def polar(centre=(0.0, 0.0)):
    y, x = ((np.arange(n) - n // 2) * DX - c for n, c in zip(SHAPE, centre, strict=True))
    return np.hypot(y[:, None], x) / RADIUS, np.arctan2(y[:, None], x + 0 * y[:, None])


def test_aberration():
    rho, theta = polar(CENTRE)
    inside = rho < 2
    waves = np.random.default_rng(0).normal(size=11)
    expected = np.exp(2j * np.pi * sum(c * TABLE[j + 1](rho, theta) for j, c in enumerate(waves)))
    result = np.asarray(wave.aberration(SHAPE, DX, RADIUS, waves, CENTRE))
    assert result.dtype == np.complex64
    # Tens of waves, and still single precision.
    assert np.max(np.abs(result - expected)[inside]) <= 1e-6
    np.testing.assert_allclose(np.abs(result), 1, rtol=1e-6)
    named = wave.aberration(
        SHAPE, DX, RADIUS, {j + 1: c for j, c in reversed(list(enumerate(waves)))}, CENTRE
    )
    assert np.max(np.abs(named - expected)[inside]) <= 1e-6
    assert (
        relative(
            wave.aberration(SHAPE, DX, RADIUS, {4: 0.2}), wave.aberration(SHAPE, DX, RADIUS, [0, 0, 0, 0.2])
        )
        <= 1e-6
    )
    np.testing.assert_array_equal(wave.aberration(SHAPE, DX, RADIUS, ()), np.ones(SHAPE))


@pytest.mark.usefixtures("x64")
def test_aberration_in_double_precision():
    rho, theta = polar()
    result = np.asarray(wave.aberration(SHAPE, DX, RADIUS, {11: 0.7, 8: -0.3}))
    expected = np.exp(2j * np.pi * (0.7 * TABLE[11](rho, theta) - 0.3 * TABLE[8](rho, theta)))
    assert np.max(np.abs(result - expected)[rho < 2]) <= 1e-12


def test_strehl_ratio():
    # Mahajan: exp(−(2π σ)²) for small rms aberrations; the coefficients are rms waves.
    waves = {4: 0.02, 7: -0.03, 11: 0.025}
    pupil = wave.aperture(SHAPE, DX, RADIUS)
    ratio = abs(np.sum(pupil * wave.aberration(SHAPE, DX, RADIUS, waves)) / np.sum(pupil)) ** 2
    assert ratio == pytest.approx(np.exp(-((2 * np.pi) ** 2) * sum(c**2 for c in waves.values())), rel=5e-3)


def test_defocus_is_the_fourth():
    # Moving the focus by d adds d R² / (2 f²) waves at the rim; Z4 swings by 2√3 from middle to rim.
    wavelength, f, distance, radius = 532e-9, 0.2, 1e-3, 1e-3
    waves = -distance * radius**2 / (2 * f * (f + distance)) / wavelength / (2 * math.sqrt(3))
    result = wave.aberration(SHAPE, 3e-5, radius, {4: waves}) * np.exp(2j * np.pi * waves * math.sqrt(3))
    assert relative(np.conj(result), wave.defocus(SHAPE, 3e-5, wavelength, f, distance)) <= 1e-5


def test_gradients_of_aberrations():
    target = jnp.exp(0.03j * jnp.arange(48) ** 1.5)

    def overlap(waves, radius, centre, dx):
        return jnp.abs(jnp.sum(target * wave.aberration(SHAPE, dx, radius, waves, centre))) ** 2

    point = [np.float32(v) for v in (np.linspace(0.3, -0.2, 11), RADIUS, CENTRE, DX)]
    slopes = jax.jit(jax.grad(overlap, (0, 1, 2, 3)))(*point)
    with jax.enable_x64(True):
        expected = jax.jit(jax.grad(overlap, (0, 1, 2, 3)))(*(np.asarray(p, float) for p in point))
    for result, exact in zip(slopes, expected, strict=True):
        assert relative(result, exact) <= 1e-4
    far = jax.jit(jax.grad(lambda c, radius: overlap({66: c}, radius, (0.0, 0.0), DX), (0, 1)))(
        0.1, 1e-9 * RADIUS
    )
    assert all(np.all(np.isfinite(slope)) for slope in far)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wave.zernike(0, 0.5, 0.0), "`index`"),
        (lambda: wave.zernike_xy(-3, 0.5, 0.0), "`index`"),
        (
            lambda: wave.aberration(SHAPE, DX, RADIUS, {0: 0.1}),
            "`index`",
        ),
        (lambda: wave.aberration(SHAPE, DX, RADIUS, {2.5: 0.1}), "`index`"),
        (
            lambda: wave.aberration(SHAPE, DX, RADIUS, 0.1),
            r"`coefficients` must be a vector of waves in Noll's order or a mapping .* got 0.1",
        ),
        (
            lambda: wave.aberration(SHAPE, DX, RADIUS, np.ones((2, 2))),
            "`coefficients`",
        ),
        (lambda: wave.aberration(SHAPE, DX, RADIUS, [0.1, np.nan]), "`coefficients`"),
        (
            lambda: wave.aberration(SHAPE, DX, RADIUS, {4: np.inf}),
            "`coefficients`",
        ),
        (lambda: wave.aberration(SHAPE, DX, 0.0, [0.1]), "`radius`"),
        (lambda: wave.aberration(SHAPE, 0.0, RADIUS, [0.1]), "`dx`"),
        (lambda: wave.aberration(SHAPE, DX, RADIUS, [0.1], (1.0,)), "`centre`"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
