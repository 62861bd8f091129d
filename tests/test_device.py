"""Every device: exact where it is ideal, finite at zero, the same bits for the same key, one trace for a
sweep.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import optics
from optics import effects
from tests.helpers import relative, with_slow
from tests.parts import DEVICES, EFFECTS, MEASUREMENTS, MODULATIONS, load

# Compiled once per kind of device: one operation at a time would compile each of them.
convolve, transform = jax.jit(optics.convolve), jax.jit(optics.transform)


@pytest.fixture(
    scope="module",
    params=with_slow(
        DEVICES, ("ideal 1×6", "engine11, exact transform", "wave 5×5", "camera 6×6", "line of a diode, wave")
    ),
)
def named(request):
    return request.param, _uncalibrated_scale(DEVICES[request.param].make())


def _uncalibrated_scale(device):
    """A lens without calibration dims: undo the common factor, so that errors are the optics' own."""
    return (
        optics.calibrate(device)
        if isinstance(device, optics.FourierProcessor) and isinstance(device.transfer, optics.FourierLens)
        else device
    )


def planes(device, key):
    """x with a leading axis that w does not have, and the other way round."""
    return jax.random.normal(key, (3, 1, *device.shape)), jax.random.normal(
        jax.random.fold_in(key, 1), (2, *device.shape)
    )


def exact(x, w):
    x, w = np.asarray(x, complex), np.asarray(w, complex)
    return scipy.fft.ifft2(scipy.fft.fft2(x) * scipy.fft.fft2(w))


def centred_dft(a):
    """The unitary transform of the last two axes by scipy, in double precision, with its origin at pixel
    n//2.
    """
    axes = (-2, -1)
    spectrum = scipy.fft.fft2(scipy.fft.ifftshift(np.asarray(a, complex), axes), norm="ortho")
    return scipy.fft.fftshift(spectrum, axes)


def test_convolution_and_transform(named, key):
    name, device = named
    x, w = planes(device, key)
    y = convolve(x, w, device, key)
    assert y.dtype == jnp.float32
    assert relative(y, exact(x, w).real) <= DEVICES[name].tolerance
    if not device.supports(optics.AbstractDevice.transform):
        return
    z = transform(x, device, key)
    assert z.dtype == jnp.complex64
    assert relative(z, scipy.fft.fft2(np.asarray(x), norm="ortho")) <= DEVICES[name].tolerance


@pytest.mark.every(2)
def test_complex_numbers(named, key):
    name, device = named
    x, w = planes(device, key)
    x, w = x + 1j * jnp.roll(x, 1, -1), w - 2j * w[::-1]
    for a, b in ((x, w), (x.real, w), (x, w.real)):
        y = convolve(a, b, device, key)
        assert y.dtype == jnp.complex64
        assert relative(y, exact(a, b)) <= DEVICES[name].tolerance


def test_expected_value_is_what_shots_average_to(named, key):
    _, device = named
    if not device.supports(optics.AbstractDevice.transform):
        pytest.skip("has no transform of its own")
    x, _ = planes(device, key)
    # Converters are left out: noise dithers them, so that their mean error is smaller than without noise.
    camera = next(stage.effects for stage in device.stages() if stage.name == "camera")
    keep = tuple(e for e in camera if not isinstance(e, effects.Quantize))
    device = device.with_stages(slm=(), camera=keep)
    shots = jax.jit(jax.vmap(lambda k: device.transform(x, k)))(jax.random.split(key, 2000))
    error = jnp.abs(jnp.mean(shots, 0) - jax.jit(lambda x: device.transform(x))(x))
    assert np.max(error / (jnp.std(shots, 0) / np.sqrt(2000) + 1e-5)) < 5


