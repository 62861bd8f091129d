"""What networks cost: a training step as a ratio of times, and memory against the length of a sequence."""

import resource
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from bench import results
from bench.config import Networks
from bench.speed import interleaved
from nets.build import build_model
from nets.config import Config, resolve
from nets.data import Dataset, Split
from nets.train import compile_steps


def main(options: Networks) -> results.Rows:
    """Measure, print, write; returns the rows.

    Raises:
        ValueError: unknown device, one of other pixels than 11×11, or a folder that cannot be written to.
    """
    device = results.load(options.device)
    if device.shape != (11, 11):
        raise ValueError(f"`device` must have the 11×11 pixels of the embedding, got {options.device} with {device.shape}.")
    results.prepare(options.out)
    rows = steps(options, device) + memory(options) + ([] if options.quick else [longest()])
    columns = {"operation": "", "what": "", "against": "", "milliseconds": ".3g", "against_milliseconds": ".3g", "ratio": ".3g"}
    print(results.table([row for row in rows if "ratio" in row], columns))
    print(results.table([row for row in rows if "bytes" in row], {"operation": "", "what": "", "length": "", "bytes": ".4g"}))
    for what, slope in slopes(rows).items():
        print(f"{what}: memory goes with the length to the power of {slope:.2f}")
    results.write(options.out, "networks", rows, asdict(options), picture(options.device, rows))
    return rows


def steps(options: Networks, device: Any) -> results.Rows:
    """The training step of a classifier of 11×11 attention against that of the linear one and of the exact FFT, in turn."""
    depth, heads, tokens, repeats = (1, 2, 32, 2) if options.quick else (6, 8, 1024, 9)
    key, cases = jax.random.key(options.seed), []
    for length in (16,) if options.quick else (32, 64, 128):
        base = Config(data="imdb", depth=depth, heads=heads, length=length, batch_size=tokens // length, dropout=0.0)
        linear = step_of(replace(base, model="linear", shape=(121,), device="none"), options.seed)
        literal, spectral = (step_of(replace(base, model="conv2d", spectral=flag), options.seed) for flag in (False, True))
        cases += [
            (length, "spectral, noisy device", spectral, (device, key), "linear wide", linear, (None, None)),
            (length, "literal, noisy device", literal, (device, key), "literal, exact FFT", literal, (None, None)),
            (length, "spectral, exact FFT", spectral, (None, None), "linear wide", linear, (None, None)),
        ]
    rows = []
    for length, what, f, f_arguments, against, g, g_arguments in tqdm(cases, desc="timing", unit=" cases", leave=False):
        slow, fast = interleaved(f, f_arguments, g, g_arguments, repeats)
        rows.append(
            {
                "operation": f"training step, {depth} blocks, {heads} heads, {tokens // length} × {length} tokens",
                "what": what,
                "against": against,
                "milliseconds": slow[0],
                "against_milliseconds": fast[0],
                "ratio": slow[0] / fast[0],
            }
        )
    return rows


def step_of(config: Config, seed: int) -> Callable:
    """(device, key) -> what the training step of `python -m nets.train` gives from its first state, the batch full of tokens."""
    config = resolve(replace(config, seed=seed))
    rng = np.random.default_rng(seed)
    split = Split(rng.integers(1, 1000, (config.batch_size, config.length)), rng.integers(0, 2, config.batch_size))
    model = build_model(config, Dataset(split, split, split, classes=2, vocabulary=1000), nnx.Rngs(seed))
    optimizer = nnx.Optimizer(model, optax.adam(config.learning_rate), wrt=nnx.Param)
    step, _ = compile_steps(model, optimizer)
    state = nnx.state((model, optimizer))
    batch = jnp.asarray(split.rows), jnp.asarray(split.labels), jnp.ones(config.batch_size)
    return lambda device, key: step(state, batch, device, jax.random.key(seed) if key is None else key)


def memory(options: Networks) -> results.Rows:
    """XLA's own figure for a training step of one block, batch 1, against the length; nothing is run."""
    lengths = [256, 512] if options.quick else [2**n for n in range(8, 15)]
    rows = []
    for what, model in (("linear attention", "linear"), ("lambdas", "lambda")):
        for length in tqdm(lengths, desc=what, unit=" lengths", leave=False):
            rows.append({"operation": "memory of a training step", "what": what, "length": length, "bytes": compiled_bytes(model, length)})
    return rows


def compiled_bytes(model: str, length: int) -> int:
    """Temporary memory of the compiled step, as XLA says."""
    return lowered(model, length)[0].compile().memory_analysis().temp_size_in_bytes


def lowered(model: str, length: int) -> tuple[Any, Any]:
    """The training step of a classifier of one block, batch 1, lowered for shapes alone; and what makes its arguments."""
    config = resolve(Config(data="imdb", model=model, length=length, batch_size=1, dropout=0.0))
    rows = np.ones((1, length), np.int32)
    dataset = Dataset(*[Split(rows, np.zeros(1, np.int32))] * 3, classes=2, vocabulary=1000)

    def build():
        made = build_model(config, dataset, nnx.Rngs(0))
        return made, nnx.Optimizer(made, optax.adam(1e-3), wrt=nnx.Param)

    step, _ = compile_steps(*nnx.eval_shape(build))
    batch = jnp.asarray(rows), jnp.zeros(1, jnp.int32), jnp.ones(1)

    def arguments():
        return nnx.state(build()), batch, None, jax.random.key(0)

    return step.lower(*jax.eval_shape(arguments)), arguments


def longest() -> dict[str, Any]:
    """Take a training step of a lambda classifier at 16,384 tokens, and read how much memory this process ever held."""
    step, arguments = lowered("lambda", 2**14)
    jax.block_until_ready(step.compile()(*arguments()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"operation": "most memory of this process, ever", "what": "lambdas", "length": 2**14, "bytes": peak}


def slopes(rows: results.Rows) -> dict[str, float]:
    """The power of the length that memory goes with, by what was compiled."""
    found = {}
    for what in dict.fromkeys(row["what"] for row in rows if row["operation"].startswith("memory")):
        some = [row for row in rows if row["operation"].startswith("memory") and row["what"] == what]
        found[what] = float(np.polyfit(np.log([row["length"] for row in some]), np.log([row["bytes"] for row in some]), 1)[0])
    return found


def picture(name: str, rows: results.Rows) -> Figure:
    """Ratios of steps as bars, memory against length."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    timed = [row for row in rows if "ratio" in row]
    bars = left.barh(
        [f"{row['what']}\nagainst {row['against']}, {row['operation'].split(', ')[-1]}" for row in timed], [row["ratio"] for row in timed]
    )
    left.bar_label(bars, [f"{row['ratio']:.2f}" for row in timed], padding=3, fontsize=8)
    left.axvline(1, color="black", linewidth=0.8)
    left.set(xlabel="ratio of times of a training step (1)", title=name)
    left.margins(x=0.15)
    left.tick_params(axis="y", labelsize=7)
    left.invert_yaxis()
    for what, slope in slopes(rows).items():
        some = [row for row in rows if row["operation"].startswith("memory") and row["what"] == what]
        right.loglog(
            [row["length"] for row in some], [row["bytes"] / 2**20 for row in some], marker=".", label=f"{what}: power {slope:.2f}"
        )
    right.set(xlabel="length of the sequence (tokens)", ylabel="memory of a training step (MiB)")
    right.grid(which="major", alpha=0.3)
    right.legend(frameon=False)
    return figure
