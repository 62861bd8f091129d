"""Cost of the hardware beside electronics: counted exposures and conversions times named assumptions."""

import math
from collections.abc import Callable
from dataclasses import asdict

import jax
import jax.numpy as jnp
from tqdm.auto import tqdm

import optics
from bench import output, plots
from bench.config import CORRELATOR_SIDE, PLANE_SIDE, Ledger
from bench.output import Rows
from bench.simulator.steps import compile_classifier
from nets.config import Config, parse_numbers
from optics import AbstractDevice, accounting, mapping

Costs = dict[str, accounting.Assumption]
# Converters of the hardware itself, beside published sets.
OWN = "as assumed"


def main(options: Ledger) -> Rows:
    """Count, price, print, write; returns the rows.

    Raises:
        ValueError: unknown device or hardware, an unknown assumption, or a folder that cannot be written to.
    """
    device = output.load_device(options.device)
    hardware = options.hardware or optics.presets.hardware(options.device)
    overrides = parse_numbers("set", options.assume, "--set static_power=10")
    costs = accounting.hardware(hardware, **overrides)
    output.check_folder(options.out)
    rows = count_computations(options, device, costs)
    costs_of_sets = {OWN: costs}
    if hardware == "integrated":
        for name in accounting.converters():
            costs_of_sets[name] = accounting.hardware(hardware, converters=name, **overrides)
    rows += count_break_even(device, rows, costs_of_sets)
    rows += count_packed_frames(device) + list_assumptions(costs)
    print(
        f"{options.device} on {hardware} hardware; electronics: H100 at its peak rate, BF16, transforms alone"
    )
    print(tabulate(rows))
    if not output.select(rows, table="break-even"):
        print(
            "\nbreak-even: none; the converters are part of the standing power, whatever the size of a plane"
        )
    output.write(options.out, "ledger", rows, options, plots.ledger(rows, options.device))
    return rows


def count_computations(options: Ledger, device: AbstractDevice, costs: Costs) -> Rows:
    """Convolutions, and a network forward and in training: on the device and in electronics.

    The electronics are charged for the Fourier transforms that light makes, at 2.5 N log₂ N operations for
    real numbers, and for nothing else; `share_of_arithmetic` is their part of all the arithmetic of the
    computation, as XLA counts it.
    """
    per_flop = accounting.electronics()["GPU, BF16"]
    ideal = optics.presets.load("ideal", pixels=device.shape)
    bits = optics.ledger(device, device.shape, device.shape, costs).bits
    rows = []
    cases = _computations(options, device)
    for name, call in tqdm(cases, desc="counting", unit=" cases", leave=False):
        is_convolution = "convolution" in name
        counts = accounting.count(call, device)
        price = accounting.price(counts, costs)
        transforms = accounting.count(call, ideal).exposures
        flops = transforms * accounting.fft_flops(math.prod(device.shape), real=True)
        program = jax.jit(lambda key, call=call: call(None, key)).lower(jax.random.key(0))
        joules = flops * per_flop.value
        rows.append(
            {
                "table": "computations",
                "computation": name,
                "frames": price.exposures,
                "seconds": price.seconds,
                "dac": price.dac,
                "adc": price.adc,
                "joules": price.joules,
                "low": price.low,
                "high": price.high,
                "conversion": price.conversion,
                "bits": bits if is_convolution else None,
                "transforms": transforms,
                "electronic_flops": flops,
                "electronic_joules": joules,
                "ratio": price.joules / joules,
                "ratio_low": price.low / (flops * per_flop.high),
                "ratio_high": price.high / (flops * per_flop.low),
                "share_of_arithmetic": None if is_convolution else flops / program.cost_analysis()["flops"],
                "terms": price.terms,
            }
        )
    return rows


def _computations(options: Ledger, device: AbstractDevice) -> list[tuple[str, Callable]]:
    """Name and function (device, key) of every computation that is counted."""
    tokens, kernels = (64, 24) if options.quick else (1024, 24)
    depth, heads, length = (1, 2, 16) if options.quick else (6, 8, 128)
    x, w = jnp.zeros((tokens, 1, *device.shape)), jnp.zeros((kernels, *device.shape))
    cases: list[tuple[str, Callable]] = [
        ("one convolution", lambda device, key: optics.convolve(x[0, 0], w[0], device, key)),
        (f"{tokens:,} × {kernels} convolutions", lambda device, key: optics.convolve(x, w, device, key)),
    ]
    attention = {"literal": False}
    if device.supports(AbstractDevice.transform):
        attention["spectral"] = True
    for kind, spectral in attention.items():
        network = f"{kind} attention, {depth} block{'s' * (depth > 1)}, {heads} heads, {tokens:,} tokens"
        for gradient in ("ideal", "optical"):
            config = Config(
                data="imdb",
                model="conv2d",
                shape=device.shape,
                depth=depth,
                heads=heads,
                max_tokens=length,
                batch_size=tokens // length,
                spectral=spectral,
                gradient=gradient,
                dropout=0.0,
            )
            step, evaluate = compile_classifier(config, options.seed)
            if gradient == "ideal":
                cases.append((f"forward, {network}", evaluate))
            cases.append((f"training step, {gradient} gradient, {network}", step))
    return cases