@pytest.mark.every(2)
def test_zero_gives_zero_and_no_nan(named, key):
    _, device = named
    zero = jnp.zeros((2, *device.shape))
    one = jnp.ones(device.shape)

    def power(x, w, device, k):
        y = optics.convolve(x, w, device, k)
        return jnp.sum(y + y**2), jnp.max(jnp.abs(y))

    # Zero light is where square roots and divisions would break, whichever number is asked about.
    run = jax.jit(jax.value_and_grad(power, (0, 1, 2), has_aux=True))
    for k in (None, key):
        for x, w in ((zero, one), (zero + 1, 0 * one), (zero, 0 * one)):
            assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(run(x, w, device, k)))
    (_, largest), _ = run(zero, one, device, None)
    assert largest <= 1e-5


def test_what_is_not_finite_stays_in_its_example(key):
    x, w = jax.random.normal(key, (3, 11, 11)), jax.random.normal(jax.random.fold_in(key, 1), (11, 11))
    y = convolve(x.at[1, 2, 3].set(jnp.nan), w, load("engine11"), key)
    assert np.all(np.isnan(y[1])) and np.all(np.isfinite(y[0])) and np.all(np.isfinite(y[2]))


@pytest.mark.every(2)
def test_same_key_same_bits_and_jit_is_eager(named, key):
    _, device = named
    x, w = planes(device, key)
    compiled = jax.jit(optics.convolve)
    for k in (None, key):
        with jax.disable_jit():
            # Operation by operation.
            y, again = (optics.convolve(x, w, device, k) for _ in range(2))
        np.testing.assert_array_equal(y, again)
        np.testing.assert_array_equal(compiled(x, w, device, k), compiled(x, w, device, k))
        # A number on the edge between two levels of a converter may fall to either side.
        differences = np.abs(compiled(x, w, device, k) - y) / np.std(y)
        assert np.median(differences) <= 1e-5 and np.max(differences) <= 0.05
    other = compiled(x, w, device, jax.random.fold_in(key, 1))
    assert np.array_equal(compiled(x, w, device, key), other) == (
        not any(isinstance(e, effects.Noise) for e in device.stages()[-1].effects)
    )


def test_scale_and_order_do_not_matter(named, key):
    name, device = named
    x, w = planes(device, key)
    one = convolve(x, w, device, key)
    assert relative(convolve(2.0**10 * x, 2.0**-20 * w, device, key), one / 2**10) <= 1e-5
    # An example does not depend on what else is in its batch.
    assert relative(convolve(x.at[0].mul(1e3), w, device, key)[1:], one[1:]) <= 1e-5
    if name.startswith("ideal"):
        assert relative(convolve(w[0], x[0, 0], device), convolve(x[0, 0], w[0], device)) <= 1e-5


def test_full_scale_has_room_for_rounding_and_noise(key):
    # Converters round 120 of 121 pixels up, and all the light of a constant plane meets in one detector
    # pixel.
    device = load("engine11", level="ideal")
    uneven, constant = jnp.full((11, 11), 0.5).at[0, 0].set(1), jnp.ones((11, 11))
    for a in (uneven, constant):
        shots = jax.jit(jax.vmap(lambda k: optics.transform(a, device, k)[0, 0].real))(
            jax.random.split(key, 2000)
        )
        expected = optics.transform(a, device)[0, 0].real
        wanted = jnp.sum(device.slm[0](a, None)) / 11
        assert abs(expected - wanted) <= 0.002 * wanted
        assert abs(jnp.mean(shots) - wanted) <= 0.001 * wanted


def test_one_trace_for_a_sweep(key):
    device = DEVICES["camera 6×6"].make()
    traces = 0

    @jax.jit
    def run(device):
        nonlocal traces
        traces += 1
        return optics.transform(jnp.ones((6, 6)), device, key)

    def with_photons(photons):
        return eqx.tree_at(lambda d: d.camera[2].photons, device, photons)

    for photons in (1e2, 1e3, 1e4):
        run(with_photons(jnp.float32(photons)))
    run(
        optics.FourierProcessor(
            device.transfer,
            device.measurement,
            device.slm,
            (*device.camera[:2], effects.Shot(5), *device.camera[3:]),
        )
    )
    assert traces == 1
    swept = jax.vmap(lambda p: run(with_photons(p)))(jnp.array([1e2, 1e4]))
    assert swept.shape == (2, 6, 6)


