"""Language models that count: unigrams and Kneser–Ney, and what packers make of a text."""

import gzip
import lzma
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Where no n-gram was seen once, so that there is nothing to estimate a discount from.
DEFAULT_DISCOUNT = 0.5


def unigram(train: np.ndarray, test: np.ndarray, vocabulary: int) -> np.ndarray:
    """Log probability of each test token from the frequencies of tokens in training, each counted once more.

    Arguments:
        train, test: tokens from 0, shape (tokens,).
        vocabulary: number of tokens.

    Returns:
        shape (test tokens,), in nats.
    """
    counts = 1 + np.bincount(train, minlength=vocabulary)
    return np.log(counts[test] / counts.sum())


def kneser_ney(
    train: np.ndarray,
    test: np.ndarray,
    order: int,
    vocabulary: int,
    discounts: Sequence[float] | None = None,
) -> np.ndarray:
    """Log probability of each test token given the tokens before it, by interpolated Kneser–Ney smoothing.

        p_k(w | c) = max(N(c w) − D_k, 0) / N(c ·) + D_k T(c) / N(c ·) · p_(k−1)(w | c without its first)

    At the highest order N counts n-grams; below it counts the different tokens before an n-gram. T(c) is the
    number of different tokens after c, and p_0 is uniform over the vocabulary. With a context that was not
    seen p_k is p_(k−1). The first tokens of the test have as many tokens before them as there are.

    Arguments:
        train, test: tokens from 0, shape (tokens,). What ends a document is a token like others.
        order: n of the longest n-grams.
        vocabulary: number of tokens.
        discounts: D_k of orders 1 to `order`; None estimates n₁ / (n₁ + 2 n₂) from the n-grams with N = 1 and
            N = 2, or takes 0.5 where none has N = 1.

    Returns:
        shape (test tokens,), in nats.

    Raises:
        ValueError: no training tokens, an order below 1, tokens outside the vocabulary, or other discounts
            than one from 0 to 1 an order.

    Source: S. F. Chen and J. Goodman, An empirical study of smoothing techniques for language modeling,
    Computer Speech & Language 13, 359 (1999), section 2.7; the discount by H. Ney, U. Essen and R. Kneser,
    Computer Speech & Language 8, 1 (1994).

    Example:
        >>> import numpy as np
        >>> from nets.data._ngrams import kneser_ney
        >>> train = np.array([0, 1, 0, 1, 0, 2])
        >>> np.exp(kneser_ney(train, np.array([0, 1]), 2, 3, discounts=(0.5, 0.5))).round(3)
        array([0.333, 0.611])
    """
    return kneser_ney_orders(train, test, (order,), vocabulary, discounts)[order]


def kneser_ney_orders(
    train: np.ndarray,
    test: np.ndarray,
    orders: Sequence[int],
    vocabulary: int,
    discounts: Sequence[float] | None = None,
) -> dict[int, np.ndarray]:
    """What `kneser_ney` gives for several orders, in little more time than for the highest of them."""
    highest = max(orders)
    for order in orders:
        _check(train, test, order, vocabulary, discounts if order == highest else None)
    log_p = {}
    p = np.full(len(test), 1 / vocabulary)
    shorter = _Grams(*(np.zeros(len(tokens) + 1, np.int32) for tokens in (train, test)), np.zeros(1, int))
    grams = _extend(shorter, train, test, vocabulary)
    for k in range(1, highest + 1):
        # What the first tokens have before them is shorter than k − 1.
        counts = {"all": np.bincount(grams.train)} if k in orders else {}
        longer = None
        if k < highest:
            longer = _extend(grams, train[k:], test[k:], vocabulary)
            counts["predecessors"] = _predecessors(grams, longer)
        smooth = {}
        for name, numbers in counts.items():
            discount = estimate_discount(numbers) if discounts is None else discounts[k - 1]
            later = _interpolate(p[k - 1 :], shorter, grams, numbers, discount, vocabulary)
            smooth[name] = np.concatenate([p[: k - 1], later])
        if k in orders:
            with np.errstate(divide="ignore"):
                log_p[k] = np.log(smooth["all"])
        p = smooth.get("predecessors", p)
        shorter, grams = grams, longer
    return log_p


def estimate_discount(counts: np.ndarray) -> float:
    """n₁ / (n₁ + 2 n₂), n₁ and n₂ being how many counts are 1 and 2; 0.5 where none is 1."""
    once, twice = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
    return once / (once + 2 * twice) if once else DEFAULT_DISCOUNT


