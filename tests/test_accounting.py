"""The ledger: exposures as they are really made, and prices worked out by hand."""

import math

import jax
import jax.numpy as jnp
import pytest

import optics
from optics import accounting, effects
from tests.helpers import with_slow
from tests.parts import DEVICES

SHAPES = []


class Witness(effects.Effect):
    """Writes down the shapes of the frames that pass it, also where they are mapped over."""

    def __call__(self, value, key):
        jax.debug.callback(lambda frames: SHAPES.append(frames.shape), value)
        return value


def exposures_made(device, call):
    """Frames that leave the camera of a device in a real run."""
    SHAPES.clear()
    detectors = [stage for stage in device.stages() if not stage.is_modulator]
    device = device.with_stages(**{stage.name: (*stage.effects, Witness()) for stage in detectors})
    with jax.disable_jit():
        call(device, jax.random.key(0))
    jax.effects_barrier()
    return SHAPES


# Propagation in full, step by step without compilation, would take half a minute and show the same frames.
@pytest.mark.parametrize(
    "name",
    with_slow(
        [name for name in DEVICES if "wave" not in name], ("ideal", "ideal 1×6", "camera 6×6", "ideal 3×4")
    ),
)
@pytest.mark.every(4)
def test_the_frames_counted_are_the_frames_made(name):
    device = DEVICES[name].make()
    x, w = jnp.ones((2, 3, *device.shape)), jnp.ones((3, *device.shape))

    def call(device, key):
        return optics.convolve(x, w, device, key)

    counted = accounting.count(call, device)
    made = exposures_made(device, call)
    assert counted.adc == sum(math.prod(shape) for shape in made)
    if isinstance(device, optics.JointTransform):
        assert counted.exposures == 12  # six joint power spectra, six transforms of them
    elif isinstance(device, optics.Correlator):
        assert counted.exposures == 6
    else:
        # Six planes in, three kernels, six products back; a camera takes four steps each, a receiver one
        # exposure.
        assert counted.exposures == 15 * (4 if "camera" in name else 1)
    single_exposure = isinstance(device.measurement, optics.Coherent)
    assert counted.exposures == sum(
        math.prod(shape[:-3]) * (1 if single_exposure else shape[-3]) for shape in made
    )


@pytest.mark.parametrize(
    ("encoder", "measurement", "exposures", "written"),
    [
        (optics.encode.ComplexAmplitude(), optics.Coherent(), 1, 2),
        (optics.encode.ComplexAmplitude(), optics.Balanced(), 1, 2),
        (optics.encode.DoublePhase(exposures=2), optics.PhaseShifting(3), 6, 8),
        (optics.encode.BitPlanes(5, parts=4), optics.PhaseShifting(4), 80, 20),
        (optics.encode.Blazed(4, exposures=4), optics.OffAxis(), 4, 16),
    ],
)
def test_exposures_of_a_complex_transform(encoder, measurement, exposures, written):
    device = optics.FourierProcessor(optics.dft(4), measurement, encoder=encoder)
    a = jnp.ones((4, 4)) * (1 + 1j)
    counts = accounting.count(lambda device, key: optics.transform(a, device, key), device)
    assert (counts.exposures, counts.dac) == (exposures, written * 16)


def test_batches_loops_and_gradients_are_counted():
    device = DEVICES["ideal"].make()
    x, w = jnp.ones((4, 11, 11)), jnp.ones((11, 11))

    def run(device, key):
        return optics.convolve(x, w, device, key).sum()

    assert accounting.count(run, device).exposures == 9
    assert (
        accounting.count(lambda d, k: jax.vmap(lambda x: optics.convolve(x, w, d, k))(x), device).exposures
        == 9
    )
    assert (
        accounting.count(lambda d, k: jax.lax.map(lambda x: optics.convolve(x, w, d, k), x), device).exposures
        == 4 * 3
    )
    assert accounting.count(jax.jit(run), device).exposures == 9

    def gradient(rule):
        return lambda d, k: jax.grad(lambda x: rule(optics.convolve)(x, w, d, k).sum())(x)

    assert accounting.count(gradient(lambda f: f), device).exposures == 9
    assert accounting.count(gradient(optics.ideal_gradient), device).exposures == 9
    # Backwards, two convolutions of four slopes: with the kernel, and with the four inputs.
    assert accounting.count(gradient(optics.optical_gradient), device).exposures == 9 + 9 + 12


def test_every_shard_of_a_mesh_is_counted():
    mesh = jax.sharding.AbstractMesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    device, x, w = DEVICES["ideal"].make(), jnp.ones((4, 11, 11)), jnp.ones((11, 11))
    spec = jax.sharding.PartitionSpec

    def spread(device, key):
        return jax.shard_map(
            lambda x: optics.convolve(x, w, device, key),
            mesh=mesh,
            in_specs=spec("data"),
            out_specs=spec("data"),
            check_vma=False,
        )(x)

    # Each of four devices transforms a plane, the kernel and a product.
    assert accounting.count(spread, device).exposures == 4 * 3


