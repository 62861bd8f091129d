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
    key = jax.random.key(options.seed)
    x = jax.random.normal(key, (tokens, 1, *device.shape))
    w = jax.random.normal(jax.random.fold_in(key, 1), (kernels, *device.shape))

    def forward(x, w, device, key):
        return optics.convolve(x, w, device, key)

    ideal = optics.ideal_gradient(optics.convolve)

    def gradient_of(convolve):
        return lambda x, w, device, key: jax.grad(lambda x, w: jnp.sum(convolve(x, w, device, key) ** 2), (0, 1))(x, w)

    cases = [
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
    rows = propagations(options, key, repeats)
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
                "relative_difference": ".2e",
            },
        )
    )
    results.write(options.out, "speed", rows, asdict(options), picture(options.device, rows))
    return rows


def propagations(options: Speed, key: jax.Array, repeats: int) -> results.Rows:
    """One transform by full wave propagation against the compiled one: of the device, and of 64×64 pixels behind a lens with errors."""
    device, wave = (results.load(options.device, level=level) for level in ("compiled", "wave"))
    # Coma, spherical aberration and a round pupil are what does not separate into rows and columns.
    lens = optics.FourierLens(
        16 if options.quick else 64,
        pitch=127e-6,
        wavelength=1.55e-6,
        pupil_radius=1.2 * (16 if options.quick else 64) * 127e-6,
        aberrations=[0, 0, 0, 0, 0, 0, 0.1, 0.05, 0, 0, 0.08],
        oversampling=4 if options.quick else 8,
    )
    pairs = [(lens, optics.compile_transfer(lens, tolerance=1e-4))]
    if isinstance(getattr(wave, "optics", None), optics.FourierLens):
        pairs.insert(0, (wave.optics, device.optics))
    rows = []
    through = jax.jit(lambda optics, light: optics(light))
    for described, compiled in tqdm(pairs, desc="propagating", unit=" lenses", leave=False):
        shape = optics.transfer.light_shape(described.shape, described.subpixels)
        light = jax.random.normal(key, shape) + 1j * jax.random.normal(jax.random.fold_in(key, 1), shape)
        # A plane of 4,096 samples a side takes seconds.
        count = repeats if described.plane < 2000 else min(repeats, 5)
        slow, fast = interleaved(through, (described, light), through, (compiled, light), count)
        wanted = through(described, light)
        rows.append(
            {
                "operation": f"one transform, {shape[0]}×{shape[1]}",
                "what": "full wave propagation",
                "against": f"compiled, {type(compiled).__name__}",
                "milliseconds": slow[0],
                "against_milliseconds": fast[0],
                "ratio": slow[0] / fast[0],
                "spread": slow[1] / slow[0],
                "relative_difference": float(jnp.linalg.norm(through(compiled, light) - wanted) / jnp.linalg.norm(wanted)),
            }
        )
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
