"""Accuracies of runs: intervals and tests against published examples, and a table of invented runs."""

import json

import numpy as np
import pytest
from scipy import stats

from bench.__main__ import main
from bench.config import Accuracy
from bench.training import accuracy, statistics
from bench.training.cost import INPUTS
from bench.training.runs import SIZES
from nets import data
from nets.config import Config
from tests.helpers_bench import refuse, write_tested_run


def rows_by_name(folder, out, **options):
    return {row["name"]: row for row in accuracy.main(Accuracy(results=folder, out=out, **options))}


def span(first, last, rows=1000):
    return (np.arange(rows) >= first) & (np.arange(rows) < last)


def test_published_examples():
    # M. W. Fagerland, S. Lydersen and P. Laake, Statistical Analysis of Contingency Tables (2017), ch. 8:
    # Cavo et al. (2012).
    assert statistics.newcombe_paired(59, 6, 16, 80) == pytest.approx((-0.1186, -0.0046), abs=5e-5)
    assert statistics.mcnemar(6, 16) == pytest.approx(0.052479, abs=5e-7)
    # P. Armitage and G. Berry, Statistical Methods in Medical Research (1994), p. 127: two media for
    # culturing.
    assert statistics.mcnemar(12, 2) == pytest.approx(0.0129, abs=5e-5)
    # R. G. Newcombe, Statist. Med. 17, 873 (1998), contrasts (a) and (c), method 10.
    assert statistics.newcombe((56, 48), (70, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert statistics.newcombe((9, 3), (10, 10)) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    # R. G. Newcombe, Statist. Med. 17, 857 (1998), the score method.
    assert statistics.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_paired_interval_at_the_edges():
    # Classifiers that are never apart, one never wrong, and agreement no better than chance: φ = 0 is the
    # unpaired interval.
    for table in ((50, 0, 0, 0), (40, 0, 0, 10), (0, 50, 0, 0)):
        low, high = statistics.newcombe_paired(*table)
        value = (table[1] - table[2]) / 50
        assert -1 <= low <= value <= high <= 1 and high > low
    assert statistics.newcombe_paired(25, 25, 25, 25) == pytest.approx(
        statistics.newcombe((50, 50), (100, 100))
    )
    assert statistics.mcnemar(0, 0) == 1


def test_coverage():
    # Wilson, over every outcome there is.
    limits = np.array([statistics.wilson(k, 359) for k in range(360)])
    inside = (limits[:, 0] <= 0.97) & (limits[:, 1] >= 0.97)
    assert stats.binom.pmf(np.arange(360), 359, 0.97)[inside].sum() == pytest.approx(0.95, abs=0.02)
    # Newcombe, paired, for networks that agree on most rows.
    rng = np.random.default_rng(0)
    tables = rng.multinomial(1000, [0.8, 0.05, 0.04, 0.11], size=600)
    found = np.array([statistics.newcombe_paired(*(int(n) for n in table)) for table in tables])
    assert np.mean((found[:, 0] <= 0.01) & (found[:, 1] >= 0.01)) == pytest.approx(0.95, abs=0.025)


def test_few_seeds_need_the_wider_interval():
    # Accuracies around 0.8 that depend on the seed: resampling three seeds finds too little of that, the
    # interval reported does not.
    rng, covered = np.random.default_rng(1), []
    for _ in range(100):
        first, second = (rng.random((3, 400)) < rng.normal(0.8, 0.06, (3, 1)) for _ in range(2))
        low, high, _ = statistics.bootstrap(first.astype(np.int8) - second.astype(np.int8), rng)
        found = statistics.paired_difference(first, second, rng)
        covered.append((low <= 0 <= high, found.low <= 0 <= found.high))
    bootstrap, reported = np.mean(covered, axis=0)
    assert reported > 0.93 and reported - bootstrap > 0.03


def test_bootstrap_has_the_variance_of_two_independent_drawings():
    rng = np.random.default_rng(2)
    gain = rng.choice([-1, 0, 1], p=[0.12, 0.75, 0.13], size=(4, 300)).astype(np.int8)
    # Counts of a drawing with replacement: E[wᵢ wⱼ] = 1 − 1/n + δᵢⱼ.
    seeds, rows = (1 - 1 / n + np.eye(n) for n in gain.shape)
    variance = np.sum((seeds @ gain) * (gain @ rows)) / gain.size**2 - gain.mean() ** 2
    low, high, p = statistics.bootstrap(gain, rng, resamples=20_000)
    assert (high - low) / (2 * stats.norm.ppf(0.975)) == pytest.approx(np.sqrt(variance), rel=0.03)
    assert (high + low) / 2 == pytest.approx(gain.mean(), abs=0.1 * np.sqrt(variance))
    assert p == pytest.approx(2 * stats.norm.sf(gain.mean() / np.sqrt(variance)), rel=0.15)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(-0.01, 0.005, "yes"), (-0.002, 0.011, "open"), (0.011, 0.02, "no"), (None, None, None)],
)
def test_equivalence(low, high, said):
    assert statistics.equivalent(statistics.Difference(0.0, low, high, None, ""), 0.01) == said


