"""Documents in rows of one length, for networks that predict tokens."""

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer
from tqdm.auto import tqdm

from nets.data._dataset import Split
from nets.data._subwords import END, MASK, PADDING, SPECIAL, encode_documents

MASK_SHARE, AS_MASK, AT_RANDOM = 0.15, 0.8, 0.1


def pack(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    length: int,
    rows: int | None = None,
    documents: bool = False,
    progress: bool = False,
) -> Split:
    """Rows of a stream of tokens, and for each token the next one as its label.

    The stream is <end>, the first text, <end>, the second text, <end> and so on, and ends with <end>. Its
    rows follow each other without a gap, so that each token but the first is a label once; only the last row
    is padded, with 0.

    Arguments:
        tokenizer: of `train_subwords`.
        texts: the documents, none of them empty.
        length: tokens of a row.
        rows: stop after this number of rows; None packs all.
        documents: also tell of which document each label is; its <end> belongs to it.
        progress: show a bar.

    Returns:
        rows and labels, shape (rows, length), and if asked for documents and their bytes.

    Raises:
        ValueError: no texts, or an empty one.

    Example:
        >>> from nets.data import pack, train_subwords
        >>> tokenizer = train_subwords(["ab"], 259)
        >>> split = pack(tokenizer, ["ab", "c"], 3)
        >>> split.rows.tolist(), split.labels.tolist()
        ([[1, 67, 68], [1, 69, 1]], [[67, 68, 1], [69, 1, 0]])
    """
    if not texts or not all(texts):
        raise ValueError("`texts` must be one or more texts that are not empty; leave empty ones out.")
    wanted = None if rows is None else rows * length + 1
    parts, numbers, count = [np.array([END], np.int32)], [np.array([-1], np.int32)], 1
    encodings = encode_documents(tokenizer, texts)
    for number, ids in enumerate(
        tqdm(encodings, "packing", len(texts), unit=" texts", leave=False, disable=not progress)
    ):
        parts += [ids, np.array([END], np.int32)]
        if documents:
            numbers.append(np.full(len(ids) + 1, number, np.int32))
        count += len(ids) + 1
        if wanted is not None and count >= wanted:
            break
    count = count if wanted is None else min(count, wanted)
    total = -(-(count - 1) // length)
    tokens = _stream(parts, count, total * length + 1, PADDING)
    if not documents:
        return Split(*_rows(tokens, total, length))
    of_labels = _rows(_stream(numbers, count, len(tokens), -1), total, length)[1]
    return Split(*_rows(tokens, total, length), of_labels, np.array([len(text.encode()) for text in texts]))


def _stream(parts: list[np.ndarray], count: int, size: int, filler: int) -> np.ndarray:
    """The first `count` numbers of all parts, filled up to `size`."""
    stream = np.full(size, filler, np.int32)
    stream[:count] = np.concatenate(parts)[:count]
    stream.flags.writeable = False  # rows and labels share it
    return stream


def _rows(stream: np.ndarray, rows: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    return stream[:-1].reshape(rows, length), stream[1:].reshape(rows, length)


def unpack(split: Split) -> np.ndarray:
    """The stream of tokens that was packed into these rows, without padding."""
    stream = np.append(split.rows, split.labels[-1, -1])
    return stream[stream != PADDING]


def mask_tokens(rows: np.ndarray, rng: np.random.Generator, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Hide tokens at random, which a network then has to find.

    Each token that is neither <pad> nor <end> is chosen with a probability of 15 %. Of those chosen 80 %
    become <mask>, 10 % a random token, and 10 % stay.

    Arguments:
        rows: tokens, of any shape.
        rng: makes the choice.
        vocabulary: number of tokens.

    Returns:
        the rows with tokens hidden, and as labels the chosen tokens as they were, 0 elsewhere; new arrays of
        the shape and type of `rows`.

    Source: J. Devlin, M.-W. Chang, K. Lee and K. Toutanova, BERT, NAACL (2019), section 3.1.

    Example:
        >>> import numpy as np
        >>> from nets.data import mask_tokens
        >>> rows, labels = mask_tokens(np.full((1, 4), 7), np.random.default_rng(7), 300)
        >>> rows.shape, bool(((labels == 0) | (labels == 7)).all())
        ((1, 4), True)
    """
    if vocabulary <= len(SPECIAL):
        raise ValueError(f"`vocabulary` must be above the {len(SPECIAL)} marks, got {vocabulary}.")
    choice, fate = rng.random((2, *rows.shape))
    chosen = (choice < MASK_SHARE) & (rows != PADDING) & (rows != END)
    random_tokens = rng.integers(len(SPECIAL), vocabulary, rows.shape, rows.dtype)
    masked = np.where(fate < AS_MASK, MASK, np.where(fate < AS_MASK + AT_RANDOM, random_tokens, rows))
    return (
        np.where(chosen, masked, rows).astype(rows.dtype),
        np.where(chosen, rows, PADDING).astype(rows.dtype),
    )


def mask_split(split: Split, seed: int, vocabulary: int) -> Split:
    """Packed rows with tokens hidden once, always the same ones for a seed; the labels are those tokens."""
    rows, labels = mask_tokens(split.rows, np.random.default_rng(seed), vocabulary)
    if split.documents is None:
        return Split(rows, labels)
    # That of a token is that of the label one place before; the first token has none, and is never hidden.
    documents = np.insert(split.documents.ravel()[:-1], 0, -1).reshape(rows.shape)
    return Split(rows, labels, np.where(labels == PADDING, np.int32(-1), documents), split.document_bytes)
