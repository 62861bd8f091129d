"""What the hardware would cost, beside electronics: counted exposures and conversions times named assumptions."""

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from tqdm.auto import tqdm

import optics
from bench import output as results
from bench.config import Ledger
from bench.simulator.steps import step_of
from nets.config import Config, parse_numbers
from optics import accounting, mapping

# Planes of this many pixels a side, with kernels of their own size, share the frames of a correlator of this size.
SMALL, LARGE = 11, 1024


def main(options: Ledger) -> results.Rows:
    """Count, price, print, write; returns the rows.

    Raises:
        ValueError: unknown device or hardware, an assumption that is none, or a folder that cannot be written to.
    """
    device = results.load(options.device)
    name = options.hardware or optics.presets.hardware(options.device)
    costs = accounting.hardware(name, **parse_numbers("assume", options.assume, "static_power=10"))
    results.prepare(options.out)
    rows = computations(options, device, costs)
    crossings, planes = break_even(), one_frame(device)
    figures = [{"table": "assumptions", "name": key, **asdict(figure)} for key, figure in costs.items()]
    figures += [
        {"table": "assumptions", "name": f"electronics, {k}", **asdict(figure)}
        for k, figure in accounting.electronics().items()
    ]
    print(f"{options.device} on {name} hardware; electronics: H100, BF16 (of the transforms alone)")
    shown = {
        "computation": "",
        "frames": ",",
        "seconds": ".3g",
        "dac": ",",
        "adc": ",",
        "bits": ".1f",
        "joules": ".3g",
        "low": ".2g",
    }
    shown |= {
        "high": ".2g",
        "conversion": ".0%",
        "electronic_joules": ".3g",
        "ratio": ".3g",
        "share_of_arithmetic": ".0%",
    }
    print(results.table(rows, shown))
    print("\nlight costs less from this many on, by the converters and the electronics")
    print(
        results.table(
            crossings, {"converters": "", "electronics": "", "transform_numbers": ".3g", "kernel_taps": ".3g"}
        )
    )
    print(
        f"\nexposures for one kernel; planes of {SMALL}×{SMALL} in the frames of a {LARGE}×{LARGE} correlator, or one at a time"
    )
    print(results.table(planes, {"tokens": ",", "correlator_frames": ",", "device_frames": ","}))
    print("\nassumed")
    print(
        results.table(
            figures, {"name": "", "value": ".3g", "low": ".3g", "high": ".3g", "unit": "", "source": ""}
        )
    )
    every = rows + crossings + planes + figures
    results.write(options.out, "ledger", every, asdict(options), picture(options.device, rows, planes))
    return every


def computations(options: Ledger, device: Any, costs: dict[str, accounting.Assumption]) -> results.Rows:
    """A convolution, many of them, a layer and a network, forward and in training: on the device and in electronics.

    The electronics are charged for the Fourier transforms that light makes, at 2.5 N log₂ N operations for real numbers,
    and for nothing else; `share_of_arithmetic` is their part of all the arithmetic of the computation, by XLA's account.
    """
    tokens, kernels = (64, 24) if options.quick else (1024, 24)
    depth, heads, length = (1, 2, 16) if options.quick else (6, 8, 128)
    shape = device.shape
    ideal = optics.presets.load("ideal", pixels=shape)
    per_flop = accounting.electronics()["GPU, BF16"]
    x, w = jnp.zeros((tokens, 1, *shape)), jnp.zeros((kernels, *shape))
    cases: list[tuple[str, Callable]] = [
        ("one convolution", lambda device, key: optics.convolve(x[0, 0], w[0], device, key)),
        (f"{tokens:,} × {kernels} convolutions", lambda device, key: optics.convolve(x, w, device, key)),
    ]
    for spectral in (False, True) if device.supports(optics.AbstractDevice.transform) else (False,):
        what = "spectral" if spectral else "literal"
        base = Config(
            data="imdb",
            model="conv2d",
            shape=shape,
            depth=depth,
            heads=heads,
            max_tokens=length,
            batch_size=tokens // length,
        )
        for gradient in ("ideal", "optical"):
            config = Config(**{**vars(base), "spectral": spectral, "gradient": gradient, "dropout": 0.0})
            step, evaluate = step_of(config, options.seed)
            network = f"{what} attention, {depth} block{'s' * (depth > 1)}, {heads} heads, {tokens:,} tokens"
            cases += [(f"forward, {network}", evaluate)] * (gradient == "ideal")
            cases.append((f"training step, {gradient} gradient, {network}", step))
    rows = []
    bits = optics.ledger(device, shape, shape, costs).bits
    for name, call in tqdm(cases, desc="counting", unit=" cases", leave=False):
        found = accounting.price(accounting.count(call, device), costs)
        transforms = accounting.count(call, ideal).exposures
        flops = transforms * accounting.fft_flops(math.prod(shape), real=True)
        every = jax.jit(lambda key, call=call: call(None, key)).lower(jax.random.key(0)).cost_analysis()
        electronic = flops * per_flop.value
        rows.append(
            {
                "table": "computations",
                "computation": name,
                "frames": found.exposures,
                **{
                    key: getattr(found, key)
                    for key in ("seconds", "dac", "adc", "joules", "low", "high", "conversion")
                },
                "bits": bits if "convolution" in name else None,
                "transforms": transforms,
                "electronic_flops": flops,
                "electronic_joules": electronic,
                "ratio": found.joules / electronic,
                "ratio_low": found.low / (flops * per_flop.high),
                "ratio_high": found.high / (flops * per_flop.low),
                "share_of_arithmetic": flops / every["flops"] if "convolution" not in name else None,
                "terms": found.terms,
            }
        )
    return rows


