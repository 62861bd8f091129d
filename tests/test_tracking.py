"""Runs that are also logged to a tracking program: each number once, over interruptions; failures cost
nothing.
"""

import importlib.util
import json
import os
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import nets
from nets import train
from nets.config import Config, as_config, as_json
from nets.run import RunFolder, _sinks
from tests.helpers import with_slow
from tests.helpers_nets import lines

ROOT = Path(__file__).parents[1]
SMALL = dict(device="none", heads=1, kernel=(3, 3), epochs=2, batch_size=128, patch=4, test=False)
# One of two starts of a run: the first is interrupted, or killed, after its second line, of which a
# checkpoint knows the first; the other finishes it.
START = """
import os, sys
from pathlib import Path
from nets.run._sinks import Tracker

name, folder, part = sys.argv[1:]
first = {"step": 10, "train_loss": 0.75}
lost = {"step": 20, "train_loss": 0.5}
end = {"epoch": 1, "step": 30, "train_loss": 0.25, "validation_loss": 1.5}
tracker = Tracker(name)
tracker.start(Path(folder), [first] if part == "second" else [])
for line in [lost, end, {"test_accuracy": 0.875}] if part == "second" else [first, lost]:
    tracker.log(line)
if part == "killed":
    os._exit(9)
tracker.finish(part == "second")
"""
EXPECTED = {
    "train_loss": [(10, 0.75), (20, 0.5), (30, 0.25)],
    "validation_loss": [(30, 1.5)],
    "epoch": [(30, 1.0)],
    "test_accuracy": [(30, 0.875)],
}


class Memory:
    """A sink that keeps what it is given."""

    module = "json"
    settles = 0.0
    runs: dict = {}  # noqa: RUF012

    def __init__(self, library):
        self.ends = []

    def start(self, name, config, folder):
        self.run = self.runs.setdefault(name, {"config": config, "numbers": [], "ends": []})

    def log(self, step, numbers):
        self.run["numbers"].append((step, dict(numbers)))

    def finish(self, is_complete):
        self.run["ends"].append(is_complete)


class Failing(Memory):
    """A sink whose server is lost after five lines."""

    def log(self, step, numbers):
        if len(self.run["numbers"]) == 5:
            raise ConnectionError("the server\nis gone")
        super().log(step, numbers)


@pytest.fixture
def memory(monkeypatch):
    monkeypatch.setattr(Memory, "runs", {})
    monkeypatch.setitem(_sinks.SINKS, "wandb", Memory)
    monkeypatch.setitem(_sinks.SINKS, "mlflow", Failing)
    return Memory.runs


def fit(out, log_to=None, stop_after=None, **options):
    """Train a small network; `stop_after` interrupts it after so many lines."""
    seen = []

    def observe(line):
        seen.append(line)
        return len(seen) == stop_after

    config = Config(out=out, log_to=log_to, progress=False, **SMALL | options)
    try:
        nets.fit(config, observe)
    except KeyboardInterrupt:
        assert stop_after is not None


def numbers_of(folder):
    """What a sink is to have of a run: every number of its lines, by step."""
    step, expected = 0, []
    for line in lines(folder):
        step = line.get("step", step)
        expected.append((step, {name: value for name, value in line.items() if name != "step"}))
    return expected


def test_a_run_is_one_run_over_its_starts_and_the_same_with_and_without_a_sink(memory, tmp_path, capsys):
    plain, tracked, lost = (tmp_path / name for name in ("plain", "tracked", "lost"))
    fit(plain)
    fit(tracked, "wandb", stop_after=20)
    fit(tracked, "wandb")
    (run,) = memory.values()
    assert run["numbers"] == numbers_of(tracked) and run["ends"] == [False, True]
    assert run["config"]["seed"] == 0 and run["config"]["data_fingerprint"]
    capsys.readouterr()
    # A sink that fails is left out once, in one line, and the run is what it would have been.
    fit(lost, "mlflow", stop_after=20)
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert (
        len(warned) == 1
        and "mlflow takes no more numbers of this run (ConnectionError: the server is gone" in warned[0]
    )
    # The other one has nothing of that run yet, and is given what the folder holds.
    fit(lost, "wandb")
    assert list(memory.values())[1]["numbers"][5:] == numbers_of(lost)
    for folder in (tracked, lost):
        assert [line for line in map(without_time, lines(folder))] == [*map(without_time, lines(plain))]
    # It finished: the command does nothing more, and a sink is not asked for.
    fit(tracked, "trackio")


def without_time(line):
    return {name: value for name, value in line.items() if name != "seconds"}