def count_break_even(device: AbstractDevice, rows: Rows, costs_of_sets: dict[str, Costs]) -> Rows:
    """The size of a plane, and of a fixed kernel, from which light costs less than electronics.

    Light pays all that the ledger counts: of a transform of complex numbers, and of the convolutions of real
    numbers that are counted above, whose electronics transform real numbers. The table is empty for hardware
    whose converters are part of its standing power: that power would grow with the plane, by nobody knows how
    much.

    Arguments:
        rows: of the table "computations".
        costs_of_sets: by the name of a set of converters.
    """
    convolutions = next(
        row for row in rows if "× " in row["computation"] and "convolutions" in row["computation"]
    )
    of_convolutions = accounting.Counts(*(convolutions[key] for key in ("frames", "dac", "adc")))
    pixels = math.prod(device.shape)
    of_transform = None
    if device.supports(AbstractDevice.transform):
        plane = jnp.ones(device.shape, complex)
        of_transform = accounting.count(lambda device, key: optics.transform(plane, device, key), device)
    table = []
    for name, costs in costs_of_sets.items():
        if not any(costs[f"{part}_energy"].high for part in ("dac", "modulator", "adc", "receiver")):
            continue
        for against, assumption in accounting.electronics().items():
            per_flop = assumption.value

            def size(counts, transforms, real, costs=costs, per_flop=per_flop):
                return accounting.break_even_pixels(costs, per_flop, counts, pixels, transforms, real)

            table.append(
                {
                    "table": "break-even",
                    "converters": name,
                    "electronics": against,
                    "transform_numbers": None if of_transform is None else size(of_transform, 1, False),
                    "convolution_numbers": size(of_convolutions, convolutions["transforms"], True),
                    # A multiply-accumulate is two operations.
                    "kernel_taps": accounting.break_even_taps(costs, 2 * per_flop, pixels),
                    "joules_of_number": accounting.price(accounting.Counts(0, 2, 2), costs).joules,
                    "joules_of_exposure": accounting.price(accounting.Counts(1, 0, 0), costs).joules,
                }
            )
    return table


def count_packed_frames(device: AbstractDevice) -> Rows:
    """Exposures against the planes that meet one kernel: flat until the frame is full, then in proportion."""
    plane, correlator = (PLANE_SIDE, PLANE_SIDE), (CORRELATOR_SIDE, CORRELATOR_SIDE)
    full = math.prod(mapping.plan_packed((1, *plane), plane, correlator).grid)

    def exposures(planes: int) -> int:
        x, w = jnp.zeros((planes, *device.shape)), jnp.zeros(device.shape)
        return accounting.count(lambda device, key: optics.convolve(x, w, device, key), device).exposures

    first = exposures(1)
    each = exposures(2) - first
    return [
        {
            "table": "one frame",
            "tokens": tokens,
            "correlator_frames": mapping.plan_packed((tokens, *plane), plane, correlator).planes,
            "device_frames": first + (tokens - 1) * each,
        }
        for tokens in (1, 16, 256, full, full + 1, 4 * full, 16 * full)
    ]


def list_assumptions(costs: Costs) -> Rows:
    """The costs of the hardware and of electronics, with their ranges and sources."""
    electronics = {f"electronics, {name}": value for name, value in accounting.electronics().items()}
    return [
        {"table": "assumptions", "name": name, **asdict(assumption)}
        for name, assumption in (costs | electronics).items()
    ]


def tabulate(rows: Rows) -> str:
    """One table for each kind of row, with a heading."""
    computations = {"computation": "", "frames": ",", "seconds": ".3g", "dac": ",", "adc": ",", "bits": ".1f"}
    computations |= {"joules": ".3g", "low": ".2g", "high": ".2g", "conversion": ".0%"}
    computations |= {"electronic_joules": ".3g", "ratio": ".3g", "share_of_arithmetic": ".0%"}
    plane, correlator = f"{PLANE_SIDE}×{PLANE_SIDE}", f"{CORRELATOR_SIDE}×{CORRELATOR_SIDE}"
    tables = {
        "computations": ("", computations),
        "break-even": (
            "\nlight costs less from this size on, by all costs of the ledger; electronics at its peak rate",
            {"converters": "", "electronics": "", "transform_numbers": ".3g", "convolution_numbers": ".3g"}
            | {"kernel_taps": ".3g"},
        ),
        "one frame": (
            f"\nexposures for one kernel; planes of {plane} in the frames of a {correlator} correlator, "
            "or one at a time",
            {"tokens": ",", "correlator_frames": ",", "device_frames": ","},
        ),
        "assumptions": (
            "\nassumed",
            {"name": "", "value": ".3g", "low": ".3g", "high": ".3g", "unit": "", "source": ""},
        ),
    }
    lines = []
    for name, (heading, columns) in tables.items():
        selected = output.select(rows, table=name)
        if selected:
            lines += [*([heading] if heading else []), output.table(selected, columns)]
    return "\n".join(lines)
