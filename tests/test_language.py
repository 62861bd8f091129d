"""Language models: logits and their cache, the task of a run, text, and what a classifier takes of one."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from scipy import stats

import nets
import optics
from nets import generate as command
from nets.config import Config
from nets.data import Split
from nets.run import RunFolder
from nets.run._generate import choose_token
from nets.run._layer_decay import decay_layers
from nets.run._tokens import sum_by_document, token_metrics
from tests.helpers import with_slow
from tests.helpers_nets import assert_same_run, lines, write_reviews

VOCABULARY, LENGTH, WIDTH = 40, 12, 9
MIXERS = {
    "linear": lambda rngs: nets.LinearSelfAttention(9, heads=3, kind="canonical", causal=True, rngs=rngs),
    "conv2d": lambda rngs: nets.ConvSelfAttention((3, 3), heads=2, causal=True, rngs=rngs),
    "spectral": lambda rngs: nets.ConvSelfAttention((3, 3), 2, spectral=True, causal=True, rngs=rngs),
    "lambda": lambda rngs: nets.LambdaLayer(9, 3, 4, 5, "causal", normalization="layer", rngs=rngs),
    "long-conv": lambda rngs: nets.LongConvolution(9, 5, rngs=rngs),
    "mean": lambda rngs: nets.TokenMean(9, causal=True),
}
SMALL = dict(
    data="text", shape=(9,), heads=3, max_tokens=16, vocabulary=300, batch_size=4, epochs=2, progress=False
)


def make_model(mixer: str, depth: int = 2, bigrams: int | None = None) -> nets.LanguageModel:
    rngs = nnx.Rngs(0)
    blocks = [nets.Block(MIXERS[mixer](rngs), norm="pre", rngs=rngs) for _ in range(depth)]
    embedding = nets.TokenEmbedding(VOCABULARY, LENGTH, WIDTH, bigrams, rngs=rngs)
    model = nets.LanguageModel(embedding, blocks, rngs=rngs)
    model.eval()
    return model


def rows(count=2, tokens=LENGTH):
    return jax.random.randint(jax.random.key(5), (count, tokens), 1, VOCABULARY)


def step_by_step(model, x, device=None, sizes=None):
    """Logits of `extend`, over pieces of these sizes."""
    state, logits, start = model.start(len(x)), [], 0
    for size in sizes or [1] * x.shape[1]:
        part, state = model.extend(x[:, start : start + size], state, device)
        logits.append(part)
        start += size
    return jnp.concatenate(logits, axis=1)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A folder of files whose words follow each other in a circle."""
    folder, words = (
        tmp_path_factory.mktemp("texts"),
        ["the", "film", "was", "long", "and", "the", "end", "was", "good", "but", "slow"],
    )
    for i in range(12):
        (folder / f"{i:02}.txt").write_text(" ".join(words[(i + j) % len(words)] for j in range(60)))
    return folder


@pytest.fixture(scope="module")
def run(texts, tmp_path_factory):
    """A trained language model."""
    out = tmp_path_factory.mktemp("language") / "run"
    options = SMALL | dict(model="linear", attention="canonical", epochs=30, learning_rate=1e-2)
    nets.fit(Config(**options, data_path=texts, out=out))
    return out


@pytest.mark.parametrize("mixer", with_slow(MIXERS, ["linear", "long-conv", "spectral"]))
def test_logits_token_by_token_are_those_of_the_whole_text(mixer):
    model, x = make_model(mixer), rows()
    whole = model(x)
    for sizes in (None, [5, 1, 6]):
        np.testing.assert_allclose(
            step_by_step(model, x, sizes=sizes), whole, atol=1e-4 * np.abs(whole).max()
        )
    # No token sees a later one.
    changed = model(x.at[:, 7].set(1 + x[:, 7] % (VOCABULARY - 1)))
    np.testing.assert_allclose(changed[:, :7], whole[:, :7], atol=1e-5)
    assert np.abs(changed[:, 7:] - whole[:, 7:]).max() > 1e-3


