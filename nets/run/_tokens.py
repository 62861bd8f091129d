"""How well tokens are predicted: perplexity, bits a byte, and the losses of documents."""

import math

import numpy as np

from nets.data import Split


def token_metrics(name: str, split: Split, losses: np.ndarray) -> dict[str, float]:
    """Perplexity, and bits a byte where the documents of a split are whole; nothing for classes.

        perplexity = exp(Σ losses / tokens),   bits a byte = Σ losses / (ln 2 · bytes)

    Arguments:
        name: of the split, before each measure.
        split: its labels are tokens, 0 for none, or classes.
        losses: of each label, nats, shape (rows, tokens).
    """
    if split.labels.ndim == 1:
        return {}
    documents = sum_by_document(split, losses)
    nats = documents["nats"].sum()
    metrics = {f"{name}_perplexity": math.exp(nats / documents["tokens"].sum())}
    if "bytes" in documents:
        metrics[f"{name}_bits_per_byte"] = float(nats / math.log(2) / documents["bytes"].sum())
    return metrics


def sum_by_document(split: Split, losses: np.ndarray) -> dict[str, np.ndarray]:
    """Loss in nats, tokens and bytes of each document of a split, or of each row where it has none.

    Arguments:
        split: its labels are tokens, 0 for none.
        losses: of each label, nats, shape (rows, tokens).
    """
    is_label = split.labels != 0
    if split.documents is None:
        return {"nats": losses.sum(axis=1, dtype=float), "tokens": is_label.sum(axis=1)}
    count, number = len(split.document_bytes), split.documents[is_label]
    return {
        "nats": np.bincount(number, losses[is_label].astype(float), count),
        "tokens": np.bincount(number, minlength=count),
        "bytes": split.document_bytes,
    }