def test_one_seed(tmp_path, capsys):
    words = {"bag_of_words_accuracy": 0.889, "parameters": 1234}
    write_tested_run(tmp_path / "runs" / "linear-s0", span(0, 800), model="linear", final=words)
    write_tested_run(tmp_path / "runs" / "optical-s0", span(20, 830), device="engine11", final=words)
    write_tested_run(tmp_path / "runs" / "old", span(0, 790), model="lambda", kept=False)
    # An unfinished run, and a folder that is no run.
    write_tested_run(tmp_path / "runs" / "begun", span(0, 790), model="conv1d")
    (tmp_path / "runs" / "begun" / "metrics.jsonl").write_text('{"step": 3}\n')
    (tmp_path / "runs" / "speed").mkdir()
    assert main(["accuracy", "--results", str(tmp_path / "runs"), "--out", str(tmp_path)]) == 0
    written = json.loads((tmp_path / "accuracy.json").read_text())
    old, linear, optical = sorted(written["rows"], key=lambda row: row["accuracy"])
    assert [row["name"] for row in (old, linear, optical)] == ["old", "linear", "optical"]
    assert (tmp_path / "accuracy.png").stat().st_size > 10_000
    # Of 1,000 rows both are right on 780, the optical network alone on 30, the linear alone on 20.
    assert optical["difference_points"] == pytest.approx(1) and optical["p"] == stats.binomtest(30, 50).pvalue
    assert (
        optical["compared"] == "paired rows"
        and optical["against"] == "linear"
        and optical["differs_in"] == "model, device"
    )
    limits = optical["difference_low"] / 100, optical["difference_high"] / 100
    assert limits == pytest.approx(statistics.newcombe_paired(780, 30, 20, 170))
    assert optical["within_1_point"] == "open"
    assert (optical["low"], optical["high"], optical["over"]) == (*statistics.wilson(810, 1000), "rows")
    assert (optical["bag_of_words_accuracy"], optical["parameters"], optical["seconds"]) == (0.889, 1234, 60)
    # Without predictions; the number of rows is that of the runs of the same data that kept theirs.
    assert old["compared"] == "unpaired rows" and old["test_rows"] == 1000
    assert (old["difference_low"] / 100, old["difference_high"] / 100) == pytest.approx(
        statistics.newcombe((790, 800), (1000, 1000))
    )
    assert old["p"] == pytest.approx(stats.fisher_exact([[790, 210], [800, 200]]).pvalue)
    assert "against" not in linear
    # One block of convolutions on 128 tokens of 121 numbers, by light and by FFT.
    on_device = optical["device_multiplications"]
    assert linear["device_multiplications"] is None and 0 < on_device < optical["multiplications"]
    printed = capsys.readouterr().out
    assert printed.count("\noptical  ") == 1 and "left out as unfinished: 1 of 4 runs" in printed


def test_seeds_are_gathered_and_paired(tmp_path):
    rows = 25_000
    for seed, (first, second) in {0: (20_000, 20_010), 1: (20_100, 20_090), 2: (20_050, 20_100)}.items():
        write_tested_run(
            tmp_path / "runs" / f"linear-seed{seed}", span(0, first, rows), model="linear", seed=seed
        )
        write_tested_run(
            tmp_path / "runs" / f"close-s{seed}", span(0, second, rows), device="engine11", seed=seed
        )
        write_tested_run(
            tmp_path / "runs" / f"far_{seed}",
            span(0, second - 1000 * (seed + 2), rows),
            device="engine11",
            epochs=9,
            seed=seed,
        )
    # A seed that the reference lacks counts in the accuracy, not in the difference.
    write_tested_run(tmp_path / "runs" / "close-s7", span(0, 20_000, rows), device="engine11", seed=7)
    for seed in range(3):
        (tmp_path / "runs" / f"far_{seed}").rename(tmp_path / "runs" / f"far-{seed}-s{seed}")
    found = rows_by_name(tmp_path / "runs", tmp_path)
    close, far = found["close"], found["far-0"]
    assert close["seeds"] == [0, 1, 2, 7] and close["compared_seeds"] == [0, 1, 2]
    assert close["accuracy"] == pytest.approx((20_010 + 20_090 + 20_100 + 20_000) / 4 / rows)
    gains = np.array([10, -10, 50]) / rows
    assert (
        close["difference_points"] == pytest.approx(100 * gains.mean()) and close["within_1_point"] == "yes"
    )
    # Seeds that differ by this much are what makes the interval, by scipy's own account.
    gains = np.array([20_010 - 2000 - 20_000, 20_090 - 3000 - 20_100, 20_100 - 4000 - 20_050]) / rows
    expected = stats.ttest_1samp(gains, 0)
    assert far["compared"] == "paired seeds" and far["p"] == pytest.approx(expected.pvalue)
    assert (far["difference_low"] / 100, far["difference_high"] / 100) == pytest.approx(
        tuple(expected.confidence_interval(0.95))
    )
    assert far["over"] == "seeds" and far["within_1_point"] == "no"


