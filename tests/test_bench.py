"""The bench as a person runs it."""

import json
import multiprocessing
import re
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bench
import optics
from bench import output
from bench.__main__ import main
from bench.simulator import fidelity, memory, modes, one_shot, panels, peers, roofline
from bench.simulator import four_f_chain as chain
from bench.simulator.sweeps import sweep_error
from tests.helpers import relative
from tests.helpers_bench import refuse, run_quickly


def test_fidelity(tmp_path):
    rows = run_quickly("fidelity", tmp_path)
    shot = next(r for r in rows if r["operation"] == "convolution" and r["condition"] == "one shot")
    assert 0.03 < shot["relative_rms_error"] < 0.1 and shot["bias"] < 0.01 and abs(shot["gain_error"]) < 0.02
    # Systematic and random parts add in quadrature.
    assert np.hypot(shot["systematic"], shot["random"]) == pytest.approx(shot["relative_rms_error"], rel=0.05)
    costs = {r["condition"]: r for r in rows if r.get("sweep") == "budget"}
    assert list(costs) == [
        "optics alone",
        "slm Quantize",
        *(f"camera {n}" for n in ("BalancedShot", "Read", "Saturate", "Quantize")),
        "all",
    ]
    # Independent errors add in quadrature.
    assert costs["all"]["explained"] == pytest.approx(costs["all"]["relative_rms_error"], rel=0.1)
    assert costs["camera BalancedShot"]["without"] < costs["all"]["relative_rms_error"]
    photons = swept(rows, "photons")
    # Where shot noise rules, the error goes with the root of the photons; then the rest is left.
    assert photons[1e4] / photons[1e5] == pytest.approx(np.sqrt(10), rel=0.4) and photons[1e9] > 0.01
    # The noise of rounding is a twelfth of a step squared, and a step of 8 bits a sixteenth of one of 4.
    dac, adc = swept(rows, "DAC bits"), swept(rows, "ADC bits")
    assert adc[4.0] > 5 * adc[8.0] and dac[4.0] > 2 * dac[8.0]
    # More taps are more light with the same noise: a kernel of one tap is as exact as the whole, within a
    # factor of 2.
    kernel = swept(rows, "kernel")
    assert [*kernel] == [1.0, 7.0, 11.0]
    assert all(0.5 < error / shot["relative_rms_error"] < 1.5 for error in kernel.values())


def swept(rows, name):
    return {row["value"]: row["relative_rms_error"] for row in rows if row.get("sweep") == name}


def test_a_sweep_compiles_once():
    traces = []

    def error(value, key):
        traces.append(value)
        return value**2 + 0 * jax.random.normal(key)

    errors = sweep_error(error, np.array([1.0, 2.0, 3.0]), jax.random.split(jax.random.key(0), 2))
    np.testing.assert_allclose(errors, [1, 4, 9])
    assert len(traces) == 1


def test_bits_and_aberrations_are_swept_in_one_program():
    device = output.load_device("engine11", level="wave")
    x = jnp.ones((11, 11))
    traces = []

    @jax.jit
    def error(bits, coma):
        traces.append(bits)
        lens = eqx.tree_at(lambda s: s.aberrations, device.transfer, jnp.zeros(8).at[7].set(coma))
        changed = eqx.tree_at(
            lambda d: (d.slm[0].bits, d.transfer), device, (bits, optics.compile_transfer(lens))
        )
        return optics.convolve(x, x, changed)

    first, second = error(8.0, 0.0), error(4.0, 0.1)
    assert len(traces) == 1 and relative(second, first) > 0.01


@pytest.mark.slow
def test_speed(tmp_path):
    rows = run_quickly("speed", tmp_path)
    chained = [row for row in rows if row["operation"].startswith("4f chain")]
    assert len(chained) == 2 and all(
        row["field_error"] < 1e-5 and row["gradient_error"] < 1e-5 for row in chained
    )
    assert [row["against"] for row in rows[2:]] == 2 * ["compiled, Dense"] + 3 * ["exact FFT"] + (
        6 * ["one mode"] + ["linear wide"]
    )
    assert all(row["relative_difference"] < 1e-5 for row in rows[2:4])
    for row in rows:
        assert row["ratio"] == pytest.approx(row["milliseconds"] / row["against_milliseconds"])