def break_even() -> results.Rows:
    """From how many numbers on a transform, and from how many taps on a convolution with a fixed kernel, light costs less."""
    rows = []
    for name, parts in accounting.converters().items():
        energy = sum(part.value for part in parts.values())
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


def one_frame(device: Any) -> results.Rows:
    """Exposures against the number of planes that meet one kernel: flat until the frame is full, then in proportion."""
    small, side = (SMALL, SMALL), (LARGE, LARGE)
    full = math.prod(mapping.plan_packed((1, *small), small, side).grid)
    one = accounting.count(lambda d, k: optics.convolve(jnp.zeros(d.shape), jnp.zeros(d.shape), d, k), device)
    two = accounting.count(
        lambda d, k: optics.convolve(jnp.zeros((2, *d.shape)), jnp.zeros(d.shape), d, k), device
    )
    rows = []
    for tokens in (1, 16, 256, full, full + 1, 4 * full, 16 * full):
        packed = mapping.plan_packed((tokens, *small), small, side)
        frames = one.exposures + (tokens - 1) * (two.exposures - one.exposures)
        rows.append(
            {
                "table": "one frame",
                "tokens": tokens,
                "correlator_frames": packed.frames,
                "device_frames": frames,
            }
        )
    return rows


def picture(name: str, rows: results.Rows, planes: results.Rows) -> Figure:
    """Energy by cause, break-even of the converters, and exposures against tokens."""
    figure = Figure(figsize=(15, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    shown = [row for row in rows if "training" not in row["computation"]]
    bottom = np.zeros(len(shown))
    places = np.arange(len(shown))
    for term in shown[0]["terms"]:
        share = np.array([100 * row["terms"][term][0] / row["joules"] for row in shown])
        if share.max() >= 0.5:
            left.barh(places, share, left=bottom, label=term, height=0.6)
            bottom += share
    left.set(yticks=places, xlabel="share of the energy (%)", title=f"{name}: where the energy goes")
    left.set_yticklabels(
        [row["computation"].replace(" attention, ", "\n").replace("heads, ", "heads,\n") for row in shown],
        fontsize=7,
    )
    left.invert_yaxis()
    left.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4)
    numbers = np.logspace(0.31, 9, 100)
    for against, per_flop in accounting.electronics().items():
        middle.loglog(numbers, 5e12 * np.log2(numbers) * per_flop.value, label=f"FFT on {against}")
    for set_, parts in accounting.converters().items():
        energy = 2e12 * sum(part.value for part in parts.values())
        middle.axhline(energy, color="0.4", linewidth=0.8, linestyle="--")
        # Two sets lie close together.
        below = set_.startswith("Albireo")
        middle.text(
            numbers[-1],
            energy * (0.94 if below else 1.04),
            set_,
            ha="right",
            va="top" if below else "bottom",
            fontsize=7,
        )
    middle.set(
        xlabel="numbers in a transform (1)",
        ylabel="energy of a complex number (pJ)",
        title="electronics (lines) and converters (dashed)",
    )
    middle.legend(frameon=False, fontsize=7, loc="upper left")
    tokens = [row["tokens"] for row in planes]
    right.loglog(
        tokens,
        [row["correlator_frames"] for row in planes],
        "o-",
        label=f"{SMALL}×{SMALL} planes on a {LARGE}×{LARGE} correlator",
    )
    right.loglog(tokens, [row["device_frames"] for row in planes], "s-", label=f"one at a time on {name}")
    right.set(
        xlabel="tokens that meet one kernel (1)", ylabel="exposures (1)", title="flat until the frame is full"
    )
    right.grid(which="major", alpha=0.3)
    right.legend(frameon=False, fontsize=7)
    return figure
