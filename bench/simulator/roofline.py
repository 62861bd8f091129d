"""What the machine could do at best, and the share of it that each primitive and training step reaches."""

import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from tqdm.auto import tqdm

import optics
from bench import output, plots
from bench.config import Roofline
from bench.output import Rows
from bench.simulator.arithmetic import product_length, sum_over_steps, transform_steps
from bench.simulator.four_f_chain import field, make_loss, make_work
from bench.simulator.speed import compile_gradient
from bench.simulator.steps import compile_classifier
from bench.simulator.timing import interleaved_times
from nets.config import Config
from optics import AbstractDevice
from optics._normal import draw_normal

CEILING, PRIMITIVE, PLANES, SCALING = "ceiling", "primitive", "fields per second", "devices, predicted"
# What the documentation of chromatix times: one FFT of each plane and its intensity, 25.06 ms on an A100.
CHROMATIX_PLANES, CHROMATIX_SIDE = 128, 1536
# Weights and two moments of Adam, read and written, over the bytes of a gradient.
STATE_PER_GRADIENT = 6
# Assumed of a cluster: accelerators of a node, B/s that one sends within it (NVLink 4) and to other nodes
# (400 Gb/s for each), seconds for a message.
NODE, WITHIN_NODE, BETWEEN_NODES, LATENCY = 8, 450e9, 50e9, 5e-6


class Work(NamedTuple):
    """What a computation cannot do without.

    Attributes:
        operations: additions and multiplications of real numbers in products of matrices and Fourier
            transforms.
        bytes: its arguments and constants read once and its results written once.
        normals: numbers drawn.
    """

    operations: float
    bytes: float
    normals: float


def main(options: Roofline) -> Rows:
    """Measure, print, write; returns the rows.

    Raises:
        ValueError: unknown device, or a folder that cannot be written to.
    """
    device = output.load_device(options.device)
    output.check_folder(options.out)
    rows = measure(options, device)
    print(tabulate(rows))
    output.write(options.out, "roofline", rows, options, plots.roofline(rows, options.device))
    return rows


def measure(options: Roofline, device: AbstractDevice) -> Rows:
    """The ceilings of the machine, and what is reached below them."""
    ceilings = measure_ceilings(options.quick)
    rows = [{"operation": CEILING, **row} for row in ceilings]
    rates = {row["what"]: row["per_second"] for row in ceilings}
    calls = [*primitives(options, device), *training_steps(options, device)]
    for what, call, arguments, work in tqdm(calls, desc="primitives", unit=" calls", leave=False):
        rows.append({"operation": PRIMITIVE, "what": what, **_reach(call, arguments, work, rates)})
        if what.startswith("training step"):
            scaled = predict_scaling(rows[-1]["milliseconds"] / 1e3, work.bytes / STATE_PER_GRADIENT)
            rows += [{"operation": SCALING, "what": what, **row} for row in scaled]
    return rows + measure_planes(options)


def predict_scaling(step: float, gradient: float) -> Rows:
    """Efficiency of data-parallel steps, each device with the batch of one, by the bytes they exchange.

        t = step + 2 (m − 1)/m B / β + 2 (k − 1)/k (B/m) / β' + 2 (log₂ m + log₂ k) τ

    The gradient of B bytes is summed within nodes of m devices and between k nodes, after the backward pass:
    nothing overlaps, so that a real run can be better.

    Arguments:
        step: of one device, s.
        gradient: B, bytes.
    """
    rows = []
    for devices in (8, 64, 512):
        nodes = devices // NODE
        within = 2 * (NODE - 1) / NODE * gradient / WITHIN_NODE
        between = 2 * (nodes - 1) / nodes * gradient / NODE / BETWEEN_NODES
        exchange = within + between + 2 * math.log2(devices) * LATENCY
        rows.append({"devices": devices, "exchange": 1e3 * exchange, "efficiency": step / (step + exchange)})
    return rows


