"""Light of several modes on devices: what adds up, what it costs in exposures, and what one mode changes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics import accounting, effects, light, metrics

LENS = optics.FourierLens(5, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
# Wide enough for wavelengths and directions to matter.
WIDE = light.product(light.line(1.55e-6, 40e-9, modes=3), light.disc(1.55e-6, 1e-3, rings=1, spokes=3))
MEASUREMENTS = {
    "coherent": optics.Coherent(),
    "phase steps": optics.PhaseShifting(4),
    "intensity": optics.Intensity(lambda amplitude: amplitude),
    "off-axis": optics.OffAxis(),
}


def take(modal, mode):
    return jax.tree.map(lambda leaf: leaf[mode], modal.transfer)


@pytest.fixture(scope="module")
def modal():
    with jax.ensure_compile_time_eval():
        return optics.compile_transfer(optics.illuminate(LENS, WIDE))


@pytest.fixture(scope="module")
def numbers():
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=(2, 5, 5)) + 1j * rng.normal(size=(2, 5, 5)), jnp.complex64)


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_frames_of_modes_add_up_in_double_precision(name, modal, numbers):
    """Against numpy: each mode with its share of light and reference alone, and the sum of what it gives."""
    measurement = MEASUREMENTS[name]
    device = optics.FourierProcessor(modal, measurement)
    exposure = device.prepare(numbers)
    frames = np.asarray(device.expose(exposure))
    drive = np.asarray(exposure.drive, complex)[..., 0, :, :].reshape(2, -1)
    full_scale = np.asarray(exposure.full_scale, float)[..., 0, :, :]
    weights = np.asarray(modal.weights, float)
    total = 0
    for mode, weight in enumerate(weights):
        matrix = np.asarray(take(modal, mode).matrix, complex)
        field = np.sqrt(weight) * (drive @ matrix.T).reshape(2, 5, 5) / full_scale
        r = np.sqrt(weight)
        if name == "coherent":
            total = total + r * np.stack([field.real, field.imag], 1)
        elif name == "phase steps":
            steps = np.exp(0.5j * np.pi * np.arange(4))[:, None, None]
            total = total + np.abs(field[:, None] + r * steps) ** 2 / 4
        elif name == "intensity":
            total = total + np.abs(field[:, None]) ** 2
    if name == "off-axis":
        total = sum(
            weight * np.asarray(measurement.frames(take(modal, mode)(exposure.drive) / exposure.full_scale))
            for mode, weight in enumerate(weights)
        )[:, 0]
    np.testing.assert_allclose(frames[:, 0], total, atol=3e-6)


def test_a_call_of_the_modes_is_the_mean_field(modal, numbers):
    mean = sum(w * take(modal, i)(numbers) for i, w in enumerate(modal.weights))
    np.testing.assert_allclose(modal(numbers), mean, atol=1e-5)
    np.testing.assert_allclose(modal(numbers, real=True), mean.real, atol=1e-5)
    described = optics.illuminate(LENS, WIDE)
    np.testing.assert_allclose(described(numbers), mean, atol=2e-5)
    assert modal.peak >= max(jnp.max(jnp.abs(take(modal, i).matrix)) for i in range(9)) * (1 - 1e-6)


def test_equal_modes_are_one_mode(numbers):
    one = optics.compile_transfer(LENS)
    alike = optics.Modal(jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), one), [1.0, 2.0, 3.0])
    camera = (effects.Shot(1e3), effects.Read(0.01))
    for measurement in (optics.PhaseShifting(4), optics.Intensity(lambda amplitude: amplitude)):
        slm = (effects.Flicker(0.2), effects.LaserNoise(0.1))
        devices = [optics.FourierProcessor(t, measurement, slm, camera) for t in (one, alike)]
        frames = [device.expose(device.prepare(numbers), jax.random.key(1)) for device in devices]
        # One panel and one laser: what fluctuates is the same in all modes.
        np.testing.assert_allclose(*frames, atol=2e-6)


def test_one_mode_is_the_same_program():
    """A transfer without modes traces as it does where nothing knows of modes."""
    device = optics.FourierProcessor(optics.compile_transfer(LENS), optics.PhaseShifting(4))
    text = str(jax.make_jaxpr(lambda a: device.transform(a, jax.random.key(0)))(jnp.ones((5, 5))))
    assert text.count("dot_general") == str(jax.make_jaxpr(device.transfer)(jnp.ones((5, 5)))).count(
        "dot_general"
    )


def test_a_lens_of_modes_compiles_to_what_it_propagates(modal, numbers):
    described = optics.illuminate(LENS, WIDE)
    fields = jax.jit(jax.vmap(lambda lens: lens(numbers)))(described.transfer)
    for mode in (0, 4, 8):
        np.testing.assert_allclose(take(modal, mode)(numbers), fields[mode], atol=1e-5)
    # A wavelength of its own is that of a lens which is made so, with the focal length of the first.
    other = LENS.wavelength * 0.98
    alone = optics.FourierLens(
        5, pitch=127e-6, wavelength=other, focal_length=LENS.focal_length, fill=0.5, detector_fill=0.5,
        pupil_radius=LENS.pupil_radius, plane=LENS.plane, oversampling=LENS.oversampling,
    )  # fmt: skip
    lit = optics.illuminate(LENS, light.laser(other))
    np.testing.assert_allclose(lit(numbers), alone(numbers), atol=1e-5)


@pytest.mark.slow
def test_panels_of_modes_are_compiled_with_as_many_terms():
    lens = optics.FourierLens(18, pitch=80e-6, wavelength=633e-9)
    modes = optics.illuminate(lens, light.channels([632e-9, 633e-9]))
    compiled = optics.compile_transfer(modes, terms=12)
    x = jax.random.normal(jax.random.key(0), (18, 18))
    assert compiled.transfer.masks_in.shape[:2] == (2, 12)
    assert metrics.relative_error(compiled(x), modes(x)) < 2e-2


def test_a_line_that_is_wider_than_the_path_allows_loses_the_reference():
    """Wiener-Khinchin on the device: the field falls as the coherence of the line at the path difference."""
    line = light.line(1.55e-6, 2e-9, modes=17)
    length = 0.5e-3
    a = jnp.zeros((5, 5)).at[2, 2].set(1.0)
    balanced, delayed = (
        optics.transform(
            a,
            optics.FourierProcessor(
                optics.compile_transfer(optics.illuminate(LENS, line, path_difference=d))
            ),
        )
        for d in (0.0, length)
    )
    expected = abs(light.coherence(line, length / 299_792_458.0))
    sigma = 2 * np.pi * length * 2e-9 / 1.55e-6**2 / np.sqrt(8 * np.log(2))
    assert abs(expected - np.exp(-(sigma**2) / 2)) < 1e-3
    # On the axis; elsewhere the wavelengths have phases of their own as well.
    np.testing.assert_allclose(abs(delayed[0, 0] / balanced[0, 0]), expected, rtol=1e-3)


def test_dispersion_of_the_glass_moves_the_focus():
    wide = light.channels([1.5e-6, 1.6e-6])
    achromat, singlet = (optics.illuminate(LENS, wide, glass) for glass in (None, "N-BK7"))
    np.testing.assert_array_equal(achromat.transfer.focal_length, LENS.focal_length)
    n0, n = (optics.glass.index("N-BK7", w) for w in (LENS.wavelength, wide.wavelength))
    np.testing.assert_allclose(
        singlet.transfer.focal_length, LENS.focal_length * (n0 - 1) / (n - 1), rtol=1e-6
    )


@pytest.mark.usefixtures("x64")
def test_gradients_reach_the_light_in_double_precision():
    x = jax.random.normal(jax.random.key(0), (5, 5))

    def error(numbers):
        width, size, path = numbers
        source = light.product(light.line(1.55e-6, width, modes=2), light.disc(1.55e-6, size, 1, 2))
        transfer = optics.compile_transfer(optics.illuminate(LENS, source, "fused silica", path))
        device = optics.FourierProcessor(transfer, optics.PhaseShifting(4))
        return jnp.sum(jnp.abs(device.transform(x)) ** 2)

    at, steps = np.array([20e-9, 1e-3, 2e-6]), np.array([1e-12, 1e-7, 1e-10])
    slope = jax.grad(error)(jnp.asarray(at))
    for i, step in enumerate(steps):
        delta = step * np.eye(3)[i]
        difference = (error(jnp.asarray(at + delta)) - error(jnp.asarray(at - delta))) / (2 * step)
        np.testing.assert_allclose(slope[i], difference, rtol=1e-5)


def test_a_sweep_of_the_line_is_one_trace():
    traces = []

    @jax.jit
    def error(width):
        traces.append(width)
        transfer = optics.compile_transfer(optics.illuminate(LENS, light.line(1.55e-6, width, modes=3)))
        return jnp.abs(
            optics.FourierProcessor(transfer, optics.PhaseShifting(4)).transform(jnp.ones((5, 5)))
        ).sum()

    values = [float(error(width)) for width in (0.0, 10e-9, 30e-9)]
    assert len(traces) == 1 and len(set(values)) == 3
    batch = jax.vmap(error)(jnp.array([0.0, 10e-9, 30e-9]))
    np.testing.assert_allclose(batch, values, rtol=1e-5)


def test_effects_of_each_mode_meet_their_mode(numbers):
    transfer = optics.compile_transfer(optics.illuminate(LENS, light.channels([1.54e-6, 1.56e-6])))
    stretches = jnp.array([0.05, -0.05])
    panel = effects.PerMode(effects.PhaseLUT(), jax.vmap(lambda s: effects.PhaseLUT(stretch=s))(stretches))
    device = optics.FourierProcessor(transfer, optics.PhaseShifting(4), slm=(panel,))
    exposure = device.prepare(numbers)
    alone = [
        optics.FourierProcessor(
            take(transfer, i), optics.PhaseShifting(4), slm=(effects.PhaseLUT(stretch=s),)
        )
        for i, s in enumerate(stretches)
    ]
    expected = sum(0.5 * one.expose(exposure) for one in alone)
    np.testing.assert_allclose(device.expose(exposure), expected, atol=2e-6)
    # Panel and lens together, so that the mean field is not that of the mean lens.
    coherent = eqx.tree_at(
        lambda d: d.measurement, device, optics.Coherent(), is_leaf=lambda m: m is device.measurement
    )
    fields = [one.reconstruct(one.expose(exposure), exposure) for one in alone]
    np.testing.assert_allclose(coherent.transform(numbers), sum(fields) / 2, atol=1e-5)


def test_phases_of_a_panel_follow_the_wavelength():
    """A path of one turn at the carrier, against indices of E7 by hand."""
    wavelengths = np.array([600e-9, 560e-9, 650e-9])
    panel = effects.phase_dispersion(light.channels(wavelengths), "E7")
    microns = wavelengths * 1e6
    delta = 0.18129 + 0.00911 / microns**2 + 0.00101 / microns**4
    turns = wavelengths[0] / wavelengths * delta / delta[0]
    asked = jnp.full((3, 1, 1), jnp.exp(1j * 3.0))
    got = jax.vmap(lambda lut, value: lut(value, None))(panel.of_modes, asked)[:, 0, 0]
    np.testing.assert_allclose(np.asarray(got), np.exp(3j * turns), atol=2e-6)
    flat = effects.phase_dispersion(light.channels(wavelengths))
    np.testing.assert_allclose(flat.of_modes.stretch, wavelengths[0] / wavelengths - 1, atol=1e-7)


def test_a_correlator_adds_modes_behind_both_lenses(numbers):
    modes = optics.compile_transfer(optics.illuminate(LENS, light.line(1.55e-6, 40e-9, modes=3)))
    x, w = numbers.real
    mean = sum(
        weight * optics.Correlator(take(modes, i)).convolve(x, w) for i, weight in enumerate(modes.weights)
    )
    device = optics.Correlator(modes)
    np.testing.assert_allclose(device.convolve(x, w), mean, atol=2e-6)


def test_gradients_through_modes_are_finite_at_zero(modal):
    for measurement in (optics.Coherent(), optics.PhaseShifting(4)):
        device = optics.FourierProcessor(modal, measurement, camera=(effects.Read(0.01),))

        def loss(x, w, device=device):
            return jnp.sum(jnp.abs(optics.convolve(x, w, device, jax.random.key(0))) ** 2)

        for x in (jnp.zeros((5, 5)), jnp.ones((5, 5))):
            assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.grad(loss, (0, 1))(x, x))


def test_fewer_modes_give_the_same_frames(numbers):
    """Every measurement, against all modes; the error of frames is about the square of what is told."""
    source = light.product(light.line(1.55e-6, 60e-9, modes=5), light.disc(1.55e-6, 1e-3, rings=1, spokes=5))
    modes = optics.compile_transfer(optics.illuminate(LENS, source, path_difference=20e-6))
    fewer, residual = optics.reduce_modes(modes, 0.02)
    assert fewer.modes < 15 and modes.modes == 25 and 0.002 < residual < 0.02
    more, less = optics.reduce_modes(modes, modes=20)
    assert less < residual and more.modes == 20
    for measurement in MEASUREMENTS.values():
        device, other = (optics.FourierProcessor(t, measurement) for t in (modes, fewer))
        exposure = device.prepare(numbers)
        error = metrics.relative_error(other.expose(exposure), device.expose(exposure))
        assert error < 4 * float(residual) ** 2 + 2e-6
    np.testing.assert_allclose(fewer(numbers), modes(numbers), atol=2e-5)
    one, rest = optics.reduce_modes(modes, modes=1)
    assert one.modes == 1 and rest > residual
    np.testing.assert_allclose(one(numbers), modes(numbers), atol=2e-5)


@pytest.mark.usefixtures("x64")
def test_gradients_through_fewer_modes():
    """Of all modes that there are, so that nothing is left out; and under jit."""

    def light_of(width, modes):
        lit = optics.compile_transfer(optics.illuminate(LENS, light.line(1.55e-6, width, modes=3)))
        lit = optics.reduce_modes(lit, modes=modes)[0] if modes else lit
        return jnp.sum(
            optics.FourierProcessor(lit, optics.PhaseShifting(4)).transform(jnp.ones((5, 5))).real ** 2
        )

    slopes = [jax.jit(jax.grad(light_of), static_argnums=1)(20e-9, modes) for modes in (None, 3)]
    np.testing.assert_allclose(slopes[1], slopes[0], rtol=1e-6)


def test_a_meter_sees_the_light_of_all_modes():
    """Two mirrors whose mean field nearly cancels; and a correlator whose modes are out of phase."""
    mirror = jax.vmap(lambda turn: optics.Dense(turn * jnp.eye(16), (4, 4)))(jnp.array([1.0, -1.0]))
    numbers = jax.random.uniform(jax.random.key(0), (4, 4))
    for measurement in (optics.PhaseShifting(4), optics.Intensity(lambda amplitude: amplitude)):
        device = optics.FourierProcessor(optics.Modal(mirror, [0.55, 0.45]), measurement, metering=True)
        frames = device.expose(device.prepare(numbers))
        assert 0.2 < float(jnp.max(frames)) <= 1
    exact = optics.dft(4)
    alike = optics.Modal(jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), exact), [1, 1], [1.4, -1.4])
    kernel = jax.random.normal(jax.random.key(1), (4, 4))
    for signed, measurement in ((True, optics.Coherent()), (False, optics.PhaseShifting(4))):
        camera = (effects.Quantize(14, signed=signed),)
        device = optics.Correlator(alike, measurement=measurement, camera=camera, metering=True)
        # Light passes both lenses and meets its reference once: the contrast is the cosine of one phase.
        expected = np.cos(1.4) * optics.convolve(numbers, kernel)
        assert metrics.relative_error(optics.convolve(numbers, kernel, device), expected) < 2e-2
    joint = optics.JointTransform(
        optics.Modal(jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), optics.dft((1, 27))), [1, 1]),
        (1, 5),
        metering=True,
    )
    x, w = jax.random.normal(jax.random.key(2), (2, 1, 5))
    np.testing.assert_allclose(optics.convolve(x, w, joint), optics.convolve(x, w), atol=1e-4)


def test_full_scale_bounds_light_that_is_not_modulated():
    """The second polarisation is bright where the numbers are dark."""
    weights, modes = effects.unmodulated_modes(1.2)
    panel = effects.PerMode(
        effects.ParallelAligned(), jax.tree.map(lambda *leaves: jnp.stack(leaves), *modes)
    )
    stack = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), optics.dft(4))
    device = optics.FourierProcessor(optics.Modal(stack, weights), optics.PhaseShifting(4), slm=(panel,))
    frames = device.expose(device.prepare(1e-3 * jnp.ones((4, 4)).at[0, 0].set(1e3)))
    assert float(jnp.max(frames)) <= 1


def test_lenses_of_modes_in_a_device_are_compiled(numbers):
    described = optics.FourierProcessor(optics.illuminate(LENS, WIDE), optics.PhaseShifting(4))
    compiled = optics.compile_device(described)
    assert isinstance(compiled.transfer.transfer, optics.Dense)
    np.testing.assert_allclose(compiled.transform(numbers), described.transform(numbers), atol=1e-4)
    again = optics.compile_device(compiled)
    np.testing.assert_array_equal(again.transform(numbers), compiled.transform(numbers))


# Several planes in one exposure.


def multiplexed(crosstalk=0.0, measurement=None, camera=()):
    modes = optics.compile_transfer(optics.illuminate(LENS, light.channels([1.548e-6, 1.55e-6, 1.552e-6])))
    return optics.WavelengthChannels(optics.FourierProcessor(modes, measurement, camera=camera), crosstalk)


def test_channels_without_crosstalk_are_engines_side_by_side():
    device = multiplexed()
    a = jax.random.normal(jax.random.key(0), (7, 5, 5))
    engines = [optics.FourierProcessor(take(device.engine.transfer, i)) for i in range(3)]
    expected = jnp.stack([engines[i % 3].transform(plane) for i, plane in enumerate(a)])
    np.testing.assert_allclose(device.transform(a), expected, atol=1e-5)
    np.testing.assert_allclose(device.transform(a.reshape(7, 1, 5, 5))[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(device.transform(a[0]), expected[0], atol=1e-5)


@pytest.mark.parametrize(
    "measurement", [optics.Coherent(), optics.PhaseShifting(4)], ids=["coherent", "steps"]
)
def test_crosstalk_is_light_of_the_neighbours(measurement):
    """In volts at the receivers: those of a channel get its light, and a share of its neighbours'."""
    device = multiplexed(0.2, measurement)
    # The channels are of very different brightness, and set their full scales for themselves.
    a = jax.random.normal(jax.random.key(0), (3, 5, 5)) * jnp.array([1.0, 0.1, 5.0])[:, None, None]
    engines = [optics.FourierProcessor(take(device.engine.transfer, i), measurement) for i in range(3)]
    fields = jnp.stack([engine.transform(plane) for engine, plane in zip(engines, a, strict=True)])
    scales = jnp.stack([engine.prepare(plane).scale for engine, plane in zip(engines, a, strict=True)])
    scales = scales.reshape(3, 1, 1)
    share = np.eye(3) + 0.2 * (np.abs(np.subtract.outer(range(3), range(3))) == 1)
    if measurement.linear:
        light_on_detectors = jnp.tensordot(share, fields / scales, 1)
        np.testing.assert_allclose(device.transform(a), light_on_detectors * scales, rtol=1e-4, atol=1e-4)
    else:
        # A step of the reference is in proportion to its channel's full scale.
        full = jnp.stack([e.prepare(p).full_scale for e, p in zip(engines, a, strict=True)]).reshape(3, 1, 1)
        light_on_detectors = jnp.tensordot(share, fields / scales * full, 1) / full
        np.testing.assert_allclose(device.transform(a), light_on_detectors * scales, rtol=1e-4, atol=1e-4)


