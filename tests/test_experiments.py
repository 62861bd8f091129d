"""A plan of training runs: recorded runs are skipped, and one that stops does not stop the others."""

import json

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
    from nets.config import Config, resolve

    for name in ("imdb-cpu", "imdb-full", "imdb-studies"):
        variants = plans.read_variants(name)
        if name != "imdb-studies":
            expected = {"linear", "conv1d-128", "conv2d-11x11", "conv2d-11x11-engine11", "lambda"}
            assert expected <= variants.keys()
        for fields in variants.values():
            resolve(Config(**{option: value for option, value in fields.items() if option != "init_from"}))


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
            "`plan` must be one of imdb-cpu, imdb-full, imdb-studies, or a TOML file; got 'imdb-huge'.",
        ),
        (["--arms", "cubic"], "`variants` must be of the plan, which has mean, linear, conv1d-128, "),
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