def test_engines_of_any_number_share_a_trace(key):
    traces = 0

    @jax.jit
    def run(device):
        nonlocal traces
        traces += 1
        return device.transform(jnp.ones((5, 5)), key)

    for photons in (1e3, 1e5):
        for read in (0.0, 0.01):
            run(optics.presets.load("engine11", pixels=5, photons=photons, read=read))
    assert traces == 1


@pytest.mark.parametrize("level", ["ideal", "compiled", "wave"])
@pytest.mark.every(2)
def test_three_levels_on_one_call(level, key):
    device = load("engine11", level=level)
    bare = eqx.tree_at(lambda d: (d.slm, d.camera), device, ((), ()))
    compiled = load("engine11")
    bare_compiled = eqx.tree_at(lambda d: (d.slm, d.camera), compiled, ((), ()))
    x, w = planes(device, key)
    assert relative(convolve(x, w, device, key), exact(x, w).real) <= 0.1
    error = relative(convolve(x, w, bare), convolve(x, w, bare_compiled))
    assert error <= (1e-5 if level != "ideal" else 5e-3)


def test_noise_free_engine_against_the_exact_transform(key):
    lens = load("engine11", level="wave").transfer
    raw = optics.FourierProcessor(optics.compile_transfer(lens))
    x, _ = planes(raw, key)
    wanted = scipy.fft.fft2(np.asarray(x), norm="ortho")

    def error(device):
        found = np.asarray(transform(x, device))
        return relative(found * (np.vdot(found, wanted) / np.vdot(found, found)), wanted)

    assert 0.03 < error(raw) < 0.12
    assert error(optics.calibrate(raw)) <= 5e-3


def fits(effect, measurement):
    return effect not in MODULATIONS and EFFECTS[effect].make().signed in (
        None,
        MEASUREMENTS[measurement].make().signed,
    )


PAIRS = [(effect, measurement) for effect in EFFECTS for measurement in MEASUREMENTS]


@pytest.mark.parametrize(("effect", "measurement"), [pair for pair in PAIRS if not fits(*pair)])
def test_a_camera_refuses_an_effect_that_has_no_meaning_on_its_frames(effect, measurement):
    with pytest.raises(ValueError, match=f"`camera` cannot hold {type(EFFECTS[effect].make()).__name__}: "):
        optics.FourierProcessor(
            optics.dft(4), MEASUREMENTS[measurement].make(), camera=(EFFECTS[effect].make(),)
        )


FITTING = [pair for pair in PAIRS if fits(*pair)]
# Every effect with a measurement, and every measurement with an effect.
ONE_OF_EACH = {next(pair for pair in FITTING if pair[0] == effect) for effect, _ in FITTING}
ONE_OF_EACH |= {next(pair for pair in FITTING if pair[1] == measurement) for _, measurement in FITTING}


@pytest.mark.parametrize("pair", with_slow(FITTING, set(FITTING) - ONE_OF_EACH), ids="-".join)
@pytest.mark.every(3)
def test_an_effect_acts_on_the_frames_of_a_measurement(pair, key):
    """Without noise the device gives what the measurement reads from the effect's own frames of the exact
    field.
    """
    effect, measurement = EFFECTS[pair[0]].make(), MEASUREMENTS[pair[1]].make()
    device = optics.FourierProcessor(optics.dft(4), measurement, camera=(effect,))
    x = jax.random.normal(key, (8, 4, 4))

    def loss(x, device):
        result = device.transform(x, key)
        return jnp.mean(jnp.abs(result - jnp.fft.fft2(x)) ** 2), device.transform(x)

    (value, result), slopes = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(x, device)
    assert np.isfinite(value) and all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(slopes))
    exposure = device.prepare(x)
    full_scale = exposure.full_scale * exposure.scale[..., None, :, :]
    field = (centred_dft(x)[:, None] / np.asarray(full_scale)).astype(np.complex64)
    expected = measurement.field(effect(measurement.frames(jnp.asarray(field)), None)) * full_scale
    assert relative(result, expected[:, 0]) <= 2e-5


