"""Trained networks on other devices and over swept numbers, and exported."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import nets
import optics
from nets import evaluate, export
from nets.config import Config
from nets.run import RunFolder
from optics.metrics import relative_error
from tests.helpers_nets import lines


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small network of 11×11 planes, trained exactly."""
    out = tmp_path_factory.mktemp("run") / "run"
    nets.fit(
        Config(
            device="none", heads=1, kernel=(3, 3), epochs=3, batch_size=128, patch=4, progress=False, out=out
        )
    )
    return out


@pytest.mark.slow
def test_the_same_device_gives_what_training_gave(run):
    (row,) = nets.run.evaluate(run)
    final = lines(run)[-1]
    assert row["accuracy"] == pytest.approx(final["test_accuracy"], abs=1e-9) and row[
        "loss"
    ] == pytest.approx(final["test_loss"], rel=1e-5)
    assert np.array_equal(RunFolder(run).predictions()[1], row["predicted"])


def test_a_sweep_is_traced_once_and_written(run, monkeypatch, capsys):
    traces, call = [], nets.Classifier.__call__
    monkeypatch.setattr(nets.Classifier, "__call__", lambda *arguments: traces.append(1) or call(*arguments))
    photons = (1e1, 1e3, 1e5, 1e8)
    sweep = f"photons={','.join(map(str, photons))}"
    assert evaluate.main([str(run), "--device", "engine11", "--sweep", sweep, "--no-progress"]) == 0, (
        capsys.readouterr().err
    )
    assert len(traces) == 1
    printed = capsys.readouterr().out.splitlines()
    written = json.loads((run / "evaluate.json").read_text())
    assert len(printed) == 5 and {"rows", "versions", "machine", "seed", "commit"} <= written.keys()
    rows = written["rows"]
    assert [row["value"] for row in rows] == list(photons) and all(
        len(row["predicted"]) == len(written["labels"]) == 359 for row in rows
    )
    for row, line in zip(rows, printed[1:], strict=True):
        assert row["accuracy"] == pytest.approx(np.mean(np.equal(row["predicted"], written["labels"])))
        assert f"{row['accuracy']:.4f}" in line
    # Light is what the network sees by: with ten photons it errs much more often than with enough of them.
    exact = nets.run.evaluate(run)[0]["accuracy"]
    assert rows[0]["accuracy"] < exact - 0.1 and abs(rows[-1]["accuracy"] - exact) < 0.1
    (again,) = nets.run.evaluate(run, "engine11", "photons", [1e3])
    assert again["predicted"] == rows[1]["predicted"]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("--device engine12", "device"),
        ("--device jtc", "device"),
        ("--sweep photons=1,2", "sweep"),
        ("--device engine11 --sweep photons", "sweep"),
        ("--device engine11 --sweep fotons=1", "fotons"),
        ("--device engine11 --sweep photons=-1", "photons"),
        ("--units 4", "units"),
        ("--device engine11 --units 0", "units"),
    ],
)
def test_bad_input_is_one_line(arguments, name, run, capsys):
    before = sorted(run.iterdir())
    assert evaluate.main([str(run), *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: `{name}`") and error.count("\n") == 1, error
    assert sorted(run.iterdir()) == before


def test_a_refusal_names_the_flag_that_helps(run, capsys):
    assert evaluate.main([str(run), "--sweep", "photons=1,2"]) == 2
    assert capsys.readouterr().err == "error: `sweep` photons needs a device; set --device to a preset.\n"


def test_a_folder_without_a_run_or_without_a_network(tmp_path, run, capsys):
    assert evaluate.main([str(tmp_path)]) == 2
    assert f"{tmp_path} must be the folder of a run" in capsys.readouterr().err
    (tmp_path / "config.json").write_text((run / "config.json").read_text())
    with pytest.raises(ValueError, match="has no checkpoint of a whole epoch"):
        nets.run.evaluate(tmp_path)


@pytest.mark.parametrize("device", ["none", pytest.param("engine11", marks=pytest.mark.slow)])
def test_an_exported_network_computes_the_same(device, run, capsys):
    pytest.importorskip("flatbuffers")
    safetensors = pytest.importorskip("safetensors.numpy")
    assert export.main([str(run), "--device", device]) == 0
    file, program = map(Path, capsys.readouterr().out.split())
    arrays = safetensors.load(file.read_bytes())
    weights = RunFolder(run).weights()
    assert arrays.keys() == weights.keys()
    assert all(np.array_equal(arrays[name], array) for name, array in weights.items())
    call = jax.export.deserialize(bytearray(program.read_bytes())).call
    network = nets.run.load(run)
    simulated = None if device == "none" else optics.presets.load(device)
    for count in (1, 5):
        rows = network.dataset.test.rows[:count]
        exact = jax.jit(lambda rows: network.model(rows, simulated))(rows)
        assert relative_error(call(rows), exact) <= 1e-5
    assert export.main([str(run.parent)]) == 2
    assert "must be the folder of a run" in capsys.readouterr().err
