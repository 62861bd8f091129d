"""The text of all IMDb film reviews, those without a label too, for language models."""

from functools import lru_cache
from typing import Any

import numpy as np

from nets.config import Config
from nets.data._corpus import load_corpus
from nets.data._dataset import Dataset
from nets.data._imdb import WAYS_TO_GIVE_DATA, break_lines, file_state, read

VALIDATION_REVIEWS, TEST_REVIEWS = 500, 2_000


def load(config: Config, tokenizer: str | None = None, baseline: bool = True) -> Dataset:
    """74,500 training reviews, labelled or not, in a fixed random order; 500 others for validation, and every
    12th or 13th of the test reviews, 2,000 positive and negative ones.

    The documents are packed into rows of `max_tokens`, with line breaks instead of the tags for them. Of
    fewer reviews a tenth is held out for validation, and all in test/ are the test.

    Raises:
        ValueError: as for the data set imdb, or too few reviews.

    Source: A. L. Maas et al., Learning word vectors for sentiment analysis, ACL (2011).
    """
    state = file_state(config.data_path)
    # What the data depend on, so that other runs of one process find them.
    same = ("data", "data_path", "task", "vocabulary", "max_tokens", "max_examples", "progress")
    options = Config(**{name: getattr(config, name) for name in same})
    # Runs of one process read an archive once. A folder is read again: its files may have changed.
    return (_load if state is None else _load_cached)(options, state, tokenizer, baseline)


def _load(config: Config, state: Any, tokenizer: str | None, baseline: bool) -> Dataset:
    texts = {
        split: break_lines(reviews)
        for split, (reviews, _) in read(config.data_path, config.progress, unlabelled=True).items()
    }
    documents = texts["train"] + texts.get("unsupervised", [])
    order = np.random.default_rng(0).permutation(len(documents))
    documents = [documents[i] for i in order if documents[i]]
    held_out = min(VALIDATION_REVIEWS, -(-len(documents) // 10))
    if held_out == len(documents):
        raise ValueError(
            f"`data_path` {config.data_path} has too few reviews in train/ to set one aside for validation, "
            f"got {len(documents)}; {WAYS_TO_GIVE_DATA}."
        )
    test = [text for text in texts["test"] if text]
    count = min(TEST_REVIEWS, len(test))
    splits = {
        "train": documents[held_out:],
        "validation": documents[:held_out],
        # The files of one kind stand together.
        "test": [test[i] for i in np.arange(count) * len(test) // count],
    }
    return load_corpus(splits, config, tokenizer, baseline)


_load_cached = lru_cache(maxsize=2)(_load)