def tabulate(rows: Rows) -> str:
    """The ceilings, what is reached of them, and planes a second."""
    columns = {"operation": "", "what": "", "per_second": ".3g", "unit": ""}
    primitive = {"what": "", "milliseconds": ".3g", "operations": ".3g", "bytes": ".3g", "normals": ".3g"}
    return "\n".join(
        [
            output.table(output.select(rows, operation=CEILING), columns),
            output.table(
                output.select(rows, operation=PRIMITIVE), primitive | {"bound": ".3g", "reached": ".2f"}
            ),
            output.table(
                output.select(rows, operation=SCALING),
                {"what": "", "devices": "", "exchange": ".3g", "efficiency": ".3f"},
            ),
            output.table(output.select(rows, operation=PLANES), {"what": "", "per_second": ".3g"}),
        ]
    )


def measure_ceilings(quick: bool) -> Rows:
    """Copies in place, products of matrices and normal draws, each as large as leaves the caches behind."""
    count, side = (2**20, 256) if quick else (2**26, 4096)
    key = jax.random.key(0)
    line, square = [jnp.ones(count)], jax.random.normal(key, (side, side))
    # In its own memory: a new array would cost the time in which the system makes its pages.
    add_one = jax.jit(lambda a: a + 1, donate_argnums=0)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    draw = jax.jit(lambda key: draw_normal(key, (count,), jnp.float32))

    def copy():
        line[0] = add_one(line[0])
        return line[0]

    return [
        {"what": what, "per_second": amount / _seconds(call, arguments, quick), "unit": unit}
        for what, call, arguments, amount, unit in (
            ("copy", copy, (), 2 * line[0].nbytes, "B"),
            ("product of matrices", product, (square,), 2 * side**3, "FLOP"),
            ("normal draws", draw, (key,), count, "numbers"),
        )
    ]


def primitives(options: Roofline, device: AbstractDevice) -> list[tuple[str, Callable, tuple, Work]]:
    """Transforms and convolutions, exact and on the device, with gradients."""
    tokens, kernels = (16, 4) if options.quick else (1024, 24)
    key = jax.random.key(options.seed)
    x = jax.random.normal(key, (tokens, 1, *device.shape))
    w = jax.random.normal(jax.random.fold_in(key, 1), (kernels, *device.shape))
    planes = jax.random.normal(key, (tokens * kernels, *device.shape))
    shape = "×".join(map(str, device.shape))
    convolutions = f"{tokens:,} × {kernels} convolutions of {shape}"

    gradient = compile_gradient(optics.convolve)
    ideal = compile_gradient(optics.ideal_gradient(optics.convolve))
    convolve, transform = jax.jit(optics.convolve), jax.jit(optics.transform)
    cases = [
        (f"{convolutions}, exact FFT", convolve, (x, w, None, None)),
        (f"{convolutions}, noisy device", convolve, (x, w, device, key)),
        (f"{convolutions} and gradient, exact FFT", gradient, (x, w, None, None)),
        (f"{convolutions} and gradient, noisy device", gradient, (x, w, device, key)),
        (f"{convolutions} and ideal gradient, noisy device", ideal, (x, w, device, key)),
    ]
    if device.supports(AbstractDevice.transform):
        case = f"{len(planes):,} transforms of {shape}, noisy device"
        cases.append((case, transform, (planes, device, key)))
    return [(what, call, arguments, count_work(call, arguments)) for what, call, arguments in cases]


def training_steps(options: Roofline, device: AbstractDevice) -> list[tuple[str, Callable, tuple, Work]]:
    """Steps of the classifier by linear and spectral attention, and through the device."""
    if not device.supports(AbstractDevice.transform) or min(device.shape) == 1:
        return []
    depth, heads, batch, length = (1, 2, 2, 16) if options.quick else (6, 8, 32, 32)
    base = Config(
        data="imdb", depth=depth, heads=heads, max_tokens=length, batch_size=batch, dropout=0.0, device="none"
    )
    key = jax.random.key(options.seed)
    cases = []
    for what, config, arguments in (
        ("linear wide", replace(base, model="linear", shape=(121,)), (None, None)),
        (
            "spectral, exact FFT",
            replace(base, model="conv2d", shape=device.shape, spectral=True),
            (None, None),
        ),
        (
            "spectral, noisy device",
            replace(base, model="conv2d", shape=device.shape, spectral=True),
            (device, key),
        ),
    ):
        step, _ = compile_classifier(config, options.seed)
        name = f"training step, {depth} blocks, {heads} heads, {batch} × {length} tokens, {what}"
        cases.append((name, step, arguments, count_work(step, arguments)))
    return cases


