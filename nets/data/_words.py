"""Text to tokens of lower-cased words, and any tokenizer to rows."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import tokenizers
from tokenizers import Tokenizer

from nets.config import check_memory
from nets.data._subwords import is_lossless

PADDING, UNKNOWN = "<pad>", "<unk>"
# The time of the encoding grows with the square of a word. The longest one of the reviews has 78 characters.
LONGEST_WORD = 256
LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD}}}(?=\S)")


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """A byte-pair encoding of lower-cased words; token 0 is padding. The same texts give the same tokens
    every time. Words of more than 256 characters are cut.

    Source: R. Sennrich, B. Haddow and A. Birch, ACL (2016).
    """
    tokenizer = Tokenizer(tokenizers.models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = tokenizers.normalizers.Sequence(
        [
            tokenizers.normalizers.Replace("<br />", " "),
            tokenizers.normalizers.NFKC(),
            tokenizers.normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PADDING, UNKNOWN], show_progress=False
    )
    tokenizer.train_from_iterator(_cut_words(texts), trainer)
    return tokenizer


def _cut_words(texts: Iterable[str]) -> Iterable[str]:
    """The texts with a blank after each 256 characters that have none between them."""
    return (LONG_WORD.sub(r"\g<0> ", text) for text in texts)


def read_tokenizer(text: str) -> Tokenizer:
    """The tokenizer of a tokenizer.json, of `train_tokenizer` or of `train_subwords`.

    Raises:
        ValueError: the text is not one.
    """
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(
            f"tokenizer.json of the run cannot be read ({error}); restore the one that it was trained with."
        ) from None
    if is_lossless(tokenizer):
        tokenizer.encode_special_tokens = True  # as text; the file does not keep this
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> np.ndarray:
    """Tokens, shape (texts, length), padded with 0; a longer text keeps its beginning and its end."""
    # Once here, once in the splits.
    check_memory("max_tokens", length, 2 * 4 * len(texts) * length, f"{len(texts):,} texts")
    rows = np.zeros((len(texts), length), np.int32)
    texts = list(texts if is_lossless(tokenizer) else _cut_words(texts))
    for row, encoding in zip(rows, tokenizer.encode_batch_fast(texts), strict=True):
        ids = encoding.ids
        if len(ids) > length:
            ids = ids[: length - length // 2] + ids[len(ids) - length // 2 :]
        row[: len(ids)] = ids
    return rows
