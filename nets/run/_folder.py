"""The folder of a run: `RunFolder` reads it, `RunWriter` writes it."""

import fcntl
import io
import json
import os
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nets.config import FREE_ON_RESUME, LOCAL_PATHS, Config, as_config, as_json, current_names
from nets.data import Dataset
from nets.run._checkpoint import Arrays, load_best
from nets.run._curves import plot_curves
from nets.run._environment import provenance

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
        file = self.path / "config.json"
        try:
            return current_names(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{self.path} must be the folder of a run, but its config.json cannot be read ({error}); "
                "name "
                "another folder, or train there first: python -m nets.train --out."
            ) from None

    def config(self) -> Config:
        """The options of the run.

        Raises:
            ValueError: they cannot be read.
        """
        return replace(as_config(self.facts()), out=self.path)

    def lines(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return read_lines(self.path / "metrics.jsonl")

    def result(self) -> dict[str, Any] | None:
        """The last line of a finished run, without its duration; None for any other."""
        lines = self.lines()
        if not lines or not FINAL_KEYS & lines[-1].keys():
            return None
        return {name: value for name, value in lines[-1].items() if name != "seconds"}

    def predictions(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Labels and predicted classes of the test rows; None before the test."""
        file = self.path / "predictions.npz"
        if not file.exists():
            return None
        with np.load(file) as arrays:
            return arrays["labels"], arrays["predicted"]

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
            return file.read_text(encoding="utf-8") if "baseline" in facts else None
        if facts.get("data") == "imdb" and any((self.path / "checkpoints").glob("[0-9]*")):
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

    def check_same_tokens(self, config: Config, dataset: Dataset) -> None:
        """Refuse a run of other data or other tokens as the start of another one.

        Raises:
            ValueError: the data or the tokens differ.
        """
        facts = self.facts()
        files = {
            name: (self.path / name).read_text(encoding="utf-8") if (self.path / name).exists() else None
            for name in dataset.files
        }
        same = all(facts.get(name) == getattr(config, name) for name in ("data", "max_tokens"))
        if files != dataset.files or not same:
            raise ValueError(
                f"`init_from` {self.path} was trained on other data or other tokens; give a run with the "
                "same "
                "--data, --max-tokens and --vocabulary."
            )

    def warn_if_resharded(self, shards: int) -> None:
        """Warn if the run was started on another number of devices, which changes its noise."""
        first = (self.facts() if self.exists() else {}).get("shards", shards)
        if first != shards:
            print(
                f"started on {first} device(s), continued on {shards}: noise and dropout differ from here on",
                file=sys.stderr,
            )


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
    before = {name: before.get(name, defaults[name]) for name in now if name not in FREE_ON_RESUME}
    changes = [
        f"`{name}` {value!r}, now {now[name]!r}" for name, value in before.items() if value != now[name]
    ]
    if changes:
        raise ValueError(
            f"`out` {folder.path} holds a run of other options: {', '.join(changes)}; give the same ones, or "
            "name "
            "another folder."
        )


class RunWriter:
    """Write the folder of a run, new or continued.

    Arguments:
        config: the run.
        facts: more values for config.json.
        files: text files to store, by name.
        enabled: whether this process writes; the other processes of a run do nothing here.

    Raises:
        ValueError: another process writes to the folder.
        OSError: the folder cannot be written to.
    """

    def __init__(self, config: Config, facts: dict[str, Any], files: dict[str, str], enabled: bool = True):
        self.folder, self.enabled, self.lines = Path(config.out), enabled, []
        self.tensorboard, self.step = None, 0
        self.title = f"{config.data}, {config.model}, device {config.device}"
        if not enabled:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock()
        # Written first: its presence marks the folder as a run.
        if not (self.folder / "config.json").exists():
            # `nets.evaluate` reads the data again; the folder itself may be moved.
            options = {
                name: value
                for name, value in as_json(config).items()
                if name not in LOCAL_PATHS or name == "data_path"
            }
            write(self.folder / "config.json", json.dumps(options | facts | provenance(), indent=2) + "\n")
        for name, text in files.items():
            write(self.folder / name, text)

    def truncate(self, lines: int) -> None:
        """Keep the first lines of metrics.jsonl: a killed run writes those after its last checkpoint
        again."""
        if self.enabled:
            self.lines = read_lines(self.folder / "metrics.jsonl")[:lines]
            write(self.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in self.lines))

    def attach_tensorboard(self, make_writer: Callable | None, step: int) -> None:
        """Write metrics from this step on for TensorBoard too.

        Arguments:
            make_writer: a class such as tensorboardX.SummaryWriter; None does nothing.
            step: of the run.
        """
        if self.enabled and make_writer is not None:
            self.tensorboard = make_writer(str(self.folder / "tensorboard"), purge_step=step)

    def log(self, line: dict[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        if not self.enabled:
            return
        self.lines.append(line)
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self.tensorboard is not None:
            self.step = line.get("step", self.step)
            for name, value in line.items():
                if isinstance(value, float):
                    self.tensorboard.add_scalar(name, value, self.step)

    def fsync(self) -> None:
        """Return when the lines are on the disk."""
        if self.enabled:
            with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
                os.fsync(file.fileno())

    def finish(
        self, final: dict[str, Any], labels: np.ndarray | None = None, predicted: np.ndarray | None = None
    ) -> None:
        """Write predictions and curves, then the last line, which marks the run as finished.

        Arguments:
            final: the line.
            labels, predicted: classes of the test rows, in order, if the run was tested.
        """
        if not self.enabled:
            return
        if labels is not None:
            dtype = np.min_scalar_type(int(max(labels.max(), predicted.max())))
            with io.BytesIO() as file:
                np.savez_compressed(file, labels=labels.astype(dtype), predicted=predicted.astype(dtype))
                write(self.folder / "predictions.npz", file.getvalue())
        figure = plot_curves([(self.folder.name, [*self.lines, final])], self.title)
        with io.BytesIO() as file:
            figure.savefig(file, dpi=120, format="png")
            write(self.folder / "curves.png", file.getvalue())
        self.log(final)

    def close(self) -> None:
        """Release the folder."""
        if self.tensorboard is not None:
            self.tensorboard.close()
        if self.enabled:
            self.lock.close()

    def _lock(self) -> None:
        self.lock = open(self.folder / ".lock", "w")  # noqa: SIM115 (held as long as the run is)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock.close()
            raise ValueError(
                f"`out`: another process is at work in {self.folder}; wait for it, or name another folder."
            ) from None
        except OSError:
            pass  # a file system without locks


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The lines of a file of JSON lines, up to the first incomplete one, which a killed process leaves; none
    without a file."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []:
        try:
            lines.append(json.loads(line if line.endswith("\n") else ""))
        except ValueError:
            break
    return lines


def write(path: Path, content: str | bytes) -> None:
    """Write a file completely or not at all."""
    draft = path.with_name(f".{path.name}")
    try:
        with open(draft, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def fingerprint(dataset: Dataset) -> int:
    """CRC-32 of the rows and labels of all splits."""
    total = 0
    for split in (dataset.train, dataset.validation, dataset.test):
        for array in (split.rows, split.labels):
            total = zlib.crc32(np.ascontiguousarray(array).data, total)
    return total
