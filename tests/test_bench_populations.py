"""The measurement of populations: its interval of a percentile, and a short run."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import plots
from bench.report.summary import headline
from bench.training.populations import summarize
from tests.helpers_bench import run_quickly

RESULTS = Path(__file__).parents[1] / "bench/results"


def test_the_interval_of_the_fifth_percentile_covers_it():
    rng = np.random.default_rng(0)
    found = [summarize(list(rng.uniform(size=200))) for _ in range(1000)]
    covered = np.mean([row["low"] <= 0.05 <= row["high"] for row in found])
    # 95 % at least; standard deviation of 1,000 trials 0.7 %.
    assert 0.93 < covered <= 1
    assert np.mean([row["high"] - row["low"] for row in found]) < 0.08


@pytest.mark.slow
def test_a_short_run(tmp_path):
    rows = run_quickly("populations", tmp_path)
    origin = next(row for row in rows if row["row"] == "origin")
    assert origin["noise"] > 10 * origin["spread_of_units"] > 0
    summary = [row for row in rows if row["row"] == "summary"]
    assert summary[0]["training"] == "ordinary" and len(summary) == 4
    assert all(0 <= row["low"] <= row["fifth"] <= row["mean"] <= 1 for row in summary)
    average = next(row for row in rows if row["row"] == "average")
    assert average["exposures_once"] < average["exposures_chosen"] <= average["exposures_alike"]
    assert headline("populations", rows).startswith("With 3 photoelectrons")


def test_the_figure_shows_what_was_recorded():
    rows = json.loads((RESULTS / "populations.json").read_text())["rows"]
    axes = plots.draw_recorded(RESULTS / "populations.json").axes
    summary = [row for row in rows if row["row"] == "summary"]
    for row, dots in zip(summary, axes[0].collections[::2], strict=True):
        units = [
            each["accuracy"] for each in rows if each["row"] == "unit" and each["training"] == row["training"]
        ]
        assert np.allclose(dots.get_offsets()[:, 1], 100 * np.array(units))
        assert np.isclose(np.quantile(units, 0.05), row["fifth"])
    after = [row["mean"] for row in rows if row["row"] == "drift" and row["state"] == "as it is"]
    assert np.allclose(axes[1].lines[0].get_ydata(), 100 * np.array(after))
