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


def main(options: Ledger) -> Rows:
    """Count, price, print, write; returns the rows.

    Raises:
        ValueError: unknown device or hardware, an unknown assumption, or a folder that cannot be written to.
    """
    device = output.load_device(options.device)
    hardware = options.hardware or optics.presets.hardware(options.device)
    costs = accounting.hardware(hardware, **parse_numbers("set", options.assume, "--set static_power=10"))
    output.check_folder(options.out)
    rows = count_computations(options, device, costs)
    if hardware == "integrated":
        # The converters and electronics that are compared are those of integrated optics.
        rows += count_break_even()
    rows += count_packed_frames(device) + list_assumptions(costs)
    print(f"{options.device} on {hardware} hardware; electronics: H100, BF16 (of the transforms alone)")
    print(tabulate(rows))
    output.write(options.out, "ledger", rows, options, plots.ledger(rows, options.device))
    return rows


def count_computations(
    options: Ledger, device: AbstractDevice, costs: dict[str, accounting.Assumption]
) -> Rows:
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


def count_break_even() -> Rows:
    """The size of a transform, and of a fixed kernel, from which light costs less, by converters alone."""
    rows = []
    for name, converters in accounting.converters().items():
        energy = sum(assumption.value for assumption in converters.values())
        for against, per_flop in accounting.electronics().items():
            rows.append(
                {
                    "table": "break-even",
                    "converters": name,
                    "electronics": against,
                    # A complex number is two real ones, and a multiply-accumulate two operations.
                    "transform_numbers": accounting.break_even_pixels(2 * energy, per_flop.value),
                    "kernel_taps": accounting.break_even_taps(energy, 2 * per_flop.value),
                }
            )
    return rows


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


def list_assumptions(costs: dict[str, accounting.Assumption]) -> Rows:
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
            "\nlight costs less from this size on, by converters and electronics, without laser and memory",
            {"converters": "", "electronics": "", "transform_numbers": ".3g", "kernel_taps": ".3g"},
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