@pytest.mark.parametrize("modulation", with_slow(MODULATIONS, ("crosstalk", "flicker out of step")))
@pytest.mark.every(3)
def test_every_modulation_on_a_modulator(modulation, key):
    """Without noise the device gives the exact transform of the effect's own light."""
    effect = MODULATIONS[modulation].make()
    transfer = optics.dft(4)
    if isinstance(effect, effects.PerMode):
        transfer = optics.Modal(jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), transfer), [1, 1])
    device = optics.FourierProcessor(transfer, slm=(effect,))
    # Complex: the phases of signed numbers, 0 and π, are levels of any quantizer.
    x = jax.random.normal(key, (8, 4, 4), complex)

    def loss(x, device):
        return jnp.mean(jnp.abs(device.transform(x, key)) ** 2), device.transform(x)

    (value, result), slopes = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(x, device)
    assert np.isfinite(value) and all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(slopes))
    brightest = np.abs(x).max((-2, -1), keepdims=True)
    expected = centred_dft(effect(x / brightest, None)) * brightest
    assert relative(result, expected) <= 2e-5
    assert MODULATIONS[modulation].random or relative(result, centred_dft(x)) > 1e-4
    dark = jax.jit(jax.grad(lambda x, d: jnp.sum(jnp.abs(d.transform(x, key)) ** 2), (0, 1)))(0 * x, device)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(dark))
    assert (np.max(np.abs(device.transform(0 * x))) > 1e-6) == MODULATIONS[modulation].leaks


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", with_slow(["ideal 3×4", "engine11", "wave 5×5"], ("ideal 3×4", "wave 5×5")))
def test_gradients_against_finite_differences(name):
    device = _uncalibrated_scale(DEVICES[name].make())
    device = eqx.tree_at(lambda d: (d.slm, d.camera), device, ((), ()))
    key = jax.random.key(0)
    x, w = planes(device, key)

    def loss(x, w, device):
        return jnp.sum(jnp.sin(optics.convolve(x, w, device)))

    loss = jax.jit(loss)
    slope = jax.jit(jax.grad(loss, (0, 1)))(x, w, device)
    dx, dw = jax.random.normal(jax.random.key(1), x.shape), jax.random.normal(jax.random.key(2), w.shape)
    step = 1e-5
    numeric = (loss(x + step * dx, w + step * dw, device) - loss(x - step * dx, w - step * dw, device)) / (
        2 * step
    )
    assert np.isclose(jnp.vdot(slope[0], dx) + jnp.vdot(slope[1], dw), numeric, rtol=1e-6)