def test_seeds_without_predictions(tmp_path):
    accuracies = {"linear": [0.80, 0.82, 0.81], "conv1d": [0.84, 0.80, 0.85]}
    for model, values in accuracies.items():
        for seed, value in enumerate(values):
            write_tested_run(
                tmp_path / "runs" / f"{model}-s{seed}",
                span(0, int(value * 25_000), 25_000),
                kept=False,
                model=model,
                seed=seed,
            )
    row = rows_by_name(tmp_path / "runs", tmp_path)["conv1d"]
    expected = stats.ttest_ind(accuracies["conv1d"], accuracies["linear"], equal_var=False)
    assert row["compared"] == "unpaired seeds" and row["p"] == pytest.approx(expected.pvalue)
    assert (row["difference_low"] / 100, row["difference_high"] / 100) == pytest.approx(
        tuple(expected.confidence_interval(0.95))
    )
    assert (row["low"], row["high"]) == pytest.approx(
        tuple(stats.ttest_1samp(accuracies["conv1d"], 0).confidence_interval(0.95))
    )


def test_references(tmp_path):
    for name, changes in {
        "none-short": {"epochs": 1},
        "none-long": {"epochs": 5},
        "optical-long": {"epochs": 5, "device": "engine11"},
        "lambda": {"model": "lambda"},
    }.items():
        write_tested_run(tmp_path / "runs" / name, span(0, 800), **changes)
    found = rows_by_name(tmp_path / "runs", tmp_path)
    # The exact twin that differs in least; a network without one stands alone.
    assert found["optical-long"]["against"] == "none-long" and "against" not in found["lambda"]
    found = rows_by_name(tmp_path / "runs", tmp_path, reference="lambda")
    assert {name: row.get("against") for name, row in found.items()} == {"lambda": None} | {
        name: "lambda" for name in ("none-short", "none-long", "optical-long")
    }


def test_a_linear_network_trained_on_other_rows_is_no_reference(tmp_path):
    for name, changes in {
        "linear": {"model": "linear"},
        "lambda": {"model": "lambda"},
        "few": {"model": "lambda", "max_examples": 100},
        "few-optical": {"model": "lambda", "max_examples": 100, "device": "engine11"},
    }.items():
        write_tested_run(tmp_path / "runs" / name, span(0, 800), **changes)
    found = {name: row.get("against") for name, row in rows_by_name(tmp_path / "runs", tmp_path).items()}
    assert found == {"linear": None, "lambda": "linear", "few": None, "few-optical": "few"}


def test_settings_added_later_have_their_defaults(tmp_path):
    write_tested_run(tmp_path / "runs" / "net-s0", span(0, 800))
    write_tested_run(
        tmp_path / "runs" / "net-s1",
        span(0, 800),
        seed=1,
        spectral=False,
        order="post",
        maps=None,
        commit="def",
        machine="other",
    )
    assert rows_by_name(tmp_path / "runs", tmp_path)["net"]["seeds"] == [0, 1]


def test_sizes_of_data():
    digits, pixels = data.load(Config(data="digits")), data.load(Config(data="pixels", max_tokens=64))
    assert SIZES["digits"] == (len(digits.train.labels), len(digits.test.labels))
    for name, read in (("digits", digits), ("pixels", pixels)):
        assert INPUTS[name] == (read.classes, read.image, read.vocabulary)


