"""The modulator: levels of phase, its table, crosstalk, leaks, flicker, and the units drawn from a key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from optics import effects
from tests.helpers import relative

act = jax.jit(lambda effect, value, key: effect(value, key))


def turns(n):
    """Light of amplitude 1 at n phases round the circle."""
    return jnp.exp(2j * jnp.pi * (jnp.arange(n) + 0.25) / n).astype(jnp.complex64)[None, :]


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8, 10])
def test_exactly_two_to_the_bits_phases(bits):
    result = np.asarray(act(effects.PhaseQuantize(bits), 0.7 * turns(20_000), None))[0]
    levels = np.unique(np.mod(np.round(np.angle(result) / (2 * np.pi) * 2**bits, 3), 2**bits))
    np.testing.assert_array_equal(levels, np.arange(2**bits))
    np.testing.assert_allclose(np.abs(result), 0.7, rtol=1e-6)
    # Rounded to the nearest, across the seam too; and as efficient as Goodman (2005), section 7.3, says.
    apart = result / (0.7 * np.asarray(turns(20_000))[0])
    assert np.max(np.abs(np.angle(apart))) <= np.pi / 2**bits + 1e-6
    assert abs(np.mean(apart)) ** 2 == pytest.approx(np.sinc(0.5**bits) ** 2, abs=2e-5)


@pytest.mark.parametrize(("bits", "pixels"), [(2, 4), (8, 9)])
def test_panel_pixels_of_a_square_share_two_levels(bits, pixels):
    """Against the mean light of the panel pixels, each at its own level."""
    levels = 2**bits
    phi = np.linspace(0, 2 * np.pi, 997, endpoint=False)
    result = np.asarray(act(effects.PhaseQuantize(bits, pixels), jnp.exp(1j * jnp.asarray(phi))[None], None))[
        0
    ]
    drive = phi / (2 * np.pi) * levels
    higher = np.round((drive - np.floor(drive)) * pixels)
    level = np.floor(drive)[:, None] + (np.arange(pixels) < higher[:, None])
    mean = np.mean(np.exp(2j * np.pi * level / levels), axis=1)
    within = drive <= levels - 1
    shorter = (2 * np.pi / levels) ** 2 / 8
    np.testing.assert_allclose(result[within], mean[within], atol=1.01 * shorter + 1e-5)
    np.testing.assert_allclose(result[~within], np.exp(-2j * np.pi / levels), atol=1e-5)


def test_level_zero_has_a_phase_of_exactly_zero():
    # Rounding must not send it to 2π, where crosstalk would see the largest step there is.
    value = jnp.exp(1j * jnp.linspace(-0.01, 0.01, 1001)).astype(jnp.complex64)[None, :]
    result = act(effects.PhaseQuantize(6), value, None)
    assert np.all(result.imag == 0) and np.allclose(result.real, 1, rtol=1e-6)
    flat = act(effects.Crosstalk(effects.SuperGaussian()), result, None)
    np.testing.assert_allclose(flat, result, atol=1e-5)


def test_quantized_phase_passes_the_slope_of_phase_and_amplitude():
    quantize = effects.PhaseQuantize(3)

    def quantized_parts(phi, amplitude):
        result = quantize(amplitude * jnp.exp(1j * phi)[None, None], None)[0, 0]
        return jnp.stack([result.real, result.imag])

    of_phase, of_amplitude = jax.jit(jax.jacfwd(quantized_parts, (0, 1)))(0.9, 0.5)
    level = np.exp(1j * np.pi / 4)
    np.testing.assert_allclose(of_phase, [(0.5j * level).real, (0.5j * level).imag], atol=1e-6)
    np.testing.assert_allclose(of_amplitude, [level.real, level.imag], atol=1e-6)


def test_table_against_numpy():
    table = np.array([0.0, 0.4, 1.9, 2.0, 4.1, 6.6])
    value = 0.3 * turns(200)
    u = (np.arange(200) + 0.25) / 200
    expected = np.interp(u, np.linspace(0, 1, 6), table)
    np.testing.assert_allclose(
        act(effects.PhaseLUT(table), value, None)[0], 0.3 * np.exp(1j * expected), atol=1e-6
    )
    gain = np.linspace(0.9, 1.1, 200)[None, :]
    residue = effects.PhaseLUT(a2=0.03, a3=-0.01, stretch=0.02, gain=gain)
    expected = gain[0] * 2 * np.pi * 1.02 * (u + 0.03 * np.sin(2 * np.pi * u) - 0.01 * np.sin(4 * np.pi * u))
    np.testing.assert_allclose(act(residue, value, None)[0], 0.3 * np.exp(1j * expected), atol=2e-6)


@pytest.mark.parametrize("stretch", [0.02, 0.3])
def test_a_range_that_is_no_turn_makes_a_zero_order(stretch):
    # A blazed grating of range 2π(1 + ε): efficiency sinc²(ε) in its order, sinc²(1 + ε) in the zero order.
    result = np.asarray(act(effects.PhaseLUT(stretch=stretch), turns(4096), None))[0]
    orders = np.fft.fft(result) / 4096
    assert abs(orders[1]) ** 2 == pytest.approx(np.sinc(stretch) ** 2, abs=1e-3)
    assert abs(orders[0]) ** 2 == pytest.approx(np.sinc(1 + stretch) ** 2, abs=1e-3)


def test_kernels_against_scipy():
    x = jnp.linspace(-4, 4, 81)
    cumulative = jax.jit(lambda kernel: kernel.cumulative(x))
    for order in (1.0, 1.2, 2.0):
        expected = scipy.stats.levy_stable.cdf(np.asarray(x), order, 0, scale=1 / (2 * np.pi * 2.03))
        np.testing.assert_allclose(cumulative(effects.SuperGaussian(2.03, order)), expected, atol=3e-5)
    for reach, power in ((0.1, 1.0), (0.3, 2.0), (0.2, 4.0)):
        expected = scipy.stats.gennorm.cdf(np.asarray(x), power, scale=reach)
        np.testing.assert_allclose(cumulative(effects.Exponential(reach, power)), expected, atol=1e-6)
    # Two sides: areas in the ratio of α Γ(1 + 1/n).
    sided = cumulative(effects.Exponential((0.1, 0.3), (1.0, 2.0)))
    areas = np.array([0.1, 0.3 * scipy.special.gamma(1.5)])
    assert sided[40] == pytest.approx(areas[0] / areas.sum(), abs=1e-6)


def blur_in_numpy(drive, width, order, samples):
    """Light of amplitude 1 behind a panel driven by `drive` (rad, edges repeated), by an FFT.

    Returns exp(iφ̃) at `samples` places a side of each pixel, shape (rows, samples, columns, samples).
    """
    pad = [(12, 12) if n > 1 else (0, 0) for n in drive.shape]
    side = [samples if n > 1 else 1 for n in drive.shape]
    stairs = np.kron(np.pad(drive, pad, mode="edge"), np.ones(side))
    frequency = [np.fft.fftfreq(n, 1 / s) for n, s in zip(stairs.shape, side, strict=True)]
    kernel = [np.exp(-(np.abs(f / width) ** order)) for f in frequency]
    blurred = np.fft.ifft2(np.fft.fft2(stairs) * kernel[0][:, None] * kernel[1]).real
    light = np.exp(1j * blurred).reshape(drive.shape[0] + 2 * pad[0][0], side[0], -1, side[1])
    return light[pad[0][0] :, :, pad[1][0] :][: drive.shape[0], :, : drive.shape[1]]


@pytest.mark.parametrize(
    ("width", "order", "neighbours", "bound"),
    [
        (2.03, 1.2, 3, 1.2e-2),
        (2.03, 1.2, 6, 5e-3),
        (2.03, 1.2, 12, 2e-3),
        (7 * 2.03, 1.2, 3, 3e-3),
        (0.92, 2.3, 3, 2e-3),
        (0.5, 2.0, 3, 2e-3),
    ],
)
@pytest.mark.every(2)
def test_crosstalk_is_the_integral_over_the_pixel(width, order, neighbours, bound):
    drive = np.random.default_rng(0).uniform(0.1, 6.1, (6, 8))
    samples = 144 if width > 3 else 72
    amplitude = np.linspace(0.2, 1, 8)
    oracle = amplitude * blur_in_numpy(drive, width, order, samples).mean((1, 3))
    value = jnp.asarray(amplitude * np.exp(1j * drive), jnp.complex64)
    crosstalk = effects.Crosstalk(effects.SuperGaussian(width, order), neighbours=neighbours)
    assert relative(act(crosstalk, value, None), oracle) <= bound
    # The nodes themselves are exact to 5e-4.
    finer = effects.Crosstalk(effects.SuperGaussian(width, order), neighbours=neighbours, nodes=16)
    assert relative(act(crosstalk, value, None), act(finer, value, None)) <= 5e-4


@pytest.mark.parametrize(("period", "efficiency"), [(4, 0.818), (8, 0.901)])
def test_first_order_of_a_blazed_grating_behind_crosstalk(period, efficiency):
    drive = 2 * np.pi * (np.arange(64) % period) / period
    carrier = np.exp(-1j * drive)
    light = act(
        effects.Crosstalk(effects.SuperGaussian(2.03, 1.2), neighbours=8),
        jnp.asarray(np.conj(carrier)[None, :], jnp.complex64),
        None,
    )
    oracle = blur_in_numpy(drive[None, :], 2.03, 1.2, 96).mean((1, 3))
    inner = slice(2 * period, 64 - 2 * period)
    measured, expected = (
        abs((light * carrier)[0, inner].mean()) ** 2 for light in (np.asarray(light), oracle)
    )
    assert measured == pytest.approx(expected, abs=2e-3) == pytest.approx(efficiency, abs=4e-3)


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_subpixels_are_means_over_their_parts(parts):
    drive = np.random.default_rng(0).uniform(0.1, 6.1, (1, 12))
    value = jnp.asarray(np.exp(1j * drive), jnp.complex64)
    kernel = effects.SuperGaussian(0.92, 2.3)
    resolved = np.asarray(act(effects.Crosstalk(kernel, parts, keep_subpixels=True), value, None))
    assert resolved.shape == (parts, 12 * parts)
    oracle = blur_in_numpy(drive, 0.92, 2.3, 120).reshape(12, parts, -1).mean(2).ravel()
    assert relative(resolved[0], oracle) <= 3e-3
    mean = act(effects.Crosstalk(kernel), value, None)
    np.testing.assert_allclose(mean[0], resolved.reshape(parts, 12, parts).mean((0, 2)), atol=5e-4)


def test_crosstalk_acts_on_phase_and_pays_for_flyback():
    crosstalk = effects.Crosstalk(effects.SuperGaussian(), subpixels=8, response=effects.PhaseLUT())
    # A constant phase stays, and amplitude is not blurred; the response of the pixels comes before the blur.
    amplitude = np.random.default_rng(1).uniform(0.1, 1, (6, 14))
    flat = jnp.asarray(amplitude * np.exp(2.5j), jnp.complex64)
    np.testing.assert_allclose(act(crosstalk, flat, None), flat, atol=1e-6)
    stretched = effects.Crosstalk(
        effects.SuperGaussian(), subpixels=8, response=effects.PhaseLUT(stretch=2.0)
    )
    np.testing.assert_allclose(act(stretched, flat, None), amplitude * np.exp(7.5j), atol=2e-6)
    # A linear ramp within one turn stays as it is away from the ends.
    ramp = jnp.tile(jnp.exp(0.4j * jnp.arange(14)).astype(jnp.complex64), (6, 1))
    turned = np.asarray(act(crosstalk, ramp, None) / ramp)[:, 4:10]
    np.testing.assert_allclose(turned / np.abs(turned), 1, atol=1e-5)
    # The same ramp over the seam passes through everything between 2π and 0.
    lost = 1 - np.abs(act(crosstalk, ramp * np.exp(3j), None)[0])
    assert np.max(lost) > 0.1 and np.argmax(lost) in (8, 9) and np.max(lost[:5]) < 0.02


def test_crosstalk_dims_a_fine_grating_more_than_a_coarse_one():
    def efficiency(light, period):
        return abs(np.fft.fft(light)[48 // period] / 48) ** 2

    efficiencies = []
    for period in (2, 4, 8, 16):
        drive = 2 * np.pi * (np.arange(48) % period) / period
        value = jnp.asarray(np.exp(1j * drive)[None, :], jnp.complex64)
        light = np.asarray(act(effects.Crosstalk(effects.SuperGaussian()), value, None))[0]
        exact = blur_in_numpy(drive[None, :], 2.03, 1.2, 96).mean((1, 3))[0]
        assert efficiency(light, period) == pytest.approx(efficiency(exact, period), rel=0.02)
        efficiencies.append(efficiency(light, period))
    assert efficiencies == sorted(efficiencies) and efficiencies[0] < 0.95 * efficiencies[-1]


def test_extinction_of_1000_to_1_is_3_percent_of_the_field():
    result = act(effects.Extinction(1000.0), jnp.asarray([[0.0, 1.0]]), None)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, [[0.0316, 1]], atol=1e-4)
    assert (result[0, 1] / result[0, 0]) ** 2 == pytest.approx(1000, rel=1e-4)


@pytest.mark.parametrize(("fill", "share"), [(0.87, 0.017), (0.93, 0.005), (0.957, 0.0019), (0.972, 0.0008)])
def test_zero_order_of_the_gaps(fill, share):
    # A field without a zero order of its own: what the lens gathers there is the gaps'.
    value = turns(64)
    result = np.fft.fft(np.asarray(act(effects.DeadSpace(fill, phase=0.3), value, None))[0]) / 64
    assert abs(result[0]) ** 2 == pytest.approx((1 - fill) ** 2, rel=1e-3) == pytest.approx(share, rel=0.05)
    assert np.angle(result[0]) == pytest.approx(0.3, abs=1e-4)
    assert abs(result[1]) ** 2 == pytest.approx(fill**2, rel=1e-5)
    undimmed = np.asarray(act(effects.DeadSpace(fill, phase=0.3, apply_fill_factor=False), value, None))[0]
    np.testing.assert_allclose(fill * np.fft.fft(undimmed) / 64, result, atol=1e-6)


def test_stuck_pixels():
    mask = np.zeros((3, 4))
    mask[1, 2] = 1
    value = jnp.ones((2, 3, 4))
    result = act(effects.StuckPixels(mask, 0.25), value, None)
    np.testing.assert_array_equal(result, np.where(mask, 0.25, np.ones((2, 3, 4))))
    assert act(effects.StuckPixels(mask > 0, 1j), value, None)[0, 1, 2] == 1j
    slope = jax.grad(lambda m: jnp.sum(effects.StuckPixels(m)(value, None)))(jnp.asarray(mask))
    np.testing.assert_array_equal(slope, -2 * np.ones((3, 4)))


def far(light):
    return np.fft.fft2(np.asarray(light), norm="ortho")


def test_flicker_loses_the_same_light_alone_and_in_step(key):
    sigma, shape = 0.195, (64, 64)
    value = jnp.asarray(
        np.fft.ifft2(np.eye(1, 64 * 64, 5 * 64 + 9).reshape(shape) * 64 * 64), jnp.complex64
    )  # one spot, at (5, 9)
    spot = lambda light: abs(far(light)[5, 9]) ** 2  # noqa: E731
    independent, common = effects.Flicker(sigma), effects.Flicker(sigma, common=True)
    whole = spot(value)
    in_step = act(common, value, key)
    assert 1 - spot(act(independent, value, None)) / whole == pytest.approx(1 - np.exp(-(sigma**2)), abs=1e-5)
    assert 1 - spot(in_step) / whole == pytest.approx(1 - scipy.special.j0(np.sqrt(2) * sigma) ** 2, abs=1e-5)
    for effect in (independent, common):
        assert 1 - spot(act(effect, value, None)) / whole == pytest.approx(0.037, abs=1e-3)
    # In step: the same picture, dimmer. Independent: what the spot lost lies all over the plane.
    np.testing.assert_allclose(in_step, scipy.special.j0(np.sqrt(2) * sigma) * np.asarray(value), rtol=1e-5)
    speckle = abs(far(act(independent, value, key))) ** 2
    speckle[5, 9] = 0
    assert speckle.sum() / whole == pytest.approx(1 - np.exp(-(sigma**2)), rel=0.05)
    assert speckle.std() / speckle.mean() == pytest.approx(
        1, abs=0.1
    )  # fully developed: exponential intensities


def test_ripple_against_its_average_over_time(key):
    sigma, cycles = 0.4, 0.35
    effect = effects.Flicker(sigma, common=True, cycles=cycles)
    value = jnp.ones((500, 2, 2))
    plane = np.asarray(act(effect, value, key))
    # One draw for all pixels of an exposure.
    np.testing.assert_array_equal(plane, np.broadcast_to(plane[:, :1, :1], plane.shape))
    result = plane[:, 0, 0]
    time = (np.arange(20_000) + 0.5) / 20_000 * cycles
    start = np.linspace(0, 1, 2000, endpoint=False)[:, None]
    possible = np.mean(np.exp(1j * np.sqrt(2) * sigma * np.sin(2 * np.pi * (time[::20] + start))), axis=-1)
    # Every draw is on the curve of possible averages, and no two exposures are alike.
    assert np.max(np.min(np.abs(result[:, None] - possible), axis=1)) <= 2e-3
    assert len(np.unique(result)) > 450
    instant = act(effects.Flicker(sigma, common=True, cycles=0.0), value, key)
    np.testing.assert_allclose(np.abs(instant), 1, atol=1e-5)
    assert np.std(np.angle(instant)) == pytest.approx(sigma, rel=0.1)


def test_ripple_that_grows_with_the_drive_makes_a_zero_order():
    value = turns(256)
    effect = effects.Flicker(0.5, common=True, proportional=True)
    result = np.asarray(act(effect, value, None))[0]
    u = (np.arange(256) + 0.25) / 256
    np.testing.assert_allclose(
        result, scipy.special.j0(np.sqrt(2) * 0.5 * u) * np.asarray(value)[0], atol=1e-6
    )
    assert (
        abs(np.fft.fft(result)[0]) / 256
        > 0.01
        > abs(np.fft.fft(act(effects.Flicker(0.5, common=True), value, None)[0])[0]) / 256
    )


def test_laser_noise_has_its_moments_and_is_common_to_the_plane(key):
    n = 20_000
    result = np.asarray(act(effects.LaserNoise(0.05, pointing=0.1), jnp.ones((n, 3, 3)), key), np.complex128)
    power = np.abs(result[:, 1, 1]) ** 2
    assert power.mean() == pytest.approx(1, abs=5 * 0.05 / np.sqrt(n))
    assert power.std() == pytest.approx(0.05, rel=5 / np.sqrt(2 * n))
    # One power for all pixels; the wander turns them in proportion to their place, about pixel n//2.
    np.testing.assert_allclose(
        np.abs(result), np.broadcast_to(np.abs(result[:, :1, :1]), result.shape), rtol=1e-5
    )
    np.testing.assert_allclose(np.angle(result[:, 1, 1]), 0, atol=1e-6)
    across, down = np.angle(result[:, 1, 2]), np.angle(result[:, 2, 1])
    assert across.std() == pytest.approx(0.1, rel=5 / np.sqrt(2 * n)) == pytest.approx(down.std(), rel=0.05)
    np.testing.assert_allclose(np.angle(result[:, 0, 2]), across - down, atol=1e-5)


def test_a_monitor_leaves_its_own_noise(key):
    n, photons, rin = 20_000, 1e4, 0.02
    noise = effects.LaserNoise(rin, monitor=photons)
    power = np.abs(np.asarray(act(noise, jnp.ones((n, 1, 1)), key), np.complex128)) ** 2
    # The power of a laser, and the count of a monitor: the best estimate of the one from the other.
    rng = np.random.default_rng(0)
    laser = 1 + rin * rng.normal(size=n)
    counted = rng.poisson(photons * laser) / photons
    best = 1 + (counted - 1) * np.cov(laser, counted)[0, 1] / counted.var()
    assert power.std() == pytest.approx((laser - best).std(), rel=0.03)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "effect",
    [
        effects.Crosstalk(effects.SuperGaussian(), response=effects.PhaseLUT(a2=0.02)),
        effects.Crosstalk(effects.Exponential((0.1, 0.2), 1.5), keep_subpixels=True),
        effects.PhaseLUT(np.linspace(0, 6.1, 9) ** 1.1, a3=0.01, gain=0.98),
        effects.Flicker(0.3, common=True, cycles=0.4, proportional=True),
        effects.LaserNoise(0.1, pointing=0.2),
        effects.DeadSpace(0.9, 0.5, 1.0),
        effects.Extinction(300.0),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.every(2)
def test_gradients_against_finite_differences(effect):
    effect = jax.tree.map(lambda leaf: leaf.astype(float), effect)
    of_phase, of_turn, key = jax.random.split(jax.random.key(3), 3)
    phi = jax.random.uniform(of_phase, (2, 4, 4), minval=0.1, maxval=6.1)

    def loss(effect, phi):
        result = effect(0.8 * jnp.exp(1j * phi), key)
        return jnp.sum(jnp.sin(3 * result.real) + result.imag**2)

    direction = jax.random.normal(of_turn, phi.shape)
    both = jax.jit(jax.value_and_grad(loss, (0, 1)))
    _, (of_effect, of_phi) = both(effect, phi)
    numeric = (both(effect, phi + 1e-6 * direction)[0] - both(effect, phi - 1e-6 * direction)[0]) / 2e-6
    assert np.vdot(of_phi, direction) == pytest.approx(float(numeric), rel=1e-5)
    more, less = (
        both(jax.tree.map(lambda leaf: leaf * (1 + step), effect), phi)[0] for step in (1e-6, -1e-6)
    )
    result = sum(
        np.vdot(a, b) for a, b in zip(jax.tree.leaves(of_effect), jax.tree.leaves(effect), strict=True)
    )
    assert result == pytest.approx(float(more - less) / 2e-6, rel=1e-4, abs=1e-7)


def test_double_precision_stays(x64, key):
    value = (jnp.ones((3, 3)) * np.exp(1.1j)).astype(jnp.complex128)
    chain = (
        effects.PhaseQuantize(5),
        effects.PhaseLUT(a2=0.01),
        effects.Flicker(0.1),
        effects.LaserNoise(0.1, 0.1),
    )
    result = jax.jit(lambda e, v: [effect(v, key) for effect in e])(
        (*chain, effects.Crosstalk(effects.SuperGaussian())), value
    )
    assert all(v.dtype == jnp.complex128 for v in result)


def test_one_trace_for_a_sweep(key):
    traces = 0

    @jax.jit
    def run(effect):
        nonlocal traces
        traces += 1
        return effect(turns(8), key)

    for width in (1.0, 2.0):
        for a2 in (0.0, 0.01):
            run(effects.Crosstalk(effects.SuperGaussian(width), response=effects.PhaseLUT(a2=a2)))
    assert traces == 1
    swept = jax.vmap(lambda w: run(effects.Crosstalk(effects.SuperGaussian(w), response=effects.PhaseLUT())))(
        jnp.array([1.0, 3.0])
    )
    assert swept.shape == (2, 1, 8)


def test_units_have_the_statistics_they_are_drawn_with(key):
    shape = (300, 400)

    @jax.jit
    def draw(key):
        return (
            effects.draw_prnu(key, shape, 0.01, row=0.02, column=0.03),
            effects.draw_dsnu(key, shape, 2.0, hot=0.01, heat=100.0),
            effects.draw_stuck(key, shape, 0.02),
            effects.draw_read_noise(key, shape, 1.0, 1.6),
            effects.draw_read_noise(key, shape, 1.5, 1.5),
            *effects.draw_lut_error(key, 0.02, shape),
        )

    prnu, dsnu, stuck, read, even, a2, a3 = (np.asarray(v, np.float64) for v in draw(key))
    assert prnu.mean() == pytest.approx(1, abs=0.01)
    rows, cols = prnu.mean(1), prnu.mean(0)
    assert rows.std() == pytest.approx(0.02, rel=0.2) and cols.std() == pytest.approx(0.03, rel=0.2)
    assert (prnu - rows[:, None] - cols + prnu.mean()).std() == pytest.approx(0.01, rel=0.01)
    assert np.mean(dsnu > 20) == pytest.approx(0.01 * np.exp(-0.2), rel=0.1)
    assert np.mean(dsnu) == pytest.approx(1.0, abs=0.2)
    assert dsnu[dsnu < 10].std() == pytest.approx(2.0, rel=0.02)
    assert stuck.mean() == pytest.approx(0.02, rel=0.1) and set(np.unique(stuck)) == {0, 1}
    assert np.median(read) == pytest.approx(1.0, rel=0.01) and np.sqrt(np.mean(read**2)) == pytest.approx(
        1.6, rel=0.03
    )
    np.testing.assert_array_equal(even, 1.5)
    u = np.linspace(0, 1, 32, endpoint=False)[:, None]
    a2, a3 = (a.ravel()[:10_000] for a in (a2, a3))
    assert np.std(a2 * np.sin(2 * np.pi * u) + a3 * np.sin(4 * np.pi * u)) == pytest.approx(0.02, rel=0.02)


def test_a_population_of_units_is_a_vmap(key):
    def unit(key):
        return effects.draw_prnu(key, (4, 4), 0.01)

    keys = jax.random.split(key, 5)
    gains = jax.jit(jax.vmap(unit))(keys)
    assert gains.shape == (5, 4, 4) and len(np.unique(gains)) == 80
    np.testing.assert_allclose(gains[2], jax.jit(unit)(keys[2]), rtol=1e-6)


KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: effects.PhaseQuantize(0),
            "`bits` must be a whole number of at least 1 and at most 16, got 0",
        ),
        (lambda: effects.PhaseLUT([0.0, 2.0, 1.0, 6.0]), "`table`"),
        (
            lambda: effects.PhaseLUT([1.0]),
            "`table`",
        ),
        (lambda: effects.PhaseLUT(np.ones((2, 2))), "`table`"),
        (lambda: effects.PhaseLUT([0.0, np.nan]), "`table`"),
        (lambda: effects.PhaseLUT(a2=np.inf), "`a2`"),
        (lambda: effects.PhaseLUT(a3=np.nan), "`a3`"),
        (lambda: effects.PhaseLUT(stretch=-1.0), "`stretch`"),
        (lambda: effects.PhaseLUT(gain=0.0), "`gain`"),
        (lambda: effects.SuperGaussian(0.0), "`width`"),
        (
            lambda: effects.SuperGaussian(2.0, 0.5),
            "`order`",
        ),
        (lambda: effects.Exponential(-0.1), "`reach`"),
        (lambda: effects.Exponential(0.1, 0.0), "`power`"),
        (
            lambda: effects.Exponential((0.1, 0.2, 0.3)),
            "`reach`",
        ),
        (
            lambda: effects.Crosstalk(effects.SuperGaussian(), subpixels=0),
            "`subpixels`",
        ),
        (
            lambda: effects.Crosstalk(effects.SuperGaussian(), neighbours=0),
            "`neighbours`",
        ),
        (lambda: effects.Extinction(0.5), "`ratio`"),
        (lambda: effects.DeadSpace(0.0), "`fill`"),
        (lambda: effects.DeadSpace(0.9, 1.5), "`reflectance`"),
        (lambda: effects.DeadSpace(0.9, phase=np.nan), "`phase`"),
        (lambda: effects.Flicker(-0.1), "`sigma`"),
        (
            lambda: effects.Flicker(1.2, common=True),
            "`sigma`",
        ),
        (lambda: effects.Flicker(0.1, common=True, cycles=-1.0), "`cycles`"),
        (lambda: effects.Flicker(0.1, proportional=True), "`proportional`"),
        (lambda: effects.LaserNoise(-0.1), "`rin`"),
        (lambda: effects.LaserNoise(0.1, pointing=-1.0), "`pointing`"),
        (lambda: effects.LaserNoise(0.1, monitor=-1.0), "`monitor`"),
        (lambda: effects.PhaseQuantize(8, pixels=0), "`pixels`"),
        (lambda: effects.draw_prnu(KEY, (2, 2), -0.1), "`sigma`"),
        (lambda: effects.draw_prnu(KEY, (2, 2), 0.1, row=-1.0), "`row`"),
        (lambda: effects.draw_dsnu(KEY, (2, 2), 0.1, column=-1.0), "`column`"),
        (
            lambda: effects.draw_dsnu(KEY, (2, 2), 0.1, hot=2.0),
            "`hot`",
        ),
        (lambda: effects.draw_dsnu(KEY, (2, 2), 0.1, heat=-2.0), "`heat`"),
        (lambda: effects.draw_stuck(KEY, (2, 2), -0.1), "`share`"),
        (lambda: effects.draw_read_noise(KEY, (2, 2), 0.0, 1.0), "`median`"),
        (
            lambda: effects.draw_read_noise(KEY, (2, 2), 2.0, 1.0),
            "`rms`",
        ),
        (lambda: effects.draw_lut_error(KEY, -0.1), "`rms`"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_kernel_or_response_of_another_kind():
    # Duck-typed kinds that annotations would already refuse under beartype.
    with pytest.raises((ValueError, TypeError), match="kernel"):
        effects.Crosstalk("exponential")
    with pytest.raises((ValueError, TypeError), match="response"):
        effects.Crosstalk(effects.Exponential(), response=0.1)
