"""Intervals and tests of accuracies, the shares of test rows that are classified correctly.

Two things vary: the rows of the test set, and the seed of a network. An interval over rows is for other rows
and these networks, one over seeds for other seeds and these rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95


class Difference(NamedTuple):
    """The first accuracy less the second, with its 95 % interval and p value, or None, and their kind."""

    value: float
    low: float | None
    high: float | None
    p: float | None
    over: str


def wilson(right: int, rows: int) -> tuple[float, float]:
    """Score interval of a share, (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n).

    Source: E. B. Wilson, Probable inference, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    low, high = stats.binomtest(right, rows).proportion_ci(LEVEL, method="wilson")
    return float(low), float(high)


def students(values: Sequence[float]) -> tuple[float, float]:
    """Interval of the mean of at least two values, mean ± t s/√n with n − 1 degrees of freedom.

    Source: Student, The probable error of a mean, Biometrika 6, 1 (1908).
    """
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values)
    return float(np.mean(values) - half), float(np.mean(values) + half)


def interval(accuracies: Sequence[float], rows: int | None) -> tuple[float, float, str] | None:
    """The wider of two intervals of the mean accuracy over seeds, and its kind: "rows" or "seeds".

    All seeds are tested on the same rows, so more seeds make an interval over rows (Wilson) no narrower. An
    interval over seeds (Student) needs two of them. None where there is neither.
    """
    intervals = []
    if rows is not None:
        intervals.append((*wilson(round(float(np.mean(accuracies)) * rows), rows), "rows"))
    if len(accuracies) > 1:
        low, high = students(accuracies)
        intervals.append((max(low, 0.0), min(high, 1.0), "seeds"))
    return max(intervals, key=lambda limits: limits[1] - limits[0], default=None)


def mcnemar(first: int, second: int) -> float:
    """Exact p value of two classifiers being equally often right, from the rows that just one gets right.

    Under the null hypothesis each such row is as likely to be the first's as the second's: a binomial test of
    1/2.

    Source: Q. McNemar, Psychometrika 12, 153 (1947); exact form in M. W. Fagerland et al., BMC Med. Res.
    Methodol. 13, 91 (2013).
    """
    return float(stats.binomtest(first, first + second).pvalue) if first + second else 1.0


def newcombe(right: tuple[int, int], rows: tuple[int, int], correlation: float = 0.0) -> tuple[float, float]:
    """Interval of the difference of two shares from the Wilson interval (lᵢ, uᵢ) of each, square-and-add.

        low = d − √((p₁ − l₁)² − 2φ (p₁ − l₁)(u₂ − p₂) + (u₂ − p₂)²), high the same with the other limits

    Arguments:
        right: rows that each classifies correctly.
        rows: all rows of each.
        correlation: φ of the two on the same rows; 0 for independent samples.

    Source: R. G. Newcombe, method 10 of Statist. Med. 17, 873 (1998), independent, and of 17, 2635 (1998),
    paired.
    """
    shares = [k / n for k, n in zip(right, rows, strict=True)]
    limits = [wilson(k, n) for k, n in zip(right, rows, strict=True)]
    below, above = (
        [abs(p - limit[side]) for p, limit in zip(shares, limits, strict=True)] for side in (0, 1)
    )

    def add(a: float, b: float) -> float:
        return float(np.sqrt(max(a**2 - 2 * correlation * a * b + b**2, 0.0)))

    value = shares[0] - shares[1]
    return value - add(below[0], above[1]), value + add(above[0], below[1])


def newcombe_paired(both: int, first: int, second: int, neither: int) -> tuple[float, float]:
    """Interval of the difference of two shares of the same rows: method 10, with Newcombe's correction of φ.

    Arguments:
        both, first, second, neither: rows that both, just the first, just the second, and neither gets right.
    """
    rows = both + first + second + neither
    excess = both * neither - first * second
    # Towards no correlation by half a row, and never past it.
    excess = max(excess - rows / 2, 0.0) if excess > 0 else excess
    product = float(both + first) * (second + neither) * (both + second) * (first + neither)
    return newcombe(
        (both + first, both + second), (rows, rows), excess / np.sqrt(product) if product else 0.0
    )


