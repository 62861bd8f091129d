"""A data set: three splits of rows and labels, which are checked here, and their batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows, labels, weights


@dataclass(frozen=True)
class Split:
    """Rows and their labels.

    Arguments:
        rows: tokens (rows, tokens), 0 being padding, or images (rows, height, width).
        labels: classes, shape (rows,), from 0.

    Raises:
        ValueError: no rows, rows and labels that do not match, a number that is not finite, a negative label.
    """

    rows: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        if len(self.rows) == 0 or len(self.rows) != len(self.labels):
            raise ValueError(
                f"`rows` and `labels` must have the same length, at least 1; got {len(self.rows)} and "
                f"{len(self.labels)}."
            )
        if np.issubdtype(self.rows.dtype, np.inexact) and not np.isfinite(self.rows).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(self.rows))[0])
            raise ValueError(
                f"`rows` must be finite, got {self.rows[index]} at index {index}; remove or repair that row."
            )
        if not np.issubdtype(self.labels.dtype, np.integer) or self.labels.min() < 0:
            raise ValueError(
                f"`labels` must be whole numbers from 0, got {self.labels.dtype} down to {self.labels.min()}."
            )


@dataclass(frozen=True)
class Dataset:
    """Three splits, and the sizes that a model needs.

    Arguments:
        train, validation, test: the splits.
        classes: number of classes.
        image: height and width in pixels, or None for tokens.
        vocabulary: number of tokens, padding included, or None for images.
        files: text files to store in the folder of a run, by name (a tokenizer).
        baseline: test accuracies of simple methods, by name.
    """

    train: Split
    validation: Split
    test: Split
    classes: int
    image: tuple[int, ...] | None = None
    vocabulary: int | None = None
    files: dict[str, str] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)


def hold_out(split: Split, share: float, seed: int, contiguous: bool = False) -> tuple[Split, Split]:
    """Shuffle the rows and split off a share of them.

    Arguments:
        split: the rows.
        share: of the rows to hold out.
        seed: of the order.
        contiguous: hold out a contiguous block of each class, which begins at 40 % of its rows, instead of
            random rows. Rows that stand together, such as the reviews of a film, then stay together.

    Returns:
        the remaining rows, and those held out.

    Raises:
        ValueError: too few rows for both parts.
    """
    order = np.random.default_rng(seed).permutation(len(split.labels))
    held_out = np.zeros(len(split.labels), bool)
    if contiguous:
        for label in np.unique(split.labels):
            rows = np.flatnonzero(split.labels == label)
            start = round(0.4 * len(rows))
            held_out[rows[start : start + round(len(rows) * share)]] = True
    else:
        held_out[order[len(order) - round(len(order) * share) :]] = True
    if not held_out.any() or held_out.all():
        raise ValueError(
            f"`data_path` has too few rows to set {share:.0%} aside for validation, got {len(split.labels)}."
        )
    first, second = order[~held_out[order]], order[held_out[order]]
    return Split(split.rows[first], split.labels[first]), Split(split.rows[second], split.labels[second])


def head(split: Split, count: int) -> Split:
    """The first rows of a split."""
    return Split(split.rows[:count], split.labels[:count])


def batches(split: Split, size: int, order: np.ndarray | None = None) -> Iterator[Batch]:
    """The batches of one pass over a split.

    Arguments:
        split: the rows.
        size: rows of a batch; the last one is filled up with rows of weight 0.
        order: of the rows; None is that of the split.

    Returns:
        rows, labels and weights of each batch.
    """
    for indices in plan_batches(split, size, order):
        yield make_batch(split, indices, size)


def plan_batches(
    split: Split,
    size: int,
    order: np.ndarray | None = None,
    lengths: Sequence[int] | None = None,
    rng: np.random.Generator | None = None,
) -> list[np.ndarray]:
    """The rows of each batch of one pass over a split: ⌈rows / size⌉ batches, one of them possibly smaller.

    With `lengths`, the rows of a batch are padded to the same length; rows that do not fill a batch of their
    length join the next longer one.

    Arguments:
        split: the rows; of tokens, if there are lengths.
        size: rows of a batch.
        order: of the rows; None is that of the split.
        lengths: in tokens, ascending; the last one is for all longer rows.
        rng: shuffles the batches; None leaves shorter rows first.

    Returns:
        the row indices of each batch.
    """
    order = np.arange(len(split.labels)) if order is None else order
    if lengths is None:
        return [order[start : start + size] for start in range(0, len(order), size)]
    bucket = np.searchsorted(lengths[:-1], token_counts(split.rows[order]))
    plan: list[np.ndarray] = []
    remaining = order[:0]
    for i in range(len(lengths)):
        rows = np.concatenate([remaining, order[bucket == i]])
        end = len(rows) if i == len(lengths) - 1 else len(rows) - len(rows) % size
        plan += [rows[start : start + size] for start in range(0, end, size)]
        remaining = rows[end:]
    return plan if rng is None else [plan[i] for i in rng.permutation(len(plan))]


def make_batch(split: Split, indices: np.ndarray, size: int, lengths: Sequence[int] | None = None) -> Batch:
    """The batch of these rows.

    Arguments:
        split: the rows.
        indices: those of the batch.
        size: rows of the batch; it is filled up with rows of weight 0.
        lengths: the rows are cut to the shortest of these that holds all their tokens; None leaves them.

    Returns:
        rows, labels and weights.
    """
    # A filler of another length would lengthen the batch.
    filler = 0 if lengths is None else indices[0]
    padded = np.concatenate([indices, np.full(size - len(indices), filler, indices.dtype)])
    weights = (np.arange(size) < len(indices)).astype(np.float32)
    rows = split.rows[padded]
    if lengths is not None:
        rows = rows[:, : next(n for n in lengths if n >= token_counts(rows).max())]
    return rows, split.labels[padded], weights


def merge_batches(plan: Sequence[np.ndarray], predictions: Sequence[Any]) -> np.ndarray:
    """Predictions in the order of the split.

    Arguments:
        plan: the row indices of each batch.
        predictions: of each batch, with those of its fillers.
    """
    merged = np.concatenate(
        [np.asarray(part)[: len(indices)] for indices, part in zip(plan, predictions, strict=True)]
    )
    return merged[np.argsort(np.concatenate(plan))]


def token_counts(rows: np.ndarray) -> np.ndarray:
    """Tokens of each row up to its padding."""
    return ((rows != 0) * np.arange(1, rows.shape[1] + 1)).max(axis=1)
