"""Every propagator against the sum or integral that defines it; adjoints, energy, gradients."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from optics import wave
from tests.helpers import relative, with_slow

WAVELENGTH = 532e-9
SHAPE, OUT = (40, 32), (36, 45)
PI = np.longdouble("3.14159265358979323846264338327950288")


def noise(shape=SHAPE, seed=0):
    """Light that fills the whole band: the largest phases count as much as the smallest. Exact in float32."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64).astype(complex)


def grid(n, dx):
    return (np.arange(n) - n // 2) * np.longdouble(dx)


def turn(turns):
    """exp(2πi turns): whole turns are taken out in extended precision."""
    return np.exp(2j * PI * (turns - np.round(turns))).astype(complex)


def frequencies(shape, dx):
    return (
        np.expand_dims(np.fft.fftfreq(n).astype(np.longdouble) / np.longdouble(dx), 1 - axis)
        for axis, n in enumerate(shape)
    )


def plane_waves(u, dx, z):
    """Goodman (2005), eq. 3-74, in extended precision; the piston taken out at the end."""
    fy, fx = frequencies(u.shape, dx)
    per_metre = 1 / np.longdouble(WAVELENGTH)
    return scipy.fft.ifft2(scipy.fft.fft2(u) * turn(z * (np.sqrt(per_metre**2 - fx**2 - fy**2) - per_metre)))


def band_limited(u, dx, z, shift=(0.0, 0.0)):
    """Matsushima (2010), table 1 and the ellipses around it; `shift` within or beyond the plane's width."""
    rows, cols = u.shape
    fy, fx = frequencies((2 * rows, 2 * cols), dx)
    per_metre = 1 / np.longdouble(WAVELENGTH)
    root = np.sqrt(per_metre**2 - fx**2 - fy**2)
    transfer = turn(z * (root - per_metre) + fx * shift[1] + fy * shift[0])
    for f, other, offset, n in ((fx, fy, shift[1], cols), (fy, fx, shift[0], rows)):
        width = n * dx
        plus, minus = (((offset + sign * width) ** -2 * z**2 + 1) ** -0.5 / WAVELENGTH for sign in (1, -1))

        def ellipse(limit, f=f, other=other):
            return (f / limit) ** 2 + (other * WAVELENGTH) ** 2

        if width < offset:
            kept = (f > 0) & (ellipse(plus) <= 1) & (ellipse(minus) >= 1)
        else:
            assert -width <= offset
            kept = ((f > 0) & (ellipse(plus) <= 1)) | ((f <= 0) & (ellipse(minus) <= 1))
        transfer = transfer * kept
    return scipy.fft.ifft2(scipy.fft.fft2(u, (2 * rows, 2 * cols)) * transfer)[:rows, :cols]


def paraxial_waves(u, dx, z):
    fy, fx = frequencies(u.shape, dx)
    return scipy.fft.ifft2(scipy.fft.fft2(u) * turn(-np.longdouble(WAVELENGTH) * z * (fx**2 + fy**2) / 2))


def integral(u, dx, z, dx_out=None, shape=None, shift=(0.0, 0.0), keep=True):
    """Goodman (2005), eq. 4-14, as a sum; eq. 4-25 without its curvature at the source, if not `keep`."""
    out = u
    for axis, (m, offset) in enumerate(zip(shape or u.shape, shift, strict=True)):
        x = grid(u.shape[axis], dx)
        x_out = grid(m, dx_out[axis] if isinstance(dx_out, tuple) else dx_out or dx) + np.longdouble(offset)
        path = (x_out[:, None] - x) ** 2 - (0 if keep else x**2)
        kernel = turn(path / (2 * np.longdouble(WAVELENGTH) * z)) * dx / np.sqrt(complex(1j * WAVELENGTH * z))
        out = np.moveaxis(np.tensordot(kernel, out, (1, axis)), 0, axis)
    return out


SHIFT, OUT_SHIFT = (0.4, 1.3), (1e-5, -2e-5)


def spaced(dx, z):
    return tuple(WAVELENGTH * z / (n * dx) for n in SHAPE)


def unchanged(dx, z):
    return dx, dx


class Propagator(NamedTuple):
    """A propagator and its truth: a new one is tested by one record."""

    call: Callable  # (u, dx, z) -> field
    truth: Callable  # (u, dx, z) -> field, the sum or integral that defines it, at least in double precision
    # Spacing of the plane: 1 is where the shorter axis has its critical distance at z.
    spacing: float = 1.02
    # (call, v, dx, z) -> the adjoint: propagation back. None where input and output are not the same points.
    adjoint: Callable | None = lambda call, v, dx, z: call(v, dx, -z)
    # (dx, z) -> spacings (dy', dx') of the result; None where light leaves the plane.
    energy: Callable | None = None
    # Relative error with traced numbers: a shift or a spacing that is made of them is rounded once more.
    traced: float = 1e-6
    # (u, dx, wavelength, z) -> field of 32 columns, for gradients; None where another record covers them.
    slopes: Callable | None = None

    def dx(self, z):
        return self.spacing * np.sqrt(WAVELENGTH * abs(z) / min(SHAPE))


def shift(dx, sign=1):
    return sign * SHIFT[0] * SHAPE[0] * dx, sign * SHIFT[1] * SHAPE[1] * dx


PROPAGATORS = {
    "angular spectrum": Propagator(
        lambda u, dx, z: wave.angular_spectrum(u, dx, WAVELENGTH, z),
        plane_waves,
        energy=unchanged,
        slopes=wave.angular_spectrum,
    ),
    "band limited": Propagator(
        lambda u, dx, z: wave.band_limited_angular_spectrum(u, dx, WAVELENGTH, z),
        band_limited,
        slopes=lambda *p: wave.band_limited_angular_spectrum(*p, shift=(1e-7, -5e-7)),
    ),
    "band limited, shifted": Propagator(
        lambda u, dx, z: wave.band_limited_angular_spectrum(u, dx, WAVELENGTH, z, shift(dx)),
        lambda u, dx, z: band_limited(u, dx, z, shift(dx)),
        spacing=0.6,
        adjoint=lambda call, v, dx, z: wave.band_limited_angular_spectrum(
            v, dx, WAVELENGTH, -z, shift(dx, -1)
        ),
        traced=1e-5,
    ),
    "fresnel": Propagator(
        lambda u, dx, z: wave.fresnel(u, dx, WAVELENGTH, z),
        paraxial_waves,
        energy=unchanged,
        slopes=wave.fresnel,
    ),
    "impulse response": Propagator(
        lambda u, dx, z: wave.fresnel_impulse_response(u, dx, WAVELENGTH, z),
        integral,
        spacing=0.7,
        slopes=wave.fresnel_impulse_response,
    ),
    "zoom": Propagator(
        lambda u, dx, z: wave.zoom(u, dx, WAVELENGTH, z, 0.8 * dx, OUT, OUT_SHIFT),
        lambda u, dx, z: integral(u, dx, z, 0.8 * dx, OUT, OUT_SHIFT),
        spacing=0.7,
        adjoint=None,  # the middle of its input is on the axis; see `test_zoom_back_is_its_adjoint`
        traced=1e-5,
        slopes=lambda *p: wave.zoom(*p, 1e-7, (32, 32), (1e-7, 2e-7)),
    ),
    "focus": Propagator(
        lambda u, dx, z: wave.focus(u, dx, WAVELENGTH, z),
        lambda u, dx, z: integral(u, dx, z, spaced(dx, z), keep=False),
        adjoint=None,
        energy=spaced,
    ),
    "fraunhofer": Propagator(
        lambda u, dx, z: wave.fraunhofer(u, dx, WAVELENGTH, z),
        lambda u, dx, z: integral(u, dx, z, spaced(dx, z), keep=False),
        spacing=0.1,
        adjoint=None,
        energy=spaced,
        slopes=wave.fraunhofer,
    ),
}
DIFFERENTIATED = [name for name, propagator in PROPAGATORS.items() if propagator.slopes]
CONSERVING = [name for name, propagator in PROPAGATORS.items() if propagator.energy]
BENCH = [0.01, 0.05, 0.5]


@functools.cache
def jitted(name):
    return jax.jit(PROPAGATORS[name].call)


@pytest.mark.parametrize("z", with_slow(BENCH, (0.01,)))
@pytest.mark.parametrize("name", PROPAGATORS)
@pytest.mark.every(5)
def test_single_precision(name, z):
    propagator = PROPAGATORS[name]
    dx = propagator.dx(z)
    result = propagator.call(noise().astype(np.complex64), dx, z)
    assert result.dtype == jnp.complex64
    assert relative(result, propagator.truth(noise(), dx, z)) <= 1e-6


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("z", BENCH)
@pytest.mark.parametrize("name", PROPAGATORS)
def test_double_precision(name, z):
    propagator = PROPAGATORS[name]
    dx = propagator.dx(z)
    result = jitted(name)(noise(), dx, z)
    assert result.dtype == jnp.complex128
    assert relative(result, propagator.truth(noise(), dx, z)) <= 1e-12


@pytest.mark.parametrize("name", PROPAGATORS)
def test_traced_numbers(name):
    # They are float32 then, and so are those of the reference.
    propagator = PROPAGATORS[name]
    z = float(np.float32(0.05))
    dx = float(np.float32(propagator.dx(z)))
    result = jitted(name)(noise().astype(np.complex64), jnp.float32(dx), jnp.float32(z))
    assert relative(result, propagator.truth(noise(), dx, z)) <= propagator.traced


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", PROPAGATORS)
@pytest.mark.every(2)
def test_adjoint(name):
    z = 0.05
    propagator = PROPAGATORS[name]
    call, dx = propagator.call, propagator.dx(z)
    u = jnp.asarray(noise())
    v = jnp.asarray(noise(jax.eval_shape(lambda u: call(u, dx, z), u).shape, 1))

    @jax.jit
    def both(u, v):
        there, back = jax.vjp(lambda u: call(u, dx, z), u)
        return there, jnp.conj(back(jnp.conj(v))[0])

    there, adjoint = both(u, v)
    tolerance = 1e-12 * jnp.linalg.norm(v) * jnp.linalg.norm(there)
    assert abs(jnp.vdot(v, there) - jnp.vdot(adjoint, u)) <= tolerance
    # Light is reversible: the adjoint is propagation back, from the same points to the same points.
    if propagator.adjoint is not None:
        assert relative(propagator.adjoint(call, v, dx, z), adjoint) <= 1e-12


@pytest.mark.usefixtures("x64")
def test_zoom_back_is_its_adjoint():
    u, v, dx, dx_out, z = noise(), noise(OUT, 1), 5e-6, 8e-6, 0.1
    there, back = jax.jit(
        lambda u, v: (
            wave.zoom(u, dx, WAVELENGTH, z, dx_out, OUT),
            wave.zoom(v, dx_out, WAVELENGTH, -z, dx, SHAPE),
        )
    )(u, v)
    np.testing.assert_allclose(np.vdot(v, there) * dx_out**2, np.vdot(back, u) * dx**2, rtol=1e-12)


@pytest.mark.parametrize("name", CONSERVING)
def test_energy(name):
    z = 0.1
    propagator = PROPAGATORS[name]
    dx = propagator.dx(z)
    there = np.asarray(propagator.call(noise().astype(np.complex64), dx, z), complex)
    power = np.sum(np.abs(there) ** 2) * np.prod(propagator.energy(dx, z))
    assert power == pytest.approx(np.sum(np.abs(noise()) ** 2) * dx**2, rel=1e-6)


def test_spacing_of_the_far_field():
    np.testing.assert_allclose(
        wave.fraunhofer_spacing(SHAPE, 1e-5, WAVELENGTH, 0.1), spaced(1e-5, 0.1), rtol=1e-12
    )


def test_transfer_and_impulse_response_meet():
    # And `zoom` at the same spacing: narrow light in the middle, a little above the critical distance.
    n, dx = 128, 8e-6
    z = float(wave.critical_distance((n, n), dx, WAVELENGTH)) * 1.01

    @jax.jit
    def three(dx, z):
        beam = wave.gaussian((n, n), dx, 90e-6, (20e-6, -40e-6))
        numbers = dx, WAVELENGTH, z
        return (
            wave.fresnel(beam, *numbers),
            wave.fresnel_impulse_response(beam, *numbers),
            wave.zoom(beam, *numbers, dx, (100, 90)),
        )

    result, same, inner = three(dx, z)
    assert relative(same, result) <= 1e-5
    assert relative(inner, np.asarray(result)[14:114, 19:109]) <= 1e-5


def test_one_dimensional_optics():
    # A line is light that is uniform along the other axis.
    dx, z = (float(np.float32(p)) for p in (8e-6, 0.03))
    line = noise((1, 64)).astype(np.complex64)
    kernel = (
        turn((grid(64, dx)[:, None] - grid(64, dx)) ** 2 / (2 * np.longdouble(WAVELENGTH) * z))
        * dx
        / np.sqrt(1j * WAVELENGTH * z)
    )
    expected = line @ kernel.T

    @jax.jit
    def lines(line, dx, z):
        numbers = dx, WAVELENGTH, z
        beam, near = wave.gaussian((1, 64), dx, 60e-6), (dx, WAVELENGTH, 0.1 * z)
        return (
            wave.fresnel_impulse_response(line, *numbers),
            wave.zoom(line, *numbers, dx, (3, 64)),
            wave.zoom(line.T, *numbers, dx, (64, 1)),
            wave.focus(line, *numbers),
            wave.angular_spectrum(beam, *near),
            wave.band_limited_angular_spectrum(beam, *near),
        )

    response, thrice, column, focused, periodic, limited = lines(line, jnp.float32(dx), jnp.float32(z))
    assert relative(response, expected) <= 1e-6
    assert relative(thrice, np.repeat(expected, 3, axis=0)) <= 1e-6
    assert relative(column, expected.T) <= 1e-6
    power = np.sum(np.abs(np.asarray(focused)) ** 2) * wave.fraunhofer_spacing((1, 64), dx, WAVELENGTH, z)[1]
    assert power == pytest.approx(np.sum(np.abs(line) ** 2) * dx, rel=1e-5)
    assert relative(limited, periodic) <= 1e-5


def power(call):
    return lambda u, dx, wavelength, z: jnp.sum(
        jnp.abs(call(u, dx, wavelength, z)) ** 2 * jnp.linspace(0, 1, 32)
    )


@functools.cache
def slopes(name):
    return jax.jit(jax.grad(power(PROPAGATORS[name].slopes), (0, 1, 2, 3)))


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_gradients_with_evanescent_waves_on_the_grid(name):
    u, point = noise((32, 32)).astype(np.complex64), (WAVELENGTH / 4, WAVELENGTH, 1e-6)
    result = slopes(name)(u, *map(jnp.float32, point))
    assert all(np.all(np.isfinite(slope)) for slope in result)
    assert all(np.any(np.asarray(slope) != 0) for slope in result)


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_gradients_against_differences_in_double_precision(name):
    u = noise((32, 32))
    point = [float(np.float32(p)) for p in (8e-6, WAVELENGTH, 0.03)]
    loss = jax.jit(power(PROPAGATORS[name].slopes))
    single = slopes(name)(u.astype(np.complex64), *map(jnp.float32, point))[1:]
    with jax.enable_x64(True):
        for i, p in enumerate(point):
            step = 1e-6 * p * (np.arange(3) == i)
            up, down = (float(loss(u, *(np.asarray(point) + sign * step))) for sign in (1, -1))
            slope, scale = (up - down) / (2e-6 * p), float(loss(u, *point)) / p
            assert abs(single[i] - slope) <= 1e-4 * max(abs(slope), 0.1 * scale), ("dx", "wavelength", "z")[i]


def test_4f_gradient():
    # Lens, mask, lens at the critical distance: the gradient of the mask by hand, in double precision.
    n, dx = 64, 8e-6
    f = n * dx**2 / WAVELENGTH
    x = grid(n, dx)
    thin = turn(-(x[:, None] ** 2 + x**2) / (2 * np.longdouble(WAVELENGTH) * np.longdouble(f)))
    u, phi = np.abs(noise((n, n))), np.random.default_rng(2).normal(size=(n, n)).astype(np.float32)
    weight = np.random.default_rng(3).uniform(size=(n, n)).astype(np.float32)

    def loss(phi):
        def step(v):
            return wave.angular_spectrum(v, dx, WAVELENGTH, f)

        lens = wave.lens((n, n), dx, WAVELENGTH, f)
        out = step(lens * step(jnp.exp(1j * phi) * step(lens * step(u.astype(np.complex64)))))
        return jnp.sum(weight * jnp.abs(out) ** 2)

    at_mask = plane_waves(thin * plane_waves(u.astype(complex), dx, f), dx, f) * np.exp(
        1j * phi.astype(float)
    )
    out = plane_waves(thin * plane_waves(at_mask, dx, f), dx, f)
    back = plane_waves(np.conj(thin) * plane_waves(2 * weight * out, dx, -f), dx, -f)
    expected = np.imag(back * np.conj(at_mask))
    assert relative(jax.jit(jax.grad(loss))(phi), expected) <= 1e-5


def test_vmap_over_distances():
    u = noise().astype(np.complex64)
    zs = jnp.float32([0.02, 0.05])
    swept = jax.jit(jax.vmap(lambda z: wave.zoom(u, 8e-6, WAVELENGTH, z, 9e-6, (20, 20))))(zs)
    for z, result in zip(zs, swept, strict=True):
        assert relative(result, integral(noise(), 8e-6, float(z), 9e-6, (20, 20))) <= 1e-6
