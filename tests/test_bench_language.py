"""`python -m bench language`: recorded language models, a network on a device, and text."""

import json
import math

import numpy as np
import pytest

from bench.config import Accuracy, Experiments, Language
from bench.plots import draw_recorded
from bench.report.summary import headline
from bench.training import accuracy, experiments, language

PLAN = """
about = "a language model, its twin and a mean"
seeds = [0, 1]
[common]
data = "text"
max_tokens = 16
vocabulary = 300
epochs = 1
max_examples = 40
[variants.linear]
model = "linear"
shape = [9]
heads = 3
[variants.conv2d]
shape = [3, 3]
heads = 1
device = "none"
[variants.conv2d-engine11]
like = "conv2d"
device = "engine11"
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    texts = folder / "texts"
    texts.mkdir()
    for i in range(30):
        (texts / f"{i}.txt").write_text(" ".join(f"number {(i * j) % 7}" for j in range(60)))
    (folder / "small.toml").write_text(PLAN)
    options = dict(
        plan=str(folder / "small.toml"), out=folder / "runs", results=folder / "results", cache=None
    )
    experiments.main(Experiments(**options, data_path=texts))
    return folder


def options(recorded, out, **more):
    runs = recorded / "runs" / "small"
    values = dict(plan=str(recorded / "small.toml"), results=recorded / "results", quick=True, out=out)
    return Language(
        **values | dict(exact=runs / "conv2d-seed0", through=runs / "conv2d-engine11-seed0") | more
    )


def test_networks_stand_beside_their_twins_and_counting(recorded, tmp_path):
    rows = language.main(options(recorded, tmp_path))
    networks = {row["name"]: row for row in rows if row["what"] == "network"}
    assert list(networks) == ["linear", "conv2d", "conv2d-engine11"]
    results = recorded / "results" / "small"
    lines = [
        json.loads((results / f"conv2d-engine11-seed{seed}" / "metrics.jsonl").read_text().splitlines()[-1])
        for seed in (0, 1)
    ]
    row = networks["conv2d-engine11"]
    assert row["perplexity"] == pytest.approx(
        math.exp(np.mean([line["test_loss"] for line in lines])), rel=1e-5
    )
    assert row["low"] < row["perplexity"] < row["high"] and row["seeds"] == [0, 1]
    assert row["against"] == "conv2d" and row["change_low"] <= row["change"] <= row["change_high"]
    expected = row["perplexity"] / networks["conv2d"]["perplexity"] - 1
    assert row["change"] == pytest.approx(expected, abs=1e-6)
    assert networks["conv2d"]["against"] == "linear" and "against" not in networks["linear"]
    baselines = {row["name"]: row["perplexity"] for row in rows if row["what"] == "baseline"}
    assert baselines["Kneser–Ney 5"] == pytest.approx(lines[0]["kneser_ney_5_perplexity"])
    studies = [row for row in rows if row["what"] == "study"]
    assert {row["study"] for row in studies} == {"exact", "device", "unit", "recalibrated unit"}
    assert all(row["perplexity"] > 1 for row in studies)
    samples = [row for row in rows if row["what"] == "sample"]
    assert [row["device"] for row in samples] == ["none", "engine11"]
    assert all(row["text"].startswith("The film") for row in samples)
    assert samples[0]["probability"] == samples[0]["exact_probability"] and samples[0]["same_choice"] == 1
    assert "Kneser–Ney of order 5" in headline("language", rows)
    figure = draw_recorded(tmp_path / "language.json")
    assert all("(" in axes.get_xlabel() or axes.get_title() for axes in figure.axes)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(networks)


def test_intervals_cover_what_other_documents_give():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        tokens = rng.integers(20, 200, 80)
        nats = tokens * rng.normal(3.0, 0.3, 80)
        low, high = language.resample(nats, tokens, rng)
        hits += low < 3.0 < high
    assert 86 <= hits <= 100


def test_accuracy_leaves_language_models_to_their_own_command(recorded, tmp_path):
    with pytest.raises(ValueError, match="must hold folders of finished runs"):
        accuracy.main(Accuracy(results=recorded / "results", out=tmp_path))


def test_what_is_not_there_is_left_out_or_refused(recorded, tmp_path, capsys):
    with pytest.raises(ValueError, match="holds no finished run; train it first"):
        language.main(options(recorded, tmp_path, exact=tmp_path / "none"))
    rows = language.main(options(recorded, tmp_path, exact=None, through=None))
    assert {row["what"] for row in rows} == {"network", "baseline"}
    assert "left out: networks on devices" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"`results` .* train them first: python -m bench experiments"):
        language.main(options(recorded, tmp_path, results=tmp_path))