def test_channels_divide_the_exposures():
    one = optics.presets.load("engine11", level="ideal", pixels=5)
    several = optics.presets.load("wdm4", level="ideal", pixels=5)
    x, w = jnp.ones((10, 5, 5)), jnp.ones((5, 5))
    counts = [accounting.count(lambda d, k: optics.convolve(x, w, d, k), device) for device in (one, several)]
    # 10 inputs, a kernel, 10 products; a shared exposure for four of them.
    assert [c.exposures for c in counts] == [21, 3 + 1 + 3]
    # Channels that are left dark are written and read too.
    assert counts[1].adc == 25 * (2 * 12 + 2 * 4 + 12)
    ledgers = [
        optics.ledger(device, x.shape, w.shape, accounting.hardware(name))
        for device, name in ((one, "integrated"), (several, "integrated-wavelengths"))
    ]
    assert ledgers[1].seconds == pytest.approx(ledgers[0].seconds / 3)


def test_channels_draw_their_own_noise_and_repeat_it():
    device = multiplexed(1e-2, camera=(effects.Read(0.01),))
    a = jnp.ones((3, 5, 5))
    first, again = (device.transform(a, jax.random.key(0)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    noise = first - device.transform(a)
    assert abs(np.corrcoef(*np.abs(np.asarray(noise[:2])).reshape(2, -1))[0, 1]) < 0.7
    assert metrics.relative_error(first[0], first[1]) > 1e-3


def test_dark_channels_do_not_light_their_neighbours():
    device = multiplexed(0.01, optics.PhaseShifting(4), (effects.Quantize(14),))
    alone = multiplexed(0.0, optics.PhaseShifting(4), (effects.Quantize(14),))
    a = jnp.zeros((3, 5, 5)).at[1, 2, 2].set(1.0)
    np.testing.assert_allclose(device.transform(a)[1], alone.transform(a)[1], atol=1e-3)
    np.testing.assert_allclose(device.transform(a[1:2]), alone.transform(a[1:2]), atol=1e-3)


def test_each_channel_has_a_background_and_gains_of_its_own():
    turned = effects.ParallelAligned(0.3, 0.3)
    modes = optics.compile_transfer(optics.illuminate(LENS, light.channels([1.5e-6, 1.6e-6])))
    device = optics.WavelengthChannels(optics.FourierProcessor(modes, slm=(turned,)))
    a = jax.random.normal(jax.random.key(0), (2, 5, 5))
    expected = jnp.stack(
        [
            optics.FourierProcessor(take(modes, i), slm=(turned,)).subtract_background().transform(a[i])
            for i in (0, 1)
        ]
    )
    np.testing.assert_allclose(device.subtract_background().transform(a), expected, atol=1e-5)
    halved = device.with_gains(jnp.ones((2, 5, 5)), 0.5 * jnp.ones((2, 5, 5)))
    np.testing.assert_allclose(halved.transform(a), 0.5 * device.transform(a), atol=1e-6)


# Light that does not interfere.


def test_response_is_that_of_every_point_alone():
    """Against float64: the power of a point is the squared modulus of its coherent image."""
    lens = optics.compile_transfer(LENS)
    device = optics.IncoherentCorrelator(lens)
    w = jnp.abs(jax.random.normal(jax.random.key(0), (5, 5)))
    response = np.asarray(device.response(w))
    matrix = np.asarray(lens.matrix, complex)
    n = np.arange(5) - 2
    chirp = np.exp(1j * np.pi * n**2 / 5)
    impulse = np.sqrt(np.asarray(w / w.max(), float)) * chirp[:, None] * chirp
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(impulse), norm="ortho")).ravel()
    passing = spectrum / np.abs(spectrum).max()
    np.testing.assert_allclose(response, np.abs(matrix @ (passing[:, None] * matrix)) ** 2, atol=1e-6)


