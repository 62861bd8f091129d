"""What a run can leave out or take from elsewhere: mixing, training of the mixers, the test, tokens, weights,
numbers of a device."""

import dataclasses
import json
import tarfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tokenizers import Tokenizer

import nets
import optics
from nets.config import Config, parse_numbers, resolve
from nets.data import Dataset, Split, load
from nets.layers import BigramEmbedding, TokenDropout, TokenEmbedding, hash_bigrams, naive_bayes_ratios
from nets.run import RunFolder, build_device, build_model, count_parameters, evaluate
from tests.helpers_nets import lines, write_reviews

ROWS = Split(np.array([[5, 6, 7, 0], [8, 9, 0, 0]], np.int32), np.array([0, 1], np.int32))
TEXT = Dataset(ROWS, ROWS, ROWS, 2, vocabulary=20)


def weights(folder):
    return RunFolder(folder).weights()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("first") / "run"
    nets.fit(
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


@pytest.mark.slow
def test_a_run_without_a_test_ends_with_its_validation(run):
    written = lines(run)
    assert written[-1].keys() == {"validation_accuracy", "validation_loss", "best_epoch", "seconds"}
    assert (
        written[-1]["validation_loss"]
        == next(line for line in written if line.get("epoch") == written[-1]["best_epoch"])["validation_loss"]
    )
    assert (run / "curves.png").exists() and not (run / "predictions.npz").exists()
    # It is finished, and is not trained again.
    assert nets.fit(RunFolder(run).config()) == {
        name: value for name, value in written[-1].items() if name != "seconds"
    }


@pytest.mark.every(2)
def test_a_run_starts_from_another(run, tmp_path):
    config = dataclasses.replace(
        RunFolder(run).config(), out=tmp_path / "next", init_from=run, epochs=1, learning_rate=1e-12
    )
    nets.fit(config)
    for name, array in weights(run).items():
        np.testing.assert_allclose(weights(tmp_path / "next")[name], array, atol=1e-6)
    wrong = dataclasses.replace(config, out=tmp_path / "wrong", depth=2)
    with pytest.raises(ValueError, match=r"`init_from` .* another network"):
        nets.fit(wrong)
    # The shapes of weights do not tell the heads.
    with pytest.raises(ValueError, match=r"`init_from` .* has `heads` 1, and this run 2; set --heads to 1"):
        nets.fit(dataclasses.replace(config, out=tmp_path / "wrong", heads=2))
    with pytest.raises(ValueError, match=r"`init_from` .* was trained on other data"):
        about = json.loads((run / "config.json").read_text()) | {"data": "fashion-mnist"}
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "config.json").write_text(json.dumps(about))
        nets.fit(dataclasses.replace(wrong, init_from=tmp_path / "other"))
    assert not (tmp_path / "wrong").exists()


def test_frozen_mixers_stay_as_they_were_drawn(tmp_path):
    config = resolve(
        Config(
            device="none",
            heads=1,
            patch=4,
            epochs=1,
            batch_size=128,
            freeze_mixers=True,
            progress=False,
            out=tmp_path / "run",
        )
    )
    nets.fit(config)
    model = build_model(config, load(config), nnx.Rngs(config.seed))
    assert count_parameters(model)["mixers"] == 0
    before = {name: value for name, value in nnx.to_flat_state(nnx.state(model.blocks[0].attention))}
    after = weights(config.out)
    for path, value in before.items():
        np.testing.assert_array_equal(
            after[".".join(map(str, ("blocks", 0, "attention", *path)))], value[...]
        )
    first = nnx.state(model.blocks[0].feed_forward)
    widen = after["blocks.0.feed_forward.widen.kernel"]
    assert not np.array_equal(widen, first["widen"]["kernel"][...])


def test_the_mean_of_the_embeddings_is_one_linear_layer_of_them():
    config = resolve(Config(data="imdb", model="mean", shape=(6,), max_tokens=4))
    model = build_model(config, TEXT, nnx.Rngs(0))
    model.eval()
    vectors = model.embedding.tokens.embedding[...] @ model.classes.kernel[...]
    places = model.embedding.positions.embedding[...] @ model.classes.kernel[...]
    expected = (
        np.stack([(vectors[row[row != 0]] + places[: (row != 0).sum()]).mean(0) for row in ROWS.rows])
        + model.classes.bias[...]
    )
    np.testing.assert_allclose(model(jnp.asarray(ROWS.rows)), expected, atol=1e-6)
    assert count_parameters(model)["mixers"] == 0