def measure_planes(options: Roofline) -> Rows:
    """Fields per second of the 4f chain, forward and with gradient, and the work that chromatix times."""
    sides = (64, 128) if options.quick else (256, 512, 1024, 2048)
    rows = []
    for side in tqdm(sides, desc="planes", unit=" sizes", leave=False):
        batch = max(1, 2**20 // side**2)
        work = make_work(batch, side, options.seed)
        arguments = tuple(jnp.asarray(a) for a in (work.phase, work.amplitude, work.target))
        for what, call, inputs in (
            ("4f chain", jax.jit(field), arguments[:2]),
            ("4f chain and gradient", jax.jit(jax.grad(make_loss(field))), arguments),
        ):
            seconds = _seconds(call, inputs, options.quick)
            rows.append({"operation": PLANES, "what": f"{what}, {side}×{side}", "side": side})
            rows[-1] |= {"per_second": batch / seconds, "kind": what}
    side = 64 if options.quick else CHROMATIX_SIDE
    # A chunk of planes at a time where there is no memory for all.
    planes = 4 if options.quick or jax.default_backend() == "cpu" else CHROMATIX_PLANES
    light = jax.lax.complex(*np.random.default_rng(0).normal(size=(2, planes, side, side)).astype(np.float32))
    call = jax.jit(lambda u: jnp.abs(jnp.fft.fft2(u)) ** 2)
    what = "one FFT and intensity"
    row = {"operation": PLANES, "what": f"{what}, {side}×{side}", "side": side, "kind": what}
    return [*rows, row | {"per_second": planes / _seconds(call, (light,), options.quick)}]


def count_work(call: Callable, arguments: tuple) -> Work:
    """The work of a call, counted in its traced program."""
    program = jax.make_jaxpr(call)(*arguments)
    arrays = [*program.in_avals, *program.consts, *program.out_avals]
    traffic = sum(math.prod(array.shape) * array.dtype.itemsize for array in arrays)
    return Work(_count_operations(program.jaxpr), float(traffic), _count_normals(program.jaxpr))


def _count_operations(program: core.Jaxpr) -> float:
    """Of products of matrices, 2 M N K for real numbers, and of transforms of N numbers, 5 N log₂ N."""

    def count(equation):
        out = equation.outvars[0].aval
        if equation.primitive.name == "dot_general":
            is_complex = jnp.issubdtype(out.dtype, jnp.complexfloating)
            return 2.0 * out.size * product_length(equation) * (4 if is_complex else 1)
        return 5 * transform_steps(equation) if equation.primitive.name == "fft" else None

    return sum_over_steps(program, count)


def _count_normals(program: core.Jaxpr) -> float:
    """Normal numbers that a traced program draws: the results of its inverse error functions."""
    return sum_over_steps(
        program,
        lambda equation: equation.outvars[0].aval.size if equation.primitive.name == "erf_inv" else None,
    )


def _reach(call: Callable, arguments: tuple, work: Work, rates: dict[str, float]) -> dict[str, float]:
    """The time of a call beside the least that its work could take on this machine."""
    seconds = _seconds(call, arguments, False)
    computing = work.operations / rates["product of matrices"]
    bound = max(computing, work.bytes / rates["copy"]) + work.normals / rates["normal draws"]
    return {
        "milliseconds": 1e3 * seconds,
        **work._asdict(),
        "bound": 1e3 * bound,
        "reached": bound / seconds,
    }


def _seconds(call: Callable, arguments: tuple, quick: bool) -> float:
    """Median of a few calls, s."""
    times, _ = interleaved_times(call, arguments, lambda: None, (), 3 if quick else 9)
    return statistics.median(times) / 1e3