def test_modes_are_timed_against_one_that_gives_the_same(key):
    a = jax.random.normal(key, (2, 3, 3))
    for receiver in modes.RECEIVERS:
        one, several = (modes.make_engine(3, receiver, count) for count in (None, 4))
        assert several.transfer.modes == 4
        assert relative(optics.transform(a, several), optics.transform(a, one)) < 1e-5
    rows = modes.measure_modes(True, key)
    assert [row["what"] for row in rows] == 6 * ["2 modes of light"]
    assert all(0 < row["ratio"] < np.inf for row in rows)


@pytest.mark.parametrize("name", ["torchoptics", "torchoptics, float32", "svetlanna"])
def test_other_libraries_compute_the_same_chain(name):
    pytest.importorskip(name.split(",")[0])
    work = chain.make_work(2, 32, 0)
    forward, gradient, conventions = peers.LIBRARIES[name](work)
    errors = chain.errors((forward(), gradient()), chain.reference(work, **conventions))
    # Ours is held to 1e-5; theirs lose the phase in single precision.
    assert errors["field_error"] < 0.05 and errors["gradient_error"] < 0.2


@pytest.mark.slow
def test_memory(tmp_path):
    rows = run_quickly("memory", tmp_path)
    exact, *noisy = (row["ratio"] for row in rows if "ratio" in row)
    assert exact == 1 and all(1 < ratio < 10 for ratio in noisy)
    attention, attention_longer, lambdas, lambdas_longer = (
        row["MiB"] for row in rows if row["operation"] == "training step, compiled"
    )
    assert attention_longer > 3 * attention > 3 * lambdas and lambdas_longer < 2.3 * lambdas
    # Not what the process held that started it.
    held = np.ones(2**28, np.uint8)  # 256 MiB
    assert memory.peak_bytes() > held.nbytes
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(memory.peak_bytes) < memory.peak_bytes()
    assert 100 < rows[-1]["MiB"] < 8000 and rows[-1]["operation"] == "two training steps, process"


@pytest.mark.slow
def test_ledger(tmp_path):
    rows = run_quickly("ledger", tmp_path, "--set", "static_power=0.5", "--set", "exposure_time=2e-9")
    counted = {row["computation"]: row for row in rows if row["table"] == "computations"}
    assert counted["one convolution"]["frames"] == 3
    assert counted["64 × 24 convolutions"]["frames"] == 64 + 24 + 64 * 24
    # A token takes 1 + 3 h transforms literally, and 2 spectrally; in electronics it is as many.
    literal, spectral = (
        counted[f"forward, {what} attention, 1 block, 2 heads, 64 tokens"] for what in ("literal", "spectral")
    )
    assert (
        literal["frames"] == literal["transforms"] == 7 * 64 + 6
        and spectral["frames"] == spectral["transforms"] == 2 * 64
    )
    assert literal["electronic_flops"] / spectral["electronic_flops"] == pytest.approx(454 / 128)
    steps = [row for row in counted.values() if row["computation"].startswith("training")]
    assert len(steps) == 4 and all(0 < row["share_of_arithmetic"] < 1 for row in steps)
    assert counted["one convolution"]["seconds"] == pytest.approx(6e-9)
    assert counted["one convolution"]["terms"]["standing power"][0] == pytest.approx(3e-9)
    # Flat until the frame is full, then in proportion: 21 pixels a cell with its guard, 48 × 48 cells in 1024
    # × 1024.
    frames = {row["tokens"]: row["correlator_frames"] for row in rows if row["table"] == "one frame"}
    assert frames[1] == frames[48 * 48] == 1 and frames[48 * 48 + 1] == 2 and frames[16 * 48 * 48] == 16
    crossing = {(row["converters"], row["electronics"]): row for row in rows if row["table"] == "break-even"}
    assert len(crossing) == 5 * 3
    own, published = (crossing[name, "GPU, BF16"] for name in ("as assumed", "SimPhony"))
    assert own == published | {"converters": "as assumed"}
    # By hand, in pJ: converters, memory and local oscillator of a complex number, and its share of what an
    # exposure costs, laser and standing power.
    of_number = 2 * (3.6 + 0.4) + 2 * (1.5 + 0.3) + 4 * 0.83 + 2 * 5
    n = own["transform_numbers"]
    assert 3.55 * np.log2(n) == pytest.approx(of_number + (46 + 1000) / n)
    # The convolutions counted above, of planes as large as told, cost what electronics do.
    counted = counted["64 × 24 convolutions"]
    growth = own["convolution_numbers"] / 121
    dac, adc = (round(growth * counted[key]) for key in ("dac", "adc"))
    costs = optics.accounting.hardware(static_power=0.5, exposure_time=2e-9)
    joules = optics.accounting.price(optics.accounting.Counts(counted["frames"], dac, adc), costs).joules
    flops = counted["transforms"] * optics.accounting.fft_flops(121 * growth, real=True)
    assert joules == pytest.approx(flops * 0.71e-12, rel=1e-4)
    assert (growth > 1) == (counted["ratio"] > 1)
    assert all(row["source"] and row["unit"] for row in rows if row["table"] == "assumptions")


