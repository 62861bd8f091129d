"""Write the folder of a run, each file completely or not at all."""

import fcntl
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from nets.config import LOCAL_PATHS, Config, as_json, device_name
from nets.run._curves import plot_curves
from nets.run._environment import provenance
from nets.run._lines import lines_checksum, parse_line, whole_lines
from nets.run._sinks import Tracker


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
        self.checksum = lines_checksum([])  # of the lines
        self.tracker, self.is_complete = None, False
        self.title = f"{config.data}, {config.model}, device {device_name(config)}"
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

    def truncate(self, count: int, checksum: int | None = None) -> None:
        """Keep the first lines of metrics.jsonl: a killed run writes those after its last checkpoint
        again.

        Arguments:
            count: of the lines.
            checksum: of these lines; None does not compare it.

        Raises:
            ValueError: lines are missing, or are not those that were written.
        """
        if not self.enabled:
            return
        file = self.folder / "metrics.jsonl"
        lines = whole_lines(file)[:count]
        if len(lines) < count or checksum not in (None, lines_checksum(lines)):
            state = f"has {len(lines)}" if len(lines) < count else "has others"
            raise ValueError(
                f"`out`: {file} must begin with the {count} lines that the last checkpoint counts, but it "
                f"{state}; restore it, or name another folder to start again."
            )
        self.lines = [parse_line(file, number, line) for number, line in enumerate(lines, 1)]
        self.checksum = lines_checksum(lines)
        write(file, "".join(lines))

    def attach(self, tracker: Tracker | None) -> None:
        """Pass the lines on to a tracking program too.

        Arguments:
            tracker: of that program; None does nothing.
        """
        if self.enabled and tracker is not None:
            self.tracker = tracker
            tracker.start(self.folder, self.lines)

    def log(self, line: dict[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        if not self.enabled:
            return
        self.check_place()
        self.lines.append(line)
        text = json.dumps(line) + "\n"
        self.checksum = lines_checksum([text], self.checksum)
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(text)
        if self.tracker is not None:
            self.tracker.log(line)

    def fsync(self) -> None:
        """Return when the lines are on the disk.

        Raises:
            OSError: the folder is not the one that was locked.
        """
        if self.enabled:
            self.check_place()
            with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
                os.fsync(file.fileno())

    def finish(self, final: dict[str, Any], predictions: dict[str, np.ndarray] | None = None) -> None:
        """Write predictions and curves, then the last line, which marks the run as finished.

        Arguments:
            final: the line.
            predictions: arrays of the test by name, if the run was tested.
        """
        if not self.enabled:
            return
        self.check_place()
        if predictions is not None:
            with io.BytesIO() as file:
                np.savez_compressed(file, **{name: _shrink(array) for name, array in predictions.items()})
                write(self.folder / "predictions.npz", file.getvalue())
        figure = plot_curves([(self.folder.name, [*self.lines, final])], self.title)
        with io.BytesIO() as file:
            figure.savefig(file, dpi=120, format="png")
            write(self.folder / "curves.png", file.getvalue())
        self.log(final)
        self.is_complete = True

    def close(self) -> None:
        """Release the folder."""
        if self.enabled:
            self.lock.close()
        # Last, for it may wait for a server.
        if self.tracker is not None:
            self.tracker.finish(self.is_complete)

    def check_place(self) -> None:
        """Check that the folder is still the one that was locked: nothing is written to another one.

        Raises:
            OSError: it was moved, removed or replaced.
        """
        try:
            now = self._place()
        except OSError:
            now = None
        if now != self.place:
            raise OSError(
                f"`out` {self.folder} was moved, removed or replaced while the run was at work in it; a "
                "folder that was moved is continued by the same command with its new name as --out."
            )

    def _place(self) -> list[tuple[int, int]]:
        """What the system knows the folder and its lock by."""
        states = self.folder.stat(), (self.folder / ".lock").lstat()
        return [(state.st_dev, state.st_ino) for state in states]

    def _lock(self) -> None:
        # Not through a link, which would lead out of the folder.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        self.lock = os.fdopen(os.open(self.folder / ".lock", flags, 0o644), "r+b", buffering=0)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock.close()
            raise ValueError(
                f"`out`: another process is at work in {self.folder}; wait for it, or name another folder."
            ) from None
        except OSError:
            pass  # a file system without locks
        self.place = self._place()


def _shrink(array: np.ndarray) -> np.ndarray:
    """The same numbers in fewer bytes: whole ones in the smallest type that holds them, losses in float32."""
    is_whole = np.issubdtype(array.dtype, np.integer)
    return array.astype(np.min_scalar_type(int(array.max())) if is_whole else np.float32)


def write(path: Path, content: str | bytes) -> None:
    """Write a file completely or not at all."""
    draft = path.with_name(f".{path.name}")
    # One that a killed process left, or a link, which must not be written through.
    draft.unlink(missing_ok=True)
    try:
        with open(draft, "xb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
