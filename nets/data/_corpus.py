"""Splits of documents as a data set for language models."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import numpy as np
from tokenizers import Tokenizer

from nets.config import Config
from nets.data._dataset import Dataset, Split, check_examples
from nets.data._ngrams import language_baselines
from nets.data._pack import mask_split, pack, unpack
from nets.data._subwords import train_subwords
from nets.data._words import read_tokenizer

# A third of the reviews: with all of them the test has as many tokens, to 0.01 %, after three times the time.
TOKENIZER_CHARACTERS = 2**25
Texts = Mapping[str, Sequence[str]]


def load_corpus(texts: Texts, config: Config, tokenizer: str | None, baseline: bool) -> Dataset:
    """A data set whose labels are tokens: the next ones, or for the task masked those that are to be hidden.

    In training rows of the task masked nothing is hidden yet, and the labels are the tokens themselves.

    Arguments:
        texts: documents of "train", "validation" and "test".
        config: the options; `max_examples` limits the rows of training, and of validation to a tenth of them.
        tokenizer: tokenizer.json of an earlier run; None trains one on the first training documents, of
            2²⁵ characters in all.
        baseline: measure the baselines of the task language.

    Raises:
        ValueError: fewer rows than `max_examples`, or documents that do not fill one row.
    """
    is_new = tokenizer is None
    made = train_subwords(_begin(texts["train"]), config.vocabulary) if is_new else read_tokenizer(tokenizer)
    splits = _pack_splits(texts, config, made)
    vocabulary = made.get_vocab_size()
    baselines: dict[str, float] = {}
    if baseline and config.task == "language":
        size = int(splits["test"].document_bytes.sum())
        streams = (unpack(splits[name]) for name in ("train", "test"))
        baselines = language_baselines(*streams, vocabulary, "\n".join(texts["test"]).encode(), size)
    if config.task == "masked":
        splits = {
            "train": Split(splits["train"].rows, splits["train"].rows),
            "validation": mask_split(splits["validation"], 1, vocabulary),
            "test": mask_split(splits["test"], 2, vocabulary),
        }
    return Dataset(
        **splits,
        classes=vocabulary,
        vocabulary=vocabulary,
        files={"tokenizer.json": made.to_str()},
        baseline=baselines,
    )


def _begin(texts: Sequence[str]) -> Iterator[str]:
    """The first documents, as many as train a tokenizer."""
    ends = accumulate(map(len, texts), initial=0)
    return (text for text, start in zip(texts, ends, strict=False) if start < TOKENIZER_CHARACTERS)


def _pack_splits(texts: Texts, config: Config, tokenizer: Tokenizer) -> dict[str, Split]:
    count, length = config.max_examples, config.max_tokens
    limits = {"train": count, "validation": None if count is None else -(-count // 10), "test": None}
    splits = {
        name: pack(tokenizer, texts[name], length, limits[name], name == "test", config.progress)
        for name in ("train", "validation", "test")
    }
    if (splits["train"].labels[0] == 0).any():
        raise ValueError(
            f"`data_path` holds {np.count_nonzero(splits['train'].labels)} tokens to train on, less than one "
            f"row of the {length} of `max_tokens`; give more text, or lower --max-tokens."
        )
    check_examples(count, splits["train"])
    return splits
