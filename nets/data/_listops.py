"""ListOps: nested lists of digits under operations, whose value is the class."""

import random
from functools import lru_cache

import numpy as np
from tqdm.auto import tqdm

from nets.config import Config, check_memory
from nets.data._baselines import most_frequent_accuracy
from nets.data._dataset import Dataset, Split


def median(values: list[int]) -> int:
    """The one in the middle, or the mean of the two there, rounded down."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2


OPERATIONS = {"[MIN": min, "[MAX": max, "[MED": median, "[SM": lambda values: sum(values) % 10}
DIGITS, NAMES, END = tuple(map(str, range(10))), tuple(OPERATIONS), "]"
# Padding is token 0.
TOKENS = {token: number for number, token in enumerate([*DIGITS, *NAMES, END], 1)}
DIGIT_SHARE = 0.75  # of the arguments; the others are lists again
LARGEST_DEPTH, MOST_ARGUMENTS = 10, 10
ROWS = {"train": 96_000, "validation": 2_000, "test": 2_000}


def load(config: Config) -> Dataset:
    """96,000 expressions for training, 2,000 for validation and 2,000 for test, or `max_examples` and a tenth
    as many for training and validation; no expression twice, always the same ones for a length.

    An expression has a quarter of `max_tokens` to `max_tokens` tokens.

    Raises:
        ValueError: `max_tokens` below 16: there are too few short expressions.

    Source: N. Nangia and S. Bowman, ListOps, NAACL student workshop (2018); numbers of rows, arguments and
    levels, and 500 to 2,000 tokens, by Y. Tay et al., Long Range Arena, ICLR (2021).
    """
    if config.max_tokens < 16:
        raise ValueError(
            f"`max_tokens` must be at least 16 for data listops, got {config.max_tokens}; there are too few "
            "shorter expressions."
        )
    sizes = dict(ROWS)
    if config.max_examples is not None:
        count = min(config.max_examples, ROWS["train"])
        sizes |= {"train": count, "validation": min(-(-count // 10), ROWS["validation"])}
    check_memory(
        "max_tokens", config.max_tokens, 2 * 4 * sum(sizes.values()) * config.max_tokens, "the expressions"
    )
    splits = _load(config.max_tokens, tuple(sizes.items()), config.progress)
    return Dataset(
        **splits,
        classes=10,
        vocabulary=len(TOKENS) + 1,
        baseline={"most_frequent_accuracy": most_frequent_accuracy(splits["train"], splits["test"])},
    )


@lru_cache(maxsize=1)
def _load(length: int, sizes: tuple[tuple[str, int], ...], progress: bool) -> dict[str, Split]:
    # The test comes first: it does not depend on how many others there are.
    rng, known, splits = random.Random(0), set(), {}
    with tqdm(
        total=sum(count for _, count in sizes),
        desc="making expressions",
        unit=" rows",
        leave=False,
        disable=not progress,
    ) as bar:
        for name, count in sorted(sizes):
            rows, labels = np.zeros((count, length), np.int32), np.zeros(count, np.int32)
            for i in range(count):
                expression = make_expression(rng, length, known)
                known.add(" ".join(expression))
                rows[i, : len(expression)] = [TOKENS[token] for token in expression]
                labels[i] = evaluate(expression)
                bar.update()
            splits[name] = Split(rows, labels)
    return splits


def make_expression(rng: random.Random, length: int, known: set[str]) -> list[str]:
    """A new expression of length / 4 to length tokens."""
    while True:
        tokens: list[str] = []
        if not _write_list(rng, 1, length, tokens):
            continue
        if length // 4 <= len(tokens) and " ".join(tokens) not in known:
            return tokens


def _write_list(rng: random.Random, depth: int, length: int, tokens: list[str]) -> bool:
    """Add a list to the tokens; False as soon as they are too many."""
    tokens.append(NAMES[int(rng.random() * len(NAMES))])
    for _ in range(rng.randint(2, MOST_ARGUMENTS)):
        if len(tokens) >= length:
            return False
        if depth == LARGEST_DEPTH or rng.random() < DIGIT_SHARE:
            tokens.append(DIGITS[int(rng.random() * 10)])
        elif not _write_list(rng, depth + 1, length, tokens):
            return False
    tokens.append(END)
    return len(tokens) <= length


def evaluate(expression: list[str]) -> int:
    """The value of an expression, a digit."""
    stack: list[list] = [[]]
    for token in expression:
        if token in OPERATIONS:
            stack.append([token])
        elif token == END:
            operation, *values = stack.pop()
            stack[-1].append(OPERATIONS[operation](values))
        else:
            stack[-1].append(int(token))
    return stack[0][0]