def test_dropped_tokens_are_padding_and_as_many_as_asked_for():
    drop = TokenDropout(0.3)
    tokens = jnp.arange(1, 20_001).reshape(100, 200)
    kept = drop(tokens, jax.random.key(0))
    assert bool(jnp.all((kept == 0) | (kept == tokens)))
    assert abs(float(jnp.mean(kept == 0)) - 0.3) < 4 * np.sqrt(0.3 * 0.7 / tokens.size)
    drop.deterministic = True
    assert drop(tokens, None) is tokens
    with pytest.raises(ValueError, match="`token_dropout`"):
        TokenDropout(0.3)(jnp.ones((2, 2)), jax.random.key(0))
    with pytest.raises(ValueError, match="`key` must be given in training"):
        TokenDropout(0.3)(tokens, None)


def test_bigrams_know_the_order_and_no_padding():
    embedding = TokenEmbedding(1000, 4, 8, bigrams=4096, rngs=nnx.Rngs(0))
    of = lambda *row: np.asarray(embedding.pairs(jnp.array([row], jnp.int32))[0])  # noqa: E731
    # Before any training they say nothing.
    assert np.all(of(3, 4, 0, 7) == 0)
    embedding.pairs.vectors.embedding = nnx.Param(jax.random.normal(jax.random.key(0), (4096, 16)))
    a, b = of(3, 4, 0, 7), of(4, 3, 4, 7)
    assert np.all(a[0] == 0) and np.all(a[2] == 0) and np.all(a[3] == 0)
    assert np.abs(a[1] - b[1]).max() > 1e-3
    np.testing.assert_array_equal(a[1], b[2])
    # As if each pair drew one of the vectors: 40,000 of them leave e^(-40000/4096) of those empty, and no
    # vector is crowded.
    x = jnp.asarray(np.random.default_rng(0).integers(1, 1000, (10_000, 5)), jnp.int32)
    embedding.pairs.vectors.embedding = nnx.Param(jnp.arange(4096.0)[:, None])
    embedding.pairs.project = lambda v: v
    indices = np.asarray(embedding.pairs(x))[:, 1:, 0].astype(int)
    counts = np.bincount(indices.ravel(), minlength=4096)
    assert counts.min() > 0 or np.mean(counts == 0) < 5e-3
    assert counts.var() / counts.mean() < 1.5


def test_weights_of_bigrams_are_those_of_naive_bayes(tmp_path):
    from sklearn.naive_bayes import MultinomialNB

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 2500)
    rows = np.where(np.arange(9) < rng.integers(1, 10, (2500, 1)), rng.integers(1, 30, (2500, 9)), 0).astype(
        np.int32
    )
    rows[labels == 1, :2] = [3, 4]
    contains = np.zeros((2500, 512))
    for row, of_row in zip(rows, contains, strict=True):
        of_row[
            [
                hash_bigrams(a, b, 512)
                for a, b in zip(row[:-1, None], row[1:, None], strict=True)
                if a != 0 and b != 0
            ]
        ] = 1
    logarithms = MultinomialNB(alpha=1).fit(contains, labels).feature_log_prob_
    ratios = naive_bayes_ratios(rows, labels, 3, 512)
    np.testing.assert_allclose(ratios, np.ptp(logarithms, axis=0), rtol=1e-5, atol=1e-6)
    assert ratios.argmax() == hash_bigrams(np.array([3]), np.array([4]), 512)[0]


