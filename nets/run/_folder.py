"""The folder of a run: what it was, what it measured, what it learned."""

import fcntl
import io
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nets.config import PLACES, Config, as_json

ENDS = {"test_accuracy", "best_epoch"}  # of which the last line of a finished run has one or both
PACKAGES = ("jax", "flax", "optax", "numpy", "tokenizers")


class Run:
    """The folder of a run, new or taken up where it was left.

    Arguments:
        config: the run.
        about: more values for config.json, beside the fields of the run.
        files: text files to keep, by name.
        writer: this process writes; the others of a run do nothing here.

    Raises:
        ValueError: another process is at work in the folder.
        OSError: the folder cannot be written to.
    """

    def __init__(self, config: Config, about: dict[str, Any], files: dict[str, str], writer: bool = True):
        self.folder, self.writer, self.lines = Path(config.out), writer, []
        self.board, self.step = None, 0
        self.title = f"{config.data}, {config.model}, device {config.device}"
        if not writer:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock()
        # First of all files: a folder with it holds a run, whatever else was not written any more.
        if not (self.folder / "config.json").exists():
            # Where the data lie is kept for `nets.evaluate`; the folder itself may be moved.
            values = {
                name: value
                for name, value in as_json(config).items()
                if name not in PLACES or name == "data_path"
            }
            write(self.folder / "config.json", json.dumps(values | about | provenance(), indent=2) + "\n")
        for name, text in files.items():
            write(self.folder / name, text)

    def cut(self, lines: int) -> None:
        """Keep so many lines of metrics.jsonl; what a killed run wrote after its last checkpoint will be written again."""
        if self.writer:
            self.lines = read_lines(self.folder)[:lines]
            write(self.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in self.lines))

    def show(self, writer: Any, step: int) -> None:
        """Write what is logged from the step on for TensorBoard too, by a class such as tensorboardX.SummaryWriter, unless it is None."""
        if self.writer and writer is not None:
            self.board = writer(str(self.folder / "tensorboard"), purge_step=step)

    def log(self, line: dict[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        if not self.writer:
            return
        self.lines.append(line)
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self.board is not None:
            self.step = line.get("step", self.step)
            for name, value in line.items():
                if isinstance(value, float):
                    self.board.add_scalar(name, value, self.step)

    def settle(self) -> None:
        """Return when the lines would outlive a loss of power."""
        if self.writer:
            with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
                os.fsync(file.fileno())

    def finish(
        self, final: dict[str, Any], labels: np.ndarray | None = None, predicted: np.ndarray | None = None
    ) -> None:
        """Save predictions and curves, then log the last line, which says that the run is finished.

        Arguments:
            final: the line.
            labels, predicted: class numbers of the test rows, in order, of a run that was tested.
        """
        if not self.writer:
            return
        if labels is not None:
            small = np.min_scalar_type(int(max(labels.max(), predicted.max())))
            with io.BytesIO() as file:
                np.savez_compressed(file, labels=labels.astype(small), predicted=predicted.astype(small))
                write(self.folder / "predictions.npz", file.getvalue())
        from nets.run._curves import drawn  # matplotlib is slow to load

        with io.BytesIO() as file:
            drawn([(self.folder.name, [*self.lines, final])], self.title).savefig(file, dpi=120, format="png")
            write(self.folder / "curves.png", file.getvalue())
        self.log(final)

    def close(self) -> None:
        """Let another process work in the folder."""
        if self.board is not None:
            self.board.close()
        if self.writer:
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


def read_lines(folder: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    """The whole lines of a file of JSON lines; a last one that was cut off while it was written is left out."""
    path, found = folder / name, []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []:
        try:
            found.append(json.loads(line if line.endswith("\n") else ""))
        except ValueError:
            break
    return found


def result(folder: Path) -> dict[str, Any] | None:
    """What a finished run in the folder came to; None if there is none."""
    lines = read_lines(folder)
    return (
        {name: value for name, value in lines[-1].items() if name != "seconds"}
        if lines and ENDS & lines[-1].keys()
        else None
    )


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
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


def provenance(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Versions, Python, machine and commit that numbers were made with."""
    return {
        "versions": {p: version(p) for p in packages},
        "python": platform.python_version(),
        "machine": machine(),
        "commit": commit(),
    }


def machine() -> str:
    """Processor, cores and system, in words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"


def commit() -> str | None:
    """The commit of the source tree, marked when it has changes; None outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
