"""Memory: XLA's own figures for compiled programs, and what a process holds at most."""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from matplotlib.figure import Figure
from tqdm.auto import tqdm

import optics
from bench import output as results
from bench.config import Memory
from bench.simulator.steps import full_batch, new_classifier
from nets.config import Config, resolve
from nets.run import compile_steps

# Networks of one block by name; the literal convolutions keep a spectrum of every head.
NETWORKS: dict[str, dict[str, Any]] = {
    "linear attention": {"model": "linear"},
    "convolutional attention, literal": {"model": "conv2d"},
    "convolutional attention, spectral": {"model": "conv2d", "spectral": True},
    "Fourier mixing": {"model": "fourier"},
    "lambdas": {"model": "lambda"},
}


def main(options: Memory) -> results.Rows:
    """Compile, run, print, write; returns the rows.

    Raises:
        ValueError: unknown device, or a folder that cannot be written to.
    """
    device = results.load(options.device)
    results.prepare(options.out)
    rows = convolutions(options, device) + compiled(options) + processes(options)
    print(
        results.table(
            [row for row in rows if "ratio" in row],
            {"operation": "", "what": "", "MiB": ".4g", "ratio": ".3g"},
        )
    )
    print(
        results.table(
            [row for row in rows if "length" in row],
            {"operation": "", "what": "", "length": ",", "MiB": ".4g"},
        )
    )
    for what, slope in slopes(rows).items():
        print(f"{what}: memory goes with the length to the power of {slope:.2f}")
    results.write(options.out, "memory", rows, asdict(options), picture(options.device, rows))
    return rows


def convolutions(options: Memory, device: Any) -> results.Rows:
    """Temporary memory of a batch of convolutions and their gradient, by XLA's account, and as a ratio to the exact FFT's."""
    tokens, kernels = (64, 24) if options.quick else (1024, 24)
    x, w = (
        jax.ShapeDtypeStruct((tokens, 1, *device.shape), jnp.float32),
        jax.ShapeDtypeStruct((kernels, *device.shape), jnp.float32),
    )

    def gradient(convolve: Callable, device: Any) -> int:
        def loss(x, w, device, key):
            return jnp.sum(convolve(x, w, device, key) ** 2)

        return _temporary(jax.jit(jax.grad(loss, (0, 1))).lower(x, w, device, jax.random.key(0)))

    exact = gradient(optics.convolve, None)
    rules = {
        "noisy device": optics.convolve,
        "noisy device, ideal gradient": optics.ideal_gradient(optics.convolve),
    }
    found = {
        name: gradient(f, device)
        for name, f in tqdm(rules.items(), desc="convolutions", unit=" rules", leave=False)
    }
    return [
        {
            "operation": f"convolution and gradient, {tokens:,} tokens × {kernels} kernels",
            "what": name,
            "MiB": size / 2**20,
            "ratio": size / exact,
        }
        for name, size in {"exact FFT": exact, **found}.items()
    ]


def compiled(options: Memory) -> results.Rows:
    """XLA's own figure for a training step of one block, batch 1, against the length; nothing is run."""
    lengths = [256, 512] if options.quick else [2**n for n in range(8, 15)]
    names = ["linear attention", "lambdas"] if options.quick else [*NETWORKS]
    cases = [(what, length) for what in names for length in lengths]
    return [
        {
            "operation": "training step, compiled",
            "what": what,
            "length": length,
            "MiB": _temporary(lowered(NETWORKS[what], length)[0]) / 2**20,
        }
        for what, length in tqdm(cases, desc="compiling", unit=" programs", leave=False)
    ]


def processes(options: Memory) -> results.Rows:
    """The most memory that a process held which took two training steps, each network and length in one of its own."""
    cases = (
        [("lambdas", 256)]
        if options.quick
        else [(what, length) for what in NETWORKS for length in (256, 1024)] + [("lambdas", 2**14)]
    )
    fresh = multiprocessing.get_context("spawn")
    rows = []
    for what, length in tqdm(cases, desc="training", unit=" processes", leave=False):
        with fresh.Pool(1) as pool:
            peak = pool.apply(peak_of_process, (NETWORKS[what], length))
        rows.append(
            {"operation": "two training steps, process", "what": what, "length": length, "MiB": peak / 2**20}
        )
    return rows


def peak_of_process(network: dict[str, Any], length: int) -> int:
    """Take two training steps, and read how many bytes this process ever held."""
    step, arguments = lowered(network, length)
    call, (state, *rest) = step.compile(), arguments()
    for _ in range(2):
        state, sums = call(state, *rest)
    jax.block_until_ready(sums)
    return most_held()


def most_held() -> int:
    """The most bytes that this process ever held. What `getrusage` says is also the peak of the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(
            1024 * int(line.split()[1])
            for line in status.read_text().splitlines()
            if line.startswith("VmHWM")
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def lowered(network: dict[str, Any], length: int) -> tuple[Any, Callable]:
    """The training step of a classifier of one block, batch 1, lowered for shapes alone; and what makes its arguments."""
    config = resolve(Config(data="imdb", max_tokens=length, batch_size=1, dropout=0.0, **network))
    batch = full_batch(config)
    build = partial(new_classifier, config, batch)
    step, _ = compile_steps(*nnx.eval_shape(build))

    def arguments():
        return nnx.state(build()), batch, None, jax.random.key(0)

    return step.lower(*jax.eval_shape(arguments)), arguments


def _temporary(lowered: Any) -> int:
    return lowered.compile().memory_analysis().temp_size_in_bytes


def slopes(rows: results.Rows) -> dict[str, float]:
    """The power of the length that memory goes with, by what was compiled."""
    found = {}
    for what in dict.fromkeys(row["what"] for row in rows if row["operation"] == "training step, compiled"):
        some = _of(rows, "training step, compiled", what)
        found[what] = float(
            np.polyfit(np.log([row["length"] for row in some]), np.log([row["MiB"] for row in some]), 1)[0]
        )
    return found


def _of(rows: results.Rows, operation: str, what: str) -> results.Rows:
    return [row for row in rows if row["operation"] == operation and row["what"] == what]


def picture(name: str, rows: results.Rows) -> Figure:
    """Memory against length, by XLA's account and by the process; that of convolutions as bars."""
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    convolved = [row for row in rows if "ratio" in row]
    bars = left.barh(
        [row["what"].replace(", ", ",\n") for row in convolved], [row["MiB"] for row in convolved]
    )
    left.bar_label(bars, [f"{row['ratio']:.2f}×" for row in convolved], padding=3, fontsize=8)
    title = convolved[0]["operation"].replace(", ", ",\n")
    left.set(xlabel="temporary memory (MiB)", title=f"{title}, {name}")
    left.title.set_fontsize(9)
    left.margins(x=0.15)
    left.invert_yaxis()
    for i, (what, slope) in enumerate(slopes(rows).items()):
        some, whole = (
            _of(rows, "training step, compiled", what),
            _of(rows, "two training steps, process", what),
        )
        right.loglog(
            [r["length"] for r in some],
            [r["MiB"] for r in some],
            ".-",
            color=f"C{i}",
            label=f"{what}: power {slope:.2f}",
        )
        right.loglog(
            [r["length"] for r in whole],
            [r["MiB"] for r in whole],
            "s",
            color=f"C{i}",
            markerfacecolor="none",
        )
    right.set(
        xlabel="length of the sequence (tokens)",
        ylabel="memory of a training step (MiB)",
        title="compiled (lines), whole process (squares)",
    )
    right.title.set_fontsize(9)
    right.grid(which="major", alpha=0.3)
    right.legend(frameon=False, fontsize=8)
    return figure
