"""What trained networks say about the device: noise, converters, aberrations, units, gradient rules and kernels.

Networks are tested on the reviews that were held out of training, never on the test set.
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

from bench import output as results
from bench.config import Studies
from bench.plots._studies import picture
from bench.training.resumable import remember
from bench.training.runs import differing, read
from nets.config import Config
from nets.data import make_batch
from nets.run import RunFolder, TrainedNetwork, build_device, build_model, load, loss_sums

RULES = ("simulator", "ideal", "optical")
# Values that a trained network is tested at, by field of the preset.
SWEPT = {
    "photons": (1, 3, 10, 30, 100, 1e3, 62_400),
    "adc_bits": (2, 3, 4, 5, 6, 8, 10),
    "dac_bits": (2, 3, 4, 5, 6, 8),
    "aberration": (0.0, 0.02, 0.05, 0.1, 0.2, 0.3),
}


def main(options: Studies) -> results.Rows:
    """Test the networks of two runs, compare gradients, read the curves of the recorded runs; returns the rows.

    Raises:
        ValueError: a run that is not there or not finished, an unknown device, or a folder that cannot be written to.
    """
    exact, through = (_trained(folder) for folder in (options.exact, options.through))
    results.prepare(options.out)
    part, row = remember(
        options.out,
        "studies",
        {**asdict(options), "results": [RunFolder(options.exact).result(), RunFolder(options.through).result()]},
    )
    rows = []
    networks = {"trained exactly": exact, "trained through the device": through}
    for name, trained in networks.items():
        rows += [row({"study": "alone", "network": name}, partial(_tested, trained, None, options.seed))]
        rows += deployed(name, trained, options, row)
    rows += gradients(through, options)
    rows += curves(options.recorded, options.exact)
    figure = picture(rows)
    print(
        results.table([row for row in rows if row["study"] in ("population", "gradient", "curve")], COLUMNS)
    )
    results.write(options.out, "studies", rows, asdict(options), figure)
    part.unlink()
    return rows


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


def _trained(folder: Path) -> TrainedNetwork:
    if not (folder / "config.json").is_file() or RunFolder(folder).result() is None:
        raise ValueError(f"{folder} holds no finished run; train it first: python -m bench experiments.")
    return load(folder)


def _tested(trained: TrainedNetwork, device: Any, seed: int) -> dict[str, float]:
    return trained.evaluate(device, seed, "validation")[0]


def deployed(name: str, trained: TrainedNetwork, options: Studies, row: Callable) -> results.Rows:
    """A network on the device as it is, with one number otherwise, and on many physical units; `row` is of `remember`."""

    def device(unit: int | None, **numbers: Any) -> Any:
        return build_device(replace(trained.config, device=options.device, overrides=(), unit=unit), **numbers)

    def mean_over(units: Sequence[int | None], numbers: dict[str, float]) -> dict[str, float]:
        found = [_tested(trained, device(unit, **numbers), options.seed) for unit in units]
        return {what: float(np.mean([one[what] for one in found])) for what in ("accuracy", "loss")}

    swept = {"photons": SWEPT["photons"][::3]} if options.quick else SWEPT
    cases = [(field, value) for field, values in swept.items() for value in values]
    rows = []
    for field, value in tqdm(cases, desc=f"{name}: swept", unit=" devices", leave=False):
        # Aberrations are of a unit; their mean over some.
        units = range(4) if field == "aberration" else (None,)
        case = {"study": "deployed", "network": name, "field": field, "value": value}
        rows.append(row(case, partial(mean_over, units, {field: value})))
    for unit in tqdm(
        range(2 if options.quick else options.units), desc=f"{name}: units", unit=" units", leave=False
    ):
        rows.append(
            row({"study": "population", "network": name, "unit": unit}, partial(mean_over, (unit,), {}))
        )
    return rows


def gradients(trained: TrainedNetwork, options: Studies) -> results.Rows:
    """Cosine between the gradient of each rule, in one shot of noise, and that of the exact network, before and after training.

    Apart for the layers that mix tokens and for the rest.
    """
    dataset, rows = trained.dataset, []
    batches = [
        np.arange(i, i + trained.config.batch_size)
        for i in range(0, (2 if options.quick else 8) * trained.config.batch_size, trained.config.batch_size)
    ]
    device = build_device(replace(trained.config, device=options.device))
    config = replace(trained.config, dropout=0.0, token_dropout=0.0)
    new = {
        rule: build_model(replace(config, gradient=rule), dataset, nnx.Rngs(config.seed)) for rule in RULES
    }
    weights = {
        "before training": nnx.state(new["simulator"], nnx.Param),
        "after training": nnx.state(trained.model, nnx.Param),
    }
    by_rule = {rule: _gradient(model) for rule, model in new.items()}
    for stage, at in weights.items():
        exact = [
            by_rule["simulator"](at, _batch(dataset.train, chosen, config), None, jax.random.key(0))
            for chosen in batches
        ]
        for rule, gradient in by_rule.items():
            found = [
                gradient(at, _batch(dataset.train, chosen, config), device, jax.random.key(i))
                for i, chosen in enumerate(batches)
            ]
            for part in ("mixers", "rest"):
                cosines = [
                    _cosine(_part(ours, part), _part(theirs, part))
                    for ours, theirs in zip(found, exact, strict=True)
                ]
                row = {"study": "gradient", "stage": stage, "rule": rule, "part": part}
                rows.append(
                    row
                    | {"cosine": float(np.mean(cosines)), "cosine_deviation": float(np.std(cosines, ddof=1))}
                )
    return rows


def _batch(split: Any, chosen: np.ndarray, config: Config) -> tuple:
    return make_batch(split, chosen, config.batch_size)


def _gradient(model: nnx.Module) -> Callable:
    """(weights, batch, device, key) -> the gradient of the mean loss with respect to every weight, by name."""
    model.eval()
    graph, _, rest = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def of(weights, batch, device, key):
        def loss(weights):
            return loss_sums(nnx.merge(graph, weights, rest), batch, device, key)[0][0] / batch[2].sum()

        return jax.grad(loss)(weights)

    def gradient(*arguments: Any) -> dict[tuple, np.ndarray]:
        return {path: np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(of(*arguments))}

    return gradient


def _part(gradient: dict[tuple, np.ndarray], part: str) -> np.ndarray:
    mixing = {"attention", "lambdas"}
    return np.concatenate(
        [leaf.ravel() for path, leaf in gradient.items() if bool(mixing & set(path)) == (part == "mixers")]
    )


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def curves(recorded: Sequence[Path], exact: Path) -> results.Rows:
    """How fast each recorded run learned: passes over the training set until three lines in a row of its accuracy average 80 %.

    Each row says in which settings the run differs from that in the folder `exact`.
    """
    reference, rows = read(exact, exact.parent), []
    for part in recorded:
        for folder in sorted(path.parent for path in part.glob("*/config.json")):
            run = read(folder, part)
            if run is None:
                continue
            lines = RunFolder(folder).lines()
            steps = [line for line in lines if "train_accuracy" in line and "epoch" not in line]
            whole = next(line["step"] / line["epoch"] for line in lines if "epoch" in line)
            running = np.convolve([line["train_accuracy"] for line in steps], np.ones(3) / 3, mode="valid")
            reached = np.flatnonzero(running >= 0.8)
            rows.append(
                {
                    "study": "curve",
                    "name": folder.name,
                    **{name: run.settings.get(name) for name in ("device", "overrides", "shape", "kernel")},
                    "seed": run.seed,
                    "differs_in": differing(reference, run),
                    "accuracy": run.final["test_accuracy"],
                    "epochs_to_80": float(steps[reached[0] + 2]["step"] / whole) if len(reached) else None,
                }
            )
    return rows
