"""Trained networks on other devices and over swept numbers, and exported."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from nets import data, evaluate, export, train
from nets.config import Config
from nets.run import _steps as steps
from nets.run._build import build_model
from nets.run._checkpoint import best, filled
from tests.conftest import relative
from tests.parts import load


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small network of 11×11 planes, trained exactly."""
    out = tmp_path_factory.mktemp("run") / "run"
    train.fit(
        Config(
            device="none", heads=1, kernel=(3, 3), epochs=3, batch_size=128, patch=4, progress=False, out=out
        )
    )
    return out


def test_the_same_device_gives_what_training_gave(run):
    (row,) = evaluate.evaluate(run)
    final = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert row["accuracy"] == pytest.approx(final["test_accuracy"], abs=1e-9) and row[
        "loss"
    ] == pytest.approx(final["test_loss"], rel=1e-5)
    with np.load(run / "predictions.npz") as kept:
        assert np.array_equal(kept["predicted"], row["predicted"])


def test_a_sweep_is_traced_once_and_written(run, monkeypatch, capsys):
    traces, sums = [], steps.sums
    monkeypatch.setattr(steps, "sums", lambda *arguments: traces.append(1) or sums(*arguments))
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
    exact = evaluate.evaluate(run)[0]["accuracy"]
    assert rows[0]["accuracy"] < exact - 0.1 and abs(rows[-1]["accuracy"] - exact) < 0.1
    (again,) = evaluate.evaluate(run, "engine11", "photons", [1e3])
    assert again["predicted"] == rows[1]["predicted"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "engine12"], "`device` must be none or a preset"),
        (["--sweep", "photons=1,2"], "`sweep` photons needs a device; set `device` to a preset"),
        (
            ["--device", "engine11", "--sweep", "photons"],
            "`sweep` must be FIELD=V1,V2,… with numbers, got 'photons'",
        ),
        (["--device", "engine11", "--sweep", "fotons=1"], "`fotons` is not a field of preset 'engine11'"),
        (["--device", "engine11", "--sweep", "photons=-1"], "`photons` must be"),
        (["--device", "jtc"], "has 1×21 pixels but model conv2d has an embedding of 11×11"),
    ],
)
def test_bad_input_is_one_line(arguments, message, run, capsys):
    before = sorted(run.iterdir())
    assert evaluate.main([str(run), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert sorted(run.iterdir()) == before


def test_a_folder_without_a_run_or_without_a_network(tmp_path, run, capsys):
    assert evaluate.main([str(tmp_path)]) == 2
    assert f"`run` {tmp_path} must be the folder of a run" in capsys.readouterr().err
    (tmp_path / "config.json").write_text((run / "config.json").read_text())
    with pytest.raises(ValueError, match="has no checkpoint of a whole epoch"):
        evaluate.evaluate(tmp_path)


@pytest.mark.parametrize("device", ["none", pytest.param("engine11", marks=pytest.mark.slow)])
def test_an_exported_network_computes_the_same(device, run, capsys):
    pytest.importorskip("flatbuffers")
    safetensors = pytest.importorskip("safetensors.numpy")
    assert export.main([str(run), "--device", device]) == 0
    weights, program = map(Path, capsys.readouterr().out.split())
    arrays = safetensors.load(weights.read_bytes())
    assert arrays.keys() == best(run).keys() and all(
        np.array_equal(arrays[name], array) for name, array in best(run).items()
    )
    call = jax.export.deserialize(bytearray(program.read_bytes())).call
    config = evaluate.read_config(run)
    dataset = data.load(config)
    model = build_model(config, dataset, nnx.Rngs(1))
    nnx.update(model, filled(nnx.state(model), arrays))
    model.eval()
    optics_of = None if device == "none" else load(device)
    for count in (1, 5):
        rows = dataset.test.rows[:count]
        assert relative(call(rows), jax.jit(lambda rows: model(rows, optics_of))(rows)) <= 1e-5
    assert export.main([str(run.parent)]) == 2
    assert "must be the folder of a run" in capsys.readouterr().err
