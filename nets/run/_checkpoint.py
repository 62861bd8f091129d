"""Checkpoints of a run: the network, its optimizer and where the run stands, of which the best and the last two are kept."""

import shutil
import sys
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import absl.logging
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp


@dataclass
class Progress:
    """Position and running sums of a run; with the seed, it says what comes next.

    The order of an epoch's rows follows from the seed and the epoch, and the keys of a step from the seed and the step,
    so a position is a number.

    Arguments:
        step: steps taken.
        epoch: epochs that were trained and validated.
        seen, lately: sums of loss, right answers and rows, over this epoch until the last line of metrics.jsonl, and since.
        best: of the epoch with the best validation: its number, accuracy, loss and checkpoint.
        stopped: no better epoch came for as long as the run was to wait.
        lines: lines of metrics.jsonl.
        seconds: time that the run has taken, over all its starts.
    """

    step: int = 0
    epoch: int = 0
    seen: list[float] = field(default_factory=lambda: [0.0] * 3)
    lately: list[float] = field(default_factory=lambda: [0.0] * 3)
    best: dict[str, Any] | None = None
    stopped: bool = False
    lines: int = 0
    seconds: float = 0.0

    @property
    def number(self) -> int:
        """The number of a checkpoint here: before and after the validation of an epoch there are two."""
        return self.step + self.epoch

    def validated(self, accuracy: float, loss: float, patience: int | None) -> bool:
        """Count an epoch; True if it is the best so far, of equal accuracies the one of lower loss."""
        self.epoch += 1
        better = self.best is None or (accuracy, -loss) > (self.best["accuracy"], -self.best["loss"])
        if better:
            self.best = {"epoch": self.epoch, "accuracy": accuracy, "loss": loss, "checkpoint": self.number}
        self.stopped = patience is not None and self.epoch - self.best["epoch"] >= patience
        return better

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON values, which give the same numbers back."""
        return asdict(self)


Arrays = dict[str, np.ndarray]


class Checkpoints:
    """The folder checkpoints/ of a run.

    Writing goes on beside training, and what is not whole is never taken for a checkpoint.

    Arguments:
        folder: of the run.
        writer: this process writes.
        reader: this process reads, if it does not write.
    """

    def __init__(self, folder: Path, writer: bool = True, reader: bool = False):
        self.folder = Path(folder).absolute() / "checkpoints"
        self.writer = writer
        # What orbax would log of a failure beside training is raised, as one message.
        absl.logging.set_verbosity(absl.logging.FATAL)
        self.kept = Kept()
        self.manager = _manager(self.folder, self.kept if writer else None) if writer or reader else None

    def save(self, state: Any, progress: Progress) -> None:
        """Save (model, optimizer) as it is now; returns when it has been copied.

        Raises:
            FloatingPointError: a number that is not finite; nothing is written.
            OSError: this or an earlier checkpoint could not be written.
        """
        if not self.writer or progress.number in self.manager.all_steps():
            return
        arrays = [named(part, copy=True) for part in (state[0], state[1])]
        for name, array in (item for part in arrays for item in part.items()):
            if array.dtype.kind in "fc" and not np.isfinite(array).all():
                raise FloatingPointError(f"{name} stopped being finite by step {progress.step}.")
        about = progress.as_json() | {"checksum": checksum(arrays)}
        items = {
            name: ocp.args.StandardSave(part)
            for name, part in zip(("model", "optimizer"), arrays, strict=True)
        }
        self.kept.best = progress.best and progress.best["checkpoint"]
        with _told(self.folder):
            self.manager.save(
                progress.number,
                args=ocp.args.Composite(**items, progress=ocp.args.JsonSave(about)),
                force=True,
            )

    def check(self) -> None:
        """Raise what went wrong beside training.

        Raises:
            OSError: a checkpoint could not be written.
        """
        if self.writer:
            with _told(self.folder):
                self.manager.check_for_errors()

    def wait(self) -> None:
        """Return when everything is written.

        Raises:
            OSError: a checkpoint could not be written.
        """
        if self.writer:
            with _told(self.folder):
                self.manager.wait_until_finished()

    def latest(self) -> tuple[Sequence[Arrays], Progress] | None:
        """Arrays of model and optimizer and where the run stood, from the last checkpoint that can be read; None without any.

        What cannot be read is told and set aside, into unreadable/ of the run.

        Raises:
            ValueError: there are checkpoints, but none can be read.
        """
        numbers = sorted(self.manager.all_steps(), reverse=True)
        for number in numbers:
            try:
                found = self.read(number)
            except ValueError as error:
                print(f"{error}; going back to the checkpoint before it", file=sys.stderr)
                if self.writer:
                    aside = self.folder.with_name("unreadable")
                    aside.mkdir(exist_ok=True)
                    shutil.rmtree(aside / str(number), ignore_errors=True)
                    (self.folder / str(number)).rename(aside / str(number))
                continue
            self.manager.reload()
            return found
        if numbers:
            raise ValueError(
                f"`out`: no checkpoint of {self.folder.parent} can be read; name another folder to start again."
            )
        return None

    def read(self, number: int) -> tuple[Sequence[Arrays], Progress]:
        """Arrays of model and optimizer, and where the run stood.

        Raises:
            ValueError: the checkpoint is not there, or not whole.
        """
        names = ("model", "optimizer")
        try:
            items = {name: ocp.args.StandardRestore() for name in names}
            found = self.manager.restore(
                number, args=ocp.args.Composite(**items, progress=ocp.args.JsonRestore())
            )
            parts, about = [dict(found[name]) for name in names], dict(found["progress"])
            whole = checksum(parts) == about.pop("checksum")
            progress = Progress(**about)
        # Whatever the bytes lead to: orbax and tensorstore promise no kind of error.
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            raise ValueError(
                f"{self.folder / str(number)} cannot be read ({type(error).__name__}: {first[:200]})"
            ) from None
        if not whole:
            raise ValueError(f"{self.folder / str(number)} cannot be read (its checksum is another one)")
        return parts, progress

    def close(self) -> None:
        """Let everything be written, and end the threads."""
        if self.writer:
            with _told(self.folder):
                self.manager.close()


class Kept:
    """Which checkpoints are kept: the best, and the last two."""

    def __init__(self):
        self.best: int | None = None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """For each checkpoint, in the order of their numbers, whether it is."""
        return [i >= len(checkpoints) - 2 or one.step == self.best for i, one in enumerate(checkpoints)]


class _told:
    """Whatever goes wrong in writing, as an OSError that says what is left."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, FloatingPointError):
            whole = sorted(
                int(path.parent.name)
                for path in self.folder.glob("*/_CHECKPOINT_METADATA")
                if path.parent.name.isdigit()
            )
            text = str(error)
            full = "No space left on device" in text or "RESOURCE_EXHAUSTED" in text
            reason = "No space left on device" if full else (text.splitlines() or [""])[0][:200]
            raise OSError(
                f"a checkpoint could not be written to {self.folder} ({reason}); put that right, then continue with the same "
                + (
                    f"command: checkpoint {whole[-1]} is whole."
                    if whole
                    else "command: there was none before."
                )
            ) from error


