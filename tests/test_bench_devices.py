"""`python -m bench devices`: a row for each device beside its exact twin, from recorded runs."""

import json

import pytest

from bench.config import Devices, Experiments
from bench.plots import draw_recorded
from bench.report.summary import headline
from bench.training import devices, experiments
from optics import accounting

PLAN = """
about = "a device and its twin"
seeds = [0]
[common]
data = "digits"
heads = 1
epochs = 1
patch = 4
max_examples = 64
[variants.exact]
device = "none"
shape = [3, 3]
[variants.other-size]
device = "none"
shape = [4, 4]
[variants.engine11]
like = "exact"
device = "engine11"
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    (folder / "small.toml").write_text(PLAN)
    plan = str(folder / "small.toml")
    options = dict(plan=plan, out=folder / "runs", results=folder / "results", cache=None)
    experiments.main(Experiments(**options))
    return plan, folder / "results"


def test_a_device_stands_beside_its_twin(recorded, tmp_path, capsys):
    plan, results = recorded
    (row,) = devices.main(Devices(plan=plan, results=results, quick=True, out=tmp_path))
    assert "left out, not recorded with a twin: 1 of 3 variants" in capsys.readouterr().out
    last = [
        json.loads((results / "small" / f"{name}-seed0" / "metrics.jsonl").read_text().splitlines()[-1])
        for name in ("engine11", "exact")
    ]
    assert [row["accuracy"], row["twin_accuracy"]] == [line["test_accuracy"] for line in last]
    points = 100 * (last[0]["test_accuracy"] - last[1]["test_accuracy"])
    assert row["difference_points"] == pytest.approx(points)
    assert row["difference_low"] <= points <= row["difference_high"] and row["compared"] == "paired rows"
    # One transform of each of four tokens and three products with kernels; the kernels' own are shared by 32.
    assert row["exposures"] == pytest.approx(4 * (1 + 3) + 3 / 32)
    assert row["ratio"] > 0 and 0.02 < row["error"] < 0.15
    price = accounting.hardware("integrated")
    assert row["seconds"] == pytest.approx(row["exposures"] * price["exposure_time"].value)
    assert row["joules_low"] <= row["joules"] <= row["joules_high"]
    assert headline("devices", [row]).startswith(f"{int(points >= -2)} of 1 benches") or points < -2
    figure = draw_recorded(tmp_path / "devices.json")
    first, exposures, joules = figure.axes
    assert exposures.get_xscale() == joules.get_xscale() == "log"
    assert all("(" in axes.get_xlabel() for axes in figure.axes)
    assert [text.get_text() for text in exposures.texts] == ["engine11"]
    points = [
        line.get_xydata()[0].astype(float).tolist() for line in exposures.lines if line.get_marker() == "o"
    ]
    assert points == [[row["exposures"], row["difference_points"]]]
    assert [label.get_text() for label in first.get_yticklabels()] == ["engine11, 3×3"]


def test_runs_without_a_twin_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`results` .* exact twins; train them first: python -m bench exp"):
        devices.main(Devices(results=tmp_path, out=tmp_path / "out"))
    with pytest.raises(ValueError, match=r"`plan` must be one of .*devices-cpu"):
        devices.main(Devices(plan="no-such-plan"))
