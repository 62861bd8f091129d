"""A plan of training runs: recorded runs are skipped, and one that stops does not stop the others."""

import json
import os
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.training import experiments, plans
from tests.helpers_bench import refuse

PLAN = """
[common]
data = "digits"
epochs = 1
heads = 1
batch_size = 256
progress = false

[arms.linear]
model = "linear"
shape = [4]

[arms.conv]
model = "conv2d"
shape = [2, 2]
device = "ideal"
"""


def test_plans_of_the_project_are_runs():
    from nets.config import as_config, resolve

    names = sorted(path.stem for path in (Path(__file__).parents[1] / "bench/configs").glob("*.toml"))
    assert len(names) >= 7
    for name in names:
        variants = plans.read_variants(name)
        if name in ("imdb-cpu", "imdb-gpu", "imdb-full"):
            expected = {"linear", "conv1d-128", "conv2d-11x11", "conv2d-11x11-engine11", "lambda"}
            assert expected <= variants.keys()
        for fields in variants.values():
            resolve(as_config(fields))


def test_variants_and_seeds_are_trained_once(tmp_path, capsys, monkeypatch):
    (tmp_path / "tiny.toml").write_text(PLAN)
    command = ["experiments", "--plan", str(tmp_path / "tiny.toml"), "--seeds", "0", "1"]
    command += ["--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    assert main([*command, "--arms", "linear"]) == 0
    assert "recorded before" not in capsys.readouterr().out
    trained = []
    fit = experiments.fit

    def counted(config):
        trained.append((config.out.name, config.seed))
        if config.out.name == "conv-seed0":
            raise FloatingPointError("the loss stopped being finite")
        return fit(config)

    monkeypatch.setattr(experiments, "fit", counted)
    assert main(command) == 0
    assert trained == [("conv-seed0", 0), ("conv-seed1", 1)]
    printed = capsys.readouterr()
    assert printed.out.count("recorded before") == 2
    assert "conv-seed0: the loss stopped being finite" in printed.err
    kept = tmp_path / "results" / "tiny"
    assert sorted(path.name for path in kept.iterdir() if path.is_dir()) == [
        "conv-seed1",
        "linear-seed0",
        "linear-seed1",
    ]
    assert not list(kept.rglob("checkpoints"))
    for recorded in kept.rglob("*.json"):
        assert str(tmp_path) not in recorded.read_text()
    (tmp_path / "tiny.toml").write_text(PLAN.replace("epochs = 1", "epochs = 2"))
    assert main(command) == 2
    assert "was recorded with other options: `epochs` 1, now 2; move it away" in capsys.readouterr().err
    rows = json.loads((kept / "accuracy.json").read_text())["rows"]
    assert {row["name"] for row in rows} == {"linear", "conv"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--plan", "imdb-huge"],
            "`plan` must be one of devices-cpu, fashion-cpu, imdb-cpu, imdb-depth, ",
        ),
        (
            ["--arms", "cubic"],
            "`variants` must be of the plan, which has mean, linear, linear-electronics-8bit, ",
        ),
        (["--plan", "colour.toml"], "variant a has colour"),
        (["--plan", "empty.toml"], "has no variants"),
        (["--plan", "torn.toml"], "cannot be read"),
    ],
)
def test_refusals(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "colour.toml").write_text("[arms.a]\ncolour = 3\n")
    (tmp_path / "empty.toml").write_text("[common]\ndepth = 1\n")
    (tmp_path / "torn.toml").write_text("[arms.a\n")
    assert message in refuse(["experiments", *arguments], capsys)
    assert not (tmp_path / "runs").exists()


def test_an_installation_without_plans_says_where_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plans, "PLANS", tmp_path)
    monkeypatch.chdir(tmp_path)
    refusal = refuse(["experiments", "--plan", "imdb-cpu"], capsys)
    assert "`plan` must be a TOML file, such as those in bench/configs of the source" in refusal


