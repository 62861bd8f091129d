"""Run folders as they were recorded, gathered by what they trained."""

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nets.config import FREE_ON_RESUME, Config, as_json, current_names

# What a run records beside its settings, or what does not change what it computes.
BESIDE = {
    "seed",
    "versions",
    "python",
    "machine",
    "commit",
    "parameters",
    "shards",
    "data_fingerprint",
    "baseline",
    *FREE_ON_RESUME,
}
# Numbers that were trained, as runs record them: all, and those of the layers that mix tokens.
PARAMETERS = {"parameters": "all", "mixer_parameters": "mixers"}
# Of runs that were recorded before a setting existed.
DEFAULTS = as_json(Config())


@dataclass(frozen=True)
class Run:
    """A run folder: its settings without the seed, its last line, and, where it kept its predictions, which rows were right."""

    name: str
    folder: Path
    seed: int
    settings: dict[str, Any]
    final: dict[str, Any]
    labels: np.ndarray | None
    right: np.ndarray | None


Arm = list[Run]  # of one configuration, by seed


def read(folder: Path, results_folder: Path) -> Run | None:
    """The run in a folder, named by its path without the seed; None before it has been tested.

    Raises:
        ValueError: a file that cannot be read or lacks what it should hold, or predictions that belong to another run.
    """
    about = current_names(parsed(folder / "config.json", (folder / "config.json").read_bytes()))
    lines = (folder / "metrics.jsonl").read_bytes().split(b"\n")
    final = parsed(folder / "metrics.jsonl", next((line for line in reversed(lines) if line.strip()), b"{}"))
    if "test_accuracy" not in final:
        return None
    for name, kind in {"data": str, "model": str, "seed": int}.items():
        if not isinstance(about.get(name), kind):
            raise ValueError(
                f"{folder / 'config.json'} must have {name!r}, got {about.get(name)!r}; write it as the run had it."
            )
    accuracy, seed = final["test_accuracy"], about["seed"]
    if not isinstance(accuracy, float | int) or not 0 <= accuracy <= 1:
        raise ValueError(
            f"{folder / 'metrics.jsonl'} must end with a test_accuracy from 0 to 1, got {accuracy!r}; leave that run out."
        )
    path = folder.relative_to(results_folder).as_posix()
    name = re.sub(rf"(^|[-_/])s(eed)?[-_]?{seed}$", "", folder.resolve().name if path == "." else path)
    settings = {
        key: value for key, value in (DEFAULTS | about).items() if key not in BESIDE and value is not None
    }
    final = {name: (about.get("parameters") or {}).get(part) for name, part in PARAMETERS.items()} | final
    return Run(
        name or folder.resolve().name,
        folder,
        seed,
        settings,
        final,
        *predictions(folder / "predictions.npz", accuracy),
    )


def parsed(path: Path, content: bytes) -> dict[str, Any]:
    """A JSON object."""
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{path} is not readable JSON ({error}); repair or remove it.") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold JSON objects, got {type(value).__name__}; repair or remove it.")
    return value


def predictions(path: Path, accuracy: float) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(labels, whether each was predicted) of a run of that accuracy; None twice where there is no file."""
    if not path.exists():
        return None, None
    try:
        with np.load(path) as file:
            labels, predicted = file["labels"], file["predicted"]
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} must hold the arrays labels and predicted ({error}); remove it or run anew."
        ) from None
    if labels.ndim != 1 or labels.shape != predicted.shape or not len(labels):
        raise ValueError(
            f"{path} must hold as many labels as predictions, got {labels.shape} and {predicted.shape}."
        )
    if labels.dtype.kind not in "iu" or predicted.dtype.kind not in "iu":
        raise ValueError(f"{path} must hold whole numbers, got {labels.dtype} and {predicted.dtype}.")
    right = labels == predicted
    if abs(right.sum() - accuracy * len(right)) > 0.5:
        raise ValueError(
            f"{path} is right on {right.mean():.4%} of the rows, but metrics.jsonl beside it says {accuracy:.4%}."
        )
    return labels, right


def gather(data: str, runs: list[Run]) -> list[Arm]:
    """The arms of a data set, by name.

    Raises:
        ValueError: runs of one name but several configurations, two of one configuration and seed, or other test rows.
    """
    arms: dict[str, Arm] = {}
    for run in sorted(runs, key=lambda run: (run.name, run.seed)):
        arm = arms.setdefault(json.dumps(run.settings, sort_keys=True), [])
        for other in arm:
            if other.seed == run.seed:
                raise ValueError(
                    f"{other.folder} and {run.folder} are of one configuration and seed {run.seed}; leave one out."
                )
        arm.append(run)
        first = next(other for other in runs if other.name == run.name)
        if differing(first, run):
            differ = ", ".join(differing(first, run))
            raise ValueError(
                f"{first.folder} and {run.folder} differ in {differ}, not in the seed alone; rename one of them."
            )
        tested = next((other for other in runs if other.labels is not None), run)
        if run.labels is not None and not np.array_equal(tested.labels, run.labels):
            what = (
                f"{len(tested.labels)} and {len(run.labels)} rows"
                if len(tested.labels) != len(run.labels)
                else "other labels"
            )
            raise ValueError(
                f"predictions.npz of {tested.folder} and {run.folder} have {what}, but both say {data}; leave one out."
            )
    return [sorted(arm, key=lambda run: run.seed) for arm in arms.values()]


def differing(first: Run, second: Run) -> list[str]:
    """Names of the settings that differ."""
    names = first.settings | second.settings
    return [name for name in names if first.settings.get(name) != second.settings.get(name)]
