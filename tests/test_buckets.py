"""Batches of rows of about one length: every row once, the same logits, the same run when it is continued."""

import json

import jax
import numpy as np
import pytest
from flax import nnx

import nets
from nets import data
from nets.config import Config, bucket_lengths, resolve
from nets.data import Dataset, Split
from nets.run import RunFolder, build_model, evaluate
from optics.metrics import relative_error
from tests.helpers_nets import assert_same_run, untimed, write_reviews

LENGTHS = (8, 12, 16, 24, 32, 48, 64)


@pytest.fixture
def split():
    """Rows of 1 to 64 tokens, one of them empty and two with a gap."""
    rng = np.random.default_rng(0)
    count = np.concatenate([rng.integers(1, 65, 99), [0]])
    rows = np.where(np.arange(64) < count[:, None], rng.integers(1, 50, (100, 64)), 0).astype(np.int32)
    rows[:2, 0] = 0
    return Split(rows, rng.integers(0, 2, 100))


@pytest.mark.parametrize("seed", [None, 3])
def test_every_row_is_in_one_batch_and_none_is_cut(seed, split):
    order = np.random.default_rng(1).permutation(100)
    plan = data.plan_batches(split, 8, order, LENGTHS, None if seed is None else np.random.default_rng(seed))
    assert sorted(np.concatenate(plan)) == list(range(100)) and sorted(map(len, plan)) == [4] + [8] * 12
    computed = 0
    for indices in plan:
        rows, labels, weights = data.make_batch(split, indices, 8, LENGTHS)
        assert len(rows) == 8 and rows.shape[1] in LENGTHS and weights.sum() == len(indices)
        longest = max(np.flatnonzero(row).max(initial=-1) + 1 for row in split.rows[indices])
        assert longest <= rows.shape[1] and (
            rows.shape[1] == 8 or longest > max(n for n in LENGTHS if n < rows.shape[1])
        )
        assert np.array_equal(rows[: len(indices)], split.rows[indices][:, : rows.shape[1]])
        assert np.array_equal(labels[: len(indices)], split.labels[indices])
        computed += rows.size
    # Of uniform lengths (8·8 + 4·12 + 4·16 + 8·24 + 8·32 + 16·48 + 16·64) / 64 = 37.75 of 64 tokens, and what
    # moves up.
    assert 0.55 < computed / (13 * 8 * 64) < 0.8
    if seed is not None:
        again = data.plan_batches(split, 8, order, LENGTHS, np.random.default_rng(seed))
        assert all(np.array_equal(a, b) for a, b in zip(plan, again, strict=True))
        widths = [data.make_batch(split, indices, 8, LENGTHS)[0].shape[1] for indices in plan]
        assert widths != sorted(widths)


@pytest.mark.parametrize(
    ("changes", "lengths"),
    [
        (dict(model="linear"), LENGTHS),
        (dict(model="linear", norm="pre", attention="canonical", depth=2), LENGTHS),
        (dict(model="conv1d", shape=(6,)), LENGTHS),
        (dict(model="conv2d", shape=(2, 3), spectral=True, feedforward_maps=2, device="none"), LENGTHS),
        (dict(model="lambda", scope=12), (12, 16, 24, 32, 48, 64)),
        (dict(model="lambda", boundary="zero"), LENGTHS),
    ],
)
@pytest.mark.every(2)
def test_logits_do_not_depend_on_the_bucket(changes, lengths, split):
    config = resolve(Config(**dict(data="imdb", shape=(6,), heads=2, max_tokens=64, buckets=True) | changes))
    assert bucket_lengths(config) == lengths
    model = build_model(config, Dataset(split, split, split, 2, vocabulary=50), nnx.Rngs(0))
    model.eval()
    call = jax.jit(lambda rows: model(rows))
    plan = data.plan_batches(split, 32, lengths=lengths)
    logits = np.concatenate(
        [np.asarray(call(data.make_batch(split, rows, 32, lengths)[0]))[: len(rows)] for rows in plan]
    )
    assert relative_error(logits, call(split.rows)[np.concatenate(plan)]) <= 1e-5


@pytest.mark.slow
def test_a_run_stops_in_an_epoch_goes_on_and_is_evaluated(tmp_path, monkeypatch):
    run = dict(
        data="imdb",
        data_path=write_reviews(tmp_path / "aclImdb"),
        model="linear",
        shape=(4,),
        heads=1,
        max_tokens=16,
        vocabulary=60,
    )
    run |= dict(buckets=True, accumulate=2, batch_size=16, epochs=2, progress=False, cache=tmp_path / "cache")
    widths, make_batch = [], data.make_batch

    def watched(*arguments):
        batch = make_batch(*arguments)
        widths.append(batch[0].shape[1])
        return batch

    with monkeypatch.context() as patch:
        patch.setattr(data, "make_batch", watched)
        final = nets.fit(Config(**run, out=tmp_path / "whole"))
    assert set(widths) == {8, 12, 16}
    with pytest.raises(KeyboardInterrupt):
        nets.fit(Config(**run, out=tmp_path / "broken"), observe=lambda line: line.get("step") == 7)
    assert len(untimed(tmp_path / "broken")) == 8  # of two epochs of five steps, one of them validated
    nets.fit(Config(**run, out=tmp_path / "broken"))
    assert_same_run(tmp_path / "whole", tmp_path / "broken")
    # A network on text on its own, in the order of the test set, with buckets and without.
    (row,) = evaluate(tmp_path / "whole")
    assert row["accuracy"] == pytest.approx(final["test_accuracy"]) and row["loss"] == pytest.approx(
        final["test_loss"], rel=1e-6
    )
    labels, predicted = RunFolder(tmp_path / "whole").predictions()
    assert np.array_equal(predicted, row["predicted"])
    assert np.mean(predicted == labels) == pytest.approx(final["test_accuracy"])
    assert np.array_equal(labels, data.load(Config(**run)).test.labels)
    path = tmp_path / "whole" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"buckets": False}))
    (full,) = evaluate(tmp_path / "whole")
    assert full["predicted"] == row["predicted"] and full["loss"] == pytest.approx(row["loss"], rel=1e-5)
