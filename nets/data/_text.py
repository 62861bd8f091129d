"""Text of any kind, for language models: files, or the language reference that Python carries."""

import re
from pathlib import Path

import numpy as np

from nets.config import Config, check_memory
from nets.data._corpus import load_corpus
from nets.data._dataset import Dataset
from optics._files import read_text

SUFFIXES = (".md", ".rst", ".txt")
BLANK_LINES = r"\n\s*\n"
SHORTEST_DOCUMENT = 2_000  # characters, of the documents that one file is cut into
FILE_BYTES = 2**34
WAYS_TO_GIVE_TEXT = (
    "give `data_path`: a text file, or a folder of files .txt, .md or .rst, in UTF-8; or leave it out for "
    "the language reference of Python"
)


def load(config: Config, tokenizer: str | None = None, baseline: bool = True) -> Dataset:
    """Documents in a fixed random order, 10 % of them for validation and 10 % for test, at least one each.

    They are the files of a folder; or parts of one file, cut at blank lines; or without `data_path` parts of
    the topics of Python's help(), whose paragraphs are taken once: topics repeat each other.

    Raises:
        ValueError: no such path, no text in it, fewer than three documents, text that is not UTF-8, is larger
            than the memory, or does not fill one row.
    """
    documents = _read(None if config.data_path is None else Path(config.data_path))
    if len(documents) < 3:
        raise ValueError(
            f"`data_path` {config.data_path} holds {len(documents)} document(s), but training, validation "
            "and test need one each; give a folder of three files, or a file of at least "
            f"{3 * SHORTEST_DOCUMENT:,} characters with blank lines between its paragraphs."
        )
    order = np.random.default_rng(0).permutation(len(documents))
    documents = [documents[i] for i in order]
    count = max(1, len(documents) // 10)
    splits = {
        "train": documents[2 * count :],
        "validation": documents[:count],
        "test": documents[count : 2 * count],
    }
    return load_corpus(splits, config, tokenizer, baseline)


def _read(path: Path | None) -> list[str]:
    if path is None:
        from pydoc_data.topics import topics

        paragraphs = (part for name in sorted(topics) for part in re.split(BLANK_LINES, topics[name]))
        return cut("\n\n".join(dict.fromkeys(paragraphs)))
    if not path.exists():
        raise ValueError(f"`data_path` {path} does not exist; {WAYS_TO_GIVE_TEXT}.")
    if not path.is_dir():
        _check_size(path, [path])
        return cut(read_text(path, FILE_BYTES, "data_path"))
    files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and not file.is_dir())
    if not files:
        raise ValueError(f"`data_path` {path} holds no files {', '.join(SUFFIXES)}; {WAYS_TO_GIVE_TEXT}.")
    _check_size(path, files)
    texts = (read_text(file, FILE_BYTES, "data_path") for file in files)
    return [text for text in texts if text and not text.isspace()]


def _check_size(path: Path, files: list[Path]) -> None:
    """Refuse what does not fit into memory as bytes, as text, and as tokens."""
    try:
        size = sum(file.stat().st_size for file in files)
    except OSError as error:
        raise ValueError(
            f"`data_path`: {error.filename} cannot be read ({error.strerror}); restore or remove it."
        ) from None
    check_memory("data_path", path, 4 * size, f"{size:,} bytes of text")


def cut(text: str) -> list[str]:
    """Documents of at least 2,000 characters, which end at blank lines; the last one may be shorter.

    Blank lines stay with the document before them, so that the documents together are the text.
    """
    documents, start = [], 0
    for blank in re.finditer(BLANK_LINES, text):
        if blank.end() - start >= SHORTEST_DOCUMENT:
            documents.append(text[start : blank.end()])
            start = blank.end()
    if text[start:].strip():
        documents.append(text[start:])
    return documents