def test_large_arrays_are_counted_in_their_tiles():
    device = DEVICES["ideal"].make()
    x, w = jnp.ones((20, 30)), jnp.ones((3, 3))
    plan = optics.mapping.plan_tiles(x.shape, w.shape, device.shape, "same")
    counts = accounting.count(lambda d, k: optics.mapping.convolve_tiled(x, w, d, k, boundary="same"), device)
    assert counts.exposures == plan.transforms


def test_prices():
    costs = accounting.hardware(
        exposure_time=2.0,
        dac_energy=3.0,
        modulator_energy=0.5,
        adc_energy=5.0,
        receiver_energy=(0.25, 0.0, 1.0),
        memory_energy=0.0,
        oscillator_power=0.1,
        laser_power=4.0,
        wall_plug=(0.5, 0.25, 1.0),
        static_power=1.0,
        engines=10,
    )
    ledger = accounting.price(accounting.Counts(exposures=100, dac=7, adc=8), costs)
    assert ledger.seconds == 20.0
    assert ledger.joules == pytest.approx(7 * 3.5 + 8 * 5.25 + 200 * (4 / 0.5 + 1) + 8 * 2 * 0.1 / 0.5)
    assert ledger.low == pytest.approx(7 * 3.5 + 8 * 5 + 200 * (4 / 1 + 1) + 8 * 2 * 0.1)
    assert ledger.high == pytest.approx(7 * 3.5 + 8 * 6 + 200 * (4 / 0.25 + 1) + 8 * 2 * 0.1 / 0.25)
    assert ledger.conversion == pytest.approx((7 * 3.5 + 8 * 5.25) / ledger.joules)
    assert ledger.joules == pytest.approx(sum(value for value, _, _ in ledger.terms.values()))
    assert "100 exposures in 20 s, 7 numbers written and 8 read" in str(ledger)


def test_ledger_of_a_convolution():
    device = DEVICES["engine11"].make()
    ledger = optics.ledger(device, (8, 1, 11, 11), (3, 11, 11))
    assert (ledger.exposures, ledger.adc) == (8 + 3 + 24, 121 * (2 * 11 + 24))
    assert ledger.dac == 121 * (8 + 3 + 2 * 24)  # real numbers in, complex products
    assert 3 < ledger.bits < 4.5
    assert ledger.low < ledger.joules < ledger.high
    assert optics.ledger(DEVICES["ideal"].make(), (11, 11), (11, 11)).bits > 18


def test_every_assumption_has_a_range_a_unit_and_a_source():
    tables = [accounting.hardware(name) for name in accounting.hardware_names()]
    tables += [*accounting.converters().values(), accounting.electronics()]
    for assumption in (assumption for table in tables for assumption in table.values()):
        assert (
            0 <= assumption.low <= assumption.value <= assumption.high
            and assumption.unit
            and assumption.source
        )
        assert assumption.guess or not assumption.source.startswith(("our choice", "inferred"))
    for preset in optics.presets.names():
        assert optics.presets.hardware(preset) in accounting.hardware_names()


PER_FLOP = 0.71e-12


def test_at_the_break_even_the_ledger_costs_what_electronics_do():
    """Of a million complex transforms: each number of a plane is two written and two read."""

    def joules(size, costs):
        conversions = round(2e6 * size)
        return accounting.price(accounting.Counts(10**6, conversions, conversions), costs).joules

    for name in accounting.hardware_names():
        costs = accounting.hardware(name, static_power=1e-3)
        n = accounting.break_even_pixels(costs, PER_FLOP)
        assert joules(n, costs) == pytest.approx(1e6 * 5 * n * math.log2(n) * PER_FLOP)
        # Below it light costs more, and above it less.
        for size, winner in ((n / 2, 1), (2 * n, -1)):
            excess = joules(size, costs) - 1e6 * accounting.fft_flops(size) * PER_FLOP
            assert excess * winner > 0
    # By hand: two conversions each way, four bytes of memory, two numbers of a local oscillator; 4.6 mW
    # of laser add 23 pJ an exposure.
    energy = 2 * (3.6 + 0.4) + 2 * (1.5 + 0.3) + 4 * 0.83 + 2 * 0.5e-3 * 1e-9 / 0.2 * 1e12
    n = accounting.break_even_pixels("integrated", PER_FLOP)
    assert math.log2(n) * 3.55 == pytest.approx(energy + 23 / n)


def test_the_break_even_of_convolutions_is_where_the_ledger_of_a_device_meets_electronics():
    """The device is made smaller and larger until its own ledger costs what the transforms cost."""

    def ratio(side, costs):
        device = optics.presets.load("ideal", pixels=side)
        x, w = jnp.zeros((8, 1, side, side)), jnp.zeros((3, side, side))
        counts = accounting.count(lambda device, key: optics.convolve(x, w, device, key), device)
        joules = accounting.price(counts, costs).joules
        return joules / (35 * accounting.fft_flops(side**2, real=True) * PER_FLOP), counts

    costs = accounting.hardware("integrated")
    counts = ratio(11, costs)[1]
    n = accounting.break_even_pixels(costs, PER_FLOP, counts, 121, transforms=35, real=True)
    assert ratio(math.floor(math.sqrt(n)), costs)[0] > 1 > ratio(math.ceil(math.sqrt(n)), costs)[0]