def test_gradient_through_noise_and_converters_is_near_the_exact_one(key):
    device = load("engine11")
    x, w = jax.random.normal(key, (64, 1, 11, 11)), jax.random.normal(key, (8, 11, 11))
    target = jax.random.normal(jax.random.fold_in(key, 3), (64, 8, 11, 11))
    through, ideal = (
        jax.jit(jax.grad(lambda w: jnp.vdot(target, optics.convolve(x, w, d, key))))(w)
        for d in (device, None)
    )
    assert relative(through, ideal) < 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: optics.convolve(jnp.ones(11), jnp.ones((11, 11)), d), "`x` must have at least two axes"),
        (
            lambda d: optics.convolve(jnp.ones((11, 11)), jnp.ones((3, 3)), d),
            r"`x` and `w` must agree in their last two axes, got \(11, 11\) and \(3, 3\)",
        ),
        (
            lambda d: optics.convolve(jnp.ones((8, 16)), jnp.ones((8, 16)), d),
            "`x` has planes of 8×16 but the device has 11×11 pixels",
        ),
        (
            lambda d: optics.transform(jnp.ones((2, 8, 8)), d),
            "`a` has planes of 8×8 but the device has 11×11",
        ),
        (
            lambda d: optics.FourierProcessor(d.transfer, input_gain=jnp.ones((3, 3))),
            r"`input_gain` must be a scalar or have the shape \(11, 11\)",
        ),
        (lambda d: optics.FourierProcessor(d.transfer, peak=0.0), "`peak` must be finite and above 0"),
        (
            lambda d: optics.FourierProcessor(d.transfer, camera=effects.Read(0.1)),
            r"`camera` must be a tuple of effects .*, got Read",
        ),
        (
            lambda d: optics.FourierProcessor(d.transfer, slm=(effects.Quantize(8),)),
            "`slm` cannot hold Quantize: amplitudes are signed",
        ),
        (lambda d: optics.FourierProcessor(d.transfer, slm=(effects.Read(0.1),)), "`slm` cannot hold Read"),
        (
            lambda d: optics.FourierProcessor(d.transfer, optics.Coherent),
            "`measurement` must be an `AbstractMeasurement`",
        ),
        (
            lambda d: optics.FourierProcessor(d.transfer, headroom=0.9),
            "`headroom` must be finite and at least 1, got 0.9",
        ),
        (
            lambda d: optics.FourierProcessor(d.transfer, input_gain=jnp.nan),
            "`input_gain` must be finite, got nan",
        ),
        (
            lambda d: optics.convolve(jnp.ones((11, 11)), jnp.ones((11, 11)), "engine11"),
            "`device` must be None or a device, .*got 'engine11'",
        ),
        (
            lambda d: optics.transform(jnp.ones((11, 11)), optics.FourierProcessor),
            "`device` must be None or a device",
        ),
        (
            lambda d: optics.convolve(jnp.ones((2, 11, 11)), jnp.ones((3, 11, 11)), d),
            "`x` and `w` must broadcast in their leading axes",
        ),
        (lambda d: d.transform(jnp.ones((2, 8))), "`a` has planes of 2×8 but the device has 11×11"),
        (
            lambda d: optics.FourierProcessor(d.transfer, camera=(0.1,)),
            "`camera` must be a tuple of effects from `optics.effects`, got 0.1",
        ),
    ],
)
def test_refusals(call, message):
    device = load("ideal")
    with pytest.raises(ValueError, match=message):
        call(device)
    if "planes" in message:
        with pytest.raises(ValueError, match=message):
            jax.jit(call)(device)


def test_the_light_that_an_exposure_needs(key):
    """Against numpy: one bright pixel needs a laser stronger than an even plane does."""
    device = optics.FourierProcessor(optics.dft(11))
    planes = jnp.stack([jnp.zeros((11, 11)).at[2, 3].set(-3.0), jnp.ones((11, 11))])
    light = np.asarray(device.relative_light(device.prepare(planes)))[:, 0]
    # The field of one pixel is 1/11 everywhere, that of 121 alike is 11 in the middle.
    np.testing.assert_allclose(light, [1 / (1.05 / 11) ** 2, 121 / (1.05 * 11) ** 2], rtol=1e-5)


def test_a_laser_of_fixed_power(key):
    noise = (effects.BalancedShot(1e4), effects.Read(1e-3))
    device = optics.FourierProcessor(optics.dft(4), camera=noise)
    fixed = device.with_fixed_laser()
    a = jnp.zeros((4, 4)).at[1, 1].set(2.0)
    exposures = [fixed.prepare(plane) for plane in (a, jnp.ones((4, 4)))]
    assert exposures[0].full_scale == exposures[1].full_scale == pytest.approx(1.05 * 4)
    assert relative(fixed.transform(a), device.transform(a)) <= 1e-6
    # One pixel of sixteen uses a sixteenth of full scale: its noise is sixteen times that of light set anew.
    keys = jax.random.split(key, 2000)
    spread = [
        np.std(jax.jit(jax.vmap(lambda key, d=d: d.transform(a, key)))(keys), axis=0).mean()
        for d in (device, fixed)
    ]
    assert spread[1] / spread[0] == pytest.approx(16, rel=0.05)
    # Brighter light than was provided for is cut off, where the detector saturates.
    small = optics.FourierProcessor(optics.dft(4), camera=(effects.Saturate(),), full_scale=1.0)
    assert np.abs(small.transform(jnp.ones((4, 4)))).max() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="`full_scale`"):
        optics.FourierProcessor(optics.dft(4), full_scale=0.0)