def bootstrap(
    gain: np.ndarray, rng: np.random.Generator, resamples: int = 2000
) -> tuple[float, float, float]:
    """Percentile interval and p value of the mean of `gain`, with rows and seeds drawn again, independently.

        p = 2 min over both sides of (1 + resamples on the other side of 0, or at it) / (1 + resamples)

    Arguments:
        gain: 1 where only the first classifier is right, −1 where only the second is, else 0; shape (seeds,
            rows).
        rng: of the draws.
        resamples: number of them.

    Source: A. B. Owen, The pigeonhole bootstrap, Ann. Appl. Stat. 1, 386 (2007); p after A. C. Davison and D.
    V. Hinkley, Bootstrap Methods and their Application, eq. 4.11 (1997).
    """
    seeds, rows = gain.shape
    # Rows with the same outcomes are alike, so the number drawn of each kind is multinomial.
    kinds, counts = np.unique(gain, axis=1, return_counts=True)
    of_rows = rng.multinomial(rows, counts / rows, size=resamples)
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    means = np.sum((of_seeds @ kinds) * of_rows, axis=1) / (seeds * rows)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    tail = (1 + min(np.sum(means <= 0), np.sum(means >= 0))) / (1 + resamples)
    return float(low), float(high), float(min(2 * tail, 1.0))


def paired_difference(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Difference:
    """The difference of two variants on the same rows, seed by seed.

    One seed: McNemar's exact test and Newcombe's paired interval. Several: the bootstrap over rows and seeds,
    or Student's interval over the differences of the seeds where that is wider: few seeds drawn again vary
    too little.

    Arguments:
        first, second: whether each row is classified correctly, boolean, shape (seeds, rows), in the same
            order.
        rng: of the bootstrap.
    """
    gain = first.astype(np.int8) - second.astype(np.int8)
    value = float(gain.mean())
    if len(gain) == 1:
        pairs = (first, second), (first, ~second), (~first, second), (~first, ~second)
        table = [int(np.sum(ours & theirs)) for ours, theirs in pairs]
        return Difference(value, *newcombe_paired(*table), mcnemar(table[1], table[2]), "paired rows")
    low, high, p = bootstrap(gain, rng)
    values = gain.mean(axis=1)
    over_seeds = students(values)
    if over_seeds[1] - over_seeds[0] > high - low:
        return Difference(value, *over_seeds, float(stats.ttest_1samp(values, 0).pvalue), "paired seeds")
    return Difference(value, low, high, p, "paired rows and seeds")


def unpaired_difference(first: Sequence[float], second: Sequence[float], rows: int | None) -> Difference:
    """The difference of the mean accuracies of two variants without predictions of each row.

    Newcombe's interval for independent samples and Fisher's exact test, or, with several seeds each, Welch's
    interval and test over seeds where that interval is wider. Classifiers that are wrong on the same rows
    differ by less than such an interval allows for.

    Arguments:
        first, second: accuracies, one a seed.
        rows: of the test set, or None if unknown.

    Source: R. A. Fisher, J. R. Stat. Soc. 85, 87 (1922); B. L. Welch, Biometrika 34, 28 (1947).
    """
    value, differences = float(np.mean(first) - np.mean(second)), []
    if rows is not None:
        right = round(float(np.mean(first)) * rows), round(float(np.mean(second)) * rows)
        p = stats.fisher_exact([[k, rows - k] for k in right]).pvalue
        differences.append(Difference(value, *newcombe(right, (rows, rows)), float(p), "unpaired rows"))
    if min(len(first), len(second)) > 1 and max(np.ptp(first), np.ptp(second)) > 0:
        welch = stats.ttest_ind(first, second, equal_var=False)
        low, high = welch.confidence_interval(LEVEL)
        differences.append(Difference(value, float(low), float(high), float(welch.pvalue), "unpaired seeds"))
    unknown = Difference(value, None, None, None, "unpaired")
    return max(differences, key=lambda difference: difference.high - difference.low, default=unknown)


def equivalent(difference: Difference, margin: float) -> str | None:
    """Whether two variants are within `margin` of one another: "yes", "no" or "open"; None if unknown.

    "yes" where the whole 95 % interval lies within the margin: two one-sided tests at 2.5 % each, stricter
    than the usual 5 %. "no" where it lies outside, "open" where it reaches across.

    Source: D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15, 657 (1987).
    """
    if difference.low is None or difference.high is None:
        return None
    if -margin <= difference.low and difference.high <= margin:
        return "yes"
    return "no" if difference.low > margin or difference.high < -margin else "open"