def test_incoherent_light_is_linear_in_power():
    device = optics.IncoherentCorrelator(optics.compile_transfer(LENS))
    x = jax.random.uniform(jax.random.key(0), (2, 5, 5))
    w = jax.random.uniform(jax.random.key(1), (5, 5))
    total = device.convolve(x[0] + x[1], w)
    np.testing.assert_allclose(device.convolve(x[0], w) + device.convolve(x[1], w), total, rtol=2e-5)


def test_incoherent_convolution_of_signs_and_complex_numbers():
    device = optics.IncoherentCorrelator(optics.dft((4, 5)))
    numbers = jax.random.normal(jax.random.key(0), (4, 3, 4, 5))
    x, w = numbers[0] + 1j * numbers[1], numbers[2] + 1j * numbers[3]
    for a, b in ((x, w), (x.real, w), (x, w.real), (x.real, w.real), (0 * x.real, w)):
        exact = optics.convolve(a, b)
        np.testing.assert_allclose(optics.convolve(a, b, device), exact, atol=2e-5 * (1 + abs(exact).max()))
    count = accounting.count(lambda d, k: optics.convolve(x.real, w.real, d, k), device)
    # Four pairs of parts, each metered once.
    assert count.exposures == 3 * 4 * 2


def test_gradients_of_incoherent_light_are_those_of_the_convolution():
    """Also by pixels that are zero, of a plane that is dark, and of a kernel that starts at zero."""
    device = optics.IncoherentCorrelator(optics.dft(4))
    x, w = jax.random.normal(jax.random.key(0), (2, 4, 4))

    def loss(x, w, device):
        return jnp.sum(jnp.sin(1 + optics.convolve(x, w, device)))

    for a, b in ((x, w), (jnp.maximum(x, 0), jnp.maximum(w, 0)), (0 * x, w), (x, 0 * w), (x, 1e-6 * w)):
        slopes = [jax.grad(loss, (0, 1))(a, b, which) for which in (device, None)]
        for got, exact in zip(*slopes, strict=True):
            np.testing.assert_allclose(got, exact, atol=1e-4)


