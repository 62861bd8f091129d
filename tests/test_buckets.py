"""Batches of rows of about one length: every row once, the same logits, the same run when it is continued."""

import json

import jax
import numpy as np
import pytest
from flax import nnx

from nets import data, evaluate, train
from nets.config import Config, bucket_lengths, resolve
from nets.data import Dataset, Split
from nets.run._build import build_model
from nets.run._loop import Loop
from tests import reviews
from tests.conftest import relative
from tests.test_survival import assert_same, untimed

LENGTHS = (8, 12, 16, 24, 32, 48, 64)


@pytest.fixture
def split():
    """Rows of 1 to 64 tokens, one of them empty and two with a gap."""
    rng = np.random.default_rng(0)
    count = np.concatenate([rng.integers(1, 65, 99), [0]])
    rows = np.where(np.arange(64) < count[:, None], rng.integers(1, 50, (100, 64)), 0).astype(np.int32)
    rows[:2, 0] = 0
    return Split(rows, rng.integers(0, 2, 100))


@pytest.mark.parametrize("chance", [None, 3])
def test_every_row_is_in_one_batch_and_none_is_cut(chance, split):
    order = np.random.default_rng(1).permutation(100)
    plan = data.planned(split, 8, order, LENGTHS, None if chance is None else np.random.default_rng(chance))
    assert sorted(np.concatenate(plan)) == list(range(100)) and sorted(map(len, plan)) == [4] + [8] * 12
    computed = 0
    for chosen in plan:
        rows, labels, weights = data.gathered(split, chosen, 8, LENGTHS)
        assert len(rows) == 8 and rows.shape[1] in LENGTHS and weights.sum() == len(chosen)
        longest = max(np.flatnonzero(row).max(initial=-1) + 1 for row in split.rows[chosen])
        assert longest <= rows.shape[1] and (
            rows.shape[1] == 8 or longest > max(n for n in LENGTHS if n < rows.shape[1])
        )
        assert np.array_equal(rows[: len(chosen)], split.rows[chosen][:, : rows.shape[1]])
        assert np.array_equal(labels[: len(chosen)], split.labels[chosen])
        computed += rows.size
    # Of uniform lengths (8·8 + 4·12 + 4·16 + 8·24 + 8·32 + 16·48 + 16·64) / 64 = 37.75 of 64 tokens, and what moves up.
    assert 0.55 < computed / (13 * 8 * 64) < 0.8
    if chance is not None:
        again = data.planned(split, 8, order, LENGTHS, np.random.default_rng(chance))
        assert all(np.array_equal(a, b) for a, b in zip(plan, again, strict=True))
        widths = [data.gathered(split, chosen, 8, LENGTHS)[0].shape[1] for chosen in plan]
        assert widths != sorted(widths)


@pytest.mark.parametrize(
    ("changes", "lengths"),
    [
        (dict(model="linear"), LENGTHS),
        (dict(model="linear", order="pre", attention="canonical", depth=2), LENGTHS),
        (dict(model="conv1d", shape=(6,)), LENGTHS),
        (dict(model="conv2d", shape=(2, 3), spectral=True, maps=2, device="none"), LENGTHS),
        (dict(model="lambda", scope=12), (12, 16, 24, 32, 48, 64)),
        (dict(model="lambda", boundary="zero"), LENGTHS),
    ],
)
def test_logits_do_not_depend_on_the_bucket(changes, lengths, split):
    config = resolve(Config(**dict(data="imdb", shape=(6,), heads=2, length=64, buckets=True) | changes))
    assert bucket_lengths(config) == lengths
    model = build_model(config, Dataset(split, split, split, 2, vocabulary=50), nnx.Rngs(0))
    model.eval()
    call = jax.jit(lambda rows: model(rows))
    plan = data.planned(split, 32, lengths=lengths)
    found = np.concatenate(
        [np.asarray(call(data.gathered(split, rows, 32, lengths)[0]))[: len(rows)] for rows in plan]
    )
    assert relative(found, call(split.rows)[np.concatenate(plan)]) <= 1e-5


def test_a_run_stops_in_an_epoch_goes_on_and_is_evaluated(tmp_path, monkeypatch):
    def leaving(loop, bar):
        log(loop, bar)
        if loop.progress.step == 7:
            loop._leave()

    run = dict(
        data="imdb",
        data_path=reviews.write(tmp_path / "aclImdb"),
        model="linear",
        shape=(4,),
        heads=1,
        length=16,
        vocabulary=60,
    )
    run |= dict(buckets=True, accumulate=2, batch_size=16, epochs=2, progress=False, cache=tmp_path / "cache")
    widths = []
    gathered = data.gathered
    monkeypatch.setattr(
        "nets.run._loop.gathered",
        lambda *arguments: widths.append(gathered(*arguments)[0].shape[1]) or gathered(*arguments),
    )
    final = train.fit(Config(**run, out=tmp_path / "whole"))
    assert set(widths) == {8, 12, 16}
    log = Loop._log
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Loop, "_log", leaving)
        train.fit(Config(**run, out=tmp_path / "broken"))
    assert len(untimed(tmp_path / "broken")) == 8  # of two epochs of five steps, one of them validated
    train.fit(Config(**run, out=tmp_path / "broken"))
    assert_same(tmp_path / "whole", tmp_path / "broken")
    # A network on text on its own, in the order of the test set, with buckets and without.
    (row,) = evaluate.evaluate(tmp_path / "whole")
    assert row["accuracy"] == pytest.approx(final["test_accuracy"]) and row["loss"] == pytest.approx(
        final["test_loss"], rel=1e-6
    )
    with np.load(tmp_path / "whole" / "predictions.npz") as kept:
        assert np.array_equal(kept["predicted"], row["predicted"])
        assert np.mean(kept["predicted"] == kept["labels"]) == pytest.approx(final["test_accuracy"])
        assert np.array_equal(
            kept["labels"], data.load(resolve(Config(**run, out=tmp_path / "new"))).test.labels
        )
    path = tmp_path / "whole" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"buckets": False}))
    (full,) = evaluate.evaluate(tmp_path / "whole")
    assert full["predicted"] == row["predicted"] and full["loss"] == pytest.approx(row["loss"], rel=1e-5)
