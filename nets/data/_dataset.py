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
        labels: classes, shape (rows,), from 0; or the token to predict at each place, shape (rows, tokens), 0
            where there is none.
        documents: for labels at each place, the document of each label, shape (rows, tokens), from 0, and −1
            where there is no label; None if documents are not told apart.
        document_bytes: length of each document in bytes of UTF-8, shape (documents,).

    Raises:
        ValueError: no rows, rows and labels or documents that do not match, a number that is not finite, a
            negative label.
    """

    rows: np.ndarray
    labels: np.ndarray
    documents: np.ndarray | None = None
    document_bytes: np.ndarray | None = None

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
        if self.labels.ndim != 1 and self.labels.shape != self.rows.shape:
            raise ValueError(
                f"`labels` must have one number a row, or the shape {self.rows.shape} of `rows`, got "
                f"{self.labels.shape}."
            )
        if self.documents is not None or self.document_bytes is not None:
            self._check_documents()

    def _check_documents(self) -> None:
        if self.documents is None or self.document_bytes is None:
            missing = "documents" if self.documents is None else "document_bytes"
            raise ValueError(f"`documents` and `document_bytes` belong together, got no `{missing}`.")
        if self.labels.ndim != 2 or self.documents.shape != self.labels.shape:
            raise ValueError(
                f"`documents` must have the shape of `labels`, with one for each token of `rows`; got "
                f"{self.documents.shape} and {self.labels.shape}."
            )
        integers = np.issubdtype(self.documents.dtype, np.integer)
        if not integers or not np.array_equal(self.documents == -1, self.labels == 0):
            raise ValueError("`documents` must be whole numbers, -1 exactly where `labels` is 0.")
        count = len(self.document_bytes)
        if self.documents.min() < -1 or self.documents.max() >= count:
            raise ValueError(
                f"`documents` must be below the {count} of `document_bytes`, got {self.documents.min()} to "
                f"{self.documents.max()}."
            )
        if not np.issubdtype(self.document_bytes.dtype, np.integer) or self.document_bytes.min() < 1:
            raise ValueError(
                f"`document_bytes` must be whole numbers from 1, got {self.document_bytes.dtype} down to "
                f"{self.document_bytes.min()}."
            )

    def take(self, rows: np.ndarray | slice) -> "Split":
        """These rows of the split, with all documents."""
        documents = None if self.documents is None else self.documents[rows]
        return Split(self.rows[rows], self.labels[rows], documents, self.document_bytes)


@dataclass(frozen=True)
class Dataset:
    """Three splits, and the sizes that a model needs.

    Arguments:
        train, validation, test: the splits.
        classes: number of classes, or of tokens where labels are tokens.
        image: height and width in pixels, or None for tokens.
        vocabulary: number of tokens, padding included, or None for images.
        files: text files to store in the folder of a run, by name (a tokenizer).
        baseline: test accuracies, perplexities or bits a byte of simple methods, by name.
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
        ValueError: too few rows for both parts, or blocks of classes where there are none.
    """
    if contiguous and split.labels.ndim != 1:
        raise ValueError(
            f"`contiguous` needs one class a row, got labels of shape {split.labels.shape}; leave it out."
        )
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
    return split.take(first), split.take(second)


def head(split: Split, count: int) -> Split:
    """The first rows of a split."""
    return split.take(slice(count))


def check_examples(count: int | None, train: Split) -> None:
    """Refuse more rows than the training set has.

    Arguments:
        count: `max_examples`; None is any.
        train: the training set.
    """
    if count is not None and count > len(train.labels):
        raise ValueError(
            f"`max_examples` must be at most the {len(train.labels)} rows of the training set, got {count}; "
            "lower --max-examples."
        )


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
        lengths: the rows, and labels of each place, are cut to the shortest of these that holds all their
            tokens; None leaves them.

    Returns:
        rows, labels and weights.
    """
    # A filler of another length would lengthen the batch.
    filler = 0 if lengths is None else indices[0]
    padded = np.concatenate([indices, np.full(size - len(indices), filler, indices.dtype)])
    weights = (np.arange(size) < len(indices)).astype(np.float32)
    rows, labels = split.rows[padded], split.labels[padded]
    if lengths is not None:
        length = next(n for n in lengths if n >= token_counts(rows).max())
        rows, labels = rows[:, :length], labels[:, :length] if labels.ndim == 2 else labels
    return rows, labels, weights


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
