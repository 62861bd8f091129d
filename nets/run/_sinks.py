"""Pass the lines of a run on to a tracking program; the folder of the run stays the truth."""

import importlib
import json
import math
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from os import environ
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from optics._files import read_text

PROJECT = "lensformer"  # what runs are listed under, unless the environment names something else
# In the folder of the run: the name by which programs know it, and how many lines each of them has taken.
STATE_FILE = "tracking.json"
STATE_BYTES = 2**16


@runtime_checkable
class Sink(Protocol):
    """A tracking program, as a run sees it.

    Attributes:
        module: what it is imported as.
        settles: seconds after which what it has taken outlives the death of this process; infinite if that
            needs `finish`.
    """

    module: str
    settles: float

    def start(self, name: str, config: Mapping[str, Any], folder: Path) -> None:
        """Begin, or continue the run of that name.

        Arguments:
            name: the same at every start of a run, and of no other run.
            config: the content of config.json.
            folder: of the run.
        """

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take the numbers of a step, by name."""

    def finish(self, is_complete: bool) -> None:
        """End; `is_complete` is false for a run that was interrupted or failed."""


class WandbSink:
    """Weights & Biases: its environment variables choose offline or online, project and account."""

    module = "wandb"
    settles = math.inf  # it writes files in blocks

    def __init__(self, wandb: Any):
        self.wandb = wandb

    def start(self, name: str, config: Mapping[str, Any], folder: Path) -> None:
        """See `Sink`."""
        self.run = self.wandb.init(
            project=environ.get("WANDB_PROJECT", PROJECT),
            id=name,
            name=folder.name,
            dir=str(folder),
            config=dict(config),
            resume="allow",
            # The program keeps its own standard output, which holds the result.
            settings=self.wandb.Settings(console="off"),
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """See `Sink`."""
        # The step of a run that goes on is one after the last that the server has. Of that last one there may
        # be more to come; earlier ones it has.
        if step >= self.run.step - 1:
            self.run.log(dict(numbers), step=max(step, self.run.step))

    def finish(self, is_complete: bool) -> None:
        """See `Sink`."""
        self.run.finish(exit_code=0 if is_complete else 1)


class MlflowSink:
    """MLflow: the store is that of MLFLOW_TRACKING_URI, or the one that MLflow uses in this folder."""

    module = "mlflow"
    settles = 0.0

    def __init__(self, mlflow: Any):
        self.mlflow = mlflow

    def start(self, name: str, config: Mapping[str, Any], folder: Path) -> None:
        """See `Sink`."""
        self.client = self.mlflow.MlflowClient()
        group = environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self.client.get_experiment_by_name(group)
        place = self.client.create_experiment(group) if experiment is None else experiment.experiment_id
        earlier = self.client.search_runs([place], f"tags.{PROJECT} = '{name}'")
        if earlier:
            self.run = earlier[0].info.run_id
            self.client.update_run(self.run, status="RUNNING")
            return
        self.run = self.client.create_run(place, run_name=folder.name, tags={PROJECT: name}).info.run_id
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        # The longest text that a parameter may be.
        params = [self.mlflow.entities.Param(key, text[:6000]) for key, text in texts.items()]
        for i in range(0, len(params), 100):
            self.client.log_batch(self.run, params=params[i : i + 100])

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """See `Sink`."""
        now = time.time_ns() // 10**6
        metrics = [self.mlflow.entities.Metric(key, value, now, step) for key, value in numbers.items()]
        self.client.log_batch(self.run, metrics=metrics)

    def finish(self, is_complete: bool) -> None:
        """See `Sink`."""
        self.client.set_terminated(self.run, "FINISHED" if is_complete else "KILLED")


class TrackioSink:
    """Trackio: a database on this machine, which `trackio show` displays."""

    module = "trackio"
    settles = 5.0  # a thread writes every half second

    def __init__(self, trackio: Any):
        self.trackio = trackio

    def start(self, name: str, config: Mapping[str, Any], folder: Path) -> None:
        """See `Sink`."""
        name = f"{folder.name}-{name}"
        self.run = self.trackio.init(PROJECT, name=name, config=dict(config), resume="allow", embed=False)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """See `Sink`."""
        self.run.log(dict(numbers), step=step)

    def finish(self, is_complete: bool) -> None:
        """See `Sink`."""
        self.trackio.finish()  # of the run alone would be done again at exit


class TensorboardSink:
    """Event files in tensorboard/ of the run, which TensorBoard reads."""

    module = "tensorboardX"
    settles = 5.0  # a thread writes every second, as asked for below

    def __init__(self, tensorboard: Any):
        self.make_writer = tensorboard.SummaryWriter

    def start(self, name: str, config: Mapping[str, Any], folder: Path) -> None:
        """See `Sink`."""
        # Two starts within a second would have one file.
        suffix = f".{time.time_ns()}"
        self.writer = self.make_writer(str(folder / "tensorboard"), flush_secs=1, filename_suffix=suffix)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """See `Sink`."""
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)

    def finish(self, is_complete: bool) -> None:
        """See `Sink`."""
        self.writer.close()


SINKS: dict[str, Callable[[Any], Sink]] = {
    "wandb": WandbSink,
    "mlflow": MlflowSink,
    "trackio": TrackioSink,
    "tensorboard": TensorboardSink,
}


def make_sink(name: str) -> Sink:
    """The sink of a name.

    Arguments:
        name: of `SINKS`.

    Raises:
        ValueError: its library is not installed, or cannot be imported.
    """
    sink = SINKS[name]
    try:
        return sink(importlib.import_module(sink.module))
    except ModuleNotFoundError:
        reason = "which is not installed"
    # A library that does not fit the others installed can raise anything.
    except Exception as error:
        reason = f"which cannot be imported ({type(error).__name__}: {str(error)[:200]})"
    raise ValueError(
        f'`log_to` {name} needs {sink.module}, {reason}; pip install "lensformer[{name}]", or leave '
        "--log-to out."
    )


class Tracker:
    """Pass the lines of metrics.jsonl on to a sink.

    A sink that fails is left out from there on, with a warning. The next start of the run passes on what it
    has missed, and what was written before there was a sink. Each line is passed on once, unless the process
    is killed: then those of the last seconds may be passed on again.

    Arguments:
        name: of `SINKS`.

    Raises:
        ValueError: as of `make_sink`.
    """

    def __init__(self, name: str):
        self.name, self.sink = name, make_sink(name)
        self.position, self.step = 0, 0  # lines so far, and the step of the last one
        self.unsettled: deque[tuple[float, int]] = deque()  # when lines were passed on, and their positions

    def start(self, folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
        """Begin, or continue a run.

        Arguments:
            folder: of the run, with its config.json.
            lines: those of metrics.jsonl.
        """
        self.file = folder / STATE_FILE
        self.state = {"name": uuid.uuid4().hex[:12]} | _read_state(self.file)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._attempt(lambda sink: sink.start(self.state["name"], config, folder.absolute()))
        for line in lines:
            self.log(line)

    def log(self, line: Mapping[str, Any]) -> None:
        """Pass on the numbers of the next line; one without a step belongs to that of the line before.

        A run that was killed writes the lines since its last checkpoint again, and the sink has them already.
        """
        self.step = line.get("step", self.step)
        self.position += 1
        if self.position > self.state.get(self.name, 0):
            numbers = {key: float(value) for key, value in line.items() if isinstance(value, float | int)}
            numbers.pop("step", None)
            self._attempt(lambda sink: self._pass_on(sink, numbers))

    def finish(self, is_complete: bool) -> None:
        """End; `is_complete` is false for a run that was interrupted or failed."""
        self._attempt(lambda sink: self._end(sink, is_complete))
        self.sink = None

    def _pass_on(self, sink: Sink, numbers: Mapping[str, float]) -> None:
        sink.log(self.step, numbers)
        self.unsettled.append((time.monotonic(), self.position))
        settled = 0
        while self.unsettled and self.unsettled[0][0] <= time.monotonic() - sink.settles:
            settled = self.unsettled.popleft()[1]
        self._store(settled)

    def _end(self, sink: Sink, is_complete: bool) -> None:
        sink.finish(is_complete)
        self._store(self.position)

    def _store(self, position: int) -> None:
        self.state[self.name] = max(position, self.state.get(self.name, 0))
        draft = self.file.with_name(f".{self.file.name}")
        draft.write_text(json.dumps(self.state) + "\n", encoding="utf-8")
        draft.replace(self.file)

    def _attempt(self, act: Callable[[Sink], None]) -> None:
        if self.sink is None:
            return
        try:
            # Standard output is for the result of the run.
            with redirect_stdout(sys.stderr):
                act(self.sink)
        # A library that speaks with a server can raise anything.
        except Exception as error:
            self.sink = None
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            print(
                f"warning: {self.name} takes no more numbers of this run ({reason}); the run goes on, and "
                "metrics.jsonl in its folder has them all",
                file=sys.stderr,
            )


def _read_state(file: Path) -> dict[str, Any]:
    """The state that an earlier start left; empty for none, or for a damaged one, which begins anew."""
    try:
        state = json.loads(read_text(file, STATE_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    is_state = isinstance(state, dict) and isinstance(state.get("name"), str)
    return state if is_state and all(isinstance(state.get(name, 0), int) for name in SINKS) else {}
