"""What a data set is: three splits of rows and labels, checked where they enter."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows, labels, weights


@dataclass(frozen=True)
class Split:
    """Rows and their labels.

    Arguments:
        rows: token numbers (rows, tokens), 0 being padding, or images (rows, height, width).
        labels: class numbers, shape (rows,), from 0.

    Raises:
        ValueError: no rows, rows and labels that do not match, a number that is not finite, a negative label.
    """

    rows: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        if len(self.rows) == 0 or len(self.rows) != len(self.labels):
            raise ValueError(
                f"`rows` and `labels` must be as many, and some; got {len(self.rows)} and {len(self.labels)}."
            )
        if np.issubdtype(self.rows.dtype, np.inexact) and not np.isfinite(self.rows).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(self.rows))[0])
            raise ValueError(
                f"`rows` must be finite, got {self.rows[at]} at index {at}; remove or repair that row."
            )
        if not np.issubdtype(self.labels.dtype, np.integer) or self.labels.min() < 0:
            raise ValueError(
                f"`labels` must be whole numbers from 0, got {self.labels.dtype} down to {self.labels.min()}."
            )


@dataclass(frozen=True)
class Dataset:
    """Three splits and what a model must know of them.

    Arguments:
        train, validation, test: the splits.
        classes: number of classes.
        image: height and width in pixels, or None for token numbers.
        vocabulary: number of tokens, padding included, or None for images.
        files: text to be kept beside the model, by file name (a tokenizer).
        baseline: accuracy on the test set of a simple method, by name.
    """

    train: Split
    validation: Split
    test: Split
    classes: int
    image: tuple[int, ...] | None = None
    vocabulary: int | None = None
    files: dict[str, str] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)


def hold_out(split: Split, share: float, seed: int, neighbours: bool = False) -> tuple[Split, Split]:
    """Shuffle, and set `share` of the rows aside: (the rest, the set aside).

    Arguments:
        split: the rows.
        share: of them, to be set aside.
        seed: of the order.
        neighbours: set rows of each class aside that follow each other, from 40 % of its rows on, instead of any. What is told
            of in several rows that stand together is then on one side, but for that at the ends.

    Raises:
        ValueError: too few rows for both parts.
    """
    order, aside = (
        np.random.default_rng(seed).permutation(len(split.labels)),
        np.zeros(len(split.labels), bool),
    )
    if neighbours:
        for of_class in (np.flatnonzero(split.labels == label) for label in np.unique(split.labels)):
            start = round(0.4 * len(of_class))
            aside[of_class[start : start + round(len(of_class) * share)]] = True
    else:
        aside[order[len(order) - round(len(order) * share) :]] = True
    if not aside.any() or aside.all():
        raise ValueError(
            f"`data_path` has too few rows to set {share:.0%} aside for validation, got {len(split.labels)}."
        )
    rest, aside = order[~aside[order]], order[aside[order]]
    return Split(split.rows[rest], split.labels[rest]), Split(split.rows[aside], split.labels[aside])


def first(split: Split, count: int) -> Split:
    """The first rows of a split."""
    return Split(split.rows[:count], split.labels[:count])


def batches(split: Split, size: int, order: np.ndarray | None = None) -> Iterator[Batch]:
    """Batches of exactly `size`, in `order`; the last is filled up with rows of weight 0."""
    for chosen in planned(split, size, order):
        yield gathered(split, chosen, size)


def planned(
    split: Split,
    size: int,
    order: np.ndarray | None = None,
    lengths: Sequence[int] | None = None,
    chance: np.random.Generator | None = None,
) -> list[np.ndarray]:
    """The rows of each batch of a pass over a split, every row once: ⌈rows / size⌉ batches, of which one may be smaller.

    With `lengths` the rows of a batch are padded to the same one; what is left over of one length joins the next longer.

    Arguments:
        split: rows of tokens, if there are lengths.
        size: rows in a batch.
        order: of the rows; None is that of the split.
        lengths: in tokens, ascending, the last for all that are longer.
        chance: draws the order of the batches; None leaves it, shorter rows first.

    Returns:
        row numbers, an array for each batch.
    """
    order = np.arange(len(split.labels)) if order is None else order
    if lengths is None:
        return [order[start : start + size] for start in range(0, len(order), size)]
    bucket = np.searchsorted(lengths[:-1], token_counts(split.rows[order]))
    plan: list[np.ndarray] = []
    left = order[:0]
    for i in range(len(lengths)):
        rows = np.concatenate([left, order[bucket == i]])
        whole = len(rows) if i == len(lengths) - 1 else len(rows) - len(rows) % size
        plan += [rows[start : start + size] for start in range(0, whole, size)]
        left = rows[whole:]
    return plan if chance is None else [plan[i] for i in chance.permutation(len(plan))]


def gathered(split: Split, chosen: np.ndarray, size: int, lengths: Sequence[int] | None = None) -> Batch:
    """The batch of the rows that are chosen, filled up to `size` with rows of weight 0 and cut to the first of `lengths` that holds all."""
    # A row of another length would take the others to its own.
    filler = 0 if lengths is None else chosen[0]
    index = np.concatenate([chosen, np.full(size - len(chosen), filler, chosen.dtype)])
    weights = (np.arange(size) < len(chosen)).astype(np.float32)
    rows = split.rows[index]
    if lengths is not None:
        rows = rows[:, : next(n for n in lengths if n >= token_counts(rows).max())]
    return rows, split.labels[index], weights


def token_counts(rows: np.ndarray) -> np.ndarray:
    """Tokens of each row before its padding."""
    return ((rows != 0) * np.arange(1, rows.shape[1] + 1)).max(axis=1)