@pytest.mark.parametrize(
    "mixer", with_slow(["conv2d", "spectral", "lambda", "long-conv"], ["lambda", "long-conv"])
)
def test_a_device_computes_both_alike_and_draws_its_noise(mixer):
    model, x = make_model(mixer, depth=1), rows()
    device = optics.presets.load("engine11", pixels=3)
    # The full scale of an exposure is that of all its numbers: fewer tokens are rounded otherwise.
    whole, error = model(x, device), np.abs(model(x, device) - model(x)).max()
    assert np.abs(step_by_step(model, x, device) - whole).max() <= 2 * error
    noisy = [model.extend(x, model.start(2), device, jax.random.key(seed))[0] for seed in (0, 0, 1)]
    assert np.array_equal(noisy[0], noisy[1]) and not np.allclose(noisy[0], noisy[2], atol=1e-4)


def test_bigrams_and_positions_go_on_where_the_text_is():
    model, x = make_model("mean", 1, bigrams=50), rows()
    weights = jax.random.normal(jax.random.key(1), model.embedding.pairs.vectors.embedding.shape)
    model.embedding.pairs.vectors.embedding[...] = weights
    np.testing.assert_allclose(step_by_step(model, x), model(x), atol=1e-4)


def test_one_program_serves_every_token():
    model, x, traces = make_model("conv2d"), rows(), []
    graph, weights = nnx.split(model)

    @jax.jit
    def extend(weights, token, state):
        traces.append(1)
        return nnx.merge(graph, weights).extend(token, state)

    state = model.start(2)
    for i in range(5):
        _, state = extend(weights, x[:, i : i + 1], state)
    assert len(traces) == 1 and state.count == 5


def test_refusals_of_the_network():
    model = make_model("linear", 1)
    embedding = nets.TokenEmbedding(5, 4, 8, rngs=nnx.Rngs(0))
    both_ways = nets.Block(nets.LinearSelfAttention(9, 3, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0))
    for build, message in (
        (lambda: nets.LanguageModel(embedding, [], rngs=nnx.Rngs(0)), "`blocks` must be `nets.Block`s"),
        (lambda: nets.LanguageModel(embedding, model.blocks, rngs=nnx.Rngs(0)), "`blocks` must have the 8"),
        (lambda: nets.LanguageModel(model, [both_ways], rngs=nnx.Rngs(0)), "`embedding` must be a `nets.Tok"),
        (lambda: model.start(0), "`batch` must be a whole number"),
        (lambda: model.extend(rows(), {}), "`state` must be of `model.start`"),
        (lambda: model.extend(rows() + VOCABULARY, model.start(2)), "`x` must hold token numbers"),
        (lambda: nets.LanguageModel(model.embedding, [both_ways], rngs=nnx.Rngs(0)).start(1), "causal"),
    ):
        with pytest.raises(ValueError, match=message):
            build()


def test_measures_of_documents_by_hand():
    labels = np.array([[5, 6, 7], [8, 9, 0]])
    documents, sizes = np.array([[0, 0, 1], [1, 1, -1]], np.int32), np.array([4, 10])
    losses = np.array([[1.0, 2.0, 3.0], [0.5, 0.5, 0.0]], np.float32)
    whole = Split(np.ones((2, 3), np.int32), labels, documents, sizes)
    assert token_metrics("test", whole, losses) == pytest.approx(
        {"test_perplexity": math.exp(7 / 5), "test_bits_per_byte": 7 / math.log(2) / 14}
    )
    assert sum_by_document(whole, losses)["nats"] == pytest.approx([3, 4])
    of_rows = sum_by_document(Split(whole.rows, labels), losses)
    assert of_rows["nats"] == pytest.approx([6, 1]) and of_rows["tokens"].tolist() == [3, 2]
    assert token_metrics("test", Split(whole.rows, np.array([0, 1])), losses) == {}


