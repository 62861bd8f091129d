"""Which bench for which network: accuracy, time of a step, exposures and joules of every device of a plan.

The plan names a run through each device and its exact twin: the same options with no device. The runs are
those that `python -m bench experiments` has recorded; what is not recorded is left out.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from tqdm.auto import tqdm

import optics
from bench import output, plots
from bench.config import Devices
from bench.output import Rows
from bench.simulator.timing import time_ratio
from bench.training import accuracy
from bench.training.plans import read_variants
from bench.training.runs import Run, differences, read_run
from nets import data
from nets.config import Config, as_config, has_convolutions
from nets.run import RunFolder, build_device, build_model, compile_steps, seed_rngs
from optics import AbstractDevice, accounting

# Settings in which a run differs from its exact twin.
OF_DEVICES = {"device", "products", "multiplier", "overrides", "unit"}
COLUMNS = {"device": "", "shape": "", "error": ".2%", "accuracy": ".2%", "twin_accuracy": ".2%"}
COLUMNS |= {"difference_points": "+.2f", "difference_low": "+.2f", "difference_high": "+.2f"}
COLUMNS |= {"milliseconds": ".3g", "ratio": ".3g", "exposures": ",.0f", "seconds": ".3g", "joules": ".2g"}


def main(options: Devices) -> Rows:
    """Read the runs of the plan, measure their devices, print, write; returns a row for each device.

    Raises:
        ValueError: an unknown plan, no recorded run with its exact twin, or a folder that cannot be written
            to.
    """
    names = read_variants(options.plan)
    folder = options.results / Path(options.plan).stem
    pairs = pair_runs([run for name in names for run in read_runs(folder, name)])
    if not pairs:
        raise ValueError(
            f"`results` {options.results} must hold recorded runs of the plan {options.plan} with their "
            f"exact twins; train them first: python -m bench experiments --plan {options.plan}."
        )
    output.check_folder(options.out)
    rng = np.random.default_rng(options.seed)
    rows = []
    for through, exact in tqdm(pairs, desc="measuring devices", unit=" devices", leave=False):
        rows.append(compare(through, exact, rng) | measure(read_config(through[0]), options))
    print(output.table(rows, COLUMNS))
    left_out = len(names) - len({run.folder for pair in pairs for run in (pair[0][0], pair[1][0])})
    if left_out:
        print(f"left out, not recorded with a twin: {left_out} of {len(names)} variants")
    output.write(options.out, "devices", rows, options, plots.devices(rows))
    return rows


def read_runs(folder: Path, name: str) -> list[Run]:
    """The recorded runs of a variant, over its seeds."""
    paths = sorted(path.parent for path in folder.glob(f"{name}-seed*/config.json"))
    return [run for path in paths if (run := read_run(path, folder)) is not None]


def pair_runs(runs: list[Run]) -> list[tuple[list[Run], list[Run]]]:
    """Each variant that a device computes, with its exact twin, as the runs over the seeds of both."""
    variants: dict[str, list[Run]] = {}
    for run in runs:
        variants.setdefault(run.name, []).append(run)
    exact = [variant for variant in variants.values() if accuracy.name_device(variant[0].settings) == "none"]
    pairs = []
    for variant in variants.values():
        if accuracy.name_device(variant[0].settings) == "none":
            continue
        twins = [twin for twin in exact if set(differences(variant[0], twin[0])) <= OF_DEVICES]
        pairs += [(variant, twins[0])] if twins else []
    return pairs


def compare(through: list[Run], exact: list[Run], rng: np.random.Generator) -> dict[str, Any]:
    """The accuracies of a variant and of its twin, and their difference in points with its 95 % interval."""
    means = [float(np.mean([run.result["test_accuracy"] for run in runs])) for runs in (through, exact)]
    sizes = {len(run.labels) for run in (*through, *exact) if run.labels is not None}
    rows = sizes.pop() if len(sizes) == 1 else None
    difference, seeds = accuracy.subtract(through, exact, rows, rng)
    points = {
        f"difference_{name}": None if value is None else 100 * value
        for name, value in zip(
            ("points", "low", "high"), (difference.value, difference.low, difference.high), strict=True
        )
    }
    return {
        "data": through[0].settings["data"],
        "device": " ".join(
            [accuracy.name_device(through[0].settings), *through[0].settings.get("overrides", ())]
        ),
        "accuracy": means[0],
        "twin_accuracy": means[1],
        **points,
        "compared": difference.over,
        "seeds": seeds,
        "test_rows": rows,
    }


def read_config(run: Run) -> Config:
    """The options of a recorded run."""
    return as_config(RunFolder(run.folder).facts())


def measure(config: Config, options: Devices) -> dict[str, Any]:
    """Error, time of a step against the exact one, and exposures and joules of an image."""
    device, preset = build_device(config), config.device if has_convolutions(config) else config.multiplier
    dataset = data.load(config)
    model = build_model(config, dataset, seed_rngs(config.seed))
    optimizer = nnx.Optimizer(model, optax.adam(config.learning_rate), wrt=nnx.Param)
    step, evaluate = compile_steps(model, optimizer)
    state = nnx.state((model, optimizer))
    batch = next(iter(data.batches(dataset.train, config.batch_size)))
    key = jax.random.key(options.seed)
    times = time_ratio(
        step, (state, batch, device, key), step, (state, batch, None, key), 2 if options.quick else 7
    )
    counts = accounting.count(lambda device, key: evaluate(state, batch, device, key), device)
    price = accounting.price(counts, optics.presets.hardware(preset))
    return {
        "preset": preset,
        "shape": "×".join(map(str, config.shape)),
        "operation": "convolution" if has_convolutions(config) else "product",
        "error": measure_error(device, 8 if options.quick else 64, key),
        **times,
        "exposures": counts.exposures / config.batch_size,
        "seconds": price.seconds / config.batch_size,
        "joules": price.joules / config.batch_size,
        "joules_low": price.low / config.batch_size,
        "joules_high": price.high / config.batch_size,
        "hardware": optics.presets.hardware(preset),
    }


def measure_error(device: AbstractDevice, count: int, key: jax.Array) -> float:
    """Relative RMS error of one noisy convolution of random planes, or of a product of matrices."""
    if device.supports(AbstractDevice.convolve):
        call, shapes = optics.convolve, ((count, *device.shape),) * 2
    else:
        _, k, n = device.product_shape
        call, shapes = optics.matmul, ((count, k), (k, n))
    x_key, w_key, noise_key = jax.random.split(key, 3)
    x, w = jax.random.normal(x_key, shapes[0]), jax.random.uniform(w_key, shapes[1], minval=-1)
    return float(optics.metrics.relative_error(jax.jit(call)(x, w, device, noise_key), call(x, w)))
