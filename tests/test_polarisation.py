"""Polarised light against formulas of the textbooks, published matrices, thin slices and prysm."""

from functools import partial

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

import optics
from optics import effects, polarisation
from optics.polarisation import (
    circular,
    linear,
    mueller,
    parallel_aligned,
    polariser,
    quarter_wave_plate,
    rotation,
    stokes,
    transmit,
    twisted_nematic,
    wave_plate,
)
from tests.helpers import relative

# Compiled once for each structure: one operation at a time would compile each of them.
act = jax.jit(lambda effect, value: effect(value, None))
check_grads = partial(jax.test_util.check_grads, modes=("rev",))
ANGLES = np.linspace(-3.0, 3.0, 13)


def turned(matrix, angle):
    """R(θ) M R(−θ), by NumPy."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    return turn @ matrix @ turn.T


def test_standard_states_have_their_stokes_parameters():
    # Born and Wolf, section 1.4.2; right circular light is the north pole.
    states = {
        (1, 1, 0, 0): linear(0.0),
        (1, -1, 0, 0): linear(np.pi / 2),
        (1, 0, 1, 0): linear(np.pi / 4),
        (1, 0, -1, 0): linear(-np.pi / 4),
        (1, 0, 0, 1): circular("right"),
        (1, 0, 0, -1): circular("left"),
    }
    for parameters, state in states.items():
        np.testing.assert_allclose(stokes(state), parameters, atol=1e-6)
        np.testing.assert_allclose(stokes(3j * state), 9 * np.array(parameters), atol=1e-5)


def test_right_light_turns_clockwise_for_an_observer_whom_it_meets():
    """Its field over time, with exp(−iωt), x to the right and y up."""
    time = np.linspace(0, 1, 100, endpoint=False)
    for handedness, sense in (("right", -1), ("left", 1)):
        x, y = np.real(np.asarray(circular(handedness))[:, None] * np.exp(-2j * np.pi * time))
        turns = np.unwrap(np.arctan2(y, x))
        assert turns[-1] - turns[0] == pytest.approx(sense * 2 * np.pi * 0.99, rel=1e-5)


@pytest.mark.parametrize("extinction", [1.0, 30.0, 1e4, np.inf])
def test_malus(extinction):
    power = stokes(transmit(linear(0.4), polariser(ANGLES, extinction)))[:, 0]
    cos2 = np.cos(ANGLES - 0.4) ** 2
    np.testing.assert_allclose(power, cos2 + (1 - cos2) / extinction, atol=1e-6)


def test_half_and_quarter_wave_plates():
    # A half-wave plate mirrors the plane of polarisation at its axis, and turns right into left.
    mirrored = stokes(transmit(linear(0.3), polarisation.half_wave_plate(ANGLES)))
    np.testing.assert_allclose(mirrored, stokes(linear(2 * ANGLES - 0.3)), atol=1e-6)
    np.testing.assert_allclose(
        stokes(transmit(circular("right"), polarisation.half_wave_plate(0.7))), (1, 0, 0, -1), atol=1e-6
    )
    # Light at 45° from the fast axis towards the slow one: the slow component lags, and the field turns from
    # the fast axis to the slow one, counter-clockwise.
    for angle in ANGLES:
        behind = stokes(transmit(linear(angle + np.pi / 4), quarter_wave_plate(angle)))
        np.testing.assert_allclose(behind, (1, 0, 0, -1), atol=1e-6)
    # Two quarter-wave plates are one of a half.
    np.testing.assert_allclose(
        quarter_wave_plate(0.4) @ quarter_wave_plate(0.4), polarisation.half_wave_plate(0.4), atol=1e-6
    )


def test_what_is_lossless_is_unitary():
    matrices = [
        rotation(ANGLES),
        wave_plate(2 * ANGLES, ANGLES),
        parallel_aligned(3 * ANGLES, ANGLES),
        twisted_nematic(ANGLES, 5 * ANGLES, 0.3),
        twisted_nematic(0.0, ANGLES),
        twisted_nematic(ANGLES, 0.0),
    ]
    for matrix in matrices:
        np.testing.assert_allclose(
            np.conj(np.swapaxes(matrix, -1, -2)) @ matrix, np.broadcast_to(np.eye(2), matrix.shape), atol=1e-6
        )
    np.testing.assert_allclose(np.linalg.det(wave_plate(2 * ANGLES, ANGLES)), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("matrix", "published"),
    [
        (polariser(0.0), np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]) / 2),
        (polariser(np.pi / 4), np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]) / 2),
        (polariser(-np.pi / 4), np.array([[1, 0, -1, 0], [0, 0, 0, 0], [-1, 0, 1, 0], [0, 0, 0, 0]]) / 2),
        # Fast axis horizontal, then vertical, then at 45° and at −45°.
        (quarter_wave_plate(0.0), [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, -1, 0]]),
        (quarter_wave_plate(np.pi / 2), [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]]),
        (quarter_wave_plate(np.pi / 4), [[1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0], [0, 1, 0, 0]]),
        (quarter_wave_plate(-np.pi / 4), [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, -1, 0, 0]]),
        (polarisation.half_wave_plate(0.0), np.diag([1, 1, -1, -1])),
    ],
)
def test_published_mueller_matrices(matrix, published):
    """E. Hecht, Optics, table 8.6."""
    np.testing.assert_allclose(mueller(matrix), published, atol=1e-6)


def test_mueller_matrix_of_a_retarder_at_any_angle():
    """E. Collett, Field Guide to Polarization (2005), on the rotated wave plate."""
    delay, angle = 1.1, 0.35
    c, s = np.cos(2 * angle), np.sin(2 * angle)
    cos, sin = np.cos(delay), np.sin(delay)
    published = [
        [1, 0, 0, 0],
        [0, c**2 + cos * s**2, (1 - cos) * s * c, -sin * s],
        [0, (1 - cos) * s * c, s**2 + cos * c**2, sin * c],
        [0, sin * s, -sin * c, cos],
    ]
    np.testing.assert_allclose(mueller(wave_plate(delay, angle)), published, atol=1e-6)


def test_a_mueller_matrix_does_to_powers_what_the_jones_matrix_does_to_fields(key):
    parts = jax.random.normal(key, (2, 5, 6))
    numbers = (parts[0] + 1j * parts[1]).astype(jnp.complex64)
    matrices, light = numbers[:, :4].reshape(5, 2, 2), numbers[:, 4:]
    np.testing.assert_allclose(
        stokes(transmit(light, matrices)),
        np.einsum("njk,nk->nj", mueller(matrices), stokes(light)),
        rtol=1e-5,
        atol=1e-5,
    )


def test_light_that_is_partly_polarised():
    modes = jnp.stack([linear(0.2), linear(0.2 + np.pi / 2)])
    parameters = stokes(modes, weights=[0.8, 0.2])
    np.testing.assert_allclose(parameters, [1, 0.6 * np.cos(0.4), 0.6 * np.sin(0.4), 0], atol=1e-6)
    assert polarisation.degree_of_polarisation(parameters) == pytest.approx(0.6, abs=1e-6)
    # Half of unpolarised light passes a polariser at any angle, whichever modes it is made of.
    for pair in (modes, jnp.stack([circular("right"), circular("left")])):
        behind = stokes(transmit(pair, polariser(ANGLES)[:, None]), weights=[0.5, 0.5])
        np.testing.assert_allclose(behind[:, 0], 0.5, atol=1e-6)
        np.testing.assert_allclose(polarisation.degree_of_polarisation(behind), 1, atol=1e-6)
    slope = jax.grad(polarisation.degree_of_polarisation)
    assert np.all(np.isfinite(slope(jnp.zeros(4)))) and np.all(np.isfinite(slope(jnp.eye(4)[0])))


def slices(twist, retardance, angle, count=2000):
    """A twisted cell as thin wave plates, each turned a little further: by NumPy in double precision."""
    cell = np.eye(2)
    for k in range(count):
        plate = np.diag([np.exp(1j * retardance / count), 1])
        cell = turned(plate, angle + twist * (k + 0.5) / count) @ cell
    return cell


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("twist", "retardance", "angle"),
    [(np.pi / 2, 3.0, 0.3), (-1.2, 8.0, -0.7), (0.0, 2.0, 0.4), (1.0, 0.0, 0.2), (1e-9, 1e-9, 0.0)],
)
def test_a_twisted_cell_is_the_limit_of_thin_slices(twist, retardance, angle):
    cell = twisted_nematic(twist, retardance, angle)
    np.testing.assert_allclose(cell, slices(twist, retardance, angle), atol=5e-7)
    # Slices err by their thickness squared: half as thick, a quarter of the error.
    coarse, fine = (np.max(abs(slices(twist, retardance, angle, n) - cell)) for n in (500, 1000))
    assert coarse < 1e-12 or coarse / fine == pytest.approx(4, rel=0.01)
    between = linear(1.1 + angle) @ cell @ linear(0.5 + angle)
    passed = polarisation.twisted_nematic_transmission(retardance, twist, 0.5, 1.1)
    np.testing.assert_allclose(passed, between, atol=1e-12)


def test_with_much_retardance_the_light_follows_the_director():
    """Mauguin's limit, and the minima of Gooch and Tarry: between parallel polarisers a cell of a quarter
    turn passes sin²(π/2 √(1 + u²)) / (1 + u²), u = Γ/π.
    """
    light = stokes(transmit(linear(0.0), twisted_nematic(np.pi / 2, 2000.0)))
    # Off by 2 φ / β of the formula at most.
    np.testing.assert_allclose(light, (1, -1, 0, 0), atol=np.pi / 1000)
    u = np.linspace(0, 8, 50)
    passed = polarisation.twisted_nematic_transmission(np.pi * u, np.pi / 2, 0.0, 0.0)
    np.testing.assert_allclose(
        np.abs(passed) ** 2, np.sin(np.pi / 2 * np.sqrt(1 + u**2)) ** 2 / (1 + u**2), atol=2e-6
    )
    for k in (1, 2, 3):
        dark = polarisation.twisted_nematic_transmission(np.pi * np.sqrt(4 * k**2 - 1), np.pi / 2, 0.0, 0.0)
        assert abs(dark) < 2e-6
    # Without a twist it is a parallel-aligned cell.
    np.testing.assert_allclose(twisted_nematic(0.0, 2.5, 0.4), parallel_aligned(2.5, 0.4), atol=1e-6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("plate", [True, False])
def test_a_camera_finds_the_stokes_parameters(plate):
    """A turning quarter-wave plate before a polariser, or a polariser on each pixel: noise is averaged."""
    rng = np.random.default_rng(0)
    light = rng.normal(size=(6, 2)) + 1j * rng.normal(size=(6, 2))
    if plate:
        settings = dict(angle=0.2, retardance=1.5, plate_angle=np.linspace(0, np.pi, 8, endpoint=False))
        elements = polariser(0.2) @ wave_plate(1.5, settings["plate_angle"])
    else:
        light = light.real
        settings = dict(angle=np.arange(4) * np.pi / 4, linear=True)
        elements = polariser(settings["angle"])
    intensities = stokes(transmit(light[:, None], elements))[..., 0]
    find = partial(polarisation.stokes_from_intensities, **settings)
    np.testing.assert_allclose(find(intensities), stokes(light), atol=1e-12)
    noisy = intensities + rng.normal(size=intensities.shape)
    rows = np.asarray(
        polarisation.analyser(*(settings.get(n, 0.0) for n in ("angle", "retardance", "plate_angle")))
    )
    rows = rows[:, :3] if settings.get("linear") else rows
    expected = np.linalg.lstsq(rows, noisy.T)[0].T
    np.testing.assert_allclose(find(noisy)[:, : rows.shape[1]], expected, atol=1e-12)


def test_a_camera_in_single_precision():
    light = stokes(jnp.array([[1.0, 0.3j], [0.6, 0.8], [0.5, 0.5 + 0.5j]]))
    turns = jnp.linspace(0, jnp.pi, 12, endpoint=False)
    rows = polarisation.analyser(0.0, np.pi / 2, turns)
    result = polarisation.stokes_from_intensities(light @ rows.T, 0.0, np.pi / 2, turns)
    np.testing.assert_allclose(result, light, atol=2e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(angle=np.arange(4) * np.pi / 4), "take a wave plate"),
        (dict(angle=np.zeros(4), linear=True), "three angles"),
        (dict(angle=0.0, retardance=np.pi, plate_angle=np.arange(4) * np.pi / 8), "see only 3"),
        (dict(angle=np.arange(3), retardance=1.0), "4 or more"),
    ],
)
def test_settings_that_do_not_determine_the_light(settings, message):
    count = max(np.size(value) for value in settings.values())
    with pytest.raises(
        ValueError, match=f"`angle`, `retardance` and `plate_angle` must determine.*{message}"
    ):
        polarisation.stokes_from_intensities(np.ones(count), **settings)


def test_elements_take_maps_and_transformations():
    angles = jnp.linspace(0, 1, 12).reshape(3, 4)
    for make in (
        rotation,
        polariser,
        quarter_wave_plate,
        partial(parallel_aligned, 0.3),
        partial(twisted_nematic, 1.0, 2.0),
    ):
        whole = jax.jit(make)(angles)
        assert whole.shape == (3, 4, 2, 2) and whole.dtype == jnp.complex64
        np.testing.assert_allclose(whole, jax.jit(jax.vmap(jax.vmap(make)))(angles), atol=1e-6)


def total(matrix):
    """A number that depends on all of a matrix."""
    return jnp.sum(jnp.sin(matrix.real * jnp.array([1.0, 2.0])) + jnp.array([[0.5], [1.5]]) * matrix.imag**2)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("make", "numbers"),
    [
        (rotation, (0.3,)),
        (polariser, (0.3, 50.0)),
        (wave_plate, (1.3, 0.3)),
        (parallel_aligned, (1.3, 0.3)),
        (twisted_nematic, (1.3, 2.4, 0.3)),
        (twisted_nematic, (0.2, 0.3, 0.1)),
        (polarisation.twisted_nematic_transmission, (2.4, 1.3, 0.2, 0.7)),
    ],
)
def test_gradients_in_double_precision(make, numbers):
    check_grads(jax.jit(lambda *n: total(make(*n))), numbers, order=2, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "numbers"),
    [
        (polariser, (0.0, np.inf)),
        (polariser, (0.0, 1.0)),
        (wave_plate, (0.0, 0.0)),
        (parallel_aligned, (0.0, 0.0)),
        (twisted_nematic, (0.0, 0.0, 0.0)),
        (polarisation.twisted_nematic_transmission, (0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_no_nan_where_nothing_turns(make, numbers):
    function = lambda n: total(make(*n))  # noqa: E731
    slopes = jax.jit(lambda n: (jax.grad(function)(n), jax.hessian(function)(n)))(jnp.asarray(numbers))
    assert all(np.all(np.isfinite(slope)) for slope in slopes)


@pytest.mark.usefixtures("x64")
def test_the_gradient_of_a_measurement_to_its_settings():
    plates = jnp.linspace(0, np.pi, 6, endpoint=False)

    def measure(intensities, angle, retardance, plates):
        parameters = polarisation.stokes_from_intensities(intensities, angle, retardance, plates)
        return jnp.sum(jnp.sin(parameters))

    intensities = jnp.linspace(0.3, 1.0, 6) ** 2
    check_grads(jax.jit(measure), (intensities, 0.1, 1.4, plates), order=1, atol=1e-5, rtol=1e-5)


# Panels: Jones matrices of the whole path, by NumPy, against the effects.

PSI, ALPHA = 0.21, -0.13


def light_of(key, shape=(4, 8, 8)):
    return jnp.exp(2j * jnp.pi * jax.random.uniform(key, shape)).astype(jnp.complex64)


def test_a_panel_is_the_row_of_its_elements(key):
    light = light_of(key)
    path = parallel_aligned(jnp.angle(light))
    behind = transmit(linear(PSI), path)
    passed = act(effects.ParallelAligned(PSI, ALPHA), light)
    np.testing.assert_allclose(passed, behind @ linear(ALPHA), atol=1e-6)
    # With an analyser that leaks, both modes together are all of the power.
    weights, modes = effects.analysed_modes(PSI, ALPHA, extinction=20.0)
    power = sum(w * jnp.abs(act(mode, light)) ** 2 for w, mode in zip(weights, modes, strict=True))
    np.testing.assert_allclose(power, stokes(transmit(behind, polariser(ALPHA, 20.0)))[..., 0], atol=1e-6)
    # Without one: that along the director, and that across it, which is not modulated.
    weights, modes = effects.unmodulated_modes(PSI)
    for weight, mode, part in zip(weights, modes, jnp.moveaxis(behind, -1, 0), strict=True):
        np.testing.assert_allclose(jnp.sqrt(weight) * act(mode, light), part, atol=1e-6)


@pytest.mark.parametrize(("psi", "alpha"), [(0.05, 0.05), (PSI, ALPHA), (0.3, np.pi / 4)])
def test_the_zero_order_of_a_fourier_processor(psi, alpha):
    """A grating sends all of its light to one order; what is not modulated stays on the axis."""
    n = 16
    drive = jnp.exp(2j * jnp.pi * 3 * jnp.arange(n) / n)[None] * jnp.ones((n, 1))
    device = optics.FourierProcessor(optics.dft(n), slm=(effects.ParallelAligned(psi, alpha),))
    power = np.abs(optics.transform(drive, device)) ** 2 / n**2
    assert power[0, 0] == pytest.approx((np.sin(psi) * np.sin(alpha)) ** 2, rel=1e-5, abs=1e-9)
    assert power[0, 3] == pytest.approx((np.cos(psi) * np.cos(alpha)) ** 2, rel=1e-5)
    assert power.sum() == pytest.approx(power[0, 0] + power[0, 3], abs=1e-6)


def in_modes(weights, modes, measurement, n=8):
    """A Fourier processor whose light has these modes."""
    stack = lambda *parts: jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)  # noqa: E731
    transfer = optics.Modal(stack(optics.dft(n), optics.dft(n)), weights)
    panel = effects.PerMode(modes[0], stack(*modes))
    return optics.FourierProcessor(transfer, measurement, slm=(panel,))


def test_a_camera_without_an_analyser_adds_intensities(key):
    """What passes unmodulated does not interfere with the rest: the zero order is a sum of powers."""
    drive = light_of(key, (8, 8))
    device = in_modes(*effects.unmodulated_modes(PSI), optics.Intensity(jnp.abs))
    exposure = device.prepare(drive)
    # One exposure, one frame; in units of the brightest pixel.
    frames = np.asarray(device.expose(exposure))[0, 0] * np.asarray(exposure.full_scale)[0] ** 2
    transform = lambda a: np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(a), norm="ortho"))  # noqa: E731
    shown = np.asarray(exposure.drive)[0]
    expected = np.cos(PSI) ** 2 * abs(transform(shown)) ** 2
    expected += np.sin(PSI) ** 2 * abs(transform(np.ones((8, 8)))) ** 2
    np.testing.assert_allclose(frames, expected, rtol=1e-4, atol=1e-5)


def test_a_reference_of_the_same_polarisation_is_an_analyser(key):
    """Each mode beats with its own part of the reference: as if an analyser stood along the reference."""
    drive = light_of(key, (8, 8))
    modes = in_modes(*effects.unmodulated_modes(PSI), optics.Coherent())
    analysed = optics.FourierProcessor(optics.dft(8), slm=(effects.ParallelAligned(PSI, PSI),))
    assert relative(optics.transform(drive, modes), optics.transform(drive, analysed)) <= 1e-5


def test_extinction_sets_the_floor_of_a_dark_panel(key):
    """Between crossed polarisers at 45° the panel sets amplitudes: its contrast is the analyser's extinction,
    and never above it.
    """
    ratios = np.array([1.0, 10.0, 1e3, 1e5, np.inf])
    phases = jnp.exp(1j * jnp.linspace(0, 2 * jnp.pi, 65))[None].astype(jnp.complex64)
    for ratio in ratios:
        weights, modes = effects.analysed_modes(np.pi / 4, -np.pi / 4, ratio)
        power = sum(w * jnp.abs(act(mode, phases)) ** 2 for w, mode in zip(weights, modes, strict=True))
        # sin²(φ/2) passes; cos²(φ/2) / ratio leaks.
        half = np.linspace(0, np.pi, 65)
        np.testing.assert_allclose(power[0], np.sin(half) ** 2 + np.cos(half) ** 2 / ratio, atol=1e-6)
        assert power.min() / power.max() == pytest.approx(1 / ratio, rel=1e-4, abs=1e-12)


def test_both_modes_make_a_stack():
    for weights, modes in (
        effects.unmodulated_modes(0.2),
        effects.analysed_modes(0.2, jnp.full((3, 4), 0.1), 50.0),
    ):
        stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *modes)
        light = light_of(jax.random.key(0), (3, 4))
        both = jax.vmap(lambda mode, light=light: mode(light, None))(stack)
        for result, mode in zip(both, modes, strict=True):
            np.testing.assert_allclose(result, act(mode, light), atol=1e-6)
        assert weights.shape == (2,)


@pytest.mark.usefixtures("x64")
def test_gradients_of_panels_in_double_precision(key):
    light = light_of(key, (3, 3)).astype(jnp.complex128)

    def brightness(psi, alpha, ratio):
        weights, modes = effects.analysed_modes(psi, alpha, ratio)
        frames = [w * jnp.abs(mode(light, None)) ** 2 for w, mode in zip(weights, modes, strict=True)]
        return jnp.sum(jnp.sin(sum(frames)))

    check_grads(jax.jit(brightness), (0.2, 0.3, 40.0), order=1, atol=1e-5, rtol=1e-5)
    slopes = jax.jit(jax.grad(brightness, (0, 1, 2)))(0.0, 0.0, jnp.inf)
    assert np.all(np.isfinite(slopes)) and slopes[2] == 0

    def twisted(lookup, retardance, twist, psi, alpha, gain):
        result = effects.TwistedNematic(retardance, twist, psi, alpha, gain, lookup)(light, None)
        return jnp.sum(jnp.sin(result.real) + result.imag**2)

    numbers = (jnp.linspace(0.5, 6.0, 16), 1.4, 0.3, 1.8, jnp.full((3, 3), 1.02))
    for lookup in ("linear", "nearest"):
        check_grads(jax.jit(partial(twisted, lookup)), numbers, order=1, atol=1e-4, rtol=1e-4)


def test_a_twisted_panel_against_slices():
    """Its curve of amplitude and phase is that of thin slices between polarisers."""
    retardance = np.linspace(0.4, 5.5, 9)
    panel = effects.TwistedNematic(retardance, np.pi / 2, 0.6, 2.2)
    cells = [
        np.asarray(linear(2.2)) @ slices(np.pi / 2, g, 0.0) @ np.asarray(linear(0.6)) for g in retardance
    ]
    expected = np.array(cells) * np.conj(cells[0]) / abs(cells[0])
    np.testing.assert_allclose(panel.curve(jnp.linspace(0, 1, 9)), expected, atol=2e-6)


def test_a_twisted_panel_takes_the_nearest_level_or_a_straight_line():
    table = np.linspace(0.4, 5.5, 64)
    numbers = dict(retardance=table, twist=np.pi / 2, polariser=0.6, analyser=2.2)
    phases = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    light = jnp.asarray(0.7 * np.exp(1j * phases), jnp.complex64)[None]
    levels = np.asarray(effects.TwistedNematic(**numbers).curve(jnp.linspace(0, 1, 64)))
    asked = np.max(abs(levels)) * np.exp(1j * phases)
    nearest = np.asarray(act(effects.TwistedNematic(**numbers), light))[0] / 0.7
    # Every value is a level of the panel, and none is nearer than it by more than the table's step.
    assert np.max(np.min(abs(nearest[:, None] - levels), axis=1)) < 1e-5
    best = np.min(abs(asked[:, None] - levels), axis=1)
    assert np.all(abs(asked - nearest) <= best + 2 * np.pi / 64 / 16)
    straight = np.asarray(act(effects.TwistedNematic(**numbers, lookup="linear"), light))[0] / 0.7
    curve = effects.TwistedNematic(**numbers).curve(jnp.asarray(phases / (2 * np.pi), jnp.float32))
    np.testing.assert_allclose(straight, curve, atol=1e-5)
    assert np.linalg.norm(asked - nearest) < 0.9 * np.linalg.norm(asked - straight)
    # A thicker pixel is one of more retardance.
    thick = act(effects.TwistedNematic(**numbers, gain=1.1), light)[0] / 0.7
    first = effects.TwistedNematic(**numbers).curve(jnp.zeros(()))
    expected = polarisation.twisted_nematic_transmission(
        1.1 * table[np.argmin(abs(nearest[:, None] - levels), axis=1)], np.pi / 2, 0.6, 2.2
    )
    start = polarisation.twisted_nematic_transmission(table[0], np.pi / 2, 0.6, 2.2)
    np.testing.assert_allclose(thick, expected * abs(start) / start, atol=1e-5)
    assert first.imag == pytest.approx(0, abs=1e-6)


def test_light_through_a_nearest_level_has_the_slope_of_its_phase():
    panel = effects.TwistedNematic(np.linspace(0.4, 5.5, 64), np.pi / 2, 0.6, 2.2)
    function = jax.jit(lambda phi: panel(jnp.exp(1j * phi)[None, None], None)[0, 0])
    result, slope = jax.jvp(function, (1.0,), (1.0,))
    np.testing.assert_allclose(slope, 1j * result, atol=1e-6)


def test_numbers_do_not_recompile():
    traces = 0

    @jax.jit
    def run(effect):
        nonlocal traces
        traces += 1
        return effect(jnp.ones((2, 2)), None)

    for angle in (0.0, 0.1, 0.2):
        run(effects.ParallelAligned(angle, 0.1))
        run(effects.TwistedNematic([0.0, 3.0, 6.0], angle))
    assert traces == 2


def test_against_prysm():
    peer = pytest.importorskip("prysm.x.polarization")
    for angle in (0.0, 0.4, -1.1):
        # prysm's retarder leaves the fast axis as it is, where ours takes the mean of both axes.
        delayed = np.exp(-0.65j) * peer.linear_retarder(1.3, angle)
        assert relative(wave_plate(1.3, angle), delayed) <= 1e-6
        assert relative(polariser(angle), peer.linear_polarizer(angle)) <= 1e-6
        # prysm's diattenuator takes the amplitude that passes across the axis.
        assert relative(polariser(angle, 25.0), peer.linear_diattenuator(0.2, angle)) <= 1e-6
        # prysm's matrix turns the axes, ours the light.
        assert relative(rotation(angle), peer.jones_rotation_matrix(-angle)) <= 1e-6
        assert (
            relative(mueller(wave_plate(1.3, angle)), peer.jones_to_mueller(delayed, broadcast=False)) <= 2e-6
        )
        assert relative(linear(angle), peer.linear_pol_vector(angle, degrees=False)) <= 1e-6
    for handedness in ("left", "right"):
        assert relative(circular(handedness), peer.circular_pol_vector(handedness)) <= 1e-6
