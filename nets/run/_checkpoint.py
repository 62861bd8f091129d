"""Checkpoints of a run: the network, its optimizer and the state of the run. The best and the last two are
kept."""

import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import absl.logging
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

from nets.config import next_free_folder
from optics._files import read_text

Arrays = dict[str, np.ndarray]  # by path, such as "blocks.0.norm1.scale"
PARTS = ("model", "optimizer")
RECORD_BYTES = 2**20  # of the JSON beside the arrays
# Names that fields of `RunState` have in older checkpoints.
OLD_FIELDS = {"seen": "epoch_sums", "lately": "recent_sums"}


@dataclass
class RunState:
    """How far a run is. With the seed, it determines all that follows.

    The order of an epoch's rows follows from the seed and the epoch, and the keys of a step from the seed and
    the step.

    Arguments:
        step: steps taken.
        epoch: epochs trained and validated.
        epoch_sums: sums of loss, correct rows and rows in this epoch, up to the last line of metrics.jsonl.
        recent_sums: the same sums since that line.
        best: epoch, accuracy, loss and checkpoint of the epoch with the best validation.
        stopped: the run ended early, by its patience.
        lines: lines of metrics.jsonl.
        lines_checksum: CRC-32 of these lines; None in older checkpoints.
        seconds: duration of the run, over all its starts.
    """

    step: int = 0
    epoch: int = 0
    epoch_sums: list[float] = field(default_factory=lambda: [0.0] * 3)
    recent_sums: list[float] = field(default_factory=lambda: [0.0] * 3)
    best: dict[str, Any] | None = None
    stopped: bool = False
    lines: int = 0
    lines_checksum: int | None = None
    seconds: float = 0.0

    @property
    def checkpoint_id(self) -> int:
        """The number of a checkpoint of this state; it differs before and after the validation of an
        epoch."""
        return self.step + self.epoch

    def add_epoch(
        self, accuracy: float, loss: float, patience: int | None, best_by: str = "accuracy"
    ) -> bool:
        """Count a validated epoch, and return whether it is the best one.

        Arguments:
            accuracy, loss: of the validation.
            patience: epochs without a better one after which the run stops; None never stops it.
            best_by: "accuracy", where the lower loss decides between equal ones, or "loss".
        """
        self.epoch += 1

        def rank(accuracy, loss):
            return (accuracy, -loss) if best_by == "accuracy" else (-loss,)

        better = self.best is None or rank(accuracy, loss) > rank(self.best["accuracy"], self.best["loss"])
        if better:
            self.best = {
                "epoch": self.epoch,
                "accuracy": accuracy,
                "loss": loss,
                "checkpoint": self.checkpoint_id,
            }
        self.stopped = patience is not None and self.epoch - self.best["epoch"] >= patience
        return better