def test_complex_gains_of_amplitudes_are_squared_moduli():
    lens = optics.compile_transfer(LENS)
    gains = optics.calibrate(optics.FourierProcessor(lens))
    turned = dict(input_gain=gains.input_gain * np.exp(0.7j), output_gain=gains.output_gain * np.exp(-0.7j))
    x, w = jax.random.normal(jax.random.key(0), (2, 5, 5))
    results = [
        optics.convolve(x, w, optics.IncoherentCorrelator(lens, **options))
        for options in (dict(input_gain=gains.input_gain, output_gain=gains.output_gain), turned)
    ]
    np.testing.assert_allclose(*results, atol=1e-4)


def test_a_wide_line_blurs_an_incoherent_image():
    gains = optics.calibrate(optics.FourierProcessor(optics.compile_transfer(LENS)))
    x = jax.random.uniform(jax.random.key(0), (5, 5))
    w = jnp.zeros((5, 5)).at[1, 2].set(1.0)
    errors = []
    for width in (0.0, 50e-9, 150e-9):
        modes = optics.compile_transfer(optics.illuminate(LENS, light.line(1.55e-6, width, modes=3)))
        device = optics.IncoherentCorrelator(
            modes, input_gain=gains.input_gain, output_gain=gains.output_gain
        )
        errors.append(metrics.relative_error(optics.convolve(x, w, device), optics.convolve(x, w)))
    assert errors[0] < 0.01 and errors[0] < errors[1] < errors[2]


