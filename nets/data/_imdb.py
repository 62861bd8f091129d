"""IMDb film reviews, positive or negative: 25,000 for training, 25,000 for test."""

import tarfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from nets.config import Config
from nets.data._archive import read_members
from nets.data._baselines import text_baselines
from nets.data._dataset import Dataset, Split, hold_out
from nets.data._text import encode, read_tokenizer, train_tokenizer
from optics._files import decode, read_text

HUB = "stanfordnlp/imdb"
WAYS_TO_GIVE_DATA = (
    "give `data_path`: aclImdb_v1.tar.gz, the folder aclImdb it unpacks to, or a folder of the parquet files "
    f'of {HUB}; or install lensformer with the extra "hub" and let it download {HUB}'
)
# The longest review has 13,704 bytes, and all with a label have 65 million.
REVIEW_BYTES, ALL_BYTES = 2**24, 2**30
# Reviews of aclImdb_v1.tar.gz.
UNLABELLED, LABELLED = 50_000, 50_000
Texts = dict[str, tuple[list[str], list[int]]]


def load(config: Config, tokenizer: str | None = None) -> Dataset:
    """Read the reviews, train a tokenizer on the training split if none is given, and hold out 10 % for
    validation.

    Raises:
        ValueError: `data_path` does not exist or holds no reviews, or the hub cannot be reached.

    Source: A. L. Maas et al., Learning word vectors for sentiment analysis, ACL (2011).
    """
    state = None
    if config.data_path is not None and Path(config.data_path).is_file():
        status = Path(config.data_path).stat()
        state = (status.st_size, status.st_mtime_ns)
    options = (
        config.data_path,
        state,
        tokenizer,
        config.vocabulary,
        config.max_tokens,
        config.validation_split,
        config.progress,
    )
    # Runs of one process read an archive once. A folder is read again: its files may have changed.
    return (_load if state is None else _load_cached)(*options)


def _load(
    path: Path | None,
    state: Any,
    tokenizer: str | None,
    vocabulary: int,
    max_tokens: int,
    validation_split: str,
    progress: bool,
) -> Dataset:
    texts = read(path, progress)
    is_new = tokenizer is None
    tokenizer = train_tokenizer(texts["train"][0], vocabulary) if is_new else read_tokenizer(tokenizer)
    return Dataset(
        **split(texts, lambda reviews: encode(tokenizer, reviews, max_tokens), validation_split),
        classes=2,
        vocabulary=tokenizer.get_vocab_size(),
        files={"tokenizer.json": tokenizer.to_str()},
        baseline=text_baselines(texts["train"], texts["test"]) if is_new else {},
    )


_load_cached = lru_cache(maxsize=2)(_load)


def split(texts: Texts, encode: Callable, validation_split: str) -> dict[str, Split]:
    """The splits of reviews by name, with rows as `encode` makes them; 10 % are held out for validation."""
    splits = {
        name: Split(encode(reviews), np.asarray(labels, np.int32))
        for name, (reviews, labels) in texts.items()
    }
    train, validation = hold_out(splits["train"], 0.1, seed=0, contiguous=validation_split == "neighbours")
    return {"train": train, "validation": validation, "test": splits["test"]}


def read(path: Path | None, progress: bool = True) -> Texts:
    """Reviews and labels (1 is positive) of "train" and "test", in a fixed order.

    Raises:
        ValueError: the path does not exist, or a split has no positive or no negative reviews.
    """
    if path is None:
        return _from_hub(HUB)
    path = Path(path)
    if not path.exists():
        raise ValueError(f"`data_path` {path} does not exist; {WAYS_TO_GIVE_DATA}.")
    if path.is_dir():
        texts = _from_hub(str(path)) if any(path.rglob("*.parquet")) else _from_folder(path)
    else:
        texts = _from_archive(path, progress)
    for split in ("train", "test"):
        labels = texts[split][1]
        if not 0 < sum(labels) < len(labels):
            raise ValueError(
                f"`data_path` {path} holds {sum(labels)} positive and {len(labels) - sum(labels)} negative "
                f"reviews in {split}/, but "
                f"both are needed; {WAYS_TO_GIVE_DATA}."
            )
    return texts


def _from_archive(path: Path, progress: bool) -> Texts:
    texts: dict[str, str] = {}
    unlabelled = size = 0
    try:
        with tqdm(desc="reading reviews", unit=" files", leave=False, disable=not progress) as bar:
            for name, content in read_members(path, lambda name: _label(name) is not None, REVIEW_BYTES):
                bar.update()
                unlabelled += "/train/unsup/" in f"/{name}"
                if content is None:
                    continue
                size += len(content)
                if size > ALL_BYTES:
                    raise tarfile.ReadError(f"more than {ALL_BYTES:,} bytes of reviews")
                texts[name] = decode(content, name, "data_path")
    except tarfile.ReadError as error:
        raise ValueError(
            f"`data_path` {path} is not a readable tar archive, or not a whole one ({error}); "
            f"{WAYS_TO_GIVE_DATA}."
        ) from None
    if unlabelled == UNLABELLED and len(texts) != LABELLED:
        raise ValueError(
            f"`data_path` {path} holds the {UNLABELLED:,} unlabelled reviews, but {len(texts):,} of the "
            f"{LABELLED:,} labelled ones; fetch it again."
        )
    return _by_split(texts)


def _from_folder(path: Path) -> Texts:
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*.txt")}
    return _by_split(
        {
            name: read_text(file, REVIEW_BYTES, "data_path")
            for name, file in files.items()
            if _label(name) is not None
        }
    )


def _label(name: str) -> tuple[str, int] | None:
    """(split, 1 if positive) of a path …/train/pos/0_9.txt, None for any other file, and for one that leads
    out of its archive."""
    parts = name.split("/")
    if (
        len(parts) < 3
        or name.startswith("/")
        or ".." in parts
        or parts[-3] not in ("train", "test")
        or parts[-2] not in ("pos", "neg")
        or not name.endswith(".txt")
    ):
        return None
    return parts[-3], int(parts[-2] == "pos")


def _by_split(files: dict[str, str]) -> Texts:
    """Texts by file name, sorted into splits and labels."""
    texts: Texts = {"train": ([], []), "test": ([], [])}
    for name in sorted(files):
        split, label = _label(name)
        texts[split][0].append(files[name])
        texts[split][1].append(label)
    return texts


def _from_hub(source: str) -> Texts:
    """From Hugging Face by name, or from a local folder in the same layout."""
    try:
        import datasets
    except ModuleNotFoundError:
        raise ValueError(
            f'`data_path` leads to Hugging Face data, which needs the extra "hub"; {WAYS_TO_GIVE_DATA}.'
        ) from None
    try:
        loaded = {split: datasets.load_dataset(source, split=split) for split in ("train", "test")}
    except (ConnectionError, OSError, ValueError) as error:
        raise ValueError(
            f"`data_path`: {source} could not be loaded ({type(error).__name__}: {error}); "
            f"{WAYS_TO_GIVE_DATA}."
        ) from None
    return {
        split: (list(rows["text"]), [int(label) for label in rows["label"]]) for split, rows in loaded.items()
    }
