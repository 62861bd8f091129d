"""Every propagator against the sum or integral that defines it, in both precisions; adjoints, energy, gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from optics import wave
from tests.helpers import relative

WAVELENGTH = 532e-9
SHAPE, OUT = (40, 32), (36, 45)
PI = np.longdouble("3.14159265358979323846264338327950288")


def noise(shape=SHAPE, seed=0):
    """Light that fills the whole band, so that the largest phases count as much as the smallest; single precision holds it."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64).astype(complex)


def grid(n, dx):
    return (np.arange(n) - n // 2) * np.longdouble(dx)


def turn(turns):
    """exp(2πi turns): whole turns are taken out in extended precision, where the phase is a difference of large numbers."""
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
    """Matsushima (2010), table 1 and the ellipses around it, as printed; `shift` within or beyond the plane's width."""
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
    """Goodman (2005), eq. 4-14, one sample of the output after the other; without its curvature at the source, eq. 4-25."""
    out = u
    for axis, (m, offset) in enumerate(zip(shape or u.shape, shift, strict=True)):
        x = grid(u.shape[axis], dx)
        x_out = grid(m, dx_out[axis] if isinstance(dx_out, tuple) else dx_out or dx) + np.longdouble(offset)
        path = (x_out[:, None] - x) ** 2 - (0 if keep else x**2)
        kernel = turn(path / (2 * np.longdouble(WAVELENGTH) * z)) * dx / np.sqrt(complex(1j * WAVELENGTH * z))
        out = np.moveaxis(np.tensordot(kernel, out, (1, axis)), 0, axis)
    return out


def spacing(z, factor=1.02):
    """A little above where the shorter axis has its critical distance at `z`."""
    return factor * np.sqrt(WAVELENGTH * abs(z) / min(SHAPE))


SHIFT, OUT_SHIFT = (0.4, 1.3), (1e-5, -2e-5)


def spaced(dx, z):
    return tuple(WAVELENGTH * z / (n * dx) for n in SHAPE)


# Each: what spacing suits a distance, what is called, and what it should give.
PROPAGATORS = {
    "angular spectrum": (spacing, lambda u, dx, z: wave.angular_spectrum(u, dx, WAVELENGTH, z), plane_waves),
    "band limited": (
        spacing,
        lambda u, dx, z: wave.band_limited_angular_spectrum(u, dx, WAVELENGTH, z),
        band_limited,
    ),
    "band limited, shifted": (
        lambda z: spacing(z, 0.6),
        lambda u, dx, z: wave.band_limited_angular_spectrum(
            u, dx, WAVELENGTH, z, (SHIFT[0] * 40 * dx, SHIFT[1] * 32 * dx)
        ),
        lambda u, dx, z: band_limited(u, dx, z, (SHIFT[0] * 40 * dx, SHIFT[1] * 32 * dx)),
    ),
    "fresnel": (spacing, lambda u, dx, z: wave.fresnel(u, dx, WAVELENGTH, z), paraxial_waves),
    "impulse response": (
        lambda z: spacing(z, 0.7),
        lambda u, dx, z: wave.fresnel_impulse_response(u, dx, WAVELENGTH, z),
        integral,
    ),
    "zoom": (
        lambda z: spacing(z, 0.7),
        lambda u, dx, z: wave.zoom(u, dx, WAVELENGTH, z, 0.8 * dx, OUT, OUT_SHIFT),
        lambda u, dx, z: integral(u, dx, z, 0.8 * dx, OUT, OUT_SHIFT),
    ),
    "focus": (
        spacing,
        lambda u, dx, z: wave.focus(u, dx, WAVELENGTH, z),
        lambda u, dx, z: integral(u, dx, z, spaced(dx, z), keep=False),
    ),
    "fraunhofer": (
        lambda z: spacing(z, 0.1),
        lambda u, dx, z: wave.fraunhofer(u, dx, WAVELENGTH, z),
        lambda u, dx, z: integral(u, dx, z, spaced(dx, z), keep=False),
    ),
}
BENCH = [0.01, 0.05, 0.5]


@functools.cache
def jitted(name):
    return jax.jit(PROPAGATORS[name][1])


@pytest.mark.parametrize("z", BENCH)
@pytest.mark.parametrize("name", PROPAGATORS)
def test_single_precision(name, z):
    suited, call, wanted = PROPAGATORS[name]
    dx = suited(z)
    found = call(noise().astype(np.complex64), dx, z)
    assert found.dtype == jnp.complex64
    assert relative(found, wanted(noise(), dx, z)) <= 1e-6


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("z", BENCH)
@pytest.mark.parametrize("name", PROPAGATORS)
def test_double_precision(name, z):
    suited, _, wanted = PROPAGATORS[name]
    dx = suited(z)
    found = jitted(name)(noise(), dx, z)
    assert found.dtype == jnp.complex128
    assert relative(found, wanted(noise(), dx, z)) <= 1e-12


@pytest.mark.parametrize("name", ["band limited, shifted", "impulse response", "zoom", "fraunhofer"])
def test_traced_numbers(name):
    # They are float32 then, and so are those of the reference; a shift or a spacing made from them is rounded once more.
    suited, _, wanted = PROPAGATORS[name]
    z = float(np.float32(0.05))
    dx = float(np.float32(suited(z)))
    found = jitted(name)(noise().astype(np.complex64), jnp.float32(dx), jnp.float32(z))
    assert relative(found, wanted(noise(), dx, z)) <= (
        1e-6 if name in ("impulse response", "fraunhofer") else 1e-5
    )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", PROPAGATORS)
def test_adjoint(name):
    z = 0.05
    suited, call, _ = PROPAGATORS[name]
    dx = suited(z)
    u = jnp.asarray(noise())
    v = jnp.asarray(noise(jax.eval_shape(lambda u: call(u, dx, z), u).shape, 1))

    @jax.jit
    def both(u, v):
        found, back = jax.vjp(lambda u: call(u, dx, z), u)
        return found, jnp.conj(back(jnp.conj(v))[0])

    found, adjoint = both(u, v)
    assert abs(jnp.vdot(v, found) - jnp.vdot(adjoint, u)) <= 1e-12 * jnp.linalg.norm(v) * jnp.linalg.norm(
        found
    )
    # Light is reversible: the adjoint is propagation back, from the same points to the same points.
    backward = {
        "band limited, shifted": lambda v: wave.band_limited_angular_spectrum(
            v, dx, WAVELENGTH, -z, (-SHIFT[0] * 40 * dx, -SHIFT[1] * 32 * dx)
        ),
        "zoom": None,  # the input of `zoom` has its middle on the axis
        "focus": None,
        "fraunhofer": None,
    }.get(name, lambda v: call(v, dx, -z))
    if backward is not None:
        assert relative(backward(v), adjoint) <= 1e-12


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


@pytest.mark.parametrize("name", ["angular spectrum", "fresnel", "focus", "fraunhofer"])
def test_energy(name):
    z = 0.1
    suited, call, _ = PROPAGATORS[name]
    dx = suited(z)
    dy_out, dx_out = (
        wave.fraunhofer_spacing(SHAPE, dx, WAVELENGTH, z) if name in ("focus", "fraunhofer") else (dx, dx)
    )
    there = (
        np.sum(np.abs(np.asarray(call(noise().astype(np.complex64), dx, z), complex)) ** 2) * dy_out * dx_out
    )
    assert there == pytest.approx(np.sum(np.abs(noise()) ** 2) * dx**2, rel=1e-6)


def test_transfer_and_impulse_response_meet():
    # And `zoom` at the same spacing, where all hold: narrow light in the middle of the plane, a little above the critical distance.
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

    found, same, inner = three(dx, z)
    assert relative(same, found) <= 1e-5
    assert relative(inner, np.asarray(found)[14:114, 19:109]) <= 1e-5


def test_one_dimensional_optics():
    # A line is light that is uniform along the other axis.
    dx, z = (float(np.float32(p)) for p in (8e-6, 0.03))
    line = noise((1, 64)).astype(np.complex64)
    kernel = (
        turn((grid(64, dx)[:, None] - grid(64, dx)) ** 2 / (2 * np.longdouble(WAVELENGTH) * z))
        * dx
        / np.sqrt(1j * WAVELENGTH * z)
    )
    wanted = line @ kernel.T

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
    assert relative(response, wanted) <= 1e-6
    assert relative(thrice, np.repeat(wanted, 3, axis=0)) <= 1e-6
    assert relative(column, wanted.T) <= 1e-6
    power = np.sum(np.abs(np.asarray(focused)) ** 2) * wave.fraunhofer_spacing((1, 64), dx, WAVELENGTH, z)[1]
    assert power == pytest.approx(np.sum(np.abs(line) ** 2) * dx, rel=1e-5)
    assert relative(limited, periodic) <= 1e-5


def power(call):
    return lambda u, dx, wavelength, z: jnp.sum(
        jnp.abs(call(u, dx, wavelength, z)) ** 2 * jnp.linspace(0, 1, 32)
    )


CALLS = {
    "angular spectrum": wave.angular_spectrum,
    "band limited": lambda *p: wave.band_limited_angular_spectrum(*p, shift=(1e-7, -5e-7)),
    "fresnel": wave.fresnel,
    "impulse response": wave.fresnel_impulse_response,
    "zoom": lambda *p: wave.zoom(*p, 1e-7, (32, 32), (1e-7, 2e-7)),
    "fraunhofer": wave.fraunhofer,
}


@functools.cache
def slopes(name):
    return jax.jit(jax.grad(power(CALLS[name]), (0, 1, 2, 3)))


@pytest.mark.parametrize("name", CALLS)
def test_gradients_with_evanescent_waves_on_the_grid(name):
    u, point = noise((32, 32)).astype(np.complex64), (WAVELENGTH / 4, WAVELENGTH, 1e-6)
    found = slopes(name)(u, *map(jnp.float32, point))
    assert all(np.all(np.isfinite(slope)) for slope in found)
    assert all(np.any(np.asarray(slope) != 0) for slope in found)


@pytest.mark.parametrize("name", CALLS)
def test_gradients_against_differences_in_double_precision(name):
    u = noise((32, 32))
    point = [float(np.float32(p)) for p in (8e-6, WAVELENGTH, 0.03)]
    loss = jax.jit(power(CALLS[name]))
    single = slopes(name)(u.astype(np.complex64), *map(jnp.float32, point))[1:]
    with jax.enable_x64(True):
        for i, p in enumerate(point):
            step = 1e-6 * p * (np.arange(3) == i)
            up, down = (float(loss(u, *(np.asarray(point) + sign * step))) for sign in (1, -1))
            slope, scale = (up - down) / (2e-6 * p), float(loss(u, *point)) / p
            assert abs(single[i] - slope) <= 1e-4 * max(abs(slope), 0.1 * scale), ("dx", "wavelength", "z")[i]


def test_4f_gradient():
    # Lens, mask, lens at the critical distance: the gradient of the mask by hand, in double precision with scipy.
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
    wanted = np.imag(back * np.conj(at_mask))
    assert relative(jax.jit(jax.grad(loss))(phi), wanted) <= 1e-5


def test_vmap_over_distances():
    u = noise().astype(np.complex64)
    zs = jnp.float32([0.02, 0.05])
    swept = jax.jit(jax.vmap(lambda z: wave.zoom(u, 8e-6, WAVELENGTH, z, 9e-6, (20, 20))))(zs)
    for z, found in zip(zs, swept, strict=True):
        assert relative(found, integral(noise(), 8e-6, float(z), 9e-6, (20, 20))) <= 1e-6