def test_refusals():
    lens = optics.compile_transfer(LENS)
    stack = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), lens)
    modes = optics.Modal(stack, [1.0, 1.0])
    per_mode = jax.vmap(lambda s: effects.PhaseLUT(stretch=s))(jnp.zeros(2))
    three = jax.vmap(lambda s: effects.PhaseLUT(stretch=s))(jnp.zeros(3))
    for call, message in (
        (lambda: optics.Modal(lens, [1.0, 1.0]), "`transfer` must have a first axis of 2 modes"),
        (lambda: optics.Modal(stack, [0.0, 0.0]), "`weights` must have one above 0"),
        (lambda: optics.Modal(stack, [1.0, 1.0], [0.0]), "`phases`"),
        (
            lambda: effects.PerMode(effects.PhaseLUT(), effects.PhaseLUT()),
            "`of_modes` must be an effect like",
        ),
        (lambda: effects.PerMode(effects.Gain(1.0), per_mode), "`of_modes` must be an effect like"),
        (
            lambda: optics.FourierProcessor(lens, slm=(effects.PerMode(effects.PhaseLUT(), per_mode),)),
            "a `PerMode` effect must have a `Modal` transfer",
        ),
        (
            lambda: optics.FourierProcessor(modes, slm=(effects.PerMode(effects.PhaseLUT(), three),)),
            r"as many, got \[3, 2\]",
        ),
        (lambda: optics.compile_transfer(modes), "`lens.transfer`|`lens`"),
        (lambda: optics.reduce_modes(modes, 0.1, 1), "`tolerance` and `modes` must not both"),
        (lambda: optics.reduce_modes(optics.illuminate(LENS, WIDE)), "`modal.transfer` must be"),
        (lambda: jax.jit(optics.reduce_modes)(modes), "`modes` must be given under jit"),
        (lambda: optics.WavelengthChannels(optics.FourierProcessor(lens)), "`engine` must have a `Modal`"),
        (lambda: optics.WavelengthChannels(optics.FourierProcessor(modes), np.ones((3, 3))), "`crosstalk`"),
        (
            lambda: optics.WavelengthChannels(optics.FourierProcessor(modes), input_gain=np.ones((5, 5))),
            "`input_gain` must have the shape",
        ),
        (
            lambda: optics.IncoherentCorrelator(optics.dft(4), optics.dft(5)),
            "`first` and `second` must have the same pixels",
        ),
        (
            lambda: optics.IncoherentCorrelator(optics.dft(600)).response(np.ones((600, 600))),
            r"`w` .*memory",
        ),
        (
            lambda: optics.IncoherentCorrelator(modes, optics.Modal(stack, [1.0, 3.0])),
            "must have modes of the same weights",
        ),
        (lambda: optics.IncoherentCorrelator(lens).response(-jnp.ones((5, 5))), "`w`"),
        (lambda: optics.IncoherentCorrelator(lens).response(jnp.ones((2, 5, 5))), "`w` must have the shape"),
        (lambda: optics.IncoherentCorrelator(lens).response("x"), "`w`"),
        (
            lambda: optics.FourierProcessor(lens).with_stages(
                slm=(effects.PerMode(effects.PhaseLUT(), per_mode),)
            ),
            "a `PerMode` effect must have a `Modal` transfer",
        ),
        (
            lambda: optics.FourierProcessor(
                modes, slm=(effects.PerMode(effects.Read(0.1), jax.vmap(effects.Read)(jnp.ones(2))),)
            ),
            "`slm` cannot hold Read",
        ),
        (
            lambda: optics.WavelengthChannels(
                eqx.tree_at(lambda e: e.input_gain, optics.FourierProcessor(modes), lens)
            ),
            "`engine` must have gains of pixels",
        ),
        (
            lambda: optics.ledger(optics.WavelengthChannels(optics.FourierProcessor(modes)), (5, 5), (5, 5)),
            "`costs` must be given for a device of several wavelengths",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            pytest.fail(f"{call()} instead of {message}")
