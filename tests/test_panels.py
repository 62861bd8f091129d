"""Whole panels: the orders that are followed, masks around Fourier transforms, and devices of that size."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.signal

import optics
from bench.simulator.rayleigh_sommerfeld import map_entries
from optics import FourierLens, MaskedFFT, _chunks, compile_transfer, wave
from optics.transfer import _cross, light_shape
from optics.transfer._kronecker import decompose
from optics.transfer._propagation import keep_propagation
from optics.twin import _likelihood
from tests.helpers import relative

# A Meadowlark panel's pitch, in the infrared.
PANEL = dict(pitch=17e-6, wavelength=1.064e-6, fill=0.9, detector_fill=0.8, orders=1)
# Defocus, coma and spherical aberration.
ABERRATIONS = [0, 0, 0, 0.05, 0, 0, 0, 0.05, 0, 0, 0.05]


def _lens(pixels, widths=2.5, **changes):
    widest = max(pixels) if isinstance(pixels, tuple) else pixels
    return FourierLens(pixels, **PANEL | dict(pupil_radius=widths * widest * PANEL["pitch"]) | changes)


def _light(shape, seed=0):
    keys = jax.random.split(jax.random.key(seed))
    return jax.random.normal(keys[0], shape) + 1j * jax.random.normal(keys[1], shape)


@jax.jit
def _propagate(transfer, light):
    return transfer(light)


def _entries(lens, emitters, receivers):
    light = np.zeros((len(emitters), *light_shape(lens.shape, lens.subpixels)), np.float32)
    for plane, pixel in zip(light, emitters, strict=True):
        plane[pixel] = 1.0
    out = np.asarray(_propagate(lens, light))
    return np.stack([out[:, row, col] for row, col in receivers])


@pytest.mark.parametrize(
    ("pixels", "changes"),
    [
        ((12, 20), dict(tilt=(3e-3, -2e-3), decentre=(5e-6, 9e-6), defocus=1e-4)),
        ((20, 12), dict(subpixels=2)),
        (24, {}),
    ],
)
@pytest.mark.every(3)
def test_the_zero_order_against_the_rayleigh_sommerfeld_integral(pixels, changes):
    lens = _lens(pixels, 1.6, **changes)
    rows, cols = (n * lens.subpixels for n in lens.shape)
    emitters = [(rows // 2 + 1, cols // 2 - 2), (1, cols - 3), (rows // 3, cols // 5)]
    receivers = [(lens.shape[0] // 2 - 1, lens.shape[1] // 2 + 3), (lens.shape[0] - 1, 0), (2, 2)]
    expected = map_entries(lens, emitters, receivers)
    # A pupil close to the light: what other orders lose at its edge is missing.
    assert relative(_entries(lens, emitters, receivers), expected) <= 5e-3


def test_more_orders_come_closer_to_all_of_them():
    light = _light((2, 16, 16))
    whole = _propagate(_lens(16, orders=None, oversampling=8), light)
    errors = [relative(_propagate(_lens(16, orders=orders), light), whole) for orders in (1, 3)]
    assert errors[0] <= 1e-3 and errors[1] <= errors[0]
    # Close to the light, the pupil's edge needs the orders beside.
    whole = _propagate(_lens(16, 1.5, orders=None, oversampling=8), light)
    errors = [relative(_propagate(_lens(16, 1.5, orders=orders), light), whole) for orders in (1, 3)]
    assert errors[1] <= 0.7 * errors[0] <= 3e-3


def test_large_and_rectangular_panels_follow_the_zero_order_by_default():
    numbers = dict(pitch=17e-6, wavelength=1.064e-6)
    large = FourierLens(64, **numbers)
    # Twice the panel, two samples a pixel, and 3 √N pixels on either side.
    assert (large.orders, large.oversampling) == (1, 2) and 4 * (64 + 24) <= large.plane <= 4.2 * (64 + 24)
    assert FourierLens((4, 6), **numbers).orders == 1 and FourierLens(16, **numbers).orders is None
    assert FourierLens(64, **numbers, oversampling=4).orders is None
    assert FourierLens((1, 64), **numbers).orders is None
    assert FourierLens(1024, **numbers).plane <= 4.4 * 1024
    # The light of a distant lens spreads less than the order of its pixels.
    assert FourierLens(64, **numbers, focal_length=0.05).plane == large.plane


@pytest.mark.parametrize(
    ("pixels", "changes"),
    [
        ((20, 36), dict(tilt=(1e-3, -2e-3), waist=5e-4)),
        (18, dict(subpixels=2, fill=1.0)),
        (40, dict(aberrations=ABERRATIONS, defocus=3e-5)),
    ],
)
@pytest.mark.every(3)
def test_masks_equal_the_wave(pixels, changes):
    lens = _lens(pixels, **changes)
    transfer = compile_transfer(lens)
    assert isinstance(transfer, MaskedFFT) and transfer.shape == lens.shape
    light = _light((3, *light_shape(lens.shape, lens.subpixels)))
    expected = _propagate(lens, light)
    assert relative(_propagate(transfer, light), expected) <= 4e-4
    assert relative(transfer(light, real=True), expected.real) <= 6e-4
    assert relative(transfer(light.real), lens(light.real)) <= 4e-4
    assert np.isclose(transfer.residual, relative(transfer(light), expected), rtol=0.3)
    assert float(transfer.residual) <= 3e-4
    # No pixel gives more light than it is said to.
    one = jnp.zeros(light.shape[1:]).at[light.shape[1] // 2, light.shape[2] // 2].set(1.0)
    assert 0.9 <= float(jnp.max(jnp.abs(transfer(one))) / transfer.peak) <= 1.05


@pytest.mark.slow
def test_masks_equal_the_row_and_column_products():
    lens = _lens(20, aberrations=[0, 0, 0, 0, 0, 0, 0, 0.02, 0, 0, 0.02])
    masks = compile_transfer(lens, tolerance=3e-5)
    products = decompose(lens, lens.plane // 2, None, 1e-5)
    light = _light((20, 20))
    assert relative(masks(light), products(light)) <= 1e-4


def test_the_residual_tells_what_few_terms_leave_out():
    lens = _lens(24, aberrations=ABERRATIONS)
    light = _light((4, 24, 24))
    expected = _propagate(lens, light)
    short = compile_transfer(lens, terms=2)
    assert short.masks_in.shape[0] == 2
    error = relative(short(light), expected)
    assert error > 0.01 and np.isclose(short.residual, error, rtol=0.2)
    # A pupil that cuts the light a little has more terms than are tried.
    with pytest.warns(wave.SamplingWarning):
        lens = _lens(17, 1.3)
    with pytest.warns(UserWarning, match=r"`lens` leaves a residual of .* its pupil cuts the light"):
        compile_transfer(lens)


def test_a_propagation_that_is_kept_is_that_of_the_lens():
    subpixels = 2
    with pytest.warns(wave.SamplingWarning, match=r"`pupil_radius` .* cuts the light.* Set `orders=3`"):
        lens = _lens((4, 5), 0.7, tilt=(1e-3, -2e-3), waist=1e-4, subpixels=subpixels)
    light = _light((2, *light_shape(lens.shape, subpixels)))
    kept, expected = keep_propagation(lens)(light), lens(light)
    assert relative(kept, expected) <= 3e-6
    assert relative(keep_propagation(lens)(light, real=True), expected.real) <= 3e-6


@pytest.mark.slow
def test_a_pupil_that_cuts_light_keeps_its_propagation(tmp_path, monkeypatch):
    # One attempt of masks in place of four.
    monkeypatch.setattr(_cross, "MOST_COLUMNS", 12)
    lens = _lens((17, 16), 0.5, orders=2, tilt=(1e-3, -2e-3))
    transfer = compile_transfer(lens, folder=tmp_path)
    assert isinstance(transfer, optics.Propagation) and transfer.shape == lens.shape
    light = _light((3, *lens.shape))
    expected = _propagate(lens, light)
    assert relative(_propagate(transfer, light), expected) <= 3e-6
    assert relative(transfer(light[0], real=True), expected[0].real) <= 3e-6
    # It is read as it was written.
    again = compile_transfer(lens, folder=tmp_path)
    assert jax.tree.structure(again) == jax.tree.structure(transfer)
    np.testing.assert_array_equal(_propagate(again, light), _propagate(transfer, light))
    # The map of some pairs of pixels, of which one order misses more.
    emitters, receivers = [(8, 9), (0, 15), (14, 3)], [(9, 4), (16, 15), (0, 10)]
    integral = map_entries(lens, emitters, receivers)
    assert relative(_entries(transfer, emitters, receivers), integral) <= 5e-4
    with pytest.warns(wave.SamplingWarning, match=r"`pupil_radius` .* cuts the light.* Set `orders=2`"):
        short = _lens((17, 16), 0.5, tilt=(1e-3, -2e-3))
    assert relative(_entries(short, emitters, receivers), integral) >= 2e-3


@pytest.mark.slow
def test_a_twin_keeps_the_propagation_of_a_pupil_that_cuts_light(monkeypatch):
    # It was fitted through masks that left out a sixth of the map.
    monkeypatch.setattr(_cross, "MOST_COLUMNS", 12)
    lens = _lens(17, 0.5, orders=2)
    terms = _likelihood.compiled_terms(lens)
    light = _light((17, 17))
    assert relative(_likelihood.compile_lens(lens, terms)(light), _propagate(lens, light)) <= 3e-6


@pytest.mark.slow
def test_modes_of_a_pupil_that_cuts_light():
    lens = _lens(17, 0.5, orders=2)
    modes = optics.illuminate(lens, optics.light.line(1.064e-6, 1e-9, modes=2))
    compiled = compile_transfer(modes)
    assert isinstance(compiled.transfer, optics.Propagation) and compiled.shape == (17, 17)
    light = _light((17, 17))
    assert relative(compiled(light), modes(light)) <= 1e-5


@pytest.mark.usefixtures("x64")
def test_masks_have_the_gradients_of_the_wave():
    light = _light((20, 20))

    def power(lens, compile_):
        field = compile_(lens)(light)
        return jnp.sum(jnp.abs(field[3:7]) ** 2) + jnp.sum(field[11].real ** 2)

    lens = _lens(20, aberrations=[0, 0, 0, 0.02, 0, 0, 0.01, 0.02], defocus=1e-6)
    result = jax.jit(jax.grad(lambda lens: power(lens, partial(compile_transfer, terms=16))))(lens)
    expected = jax.jit(jax.grad(lambda lens: power(lens, lambda lens: lens)))(lens)
    for name in ("focal_length", "wavelength", "pitch", "defocus", "fill", "detector_fill"):
        assert np.isclose(getattr(result, name), getattr(expected, name), rtol=2e-2), name
    assert relative(result.aberrations, expected.aberrations) <= 1e-2


@pytest.mark.parametrize("shape", [(24, 30), (31, 33), (23, 24)])
def test_the_exact_transform_of_many_pixels(shape, key):
    a = np.asarray(jax.random.normal(key, (2, *shape)), np.float64)
    expected = scipy.fft.fftshift(
        scipy.fft.fft2(scipy.fft.ifftshift(a, (-2, -1)), norm="ortho"), axes=(-2, -1)
    )
    transfer = optics.dft(shape)
    assert isinstance(transfer, MaskedFFT)
    assert relative(transfer(jnp.asarray(a)), expected) <= 1e-6
    assert relative(transfer(jnp.asarray(a), real=True), expected.real) <= 1e-6
    assert np.isclose(transfer.peak, 1 / np.sqrt(np.prod(shape)))


def test_the_ideal_device_of_many_pixels_convolves(key):
    device = optics.presets.load("ideal", pixels=(48, 64))
    x, w = jax.random.normal(key, (2, 48, 64))
    expected = scipy.signal.convolve2d(np.asarray(x), np.asarray(w), mode="full")
    expected = sum(
        np.pad(expected, [(0, 1), (0, 1)])[r : r + 48, c : c + 64] for r in (0, 48) for c in (0, 64)
    )
    assert relative(optics.convolve(x, w, device), expected) <= 1e-5


def test_a_correlator_of_a_panel(key):
    # A map that is not square, with a lens: the spectrum of the kernel needs no full matrix.
    transfer = compile_transfer(_lens((24, 40)))
    gains = optics.calibrate(optics.FourierProcessor(transfer))
    device = optics.Correlator(transfer, input_gain=gains.input_gain, output_gain=gains.output_gain)
    x, w = jax.random.normal(key, (2, 24, 40))
    assert relative(optics.convolve(x, w, device), optics.convolve(x, w)) <= 1e-2


def test_a_meter_sets_full_scale_by_the_light(key):
    # Read noise is a share of full scale: it falls as full scale does, from the bound to the brightest pixel.
    noise = (optics.effects.Read(1e-3), optics.effects.Saturate())
    transfer = optics.dft(32)
    x, w = jax.random.normal(key, (2, 32, 32))
    processors, correlators = (
        [make(transfer, camera=noise, metering=metering) for metering in (False, True)]
        for make in (optics.FourierProcessor, optics.Correlator)
    )
    scales = [float(device.prepare(x).full_scale.squeeze()) for device in processors]
    spectrum = np.abs(np.asarray(transfer(x)) / np.abs(np.asarray(x)).max())
    assert np.isclose(scales[1], 1.05 * spectrum.max(), rtol=1e-5) and scales[0] > 5 * scales[1]

    def errors(call, devices):
        exact = call(devices[0], None)
        return [relative(call(device, key), exact) for device in devices]

    of_transform = errors(lambda device, key: device.transform(x, key), processors)
    assert np.isclose(of_transform[0] / of_transform[1], scales[0] / scales[1], rtol=0.1)
    of_correlator = errors(lambda device, key: device.convolve(x, w, key), correlators)
    assert of_correlator[1] < 0.2 * of_correlator[0]
    # Without noise nothing saturates.
    assert relative(correlators[1].convolve(x, w), correlators[0].convolve(x, w)) <= 1e-5
    line = optics.dft((1, 123))
    joint = [optics.JointTransform(line, (1, 21), camera=noise, metering=m) for m in (False, True)]
    lines = x[:1, :21], w[:1, :21]
    of_joint = errors(lambda device, key: device.convolve(*lines, key), joint)
    # The light that is not read may saturate: full scale is that of the convolution.
    assert of_joint[1] < 0.25 * of_joint[0]
    assert relative(optics.convolve(*lines, joint[1]), optics.convolve(*lines)) <= 1e-5


@pytest.mark.parametrize(
    ("name", "make", "most"),
    [
        ("joint", lambda: optics.JointTransform(optics.dft((64, 264)), (64, 44)), 6),
        ("off-axis", lambda: optics.FourierProcessor(optics.dft((112, 150)), optics.OffAxis()), 30),
        pytest.param(
            "defocus",
            lambda: optics.Correlator(optics.dft((112, 150)), measurement=optics.PhaseDiversity(4)),
            75,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_batch_of_panels_takes_the_memory_of_one(name, make, most, key, monkeypatch):
    # One panel a chunk, of which a gradient keeps nothing.
    monkeypatch.setattr("optics._chunks.CACHED_ELEMENTS", 2**15)
    monkeypatch.setattr("optics._chunks.MAX_ELEMENTS", 2**15)
    device = make()
    x_key, w_key = jax.random.split(key)
    x, w = jax.random.normal(x_key, (4, 1, *device.shape)), jax.random.normal(w_key, (2, *device.shape))

    def loss(convolve, x, w):
        y = convolve(x, w)
        return jnp.sum(y[:, :, 3:7] ** 2), y

    def slopes(convolve):
        return jax.jit(jax.grad(partial(loss, convolve), (0, 1), has_aux=True))

    program = slopes(lambda x, w: optics.convolve(x, w, device)).lower(x, w).compile()
    result, expected = program(x, w), slopes(optics.convolve)(x, w)
    tolerance = 2e-3 if name == "defocus" else 2e-5
    assert all(
        relative(a, b) <= tolerance for a, b in zip(*map(jax.tree.leaves, (result, expected)), strict=True)
    )
    pixels = np.prod((64, 264) if name == "joint" else device.shape)
    # Beside the planes that come in and go out, and the slopes of both.
    lasting = 2 * (x.nbytes + w.nbytes + expected[1].nbytes)
    held = program.memory_analysis().temp_size_in_bytes - lasting
    assert held <= most * 8 * pixels


def test_noise_of_a_batch_of_joint_transforms_is_that_of_each(key, monkeypatch):
    noise = (optics.effects.Read(1e-3),)
    device = optics.JointTransform(optics.dft((64, 258)), (64, 43), camera=noise, metering=True)
    x = jnp.ones((3, *device.shape)) / 64
    monkeypatch.setattr("optics._chunks.CACHED_ELEMENTS", 2**15)
    y = optics.convolve(x, jnp.zeros(device.shape).at[0, 0].set(1.0), device, key) - x
    assert np.std(y) > 0 and abs(np.corrcoef(np.reshape(y, (3, -1)))[0, 1:]).max() < 0.1


def test_gains_from_a_few_planes_of_random_phases(key):
    device = optics.FourierProcessor(compile_transfer(_lens(18, aberrations=[0] * 7 + [0.01])))
    every_pixel = optics.calibrate(device)
    turns = jax.random.uniform(key, (16, 18, 18))
    few = optics.calibrate(device, jnp.exp(2j * jnp.pi * turns))
    for name in ("input_gain", "output_gain"):
        assert relative(getattr(few, name), getattr(every_pixel, name)) <= 1e-2
    a = jax.random.normal(key, (18, 18))
    errors = [relative(d.transform(a), optics.dft(18)(a)) for d in (device, every_pixel, few)]
    assert errors[2] <= 1.05 * errors[1] < 0.2 * errors[0]
    # What comes by default on so many pixels.
    large = optics.FourierProcessor(optics.dft(36))
    assert relative(optics.calibrate(large).input_gain, jnp.ones((36, 36))) <= 1e-5


def test_presets_take_the_shape_of_a_part_of_their_panel(key):
    device = optics.presets.load("dmd-4f", pixels=(18, 32), contrast=1e6, power_noise=0.0)
    assert device.shape == (18, 32) and isinstance(device.transfer, MaskedFFT)
    a = jax.random.uniform(key, (18, 32))
    assert relative(optics.transform(a, device), optics.transform(a)) <= 2e-2
    for name, pixels, fitting in (("slm-4f", 960, "77×137"), ("slm-fast", 512, "170×170")):
        with pytest.raises(
            ValueError, match=f"`pixels` .* do not fit the panel .* {fitting} fit; .* `group`"
        ):
            optics.presets.load(name, pixels=pixels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _lens(64, orders=0), "`orders`"),
        (lambda: _lens((1, 64)), "`orders` must be None for a line"),
        (lambda: _lens(64, oversampling=3, subpixels=2), "`oversampling` must be a multiple of 2"),
        (lambda: _lens(64, orders=3, oversampling=2), "`oversampling` of 2 .* does not hold `orders` of 3"),
        (lambda: _lens(64, plane=200), r"`plane` of \d+ samples is too small .* set `plane=352`"),
        (lambda: compile_transfer(_lens(64, focal_length=0.03)), "`lens` .* `focal_length` .* turns off"),
        (
            lambda: optics.calibrate(optics.FourierProcessor(optics.dft(30)), jnp.ones((2, 30, 30))),
            "`probe` must have at least 3 planes",
        ),
        (
            lambda: optics.calibrate(optics.FourierProcessor(optics.dft(40)), compensation="matrix"),
            "`probe` must have at least 1600 planes",
        ),
        (
            lambda: optics.FourierProcessor(optics.dft(4), full_scale=1.0, metering=True),
            "`metering` must be False with a `full_scale`",
        ),
        (
            lambda: MaskedFFT(jnp.ones((4, 4)), jnp.ones((1, 4, 4))),
            "`masks_in` must have the shape .terms, rows, columns.,",
        ),
        (
            lambda: MaskedFFT(jnp.ones((2, 4, 4)), jnp.ones((1, 4, 4))),
            "the same number of terms, got 2 and 1",
        ),
        (lambda: MaskedFFT(jnp.ones((1, 4, 4)), jnp.ones((1, 4, 5))), "`masks_in` must have 4×5 pixels"),
        (
            lambda: optics.Propagation(*[jnp.ones((8, 8))] * 3, jnp.ones((4, 4)), 1.0, (4, 4), (4, 4, 4)),
            "`strides` must divide 8 samples into at least 4 pixels of light",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_panels_too_large_for_memory_are_refused_with_the_size_that_fits(monkeypatch):
    monkeypatch.setattr("optics._check._memory", lambda: 2**30)
    with pytest.raises(ValueError, match=r"`pixels` .* GiB for 6 planes of light, .* about 11\d\d pixels"):
        _lens(4096)
    with pytest.raises(ValueError, match=r"`shape` .* about 5792 pixels a side would fit"):
        optics.dft(8192)


def test_errors_that_move_light_beyond_the_guard_warn():
    with pytest.warns(optics.wave.SamplingWarning, match=r"move light by up to .* pixels .* Set `orders=2`"):
        _lens(32, aberrations=[0, 0, 0, 0, 0, 0, 0, 6.0])


def test_a_prime_number_of_planes_makes_chunks_of_several(monkeypatch, key):
    monkeypatch.setattr(_chunks, "CACHED_ELEMENTS", 64)
    monkeypatch.setattr(_chunks, "MAX_ELEMENTS", 64)
    x, sizes = jax.random.normal(key, (17, 4, 4)), []

    def double(x, w, key):
        sizes.append(len(x))
        return x + w

    for y in (
        _chunks.map_panels(lambda x, key: double(x, x, key), x, None, 16),
        _chunks.map_pairs(double, x, x, jax.random.split(key, 17), 16),
    ):
        np.testing.assert_array_equal(y, 2 * x)
    assert set(sizes) == {4}
