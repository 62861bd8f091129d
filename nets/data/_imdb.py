"""IMDb film reviews, positive or negative: 25,000 for training, 25,000 for test."""

import tarfile
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from nets.config import Config
from nets.data._archive import read_members
from nets.data._baselines import text_baselines
from nets.data._dataset import Dataset, Split, hold_out
from nets.data._subwords import is_lossless
from nets.data._words import encode, read_tokenizer, train_tokenizer
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


def load(config: Config, tokenizer: str | None = None, baseline: bool = True) -> Dataset:
    """Read the reviews, train a tokenizer on the training split if none is given, and hold out 10 % for
    validation.

    Arguments:
        config: the options.
        tokenizer: tokenizer.json of an earlier run on reviews, labelled or not.
        baseline: measure the baselines.

    Raises:
        ValueError: `data_path` does not exist or holds no reviews, or the hub cannot be reached.

    Source: A. L. Maas et al., Learning word vectors for sentiment analysis, ACL (2011).
    """
    options = (
        config.data_path,
        file_state(config.data_path),
        tokenizer,
        baseline,
        config.vocabulary,
        config.max_tokens,
        config.validation_split,
        config.progress,
    )
    # Runs of one process read an archive once. A folder is read again: its files may have changed.
    return (_load if options[1] is None else _load_cached)(*options)


def file_state(path: Path | None) -> tuple[int, int] | None:
    """Size and time of a file, which differ when it was written anew; None for a folder."""
    if path is None or not Path(path).is_file():
        return None
    status = Path(path).stat()
    return status.st_size, status.st_mtime_ns


def _load(
    path: Path | None,
    state: Any,
    tokenizer: str | None,
    baseline: bool,
    vocabulary: int,
    max_tokens: int,
    validation_split: str,
    progress: bool,
) -> Dataset:
    texts = read(path, progress)
    if tokenizer is None:
        tokenizer = train_tokenizer(texts["train"][0], vocabulary)
    else:
        tokenizer = read_tokenizer(tokenizer)
    # A language model has read lines where the files have tags.
    prepare = break_lines if is_lossless(tokenizer) else list
    return Dataset(
        **split(texts, lambda reviews: encode(tokenizer, prepare(reviews), max_tokens), validation_split),
        classes=2,
        vocabulary=tokenizer.get_vocab_size(),
        files={"tokenizer.json": tokenizer.to_str()},
        baseline=text_baselines(texts["train"], texts["test"]) if baseline else {},
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


def break_lines(texts: Iterable[str]) -> list[str]:
    """The reviews with line breaks instead of the tags for them."""
    return [text.replace("<br />", "\n") for text in texts]


def read(path: Path | None, progress: bool = True, unlabelled: bool = False) -> Texts:
    """Reviews and labels (1 is positive) of "train" and "test", in a fixed order.

    Arguments:
        path: of the archive or folder; None asks Hugging Face.
        progress: show a bar.
        unlabelled: also read the reviews without a label, as "unsupervised"; their labels are −1. A folder
            may have none.

    Raises:
        ValueError: the path does not exist, or a split has no positive or no negative reviews.
    """
    if path is None:
        return _from_hub(HUB, unlabelled)
    path = Path(path)
    if not path.exists():
        raise ValueError(f"`data_path` {path} does not exist; {WAYS_TO_GIVE_DATA}.")
    if path.is_dir():
        is_hub = any(path.rglob("*.parquet"))
        texts = _from_hub(str(path), unlabelled) if is_hub else _from_folder(path, unlabelled)
    else:
        texts = _from_archive(path, progress, unlabelled)
    for split in ("train", "test"):
        labels = texts[split][1]
        if not 0 < sum(labels) < len(labels):
            raise ValueError(
                f"`data_path` {path} holds {sum(labels)} positive and {len(labels) - sum(labels)} negative "
                f"reviews in {split}/, but "
                f"both are needed; {WAYS_TO_GIVE_DATA}."
            )
    return texts


def _from_archive(path: Path, progress: bool, unlabelled: bool) -> Texts:
    texts: dict[str, str] = {}
    counts = {True: 0, False: 0}  # of the reviews with a label and without one
    size = 0
    is_wanted = partial(_is_wanted, unlabelled=unlabelled)
    try:
        with tqdm(desc="reading reviews", unit=" files", leave=False, disable=not progress) as bar:
            for name, content in read_members(path, is_wanted, REVIEW_BYTES):
                bar.update()
                label = _label(name)
                if label is not None:
                    counts[label[1] >= 0] += 1
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
    if counts[False] == UNLABELLED and counts[True] != LABELLED:
        raise ValueError(
            f"`data_path` {path} holds the {UNLABELLED:,} unlabelled reviews, but {counts[True]:,} of the "
            f"{LABELLED:,} labelled ones; fetch it again."
        )
    return _by_split(texts)


def _from_folder(path: Path, unlabelled: bool) -> Texts:
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*.txt")}
    is_wanted = partial(_is_wanted, unlabelled=unlabelled)
    return _by_split(
        {name: read_text(file, REVIEW_BYTES, "data_path") for name, file in files.items() if is_wanted(name)}
    )


def _is_wanted(name: str, unlabelled: bool) -> bool:
    """Whether a file is a review that is read."""
    label = _label(name)
    return label is not None and (unlabelled or label[1] >= 0)


def _label(name: str) -> tuple[str, int] | None:
    """(split, 1 if positive) of a path …/train/pos/0_9.txt, ("unsupervised", −1) of …/train/unsup/0_0.txt,
    None for any other file, and for one that leads out of its archive."""
    parts = name.split("/")
    if len(parts) < 3 or name.startswith("/") or ".." in parts or not name.endswith(".txt"):
        return None
    split, side = parts[-3:-1]
    if (split, side) == ("train", "unsup"):
        return "unsupervised", -1
    if split not in ("train", "test") or side not in ("pos", "neg"):
        return None
    return split, int(side == "pos")


def _by_split(files: dict[str, str]) -> Texts:
    """Texts by file name, sorted into splits and labels."""
    texts: Texts = {"train": ([], []), "test": ([], [])}
    for name in sorted(files):
        split, label = _label(name)
        of_split = texts.setdefault(split, ([], []))
        of_split[0].append(files[name])
        of_split[1].append(label)
    return texts


def _from_hub(source: str, unlabelled: bool) -> Texts:
    """From Hugging Face by name, or from a local folder in the same layout."""
    try:
        import datasets
    except ModuleNotFoundError:
        raise ValueError(
            f'`data_path` leads to Hugging Face data, which needs the extra "hub"; {WAYS_TO_GIVE_DATA}.'
        ) from None
    try:
        loaded = {split: datasets.load_dataset(source, split=split) for split in ("train", "test")}
        # In a folder without its description the library knows the other two alone.
        files = [str(file) for file in sorted(Path(source).rglob("unsupervised*.parquet"))]
        if unlabelled and (files or source == HUB):
            where = {"path": "parquet", "data_files": {"unsupervised": files}} if files else {"path": HUB}
            loaded["unsupervised"] = datasets.load_dataset(**where, split="unsupervised")
    except (ConnectionError, OSError, ValueError) as error:
        raise ValueError(
            f"`data_path`: {source} could not be loaded ({type(error).__name__}: {error}); "
            f"{WAYS_TO_GIVE_DATA}."
        ) from None
    return {
        split: (list(rows["text"]), [int(label) for label in rows["label"]]) for split, rows in loaded.items()
    }