class Checkpoints:
    """The folder checkpoints/ of a run.

    Checkpoints are written in the background; an incomplete one is never read.

    Arguments:
        folder: of the run.
        writer: this process writes.
        reader: this process reads, if it does not write.
    """

    def __init__(self, folder: Path, writer: bool = True, reader: bool = False):
        self.folder = Path(folder).absolute() / "checkpoints"
        self.writer = writer
        # Failures in the background are raised, as one message; orbax would log them too.
        absl.logging.set_verbosity(absl.logging.FATAL)
        self.policy = BestAndLastTwo()
        self.manager = _manager(self.folder, self.policy if writer else None) if writer or reader else None

    def save(self, arrays: Any, state: RunState) -> None:
        """Save (model, optimizer) and the state of the run; returns when they are copied.

        Raises:
            FloatingPointError: a number is not finite; nothing is written.
            OSError: this or an earlier checkpoint could not be written.
        """
        if not self.writer or state.checkpoint_id in self.manager.all_steps():
            return
        parts = [named_arrays(part, copy=True) for part in (arrays[0], arrays[1])]
        for name, array in (item for part in parts for item in part.items()):
            if array.dtype.kind in "fc" and not np.isfinite(array).all():
                raise FloatingPointError(f"{name} stopped being finite by step {state.step}.")
        items = {name: ocp.args.StandardSave(part) for name, part in zip(PARTS, parts, strict=True)}
        values = asdict(state)
        values |= {"checksum": checksum(parts), "state_checksum": state_checksum(values)}
        self.policy.best = state.best and state.best["checkpoint"]
        with _write_errors(self.folder):
            self.manager.save(
                state.checkpoint_id,
                args=ocp.args.Composite(**items, progress=ocp.args.JsonSave(values)),
                force=True,
            )

    def check_errors(self) -> None:
        """Raise an error of the background.

        Raises:
            OSError: a checkpoint could not be written.
        """
        self._call("check_for_errors")

    def wait(self) -> None:
        """Return when everything is written.

        Raises:
            OSError: a checkpoint could not be written.
        """
        self._call("wait_until_finished")

    def close(self) -> None:
        """Finish writing, and end the threads."""
        self._call("close")

    def latest(self) -> tuple[Sequence[Arrays], RunState] | None:
        """Arrays of model and optimizer, and the state of the run, of the last readable checkpoint; None
        without any.

        A checkpoint that cannot be read is reported and moved to unreadable/ of the run.

        Raises:
            ValueError: there are checkpoints, but none can be read.
        """
        numbers = sorted(self.manager.all_steps(), reverse=True)
        for number in numbers:
            try:
                checkpoint = self.read(number)
            except ValueError as error:
                print(f"{error}; going back to the checkpoint before it", file=sys.stderr)
                if self.writer:
                    self._move_aside(number)
                continue
            self.manager.reload()
            return checkpoint
        if numbers:
            raise ValueError(
                f"`out`: no checkpoint of {self.folder.parent} can be read; name another folder to start "
                "again."
            )
        return None

    def read(self, number: int) -> tuple[Sequence[Arrays], RunState]:
        """Arrays of model and optimizer, and the state of the run.

        Raises:
            ValueError: the checkpoint does not exist, or is damaged.
        """
        try:
            items = {name: ocp.args.StandardRestore() for name in PARTS}
            restored = self.manager.restore(
                number, args=ocp.args.Composite(**items, progress=ocp.args.JsonRestore())
            )
            parts, values = [dict(restored[name]) for name in PARTS], dict(restored["progress"])
            intact = checksum(parts) == values["checksum"]
            state = as_state(values, number)
        # Damaged bytes can raise anything: orbax and tensorstore promise no kind of error.
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            raise ValueError(
                f"{self.folder / str(number)} cannot be read ({type(error).__name__}: {first[:200]})"
            ) from None
        if not intact:
            raise ValueError(f"{self.folder / str(number)} cannot be read (its checksum does not match)")
        return parts, state

    def _move_aside(self, number: int) -> None:
        aside = self.folder.with_name("unreadable")
        if aside.is_symlink():
            raise ValueError(f"`out`: {aside} must be a folder of the run, not a link; remove it.")
        aside.mkdir(exist_ok=True)
        (self.folder / str(number)).rename(next_free_folder(aside / str(number)))

    def _call(self, method: str) -> None:
        if self.writer:
            with _write_errors(self.folder):
                getattr(self.manager, method)()


class BestAndLastTwo:
    """Which checkpoints orbax keeps: the best, and the last two."""

    def __init__(self):
        self.best: int | None = None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """For each checkpoint, in the order of their numbers, whether it is kept."""
        return [
            i >= len(checkpoints) - 2 or checkpoint.step == self.best
            for i, checkpoint in enumerate(checkpoints)
        ]


@contextmanager
def _write_errors(folder: Path) -> Iterator[None]:
    """Turn any error of writing into an OSError that says which checkpoint is intact."""
    try:
        yield
    except FloatingPointError:
        raise
    except Exception as error:
        intact = sorted(
            int(path.parent.name)
            for path in folder.glob("*/_CHECKPOINT_METADATA")
            if path.parent.name.isdigit()
        )
        text = str(error)
        full = "No space left on device" in text or "RESOURCE_EXHAUSTED" in text
        reason = "No space left on device" if full else (text.splitlines() or [""])[0][:200]
        last = f"checkpoint {intact[-1]} is whole." if intact else "there was none before."
        raise OSError(
            f"a checkpoint could not be written to {folder} ({reason}); put that right, then continue with "
            "the same "
            f"command: {last}"
        ) from error


def as_state(values: dict[str, Any], number: int) -> RunState:
    """The state of the run from what the checkpoint of this number recorded.

    Raises:
        ValueError: the record is damaged.
    """
    sums = {"checksum", "state_checksum"}
    fields = {OLD_FIELDS.get(name, name): value for name, value in values.items() if name not in sums}
    state = RunState(**fields)
    # Older checkpoints have no sum of their state.
    expected = values.get("state_checksum")
    if state.checkpoint_id != number or expected not in (None, state_checksum(fields)):
        raise ValueError("its record does not match its checksum or its number")
    return state