@dataclass(frozen=True)
class _Grams:
    """The n-grams of one length.

    Arguments:
        train, test: the number of the n-gram that begins at each token; −1 for one that is not in training.
        keys: of each n-gram, ascending: number of its context · vocabulary + last token.
    """

    train: np.ndarray
    test: np.ndarray
    keys: np.ndarray


def _extend(contexts: _Grams, train: np.ndarray, test: np.ndarray, vocabulary: int) -> _Grams:
    """The n-grams that are one token longer; `train` and `test` are their last tokens."""
    keys, numbers = np.unique(
        contexts.train[: len(train)].astype(np.int64) * vocabulary + train, return_inverse=True
    )
    before = contexts.test[: len(test)].astype(np.int64)
    wanted = np.where(before < 0, -1, before * vocabulary + test)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    known = np.where(keys[places] == wanted, places, -1)
    return _Grams(numbers.astype(np.int32), known.astype(np.int32), keys)


def _predecessors(grams: _Grams, longer: _Grams) -> np.ndarray:
    """How many different tokens stand before each n-gram."""
    ends = np.empty(len(longer.keys), np.int32)
    ends[longer.train] = grams.train[1:]  # the n-gram that a longer one ends with
    return np.bincount(ends, minlength=len(grams.keys))


def _interpolate(
    p: np.ndarray, contexts: _Grams, grams: _Grams, counts: np.ndarray, discount: float, vocabulary: int
) -> np.ndarray:
    """Probabilities of the last tokens of n-grams, from those with contexts one token shorter."""
    of = grams.keys // vocabulary
    totals = np.bincount(of, counts, len(contexts.keys))
    kinds = np.bincount(of[counts > 0], minlength=len(contexts.keys))
    before = contexts.test[: len(p)]
    share = np.where(grams.test < 0, 0.0, np.maximum(counts[grams.test] - discount, 0.0))
    total = np.where(before < 0, 0.0, totals[before])
    # Where nothing follows a context in training, it tells nothing.
    smoothed = (share + discount * kinds[before] * p) / np.maximum(total, 1.0)
    return np.where(total > 0, smoothed, p)


def _check(
    train: np.ndarray, test: np.ndarray, order: int, vocabulary: int, discounts: Sequence[float] | None
) -> None:
    if not 1 <= order <= len(train):
        raise ValueError(
            f"`order` must be from 1 to the {len(train)} tokens of `train`, got {order}; use 3, for example."
        )
    for name, tokens in (("train", train), ("test", test)):
        if len(tokens) and not 0 <= tokens.min() <= tokens.max() < vocabulary:
            raise ValueError(
                f"`{name}` must have tokens from 0 to {vocabulary - 1}, got {tokens.min()} to {tokens.max()}."
            )
    if discounts is not None and (len(discounts) != order or not all(0 <= d <= 1 for d in discounts)):
        raise ValueError(
            f"`discounts` must be {order} numbers from 0 to 1, one for each order, got {tuple(discounts)}."
        )


def bits_per_byte(log_p: np.ndarray, size: int) -> float:
    """What a text of `size` bytes costs whose tokens have these log probabilities, in nats."""
    return float(-log_p.sum() / np.log(2) / size)


def language_baselines(
    train: np.ndarray, test: np.ndarray, vocabulary: int, text: bytes, size: int
) -> dict[str, float]:
    """Perplexities per token and bits per byte of the test, of methods that count and of packers.

    Arguments:
        train, test: streams of tokens; the first one of the test is not predicted.
        vocabulary: number of tokens.
        text: of the test, for the packers, which see nothing else.
        size: bytes of the documents in it.
    """
    log_p = {"unigram": unigram(train, test, vocabulary)[1:]}
    orders = {order: min(order, len(train)) for order in (3, 5)}
    smooth = kneser_ney_orders(train, test, tuple(orders.values()), vocabulary)
    log_p |= {f"kneser_ney_{order}": smooth[used][1:] for order, used in orders.items()}
    packed = {
        "gzip": gzip.compress(text, compresslevel=9),
        "xz": lzma.compress(text, preset=9 | lzma.PRESET_EXTREME),
    }
    return (
        {f"{name}_perplexity": float(np.exp(-values.mean())) for name, values in log_p.items()}
        | {"kneser_ney_5_bits_per_byte": bits_per_byte(log_p["kneser_ney_5"], size)}
        | {f"{name}_bits_per_byte": 8 * len(content) / size for name, content in packed.items()}
    )
