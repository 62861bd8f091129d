"""A byte-pair encoding that loses nothing: any text comes back as it was."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tokenizers
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers

SPECIAL = ("<pad>", "<end>", "<mask>")
PADDING, END, MASK = range(len(SPECIAL))
SMALLEST_VOCABULARY = len(SPECIAL) + 256  # a token for each byte
# Words as GPT-2 cuts them (A. Radford et al. 2019), but none longer than 64: merges of a long one take time
# that grows faster than its length.
WORD = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}{1,64}| ?\p{N}{1,64}| ?[^\s\p{L}\p{N}]{1,64}|\s{1,64}(?!\S)|\s{1,64}"
CHUNK = 512  # documents that are encoded together


def train_subwords(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A byte-pair encoding of bytes of UTF-8, trained on texts. The same texts give the same tokens every
    time.

    No byte is unknown, and decoding gives the same text again, to the last blank. Tokens 0, 1 and 2 are
    <pad>, <end> and <mask>; these words in a text are text.

    Arguments:
        texts: to train on.
        vocabulary: number of tokens, at most; a short text has fewer pairs to merge.

    Raises:
        ValueError: fewer tokens than there are bytes.

    Source: R. Sennrich, B. Haddow and A. Birch, ACL (2016); on bytes, A. Radford et al., Language models are
    unsupervised multitask learners (2019).

    Example:
        >>> from nets.data import train_subwords
        >>> tokenizer = train_subwords(["a film", "the film"], 270)
        >>> tokenizer.decode(tokenizer.encode("ein  Ölfilm <end>").ids, skip_special_tokens=False)
        'ein  Ölfilm <end>'
    """
    if vocabulary < SMALLEST_VOCABULARY:
        raise ValueError(
            f"`vocabulary` must be at least {SMALLEST_VOCABULARY} for a language model, {len(SPECIAL)} marks "
            f"and a token for each of 256 bytes; got {vocabulary}."
        )
    tokenizer = Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.encode_special_tokens = True  # as text
    return tokenizer


def is_lossless(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer is one of `train_subwords`."""
    return isinstance(tokenizer.decoder, decoders.ByteLevel)


def encode_documents(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[np.ndarray]:
    """The tokens of each text, one after the other; only a few are encoded ahead."""
    for start in range(0, len(texts), CHUNK):
        for encoding in tokenizer.encode_batch_fast(list(texts[start : start + CHUNK])):
            yield np.array(encoding.ids, np.int32)
