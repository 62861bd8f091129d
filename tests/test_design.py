"""Design by gradient: joules of the ledger, rounding as noise, and the search, against counts and NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import optics
from bench import plots
from bench.output import select
from bench.training import design_search
from bench.training.design_search import RANGES, front, hypervolume, parse_ranges, round_each_way
from nets.config import Config
from nets.data import load as load_data
from optics import accounting, effects
from tests.helpers_bench import refuse, run_quickly

COUNTS = accounting.Counts(exposures=52, dac=12_110, adc=6_796)
# Numbers of `accounting.energy`, away from the figures of the ledger.
NUMBERS = {"dac_bits": 4.3, "adc_bits": 5.7, "laser": 0.4, "oscillator": 0.2}


def test_energy_is_that_of_the_ledger_at_its_own_numbers():
    for costs in ("integrated", "mirrors", accounting.hardware(converters="LightCode")):
        ledger = accounting.price(COUNTS, costs).joules
        np.testing.assert_allclose(accounting.energy(COUNTS, costs), ledger, rtol=1e-6)


def test_energy_of_a_preset_is_its_ledger_but_for_the_bits_of_its_adc():
    # The ledger has one figure for an ADC, of 8 bits; engine11 reads 10.
    device, shape = optics.presets.load("engine11", level="ideal"), (1, 11, 11)
    ledger = optics.ledger(device, shape, shape)
    counts = accounting.Counts(ledger.exposures, ledger.dac, ledger.adc)
    bits = {"dac_bits": float(device.slm[0].bits), "adc_bits": float(device.camera[-1].bits)}
    assert bits == {"dac_bits": 8, "adc_bits": 10}
    costs = accounting.hardware("integrated")
    more = ledger.adc * (3 * costs["adc_energy"].value + 0.25 * costs["memory_energy"].value)
    np.testing.assert_allclose(accounting.energy(counts, costs, **bits), ledger.joules + more, rtol=1e-6)


def test_energy_by_hand():
    costs = {name: assumption.value for name, assumption in accounting.hardware("integrated").items()}
    time, pump = costs["exposure_time"], costs["wall_plug"]
    expected = COUNTS.dac * (
        costs["dac_energy"] * (2**4.3 / 4.3) / (2**8 / 8)
        + (costs["modulator_energy"] + costs["memory_energy"]) * 4.3 / 8
    )
    expected += COUNTS.adc * (
        costs["adc_energy"] * 2**5.7 / 2**8
        + costs["receiver_energy"]
        + costs["memory_energy"] * 5.7 / 8
        + 0.2 * time * costs["oscillator_power"] / pump
    )
    expected += COUNTS.exposures * time * (0.4 * costs["laser_power"] / pump + costs["static_power"])
    np.testing.assert_allclose(accounting.energy(COUNTS, "integrated", **NUMBERS), expected, rtol=1e-6)


@pytest.mark.parametrize("name", NUMBERS)
def test_gradient_of_energy_against_finite_differences(name):
    with jax.enable_x64(True):

        def joules(value):
            return accounting.energy(COUNTS, "integrated", **(NUMBERS | {name: value}))

        step = 1e-5 * NUMBERS[name]
        value, slope = jax.jit(jax.value_and_grad(joules))(NUMBERS[name])
        difference = (joules(NUMBERS[name] + step) - joules(NUMBERS[name] - step)) / (2 * step)
        assert value.dtype == jnp.float64
        np.testing.assert_allclose(slope, difference, rtol=1e-8)


def test_light_is_the_mean_of_relative_light_and_has_the_gradient_of_the_lens():
    key = jax.random.key(3)

    def device(fill):
        lens = optics.FourierLens(
            5, pitch=127e-6, wavelength=1.55e-6, fill=fill, detector_fill=fill, oversampling=4, plane=80
        )
        return optics.FourierProcessor(lens)

    numbers = jax.random.normal(key, (16, 5, 5))
    exact = device(0.5)
    mean = jnp.mean(exact.relative_light(exact.prepare(numbers)))
    np.testing.assert_allclose(accounting.mean_light(exact, key), mean, rtol=1e-5)
    # Twice the fill of both is four times the amplitude at the detector, of lenses in two axes.
    value, slope = jax.value_and_grad(lambda fill: accounting.mean_light(device(fill), key))(0.4)
    np.testing.assert_allclose(value, accounting.mean_light(device(0.8), key) * 16, rtol=1e-5)
    np.testing.assert_allclose(slope, -4 * value / 0.4, rtol=1e-4)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("signed", [False, True])
def test_variance_of_rounding_as_noise_is_that_of_a_converter(bits, signed):
    low = -1.0 if signed else 0.0
    values = np.random.default_rng(0).uniform(low, 1.0, 200_000)
    levels = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    variance = np.mean((np.round(values * levels) / levels - values) ** 2)
    soft = effects.QuantizationNoise(bits, signed)
    error = np.asarray(soft(jnp.asarray(values), jax.random.key(1))) - values
    np.testing.assert_allclose(np.mean(error**2), variance, rtol=0.02)
    assert abs(error.mean()) < 5 * np.sqrt(variance / values.size)


def test_rounding_as_noise_clips_where_a_converter_does():
    beyond = jnp.array([-3.0, -1.2, 1.4])
    for signed in (False, True):
        converter, soft = effects.Quantize(4, signed), effects.QuantizationNoise(4, signed)
        np.testing.assert_allclose(soft(beyond, None), converter(beyond, None))


def test_gradient_of_rounding_as_noise_by_its_bits():
    key = jax.random.key(0)
    with jax.enable_x64(True):
        values = jnp.linspace(-0.9, 0.9, 50) * (1 + 0.5j)

        def power(bits):
            return jnp.sum(jnp.abs(effects.QuantizationNoise(bits, signed=True)(values, key)) ** 2)

        slope = jax.grad(power)(4.6)
        np.testing.assert_allclose(slope, (power(4.6 + 1e-6) - power(4.6 - 1e-6)) / 2e-6, rtol=1e-6)


def test_a_device_with_soft_bits_has_its_other_parts():
    device = optics.presets.load("engine11", level="ideal")
    soft = device.with_stages(**{stage.name: effects.soften_bits(stage.effects) for stage in device.stages()})
    kinds = [type(effect).__name__ for effect in (*soft.slm, *soft.camera)]
    assert kinds == ["QuantizationNoise", "BalancedShot", "Read", "Saturate", "QuantizationNoise"]
    assert soft.camera[-1].bits == device.camera[-1].bits
    plane = jax.random.normal(jax.random.key(0), (11, 11))
    without = optics.transform(plane, soft)
    np.testing.assert_allclose(without, optics.transform(plane), atol=0.02)


def test_gradient_of_gains_where_singular_values_coincide():
    # What a symmetric lens gives: pairs of equal singular values, here four that are equal to the last bit.
    rng = np.random.default_rng(5)
    with jax.enable_x64(True):
        exact = optics.transfer.dft((1, 5))(jnp.eye(5)[:, None])[:, 0].T
        basis = [np.linalg.qr(rng.normal(size=(5, 5)) + 1j * rng.normal(size=(5, 5)))[0] for _ in range(2)]
        matrix = jnp.asarray(basis[0] * [5.0, 0.5, 0.5, 0.5, 0.5] @ basis[1]) * exact
        change = jnp.asarray(rng.normal(size=(5, 5)) + 1j * rng.normal(size=(5, 5)))
        weights = jnp.asarray(rng.normal(size=(2, 1, 5)))

        def gains(step):
            device = optics.FourierProcessor(optics.Dense(matrix + step * change, (1, 5)))
            device = optics.calibrate(device, compensation="complex")
            both = weights[0] * device.input_gain, weights[1] * device.output_gain
            return jnp.real(jnp.sum(both[0] + 1j * both[1]))

        for derivative in (jax.grad(gains)(0.0), jax.jvp(gains, (0.0,), (1.0,))[1]):
            np.testing.assert_allclose(derivative, (gains(1e-6) - gains(-1e-6)) / 2e-6, rtol=1e-6)


def test_shares_of_ranges():
    for limits in RANGES.values():
        for share in (0.0, 0.3, 1.0):
            assert limits.share_of(limits.value_at(share)) == pytest.approx(share)
        assert limits.share_of(limits.high * 2) == 1.0
    assert RANGES["dac_bits"].value_at(0.5) == 5.0
    assert RANGES["photons"].value_at(0.5) == pytest.approx(1e4)


def test_a_front_and_the_area_below_it_by_hand():
    designs = [
        {"joules": joules, "accuracy": accuracy}
        for joules, accuracy in ((1e-8, 0.9), (1e-9, 0.8), (2e-9, 0.7), (1e-7, 0.9), (1e-9, 0.5))
    ]
    assert front(designs) == [designs[1], designs[0]]
    # A decade at 0.8, one at 0.9, above a floor of 0.5.
    assert hypervolume(designs, 1e-7, 0.5) == pytest.approx(0.3 + 0.4)
    assert hypervolume([], 1e-7, 0.5) == 0.0


def test_bits_are_rounded_each_way():
    numbers = {"photons": 1234.5, "dac_bits": 2.4, "adc_bits": 5.0}
    designs = round_each_way(numbers, {name: RANGES[name] for name in numbers})
    # Not below the range; whole bits are their own floor and ceiling.
    pairs = [(2.0, 4.0), (2.0, 5.0), (3.0, 4.0), (3.0, 5.0)]
    assert designs == [numbers | {"dac_bits": dac, "adc_bits": adc} for dac, adc in pairs]


class Network:
    """What a problem asks of a trained network: digits, and planes of the device that a key is needed for."""

    def __init__(self, model):
        self.model, self.dataset = model, load_data(Config(data="digits"))

    def split(self, name):
        rows = getattr(self.dataset, name)
        return type(rows)(rows.rows[:24], rows.labels[:24])


class Model(nnx.Module):
    """Logits of ten kernels by one convolution, smooth in every number."""

    def __init__(self):
        self.kernels = nnx.Param(jax.random.normal(jax.random.key(0), (10, 11, 11)) / 11)

    def __call__(self, rows, device, key):
        planes = jnp.pad(rows, ((0, 0), (1, 2), (1, 2)))[:, None]
        return nnx.logsumexp(optics.convolve(planes, self.kernels[...], device, key), (-2, -1))


@pytest.fixture(scope="module")
def problem():
    ranges = {name: RANGES[name] for name in ("photons", "oscillator_power", "dac_bits", "adc_bits")}
    return design_search.Problem(Network(Model()), "engine11", ranges, 2, 0)


def test_numbers_of_the_preset_are_its_own(problem):
    assert problem.own == pytest.approx(
        {
            "photons": 62_400,
            "oscillator_power": 0.5e-3,
            "dac_bits": 8,
            "adc_bits": 10,
            "fill": 0.5,
            "pupil": 2.5,
            "focal": 1,
            "pitch": 127e-6,
        },
        rel=1e-6,
    )
    overrides = problem.overrides(problem.own)
    # The oscillator of 1 mW is a hundred times as bright as 10 µW of signal.
    assert overrides["photons"] == pytest.approx(62_400 / 1.01, rel=1e-3)
    assert overrides["read"] == pytest.approx(2.24e-3)
    dim = problem.overrides(problem.own | {"photons": 624.0, "oscillator_power": 5e-6})
    # A hundredth of both: a hundred times the noise of the amplifier, and the oscillator as strong as before.
    assert dim["read"] == pytest.approx(0.224) and dim["photons"] == pytest.approx(624 / 1.01, rel=1e-3)


def test_gradient_of_the_objective_against_finite_differences(problem):
    shares = {"photons": 0.6, "oscillator_power": 0.7, "dac_bits": 0.6, "adc_bits": 0.6}
    device = optics.presets.load("engine11", level="ideal")
    rest = (0.05, problem.batches["validation"], problem.keys, device)
    slope = problem.gradient(shares, *rest)[1]

    def objective(share, name):
        return float(problem.gradient(shares | {name: share}, *rest)[0][0])

    # In less light, where noise is as strong as the signal, settings of the electronics that follow it (full
    # scale, scale of the drive) have a share, which no gradient flows through.
    for name, share in shares.items():
        difference = (objective(share + 0.01, name) - objective(share - 0.01, name)) / 0.02
        assert slope[name] == pytest.approx(difference, rel=0.03), name


def test_descent_lowers_the_objective_and_counts_what_it_spends(problem):
    device = optics.presets.load("engine11", level="ideal")
    shares = {name: limits.share_of(problem.own[name]) for name, limits in problem.ranges.items()}
    rest = (0.1, problem.batches["validation"], problem.keys, device)
    before = problem.evaluations
    later = problem.descend(shares, 0.1, 6, device=device, fixed=["adc_bits"])
    assert problem.evaluations == before + 18
    assert problem.gradient(later, *rest)[0][0] < problem.gradient(shares, *rest)[0][0] - 0.02
    assert later["adc_bits"] == shares["adc_bits"] and all(0 <= share <= 1 for share in later.values())


@pytest.mark.parametrize(
    ("free", "texts", "words"),
    [
        (("photons", "bogus"), (), "`free` must be different numbers of photons"),
        (("photons", "photons"), (), "got 'photons'"),
        ((), (), "`free` must name at least one number"),
        (("photons",), ("fill=0.3,0.4",), "of no free number"),
        (("fill",), ("fill=0.4,0.3",), "must rise within 0.2 to 1"),
        (("fill",), ("fill=0.4,0.4",), "must rise within"),
        (("fill",), ("fill=0.4,1.4",), "must rise within"),
        (("fill",), ("fill=0.4",), "NAME=LOW,HIGH"),
        (("fill",), ("fill=a,b",), "NAME=LOW,HIGH"),
        (("fill",), ("fill=nan,0.5",), "must rise within"),
    ],
)
def test_free_numbers_and_ranges_that_are_refused(free, texts, words):
    with pytest.raises(ValueError, match=words):
        parse_ranges(free, texts)


def test_ranges_that_are_narrower():
    ranges = parse_ranges(("fill", "adc_bits"), ("adc_bits=4,6",))
    assert ranges == {"fill": RANGES["fill"], "adc_bits": design_search.Range(4.0, 6.0, True, True)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "bogus"], "`device` must be a preset"),
        (["--device", "dmd-4f"], "no coherent receivers"),
        (["--device", "ideal"], "no coherent receivers"),
        (["--device", "jtc"], "no coherent receivers"),
        (["--free", "bogus"], "`free` must be different numbers"),
        (["--range", "pitch=20e-6,30e-6"], "of no free number"),
        (["--network", "/nowhere"], "holds no finished run"),
    ],
)
def test_refusals_of_the_command(arguments, words, tmp_path, capsys):
    assert words in refuse(["design", "--quick", "--out", str(tmp_path), *arguments], capsys)


@pytest.mark.slow
def test_design(tmp_path):
    rows = run_quickly("design", tmp_path)
    own = next(iter(select(rows, row="own numbers")))
    chosen = next(iter(select(rows, row="units", design="chosen")))
    # Two steps are enough to leave out what the preset does not need.
    assert chosen["joules"] < own["joules"] and len(chosen["accuracies"]) == chosen["units"] == 2
    comparison = next(iter(select(rows, row="comparison")))
    # Five gradients at two weights, three by three roundings and a last evaluation.
    assert comparison["evaluations_of_grid"] == 16 == len(select(rows, row="grid"))
    assert comparison["evaluations_of_gradient"] <= 3 * 5 + 2 * 10
    figure = plots.draw_recorded(tmp_path / "design.json")
    assert len(figure.axes[0].get_legend().get_texts()) == 5
