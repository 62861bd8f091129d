"""Tuning of a plan and studies of trained networks, on digits, small."""

import json

import numpy as np
import pytest

import nets
from bench import plots
from bench.__main__ import main
from bench.training import plans, studies
from bench.training.resumable import resumable
from nets.config import Config
from tests.helpers_bench import RESULTS, refuse
from tests.helpers_nets import lines

PLAN = """
seeds = [4]

[common]
data = "digits"
epochs = 1
heads = 1
patch = 4
batch_size = 256
progress = false
device = "none"

[tune]
learning_rate = [1e-3, 1e-2]

[variants.a]
kernel = [3, 3]

[variants.b]
like = "a"
kernel = [1, 1]

[variants.c]
start = "a"
like = "a"
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A plan that was trained, its arms b and c from seed 4 on."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "tiny.toml").write_text(PLAN)
    command = [
        "experiments",
        "--plan",
        str(folder / "tiny.toml"),
        "--out",
        str(folder / "runs"),
        "--results",
        str(folder / "results"),
    ]
    assert main([*command, "--cache", "None"]) == 0
    return folder


def test_plans_have_seeds_likeness_and_starts(runs):
    kept = runs / "results" / "tiny"
    assert sorted(path.name for path in kept.iterdir() if path.is_dir()) == ["a-seed4", "b-seed4", "c-seed4"]
    about = {name: json.loads((kept / f"{name}-seed4" / "config.json").read_text()) for name in "abc"}
    assert about["b"]["kernel"] == [1, 1] and about["c"]["kernel"] == [3, 3] and about["c"]["patch"] == 4
    # It went on from where a had come to, whose folder is named without its place.
    assert about["c"]["init_from"] == "a" and about["a"]["init_from"] is None
    first, last = (
        next(line["train_loss"] for line in lines(kept / f"{name}-seed4") if "epoch" in line) for name in "ac"
    )
    assert last < first


def test_a_plan_is_tried_in_a_few_steps(runs, tmp_path, capsys):
    command = [
        "experiments",
        "--plan",
        str(runs / "tiny.toml"),
        "--variants",
        "b",
        "--quick",
        "--out",
        str(tmp_path / "runs"),
    ]
    assert main([*command, "--results", str(tmp_path / "results"), "--cache", "None"]) == 0
    line = capsys.readouterr().out.splitlines()[-1].split()
    # All 1,294 rows in 6 batches are one epoch, and so the whole.
    assert line[:2] == ["b", "6"] and float(line[4]) == pytest.approx(
        float(line[3]) / 3600, abs=5e-4, rel=0.2
    )
    assert not (tmp_path / "runs").exists() and not (tmp_path / "results").exists()


@pytest.mark.slow
def test_tuning_leaves_the_test_set_alone_and_goes_on(runs, capsys, monkeypatch):
    command = [
        "tuning",
        "--plan",
        str(runs / "tiny.toml"),
        "--out",
        str(runs / "tuning"),
        "--results",
        str(runs / "results"),
        "--cache",
        "None",
    ]
    assert main([*command, "--variants", "a"]) == 0
    fit, trained = nets.fit, []
    from bench.training import tuning

    monkeypatch.setattr(tuning, "fit", lambda config: trained.append(config) or fit(config))
    (runs / "tiny.toml").write_text(PLAN.split("[variants.c]")[0])
    assert main(command) == 0
    assert all(not config.test and config.seed == 0 for config in trained)
    rows = json.loads((runs / "results" / "tiny" / "tuning.json").read_text())["rows"]
    assert [(row["arm"], row["learning_rate"]) for row in rows] == [
        ("a", 1e-3),
        ("a", 1e-2),
        ("b", 1e-3),
        ("b", 1e-2),
    ]
    assert not any("test" in name for row in rows for name in row)
    for arm in "ab":
        own = [row for row in rows if row["arm"] == arm]
        assert [row["validation_loss"] for row in own if row["chosen"]] == [
            min(row["validation_loss"] for row in own)
        ]
    assert not list((runs / "tuning").rglob("predictions.npz")) and "chosen" in capsys.readouterr().out


def test_a_stopped_measurement_goes_on(tmp_path):
    asked = []

    def measured(case, about):
        file, result_of = resumable(tmp_path, "studies", about)
        return file, result_of(case, lambda: asked.append(case) or {"accuracy": 0.5})

    file, first = measured({"unit": 0}, {"out": tmp_path})
    assert first == measured({"unit": 0}, {"out": tmp_path})[1] == {"unit": 0, "accuracy": 0.5}
    assert asked == [{"unit": 0}]
    # Killed in the middle of a line: that case is measured again, and the line before it stands.
    file.write_text(file.read_text() + '{"case": {"unit": 1}, "fou')
    assert measured({"unit": 1}, {"out": tmp_path})[1] == {"unit": 1, "accuracy": 0.5}
    assert (
        measured({"unit": 0}, {"out": tmp_path})[1] == first
        and measured({"unit": 1}, {"out": tmp_path})[1]["unit"] == 1
    )
    assert asked == [{"unit": 0}, {"unit": 1}]
    # Of other options nothing is known, and what is known of these is not lost to them.
    measured({"unit": 0}, {"out": "elsewhere"})
    assert asked[2:] == [{"unit": 0}]
    measured({"unit": 0}, {"out": tmp_path})
    assert len(asked) == 3
    for line in ("[1]", '{"case": {"unit": 2}}'):
        file.write_text(f"{line}\n")
        with pytest.raises(ValueError, match=str(file)):
            measured({"unit": 0}, {"out": tmp_path})


@pytest.mark.slow
def test_studies_of_two_networks(runs, tmp_path, capsys):
    folder = tmp_path / "through"
    nets.fit(Config(heads=1, patch=4, kernel=(3, 3), epochs=2, batch_size=128, progress=False, out=folder))
    command = [
        "studies",
        "--exact",
        str(runs / "runs" / "tiny" / "a-seed4"),
        "--through",
        str(folder),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*command, "--recorded", str(runs / "results" / "tiny"), "--quick"]) == 0
    found = json.loads((tmp_path / "out" / "studies.json").read_text())
    assert not list((tmp_path / "out").glob("*.part.jsonl"))
    assert str(runs) not in json.dumps(found) and (tmp_path / "out" / "studies.png").stat().st_size > 20_000
    rows = found["rows"]
    photons = {
        row["value"]: row["loss"]
        for row in rows
        if row["study"] == "deployed" and row["network"] != "trained exactly" and row["field"] == "photons"
    }
    assert photons[1] > photons[max(photons)]
    units = [row for row in rows if row["study"] == "population" and row["network"] == "trained exactly"]
    assert len(units) == 2 and len({row["loss"] for row in units}) == 2
    cosines = {
        (row["stage"], row["rule"], row["part"]): row["cosine"] for row in rows if row["study"] == "gradient"
    }
    assert len(cosines) == 12 and all(-1 <= cosine <= 1.000001 for cosine in cosines.values())
    # With the gradient of the exact convolution the noise of the forward pass is all that is left.
    assert cosines["after training", "ideal", "rest"] > 0.9
    curves = [row for row in rows if row["study"] == "curve"]
    assert {row["name"] for row in curves} == {"a-seed4", "b-seed4", "c-seed4"}


def test_passes_until_80_percent_and_what_a_run_differs_in(tmp_path):
    lines = [
        {"step": 10 * i, "train_loss": 0.5, "train_accuracy": accuracy}
        for i, accuracy in enumerate([0.6, 0.7, 0.79, 0.82, 0.9], 1)
    ]
    lines += [
        {"epoch": 1, "step": 100, "train_accuracy": 0.8, "validation_accuracy": 0.8},
        {"test_accuracy": 0.9, "best_epoch": 1},
    ]
    common = {"data": "digits", "model": "conv2d", "device": "none", "shape": [11, 11]}
    for name, own in {
        "a-seed0": {"seed": 0},
        "b-seed1": {"seed": 1, "kernel": [5, 5], "device": "engine11"},
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(common | own))
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    exact, other = studies.measure_curves([tmp_path], tmp_path / "a-seed0")
    # (0.79 + 0.82 + 0.9) / 3 is the first average past 0.8, and ends at step 50 of 100.
    assert (
        exact["epochs_to_80"] == pytest.approx(0.5) and exact["kernel"] is None and exact["differs_in"] == []
    )
    assert set(other["differs_in"]) == {"device", "kernel"} and (other["kernel"], other["seed"]) == (
        [5, 5],
        1,
    )
    figure = plots.studies([exact, other])
    kernels = {line.get_label(): line.get_xdata() for line in figure.axes[6].lines}
    assert kernels["exact"] == pytest.approx([11], abs=0.2) and kernels["engine11"] == pytest.approx(
        [5], abs=0.2
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tuning", "--arms", "cubic"], "`variants` must be of the plan, which has mean, linear"),
        (
            ["tuning", "--plan", "imdb-full"],
            "`plan` imdb-full must have a table [tune] with one list of values",
        ),
        (["studies", "--exact", "nowhere"], "nowhere holds no finished run; train it first"),
        (["experiments", "--plan", "first.toml"], "variant a must `init_from` a variant before it, got 'b'"),
        (["experiments", "--plan", "like.toml"], "variant a must be `like` a variant before it, got 'b'"),
    ],
)
def test_refusals(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first.toml").write_text('[arms.a]\nstart = "b"\n')
    (tmp_path / "like.toml").write_text('[arms.a]\nlike = "b"\n')
    assert message in refuse(arguments, capsys)
    assert not list(tmp_path.rglob("config.json"))


def test_learning_rates_of_a_plan_are_the_best_of_its_tuning():
    """The plan says what validation chose, not what was tried on the test set."""
    rows = json.loads((RESULTS / "imdb-cpu" / "tuning.json").read_text())["rows"]
    plan = plans.read_variants("imdb-cpu")
    for variant, options in plan.items():
        # What electronics computes with noise takes the rate of its exact twin.
        tuned = "linear" if variant == "linear-electronics-8bit" else variant
        own = {row["learning_rate"]: row["validation_loss"] for row in rows if row["arm"] == tuned}
        assert options["learning_rate"] == min(own, key=own.get) and len(own) == 3, variant
    assert np.isfinite([row["validation_loss"] for row in rows]).all()
