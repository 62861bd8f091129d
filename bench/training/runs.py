"""Recorded runs, gathered by their configuration."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nets.config import BEFORE_THE_OPTION, FREE_ON_RESUME, LANGUAGE, Config, as_json
from nets.run import RunFolder


class Size(NamedTuple):
    """Rows of the training set, without those held out for validation, and of the test set."""

    train: int
    test: int


# Of the data sets that nets.data reads.
SIZES = {
    "digits": Size(1_294, 359),
    "imdb": Size(22_500, 25_000),
    "imdb-bytes": Size(22_500, 25_000),
    "fashion-mnist": Size(54_000, 10_000),
    "listops": Size(96_000, 2_000),
    "pixels": Size(1_294, 359),
}
# Facts that a run records beside its settings, or settings that do not change its result.
NOT_SETTINGS = {
    "seed",
    "versions",
    "python",
    "machine",
    "accelerator",
    "commit",
    "parameters",
    "shards",
    "cores",
    "data_fingerprint",
    "baseline",
    *FREE_ON_RESUME,
}
# Numbers that were trained, as runs record them: all, and those of the layers that mix tokens.
PARAMETERS = {"parameters": "all", "mixer_parameters": "mixers"}
# Of runs that were recorded before a setting existed.
DEFAULTS = as_json(Config()) | {
    name: BEFORE_THE_OPTION[name] for name in ("task", "norm", "vocabulary", "normalization")
}


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        name: path of its folder without the seed.
        folder: its folder.
        seed: its seed.
        settings: those that change its result, without the seed.
        result: the last line of metrics.jsonl, and the numbers of parameters.
        labels: of the test rows, where it kept its predictions.
        is_correct: whether each row was classified correctly.
    """

    name: str
    folder: Path
    seed: int
    settings: dict[str, Any]
    result: dict[str, Any]
    labels: np.ndarray | None
    is_correct: np.ndarray | None


Variant = list[Run]  # of one configuration, by seed


def run_folders(folder: Path) -> list[Path]:
    """The folders of runs in a folder, finished or not; hidden ones hold copies that are not whole."""
    return sorted(
        path.parent
        for path in folder.rglob("config.json")
        if (path.parent / "metrics.jsonl").is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def read_run(folder: Path, results: Path) -> Run | None:
    """The run in a folder within `results`; None before it has been tested.

    Raises:
        ValueError: a file that cannot be read or lacks an entry, or predictions that belong to another run.
    """
    files = RunFolder(folder)
    facts, lines = files.facts(), files.lines()
    if not lines or "test_accuracy" not in lines[-1] or not files.is_trained():
        return None
    facts |= {"parameters": facts.get("parameters") or {}}
    for name, kind in {"data": str, "model": str, "seed": int, "parameters": dict}.items():
        if not isinstance(facts.get(name), kind):
            raise ValueError(
                f"{folder / 'config.json'} must have {name!r}, got {facts.get(name)!r}; write it "
                "as the run had it."
            )
    seed, accuracy = facts["seed"], lines[-1]["test_accuracy"]
    if not isinstance(accuracy, float | int) or not 0 <= accuracy <= 1:
        raise ValueError(
            f"{folder / 'metrics.jsonl'} must end with a test_accuracy from 0 to 1, got {accuracy!r}; "
            "leave that run out."
        )
    path = folder.relative_to(results).as_posix()
    path = folder.resolve().name if path == "." else path
    name = re.sub(rf"(^|[-_/])s(eed)?[-_]?{seed}$", "", path) or folder.resolve().name
    settings = {
        name: value
        for name, value in (DEFAULTS | facts).items()
        if name not in NOT_SETTINGS and value is not None
    }
    result = {name: facts["parameters"].get(key) for name, key in PARAMETERS.items()} | lines[-1]
    # A language model keeps the losses of documents instead.
    predictions = (None, None) if settings["task"] in LANGUAGE else _read_predictions(files, accuracy)
    return Run(name, folder, seed, settings, result, *predictions)


def _read_predictions(files: RunFolder, accuracy: float) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Labels, and whether each was predicted, of a run of that accuracy; None where there is no file."""
    path, predictions = files.path / "predictions.npz", files.predictions()
    if predictions is None:
        return None, None
    labels, predicted = predictions
    if labels.ndim != 1 or labels.shape != predicted.shape or not len(labels):
        raise ValueError(
            f"{path} must hold as many labels as predictions, got {labels.shape} and {predicted.shape}."
        )
    if labels.dtype.kind not in "iu" or predicted.dtype.kind not in "iu":
        raise ValueError(f"{path} must hold whole numbers, got {labels.dtype} and {predicted.dtype}.")
    is_correct = labels == predicted
    if abs(is_correct.sum() - accuracy * len(is_correct)) > 0.5:
        raise ValueError(
            f"{path} is right on {is_correct.mean():.4%} of the rows, but metrics.jsonl beside it says "
            f"{accuracy:.4%}."
        )
    return labels, is_correct


def group_runs(data: str, runs: list[Run]) -> list[Variant]:
    """The variants of a data set, by name.

    Raises:
        ValueError: runs of one name but several configurations, two of one configuration and seed, or other
            test rows.
    """
    variants: dict[str, Variant] = {}
    for run in sorted(runs, key=lambda run: (run.name, run.seed)):
        variant = variants.setdefault(json.dumps(run.settings, sort_keys=True), [])
        for other in variant:
            if other.seed == run.seed:
                raise ValueError(
                    f"{other.folder} and {run.folder} are of one configuration and seed {run.seed}; leave "
                    "one out."
                )
        variant.append(run)
        namesake = next(other for other in runs if other.name == run.name)
        if differences(namesake, run):
            names = ", ".join(differences(namesake, run))
            raise ValueError(
                f"{namesake.folder} and {run.folder} differ in {names}, not in the seed alone; rename one of "
                "them."
            )
        tested = next((other for other in runs if other.labels is not None), run)
        if run.labels is not None and not np.array_equal(tested.labels, run.labels):
            sizes = len(tested.labels), len(run.labels)
            contents = f"{sizes[0]} and {sizes[1]} rows" if sizes[0] != sizes[1] else "other labels"
            raise ValueError(
                f"predictions.npz of {tested.folder} and {run.folder} have {contents}, but both say {data}; "
                "leave one out."
            )
    return [sorted(variant, key=lambda run: run.seed) for variant in variants.values()]


def differences(first: Run, second: Run) -> list[str]:
    """Names of the settings that differ."""
    names = first.settings | second.settings
    return [name for name in names if first.settings.get(name) != second.settings.get(name)]
