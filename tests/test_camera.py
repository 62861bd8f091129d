"""The camera, measured by the procedures of EMVA 1288 release 4.0 as hardware is, and its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.constants
import scipy.stats

import optics
from optics import effects

WELL, READ, DARK, PRNU, DSNU, GAIN, OFFSET, BITS = 12_000.0, 4.0, 1.5, 0.01, 3.0, 0.3, 40.0, 12
ETA = 0.6
LAST = 2**BITS - 1
SHAPE = (128, 160)


@pytest.fixture(scope="module")
def shoot():
    """(photons a pixel, frames, key) -> frames in DN, of one unit of the camera."""
    unit = jax.random.split(jax.random.key(11))
    prnu, dsnu = effects.draw_prnu(unit[0], SHAPE, PRNU), effects.draw_dsnu(unit[1], SHAPE, DSNU)
    chain = effects.camera(WELL, READ, BITS, ETA, 1000.0, DARK, 1.0, GAIN, OFFSET, prnu, dsnu, raw=True)

    @jax.jit
    def one(chain, photons, key):
        return effects.apply(chain, jnp.full(SHAPE, photons / 1000.0), key) * LAST

    def frames(photons, count, key):
        return np.stack(
            [np.asarray(one(chain, photons, k), np.float64) for k in jax.random.split(key, count)]
        )

    return frames


def temporal(pair):
    """Mean and temporal variance from two frames, free of the fixed pattern."""
    a, b = pair
    return pair.mean(), np.mean((a - b) ** 2) / 2 - (a.mean() - b.mean()) ** 2 / 2


def test_photon_transfer_curve(shoot, key):
    photons = np.linspace(0, 1.15 * WELL / ETA, 50)
    levels = [temporal(shoot(p, 2, k)) for p, k in zip(photons, jax.random.split(key, 50), strict=True)]
    mean, variance = np.array(levels).T
    signal, noise = mean - mean[0], variance - variance[0]
    saturation = int(np.argmax(variance))
    below = slice(1, int(np.searchsorted(signal, 0.7 * signal[saturation])))
    # System gain: slope of variance over mean through the dark point, up to 70 % of saturation.
    gain = np.sum(signal[below] * noise[below]) / np.sum(signal[below] ** 2)
    assert gain == pytest.approx(GAIN, rel=0.015)
    # Responsivity: slope of the mean over photons; with the gain, the quantum efficiency.
    responsivity = np.sum(photons[below] * signal[below]) / np.sum(photons[below] ** 2)
    assert responsivity / gain == pytest.approx(ETA, rel=0.015)
    # Dark noise: the converter's 1/12 DN² is taken off; read noise and the shots of the dark signal remain.
    dark = np.array([temporal(shoot(0.0, 2, k))[1] for k in jax.random.split(key, 8)]).mean()
    assert np.sqrt(dark - 1 / 12) / gain == pytest.approx(np.sqrt(READ**2 + DARK), rel=0.025)
    # Saturation capacity: where the variance is largest, to within a step of the light.
    assert signal[saturation] / gain == pytest.approx(WELL, rel=1.15 / 49 + 0.03)
    assert mean[0] == pytest.approx(OFFSET + GAIN * DARK, abs=0.05)
    # Linear to a part in a thousand below 70 %.
    assert np.max(np.abs(signal[below] - responsivity * photons[below])) <= 1e-3 * signal[below][-1]


def test_prnu_and_dsnu(shoot, key):
    count = 40
    half = 0.5 * WELL / ETA
    stacks = [shoot(p, count, k) for p, k in zip((0.0, half), jax.random.split(key), strict=True)]

    def pattern(stack):
        # Spatial variance of the mean frame, less what temporal noise left in it.
        return stack.mean(0).var(ddof=1) - stack.var(0, ddof=1).mean() / count

    dark, bright = map(pattern, stacks)
    assert np.sqrt(dark) / GAIN == pytest.approx(DSNU, rel=0.03)
    assert np.sqrt(bright - dark) / (stacks[1].mean() - stacks[0].mean()) == pytest.approx(PRNU, rel=0.03)


def test_quantization_noise_is_counted_once(key):
    # A noiseless ramp: the rounding error is uniform, 1/12 DN², and nothing adds to it (twice would be 1/6).
    chain = effects.camera(WELL, 0.0, 8, raw=True)
    ramp = jnp.linspace(0.0, 1.0, 100_001)[None, :]
    dn = np.asarray(effects.apply(chain, ramp, None), np.float64)[0] * 255
    assert np.var(dn - np.linspace(0, 255, 100_001)) == pytest.approx(1 / 12, rel=0.01)
    assert len(np.unique(dn)) == 256 and dn.min() == 0 and dn.max() == 255
    # With 1 DN of read noise the variances add: 1 + 1/12.
    noisy = effects.camera(1000.0, 1.0, 12, gain=1.0, offset=50.0, photons=1e-3, raw=True)
    dn = np.asarray(effects.apply(noisy, jnp.zeros((1, 200_000)), key), np.float64) * LAST
    assert dn.var() == pytest.approx(1 + 1 / 12, rel=0.02)


def test_light_that_fills_the_well_comes_back_as_it_was(key):
    chain = effects.camera(30_000.0, 1.6, 16, quantum_efficiency=0.72, offset=100.0)
    x = jnp.linspace(0, 0.99, 40_000).reshape(200, 200)
    result = np.asarray(jax.jit(lambda v: effects.apply(chain, v, None))(x))
    np.testing.assert_allclose(result, x, atol=1.01 / 65_435)
    noisy = np.asarray(jax.jit(lambda v: effects.apply(chain, v, key))(x))
    assert np.std((noisy - x)[100:]) == pytest.approx(np.sqrt(0.745 / 30_000), rel=0.02)
    # A tenth of the photons is a tenth of the well, and comes back in the same unit with √10 the noise.
    dim = effects.camera(
        30_000.0, 1.6, 16, quantum_efficiency=0.72, offset=100.0, photons=0.1 * 30_000 / 0.72
    )
    less = np.asarray(jax.jit(lambda v: effects.apply(dim, v, key))(x))
    assert np.mean(less - x) == pytest.approx(0, abs=2e-4)
    assert np.std((less - x)[100:]) == pytest.approx(np.sqrt(0.745 / 3000), rel=0.02)


@pytest.mark.parametrize(("well", "bits"), [(30_000.0, 7.1), (11_000.0, 6.4)])
def test_the_well_and_not_the_converter_sets_the_bits_of_a_frame(well, bits, key):
    result = np.asarray(
        jax.jit(lambda c, v: effects.apply(c, v, key))(
            effects.camera(well, 1.6, 16), jnp.full((200, 200), 0.95)
        )
    )
    decibels = 20 * np.log10(result.mean() / result.std())
    assert (decibels - 1.76) / 6.02 == pytest.approx(bits, abs=0.06)


def test_shot_noise_is_the_same_at_every_amplitude(key):
    # σ(√N) = ½ electron^½ wherever there are more than a few.
    shot = (effects.Shot(1e4, exact=True),)
    for value in (0.003, 0.1, 1.0):
        counts = np.asarray(SHOOT(shot, value, key), np.float64) * 1e4
        assert np.sqrt(counts).std() == pytest.approx(0.5, rel=0.02)


def test_the_order_of_the_physics():
    behind = ["Dark", "Shot", "Saturate", "Read", "Bias", "Gain", "Bias", "Quantize", "Bias", "Gain"]
    names = [
        type(e).__name__
        for e in effects.camera(1e4, 2.0, 12, 0.8, 1e4, 1.0, 0.1, prnu=1.0, dsnu=0.0, offset=10.0)
    ]
    assert names == ["Gain", *behind]
    names = [type(e).__name__ for e in effects.camera(1e4, 2.0, 12)]
    assert names == behind[:4] + behind[5:]


def test_on_a_device(key):
    device = optics.FourierProcessor(
        optics.dft(8),
        optics.PhaseShifting(4),
        camera=effects.camera(30_000.0, 1.6, 16, 0.72, dark_current=0.06, exposure=0.01, offset=100.0),
    )
    x = jax.random.normal(key, (8, 8))
    result = np.asarray(jax.jit(optics.transform)(x, device, key))
    expected = np.fft.fft2(np.asarray(x), norm="ortho")
    assert 0.01 < np.linalg.norm(result - expected) / np.linalg.norm(expected) < 0.15


def test_photons_and_dark_current():
    expected = 1e-12 * 0.01 * 633e-9 / (scipy.constants.h * scipy.constants.c)
    assert effects.photon_count(1e-12, 0.01, 633e-9) == pytest.approx(expected, rel=1e-6)
    assert effects.dark_current_at(33.0, 2.0, 25.0) == pytest.approx(4.0)


# Gradients. The truth is an exact sum over counts: d/dλ E[f(N)] = E[f(N + 1) − f(N)] for N ~ Poisson(λ).


N = 100_000
SHOOT = jax.jit(lambda chain, level, key: effects.apply(chain, level * jnp.ones((1, N)), key))
SLOPE = jax.jit(
    lambda chain, level, key: jax.jvp(lambda u: jnp.mean(SHOOT(chain, u, key)), (level,), (1.0,))[1]
)


@pytest.mark.parametrize("photons", [0.01, 0.1, 1.0, 10.0, 1e3, 1e6])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.every(2)
def test_mean_gradient_of_the_shots_is_one(photons, exact, key):
    shot = (effects.Shot(photons, exact),)
    assert SLOPE(shot, 1.0, key) == pytest.approx(1, abs=1e-5)
    # What the mean itself does between two levels of light.
    dim, bright = (
        np.asarray(SHOOT(shot, v, jax.random.fold_in(key, i)), np.float64).mean()
        for i, v in enumerate((1.0, 1.5))
    )
    assert abs((bright - dim) / 0.5 - 1) < 5 * np.sqrt(2.5 / photons / N) / 0.5


def chain_slopes(electrons, lsb, top, offset, key):
    """Mean straight-through slope, sampled mean of f(N + 1) − f(N), exact slope; electrons per electron."""
    well, bits, last = float(top), 12, 4095
    chain = effects.camera(well, 0.0, bits, gain=1 / lsb, offset=offset, exact=True, raw=True)
    straight = float(SLOPE(chain, electrons / well, key)) * last * lsb / well

    def f(n):
        return np.clip(np.round(np.minimum(n, well) / lsb + offset), 0, last) * lsb

    n = np.random.default_rng(0).poisson(electrons, N)
    counts = np.arange(int(electrons + 20 * np.sqrt(electrons) + 40))
    exact = np.sum(scipy.stats.poisson.pmf(counts, electrons) * (f(counts + 1) - f(counts)))
    return straight, np.mean(f(n + 1) - f(n)), exact


@pytest.mark.parametrize("electrons", [0.01, 0.05, 0.3, 1.0, 4.0, 25.0, 100.0])
@pytest.mark.parametrize("lsb", [0.25, 1.0])
@pytest.mark.every(3)
def test_slope_through_shots_and_converter_is_that_of_the_mean(electrons, lsb, key):
    straight, sampled, exact = chain_slopes(electrons, lsb, 1000.0, 0.0, key)
    # The difference rule is exact; a fine converter is straight in the mean, and so is its gradient, down to
    # no light at all: dim pixels sit exactly at the tie of the clip, where a slope of ½ would give 0.5 to 0.9
    # here.
    assert sampled == pytest.approx(exact, abs=5 * 1.5 / np.sqrt(N) + 1e-6)
    assert exact == pytest.approx(1, abs=1e-6)
    assert straight == pytest.approx(1, abs=1e-3)


def test_slope_near_saturation_is_the_share_of_pixels_within_the_range(key):
    straight, sampled, exact = chain_slopes(1000.0, 0.25, 1000.0, 0.0, key)
    assert exact == pytest.approx(0.5, abs=0.03) == pytest.approx(sampled, abs=0.03)
    assert straight == pytest.approx(exact, abs=0.03)


def test_where_straight_through_is_biased(key):
    # A converter coarser than the light: half of the truth is hidden below one level. Said in the numbers,
    # not mended.
    straight, sampled, exact = chain_slopes(0.3, 4.0, 1000.0, 0.0, key)
    assert sampled == pytest.approx(exact, rel=0.1)
    assert straight / exact > 1.5


def test_slopes_at_exact_ties():
    chain = effects.camera(255.0, 0.0, 8)
    slope = jax.jit(jax.vmap(jax.grad(lambda v: effects.apply(chain, v[None, None], None)[0, 0])))
    np.testing.assert_allclose(slope(jnp.array([0.0, 1 / 255, 0.5, 1.0])), 1, rtol=1e-6)
    np.testing.assert_array_equal(slope(jnp.array([-0.01, 1.01])), 0)


def test_one_trace_for_a_sweep(key):
    traces = 0

    @jax.jit
    def run(well, read, offset):
        nonlocal traces
        traces += 1
        return effects.apply(effects.camera(well, read, 12, offset=offset), jnp.full((4, 4), 0.5), key)

    for well in (1e3, 1e4):
        run(well, 1.0, 10.0)
    assert traces == 1
    slopes = jax.jit(
        jax.grad(lambda w: jnp.std(effects.apply(effects.camera(w, 1.0, 12), jnp.full((20, 20), 0.5), key)))
    )(1e4)
    assert np.isfinite(slopes) and slopes < 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"full_well": 0.0}, "`full_well` must be finite and above 0 electrons, got 0"),
        ({"read_noise": -1.0}, "`read_noise`"),
        ({"bits": 0}, "`bits`"),
        (
            {"quantum_efficiency": 1.2},
            "`quantum_efficiency`",
        ),
        ({"photons": 0.0}, "`photons`"),
        ({"dark_current": -1.0}, "`dark_current`"),
        ({"exposure": -1.0}, "`exposure`"),
        ({"gain": 0.0}, "`gain`"),
        ({"offset": -1.0}, "`offset`"),
        ({"offset": 4095.0}, "`offset`"),
        ({"prnu": np.nan}, "`prnu`"),
        ({"dsnu": np.array([[np.inf]])}, "`dsnu`"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(ValueError, match=message):
        effects.camera(**{"full_well": 1e4, "read_noise": 2.0, "bits": 12, **change})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: effects.photon_count(-1.0, 1.0, 1e-6), "`power`"),
        (lambda: effects.photon_count(1.0, -1.0, 1e-6), "`exposure`"),
        (lambda: effects.photon_count(1.0, 1.0, 0.0), "`wavelength`"),
        (
            lambda: effects.dark_current_at(1.0, -1.0, 0.0),
            "`reference`",
        ),
        (lambda: effects.dark_current_at(1.0, 1.0, 0.0, 0.0), "`doubling`"),
    ],
)
def test_refusals_of_the_helpers(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_added_camera_pixels_convert_each_by_itself(key):
    """Against numpy: sixteen pixels of 5 bits, each with its own photons, read noise and rounding."""
    well, read, bits, offset, share, n = 200.0, 8.0, 5, 3.0, 0.4, 16
    last = 2**bits - 1
    gain = (last - offset) / well
    rng = np.random.default_rng(0)
    electrons = rng.poisson(share * well, (20_000, n)) + read * rng.normal(size=(20_000, n))
    counts = np.clip(np.round(gain * electrons + offset), 0, last)
    oracle = ((counts - offset) / gain).sum(1) / (n * well)
    chain = effects.camera(well, read, bits, offset=offset, binned=n)
    draws = np.asarray(effects.apply(chain, jnp.full((100, 200), share), key), float).ravel()
    assert draws.mean() == pytest.approx(oracle.mean(), abs=5e-4)
    assert draws.std() == pytest.approx(oracle.std(), rel=0.02)
    raw = effects.camera(well, read, bits, offset=offset, binned=n, raw=True)
    assert effects.apply(raw, jnp.full((4, 4), share), None).mean() == pytest.approx(
        (gain * share * well + offset) / last, rel=1e-5
    )
    with pytest.raises(ValueError, match="`binned`"):
        effects.camera(well, read, bits, binned=0.5)


def test_added_camera_pixels_keep_their_noise_below_zero(key):
    chain = effects.camera(200.0, 8.0, 8, binned=16.0)
    dark = effects.apply(chain, jnp.zeros((200, 200)), key)
    assert abs(dark.mean()) <= 5 * dark.std() / 200