def test_break_even():
    # Converters replace those of the hardware, and decide.
    costs = accounting.hardware("integrated", converters="LightCode")
    assert costs["dac_energy"] == accounting.converters()["LightCode"]["dac"]
    assert costs["memory_energy"] == accounting.hardware()["memory_energy"]
    assert accounting.break_even_pixels(costs, PER_FLOP) > 50 * accounting.break_even_pixels(
        "integrated", PER_FLOP
    )
    # Four exposures of a transform take the fourth power, where nothing is paid for an exposure.
    free = accounting.hardware(laser_power=0.0)
    n = accounting.break_even_pixels(free, PER_FLOP)
    four = accounting.break_even_pixels(free, PER_FLOP, accounting.Counts(4, 8, 8))
    assert four == pytest.approx(n**4)
    assert accounting.break_even_pixels("integrated", 1e-16) == math.inf
    assert accounting.break_even_pixels(accounting.hardware(dac_energy=0.0, modulator_energy=0.0), 1.0) < 1.1
    # A number written and read, two of memory, and its share of the exposure.
    energy = 4.0 + 1.8 + 2 * 0.83 + 2.5
    assert accounting.break_even_taps("integrated", 1.42e-12) == pytest.approx(energy / 1.42)
    assert accounting.break_even_taps("integrated", 1.42e-12, 4) == pytest.approx((energy + 23 / 4) / 1.42)
    assert accounting.fft_flops(1024, real=True) == 2.5 * 1024 * 10


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: accounting.hardware("vacuum tubes"),
            "`name` must be a kind of hardware, one of electronic-crossbar, .*liquid-crystal,",
        ),
        (lambda: accounting.hardware(colour=1.0), "`colour`"),
        (lambda: accounting.hardware(static_power=-1.0), "`static_power`"),
        (lambda: accounting.hardware(wall_plug=0.0), "`wall_plug`"),
        (lambda: accounting.hardware(static_power=(1.0, 2.0, 3.0)), "`static_power`"),
        (lambda: optics.presets.hardware("engine12"), "`name`"),
        (lambda: accounting.price(accounting.Counts(1, 1, 1), {}), "`costs`"),
        (lambda: optics.ledger("engine11", (11, 11), (11, 11)), "`device`"),
        (lambda: optics.ledger(DEVICES["ideal"].make(), (5, 5), (5, 5)), "`x_shape`"),
        (
            lambda: accounting.count(
                lambda d, k: optics.convolve(jnp.ones((11, 11)), jnp.ones((11, 11)), d),
                DEVICES["ideal"].make(),
            ),
            "`call`",
        ),
        (lambda: accounting.count(lambda d, k: jnp.ones(3), DEVICES["ideal"].make()), "`call`"),
        (
            lambda: accounting.count(
                lambda d, k: jnp.ones(3), optics.External(print, DEVICES["ideal"].make())
            ),
            "count those of its `twin`",
        ),
        (lambda: optics.ledger(DEVICES["camera 6×6"].make(), (6, 6), (6, 6)), "`costs`"),
        (lambda: accounting.hardware(wall_plug=5.0), "`wall_plug`"),
        (lambda: accounting.hardware(static_power=(1.0, 2.0)), "`static_power`"),
        (lambda: accounting.price(accounting.Counts(1, 1, 1), {"engines": 1.0}), "`costs`"),
        (lambda: accounting.price(accounting.Counts(1, 1, 1), "steam"), "`costs`"),
        (lambda: accounting.fft_flops(0), "`pixels`"),
        (
            lambda: accounting.count(lambda d, k: looped(d, k), DEVICES["ideal"].make()),
            "inside of a `jax.lax` while",
        ),
        (lambda: accounting.hardware(converters="SimPhoney"), "`converters` must be one of LightCode,"),
        (lambda: accounting.break_even_pixels("integrated", 0.0), "`per_flop`"),
        (lambda: accounting.break_even_pixels("integrated", 1.0, pixels=0), "`pixels`"),
        (lambda: accounting.break_even_pixels("integrated", 1.0, transforms=-1), "`transforms`"),
        (lambda: accounting.break_even_pixels("integrated", 1.0, 4), "`counts` must be a `Counts`"),
        (lambda: accounting.break_even_pixels(11.5e-12, 1.0), "`costs`"),
        (lambda: accounting.break_even_taps("integrated", -1.0), "`per_mac`"),
        (lambda: accounting.break_even_taps("integrated", 1.0, 0), "`pixels`"),
        (lambda: accounting.break_even_taps("steam", 1.0), "`costs`"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def looped(device, key):
    w = jnp.ones((11, 11))
    return jax.lax.while_loop(lambda x: jnp.sum(x) < 1e3, lambda x: optics.convolve(x, w, device, key), w)
