"""Encoders: the drives that they give, their transforms (by FFT), and the numbers that come back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics import effects, encode
from tests.helpers import relative
from tests.parts import ENCODERS

N = 8


@pytest.fixture(scope="module")
def numbers():
    """Complex numbers of two examples, some zero or real, the second a thousand times the first."""
    re, im = jax.random.normal(jax.random.key(5), (2, 2, N, N))
    a = (re + 1j * im).at[:, 0, :3].set(0).at[:, 1].set(re[:, 1])
    return a * jnp.array([1, 1000])[:, None, None]


@jax.jit
def round_trip_and_slope(encoder, a, da):
    """Drive, scale, the numbers in the middle of the order, and their slope along `da`."""

    def trip(a):
        drive, scale = encoder.encode(a)
        return scale * encoder.combine(encoder.demodulate(drive, a.shape[-2:])), (drive, scale)

    result, slope, (drive, scale) = jax.jvp(trip, (a,), (da,), has_aux=True)
    return drive, scale, result, slope


demodulate = jax.jit(lambda encoder, light: encoder.demodulate(light, (N, N)))


def round_trip(encoder, a):
    return round_trip_and_slope(encoder, a, a)[:3]


def orders(drive, order, size=N):
    """The field of each exposure over an order by FFT of the drive, one number a frequency.

    The light of a size×size plane of numbers on p×q pixels each, around `order`, in units of the mean of a
    block.
    """
    rows, cols = (n // size for n in drive.shape[-2:])
    spectrum = np.fft.fft2(np.asarray(drive, complex)) / (rows * cols)
    m = np.fft.fftfreq(size, 1 / size).round()
    ky, kx = (m + round(f * size) for f in order)
    # Pixels lie half a block off the middle of their number.
    shift = [np.exp(-2j * np.pi * k / size * (0.5 / b - 0.5)) for k, b in ((ky, rows), (kx, cols))]
    picked = spectrum[..., ky.astype(int) % (size * rows), :][..., kx.astype(int) % (size * cols)]
    return picked * shift[0][:, None] * shift[1]


@pytest.mark.parametrize("name", ENCODERS)
def test_what_is_encoded_comes_back(name, numbers):
    encoder = ENCODERS[name].make()
    drive, scale, result = round_trip(encoder, numbers)
    p, q = encoder.subpixels
    assert drive.shape == (2, encoder.exposures, N * p, N * q) and scale.shape == (2, 1, 1)
    assert np.max(np.abs(drive)) <= 1 + 1e-6
    for one, expected in zip(result, numbers, strict=True):
        assert relative(one, expected) <= (1e-3 if isinstance(encoder, encode.BitPlanes) else 2e-6)
    # Scale is per example.
    np.testing.assert_allclose(
        round_trip(encoder, numbers * jnp.array([1, 0])[:, None, None])[2][0], result[0], atol=1e-6
    )


@pytest.mark.parametrize("name", ENCODERS)
def test_the_slope_is_that_of_the_number_even_at_zero(name, numbers):
    encoder = ENCODERS[name].make()
    direction = numbers[::-1] * (0.3 + 0.1j)
    for result, expected in zip(round_trip_and_slope(encoder, numbers, direction)[3], direction, strict=True):
        assert relative(result, expected) <= 5e-5
    _, _, nothing, slope = round_trip_and_slope(encoder, 0 * numbers, direction)
    assert np.max(np.abs(nothing)) <= 2e-6
    assert relative(slope, direction) <= 5e-5


def test_modulus_of_phase_only_drives(numbers):
    names = (
        "pairs",
        "checkerboard",
        "exchanged pairs",
        "blazed",
        "phases in turn",
        "guard pixels",
        "predistorted",
    )
    for name in names:
        np.testing.assert_allclose(np.abs(round_trip(ENCODERS[name].make(), numbers)[0]), 1, atol=1e-5)


def test_amplitudes_are_not_negative(numbers):
    for name in ("3 parts", "4 parts"):
        assert np.min(round_trip(ENCODERS[name].make(), numbers)[0]) >= 0
    drive, scale, result = round_trip(encode.Amplitude(2), numbers.real)
    assert np.min(drive) >= 0 and np.max(drive) == 1
    np.testing.assert_allclose(scale[:, 0, 0], np.max(np.abs(numbers.real), (1, 2)), rtol=1e-6)
    assert relative(result, numbers.real) <= 1e-6
    slope = jax.grad(lambda a: jnp.sum(encode.Amplitude(2).combine(encode.Amplitude(2).encode(a)[0])))(
        jnp.zeros((2, 2))
    )
    np.testing.assert_array_equal(slope, 1)
    drive, scale, result = round_trip(encode.Amplitude(1), numbers.real)
    np.testing.assert_allclose(result, np.maximum(numbers.real, 0), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "whole", "inner"),
    # The figures that the docstrings state, for numbers all over the disc.
    [
        ("complex", 0, 0),
        ("pairs", 0.53, 0.25),
        ("checkerboard", 0.28, 0.06),
        ("exchanged pairs", 0, 0),
        ("blazed", 0.52, 0.25),
        ("moved blazed", 0, 0),
        ("phases in turn", 0, 0),
    ],
)
def test_central_order_by_fft(name, whole, inner):
    encoder, n = ENCODERS[name].make(), 48
    radius, turn = np.random.default_rng(1).uniform(size=(2, n, n))
    a = np.sqrt(radius) * np.exp(2j * np.pi * turn)
    drive, scale, _ = round_trip(encoder, jnp.asarray(a, jnp.complex64))
    field = np.mean(orders(drive, encoder.order, n), 0) * float(scale[0, 0])
    # A block of pixels has an envelope of its own over the order, known beforehand (a Dirichlet kernel for
    # each axis).
    m = np.fft.fftfreq(n, 1 / n)
    for axis, pixels in enumerate(encoder.subpixels):
        places = (np.arange(pixels) + 0.5) / pixels - 0.5
        envelope = np.mean(np.cos(2 * np.pi * m[:, None] / n * places), -1)
        field = field / (envelope[:, None] if axis == 0 else envelope)
    expected = np.fft.fft2(a)
    near = (np.abs(m[:, None]) <= n / 4) & (np.abs(m) <= n / 4)
    for part, stated in ((near | True, whole), (near, inner)):
        result = np.linalg.norm((field - expected)[part]) / np.linalg.norm(expected[part])
        assert result == pytest.approx(stated, rel=0.15, abs=1e-5)
    # In the middle of the order every one is exact.
    assert abs(field[0, 0] - expected[0, 0]) <= 1e-5 * n


def test_the_difference_of_a_pair_shows_as_stated(numbers):
    # What is wrong with a pair is tan(πκ/2) · i sin θ exp(iφ), transformed.
    a = np.asarray(numbers[0], complex)
    drive, scale, _ = round_trip(ENCODERS["pairs"].make(), numbers)
    scale = float(scale[0, 0, 0])
    field = orders(drive[0, 0], (0.0, 0.0)) * scale
    kappa = np.fft.fftfreq(N)
    across = 1j * np.exp(1j * np.angle(a)) * np.sqrt(scale**2 - np.abs(a) ** 2)
    expected = np.fft.fft2(a) * np.cos(np.pi * kappa / 2) + np.fft.fft2(across) * 1j * np.sin(
        np.pi * kappa / 2
    )
    assert relative(field, expected) <= 1e-5


def test_phases_in_turn_jump_little(numbers):
    real = np.asarray(ENCODERS["phases in turn"].make().encode(numbers.real)[0])[0]
    # In a square of numbers that begin alike, real numbers keep within half a turn.
    phases = np.mod(np.angle(real), 2 * np.pi)[:, :3, :3]
    assert all(np.ptp(plane) <= np.pi + 1e-5 for plane in phases)
    assert phases[0].max() <= np.pi + 1e-5 and phases[1].min() >= np.pi - 1e-5
    # The light of either exposure alone is spread, as the squares are, and not gathered on the axis.
    n, block = 64, 4
    a = np.random.default_rng(0).normal(size=(n, n))
    for spread, largest in ((block, 4 * block), (n, n)):
        drive = np.asarray(encode.SequentialPhase(spread).encode(jnp.asarray(a))[0])
        brightest = np.abs(np.fft.fft2(drive, norm="ortho")).max()
        assert 0.5 * spread < brightest <= largest


def test_predistorted_light_is_the_wanted_one(key):
    """Through crosstalk, as an integral with eight times as many nodes has it."""
    kernel = effects.SuperGaussian(25.0, 1.2)
    known, finer = (effects.Crosstalk(kernel, nodes=nodes) for nodes in (4, 32))
    re, im = jax.random.normal(key, (2, 16, 16))

    def error(encoder, a):
        drive, scale = encoder.encode(a)
        light = encoder.combine(encoder.demodulate(finer(drive, None), a.shape))
        return relative(scale * light, a)

    in_turn = encode.SequentialPhase(16)
    plain, one, two = (
        [error(encoder, a) for a in (re, re + 1j * im)]
        for encoder in (
            in_turn,
            encode.Predistorted(in_turn, (known,)),
            encode.Predistorted(in_turn, (known,), steps=2),
        )
    )
    # The same numbers on a checkerboard of two phases have far more crosstalk.
    board = [error(encode.DoublePhase(exposures=2), a) for a in (re, re + 1j * im)]
    assert all(b > 3 * p for b, p in zip(board, plain, strict=True))
    assert one[0] < 0.2 * plain[0] and two[0] < 0.5 * one[0]
    # Complex numbers cross the end of the range, where the light jumps.
    assert one[1] < 0.7 * plain[1]


def test_zeros_stay_dark_when_drives_allow_for_crosstalk():
    crosstalk = effects.Crosstalk(effects.SuperGaussian(20.0))
    encoder = encode.Predistorted(encode.SequentialPhase(2), (crosstalk,))
    drive, _ = encoder.encode(jnp.zeros((2, 6, 6)))
    plain, _ = encode.SequentialPhase(2).encode(jnp.zeros((2, 6, 6)))
    np.testing.assert_allclose(drive, plain, atol=1e-6)
    device = optics.FourierProcessor(optics.dft(6), slm=(crosstalk,), encoder=encoder).subtract_background()
    # Light of crosstalk between the dark numbers of neighbouring squares is background.
    assert (
        np.abs(device.background).max() > 1e-3 and np.abs(device.transform(jnp.zeros((6, 6)))).max() <= 1e-6
    )


@pytest.mark.usefixtures("x64")
def test_slope_of_predistorted_light_against_finite_differences():
    crosstalk = effects.Crosstalk(effects.SuperGaussian(15.0), response=effects.PhaseLUT(a2=0.02))
    crosstalk = jax.tree.map(lambda leaf: leaf.astype(float), crosstalk)
    encoder = encode.Predistorted(encode.SequentialPhase(2), (crosstalk,))
    a, da = jax.random.normal(jax.random.key(2), (2, 5, 5), float)

    @jax.jit
    def light(a):
        drive, scale = encoder.encode_with_slope(a)
        return scale * encoder.combine(crosstalk(drive, None))

    _, slope = jax.jvp(light, (a,), (da,))
    step = 1e-6
    expected = (light(a + step * da) - light(a - step * da)) / (2 * step)
    assert relative(slope, expected) <= 1e-6
    # It is nearly the wanted one, that of the numbers.
    assert relative(slope, da) <= 0.1


@pytest.mark.parametrize("period", [3, 4, 8])
def test_first_order_against_davis(period):
    # Depth M gives the amplitude sin(π(1 − M)) / (q sin(π(1 − M)/q)), the sinc of Davis et al. for many
    # pixels.
    amplitude = jnp.linspace(0, 1, 41)[None, :]
    drive, _ = jax.jit(encode.Blazed(period).encode)(amplitude)
    steps = np.asarray(drive).reshape(41, period)
    depth = np.angle(steps[:, 1] / steps[:, 0]) * period / (2 * np.pi)
    m = 1 - np.asarray(depth, float)
    with np.errstate(invalid="ignore"):
        expected = np.sin(np.pi * m) / (period * np.sin(np.pi * m / period))
    np.testing.assert_allclose(expected, 0.999 * np.linspace(0, 1, 41), atol=2e-6)
    first = np.fft.fft(steps, axis=-1)[:, 1] / period
    np.testing.assert_allclose(np.abs(first), 0.999 * np.linspace(0, 1, 41), atol=2e-6)


def test_unmodulated_light_misses_the_first_order(numbers):
    encoder = ENCODERS["blazed"].make()
    drive, scale, result = round_trip(encoder, numbers)
    leaking = encoder.combine(demodulate(encoder, drive + 0.1)) * scale
    np.testing.assert_allclose(leaking, result, atol=2e-5 * np.max(np.abs(result)))
    on_axis = ENCODERS["checkerboard"].make()
    drive, scale, result = round_trip(on_axis, numbers)
    leaking = on_axis.combine(demodulate(on_axis, drive + 0.1)) * scale
    assert relative(leaking, result) > 0.1


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_bit_planes(bits):
    grey = jnp.linspace(-0.2, 1.21, 701).reshape(1, 701)
    planes, weights = encode.bit_planes(grey, bits)
    assert planes.shape == (bits, 1, 701) and set(np.unique(planes)) == {0.0, 1.0}
    assert np.sum(weights) == pytest.approx(1)
    last = 2**bits - 1
    expected = np.round(np.clip(np.asarray(grey, float), 0, 1) * last) / last
    np.testing.assert_allclose(np.tensordot(weights, planes, 1), expected, atol=1e-6)
    slope = jax.grad(lambda g: jnp.sum(jnp.tensordot(weights, encode.bit_planes(g, bits)[0], 1)))(grey)
    inside = (np.asarray(grey) >= -0.5 / last) & (np.asarray(grey) <= 1 + 0.5 / last)
    np.testing.assert_allclose(slope, inside, atol=1e-6)


def test_bit_planes_add_as_fields_and_not_as_intensities():
    grey = np.random.default_rng(0).integers(0, 256, (64, 64)) / 255
    planes, weights = (np.asarray(v, float) for v in encode.bit_planes(jnp.asarray(grey, jnp.float32), 8))
    exact = np.fft.fft2(grey)
    fields = np.fft.fft2(planes)
    assert relative(np.tensordot(weights, fields, 1), exact) <= 1e-6
    for power in (1, 2):
        intensities = np.tensordot(weights**power, np.abs(fields) ** 2, 1)
        wrong, right = intensities.ravel()[1:], (np.abs(exact) ** 2).ravel()[1:]
        assert np.corrcoef(wrong, right)[0, 1] < 0.85
    # 2^b weights on intensities, as one would naively: a correlation of 0.74 apart from the zero order.
    naive = np.tensordot(2.0 ** np.arange(8), np.abs(fields) ** 2, 1).ravel()[1:]
    assert np.corrcoef(naive, right)[0, 1] == pytest.approx(0.74, abs=0.04)


@pytest.mark.parametrize(("bits", "parts", "exposures"), [(8, 1, 8), (8, 2, 16), (6, 3, 18), (10, 4, 40)])
def test_exposures_of_a_mirror_device(bits, parts, exposures):
    encoder = encode.BitPlanes(bits, parts)
    assert encoder.exposures == exposures
    a = jnp.linspace(0.1, 1, 4).reshape(2, 2)
    drive, _, _ = round_trip(encoder, a if parts < 3 else a * (1 + 0.5j))
    assert drive.shape == (exposures, 2, 2) and set(np.unique(drive)) <= {0.0, 1.0}
    # Light of the exposures, each through its own FFT: fields are weighted and summed.
    fields = jnp.fft.fft2(drive)
    assert relative(encoder.combine(fields), jnp.fft.fft2(encoder.combine(drive))) <= 1e-5


@pytest.mark.parametrize(("size", "error"), [(3, 0.20), (4, 0.115), (8, 0.028)])
def test_superpixels_encode_a_complex_number_in_one_binary_exposure(size, error):
    encoder = encode.Superpixel(size)
    radius, turn = np.random.default_rng(2).uniform(size=(2, 32, 32))
    a = np.sqrt(radius) * np.exp(2j * np.pi * turn)
    drive, _, result = round_trip(encoder, jnp.asarray(a, jnp.complex64))
    assert drive.shape == (1, 32 * size, 32 * size) and set(np.unique(drive)) == {0.0, 1.0}
    # The figures that the docstring states.
    assert relative(result, a) == pytest.approx(error, rel=0.1)
    assert np.abs(np.vdot(a, result)) / np.vdot(a, a).real == pytest.approx(1, abs=0.05)


def test_subpixels_are_kept_with_the_phase_of_the_order_taken_off(numbers):
    encoder = ENCODERS["blazed"].make()
    drive, _, _ = round_trip(encoder, numbers)
    fine = jnp.repeat(jnp.repeat(drive, 3, -1), 3, -2)  # sub-pixels of the modulator's own
    resolved = encoder.demodulate(fine, (N, N), keep_subpixels=True)
    assert resolved.shape == fine.shape
    # A pixel of finite width dims the order by its sinc, here the mean of three turned samples.
    dimmed = np.mean(np.exp(-2j * np.pi * np.array([-1, 0, 1]) / 12)).real
    np.testing.assert_allclose(demodulate(encoder, fine), dimmed * demodulate(encoder, drive), atol=1e-5)


def test_the_function_is_the_encoder(numbers):
    drive, scale = encode.complex_amplitude(numbers)
    result, same = encode.ComplexAmplitude().encode(numbers)
    np.testing.assert_array_equal(result[:, 0], drive)
    np.testing.assert_array_equal(same, scale)
    assert np.max(np.abs(drive), (1, 2)) == pytest.approx(1)
    real, _ = encode.complex_amplitude(numbers.real)
    assert real.dtype == jnp.float32


def test_double_precision_stays(x64):
    a = jnp.asarray(np.random.default_rng(3).normal(size=(2, 4, 4)) @ np.diag([1, 1j, -1, 0]))
    for name in ("4 parts", "checkerboard", "blazed"):
        result = round_trip(ENCODERS[name].make(), a)[2]
        assert result.dtype == jnp.complex128 and relative(result, a) <= 1e-13


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: encode.Amplitude(5),
            "`exposures` must be a whole number of at least 1 and at most 4, got 5",
        ),
        (
            lambda: encode.Amplitude(2).encode(jnp.ones((2, 2)) * 1j),
            "`a`",
        ),
        (lambda: encode.BitPlanes(8, 1).encode(jnp.ones((2, 2)) * 1j), "`a`"),
        (lambda: encode.DoublePhase("stripes"), "`layout`"),
        (
            lambda: encode.DoublePhase(exposures=3),
            "`exposures`",
        ),
        (lambda: encode.Blazed(2), "`period`"),
        (
            lambda: encode.Blazed(4, exposures=2),
            "`exposures`",
        ),
        (lambda: encode.Superpixel(1), "`size`"),
        (lambda: encode.BitPlanes(0), "`bits`"),
        (lambda: encode.BitPlanes(8, 5), "`parts`"),
        (lambda: encode.bit_planes(jnp.ones((2, 2)), 17), "`bits`"),
        (lambda: encode.SequentialPhase(0), "`block` must be a whole number of at least 1, got 0"),
        (lambda: encode.Predistorted(None, (effects.Gain(1.0),)), "`encoder` must be .*Encoder"),
        (lambda: encode.Predistorted(encode.SequentialPhase(), ()), "`modulator` .* at least one effect"),
        (lambda: encode.Predistorted(encode.SequentialPhase(), (effects.Gain(1.0),), 0), "`steps`"),
        (
            lambda: encode.ComplexAmplitude().demodulate(jnp.ones((4, 6)), (4, 4)),
            "`light`",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