def test_a_damaged_state_begins_anew(memory, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for text in ("", "[1]", '{"name": 3}', '{"name": "a", "wandb": "b"}', "[" * 10_000, '{"wandb": 9}'):
        (tmp_path / "tracking.json").write_text(text)
        tracker = _sinks.Tracker("wandb")
        tracker.start(tmp_path, [{"step": 1, "train_loss": 0.5}])
        tracker.finish(True)
        assert json.loads((tmp_path / "tracking.json").read_text())["wandb"] == 1
    assert len(memory) == 6


def test_a_sink_that_cannot_start_costs_nothing(memory, monkeypatch, tmp_path, capsys):
    def start(self, name, config, folder):
        raise PermissionError("no account")

    monkeypatch.setattr(Memory, "start", start)
    (tmp_path / "config.json").write_text("{}")
    tracker = _sinks.Tracker("wandb")
    tracker.start(tmp_path, [])
    tracker.log({"step": 1, "train_loss": 0.5})
    tracker.finish(True)
    assert capsys.readouterr().err.count("no account") == 1


@pytest.mark.parametrize("name", _sinks.SINKS)
def test_a_missing_library_is_asked_for_before_anything_is_written(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, _sinks.SINKS[name].module, None)
    with pytest.raises(ValueError, match=rf'`log_to` {name} needs .* pip install "lensformer\[{name}\]"'):
        nets.fit(Config(out=tmp_path / "run", log_to=name, **SMALL))
    assert not (tmp_path / "run").exists()


def test_a_broken_library_is_named(tmp_path, monkeypatch):
    (tmp_path / "wandb.py").write_text("raise TypeError('Descriptors cannot be created directly')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(ValueError, match=r"cannot be imported .TypeError: Descriptors"):
        _sinks.make_sink("wandb")


def test_the_flag_that_was_there_before(tmp_path, capsys):
    assert as_config({"tensorboard": True}).log_to == "tensorboard"
    assert as_config({"tensorboard": False}).log_to is None
    (tmp_path / "config.json").write_text(json.dumps(as_json(Config()) | {"tensorboard": False}))
    assert "tensorboard" not in RunFolder(tmp_path).facts()
    assert train.main(["--tensorboard"]) == 2
    assert "--tensorboard has another form now: --log-to tensorboard." in capsys.readouterr().err


def read_wandb(folder):
    """The numbers in the files of offline runs: records of LevelDB's log, each a message of protobuf."""
    proto = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    values, names = {}, set()
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        data, at = path.read_bytes(), 7
        while at + 7 <= len(data):
            size, kind = struct.unpack("<HB", data[at + 4 : at + 7])
            assert kind == 1  # a whole record
            record = proto.Record.FromString(data[at + 7 : at + 7 + size])
            at += 7 + size
            if record.run.run_id:
                names.add(record.run.run_id)
            items = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
            for key, value in items.items():
                if key[0] != "_":
                    values.setdefault(key, []).append((items["_step"], value))
    return names, values


def read_mlflow(folder):
    database = sqlite3.connect(folder / "mlflow.db")
    names = {row[0] for row in database.execute("SELECT run_uuid FROM runs WHERE status = 'FINISHED'")}
    values = {}
    for key, step, value in database.execute("SELECT key, step, value FROM metrics ORDER BY step"):
        values.setdefault(key, []).append((step, value))
    assert dict(database.execute("SELECT key, value FROM params")) == {"data": "digits", "kernel": "[3, 3]"}
    return names, values


def read_trackio(folder):
    database = sqlite3.connect(folder / "trackio" / "lensformer.db")
    names, values = set(), {}
    for name, step, text in database.execute("SELECT run_name, step, metrics FROM metrics ORDER BY step"):
        names.add(name)
        for key, value in json.loads(text).items():
            values.setdefault(key, []).append((step, value))
    return names, values


def read_tensorboard(folder):
    """Events in TFRecord frames: length, checksum, message, checksum."""
    event = pytest.importorskip("tensorboardX.proto.event_pb2").Event
    values = {}
    for path in sorted((folder / "tensorboard").glob("events*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack("<Q", data[at : at + 8])
            message = event.FromString(data[at + 12 : at + 12 + size])
            at += 16 + size
            for value in message.summary.value:
                values.setdefault(value.tag, []).append((message.step, value.simple_value))
    return {"one"}, values


@pytest.mark.parametrize("first", with_slow(["interrupted", "killed"], ["interrupted"]))
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("wandb", read_wandb),
        ("mlflow", read_mlflow),
        ("trackio", read_trackio),
        ("tensorboard", read_tensorboard),
    ],
)
def test_each_program_holds_each_number(name, read, first, tmp_path):
    """Offline, read back from its own files; in processes of their own, for what it imports and warns of.
    Each number is there once, or at least once after a kill.
    """
    library = _sinks.SINKS[name].module
    if importlib.util.find_spec(library) is None:
        pytest.skip(f'{library} is not installed: pip install "lensformer[{name}]"')
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"data": "digits", "kernel": [3, 3]}))
    settings = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "WANDB_MODE": "offline",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TRACKIO_DIR": str(folder / "trackio"),
    }
    for part in (first, "second"):
        command = [sys.executable, "-c", START, name, str(folder), part]
        process = subprocess.run(
            command, env=os.environ | settings, capture_output=True, text=True, timeout=240, cwd=tmp_path
        )
        assert process.returncode == (9 if part == "killed" else 0), process.stderr[-2000:]
        assert "warning: " not in process.stderr, process.stderr[-2000:]
        assert process.stdout == ""  # it is for the result of the run
    names, values = read(folder)
    assert len(names) == 1
    if first == "killed":
        values = {key: sorted(set(pairs)) for key, pairs in values.items()}
    assert {key: values[key] for key in EXPECTED} == EXPECTED
