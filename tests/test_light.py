"""Light of several modes against the theorems of van Cittert and Zernike, and of Wiener and Khinchin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
from jax.test_util import check_grads

import optics
from optics import light, wave
from tests.helpers import compiled_programs, relative

WAVELENGTH = 633e-9
LIGHT_SPEED = 299_792_458.0


def airy(x):
    """2 J₁(x) / x."""
    return 2 * scipy.special.j1(x) / x


# Sources of an angular size of 1 mrad, and their coherence at a separation in units of λ / size.
SOURCES = {
    "disc": (lambda size: light.disc(WAVELENGTH, size, 4, 24), lambda t: airy(2 * np.pi * t)),
    "gaussian": (lambda size: light.gaussian(WAVELENGTH, size, 17), lambda t: np.exp(-2 * (np.pi * t) ** 2)),
    "chip": (lambda size: light.chip(WAVELENGTH, size, 7), np.sinc),
}
# Lines, and their coherence at a delay in units of 1 / Δν.
LINES = {
    "gaussian": (17, lambda t: np.exp(-((np.pi * t) ** 2) / (4 * np.log(2)))),
    "rectangle": (9, np.sinc),
    "lorentzian": (1025, lambda t: np.exp(-np.pi * t)),
}
# Densities of frequency in units of Δν, even.
DENSITIES = {
    "gaussian": lambda x: np.exp(-4 * np.log(2) * x**2),
    "rectangle": lambda x: 1.0,
    "lorentzian": lambda x: 1 / (1 + 4 * x**2),
}


@pytest.mark.parametrize("name", SOURCES)
def test_van_cittert_zernike_by_the_modes(name):
    make, theorem = SOURCES[name]
    source, steps = make(1e-3), np.linspace(0.01, 1.6 if name != "gaussian" else 0.7, 60)
    for along in ((0.0, 1.0), (1.0, 0.0)) + (((0.6, 0.8),) if name != "chip" else ()):
        separation = steps[:, None] * np.array(along) * WAVELENGTH / 1e-3
        mu = light.coherence(source, separation=separation)
        np.testing.assert_allclose(mu, theorem(steps), atol=1e-3)
        np.testing.assert_allclose(
            light.visibility(source, separation=separation), abs(theorem(steps)), atol=1e-3
        )


@pytest.mark.parametrize("name", SOURCES)
def test_van_cittert_zernike_by_two_pinholes(name):
    """Waves of all modes through two pinholes and a lens; intensities add, and fringes have a contrast."""
    make, theorem = SOURCES[name]
    shape, dx, f = (4, 64), 10e-6, 0.1

    @jax.jit
    def fringes(size, pinholes):
        source = make(size)

        def frame(weight, wavelength, tilt):
            field = pinholes * wave.tilt(shape, dx, wavelength, (tilt[0], tilt[1]))
            return weight * jnp.abs(wave.focus(field, dx, wavelength, f)) ** 2

        return jax.vmap(frame)(source.weights, source.wavelength, source.tilt).sum(0)

    for apart in (2, 4, 8, 16):  # samples; fringes have their maxima and minima on samples of the focus
        pinholes = np.zeros(shape)
        pinholes[2, 32 - apart // 2] = pinholes[2, 32 + apart // 2] = 1
        for size in (0.3e-3, 1e-3, 2e-3):
            frame = np.asarray(fringes(size, pinholes), np.float64)
            contrast = (frame.max() - frame.min()) / (frame.max() + frame.min())
            assert contrast == pytest.approx(abs(theorem(apart * dx * size / WAVELENGTH)), abs=1e-3)


@pytest.mark.parametrize("name", LINES)
def test_wiener_khinchin(name):
    modes, theorem = LINES[name]
    width, steps = 0.5e-9, np.linspace(1e-3, 1.27, 80)
    line = light.line(WAVELENGTH, width, name, modes)
    delay = steps * WAVELENGTH**2 / (LIGHT_SPEED * width)
    np.testing.assert_allclose(light.coherence(line, delay), theorem(steps), atol=1e-3)
    np.testing.assert_allclose(light.visibility(line, delay), abs(theorem(steps)), atol=1e-3)
    # And the theorem itself, by quadrature of the spectrum.
    end = 0.5 if name == "rectangle" else np.inf
    total = scipy.integrate.quad(DENSITIES[name], 0, end)[0]
    for step in (0.2, 0.7):
        part = scipy.integrate.quad(DENSITIES[name], 0, end, weight="cos", wvar=2 * np.pi * step)[0]
        assert theorem(step) == pytest.approx(part / total, abs=1e-6)


def test_interferogram(x64):
    """Visibility is the contrast of a Michelson interferometer, the intensities of its wavelengths added."""
    line = light.line(WAVELENGTH, 5e-9, modes=9)
    k, weights = 2 * np.pi / np.asarray(line.wavelength), np.asarray(line.weights)
    for difference in (10e-6, 30e-6, 60e-6):
        path = difference + np.linspace(-2 * WAVELENGTH, 2 * WAVELENGTH, 1001)
        intensity = weights @ abs(1 + np.exp(1j * k[:, None] * path)) ** 2
        window = np.hanning(1001)
        fringe = np.mean(window * intensity * np.exp(2j * np.pi * path / WAVELENGTH))
        contrast = 2 * abs(fringe) / np.mean(window * intensity)
        assert light.visibility(line, difference / LIGHT_SPEED) == pytest.approx(contrast, abs=1e-3)


def test_narrow_lines_in_single_precision():
    """A line of a femtometre, 1.6e-9 of the wavelength, which single precision could not tell apart."""
    width = 1e-15
    delay = 0.441 * WAVELENGTH**2 / (LIGHT_SPEED * width)
    line = light.line(WAVELENGTH, width)
    assert line.detuning.dtype == jnp.float32
    assert light.visibility(line, delay) == pytest.approx(0.5, abs=1e-3)


def test_a_laser_is_one_mode():
    laser = light.laser(WAVELENGTH)
    assert laser.modes == 1 and laser.weights[0] == 1 and np.all(laser.tilt == 0)
    assert laser.wavelength[0] == np.float32(WAVELENGTH)
    assert light.visibility(laser, 1e-3, (1.0, 1.0)) == 1
    for degenerate in (
        light.line(WAVELENGTH, 0.0),
        light.disc(WAVELENGTH, 0.0),
        light.line(WAVELENGTH, 1e-9, modes=1),
    ):
        assert light.visibility(degenerate, 1e-9, (1e-2, 1e-2)) == pytest.approx(1, abs=1e-6)


def test_channels_and_weights():
    wavelength = np.array([1550.0e-9, 1550.8e-9, 1551.6e-9])
    comb = light.channels(wavelength, [1.0, 2.0, 1.0])
    np.testing.assert_allclose(comb.wavelength, wavelength, rtol=1e-7)
    np.testing.assert_allclose(comb.weights, [0.25, 0.5, 0.25])
    # Beats of three channels 0.8 nm apart, relative to the first.
    delay = np.linspace(0, 2e-11, 50)
    frequency = LIGHT_SPEED / wavelength
    phase = 2j * np.pi * np.outer(delay, frequency - frequency[0])
    np.testing.assert_allclose(light.coherence(comb, delay), np.exp(-phase) @ [0.25, 0.5, 0.25], atol=1e-4)
    listed = jax.jit(lambda a: light.channels([a, 2 * a], [a, a]).wavelength)(1e-6)
    np.testing.assert_allclose(listed, [1e-6, 2e-6], rtol=1e-6)


def test_a_product_is_coherent_where_both_are():
    line, source = light.line(WAVELENGTH, 1e-10, modes=5), light.chip(WAVELENGTH, (1e-3, 2e-3), (3, 4))
    both = light.product(line, source)
    assert both.modes == 60 and both.weights.sum() == pytest.approx(1, abs=1e-6)
    delay, separation = np.linspace(0, 5e-12, 4)[:, None], np.array([[0.0, 1e-4], [2e-4, 1e-4]])
    expected = light.coherence(line, delay) * light.coherence(source, separation=separation)
    np.testing.assert_allclose(light.coherence(both, delay, separation), expected, atol=1e-3)
    same = light.product(light.laser(WAVELENGTH), source)
    for leaf, other in zip(jax.tree.leaves(same), jax.tree.leaves(source), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-6)
    colour, direction = np.unravel_index(17, (5, 12))
    assert both.wavelength[17] == line.wavelength[colour]
    np.testing.assert_array_equal(both.tilt[17], source.tilt[direction])


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("shape", LINES)
def test_samples_agree_with_the_theorems(name, shape):
    _, along = SOURCES[name]
    _, behind = LINES[shape]
    steps = np.linspace(0.05, 0.5, 10)
    delay, separation = steps * WAVELENGTH**2 / (LIGHT_SPEED * 1e-9), steps * WAVELENGTH / 1e-3
    separation = np.stack([np.zeros(10), separation], -1)
    errors = {}
    for modes in (64, 1024):
        draws = [light.sample(WAVELENGTH, modes, 1e-9, shape, 1e-3, name, seed) for seed in range(4)]
        gamma = [light.coherence(draw, delay, separation) for draw in draws]
        errors[modes] = np.sqrt(np.mean(np.abs(np.array(gamma) - along(steps) * behind(steps)) ** 2))
    # The error of random points is 0.03 with 1024 of them, and a quarter of that of a sixteenth of them.
    assert errors[1024] < 0.01 and errors[1024] < errors[64] / 5


def test_seeds_are_other_draws():
    first, second = (light.sample(WAVELENGTH, 100, 1e-9, size=1e-3, seed=seed) for seed in (0, 1))
    assert np.all(first.tilt != second.tilt)
    np.testing.assert_array_equal(first.tilt, light.sample(WAVELENGTH, 100, 1e-9, size=1e-3).tilt)


@pytest.mark.parametrize(
    "make",
    [
        lambda width, size: light.line(WAVELENGTH, width),
        lambda width, size: light.line(WAVELENGTH, width, "rectangle"),
        lambda width, size: light.line(WAVELENGTH, width, "lorentzian", 33),
        lambda width, size: light.disc(WAVELENGTH, size),
        lambda width, size: light.gaussian(WAVELENGTH, (size, 2 * size)),
        lambda width, size: light.chip(WAVELENGTH, size),
        lambda width, size: light.product(light.line(WAVELENGTH, width), light.chip(WAVELENGTH, size)),
        lambda width, size: light.sample(WAVELENGTH, 32, width, size=size, source="gaussian"),
    ],
)
def test_gradients_in_double_precision(make, x64):
    """Along the width of the line, the size of the source, the delay and the separation."""

    def gamma(width, size, delay, separation):
        made = make(width * 1e-9, size * 1e-3)
        return light.coherence(made, delay * 1e-12, (0.3 * separation * 1e-4, separation * 1e-4))

    def parts(*numbers):
        value = gamma(*numbers)
        return jnp.stack([value.real, value.imag, jnp.abs(value)])

    check_grads(jax.jit(parts), (1.1, 1.3, 0.7, 1.2), order=1, modes=["fwd", "rev"])


def test_slope_of_visibility_to_width_is_that_of_the_theorem(x64):
    """V = exp(−(π Δν τ)² / (4 ln 2)): d ln V / d ln Δλ = 2 ln V."""
    delay = 0.3 * WAVELENGTH**2 / (LIGHT_SPEED * 1e-9)
    value, slope = jax.value_and_grad(lambda width: light.visibility(light.line(WAVELENGTH, width), delay))(
        1e-9
    )
    assert slope * 1e-9 / value == pytest.approx(2 * np.log(value), rel=1e-6)


def test_jit_vmap_and_no_nan():
    @jax.jit
    def measure(wavelength, width, size):
        lamp = light.product(light.line(wavelength, width, modes=3), light.disc(wavelength, size, 2, 6))
        return light.visibility(lamp, 1e-12, (0.0, 1e-4))

    measure(633e-9, 1e-9, 1e-3)
    with compiled_programs() as programs:
        measure(532e-9, 2e-9, 3e-3)
    assert not programs
    widths = jnp.array([0.0, 1e-9, 2e-9])
    mapped = jax.vmap(measure, (None, 0, None))(633e-9, widths, 1e-3)
    np.testing.assert_allclose(mapped, [measure(633e-9, w, 1e-3) for w in widths], atol=1e-6)
    for numbers in ((633e-9, 0.0, 0.0), (633e-9, 1e-9, 0.0), (633e-9, 0.0, 1e-3)):
        assert np.all(np.isfinite(jax.grad(measure, (0, 1, 2))(*numbers)))
    # Where light is dark between two points its modulus has no slope.
    pair = light.Light([1.0, 1.0], WAVELENGTH, [[0.0, 1e-3], [0.0, -1e-3]])
    dark = jax.grad(lambda x: light.visibility(pair, separation=(0.0, x)))(WAVELENGTH / 4e-3)
    assert np.isfinite(dark)


def schell(n, sigma, delta):
    """Mutual intensity of a Gaussian Schell-model beam and the spacing of its samples."""
    x = np.linspace(-6 * sigma, 6 * sigma, n)
    j = np.exp(-(x[:, None] ** 2 + x**2) / (4 * sigma**2) - (x[:, None] - x) ** 2 / (2 * delta**2))
    return j, x


@pytest.mark.parametrize("delta", [0.5, 2.0])
def test_modes_of_a_gaussian_schell_model_beam(delta, x64):
    """λ_n ∝ qⁿ with q = b / (a + b + c) and the modes of a harmonic oscillator: Starikov and Wolf (1982)."""
    j, x = schell(241, 1.0, delta)
    a, b = 1 / 4, 1 / (2 * delta**2)
    c = np.sqrt(a**2 + 2 * a * b)
    q = b / (a + b + c)
    weights, fields = light.coherent_modes(j, modes=8)
    np.testing.assert_allclose(weights, (1 - q) * q ** np.arange(8), atol=1e-9)
    for n in range(4):
        exact = scipy.special.eval_hermite(n, np.sqrt(2 * c) * x) * np.exp(-c * x**2)
        assert abs(fields[n] @ exact) / np.linalg.norm(exact) == pytest.approx(1, abs=1e-9)
    weights, fields = light.coherent_modes(j)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(np.trace(j) * (fields.T * weights) @ fields, j, atol=1e-12)


def test_modes_of_the_light_of_a_source():
    """Modes of the light of a disc of directions have its coherence, on a plane and in single precision."""
    rows, cols, pitch = 3, 5, 2e-4
    y, x = (pitch * np.arange(n) for n in (rows, cols))
    points = np.stack(np.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)
    source = light.disc(WAVELENGTH, 1e-3)
    j = light.coherence(source, separation=points[:, None] - points)
    weights, fields = light.coherent_modes(j.reshape(rows, cols, rows, cols))
    assert fields.shape == (15, rows, cols) and np.all(np.diff(weights) <= 0)
    flat = np.asarray(fields).reshape(15, 15)
    assert relative(15 * (flat.T * np.asarray(weights)) @ flat.conj(), j) <= 1e-5


def test_gradient_of_coherent_modes(x64):
    j, _ = schell(9, 1.0, 1.0)

    def share(width):
        weights, fields = light.coherent_modes(
            j * width ** jnp.abs(jnp.subtract.outer(jnp.arange(9), jnp.arange(9)))
        )
        centre = jnp.sum(weights**2 * jnp.abs(fields[:, 4]) ** 2)
        return jnp.sum(weights**2) + centre

    check_grads(jax.jit(share), (0.9,), order=1, modes=["fwd", "rev"])

    # Complex, through a phase that no intensity tells.
    def turn(angle):
        phase = jnp.exp(1j * angle * jnp.arange(9.0) ** 2)
        weights, fields = light.coherent_modes(j * phase[:, None] * phase.conj())
        return jnp.sum(weights[:3] * jnp.abs(jnp.fft.fft(fields[:3], axis=-1)[:, 1]) ** 2)

    check_grads(jax.jit(turn), (0.2,), order=1, modes=["fwd", "rev"])
    # Fully incoherent: every mode has the same power.
    known = jax.jit(lambda scale: scale * light.coherent_modes(jnp.eye(4))[0])(2.0)
    np.testing.assert_allclose(known, 0.5)
    slope = jax.grad(
        lambda m: jnp.sum(light.coherent_modes(m)[0] ** 2 * jnp.abs(light.coherent_modes(m)[1][:, 0]))
    )
    assert np.all(np.isfinite(slope(jnp.eye(4))))


def test_carriers_must_agree():
    with pytest.raises(ValueError, match="`source` must have the carrier of `line`"):
        light.product(light.laser(633e-9), light.disc(532e-9, 1e-3))
    traced = jax.jit(lambda w: light.product(light.laser(w), light.disc(w, 1e-3)).wavelength)(633e-9)
    np.testing.assert_allclose(traced, 633e-9, rtol=1e-6)


def test_light_is_in_the_package():
    assert isinstance(optics.light.line(633e-9, 1e-9), optics.light.Light)
