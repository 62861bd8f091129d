"""Cost as a ratio: two things in turn in one process, medians."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import jax
import jax.numpy as jnp
from matplotlib.figure import Figure
from tqdm.auto import tqdm

import optics
from bench import results
from bench.config import Speed


def main(options: Speed) -> results.Rows:
    """Measure, print, write; returns the rows.

    Raises:
        ValueError: unknown device, or a folder that cannot be written to.
    """
    tokens, kernels, repeats = (64, 24, 3) if options.quick else (1024, 24, 15)
    device = results.load(options.device)
    results.prepare(options.out)
    wave = results.load(options.device, level="wave")
    key = jax.random.key(options.seed)
    one = jax.random.normal(key, device.shape)
    x = jax.random.normal(key, (tokens, 1, *device.shape))
    w = jax.random.normal(jax.random.fold_in(key, 1), (kernels, *device.shape))

    def through(optics, light):
        return optics(light)

    def forward(x, w, device, key):
        return optics.convolve(x, w, device, key)

    ideal = optics.ideal_gradient(optics.convolve)

    def gradient_of(convolve):
        return lambda x, w, device, key: jax.grad(lambda x, w: jnp.sum(convolve(x, w, device, key) ** 2), (0, 1))(x, w)

    cases = [
        ("one transform", "full wave propagation", "compiled", through, (wave.optics, one), through, (device.optics, one)),
        ("convolution", "noisy device", "exact FFT", forward, (x, w, device, key), forward, (x, w, None, None)),
        (
            "convolution and gradient",
            "noisy device",
            "exact FFT",
            gradient_of(optics.convolve),
            (x, w, device, key),
            gradient_of(optics.convolve),
            (x, w, None, None),
        ),
        (
            "convolution and gradient",
            "noisy device, ideal gradient",
            "exact FFT",
            gradient_of(ideal),
            (x, w, device, key),
            gradient_of(optics.convolve),
            (x, w, None, None),
        ),
    ]
    if isinstance(wave.optics, optics.Dense):  # nothing to propagate
        cases = cases[1:]
    rows = []
    for operation, name, reference, f, f_arguments, g, g_arguments in tqdm(cases, desc="timing", unit=" cases", leave=False):
        slow, fast = interleaved(jax.jit(f), f_arguments, jax.jit(g), g_arguments, repeats)
        rows.append(
            {
                "operation": operation,
                "what": name,
                "against": reference,
                "milliseconds": slow[0],
                "against_milliseconds": fast[0],
                "ratio": slow[0] / fast[0],
                "spread": slow[1] / slow[0],
            }
        )
    print(f"{options.device}: {tokens} tokens × {kernels} kernels")
    print(
        results.table(
            rows,
            {
                "operation": "",
                "what": "",
                "against": "",
                "milliseconds": ".3g",
                "against_milliseconds": ".3g",
                "ratio": ".3g",
                "spread": ".2f",
            },
        )
    )
    results.write(options.out, "speed", rows, asdict(options), picture(options.device, rows))
    return rows


def interleaved(f: Callable, f_arguments: Any, g: Callable, g_arguments: Any, repeats: int) -> tuple[tuple[float, float], ...]:
    """(median, interquartile range) in ms of each of two functions, called in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(repeats + 1):
        for kept, call, arguments in ((times[0], f, f_arguments), (times[1], g, g_arguments)):
            start = time.perf_counter()
            jax.block_until_ready(call(*arguments))
            if i:  # the first call compiles
                kept.append(1e3 * (time.perf_counter() - start))
    return tuple((statistics.median(kept), spread(kept)) for kept in times)


def spread(times: list[float]) -> float:
    """Interquartile range."""
    first, _, third = statistics.quantiles(times, n=4)
    return third - first


def picture(name: str, rows: results.Rows) -> Figure:
    """The ratios as bars."""
    figure = Figure(figsize=(8.5, 3), layout="constrained")
    axes = figure.subplots()
    labels = [f"{row['operation']}: {row['what']}\nagainst {row['against']}" for row in rows]
    bars = axes.barh(labels, [row["ratio"] for row in rows])
    axes.bar_label(bars, [f"{row['ratio']:.3g}" for row in rows], padding=3, fontsize=8)
    axes.set(xscale="log", xlabel="ratio of times (1)", title=name)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=8)
    return figure