def test_digits_have_their_baselines(tmp_path, capsys):
    """Those of scikit-learn on the same split, also where a run did not record them."""
    labels = data.load(Config(data="digits")).test.labels
    write_tested_run(tmp_path / "runs" / "a", span(0, 350, 359), labels=labels, data="digits")
    row = rows_by_name(tmp_path / "runs", tmp_path)["a"]
    assert row["logistic_regression_accuracy"] == pytest.approx(0.978, abs=5e-4)
    assert row["nearest_neighbours_accuracy"] == pytest.approx(0.983, abs=5e-4)
    printed = capsys.readouterr().out
    assert "logistic regression  3 nearest neighbours" in printed and "97.77%" in printed


def test_unknown_number_of_rows(tmp_path):
    # 2/3 is no share of 25,000 reviews: it was another test set.
    write_tested_run(tmp_path / "runs" / "a", span(0, 200, 300), kept=False, model="linear")
    write_tested_run(tmp_path / "runs" / "b", span(0, 100, 300), kept=False)
    row = rows_by_name(tmp_path / "runs", tmp_path)["b"]
    assert row["low"] is None and row["over"] == "unknown number of rows"
    assert (
        row["difference_low"] is None
        and row["within_1_point"] is None
        and row["difference_points"] == pytest.approx(-100 / 3)
    )


def break_config(folder):
    (folder / "a" / "config.json").write_text("{")


def break_metrics(folder):
    (folder / "a" / "metrics.jsonl").write_text('{"step": 1}\n{"test_acc')


def no_seed(folder):
    (folder / "a" / "config.json").write_text('{"data": "imdb", "model": "linear"}')


def no_share(folder):
    (folder / "a" / "metrics.jsonl").write_text('{"test_accuracy": NaN}\n')


def no_archive(folder):
    (folder / "a" / "predictions.npz").write_text("no")


def no_array(folder):
    np.savez(folder / "a" / "predictions.npz", labels=np.zeros(3, int))


def fewer_predictions(folder):
    np.savez(folder / "a" / "predictions.npz", labels=np.zeros(3, int), predicted=np.zeros(2, int))


def fractions(folder):
    np.savez(folder / "a" / "predictions.npz", labels=np.zeros(3), predicted=np.zeros(3))


def other_run(folder):
    np.savez(folder / "a" / "predictions.npz", labels=np.zeros(10, int), predicted=np.zeros(10, int))


def other_rows(folder):
    write_tested_run(folder / "b", span(0, 8, 10), model="lambda")


def other_labels(folder):
    write_tested_run(folder / "b", span(0, 800), model="lambda", labels=np.zeros(1000, int))


def twice(folder):
    write_tested_run(folder / "b", span(0, 800), model="linear")


def one_name(folder):
    write_tested_run(folder / "a-s4", span(0, 800), model="linear", seed=4, depth=6)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (break_config, "a must be the folder of a run, but its config.json cannot be read"),
        (break_metrics, "found 1 unfinished"),
        (no_seed, "a/config.json must have 'seed', got None"),
        (no_share, "a/metrics.jsonl must end with a test_accuracy from 0 to 1, got nan"),
        (no_archive, "a/predictions.npz must hold the arrays labels and predicted"),
        (no_array, "a/predictions.npz must hold the arrays labels and predicted"),
        (fewer_predictions, "a/predictions.npz must hold as many labels as predictions, got (3,) and (2,)"),
        (fractions, "a/predictions.npz must hold whole numbers, got float64 and float64"),
        (
            other_run,
            "a/predictions.npz is right on 100.0000% of the rows, but metrics.jsonl beside it says 80.0000%",
        ),
        (other_rows, "have 1000 and 10 rows, but both say imdb"),
        (other_labels, "have other labels, but both say imdb"),
        (twice, "are of one configuration and seed 0"),
        (one_name, "differ in depth, not in the seed alone"),
    ],
)
def test_refusals(harm, message, tmp_path, capsys):
    write_tested_run(tmp_path / "runs" / "a", span(0, 800), model="linear")
    harm(tmp_path / "runs")
    command = ["accuracy", "--results", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert message in refuse(command, capsys)
    assert not (tmp_path / "out").exists()


def test_nothing_to_compare(tmp_path):
    with pytest.raises(ValueError, match=r"must hold folders of finished runs .* found 0 unfinished"):
        accuracy.main(Accuracy(results=tmp_path / "none", out=tmp_path))
    write_tested_run(tmp_path / "runs" / "a", span(0, 800))
    with pytest.raises(ValueError, match=r"`reference` must be one of a; got 'b'"):
        accuracy.main(Accuracy(results=tmp_path / "runs", out=tmp_path, reference="b"))