def test_a_run_predicts_the_words_that_follow(run, texts):
    final = lines(run)[-1]
    folder = RunFolder(run)
    documents = folder.document_losses()
    assert final["test_perplexity"] == pytest.approx(math.exp(final["test_loss"]), rel=1e-5)
    nats = documents["nats"].sum()
    assert nats / documents["tokens"].sum() == pytest.approx(final["test_loss"], rel=1e-5)
    assert final["test_bits_per_byte"] == pytest.approx(
        nats / math.log(2) / documents["bytes"].sum(), rel=1e-5
    )
    # Less than any constant guess; the words themselves are a circle.
    assert final["test_perplexity"] < 0.9 * final["unigram_perplexity"]
    assert {"kneser_ney_3_perplexity", "kneser_ney_5_perplexity", "xz_bits_per_byte"} <= final.keys()
    with pytest.raises(ValueError, match="must hold the arrays labels and predicted"):
        folder.predictions()
    assert folder.result() is not None
    tested = nets.run.evaluate(run, save=True)[0]
    assert tested["perplexity"] == pytest.approx(final["test_perplexity"], rel=1e-5)
    assert sum(tested["nats"]) == pytest.approx(nats, rel=1e-3)
    assert "labels" not in json.loads((run / "evaluate.json").read_text())


@pytest.mark.parametrize("task", ["language", "masked"])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(task, texts, tmp_path):
    options = SMALL | dict(model="linear", attention="canonical", task=task, data_path=texts, dropout=0.1)
    nets.fit(Config(**options, out=tmp_path / "whole"))
    stops = iter([False, False, True])
    with pytest.raises(KeyboardInterrupt):
        nets.fit(Config(**options, out=tmp_path / "parts"), lambda line: next(stops, False))
    nets.fit(Config(**options, out=tmp_path / "parts"))
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_networks_of_every_model_learn_and_run_on_a_device(texts, tmp_path):
    for model, more in (
        ("conv2d", dict(shape=(3, 3), device="engine11")),
        ("lambda", dict(key_depth=4, scope=6, device="engine11")),
        ("long-conv", dict(scope=6)),
        ("mean", {}),
    ):
        options = SMALL | dict(model=model, epochs=1, max_examples=24, data_path=texts) | more
        options.pop("heads" if model in ("long-conv", "mean") else "", None)
        final = nets.fit(Config(**options, out=tmp_path / model))
        assert np.isfinite(final["test_loss"]) and final["test_perplexity"] < 400
        assert ("exact_test_perplexity" in final) == ("device" in more)
    assert "exact_nats" in RunFolder(tmp_path / "lambda").document_losses()


def test_a_choice_has_the_probabilities_that_it_should():
    logits, keys = jnp.log(jnp.array([0.1, 0.4, 0.3, 0.2])), jax.random.split(jax.random.key(0), 4000)
    choose = jax.jit(jax.vmap(choose_token, (None, 0, None, None, None)))
    for options, expected in (
        ((1.0, 4, 1.0), [0.1, 0.4, 0.3, 0.2]),
        ((0.5, 4, 1.0), np.array([1, 16, 9, 4]) / 30),
        ((1.0, 2, 1.0), [0, 4 / 7, 3 / 7, 0]),
        ((1.0, 4, 0.69), [0, 4 / 7, 3 / 7, 0]),
        ((0.0, 4, 1.0), [0, 1, 0, 0]),
        ((1.0, 1, 1.0), [0, 1, 0, 0]),
    ):
        counts, expected = np.bincount(choose(logits, keys, *options), minlength=4), np.array(expected)
        assert counts[expected == 0].sum() == 0
        possible = expected > 0
        assert possible.sum() == 1 or stats.chisquare(counts[possible], 4000 * expected[possible])[1] > 1e-3


def test_networks_that_hardly_differ_choose_alike():
    logits, keys = jax.random.normal(jax.random.key(0), (50,)), jax.random.split(jax.random.key(1), 500)
    choose = jax.jit(jax.vmap(choose_token, (None, 0, None, None, None)))
    other = logits + 0.01 * jax.random.normal(jax.random.key(2), (50,))
    same = choose(logits, keys, 1.0, 50, 1.0) == choose(other, keys, 1.0, 50, 1.0)
    assert same.mean() > 0.95


def test_text_is_that_of_the_network_without_a_cache(run):
    _, tokenizer, model = nets.run.load_language_model(run)
    written = list(nets.run.generate(run, "the film", tokens=7, temperature=0))
    tokens = nets.run.encode_prompt(tokenizer, "the film", model.length)
    for token in written:
        logits = model(jnp.array(tokens)[None])[0, -1].at[jnp.array([0, 2])].set(-jnp.inf)
        best = int(logits.argmax())
        assert token.probability == pytest.approx(float(jax.nn.softmax(logits)[best]), rel=1e-4)
        tokens.append(best)
    prompt = len(nets.run.encode_prompt(tokenizer, "the film", model.length))
    assert "".join(token.text for token in written) == tokenizer.decode(tokens[prompt:])


