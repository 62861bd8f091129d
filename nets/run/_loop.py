"""The loop of a run: steps, epochs, checkpoints, from wherever the run stands to its end."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm.auto import tqdm

from nets.config import Config, bucket_lengths
from nets.data import Dataset, Split, gathered, planned
from nets.run._checkpoint import Checkpoints, Progress, filled, named
from nets.run._diagnose import NOTHING, first_not_finite
from nets.run._distribute import Layout
from nets.run._environment import Trace, stopping
from nets.run._folder import Run
from nets.run._steps import sums

# Most steps under way before their sums are looked at: the loop does not wait for each step, nor run far ahead.
AHEAD = 32


@dataclass
class Loop:
    """A run under way.

    Arguments:
        config, dataset: the run, and its data.
        model: gives the structure of the network, in training mode.
        step, evaluate: as `nets.steps.compile_steps` makes them.
        state: of (model, optimizer), as it is now.
        device: computes the convolutions.
        root: key of all chance of the steps.
        run, checkpoints: where it is written.
        progress: where it stands.
        layout: where arrays are.
        start: when this start of the run began, by `time.perf_counter`.
    """

    config: Config
    dataset: Dataset
    model: nnx.Module
    step: Callable
    evaluate: Callable
    state: Any
    device: Any
    root: jax.Array
    run: Run
    checkpoints: Checkpoints
    progress: Progress
    layout: Layout
    start: float

    def __post_init__(self):
        self.lengths = bucket_lengths(self.config)
        self.steps = -(-len(self.dataset.train.labels) // self.config.batch_size)
        self.total = self.steps * self.config.epochs
        self.often = max(1, self.total // 50)
        self.start -= self.progress.seconds
        self.saved = time.perf_counter()
        self.pending: list[jax.Array] = []
        # From here the steps whose sums are pending can be taken again.
        self.anchor = (self.state, self.progress.step)

    def train(self) -> None:
        """Train to the end, or until the validation has stopped to become better.

        Raises:
            KeyboardInterrupt: the process was told to stop; everything is saved.
            FloatingPointError: a number stopped being finite; the message names the step and the tensor.
            OSError: a checkpoint or a line could not be written.
        """
        progress, alone = self.progress, jax.process_count() == 1
        bar = tqdm(
            total=self.total,
            initial=progress.step,
            desc="training",
            unit=" steps",
            disable=not (self.config.progress and self.run.writer),
            miniters=10,
            mininterval=1,
        )
        trace = Trace(self.run.folder if self.config.profile and self.run.writer else None)
        with bar, closing(trace), stopping() as told:
            while progress.epoch < self.config.epochs and not progress.stopped:
                for batch in self._batches(progress.epoch, progress.step - progress.epoch * self.steps):
                    trace.before_step()
                    self.state, found = self.step(
                        self.state, self.layout.batch(batch), self.device, self.root, np.uint32(progress.step)
                    )
                    self.pending.append(found)
                    trace.after_step(found)
                    progress.step += 1
                    bar.update()
                    last = progress.step % self.steps == 0
                    if progress.step % self.often == 0 or last:
                        self._settle()
                        self._log(bar)
                        # Several processes stop at the same step, which is one that all of them come to here.
                        if self.layout.any(told()):
                            self._leave()
                    elif len(self.pending) >= AHEAD:
                        self._settle()
                    if alone and told():
                        self._leave()
                    if not last and time.perf_counter() - self.saved >= self.config.checkpoint_every:
                        self._save()
                self._validate(bar, told if alone else lambda: False)
        self._save()
        self.checkpoints.wait()

    def totals(self, split: Split, told: Callable[[], bool] = lambda: False) -> tuple[np.ndarray, np.ndarray]:
        """Sums of loss, right answers and rows over a split, and the class of each row; noise is the same at every evaluation."""
        key = self.layout.everywhere(jax.random.fold_in(self.root, 2**31))  # no step comes this far
        size = evaluation_size(self.config)
        plan = planned(split, size, lengths=self.lengths)
        quiet = not (self.config.progress and self.run.writer)
        found = []
        for i, chosen in enumerate(
            tqdm(plan, desc="evaluating", unit=" batches", leave=False, disable=quiet)
        ):
            batch = self.layout.batch(gathered(split, chosen, size, self.lengths))
            found.append(self.evaluate(self.state, batch, self.device, key, np.uint32(i)))
            if i % AHEAD == AHEAD - 1:
                jax.block_until_ready(found[-1])
            if told():
                self._leave()
        return added(plan, jax.device_get(found))

    @property
    def seconds(self) -> float:
        """Time that the run has taken, over all its starts."""
        return time.perf_counter() - self.start

    def _batches(self, epoch: int, done: int) -> Iterator[tuple]:
        """The batches of an epoch that are left: the order follows from the seed alone."""
        shuffle = np.random.default_rng(self.config.seed)
        rows = len(self.dataset.train.labels)
        order = next(islice((shuffle.permutation(rows) for _ in range(epoch + 1)), epoch, None))
        size = self.config.batch_size
        chance = np.random.default_rng((self.config.seed, epoch))
        for chosen in planned(self.dataset.train, size, order, self.lengths, chance)[done:]:
            yield gathered(self.dataset.train, chosen, size, self.lengths)

    def _settle(self) -> None:
        """Wait for the steps under way, and count them."""
        first = self.progress.step - len(self.pending)
        for i, found in enumerate(jax.device_get(self.pending)):
            if not np.isfinite(found).all():
                self._diagnose(first + i)
            self.progress.lately = [float(a + b) for a, b in zip(self.progress.lately, found, strict=False)]
        self.pending, self.anchor = [], (self.state, self.progress.step)
        self.checkpoints.check()

    def _log(self, bar: tqdm) -> None:
        progress = self.progress
        self._line({"step": progress.step, **metrics("train", progress.lately)})
        loss, right, rows = progress.lately
        bar.set_postfix(loss=f"{loss / rows:.3f}", accuracy=f"{right / rows:.3f}", refresh=False)
        progress.seen = [a + b for a, b in zip(progress.seen, progress.lately, strict=True)]
        progress.lately = [0.0] * 3

    def _validate(self, bar: tqdm, told: Callable[[], bool]) -> None:
        progress = self.progress
        validation = metrics("validation", self.totals(self.dataset.validation, told)[0])
        line = {
            "epoch": progress.epoch + 1,
            "step": progress.step,
            **metrics("train", progress.seen),
            **validation,
        }
        self._line(line | {"seconds": self.seconds})
        if self.run.writer:
            bar.write(
                f"epoch {line['epoch']}: "
                + ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in line.items() if isinstance(v, float))
            )
        progress.seen = [0.0] * 3
        best = progress.validated(
            validation["validation_accuracy"], validation["validation_loss"], self.config.patience
        )
        if best or time.perf_counter() - self.saved >= self.config.checkpoint_every:
            self._save()

    def _line(self, line: dict[str, Any]) -> None:
        self.run.log(line)
        self.progress.lines += 1

    def _save(self) -> None:
        self._settle()
        self.run.settle()
        self.progress.seconds = self.seconds
        self.checkpoints.save(self.state, self.progress)
        self.saved = time.perf_counter()

    def _leave(self) -> None:
        self._save()
        self.checkpoints.wait()
        raise KeyboardInterrupt(
            f"step {self.progress.step} is saved; the same command with --out {self.config.out} continues"
        )

    def _diagnose(self, bad: int) -> None:
        """Take the steps since the last look again, up to the one that went wrong, and look into that one."""
        state, at = self.anchor
        epoch, done = divmod(at, self.steps)
        for number, batch in enumerate(islice(self._batches(epoch, done), bad - at + 1), at):
            if number < bad:
                state, _ = self.step(
                    state, self.layout.batch(batch), self.device, self.root, np.uint32(number)
                )
        nnx.update(self.model, filled(state[0], named(state[0])))
        shards, parts = self.layout.shards, self.config.accumulate
        key, device = (self.layout.local(tree) for tree in (self.root, self.device))
        names = []
        for i in range(shards * parts):
            part = tuple(jnp.asarray(np.array_split(array, shards * parts)[i]) for array in batch)
            own = jax.random.fold_in(key, bad)
            own = own if shards == 1 else jax.random.fold_in(own, i // parts)
            own = own if parts == 1 else jax.random.fold_in(own, i % parts)

            def loss(model, part=part, own=own):
                return sums(model, part, device, own)[0][0] / batch[2].sum()

            names.append(first_not_finite(self.model, loss))
        name = next((name for name in names if name != NOTHING), NOTHING)
        raise FloatingPointError(
            f"{name} stopped being finite at step {bad + 1}; lower `learning_rate` ({self.config.learning_rate:g})."
        )


def evaluation_size(config: Config) -> int:
    """Rows that are evaluated at once: there is no gradient to keep anything for."""
    return 4 * config.batch_size // config.accumulate


def added(plan: list[np.ndarray], found: list[tuple]) -> tuple[np.ndarray, np.ndarray]:
    """Sums over batches, and the class of each row in the order of the split.

    Arguments:
        plan: the rows of each batch.
        found: sums and classes of each batch.
    """
    predicted = np.concatenate([part[: len(chosen)] for chosen, (_, part) in zip(plan, found, strict=True)])
    total = sum((np.asarray(part, float) for part, _ in found), np.zeros(3))
    return total, predicted[np.argsort(np.concatenate(plan))]


def metrics(name: str, sums: Any) -> dict[str, float]:
    """Mean loss and share of right answers, from sums."""
    return {f"{name}_loss": float(sums[0] / sums[2]), f"{name}_accuracy": float(sums[1] / sums[2])}