def test_an_ideal_device_has_only_rounding_errors(tmp_path):
    assert main(["fidelity", "--quick", "--device", "ideal", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "fidelity.json").read_text())["rows"]
    # Light off the director is an error of any device.
    rows = [row for row in rows if row.get("sweep") != "polarisation off the director" or not row["value"]]
    assert len(rows) > 5 and all(row["relative_rms_error"] < 1e-5 for row in rows)


def test_effective_bits():
    # A perfect 8-bit converter: step 1/255 of the range, full-scale sine.
    sine = np.sin(np.linspace(0, 200 * np.pi, 100_001))
    error = np.round((sine + 1) * 127.5) / 127.5 - 1 - sine
    assert optics.metrics.effective_bits(fidelity.rms(error) / fidelity.rms(sine)) == pytest.approx(
        8, abs=0.02
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["fidelity", "--device", "engine12"],
            "`device` must be a preset, one of correlator, crossbar, dmd-4f, electronics-8bit, ",
        ),
        (
            ["ledger", "--hardware", "steam"],
            "`name` must be a kind of hardware, one of electronic-crossbar, integrated",
        ),
        (["ledger", "--set", "static_power"], "`set` must be of the form name=number"),
        (["ledger", "--assume", "engines=3", "--set", "engines=4"], "`set` must set a number once"),
        (["ledger", "--set", "colour=3"], "`colour`"),
        (["memory", "--device", "engine12"], "`device`"),
        (["speed", "--out", "/dev/null/results"], "`out` /dev/null/results cannot be written to"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refuse(arguments, capsys)


@pytest.mark.slow
def test_hardware_without_a_price_of_a_conversion_has_no_break_even(tmp_path, capsys):
    rows = run_quickly("ledger", tmp_path, "--hardware", "liquid-crystal")
    assert "break-even" not in {row["table"] for row in rows}
    printed = capsys.readouterr().out
    assert "break-even: none" in printed and "LightCode" not in printed


def test_what_is_recorded_names_no_folder_of_one_machine():
    recorded = [
        path
        for path in (Path(bench.__file__).parent / "results").rglob("*")
        if path.suffix in (".json", ".jsonl")
    ]
    assert len(recorded) > 10
    for path in recorded:
        found = re.findall(r'"(/[^"]*|~[^"]*|[A-Z]:\\[^"]*)"', path.read_text(encoding="utf-8"))
        assert not found, f"{path}: {found}"


def test_table():
    text = output.table([{"a": 1.5, "b": "x"}, {"a": None, "b": "long"}], {"a": ".2f", "b": ""})
    assert text.splitlines() == ["a     b", "1.50  x", "      long"]


def test_peers_that_are_not_installed_are_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(peers, "LIBRARIES", {"no_such_library": None})
    error = refuse(["speed", "--quick", "--peers", "--out", str(tmp_path)], capsys)
    assert "`peers` needs one of no_such_library; install them by pip install -e .[peers]." in error
    assert not [*tmp_path.iterdir()]


def test_a_peer_whose_field_is_another_is_refused(monkeypatch):
    def wrong(work, half=False):
        return (lambda: work.amplitude + 0j), (lambda: work.phase), {}

    monkeypatch.setattr(peers, "LIBRARIES", {"numpy": wrong})
    monkeypatch.setattr(peers, "_TESTED", {"numpy": "0"})
    with pytest.raises(ValueError, match=r"the field of numpy .* differs from the double precision chain"):
        peers.measure_peers(None, True, 0)


def test_work_of_a_call_is_that_of_its_arrays(key):
    a, b = jnp.ones((30, 40)), jnp.ones((40, 50))
    draw = optics.effects.Read(0.1)

    def call(a, b, key):
        return jax.lax.map(lambda _: draw(a @ b, key), jnp.arange(3))

    work = roofline.count_work(call, (a, b, key))
    assert work.operations == 3 * 2 * 30 * 40 * 50 and work.normals == 3 * 30 * 50
    # Beside them the counter of the loop and the key.
    assert work.bytes == pytest.approx(4 * (a.size + b.size + 3 * 30 * 50), abs=32)
    assert roofline.count_work(call, (a, b, None)).normals == 0
    transforms = roofline.count_work(lambda a: jnp.fft.irfft2(jnp.fft.rfft2(a)), (jnp.ones((7, 8, 16)),))
    assert transforms.operations == 2 * 2.5 * 7 * 128 * 7


def test_efficiency_of_many_devices():
    # By hand: 4.5 GB take 2 · 7/8 · 10 ms within a node; between 64 nodes an eighth of it, 2 · 63/64 · 11.25
    # ms; three and nine stages of 5 µs each way.
    small, _, large = roofline.predict_scaling(0.1, 4.5e9)
    assert small["exchange"] == pytest.approx(17.5 + 0.03)
    assert large["exchange"] == pytest.approx(17.5 + 22.1484 + 0.09, rel=1e-4)
    assert large["efficiency"] == pytest.approx(100 / (100 + large["exchange"]))


def test_gains_of_a_panel_are_the_best_ones():
    rng = np.random.default_rng(0)
    rows, cols, part = (rng.normal(size=shape) + 1j * rng.normal(size=shape) for shape in ((4, 1), 5, (4, 5)))
    found = panels.apply_gains(part, rows * part * cols)
    np.testing.assert_allclose(found, rows * part * cols, rtol=1e-6)


@pytest.mark.slow
def test_panels(tmp_path):
    rows = run_quickly("panels", tmp_path)
    of = {part: [row for row in rows if row["operation"] == part] for part in {r["operation"] for r in rows}}
    assert [row["orders"] for row in of["sampling"]] == [1, 2, 3]
    assert all(row["after_gains"] <= row["raw"] <= 1e-3 for row in of["sampling"])
    assert all(row["error"] <= 4e-4 and row["terms"] >= 1 for row in of["masks"])
    assert {row["kind"] for row in of["speed"]} == {"wave", "compiled", "bare FFT"}
    bare, *noisy, engine = of["packed"]
    assert bare["planes"] == (64 // 21) ** 2 and bare["error"] <= 5e-3 and engine["microseconds"] > 0
    assert all(0.8 <= row["error"] / row["predicted"] <= 1.25 for row in noisy)
    assert [row["side"] for row in of["retrieval"]] == [32, 32, 64, 64]


@pytest.mark.slow
def test_products(tmp_path):
    rows = run_quickly("products", tmp_path)
    readings = {row["reading"]: row for row in rows if row["operation"] == "geometry"}
    assert readings["ramps alone"]["of_spread"] < 1e-13
    assert readings["a constant"]["of_spread"] == pytest.approx(1)
    assert readings["ramps alone, no whole cycles"]["of_spread"] > 0.3
    # The second exposure calibrates the elements along k, and noise adds to what the optics leave.
    two, one = (
        readings[f"optics, {gains} exposure{s}"] for gains, s in (("gains of two", "s"), ("gain of one", ""))
    )
    assert two["of_spread"] < one["of_spread"] < 0.5
    assert two["of_spread"] < readings["bench with a reference"]["of_spread"] < 0.5
    assert readings["bench, intensity alone"]["of_spread"] < 0.5
    for device in ("tensor-bench", "crossbar"):
        errors = [row["error"] for row in output.select(rows, operation="sweep", device=device)]
        assert errors == sorted(errors, reverse=True)
    shot = output.select(rows, operation="photons")
    assert all(row["error"] == pytest.approx(row["limit"], rel=0.1) for row in shot)
    expected = [row for row in rows if "expected" in row]
    assert len(expected) == 4
    assert all(row["exponent"] == pytest.approx(row["expected"], abs=0.05) for row in expected)
    assert [row["what"] for row in rows if row["operation"] == "speed"] == ["forward", "gradient"]
    counted = {(row["device"], row["size"]): row for row in rows if row["operation"] == "ledger"}
    # A row is an exposure; each cell is written once.
    crossbar = counted["crossbar of that size", 64]
    assert (crossbar["exposures"], crossbar["dac"], crossbar["adc"]) == (64, 64**2 + 64**2, 64**2)
    # Two tiles along each axis, four phase steps each.
    assert counted["tensor-bench 50×50", 64]["exposures"] == 4 * 2**3


def test_ramps_of_whole_cycles_multiply_exactly():
    a, b = np.random.default_rng(0).random((2, 5, 5))
    for spacing, is_exact in ((1.0, True), (0.8, False)):
        y = one_shot.picture_product(a, b, one_shot.make_cycles(5, spacing), 10)
        assert (relative(y, a @ b) < 1e-13) == is_exact


@pytest.mark.slow
def test_photons(tmp_path):
    rows = run_quickly("photons", tmp_path)
    for training in ("exact", "through noise"):
        dim, bright = (row for row in output.select(rows, training=training, seed=None) if "photons" in row)
        assert dim["photons"] < 1 < bright["photons"] and dim["accuracy"] < bright["accuracy"]
        # Shot noise: the error falls as the root of the light, here about fifteen times more.
        ratio = dim["relative_error"] / bright["relative_error"]
        assert ratio == pytest.approx((bright["photons"] / dim["photons"]) ** 0.5, rel=0.2)


@pytest.mark.slow
def test_roofline(tmp_path):
    rows = run_quickly("roofline", tmp_path)
    ceilings = {row["what"]: row["per_second"] for row in rows if row["operation"] == "ceiling"}
    assert [*ceilings] == ["copy", "product of matrices", "normal draws"] and min(ceilings.values()) > 1e6
    reached = {row["what"]: row for row in rows if row["operation"] == "primitive"}
    assert len(reached) == 6 + 3
    for row in reached.values():
        computing = max(row["operations"] / ceilings["product of matrices"], row["bytes"] / ceilings["copy"])
        drawing = row["normals"] / ceilings["normal draws"]
        assert row["reached"] == pytest.approx(1e3 * (computing + drawing) / row["milliseconds"])
    # Both quadratures of 20 planes forward, and the real part of 64 back, are drawn.
    noisy = reached["16 × 4 convolutions of 11×11, noisy device"]
    assert noisy["normals"] == 121 * (2 * (16 + 4) + 64)
    # Products with a matrix of 121 × 121, each of two halves.
    assert noisy["operations"] == 2 * 2 * 121**2 * (16 + 4 + 64)
    assert noisy["bytes"] >= 4 * 121 * (16 + 4 + 64)
    scaled = [row for row in rows if row["operation"] == "devices, predicted"]
    assert [row["devices"] for row in scaled] == 3 * [8, 64, 512]
    sides = [row["side"] for row in rows if row["operation"] == "fields per second"]
    assert sides == [64, 64, 128, 128, 64]