def read_state(folder: Path) -> RunState | None:
    """The state of the last checkpoint of a run whose record can be read, without its arrays; None without
    any.
    """
    finished = (path.parent for path in (folder / "checkpoints").glob("*/_CHECKPOINT_METADATA"))
    for number in sorted((int(path.name) for path in finished if path.name.isdigit()), reverse=True):
        try:
            text = read_text(folder / "checkpoints" / str(number) / "progress" / "metadata", RECORD_BYTES)
            return as_state(json.loads(text), number)
        # A record is of any kind after damage.
        except (ValueError, TypeError, AttributeError, OSError, RecursionError):
            continue
    return None


def load_best(folder: Path) -> Arrays:
    """The arrays of the network of a run after its best epoch so far, by path.

    Raises:
        ValueError: there is no such network, or it cannot be read.
    """
    checkpoints = Checkpoints(folder, writer=False, reader=True)
    latest = checkpoints.latest() if checkpoints.folder.is_dir() else None
    if latest is None or latest[1].best is None:
        raise ValueError(
            f"{folder} has no checkpoint of a whole epoch; train there first: python -m nets.train --out "
            f"{folder}."
        )
    return checkpoints.read(latest[1].best["checkpoint"])[0][0]


def load_weights(model: nnx.Module, folder: Path) -> None:
    """Give a network the weights and statistics of the best epoch of a run.

    Raises:
        ValueError: there are none, or they belong to another network.
    """
    nnx.update(model, with_arrays(nnx.state(model), load_best(folder)))


def load_body(model: nnx.Module, folder: Path) -> None:
    """Give a network the embedding, the blocks and the last norm of the language model of a run, after its
    best epoch. The classes of a classifier stay new; of positions it takes the first.

    Raises:
        ValueError: there is no such network, or it has other layers.
    """
    best, state = load_best(folder), nnx.state(model)
    own = named_arrays(state)
    positions = "embedding.positions.embedding"
    if positions in own and positions in best:
        best[positions] = best[positions][: len(own[positions])]
    new = {name: array for name, array in own.items() if name.startswith("classes.")}
    nnx.update(model, with_arrays(state, best | new))


def named_arrays(state: Any, copy: bool = False) -> Arrays:
    """The arrays of a state by path; copied if they have to outlive a step."""
    convert = np.array if copy else np.asarray
    return {path_name(path): convert(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)}


def with_arrays(state: Any, arrays: Arrays) -> Any:
    """The state with these arrays in place of its own.

    Raises:
        ValueError: paths or shapes differ from those of the state.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(state)
    expected = {path_name(path): leaf.shape for path, leaf in leaves}
    shapes = {name: array.shape for name, array in arrays.items()}
    if expected != shapes:
        different = sorted(expected.items() ^ shapes.items())
        raise ValueError(f"the checkpoint is of another network: {different[0][0]} differs.")
    return jax.tree_util.tree_unflatten(
        structure, [jnp.asarray(arrays[path_name(path)]) for path, _ in leaves]
    )


def path_name(path: Sequence[Any]) -> str:
    """The path of a leaf, with dots."""
    keys = (getattr(entry, "key", getattr(entry, "idx", getattr(entry, "name", entry))) for entry in path)
    return ".".join(str(key) for key in keys if str(key) != "value")


def checksum(parts: Sequence[Arrays]) -> int:
    """CRC-32 of all arrays in the order of their names."""
    total = 0
    for part in parts:
        for name in sorted(part):
            total = zlib.crc32(np.ascontiguousarray(part[name]).data, total)
    return total


def state_checksum(values: dict[str, Any]) -> int:
    """CRC-32 of the fields of a `RunState`."""
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())


def _manager(folder: Path, policy: BestAndLastTwo | None) -> ocp.CheckpointManager:
    if policy is None:
        return ocp.CheckpointManager(
            folder, options=ocp.CheckpointManagerOptions(read_only=True, save_interval_steps=0, create=False)
        )
    folder.mkdir(parents=True, exist_ok=True)
    # One process of a run writes, and does not wait for the others.
    one_process = ocp.options.MultiprocessingOptions(
        primary_host=0, active_processes={0} if jax.process_count() > 1 else None
    )
    options = ocp.CheckpointManagerOptions(
        preservation_policy=policy,
        create=False,
        cleanup_tmp_directories=True,
        multiprocessing_options=one_process,
    )
    return ocp.CheckpointManager(folder, options=options)
