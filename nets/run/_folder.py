"""Read the folder of a run, and refuse one in which a run cannot go on."""

import json
import math
import os
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nets.config import (
    BEFORE_THE_OPTION,
    FREE_ON_RESUME,
    LANGUAGE,
    Config,
    as_config,
    as_json,
    current_names,
    flag,
    shorten,
)
from nets.data import Dataset
from nets.run._checkpoint import Arrays, load_best, read_state
from nets.run._lines import lines_checksum, read_lines, whole_lines
from optics._files import open_file, read_text

# The most that is read of config.json or tokenizer.json, and of predictions.npz.
FACTS_BYTES, PREDICTION_BYTES = 2**26, 2**28
FINAL_KEYS = {"test_accuracy", "best_epoch"}  # the last line of a finished run has one or both


@dataclass(frozen=True)
class RunFolder:
    """Read the files of a run.

    Arguments:
        path: the folder.
    """

    path: Path

    def exists(self) -> bool:
        """Whether there is a run in the folder."""
        return (self.path / "config.json").exists()

    def facts(self) -> dict[str, Any]:
        """config.json: the options, under the names that they have now, and data, parameters and versions of
        the run.

        Raises:
            ValueError: it cannot be read.
        """
        try:
            facts = json.loads(read_text(self.path / "config.json", FACTS_BYTES))
            if not isinstance(facts, dict):
                raise ValueError(f"it must be an object, got {shorten(facts)}")
        except (OSError, ValueError, RecursionError) as error:
            raise ValueError(
                f"{self.path} must be the folder of a run, but its config.json cannot be read ({error}); "
                "name another folder, or train there first: python -m nets.train --out."
            ) from None
        return current_names(facts)

    def config(self) -> Config:
        """The options of the run.

        Raises:
            ValueError: they cannot be read, or are not those of a run.
        """
        try:
            config = as_config(self.facts())
        except ValueError as error:
            raise ValueError(f"{self.path / 'config.json'}: {error}") from None
        return replace(config, out=self.path)

    def lines(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl.

        Raises:
            ValueError: one of them cannot be read.
        """
        return read_lines(self.path / "metrics.jsonl")

    def result(self) -> dict[str, Any] | None:
        """The last line of a finished run, without its duration; None for any other.

        A run is finished if its last checkpoint is trained to the end, its predictions are those of its last
        line, and no line is missing. A recorded run, without checkpoints, has its last line alone.

        Raises:
            ValueError: a file that cannot be read.
        """
        lines = self.lines()
        if not lines or not FINAL_KEYS & lines[-1].keys():
            return None
        if not self.is_trained() or not self._is_tested(lines[-1]):
            return None
        return {name: value for name, value in lines[-1].items() if name != "seconds"}

    def is_trained(self) -> bool:
        """Whether the last checkpoint is that of the end, and metrics.jsonl has its lines and the last one.

        True without checkpoints, which a recorded run does not have.
        """
        state = read_state(self.path)
        if state is None:
            return not self._has_checkpoints()
        lines = whole_lines(self.path / "metrics.jsonl")
        is_complete = len(lines) == state.lines + 1
        is_same = state.lines_checksum in (None, lines_checksum(lines[: state.lines]))
        return is_complete and is_same and (state.stopped or state.epoch >= self.config().epochs)

    def _has_checkpoints(self) -> bool:
        return any((self.path / "checkpoints").glob("[0-9]*"))

    def _is_tested(self, final: dict[str, Any]) -> bool:
        """Whether the predictions, if the run has any, are right as often as the last line says, or lose as
        much."""
        if "test_accuracy" not in final:
            return True
        try:
            if "test_perplexity" in final:
                return self._has_losses(final)
            predictions = self.predictions()
        except ValueError:
            return False
        if predictions is None:
            return not self._has_checkpoints()
        labels, predicted = predictions
        if labels.shape != predicted.shape or not isinstance(final["test_accuracy"], float | int):
            return False
        return bool(abs((labels == predicted).sum() - final["test_accuracy"] * labels.size) <= 0.5)

    def _has_losses(self, final: dict[str, Any]) -> bool:
        documents = self.document_losses()
        if documents is None:
            return not self._has_checkpoints()
        nats, tokens = documents["nats"].sum(), documents["tokens"].sum()
        return bool(tokens) and math.isclose(nats / tokens, final.get("test_loss", 0.0), rel_tol=1e-4)

    def predictions(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Labels and predicted classes of the test rows; None before the test.

        Raises:
            ValueError: they cannot be read, as those of a language model, which has losses instead.
        """
        arrays = self._read_predictions(("labels", "predicted"))
        return None if arrays is None else (arrays["labels"], arrays["predicted"])

    def document_losses(self) -> dict[str, np.ndarray] | None:
        """Loss in nats and tokens of each test document of a language model, and, where the run has them, its
        bytes and the loss of the exact network; None before the test.

        Raises:
            ValueError: they cannot be read, as those of a classifier.
        """
        return self._read_predictions(("nats", "tokens"))

    def _read_predictions(self, names: Sequence[str]) -> dict[str, np.ndarray] | None:
        """All arrays of predictions.npz, which has at least these."""
        file = self.path / "predictions.npz"
        if not file.exists():
            return None
        with open_file(file, PREDICTION_BYTES) as stream:
            try:
                with np.load(stream, allow_pickle=False) as arrays:
                    if sum(member.file_size for member in arrays.zip.infolist()) > PREDICTION_BYTES:
                        raise ValueError(f"more than {PREDICTION_BYTES:,} bytes")
                    if missing := set(names) - set(arrays):
                        raise ValueError(f"it has no {min(missing)}")
                    return dict(arrays)
            # Damaged bytes can raise anything: NumPy and zipfile promise no kind of error.
            except Exception as error:
                raise ValueError(
                    f"{file} must hold the arrays {' and '.join(names)} ({error}); remove it or run anew."
                ) from None

    def weights(self) -> Arrays:
        """Weights and statistics of the network after its best epoch, by path.

        Raises:
            ValueError: there are none, or they cannot be read.
        """
        return load_best(self.path)

    def tokenizer(self) -> str | None:
        """tokenizer.json of a run on text; None before it is written.

        Raises:
            ValueError: it is missing beside checkpoints.
        """
        if not self.exists():
            return None
        facts, file = self.facts(), self.path / "tokenizer.json"
        if file.exists():
            return read_text(file, FACTS_BYTES) if "baseline" in facts else None
        if facts.get("data") == "imdb" and self._has_checkpoints():
            raise ValueError(
                f"`out` {self.path} has no tokenizer.json, which its network needs; restore it, or name "
                "another folder."
            )
        return None

    def check_data(self, dataset: Dataset) -> dict[str, Any]:
        """The fingerprint of the data, and the baseline as the first start measured it.

        Raises:
            ValueError: the data differ from those of the first start.
        """
        facts = self.facts() if self.exists() else {}
        current = fingerprint(dataset)
        if facts.get("data_fingerprint", current) != current:
            raise ValueError(
                f"`data_path` holds other data than the run in {self.path} was started on; give the same "
                "--data-path, "
                "or name another folder."
            )
        return {"data_fingerprint": current, "baseline": facts.get("baseline", dataset.baseline)}

    def check_start(self, config: Config, dataset: Dataset) -> None:
        """Refuse a run of other data, other tokens or another network as the start of another one.

        A language model may start a run on other data and of shorter rows.

        Raises:
            ValueError: they differ.
        """
        facts = as_json(Config()) | BEFORE_THE_OPTION | self.facts()
        files = {
            name: read_text(self.path / name, FACTS_BYTES) if (self.path / name).exists() else None
            for name in dataset.files
        }
        is_language_model = facts["task"] in LANGUAGE
        same = facts["data"] == config.data or is_language_model
        lengths = facts["max_tokens"], config.max_tokens
        fits = lengths[0] == lengths[1] or (
            is_language_model and None not in lengths and lengths[0] > lengths[1]
        )
        if files != dataset.files or not same or not fits:
            raise ValueError(
                f"`init_from` {self.path} was trained on other data or other tokens; give a run with the "
                "same --data, --max-tokens and --vocabulary, or a language model of at least --max-tokens."
            )
        # Options that the shapes of weights do not tell.
        for name in ("heads", "attention", "boundary", "normalization"):
            before, now = facts[name], getattr(config, name)
            if config.model == facts["model"] and before not in (None, now):
                raise ValueError(
                    f"`init_from` {self.path} has `{name}` {before}, and this run {now}; set {flag(name)} to "
                    f"{before}, or give another run."
                )

    def warn_if_rounded_otherwise(self, shards: int, cores: int) -> None:
        """Warn if the run was started on other devices or cores, on which it would have had other results."""
        facts = self.facts() if self.exists() else {}
        for name, now, change in (
            ("shards", shards, "device(s), continued on {}: noise and dropout differ from here on"),
            ("cores", cores, "core(s), continued on {}: sums are rounded otherwise from here on"),
        ):
            # Earlier runs did not record their cores.
            first = facts.get(name, now)
            if first != now:
                print(f"started on {first} {change.format(now)}", file=sys.stderr)


def check_folders(config: Config) -> None:
    """Refuse an output folder in which the run can neither be started nor continued, and initial weights
    without a run.

    Raises:
        ValueError: the folder is not empty and holds no run, a run of other options, or one that is not to be
            continued; it cannot be written to; or `init_from` is not the folder of a run.
    """
    if config.init_from is not None and not RunFolder(Path(config.init_from)).exists():
        raise ValueError(
            f"`init_from` {config.init_from} must be the folder of a run, but it has no config.json; give "
            "the --out of "
            "one."
        )
    folder = RunFolder(Path(config.out))
    out = folder.path
    try:
        str(out.absolute()).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(
            f"`out` {str(out)!a} has letters that this environment cannot name "
            f"({sys.getfilesystemencoding()}); set PYTHONUTF8=1, or a locale of UTF-8."
        ) from None
    if folder.exists():
        _check_resumable(folder, config)
    elif out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
        raise ValueError(f"`out` {out} is not empty; a run is never written over: name another folder.")
    existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ValueError(f"`out` {out} cannot be written: {existing} is not a folder that may be written to.")


def _check_resumable(folder: RunFolder, config: Config) -> None:
    if not config.resume:
        raise ValueError(
            f"`out` {folder.path} holds a run, and it is not to be continued; name another folder, or leave "
            "--no-resume "
            "out."
        )
    try:
        before = folder.facts()
    except ValueError as error:
        raise ValueError(f"`out`: {error}") from None
    now, defaults = (json.loads(json.dumps(as_json(options))) for options in (config, Config()))
    # Runs were recorded without the options that did not exist then.
    without = {name: value for name, value in BEFORE_THE_OPTION.items() if now[name] is not None}
    before = defaults | without | before
    before = {name: before[name] for name in now if name not in FREE_ON_RESUME}
    changes = [
        f"`{name}` {value!r}, now {now[name]!r}" for name, value in before.items() if value != now[name]
    ]
    if changes:
        raise ValueError(
            f"`out` {folder.path} holds a run of other options: {', '.join(changes)}; give the same ones, or "
            "name "
            "another folder."
        )


def fingerprint(dataset: Dataset) -> int:
    """CRC-32 of the rows and labels of all splits."""
    total = 0
    for split in (dataset.train, dataset.validation, dataset.test):
        for array in (split.rows, split.labels):
            total = zlib.crc32(np.ascontiguousarray(array).data, total)
    return total