def test_weighted_bigrams_are_factors_that_training_leaves_alone(tmp_path):
    config = Config(
        data="imdb",
        data_path=write_reviews(tmp_path / "data"),
        model="mean",
        shape=(6,),
        max_tokens=8,
        bigrams=64,
    )
    config = dataclasses.replace(
        config, weighted_bigrams=True, batch_size=32, test=False, progress=False, out=tmp_path / "run"
    )
    nets.fit(config)
    dataset = load(resolve(dataclasses.replace(config, out=None)))
    ratios = naive_bayes_ratios(dataset.train.rows, dataset.train.labels, 2, 64)
    trained = weights(tmp_path / "run")
    np.testing.assert_array_equal(trained["embedding.pairs.weights"], ratios)
    assert np.abs(trained["embedding.pairs.vectors.embedding"]).max() > 0
    one, weighted = (BigramEmbedding(64, 8, weights=w, rngs=nnx.Rngs(0)) for w in (None, ratios))
    for bigrams in (one, weighted):
        bigrams.vectors.embedding = nnx.Param(jnp.ones((64, 16)))
    x = dataset.train.rows[:5]
    factors = np.where((x[:, :-1] != 0) & (x[:, 1:] != 0), ratios[hash_bigrams(x[:, :-1], x[:, 1:], 64)], 0)
    np.testing.assert_allclose(
        weighted(jnp.asarray(x))[:, 1:],
        factors[..., None] * np.asarray(one(jnp.asarray(x)))[:, 1:],
        atol=1e-6,
    )
    with pytest.raises(
        ValueError, match=r"`weights` must be one for each of the 64 vectors, got the shape \(3,\)"
    ):
        BigramEmbedding(64, 8, weights=np.ones(3, np.float32), rngs=nnx.Rngs(0))


def test_neighbours_are_held_out_together(tmp_path):
    folder = write_reviews(tmp_path / "data")
    for side in ("pos", "neg"):
        for i, path in enumerate(sorted((folder / "train" / side).iterdir())):
            path.write_text(f"{side} {i}")
    config = Config(data="imdb", data_path=folder, max_tokens=4, progress=False)
    neighbours = resolve(dataclasses.replace(config, validation_split="neighbours"))
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
    config = resolve(Config(overrides=("photons=100", "adc_bits=6"), unit=3))
    device = build_device(config)
    same = optics.presets.load("engine11", unit=jax.random.key(3), photons=100, adc_bits=6)
    assert all(
        bool(jnp.all(a == b)) for a, b in zip(jax.tree.leaves(device), jax.tree.leaves(same), strict=True)
    )
    assert parse_numbers("assume", ["a=1e-3", "b=2"], "a=1") == {"a": 1e-3, "b": 2}
    # A whole number that a compiled program takes no more is refused there as "too large".
    large = parse_numbers("overrides", ["photons=1e12"], "a=1")["photons"]
    assert isinstance(large, float) and jax.jit(lambda: jnp.asarray(large) + 1)() > 9e11


@pytest.mark.slow
def test_a_network_is_tested_on_units_and_on_what_was_held_out(run):
    rows = evaluate(run, "engine11", split="validation", units=3, seed=5)
    assert [row["unit"] for row in rows] == [5, 6, 7] and len({row["loss"] for row in rows}) == 3
    (exact,) = evaluate(run, split="validation")
    final = lines(run)[-1]
    assert (
        exact["accuracy"] == pytest.approx(final["validation_accuracy"], abs=1e-9)
        and exact["split"] == "validation"
    )
    with pytest.raises(ValueError, match="`units`"):
        evaluate(run, units=2)
    with pytest.raises(ValueError, match="`split` must be test or validation, got 'train'"):
        evaluate(run, split="train")


def test_reviews_are_read_once_by_the_runs_of_a_process(tmp_path):
    def archive(folder):
        with tarfile.open(tmp_path / "reviews.tar.gz", "w:gz") as file:
            file.add(folder, "aclImdb")

    archive(write_reviews(tmp_path / "first", 10))
    config = Config(data="imdb", data_path=tmp_path / "reviews.tar.gz", max_tokens=8, progress=False)
    first = load(config)
    assert load(config) is first
    archive(write_reviews(tmp_path / "second", 12))
    assert len(load(config).test.labels) == 24


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (dict(model="mean", device="engine11"), "model"),
        (dict(model="mean", freeze_mixers=True), "freeze_mixers"),
        (dict(overrides=("photons",)), "overrides"),
        (dict(overrides=("photons=1", "photons=2")), "overrides"),
        (dict(device="none", unit=1), "unit"),
        (dict(unit=-1), "unit"),
        (dict(token_dropout=0.1), "token_dropout"),
        (dict(data="imdb", token_dropout=1.0), "token_dropout"),
        (dict(data="imdb", bigrams=0), "bigrams"),
    ],
)
def test_refusals(options, name):
    with pytest.raises(ValueError, match=f"^`{name}` "):
        resolve(Config(**options))
