"""Helpers of the tests of runs: reviews to train on, and the comparison of two run folders."""

import json
from pathlib import Path

import numpy as np

from nets.run import Checkpoints, RunFolder

WORDS = {"pos": "wonderful", "neg": "boring"}


def write_reviews(folder: Path, count: int = 40) -> Path:
    """Write `count` positive and as many negative reviews for training, and for test, of 3 to 15 words."""
    for split in ("train", "test"):
        for side, word in WORDS.items():
            path = folder / split / side
            path.mkdir(parents=True)
            for i in range(count):
                (path / f"{i}_1.txt").write_text(f"a {word} film" + " and so on" * (i % 5))
    return folder


def command_line(options: dict) -> list[str]:
    """Options of a run, by the names of their fields, as arguments of `python -m nets.train`."""
    arguments = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            arguments.append(flag if value else f"--no-{flag[2:]}")
        else:
            arguments += [flag, *map(str, value if isinstance(value, tuple) else (value,))]
    return arguments


def lines(folder: Path) -> list[dict]:
    """The lines of metrics.jsonl, all of them whole."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def untimed(folder: Path) -> list[dict]:
    """The lines without durations."""
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines(folder)]


def last_checkpoint(folder: Path) -> tuple:
    """Arrays of the last checkpoint by name, and the state of the run."""
    checkpoints = Checkpoints(folder, writer=False, reader=True)
    (model, optimizer), state = checkpoints.latest()
    return model | optimizer, state


def assert_same_run(one: Path, other: Path) -> None:
    """Lines, last checkpoint and predictions are equal to the last bit; only durations may differ."""
    assert untimed(one) == untimed(other)
    (a, at), (b, bt) = last_checkpoint(one), last_checkpoint(other)
    assert a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
    assert (at.step, at.epoch, at.best, at.lines) == (bt.step, bt.epoch, bt.best, bt.lines)
    for first, second in zip(RunFolder(one).predictions(), RunFolder(other).predictions(), strict=True):
        assert np.array_equal(first, second)
