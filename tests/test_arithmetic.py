"""Multiplications of traced programs and of networks, against counts by hand."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp

import optics
from bench.simulator.arithmetic import count_multiplications
from bench.training.cost import count_cost
from bench.training.runs import read_run

RESULTS = Path(__file__).parents[1] / "bench" / "results"


def electronic(call, *shapes, dtype=jnp.float32):
    arguments = tuple(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes)
    counts = count_multiplications(lambda *arguments: call(*arguments[:-1]), arguments, None)
    assert counts.device == 0
    return counts.electronic


def test_multiplications_by_hand():
    def dense(x, w, b):
        return jax.nn.relu(x @ w + b)

    assert electronic(dense, (5, 7), (7, 3), (3,)) == 5 * 7 * 3

    def attend(x, wq, wk, wv, wo):
        scores = (x @ wq) @ (x @ wk).T * 0.5
        return jax.nn.softmax(scores) @ (x @ wv) @ wo

    # Four projections; scores, their scale, and what they weight.
    assert electronic(attend, (6, 4), *[(4, 4)] * 4) == 4 * 6 * 16 + 6 * 6 * 4 + 6 * 6 + 6 * 6 * 4
    # Three planes forward, two kernels, six products of half-spectra of 4×4 complex numbers, six planes back.
    by_fft = (3 + 2 + 6) * 24 * math.log2(24) + 6 * 4 * 4 * 4
    assert electronic(optics.convolve, (3, 1, 4, 6), (2, 4, 6)) == round(by_fft)
    # Nine taps of two channels each for 5×6 pixels of four channels.
    assert (
        electronic(lambda x, w: jax.lax.conv(x, w, (1, 1), "SAME"), (1, 2, 5, 6), (4, 2, 3, 3))
        == 5 * 6 * 4 * 9 * 2
    )
    assert electronic(jnp.fft.fft, (3, 8), dtype=jnp.complex64) == 3 * 2 * 8 * 3
    assert electronic(lambda a, b: a @ b, (2, 3), (3, 5), dtype=jnp.complex64) == 4 * 30
    # A loop of four steps; a power by repeated squares; whole numbers and sums do not count.
    assert electronic(lambda x: jax.lax.scan(lambda c, _: (c * c, None), x, None, 4)[0], (7,)) == 28
    assert electronic(lambda x: x**5 + x / 3, (2,)) == 6
    assert electronic(lambda x: jnp.arange(9) * 2 + 0 * x.size, (2,)) == 0


def test_a_device_multiplies_what_exact_operations_would():
    x, w = jnp.ones((3, 1, 4, 6)), jnp.ones((2, 4, 6))
    engine = optics.presets.load("ideal", pixels=(4, 6))
    exact = count_multiplications(optics.convolve, (x, w), None)
    assert count_multiplications(optics.convolve, (x, w), engine) == (0, exact.electronic)
    a, b = jnp.ones((5, 130)), jnp.ones((130, 7))
    crossbar = optics.presets.load("crossbar")
    # Two tiles of 65 numbers each.
    assert count_multiplications(optics.matmul, (a, b), crossbar) == (0, 5 * 130 * 7)
    # Of a real plane, of a complex one, and to real numbers.
    steps = 24 * math.log2(24)
    for real, plane, factor in ((False, x, 1), (False, x + 0j, 2), (True, x + 0j, 1)):
        call = lambda a, device, real=real: optics.transform(a, device, real=real)  # noqa: E731
        assert count_multiplications(call, (plane,), engine) == (0, round(3 * factor * steps))


def test_networks_with_and_without_a_device():
    linear = {"data": "digits", "model": "linear", "shape": (121,), "heads": 1}
    exact = count_cost(linear)
    through = count_cost(linear | {"products": "device", "multiplier": "crossbar"})
    assert exact.device_multiplications is None and exact.parameters == through.parameters
    # All products of the block; those of the embedding and of the classes stay electronic.
    tokens, k = 4, 121
    products = tokens * (3 * k * k + k * k + 8 * k * k) + 2 * tokens * tokens * k
    assert through.device_multiplications == products
    assert exact.multiplications == through.multiplications + products
    assert through.multiplications > tokens * 16 * k + 10 * k
    assert count_cost(linear | {"model": "a later one"}) is None
    assert count_cost({"data": "reviews", "task": "language", "model": "linear"}) is None


def test_a_power_of_zero_takes_no_multiplication():
    assert count_multiplications(lambda x, device: x**0, (jnp.ones(5),), None).electronic == 0


def test_a_recorded_run_is_enough():
    for name in ("imdb-cpu/conv2d-5x5-engine11-seed0", "devices-cpu/jtc-seed0", "pixels-cpu/lambda-seed0"):
        run = read_run(RESULTS / name, RESULTS)
        recorded = json.loads((RESULTS / name / "config.json").read_text())["parameters"]
        cost = count_cost(run.settings)
        assert (cost.parameters, cost.mixer_parameters) == (recorded["all"], recorded["mixers"])
