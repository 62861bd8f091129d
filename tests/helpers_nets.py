"""Helpers of the tests of runs and networks: reviews to train on, the comparison of two run folders, and a
device that compiles at once.
"""

import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import optics
from nets.run import Checkpoints

WORDS = {"pos": "wonderful", "neg": "boring"}


class Multiplier(optics.AbstractDevice):
    """Multiplies 5 × 8 by 8 × 6 numbers exactly, and adds noise of one size: tiles and keys, no physics."""

    noise: float | jax.Array = 0.0
    shape: tuple[int, int] = eqx.field(default=(8, 6), static=True)

    @property
    def product_shape(self):
        return 5, 8, 6

    def matmul(self, a, b, key=None):
        y = jnp.matmul(a, b)
        assert y.shape[-2] <= 5 and a.shape[-1] <= 8 and y.shape[-1] <= 6
        return y if key is None else y + self.noise * jax.random.normal(key, y.shape)

    def stages(self):
        return ()


class Convolver(optics.AbstractDevice):
    """Convolves planes of one shape exactly, and adds noise of one size."""

    noise: float | jax.Array = 0.0
    shape: tuple[int, int] = eqx.field(default=(3, 3), static=True)

    def convolve(self, x, w, key=None):
        y = optics.convolve(x, jnp.fft.ifftshift(w, (-2, -1)))
        return y if key is None else y + self.noise * jax.random.normal(key, y.shape)

    def stages(self):
        return ()


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
    with np.load(one / "predictions.npz") as first, np.load(other / "predictions.npz") as second:
        assert first.keys() == second.keys() and all(
            np.array_equal(first[name], second[name]) for name in first
        )