def best(folder: Path) -> Arrays:
    """The network of a run as it was after its best epoch so far: arrays by the names that `named` gives them.

    Raises:
        ValueError: there is no such network, or it cannot be read.
    """
    saved = Checkpoints(folder, writer=False, reader=True)
    found = saved.latest() if saved.folder.is_dir() else None
    if found is None or found[1].best is None:
        raise ValueError(
            f"{folder} has no checkpoint of a whole epoch; train there first: python -m nets.train --out {folder}."
        )
    return saved.read(found[1].best["checkpoint"])[0][0]


def _manager(folder: Path, kept: Kept | None) -> ocp.CheckpointManager:
    if kept is None:
        return ocp.CheckpointManager(
            folder, options=ocp.CheckpointManagerOptions(read_only=True, save_interval_steps=0, create=False)
        )
    folder.mkdir(parents=True, exist_ok=True)
    # One process of a run writes, and waits for no other.
    alone = ocp.options.MultiprocessingOptions(
        primary_host=0, active_processes={0} if jax.process_count() > 1 else None
    )
    options = ocp.CheckpointManagerOptions(
        preservation_policy=kept, create=False, cleanup_tmp_directories=True, multiprocessing_options=alone
    )
    return ocp.CheckpointManager(folder, options=options)


def named(part: Any, copy: bool = False) -> Arrays:
    """The arrays of a state by their path, such as "blocks.0.norm1.scale"; copied if they are to outlive a step."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(part):
        found[path_name(path)] = np.array(leaf) if copy else np.asarray(leaf)
    return found


def path_name(path: Sequence[Any]) -> str:
    """A path of a pytree, in words."""
    keys = (getattr(entry, "key", getattr(entry, "idx", getattr(entry, "name", entry))) for entry in path)
    return ".".join(str(key) for key in keys if str(key) != "value")


def filled(part: Any, arrays: Arrays) -> Any:
    """The same state with the arrays of these names.

    Raises:
        ValueError: names or shapes are not those of the state.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(part)
    wanted = {path_name(path): leaf.shape for path, leaf in leaves}
    came = {name: array.shape for name, array in arrays.items()}
    if wanted != came:
        odd = sorted(wanted.items() ^ came.items())
        raise ValueError(f"`out`: the checkpoint is of another network; {odd[0][0]} differs.")
    return jax.tree_util.tree_unflatten(
        structure, [jnp.asarray(arrays[path_name(path)]) for path, _ in leaves]
    )


def checksum(parts: Sequence[Arrays]) -> int:
    """CRC-32 of all arrays in the order of their names."""
    total = 0
    for part in parts:
        for name in sorted(part):
            total = zlib.crc32(np.ascontiguousarray(part[name]).data, total)
    return total
