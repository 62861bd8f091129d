"""IMDb film reviews byte by byte."""

import numpy as np

from nets.config import Config, check_memory
from nets.data._baselines import text_baselines
from nets.data._dataset import Dataset
from nets.data._imdb import read, split


def load(config: Config) -> Dataset:
    """Bytes of UTF-8 as tokens 1 to 256, the first `max_tokens` of a review; 10 % are held out for
    validation.

    Raises:
        ValueError: as for the data set imdb.

    Source: the task "text" of Y. Tay et al., Long Range Arena, ICLR (2021).
    """
    texts = read(config.data_path, config.progress)
    return Dataset(
        **split(texts, lambda reviews: as_bytes(reviews, config.max_tokens), config.validation_split),
        classes=2,
        vocabulary=257,
        baseline=text_baselines(texts["train"], texts["test"]),
    )


def as_bytes(texts: list[str], length: int) -> np.ndarray:
    """Tokens, shape (texts, length), padded with 0."""
    # Once here, once in the splits.
    check_memory("max_tokens", length, 2 * 4 * len(texts) * length, f"{len(texts):,} texts")
    rows = np.zeros((len(texts), length), np.int32)
    for row, text in zip(rows, texts, strict=True):
        content = np.frombuffer(text.encode()[:length], np.uint8)
        row[: len(content)] = content.astype(np.int32) + 1
    return rows
