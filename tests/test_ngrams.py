"""Baselines of language models: Kneser–Ney against NLTK, against hand and on a source of known entropy."""

import itertools

import numpy as np
import pytest

from nets.data import _ngrams as ngrams

# ". san francisco" three times, then ". my glasses . your glasses . reading ."
DOT, SAN, FRANCISCO, MY, YOUR, GLASSES, READING = range(7)
STREAM = np.array(
    [DOT, SAN, FRANCISCO] * 3 + [DOT, MY, GLASSES, DOT, YOUR, GLASSES, DOT, READING, DOT], np.int32
)


def last(train, test, order, vocabulary, discounts=None):
    """Probability of the last token of the test."""
    return np.exp(ngrams.kneser_ney(train, np.array(test), order, vocabulary, discounts)[-1])


def test_a_word_that_follows_few_others_is_rare_after_a_new_one():
    def probability(word, *before):
        return last(STREAM, [*before, word], 2, 7, (0.0, 0.5))

    # More frequent, but after one other word only: Chen and Goodman's example.
    assert np.count_nonzero(STREAM == FRANCISCO) > np.count_nonzero(STREAM == GLASSES)
    assert probability(FRANCISCO) == pytest.approx(1 / 10) and probability(GLASSES) == pytest.approx(2 / 10)
    assert probability(FRANCISCO, READING) == pytest.approx(0.5 / 1 * 1 / 10)
    assert probability(GLASSES, READING) == pytest.approx(0.5 / 1 * 2 / 10)
    assert probability(FRANCISCO, SAN) == pytest.approx((3 - 0.5) / 3 + 0.5 * 1 / 3 * 1 / 10)
    assert probability(SAN, DOT) == pytest.approx((3 - 0.5) / 6 + 0.5 * 4 / 6 * 1 / 10)