ARM = '[arms.a]\nmodel = "linear"\n'


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ('[arms."../../../victim"]\nmodel = "linear"\n', "must have a name of letters, digits"),
        ('[arms.".hidden"]\nmodel = "linear"\n', "does not begin with a dot, got '.hidden'"),
        ('[arms."a/b"]\nmodel = "linear"\n', "got 'a/b'"),
        ('[arms.""]\nmodel = "linear"\n', "got ''"),
        (ARM + 'start = "a/../.."\n', "variant a must `init_from` a variant before it, got 'a/../..'"),
        (ARM + 'start = "../a"\n', "`init_from` must have a name of letters"),
        (ARM + "start = [1]\n", "variant a must `init_from` a variant before it, got [1]"),
        (ARM + "like = [1]\n", "variant a must be `like` a variant before it, got [1]"),
        ("[arms]\na = 3\n", "variant a must be a table, got 3"),
        ("arms = [1, 2]\n", "arms must be a table, got [1, 2]"),
        ("common = 3\n" + ARM, "common must be a table, got 3"),
        ("seeds = 3\n" + ARM, "seeds must be a list of whole numbers, got 3"),
        ('seeds = ["a"]\n' + ARM, "seeds: `seed` must be a whole number, got 'a'"),
        ("seeds = [100000000000000000000]\n" + ARM, "`seed` must be a whole number from 0 to 4,294,967,295"),
        (ARM + 'learning_rate = "fast"\n', "variant a: `learning_rate` must be a number, got 'fast'"),
        (ARM + "epochs = 1.5\n", "variant a: `epochs` must be a whole number, got 1.5"),
        (ARM + 'shape = "11"\n', "variant a: `shape` must be whole numbers, got '11'"),
        (ARM + "checkpoint_every = [1]\n", "variant a: `checkpoint_every` must be a number, got (1,)"),
        (ARM + "heads = 1000000000000\n", "`heads` must be a whole number from 1 to 65,536"),
        (ARM + "spectral = true\n", "`spectral` has no effect with `model` linear"),
        (f"a = {'[' * 2000}\n", "cannot be read"),
    ],
)
def test_plans_that_are_not_plans(plan, message, tmp_path, capsys):
    victim = tmp_path / "victim-seed0"
    victim.mkdir()
    (victim / "keep.txt").write_text("kept")
    (tmp_path / "plan.toml").write_text(plan)
    command = [
        "experiments",
        "--plan",
        str(tmp_path / "plan.toml"),
        "--results",
        str(tmp_path / "a/b/results"),
    ]
    assert message in refuse([*command, "--out", str(tmp_path / "a/b/runs")], capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.toml", "victim-seed0"]
    assert (victim / "keep.txt").read_text() == "kept"


def test_a_plan_is_a_file_with_a_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "...toml").write_text(ARM)
    assert "its file must have a name of letters" in refuse(["experiments", "--plan", "...toml"], capsys)
    os.mkfifo(tmp_path / "pipe.toml")
    assert "pipe.toml is no regular file" in refuse(["experiments", "--plan", "pipe.toml"], capsys)
    (tmp_path / "latin.toml").write_bytes(b"[arms.a]\nmodel = '\xe9'\n")
    assert "latin.toml is not UTF-8 text" in refuse(["experiments", "--plan", "latin.toml"], capsys)


def test_what_is_no_run_is_not_replaced_by_one(tmp_path, capsys):
    (tmp_path / "plan.toml").write_text(ARM)
    victim = tmp_path / "results/plan/a-seed0"
    victim.mkdir(parents=True)
    (victim / "keep.txt").write_text("kept")
    command = ["experiments", "--plan", str(tmp_path / "plan.toml"), "--results", str(tmp_path / "results")]
    error = refuse([*command, "--out", str(tmp_path / "runs")], capsys)
    assert f"`results` holds {victim}, which is not a finished run; move it away" in error
    # Nor is anything written through a link.
    run, outside = tmp_path / "run", tmp_path / "outside"
    outside.mkdir()
    run.mkdir()
    (run / "config.json").write_text("{}")
    for name in ("b-seed0", ".c-seed0.part"):
        (victim.parent / name).symlink_to(outside)
    for name in ("a-seed0", "b-seed0", "c-seed0"):
        with pytest.raises(ValueError, match=r"`results` holds .*-seed0"):
            experiments.keep_small_files(run, victim.parent / name)
    assert (victim / "keep.txt").read_text() == "kept" and not list(outside.iterdir())
    # A copy that was killed is done again.
    (victim.parent / ".d-seed0.part").mkdir()
    (victim.parent / ".d-seed0.part" / "metrics.jsonl").write_text("half")
    experiments.keep_small_files(run, victim.parent / "d-seed0")
    assert [path.name for path in (victim.parent / "d-seed0").iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('"../x" = [1.0]', "[tune] has ../x, which a run does not have"),
        ('learning_rate = ["a"]', "[tune] needs numbers for learning_rate, got ['a']"),
        ("learning_rate = [-1.0]", "`learning_rate` must be finite and above zero, got -1.0"),
    ],
)
def test_grids_that_are_not_grids(table, message, tmp_path, capsys):
    (tmp_path / "plan.toml").write_text(f"{ARM}[tune]\n{table}\n")
    assert message in refuse(["tuning", "--plan", str(tmp_path / "plan.toml")], capsys)
