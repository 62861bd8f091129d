"""One run over several devices and processes gives the numbers of one device, and ends when a part of it is gone."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nets import train
from nets.config import Config, resolve
from nets.run._checkpoint import Checkpoints, best
from nets.run._distribute import join, layout, slurm_tasks
from tests import reviews
from tests.test_survival import assert_same as identical

ROOT = Path(__file__).parents[1]
# 11 steps an epoch, of which the last has rows of weight 0; every step has its line.
STEPS = dict(heads=1, epochs=2, batch_size=128)
LINEAR = dict(model="linear", shape=(4,), dropout=0.0, **STEPS)
RESNET = dict(model="lambda-resnet", shape=(2, 4), key_depth=2, **STEPS)  # with statistics of batches


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def start(out, run, virtual=1, **more):
    values = run | {"out": out} | more
    arguments = [
        part
        for n, v in values.items()
        for part in (f"--{n.replace('_', '-')}", *map(str, v if isinstance(v, tuple) else (v,)))
    ]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={virtual}",
    }
    command = [sys.executable, "-m", "nets.train", *arguments, "--no-progress", "--cache", "None"]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def together(out, run, virtual=1, **more):
    """Two processes of one run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = f"127.0.0.1:{free.getsockname()[1]}"
    return [start(out, run, virtual, coordinator=meeting, processes=2, process=i, **more) for i in range(2)]


def finish(process):
    try:
        out, error = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, out, error


def assert_same(folder, reference, count=2 * 11 + 3):
    found, wanted = lines(folder), lines(reference)
    assert len(found) == len(wanted) == count
    for one, other in zip(found, wanted, strict=True):
        assert one.keys() == other.keys()
        for name in (name for name in one if "loss" in name):
            assert one[name] == pytest.approx(other[name], abs=1e-5), (one, other)
    a, b = best(folder), best(reference)
    # Taps that lie off the image and a scale before a normalisation have no slope but rounding, which Adam makes large.
    assert (
        max(
            np.abs(a[name] - b[name]).max()
            for name in a
            if "relative" not in name and "value_norm.scale" not in name
        )
        <= 1e-4
    )


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """The folder of a run on one device, trained where it is asked for first."""
    folder = tmp_path_factory.mktemp("single")

    def trained(run):
        out = folder / run["model"]
        if not out.exists():
            train.fit(Config(**run, progress=False, out=out))
        return out

    return trained


def test_eight_devices_give_the_curve_of_one(single, tmp_path):
    process = start(tmp_path / "run", RESNET, 8, devices="all")
    reference = single(RESNET)  # beside it
    status, _, error = finish(process)
    assert status == 0, error
    assert_same(tmp_path / "run", reference)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["shards"] == 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run", "virtual"),
    [(LINEAR, 4), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((LINEAR, 1), (RESNET, 4)))],
)
def test_two_processes_give_the_curve_of_one(run, virtual, single, tmp_path):
    for process in together(tmp_path / "run", run, virtual):
        status, _, error = finish(process)
        assert status == 0, error
    assert_same(tmp_path / "run", single(run))


def test_a_killed_peer_ends_the_run_with_its_last_checkpoint_whole(tmp_path):
    out = tmp_path / "run"
    first, second = together(out, LINEAR | dict(epochs=2000), checkpoint_every=0.0)
    while first.poll() is None and not any((out / "checkpoints").glob("[0-9]*")):
        time.sleep(0.05)
    time.sleep(1)
    second.send_signal(signal.SIGKILL)
    finish(second)
    status, _, error = finish(first)
    last = [line for line in error.splitlines() if line.startswith("error: ")]
    assert status == 2 and len(last) == 1, error
    assert "another process of the run is gone" in last[0] and f"--out {out}" in last[0]
    (model, _), progress = Checkpoints(out, writer=False, reader=True).latest()
    assert "classes.kernel" in model and progress.step > 0


# Lambda layers take the statistics of a batch, here with padding, over the devices.
TEXT = dict(data="imdb", vocabulary=60, epochs=2, batch_size=16, dropout=0.0, progress=False)
LAMBDA = TEXT | dict(model="lambda", shape=(8,), heads=2, key_depth=2, scope=4, length=16)
BUCKETS = TEXT | dict(model="linear", shape=(4,), heads=1, length=12, buckets=True)
# "broken" leaves in its first epoch, and goes on.
ON_TWO = """
import sys
from pathlib import Path
from nets import train
from nets.config import Config
from nets.run._loop import Loop
from tests.test_distribute import BUCKETS, LAMBDA

folder = Path(sys.argv[1])
two = dict(devices=2, data_path=folder / "aclImdb", cache=folder / "cache")
train.fit(Config(**LAMBDA | two, out=folder / "lambda-2"))
train.fit(Config(**BUCKETS | two, accumulate=4, out=folder / "linear-2"))
log = Loop._log

def leaving(loop, bar):
    log(loop, bar)
    if loop.progress.step == 3:
        loop._leave()

Loop._log = leaving
try:
    train.fit(Config(**LAMBDA | two, out=folder / "broken"))
except KeyboardInterrupt:
    Loop._log = log
train.fit(Config(**LAMBDA | two, out=folder / "broken"))
"""


@pytest.mark.slow
def test_two_devices_of_one_process(tmp_path):
    data_path = reviews.write(tmp_path / "aclImdb")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    command = [sys.executable, "-c", ON_TWO, str(tmp_path)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for run in (LAMBDA, BUCKETS):  # beside it
        train.fit(Config(**run, data_path=data_path, out=tmp_path / f"{run['model']}-1"))
    status, _, error = finish(process)
    assert status == 0 and f"continuing {tmp_path / 'broken'} at step 3" in error, error
    identical(tmp_path / "lambda-2", tmp_path / "broken")
    for name in ("lambda", "linear"):
        assert_same(tmp_path / f"{name}-2", tmp_path / f"{name}-1", 2 * 5 + 3)
    one, two = best(tmp_path / "lambda-1"), best(tmp_path / "lambda-2")
    statistics = [name for name in one if name.endswith(("norm.mean", "norm.var"))]
    assert len(statistics) == 4 and all(np.allclose(one[name], two[name], atol=1e-5) for name in statistics)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(coordinator="127.0.0.1:1"), "`processes` is missing"),
        (dict(processes=2, process=0), "`coordinator` is missing"),
        (dict(coordinator="127.0.0.1:1", processes=2, process=2), "`process` must be between 0 and 1, got 2"),
    ],
)
def test_processes_that_cannot_meet(changes, message):
    with pytest.raises(ValueError, match=message):
        join(resolve(Config(**changes)))


def test_devices_that_are_not_there():
    with pytest.raises(ValueError, match="`devices` must be at most the 1 of this machine, got 3"):
        layout(resolve(Config(devices=3)))
    with pytest.raises(ValueError, match="`devices` must be a whole number of at least 1, or all, got 0"):
        resolve(Config(devices=0))


def test_tasks_of_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    assert slurm_tasks() == 1
    for name, value in {"SLURM_PROCID": "1", "SLURM_STEP_NODELIST": "a[1-2]", "SLURM_NTASKS": "4"}.items():
        monkeypatch.setenv(name, value)
    assert slurm_tasks() == 4
    # A shell that salloc opened in a step of its own: one task of an allocation of four.
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert slurm_tasks() == 1
