"""Cost as a ratio: two things in turn in one process, medians."""

from dataclasses import asdict
from typing import Any

import jax
import jax.numpy as jnp
from matplotlib.figure import Figure
from tqdm.auto import tqdm

import optics
from bench import output as results
from bench.config import Speed
from bench.simulator.four_f_chain import chains
from bench.simulator.timing import compared


def main(options: Speed) -> results.Rows:
    """Measure, print, write; returns the rows.

    Raises:
        ValueError: unknown device, peers that are asked for and not installed, or a folder that cannot be written to.
    """
    device = results.load(options.device)
    results.prepare(options.out)
    key = jax.random.key(options.seed)
    rows = []
    if options.peers:
        from bench.simulator.peers import peers

        rows += peers(device, options.quick, options.seed)
    rows = (
        chains(options.quick, options.seed)
        + rows
        + propagations(options, key)
        + convolutions(options, device, key)
    )
    if device.supports(optics.AbstractDevice.transform) and min(device.shape) > 1:
        from bench.simulator.steps import training_steps

        rows += training_steps(options, device)
    columns = {
        "operation": "",
        "what": "",
        "against": "",
        "milliseconds": ".3g",
        "against_milliseconds": ".3g",
        "ratio": ".3g",
    }
    columns |= {"spread": ".2f", "relative_difference": ".1e", "field_error": ".1e", "gradient_error": ".1e"}
    print(results.table(rows, columns))
    results.write(options.out, "speed", rows, asdict(options), picture(options.device, rows))
    return rows


def convolutions(options: Speed, device: Any, key: jax.Array) -> results.Rows:
    """Convolutions on the device against the exact FFT, forward and with gradient, over the batch and the size of the device."""
    kernels, repeats = 24, 3 if options.quick else 15

    def gradient_of(convolve):
        return jax.jit(
            lambda x, w, d, k: jax.grad(lambda x, w: jnp.sum(convolve(x, w, d, k) ** 2), (0, 1))(x, w)
        )

    plain, exact = jax.jit(optics.convolve), gradient_of(optics.convolve)
    rules = {
        "noisy device": exact,
        "noisy device, ideal gradient": gradient_of(optics.ideal_gradient(optics.convolve)),
    }
    # Where a preset can be built with other numbers of pixels, the middle batch is measured on them too.
    sizes = [] if options.quick else [(64, n) for n in (5, 16) if _resized(options.device, n) is not None]
    cases = [*((tokens, None) for tokens in ((64,) if options.quick else (64, 256, 1024))), *sizes]
    rows = []
    for tokens, pixels in tqdm(cases, desc="convolutions", unit=" cases", leave=False):
        one = device if pixels is None else _resized(options.device, pixels)
        x = jax.random.normal(key, (tokens, 1, *one.shape))
        w = jax.random.normal(jax.random.fold_in(key, 1), (kernels, *one.shape))
        shape = f"{tokens:,} tokens × {kernels} kernels of {one.shape[0]}×{one.shape[1]}"
        noisy, quiet = (x, w, one, key), (x, w, None, None)
        rows.append(
            {
                "operation": f"convolution, {shape}",
                "what": "noisy device",
                "against": "exact FFT",
                **compared(plain, noisy, plain, quiet, repeats),
            }
        )
        rows += [
            {
                "operation": f"convolution and gradient, {shape}",
                "what": what,
                "against": "exact FFT",
                **compared(call, noisy, exact, quiet, repeats),
            }
            for what, call in rules.items()
        ]
    return rows


def _resized(name: str, pixels: int) -> Any:
    try:
        return optics.presets.load(name, pixels=pixels)
    except ValueError:
        return None


def propagations(options: Speed, key: jax.Array) -> results.Rows:
    """One transform by full wave propagation against the compiled one: of the device, and of 64×64 pixels behind a lens with errors."""
    repeats = 3 if options.quick else 15
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
        pairs.insert(0, (wave.transfer, device.transfer))
    rows = []
    through = jax.jit(lambda optics, light: optics(light))
    for described, compiled in tqdm(pairs, desc="propagating", unit=" lenses", leave=False):
        shape = optics.transfer.light_shape(described.shape, described.subpixels)
        light = jax.random.normal(key, shape) + 1j * jax.random.normal(jax.random.fold_in(key, 1), shape)
        # A plane of 4,096 samples a side takes seconds.
        count = repeats if described.plane < 2000 else min(repeats, 5)
        wanted = through(described, light)
        rows.append(
            {
                "operation": f"one transform, {shape[0]}×{shape[1]}",
                "what": "full wave propagation",
                "against": f"compiled, {type(compiled).__name__}",
                **compared(through, (described, light), through, (compiled, light), count),
                "relative_difference": float(
                    jnp.linalg.norm(through(compiled, light) - wanted) / jnp.linalg.norm(wanted)
                ),
            }
        )
    return rows


def picture(name: str, rows: results.Rows) -> Figure:
    """The ratios as bars from 1, in two columns."""
    half = -(-len(rows) // 2)
    figure = Figure(figsize=(15, 1.2 + 0.36 * half), layout="constrained")
    for axes, some in zip(figure.subplots(1, 2, sharex=True), (rows[:half], rows[half:]), strict=True):
        # By place, not by name: a label may occur twice. What is faster goes to the left, what is slower to the right.
        bars = axes.barh(range(len(some)), [row["ratio"] - 1 for row in some], left=1)
        axes.set_yticks(
            range(len(some)),
            [f"{row['operation']}\n{row['what']} / {row['against']}" for row in some],
            fontsize=7,
        )
        for bar, row in zip(bars, some, strict=True):
            slower = row["ratio"] >= 1
            place = (row["ratio"], bar.get_y() + bar.get_height() / 2)
            side = {"ha": "left" if slower else "right", "va": "center", "fontsize": 8}
            axes.annotate(
                f"{row['ratio']:.3g}", place, (3 if slower else -3, 0), textcoords="offset points", **side
            )
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set(xscale="log", xlabel="ratio of times (1)")
        axes.margins(x=0.15, y=0.02)
        axes.invert_yaxis()
    figure.suptitle(name)
    return figure
