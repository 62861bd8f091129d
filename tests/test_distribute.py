"""One run over several devices and processes gives the numbers of one device, and ends when a part of it is
gone."""

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

import nets
from nets.config import Config
from nets.run import Checkpoints, RunFolder
from nets.run._distribute import slurm_tasks
from tests.helpers_nets import assert_same_run, command_line, lines, write_reviews

ROOT = Path(__file__).parents[1]
# 11 steps an epoch, of which the last has rows of weight 0; every step has its line.
STEPS = dict(heads=1, epochs=2, batch_size=128)
LINEAR = dict(model="linear", shape=(4,), dropout=0.0, **STEPS)
RESNET = dict(model="lambda-resnet", shape=(2, 4), key_depth=2, **STEPS)  # with statistics of batches


def start(out, run, virtual=1, **more):
    arguments = command_line(run | {"out": out} | more)
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


def weights(folder):
    return RunFolder(folder).weights()


def assert_same_curve(folder, reference, count=2 * 11 + 3):
    ours, theirs = lines(folder), lines(reference)
    assert len(ours) == len(theirs) == count
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for name in (name for name in one if "loss" in name):
            assert one[name] == pytest.approx(other[name], abs=1e-5), (one, other)
    a, b = weights(folder), weights(reference)
    # Taps that lie off the image and a scale before a normalisation have no slope but rounding, which Adam
    # makes large.
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
            nets.fit(Config(**run, progress=False, out=out))
        return out

    return trained


def test_eight_devices_give_the_curve_of_one(single, tmp_path):
    process = start(tmp_path / "run", RESNET, 8, devices="all")
    reference = single(RESNET)  # beside it
    status, _, error = finish(process)
    assert status == 0, error
    assert_same_curve(tmp_path / "run", reference)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["shards"] == 8


COLLECTIVES = """
import re, jax, numpy as np
from flax import nnx
from jax.sharding import Mesh
from bench.simulator.steps import full_batch, new_classifier
from nets.config import Config, resolve
from nets.run import compile_steps
import optics

device = optics.presets.load("engine11", pixels=3)
config = resolve(Config(data="imdb", model="conv2d", shape=(3, 3), heads=2, max_tokens=8, batch_size=8))
batch = full_batch(config)
pair = new_classifier(config, batch)
parameters = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(pair[0], nnx.Param)))
for count in (2, 8):
    step, _ = compile_steps(*pair, Mesh(np.array(jax.devices()[:count]), ("data",)))
    text = step.lower(nnx.state(pair), batch, device, jax.random.key(0)).compile().as_text()
    found = re.findall(r"= (.*?) (all-[a-z]+|reduce-scatter|collective-[a-z]+)(?:-start)?\\(", text)
    sizes = [
        np.prod([int(n) for n in shape.split(",") if n] or [1])
        for shapes, _ in found for shape in re.findall(r"f32\\[([\\d,]*)\\]", shapes)
    ]
    print(parameters, sum(sizes), *sorted({kind for _, kind in found}))
"""


def test_a_step_exchanges_its_gradient_and_nothing_else():
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    process = subprocess.run(
        [sys.executable, "-c", COLLECTIVES], env=environment, capture_output=True, text=True, timeout=240
    )
    assert process.returncode == 0, process.stderr
    rows = [line.split() for line in process.stdout.splitlines()]
    assert len(rows) == 2
    for parameters, exchanged, *kinds in rows:
        assert kinds == ["all-reduce"]
        # Beside the gradient: the rows of the batch, and the sums of loss, correct rows and rows.
        assert int(exchanged) == int(parameters) + 1 + 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run", "virtual"),
    [(LINEAR, 4), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((LINEAR, 1), (RESNET, 4)))],
)
def test_two_processes_give_the_curve_of_one(run, virtual, single, tmp_path):
    for process in together(tmp_path / "run", run, virtual):
        status, _, error = finish(process)
        assert status == 0, error
    assert_same_curve(tmp_path / "run", single(run))


@pytest.mark.slow
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
LAMBDA = TEXT | dict(model="lambda", shape=(8,), heads=2, key_depth=2, scope=4, max_tokens=16)
BUCKETS = TEXT | dict(model="linear", shape=(4,), heads=1, max_tokens=12, buckets=True)
# "broken" is interrupted in its first epoch and continued.
ON_TWO = f"""
import sys
from pathlib import Path
import nets
from nets.config import Config

TEXT, LAMBDA, BUCKETS = {TEXT!r}, {LAMBDA!r}, {BUCKETS!r}
folder = Path(sys.argv[1])
two = dict(devices=2, data_path=folder / "aclImdb", cache=folder / "cache")
nets.fit(Config(**LAMBDA | two, out=folder / "lambda-2"))
nets.fit(Config(**BUCKETS | two, accumulate=4, out=folder / "linear-2"))
try:
    nets.fit(Config(**LAMBDA | two, out=folder / "broken"), observe=lambda line: line.get("step") == 3)
except KeyboardInterrupt:
    nets.fit(Config(**LAMBDA | two, out=folder / "broken"))
"""


@pytest.mark.slow
def test_two_devices_of_one_process(tmp_path):
    data_path = write_reviews(tmp_path / "aclImdb")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    command = [sys.executable, "-c", ON_TWO, str(tmp_path)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for run in (LAMBDA, BUCKETS):  # beside it
        nets.fit(Config(**run, data_path=data_path, out=tmp_path / f"{run['model']}-1"))
    status, _, error = finish(process)
    assert status == 0 and f"continuing {tmp_path / 'broken'} at step 3" in error, error
    assert_same_run(tmp_path / "lambda-2", tmp_path / "broken")
    for name in ("lambda", "linear"):
        assert_same_curve(tmp_path / f"{name}-2", tmp_path / f"{name}-1", 2 * 5 + 3)
    one, two = weights(tmp_path / "lambda-1"), weights(tmp_path / "lambda-2")
    statistics = [name for name in one if name.endswith(("norm.mean", "norm.var"))]
    assert len(statistics) == 4 and all(np.allclose(one[name], two[name], atol=1e-5) for name in statistics)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        (dict(coordinator="127.0.0.1:1"), "processes"),
        (dict(processes=2, process=0), "coordinator"),
        (dict(coordinator="127.0.0.1:1", processes=2, process=2), "process"),
        (dict(devices=3), "devices"),
    ],
)
def test_processes_and_devices_that_cannot_be(changes, name, tmp_path):
    with pytest.raises(ValueError, match=f"`{name}`"):
        nets.fit(Config(**changes, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_too_many_devices_are_refused_in_full(tmp_path):
    with pytest.raises(
        ValueError, match="`devices` must be at most the 1 of this machine, got 3; lower --devices"
    ):
        nets.fit(Config(devices=3, out=tmp_path / "run"))


def test_tasks_of_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    assert slurm_tasks() == 1
    for name, value in {"SLURM_PROCID": "1", "SLURM_STEP_NODELIST": "a[1-2]", "SLURM_NTASKS": "4"}.items():
        monkeypatch.setenv(name, value)
    assert slurm_tasks() == 4
    # A shell that salloc opened in a step of its own: one task of an allocation of four.
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert slurm_tasks() == 1