def test_text_goes_on_beyond_the_context_and_repeats_with_its_seed(run):
    def write(**options):
        return "".join(token.text for token in nets.run.generate(run, "the", tokens=40, **options))

    assert write(seed=1) == write(seed=1) != write(seed=2)
    assert write(top_k=1) == write(temperature=0) == write(top_p=1e-6)
    assert len(write(temperature=0).split()) > 12


def test_both_networks_side_by_side(texts, tmp_path, capsys):
    options = SMALL | dict(model="conv2d", shape=(3, 3), device="engine11", epochs=1, max_examples=24)
    nets.fit(Config(**options, data_path=texts, out=tmp_path / "run"))
    for token in nets.run.generate(tmp_path / "run", "the", 4, compare=True):
        assert token.probability == pytest.approx(token.exact, rel=0.3)
        assert token.exact_choice > 0 and token.exact_text
    dark = nets.run.generate(tmp_path / "run", "the", 4, compare=True, overrides=("photons=1", "dac_bits=2"))
    assert any(abs(token.probability / token.exact - 1) > 0.01 for token in dark)
    for token in nets.run.generate(tmp_path / "run", "the", 4, device="none", compare=True):
        assert token.probability == token.exact == token.exact_choice
    assert command.main([str(tmp_path / "run"), "--prompt", "the", "--tokens", "3", "--compare"]) == 0
    assert "p device" in capsys.readouterr().out
    assert command.main([str(tmp_path / "run"), "--prompt", "the", "--tokens", "3", "--device", "jtc"]) == 2
    assert command.main([str(tmp_path / "run"), "--prompt", "the", "--tokens", "3", "--device", "none"]) == 0
    assert capsys.readouterr().out.startswith("the")


def test_refusals_of_generation(run, texts, tmp_path, capsys):
    for options, message in (
        (dict(prompt="long " * 40), "`prompt` has [0-9]+ tokens, and the context of the run holds 15"),
        (dict(prompt="a\udc80b"), "`prompt` has '.udc80' at place 1, which is no character"),
        (dict(prompt=3), "`prompt` must be text"),
        (dict(tokens=0), "`tokens` must be a whole number"),
        (dict(temperature=-1.0), "`temperature` must be"),
        (dict(temperature=math.inf), "`temperature` must be"),
        (dict(top_p=0.0), "`top_p` must be above 0 and at most 1"),
        (dict(top_p=1.5), "`top_p` must be above 0 and at most 1"),
        (dict(top_k=0), "`top_k` must be a whole number"),
        (dict(seed=-1), "`seed` must be"),
        (dict(device="slm"), "`device` must be none or a preset"),
        (dict(device="engine11", overrides=("photons",)), "`overrides` must be of the form name=number"),
    ):
        with pytest.raises(ValueError, match=message):
            nets.run.generate(run, **options)
    with pytest.raises(ValueError, match="must be the folder of a run"):
        nets.run.generate(tmp_path)
    masked = SMALL | dict(model="linear", task="masked", epochs=1, data_path=texts, max_examples=8)
    nets.fit(Config(**masked, test=False, out=tmp_path / "masked"))
    assert command.main([str(tmp_path / "masked")]) == 2
    assert "is of task masked, which writes no text" in capsys.readouterr().err


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    return write_reviews(tmp_path_factory.mktemp("reviews"))


CLASSIFIER = dict(
    data="imdb", model="linear", attention="canonical", shape=(9,), heads=3, norm="pre", dropout=0.0
)
CLASSIFIER |= dict(max_tokens=8, batch_size=16, progress=False)


def test_a_classifier_starts_from_a_language_model(run, reviews, tmp_path):
    options = CLASSIFIER | dict(data_path=reviews, init_from=run, epochs=1, learning_rate=1e-12)
    final = nets.fit(Config(**options, out=tmp_path / "run"))
    assert (tmp_path / "run" / "tokenizer.json").read_text() == (run / "tokenizer.json").read_text()
    assert "nbsvm_accuracy" in final
    start, own = RunFolder(run).weights(), RunFolder(tmp_path / "run").weights()
    assert set(own) - set(start) == {"classes.bias", "classes.kernel"}
    for name in set(own) & set(start):
        np.testing.assert_allclose(own[name], start[name][: len(own[name])], atol=1e-6, err_msg=name)
    # It goes on and is read again like any other run.
    assert nets.run.load(tmp_path / "run").evaluate(None, 0)[0]["accuracy"] == final["test_accuracy"]


