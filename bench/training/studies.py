"""Trained networks on a device: noise, converters, aberrations, units, gradient rules and kernels.

Networks are tested on the rows that were held out of training, never on the test set.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from tqdm.auto import tqdm

from bench import output, plots
from bench.config import Studies
from bench.output import Rows
from bench.training.resumable import resumable
from bench.training.runs import differences, read_run
from nets.data import make_batch
from nets.run import RunFolder, TrainedNetwork, build_device, build_model, load, loss_sums, seed_rngs
from optics import AbstractDevice

RULES = ("simulator", "ideal", "optical")
# Values that a trained network is tested at, by field of the preset.
SWEEPS = {
    "photons": (1, 3, 10, 30, 100, 1e3, 62_400),
    "adc_bits": (2, 3, 4, 5, 6, 8, 10),
    "dac_bits": (2, 3, 4, 5, 6, 8),
    "aberration": (0.0, 0.02, 0.05, 0.1, 0.2, 0.3),
}
MIXING_LAYERS = {"attention", "lambdas"}
COLUMNS = {
    "study": "",
    "network": "",
    "unit": "",
    "rule": "",
    "stage": "",
    "part": "",
    "cosine": ".3f",
    "name": "",
    "accuracy": ".2%",
    "epochs_to_80": ".2f",
}


def main(options: Studies) -> Rows:
    """Test two networks, compare gradients, read the curves of recorded runs; returns the rows.

    Raises:
        ValueError: a run that is missing or not finished, an unknown device, or a folder that cannot be
            written to.
    """
    exact, through = (load_finished(folder) for folder in (options.exact, options.through))
    output.check_folder(options.out)
    results = [RunFolder(folder).result() for folder in (options.exact, options.through)]
    unfinished, result_of = resumable(options.out, "studies", asdict(options) | {"results": results})
    rows = []
    for name, network in {"trained exactly": exact, "trained through the device": through}.items():
        case = {"study": "alone", "network": name}
        rows.append(result_of(case, partial(evaluate_held_out, network, None, options.seed)))
        rows += evaluate_on_devices(name, network, options, result_of)
    rows += compare_gradients(through, options)
    rows += measure_curves(options.recorded, options.exact)
    listed = ("population", "gradient", "curve")
    print(output.table([row for row in rows if row["study"] in listed], COLUMNS))
    output.write(options.out, "studies", rows, options, plots.studies(rows, options.device))
    unfinished.unlink()
    return rows


def load_finished(folder: Path) -> TrainedNetwork:
    """The network of a finished run.

    Raises:
        ValueError: there is none.
    """
    run = RunFolder(folder)
    if not run.exists() or run.result() is None:
        raise ValueError(f"{folder} holds no finished run; train it first: python -m bench experiments.")
    return load(folder)


def evaluate_held_out(network: TrainedNetwork, device: AbstractDevice | None, seed: int) -> dict[str, float]:
    """Accuracy and loss on the rows held out."""
    return network.evaluate(device, seed, "validation")[0]


def evaluate_on_devices(name: str, network: TrainedNetwork, options: Studies, result_of: Callable) -> Rows:
    """A network on the device with one number changed, and on many units; `result_of` is of `resumable`."""

    def mean_over(units: Sequence[int | None], numbers: dict[str, float]) -> dict[str, float]:
        figures = []
        for unit in units:
            config = replace(network.config, device=options.device, overrides=(), unit=unit)
            figures.append(evaluate_held_out(network, build_device(config, **numbers), options.seed))
        return {key: float(np.mean([each[key] for each in figures])) for key in ("accuracy", "loss")}

    sweeps = {"photons": SWEEPS["photons"][::3]} if options.quick else SWEEPS
    cases = [(field, value) for field, values in sweeps.items() for value in values]
    rows = []
    for field, value in tqdm(cases, desc=f"{name}: sweeps", unit=" devices", leave=False):
        # Each unit has its own aberrations: the mean over four.
        units = range(4) if field == "aberration" else (None,)
        case = {"study": "deployed", "network": name, "field": field, "value": value}
        rows.append(result_of(case, partial(mean_over, units, {field: value})))
    count = 2 if options.quick else options.units
    for unit in tqdm(range(count), desc=f"{name}: units", unit=" units", leave=False):
        case = {"study": "population", "network": name, "unit": unit}
        rows.append(result_of(case, partial(mean_over, (unit,), {})))
    return rows


def compare_gradients(network: TrainedNetwork, options: Studies) -> Rows:
    """Cosine between the gradient of each rule, with noise, and the exact one, before and after training.

    Separately for the layers that mix tokens and for the rest.
    """
    config = replace(network.config, dropout=0.0, token_dropout=0.0)
    device = build_device(replace(network.config, device=options.device))
    models = {
        rule: build_model(replace(config, gradient=rule), network.dataset, seed_rngs(config.seed))
        for rule in RULES
    }
    stages = {
        "before training": nnx.state(models["simulator"], nnx.Param),
        "after training": nnx.state(network.model, nnx.Param),
    }
    gradients = {rule: make_gradient(model) for rule, model in models.items()}
    size = config.batch_size
    batches = [
        make_batch(network.dataset.train, np.arange(i * size, (i + 1) * size), size)
        for i in range(2 if options.quick else 8)
    ]
    rows = []
    for stage, weights in stages.items():
        exact = [gradients["simulator"](weights, batch, None, jax.random.key(0)) for batch in batches]
        for rule, gradient in gradients.items():
            noisy = [gradient(weights, batch, device, jax.random.key(i)) for i, batch in enumerate(batches)]
            for part in ("mixers", "rest"):
                cosines = [
                    cosine(_select_part(ours, part), _select_part(theirs, part))
                    for ours, theirs in zip(noisy, exact, strict=True)
                ]
                rows.append(
                    {
                        "study": "gradient",
                        "stage": stage,
                        "rule": rule,
                        "part": part,
                        "cosine": float(np.mean(cosines)),
                        "cosine_deviation": float(np.std(cosines, ddof=1)),
                    }
                )
    return rows


def make_gradient(model: nnx.Module) -> Callable:
    """(weights, batch, device, key) -> the gradient of the mean loss by every weight, by path."""
    model.eval()
    graph, _, rest = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def compute(weights, batch, device, key):
        def loss(weights):
            return loss_sums(nnx.merge(graph, weights, rest), batch, device, key)[0][0] / batch[2].sum()

        return jax.grad(loss)(weights)

    def gradient(*arguments: Any) -> dict[tuple, np.ndarray]:
        return {path: np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(compute(*arguments))}

    return gradient


def _select_part(gradient: dict[tuple, np.ndarray], part: str) -> np.ndarray:
    leaves = [
        leaf.ravel()
        for path, leaf in gradient.items()
        if bool(MIXING_LAYERS & set(path)) == (part == "mixers")
    ]
    return np.concatenate(leaves)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two vectors."""
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def measure_curves(recorded: Sequence[Path], exact: Path) -> Rows:
    """Speed of learning of each recorded run: passes until its train accuracy averages 80 %.

    Each row names the settings in which the run differs from that in the folder `exact`.
    """
    reference, rows = read_run(exact, exact.parent), []
    for results in recorded:
        for folder in sorted(path.parent for path in results.glob("*/config.json")):
            run = read_run(folder, results)
            if run is None:
                continue
            rows.append(
                {
                    "study": "curve",
                    "name": folder.name,
                    **{name: run.settings.get(name) for name in ("device", "overrides", "shape", "kernel")},
                    "seed": run.seed,
                    "differs_in": differences(reference, run),
                    "accuracy": run.result["test_accuracy"],
                    "epochs_to_80": epochs_until(0.8, RunFolder(folder).lines()),
                }
            )
    return rows


def epochs_until(accuracy: float, lines: Rows) -> float | None:
    """Passes over the training set until three lines in a row average that accuracy, or None."""
    steps = [line for line in lines if "train_accuracy" in line and "epoch" not in line]
    steps_per_epoch = next(line["step"] / line["epoch"] for line in lines if "epoch" in line)
    means = np.convolve([line["train_accuracy"] for line in steps], np.ones(3) / 3, mode="valid")
    reached = np.flatnonzero(means >= accuracy)
    return float(steps[reached[0] + 2]["step"] / steps_per_epoch) if len(reached) else None