def test_discounts_are_those_of_the_counts():
    # Six bigrams stand there once and one twice; five words follow one other word and one follows two.
    given = ngrams.kneser_ney(STREAM, STREAM, 2, 9, (5 / 7, 6 / 8))
    assert np.array_equal(ngrams.kneser_ney(STREAM, STREAM, 2, 9), given)
    assert ngrams.estimate_discount(np.array([1, 1, 1, 2, 5, 0])) == 3 / 5
    assert ngrams.estimate_discount(np.array([4, 2, 0])) == 0.5
    # Of 18 words, of 7 kinds, three stand there once and one twice. A new one has a ninth of the discounts.
    assert last(STREAM, [8], 1, 9) == pytest.approx(3 / 5 * 7 / 18 / 9)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_kneser_ney_is_that_of_nltk(order):
    from nltk.lm import KneserNeyInterpolated, Vocabulary

    vocabulary, discount = 6, 0.3
    stream = np.random.default_rng(order).choice(vocabulary, 50, p=[0.4, 0.3, 0.2, 0.1, 0, 0])
    # NLTK counts what follows a context otherwise where the context begins the text; this one begins again.
    stream = np.concatenate([stream, [4], stream[:order]])
    words = [str(token) for token in stream]
    reference = KneserNeyInterpolated(order, discount, vocabulary=Vocabulary(map(str, range(vocabulary))))
    reference.fit([[tuple(words[i : i + n]) for n in range(1, order + 1) for i in range(len(words) - n + 1)]])
    # Its lowest order is not smoothed.
    discounts = (0.0, *(discount,) * (order - 1))
    unseen = 0
    for tokens in itertools.product(range(vocabulary), repeat=order):
        expected = reference.score(str(tokens[-1]), [str(token) for token in tokens[:-1]])
        assert last(stream, tokens, order, vocabulary, discounts) == pytest.approx(expected, abs=1e-13)
        unseen += 5 in tokens[:-1]
    assert unseen > 0


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("length", [7, 200])
def test_probabilities_sum_to_one(order, length):
    rng = np.random.default_rng(length)
    vocabulary = 5
    train = rng.integers(0, 4, length)
    seen = [train[i : i + order - 1] for i in range(0, length - order, max(1, length // 20))]
    contexts = [*seen, *rng.integers(0, vocabulary, (20, order - 1)), [4] * (order - 1), []]
    for context in contexts:
        total = sum(last(train, [*context, token], order, vocabulary) for token in range(vocabulary))
        assert total == pytest.approx(1, abs=1e-12)


def test_the_perplexity_of_a_markov_chain_is_that_of_its_source():
    rng = np.random.default_rng(0)
    states, length = 12, 120_000
    chances = rng.dirichlet(np.full(states, 0.4), (states, states))
    sums = chances.cumsum(-1)
    stream = [0, 0]
    for draw in rng.random(length):
        stream.append(min(int(np.searchsorted(sums[stream[-2], stream[-1]], draw)), states - 1))
    train, test = np.array(stream[:100_000]), np.array(stream[100_000:])
    truth = -np.log(chances[test[:-2], test[1:-1], test[2:]]).mean()
    found = {n: -ngrams.kneser_ney(train, test, n, states)[2:].mean() for n in (1, 2, 3, 5)}
    assert truth < found[3] < truth + 0.02
    assert found[3] < found[5] < found[2] < found[1]


def test_several_orders_at_once_are_those_one_by_one():
    train, test = np.random.default_rng(0).integers(0, 6, (2, 300))
    together = ngrams.kneser_ney_orders(train, test, (1, 3, 5), 7)
    for order, log_p in together.items():
        assert np.array_equal(log_p, ngrams.kneser_ney(train, test, order, 7))
    # Three tokens have no n-grams of five.
    few = ngrams.language_baselines(train[:3], test, 7, b"text", 4)
    assert few["kneser_ney_5_perplexity"] == few["kneser_ney_3_perplexity"]


def test_unigrams_are_frequencies():
    log_p = ngrams.unigram(np.array([0, 0, 1]), np.array([0, 1, 2]), 4)
    np.testing.assert_allclose(np.exp(log_p), np.array([3, 2, 1]) / 7)


def test_baselines_of_letters_at_random_are_their_entropy():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 4, 20_000), rng.integers(0, 4, 8_001)
    text = bytes(b"acgt"[token] for token in test[1:])
    baselines = ngrams.language_baselines(train, test, 4, text, len(text))
    assert list(baselines) == [
        "unigram_perplexity",
        "kneser_ney_3_perplexity",
        "kneser_ney_5_perplexity",
        "kneser_ney_5_bits_per_byte",
        "gzip_bits_per_byte",
        "xz_bits_per_byte",
    ]
    assert baselines["unigram_perplexity"] == pytest.approx(4, rel=1e-3)
    assert 4 < baselines["kneser_ney_3_perplexity"] < 4.1
    assert baselines["kneser_ney_5_bits_per_byte"] == pytest.approx(
        np.log2(baselines["kneser_ney_5_perplexity"])
    )
    assert all(2 < baselines[f"{name}_bits_per_byte"] < 2.7 for name in ("gzip", "xz"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(order=0), "`order` must be from 1 to the 18 tokens of `train`, got 0"),
        (dict(order=19), "`order` must be from 1 to the 18 tokens of `train`, got 19"),
        (dict(train=STREAM[:0]), "`order` must be from 1 to the 0 tokens of `train`"),
        (dict(train=STREAM + 1), "`train` must have tokens from 0 to 6, got 1 to 7"),
        (dict(test=STREAM - 1), "`test` must have tokens from 0 to 6, got -1 to 5"),
        (dict(discounts=(0.5,)), "`discounts` must be 2 numbers from 0 to 1"),
        (dict(discounts=(0.5, 1.5)), "`discounts` must be 2 numbers from 0 to 1"),
    ],
)
def test_refusals(changes, message):
    options = dict(train=STREAM, test=STREAM, order=2, vocabulary=7, discounts=None)
    with pytest.raises(ValueError, match=message):
        ngrams.kneser_ney(**options | changes)
