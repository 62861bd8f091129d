"""What a run can leave out or take from elsewhere: mixing, training of the mixers, the test, tokens, weights, numbers of a device."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tokenizers import Tokenizer

import optics
from nets import evaluate, train
from nets.config import Config, named_numbers, resolve
from nets.data import Dataset, Split
from nets.layers._bigrams import PairEmbedding, class_weights, numbers
from nets.layers._dropout import TokenDropout
from nets.layers._embedding import TokenEmbedding
from nets.run._build import build_device, build_model, parameters
from nets.run._checkpoint import best
from tests import reviews

ROWS = Split(np.array([[5, 6, 7, 0], [8, 9, 0, 0]], np.int32), np.array([0, 1], np.int32))
TEXT = Dataset(ROWS, ROWS, ROWS, 2, vocabulary=20)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("first") / "run"
    train.fit(
        Config(
            device="none",
            heads=1,
            kernel=(3, 3),
            epochs=2,
            batch_size=128,
            patch=4,
            test=False,
            progress=False,
            out=out,
        )
    )
    return out


def test_a_run_without_a_test_ends_with_its_validation(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1].keys() == {"validation_accuracy", "validation_loss", "best_epoch", "seconds"}
    assert (
        lines[-1]["validation_loss"]
        == next(line for line in lines if line.get("epoch") == lines[-1]["best_epoch"])["validation_loss"]
    )
    assert (run / "curves.png").exists() and not (run / "predictions.npz").exists()
    # It is finished, and is not trained again.
    assert train.fit(evaluate.read_config(run)) == {
        name: value for name, value in lines[-1].items() if name != "seconds"
    }


def test_a_run_starts_from_another(run, tmp_path):
    config = dataclasses.replace(
        evaluate.read_config(run), out=tmp_path / "next", start=run, epochs=1, learning_rate=1e-12
    )
    train.fit(config)
    for name, array in best(run).items():
        np.testing.assert_allclose(best(tmp_path / "next")[name], array, atol=1e-6)
    wrong = dataclasses.replace(config, out=tmp_path / "wrong", heads=2)
    with pytest.raises(ValueError, match=r"`start` .* holds another network"):
        train.fit(wrong)
    with pytest.raises(ValueError, match=r"`start` .* was trained on other data"):
        about = json.loads((run / "config.json").read_text()) | {"data": "fashion-mnist"}
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "config.json").write_text(json.dumps(about))
        train.fit(dataclasses.replace(wrong, start=tmp_path / "other"))
    assert not (tmp_path / "wrong").exists()


def test_fixed_mixers_stay_as_they_were_drawn(tmp_path):
    config = resolve(
        Config(
            device="none",
            heads=1,
            patch=4,
            epochs=1,
            batch_size=128,
            fixed=True,
            progress=False,
            out=tmp_path / "run",
        )
    )
    train.fit(config)
    from nets.data import load

    model = build_model(config, load(config), nnx.Rngs(config.seed))
    assert parameters(model)["mixers"] == 0
    before = {name: value for name, value in nnx.to_flat_state(nnx.state(model.blocks[0].attention))}
    after = best(config.out)
    for path, value in before.items():
        np.testing.assert_array_equal(
            after[".".join(map(str, ("blocks", 0, "attention", *path)))], value[...]
        )
    first = nnx.state(model.blocks[0].feed_forward)
    widen = after["blocks.0.feed_forward.widen.kernel"]
    assert not np.array_equal(widen, first["widen"]["kernel"][...])


def test_the_mean_of_the_embeddings_is_one_linear_layer_of_them():
    config = resolve(Config(data="imdb", model="mean", shape=(6,), length=4))
    model = build_model(config, TEXT, nnx.Rngs(0))
    model.eval()
    vectors = model.embedding.tokens.embedding[...] @ model.classes.kernel[...]
    places = model.embedding.positions.embedding[...] @ model.classes.kernel[...]
    expected = (
        np.stack([(vectors[row[row != 0]] + places[: (row != 0).sum()]).mean(0) for row in ROWS.rows])
        + model.classes.bias[...]
    )
    np.testing.assert_allclose(model(jnp.asarray(ROWS.rows)), expected, atol=1e-6)
    assert parameters(model)["mixers"] == 0


def test_dropped_tokens_are_padding_and_as_many_as_asked_for():
    drop = TokenDropout(0.3)
    tokens = jnp.arange(1, 20_001).reshape(100, 200)
    seen = drop(tokens, jax.random.key(0))
    assert bool(jnp.all((seen == 0) | (seen == tokens)))
    assert abs(float(jnp.mean(seen == 0)) - 0.3) < 4 * np.sqrt(0.3 * 0.7 / tokens.size)
    drop.deterministic = True
    assert drop(tokens, None) is tokens
    with pytest.raises(ValueError, match="`token_dropout` leaves out token numbers"):
        TokenDropout(0.3)(jnp.ones((2, 2)), jax.random.key(0))
    with pytest.raises(ValueError, match="`key` must be given in training"):
        TokenDropout(0.3)(tokens, None)


def test_pairs_know_the_order_and_no_padding():
    embedding = TokenEmbedding(1000, 4, 8, pairs=4096, rngs=nnx.Rngs(0))
    of = lambda *row: np.asarray(embedding.pairs(jnp.array([row], jnp.int32))[0])  # noqa: E731
    # Before any training they say nothing.
    assert np.all(of(3, 4, 0, 7) == 0)
    embedding.pairs.vectors.embedding = nnx.Param(jax.random.normal(jax.random.key(0), (4096, 16)))
    a, b = of(3, 4, 0, 7), of(4, 3, 4, 7)
    assert np.all(a[0] == 0) and np.all(a[2] == 0) and np.all(a[3] == 0)
    assert np.abs(a[1] - b[1]).max() > 1e-3
    np.testing.assert_array_equal(a[1], b[2])
    # As if each pair drew one of the vectors: 40,000 of them leave e^(-40000/4096) of those empty, and no vector is crowded.
    x = jnp.asarray(np.random.default_rng(0).integers(1, 1000, (10_000, 5)), jnp.int32)
    embedding.pairs.vectors.embedding = nnx.Param(jnp.arange(4096.0)[:, None])
    embedding.pairs.project = lambda v: v
    numbers = np.asarray(embedding.pairs(x))[:, 1:, 0].astype(int)
    counts = np.bincount(numbers.ravel(), minlength=4096)
    assert counts.min() > 0 or np.mean(counts == 0) < 5e-3
    assert counts.var() / counts.mean() < 1.5


def test_weights_of_pairs_are_those_of_naive_bayes(tmp_path):
    from sklearn.naive_bayes import MultinomialNB

    chance = np.random.default_rng(0)
    labels = chance.integers(0, 3, 2500)
    rows = np.where(
        np.arange(9) < chance.integers(1, 10, (2500, 1)), chance.integers(1, 30, (2500, 9)), 0
    ).astype(np.int32)
    rows[labels == 1, :2] = [3, 4]
    shown = np.zeros((2500, 512))
    for row, of_row in zip(rows, shown, strict=True):
        of_row[
            [
                numbers(a, b, 512)
                for a, b in zip(row[:-1, None], row[1:, None], strict=True)
                if a != 0 and b != 0
            ]
        ] = 1
    logarithms = MultinomialNB(alpha=1).fit(shown, labels).feature_log_prob_
    weights = class_weights(rows, labels, 3, 512)
    np.testing.assert_allclose(weights, np.ptp(logarithms, axis=0), rtol=1e-5, atol=1e-6)
    assert weights.argmax() == numbers(np.array([3]), np.array([4]), 512)[0]


def test_weighted_pairs_are_factors_that_training_leaves_alone(tmp_path):
    config = Config(
        data="imdb", data_path=reviews.write(tmp_path / "data"), model="mean", shape=(6,), length=8, pairs=64
    )
    config = dataclasses.replace(
        config, weighted_pairs=True, batch_size=32, test=False, progress=False, out=tmp_path / "run"
    )
    train.fit(config)
    from nets.data import load

    dataset = load(resolve(dataclasses.replace(config, out=None)))
    weights = class_weights(dataset.train.rows, dataset.train.labels, 2, 64)
    trained = best(tmp_path / "run")
    np.testing.assert_array_equal(trained["embedding.pairs.weights"], weights)
    assert np.abs(trained["embedding.pairs.vectors.embedding"]).max() > 0
    one, weighted = (PairEmbedding(64, 8, weights=w, rngs=nnx.Rngs(0)) for w in (None, weights))
    for pairs in (one, weighted):
        pairs.vectors.embedding = nnx.Param(jnp.ones((64, 16)))
    x = dataset.train.rows[:5]
    factors = np.where((x[:, :-1] != 0) & (x[:, 1:] != 0), weights[numbers(x[:, :-1], x[:, 1:], 64)], 0)
    np.testing.assert_allclose(
        weighted(jnp.asarray(x))[:, 1:],
        factors[..., None] * np.asarray(one(jnp.asarray(x)))[:, 1:],
        atol=1e-6,
    )
    with pytest.raises(
        ValueError, match=r"`weights` must be one for each of the 64 vectors, got the shape \(3,\)"
    ):
        PairEmbedding(64, 8, weights=np.ones(3, np.float32), rngs=nnx.Rngs(0))


def test_neighbours_are_held_out_together(tmp_path):
    folder = reviews.write(tmp_path / "data")
    for side in ("pos", "neg"):
        for i, path in enumerate(sorted((folder / "train" / side).iterdir())):
            path.write_text(f"{side} {i}")
    from nets.data import load

    config = Config(data="imdb", data_path=folder, length=4, progress=False)
    neighbours = resolve(dataclasses.replace(config, held_out="neighbours"))
    dataset = load(neighbours)
    read = Tokenizer.from_str(dataset.files["tokenizer.json"]).decode_batch
    found = [
        sorted(read([row[row != 0] for row in split.rows])) for split in (dataset.validation, dataset.train)
    ]
    assert found[0] == sorted(f"{side} {i}" for side in ("pos", "neg") for i in range(16, 20))
    assert len(found[1]) == 72 and not set(found[0]) & set(found[1])
    # Both classes from the first rows on, and the default as it was.
    assert set(dataset.train.labels[:20]) == {0, 1}
    assert sorted(read([row[row != 0] for row in load(resolve(config)).validation.rows])) != found[0]


def test_numbers_and_units_are_those_of_the_device():
    config = resolve(Config(numbers=("photons=100", "adc_bits=6"), unit=3))
    device = build_device(config)
    same = optics.presets.load("engine11", unit=jax.random.key(3), photons=100, adc_bits=6)
    assert all(
        bool(jnp.all(a == b)) for a, b in zip(jax.tree.leaves(device), jax.tree.leaves(same), strict=True)
    )
    assert named_numbers("assume", ["a=1e-3", "b=2"], "a=1") == {"a": 1e-3, "b": 2}


def test_a_network_is_tested_on_units_and_on_what_was_held_out(run):
    rows = evaluate.evaluate(run, "engine11", split="validation", units=3, seed=5)
    assert [row["unit"] for row in rows] == [5, 6, 7] and len({row["loss"] for row in rows}) == 3
    (exact,) = evaluate.evaluate(run, split="validation")
    final = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert (
        exact["accuracy"] == pytest.approx(final["validation_accuracy"], abs=1e-9)
        and exact["split"] == "validation"
    )
    with pytest.raises(ValueError, match="`units` must be at least 1, of a device"):
        evaluate.evaluate(run, units=2)
    with pytest.raises(ValueError, match="`split` must be test or validation, got 'train'"):
        evaluate.evaluate(run, split="train")


def test_reviews_are_read_once_by_the_runs_of_a_process(tmp_path, monkeypatch):
    import tarfile

    from nets.data import _imdb as imdb

    reviews.write(tmp_path / "aclImdb", 10)
    with tarfile.open(tmp_path / "reviews.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "aclImdb", "aclImdb")
    config = Config(data="imdb", data_path=tmp_path / "reviews.tar.gz", length=8, progress=False)
    first = imdb.load(config)
    assert imdb.load(config) is first
    reviews.write(tmp_path / "more", 12)
    with tarfile.open(tmp_path / "reviews.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "more", "aclImdb")
    assert len(imdb.load(config).test.labels) == 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(model="mean", device="engine11"), "`model` mean has no convolutions"),
        (dict(model="mean", fixed=True), "`fixed` says nothing to model mean"),
        (
            dict(numbers=("photons",)),
            "`numbers` must be of the form name=number, such as photons=1000; got 'photons'",
        ),
        (dict(numbers=("photons=1", "photons=2")), "`numbers` must set a number once, got photons twice"),
        (dict(device="none", unit=1), "`unit` is of a device, and `device` is none"),
        (dict(unit=-1), "`unit` must be a whole number of at least 0"),
        (dict(token_dropout=0.1), "`token_dropout` says nothing of digits"),
        (dict(data="imdb", token_dropout=1.0), "`token_dropout` must be at least 0 and below 1"),
        (dict(data="imdb", pairs=0), "`pairs` must be a whole number of at least 1"),
        (dict(start="/nowhere"), "`start` /nowhere must be the folder of a run"),
    ],
)
def test_refusals(options, message):
    from pathlib import Path

    if "start" in options:
        options = {"start": Path(options["start"])}
    with pytest.raises(ValueError, match=message):
        resolve(Config(**options))