def test_a_masked_model_starts_from_a_language_model(run, texts, tmp_path):
    options = SMALL | dict(model="linear", attention="canonical", task="masked", data_path=texts, epochs=1)
    nets.fit(Config(**options, init_from=run, learning_rate=1e-12, out=tmp_path / "masked"))
    start, own = RunFolder(run).weights(), RunFolder(tmp_path / "masked").weights()
    assert all(np.allclose(own[name], start[name], atol=1e-6) for name in start)


def test_starts_that_do_not_fit_are_refused(run, reviews, texts, tmp_path):
    options = CLASSIFIER | dict(data_path=reviews, epochs=1, init_from=run)
    for change, message in (
        (dict(max_tokens=17), "a language model of at least --max-tokens"),
        (dict(heads=1), "has `heads` 3, and this run 1; set --heads to 3"),
        (dict(shape=(6,)), "Give a run with the same network"),
        (dict(norm="post"), "Give a run with the same network"),
    ):
        with pytest.raises(ValueError, match=message):
            nets.fit(Config(**options | change, out=tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    causal = SMALL | dict(model="lambda", key_depth=4, scope=4, epochs=1, max_examples=8)
    nets.fit(Config(**causal, data_path=texts, test=False, out=tmp_path / "causal"))
    of_lambda = options | dict(model="lambda", key_depth=4, scope=4, init_from=tmp_path / "causal")
    of_lambda.pop("attention")
    for change, message in (
        ({}, "has `boundary` causal, and this run circular; set --boundary to causal"),
        (dict(boundary="circular"), "has `boundary` causal"),
    ):
        with pytest.raises(ValueError, match=message):
            nets.fit(Config(**of_lambda | change, out=tmp_path / "new"))
    nets.fit(Config(**of_lambda, boundary="causal", test=False, out=tmp_path / "lambda"))


def test_rates_of_blocks():
    tree = {"embedding": {"tokens": 1.0}, "blocks": [{"a": 1.0}, {"a": 1.0}], "norm": 1.0, "classes": 1.0}
    tree = jax.tree.map(jnp.asarray, tree)
    rule = decay_layers(0.5, 2)
    scaled, _ = rule.update(tree, rule.init(tree))
    assert [float(block["a"]) for block in scaled["blocks"]] == [0.5, 1.0]
    assert (float(scaled["embedding"]["tokens"]), float(scaled["norm"]), float(scaled["classes"])) == (
        0.25,
        1,
        1,
    )
    # As the last part of an optimizer it scales the steps.
    optimizer = optax.chain(optax.sgd(0.1), rule)
    steps, _ = optimizer.update(tree, optimizer.init(tree))
    assert float(steps["embedding"]["tokens"]) == pytest.approx(-0.025)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(data="imdb", task="language"), "`task` language does not go with data imdb"),
        (dict(data="reviews", task="classification"), "`task` classification does not go with data reviews"),
        (dict(data="text", model="fourier", shape=(8,)), "`model` fourier mixes each token with later ones"),
        (dict(data="text", model="lambda", boundary="zero"), "`boundary` zero lets a token see later ones"),
        (dict(data="text", model="lambda", normalization="batch"), "`normalization` batch would let a token"),
        (dict(boundary="causal", model="lambda-resnet", data="digits"), "`boundary` causal is for text"),
        (dict(layer_decay=0.5), "`layer_decay` has no effect without `init_from`"),
        (dict(layer_decay=0.0, init_from=Path("x")), "`layer_decay` must be above 0 and at most 1"),
        (dict(data="text", buckets=True), "`buckets` has no effect with `task` language"),
        (dict(data="text", token_dropout=0.1), "`token_dropout` has no effect with `task` language"),
    ],
)
def test_options_that_do_not_fit_together(options, message):
    with pytest.raises(ValueError, match=message):
        nets.config.resolve(Config(**options))
