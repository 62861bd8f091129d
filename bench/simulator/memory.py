"""Memory: XLA's own figures for compiled programs, and the peak of a process."""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from tqdm.auto import tqdm

import optics
from bench import output, plots
from bench.config import Memory
from bench.output import Rows, growth_exponent, select
from bench.simulator.steps import full_batch, new_classifier
from nets.config import Config, resolve
from nets.run import compile_steps
from optics import AbstractDevice

# Networks of one block by name; the literal convolutions keep a spectrum of every head.
NETWORKS: dict[str, dict[str, Any]] = {
    "linear attention": {"model": "linear"},
    "convolutional attention, literal": {"model": "conv2d"},
    "convolutional attention, spectral": {"model": "conv2d", "spectral": True},
    "Fourier mixing": {"model": "fourier"},
    "lambdas": {"model": "lambda"},
}
COMPILED, PROCESS = "training step, compiled", "two training steps, process"


def main(options: Memory) -> Rows:
    """Compile, run, print, write; returns the rows.

    Raises:
        ValueError: unknown device, or a folder that cannot be written to.
    """
    device = output.load_device(options.device)
    output.check_folder(options.out)
    rows = measure_convolutions(options, device) + measure_programs(options) + measure_processes(options)
    print(tabulate(rows))
    output.write(options.out, "memory", rows, options, plots.memory(rows, options.device))
    return rows


def measure_convolutions(options: Memory, device: AbstractDevice) -> Rows:
    """Temporary memory of convolutions and their gradient, as XLA plans it, and as a ratio."""
    tokens, kernels = (64, 24) if options.quick else (1024, 24)
    x = jax.ShapeDtypeStruct((tokens, 1, *device.shape), jnp.float32)
    w = jax.ShapeDtypeStruct((kernels, *device.shape), jnp.float32)

    def measure(convolve: Callable, device: Any) -> int:
        def loss(x, w, device, key):
            return jnp.sum(convolve(x, w, device, key) ** 2)

        return _temporary_bytes(jax.jit(jax.grad(loss, (0, 1))).lower(x, w, device, jax.random.key(0)))

    sizes = {"exact FFT": measure(optics.convolve, None)}
    rules = {
        "noisy device": optics.convolve,
        "noisy device, ideal gradient": optics.ideal_gradient(optics.convolve),
    }
    for name, convolve in tqdm(rules.items(), desc="convolutions", unit=" rules", leave=False):
        sizes[name] = measure(convolve, device)
    return [
        {
            "operation": f"convolution and gradient, {tokens:,} tokens × {kernels} kernels",
            "what": name,
            "MiB": size / 2**20,
            "ratio": size / sizes["exact FFT"],
        }
        for name, size in sizes.items()
    ]


def measure_programs(options: Memory) -> Rows:
    """XLA's own figure for a training step of one block, batch 1, against the length; nothing is run."""
    lengths = [256, 512] if options.quick else [2**n for n in range(8, 15)]
    names = ["linear attention", "lambdas"] if options.quick else [*NETWORKS]
    cases = [(name, length) for name in names for length in lengths]
    return [
        {
            "operation": COMPILED,
            "what": name,
            "length": length,
            "MiB": _temporary_bytes(lower_step(NETWORKS[name], length)[0]) / 2**20,
        }
        for name, length in tqdm(cases, desc="compiling", unit=" programs", leave=False)
    ]


def measure_processes(options: Memory) -> Rows:
    """The peak memory of two training steps; each network and length has a process of its own."""
    if options.quick:
        cases = [("lambdas", 256)]
    else:
        cases = [(name, length) for name in NETWORKS for length in (256, 1024)] + [("lambdas", 2**14)]
    fresh = multiprocessing.get_context("spawn")
    rows = []
    for name, length in tqdm(cases, desc="training", unit=" processes", leave=False):
        with fresh.Pool(1) as pool:
            peak = pool.apply(peak_of_two_steps, (NETWORKS[name], length))
        rows.append({"operation": PROCESS, "what": name, "length": length, "MiB": peak / 2**20})
    return rows


def tabulate(rows: Rows) -> str:
    """Convolutions, training steps, and the power of the length that each network's memory grows with."""
    convolutions, steps = ([row for row in rows if key in row] for key in ("ratio", "length"))
    lines = [
        output.table(convolutions, {"operation": "", "what": "", "MiB": ".4g", "ratio": ".3g"}),
        output.table(steps, {"operation": "", "what": "", "length": ",", "MiB": ".4g"}),
    ]
    for name in dict.fromkeys(row["what"] for row in steps):
        curve = select(steps, operation=COMPILED, what=name)
        power = growth_exponent([row["length"] for row in curve], [row["MiB"] for row in curve])
        lines.append(f"{name}: memory goes with the length to the power of {power:.2f}")
    return "\n".join(lines)


def peak_of_two_steps(network: dict[str, Any], length: int) -> int:
    """Take two training steps; returns the peak memory of this process, bytes."""
    step, make_arguments = lower_step(network, length)
    call, (state, *rest) = step.compile(), make_arguments()
    for _ in range(2):
        state, sums = call(state, *rest)
    jax.block_until_ready(sums)
    return peak_bytes()


def peak_bytes() -> int:
    """The peak memory of this process. `getrusage` alone would also count the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(peak.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def lower_step(network: dict[str, Any], length: int) -> tuple[Any, Callable]:
    """The training step of one block, batch 1, lowered from shapes, and a maker of its arguments."""
    config = resolve(Config(data="imdb", max_tokens=length, batch_size=1, dropout=0.0, **network))
    batch = full_batch(config)
    build = partial(new_classifier, config, batch)
    step, _ = compile_steps(*nnx.eval_shape(build))

    def make_arguments():
        return nnx.state(build()), batch, None, jax.random.key(0)

    return step.lower(*jax.eval_shape(make_arguments)), make_arguments


def _temporary_bytes(program: Any) -> int:
    return program.compile().memory_analysis().temp_size_in_bytes
