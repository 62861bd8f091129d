"""The training loop of a run: from wherever the run stands to its end."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jax
import numpy as np
from flax import nnx
from tqdm.auto import tqdm

from nets import data
from nets.config import LANGUAGE, Config, bucket_lengths
from nets.run._checkpoint import Checkpoints, RunState, named_arrays, with_arrays
from nets.run._diagnose import diagnose_step
from nets.run._distribute import Layout
from nets.run._environment import Trace, graceful_stop
from nets.run._population import make_objective
from nets.run._writer import RunWriter
from optics._keys import fold_key
from optics._typing import DeviceLike

# The most steps that are computed before their sums are read: the loop neither waits for each step nor runs
# far ahead.
MAX_PENDING = 32

Observer = Callable[[dict[str, Any]], bool | None]


@dataclass(frozen=True)
class Task:
    """The options, the data and the machines of a run.

    Arguments:
        config: the run, resolved.
        dataset: its data.
        layout: the JAX devices that share a batch.
    """

    config: Config
    dataset: data.Dataset
    layout: Layout


@dataclass(frozen=True)
class Program:
    """The computation of a run.

    Arguments:
        model: the structure of the network, in training mode.
        step, evaluate: as `compile_steps` makes them.
        arrays: state of (model, optimizer) to continue from.
        device: computes the convolutions; several units of it as one pytree in a run with `units`.
        held_out: computes those of validation and test; other units in a run with `units`.
        key: of all random numbers of the steps.
    """

    model: nnx.Module
    step: Callable
    evaluate: Callable
    arrays: Any
    device: DeviceLike
    held_out: DeviceLike
    key: jax.Array


@dataclass(frozen=True)
class Record:
    """The folder of a run, and its position.

    Arguments:
        writer: of the folder.
        checkpoints: in the folder.
        state: how far the run is; the trainer moves it on.
        started: when this start of the run began, by `time.perf_counter`.
    """

    writer: RunWriter
    checkpoints: Checkpoints
    state: RunState
    started: float


class Trainer:
    """A run in progress.

    Arguments:
        task: its options and data.
        program: its computation.
        record: its folder and its position.
        observe: called with each line of metrics.jsonl; if it returns true, the run is saved and interrupted
            there.
    """

    def __init__(self, task: Task, program: Program, record: Record, observe: Observer | None = None):
        self.task, self.program, self.record, self.observe = task, program, record, observe
        self.config, self.state, self.layout = task.config, record.state, task.layout
        self.arrays = program.arrays
        self.lengths = bucket_lengths(self.config)
        self.steps_per_epoch = -(-len(task.dataset.train.labels) // self.config.batch_size)
        self.steps = self.steps_per_epoch * self.config.epochs
        self.log_every = max(1, self.steps // 50)
        self.started = record.started - self.state.seconds
        self.saved_at = time.perf_counter()
        self.stop_observed = False
        self.compiling: Future | None = None
        self.pending: list[jax.Array] = []
        # Arrays and step from which the pending steps can be computed again.
        self.replay_point = (self.arrays, self.state.step)

    @property
    def seconds(self) -> float:
        """Duration of the run, over all its starts."""
        return time.perf_counter() - self.started

    def train(self) -> None:
        """Train to the end, or until validation stops improving.

        Raises:
            KeyboardInterrupt: the process was asked to stop; everything is saved.
            FloatingPointError: a number stopped being finite; the message names the step and the tensor.
            OSError: a checkpoint or a line could not be written.
        """
        show = self.config.progress and self.record.writer.enabled
        trace = Trace(
            self.record.writer.folder if self.config.profile and self.record.writer.enabled else None
        )
        bar = tqdm(
            total=self.steps,
            initial=self.state.step,
            desc="training",
            unit=" steps",
            disable=not show,
            miniters=10,
            mininterval=1,
        )
        with bar, closing(trace), graceful_stop() as stop_requested, ThreadPoolExecutor(1) as beside:
            if self.layout.mesh is None and len(self.task.dataset.validation.labels):
                self.compiling = beside.submit(self._lower_evaluation().compile)
            while self.state.epoch < self.config.epochs and not self.state.stopped:
                self._train_epoch(bar, trace, stop_requested)
                self._validate(bar, stop_requested)
        self._save()
        self.record.checkpoints.wait()

    def evaluate(
        self, split: data.Split, stop_requested: Callable[[], bool] = lambda: False, exact: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Loss, correct labels and labels, summed over a split, and the second result of `loss_sums`.

        Every evaluation draws the same noise.

        Arguments:
            split: the rows.
            stop_requested: asked after each batch; if true, the run is saved and interrupted.
            exact: compute with the exact FFT instead of the device.
        """
        key, size = self._evaluation_key(), evaluation_size(self.config)
        plan = data.plan_batches(split, size, lengths=self.lengths)
        quiet = not (self.config.progress and self.record.writer.enabled)
        device = None if exact else self.program.held_out
        results = []
        if self.compiling is not None:
            self.compiling.result()
        for i, indices in enumerate(
            tqdm(plan, desc="evaluating", unit=" batches", leave=False, disable=quiet)
        ):
            batch = self.layout.shard_batch(data.make_batch(split, indices, size, self.lengths))
            results.append(self.program.evaluate(self.arrays, batch, device, key, np.uint32(i)))
            if i % MAX_PENDING == MAX_PENDING - 1:
                jax.block_until_ready(results[-1])
            if stop_requested():
                self._interrupt()
        sums, of_rows = zip(*jax.device_get(results), strict=True)
        return add_sums(sums), data.merge_batches(plan, of_rows)

    def _lower_evaluation(self) -> jax.stages.Lowered:
        """The evaluation of the first batch of validation, to be compiled while the first step is."""
        split, size = self.task.dataset.validation, evaluation_size(self.config)
        indices = next(iter(data.plan_batches(split, size, lengths=self.lengths)))
        batch = self.layout.shard_batch(data.make_batch(split, indices, size, self.lengths))
        program = self.program
        return program.evaluate.lower(
            self.arrays, batch, program.held_out, self._evaluation_key(), np.uint32(0)
        )

    def _evaluation_key(self) -> jax.Array:
        """Of the noise, on all devices; its number is above that of any step."""
        return self.layout.replicate(fold_key(self.program.key, 2**31))

    def load(self, checkpoint: int) -> None:
        """Replace the network by that of a checkpoint of this run."""
        enabled = self.record.writer.enabled
        arrays = self.record.checkpoints.read(checkpoint)[0][0] if enabled else None
        network = self.arrays[0]
        arrays = self.layout.broadcast_arrays(arrays, named_arrays(network))
        self.arrays[0] = self.layout.replicate(with_arrays(network, arrays))

    def _train_epoch(self, bar: tqdm, trace: Trace, stop_requested: Callable[[], bool]) -> None:
        state, one_process = self.state, jax.process_count() == 1
        for batch in self._batches(state.epoch, state.step - state.epoch * self.steps_per_epoch):
            trace.before_step()
            self.arrays, sums = self._step(self.arrays, batch, state.step)
            self.pending.append(sums)
            trace.after_step(sums)
            state.step += 1
            bar.update()
            last = state.step % self.steps_per_epoch == 0
            if state.step % self.log_every == 0 or last:
                self._read_pending()
                self._log_training(bar)
                # All processes come to this step, so they can stop here together.
                if self.layout.any_process(stop_requested() or self.stop_observed):
                    self._interrupt()
            elif len(self.pending) >= MAX_PENDING:
                self._read_pending()
            if one_process and stop_requested():
                self._interrupt()
            if not last and time.perf_counter() - self.saved_at >= self.config.checkpoint_every:
                self._save()

    def _step(self, arrays: Any, batch: tuple, step: int) -> tuple[Any, jax.Array]:
        return self.program.step(
            arrays, self.layout.shard_batch(batch), self.program.device, self.program.key, np.uint32(step)
        )

    def _batches(self, epoch: int, done: int) -> Iterator[tuple]:
        """The remaining batches of an epoch; their order follows from the seed alone."""
        train, size, seed = self.task.dataset.train, self.config.batch_size, self.config.seed
        shuffle = np.random.default_rng(seed)
        orders = (shuffle.permutation(len(train.labels)) for _ in range(epoch + 1))
        order = next(islice(orders, epoch, None))
        rng = np.random.default_rng((seed, epoch))
        plan = data.plan_batches(train, size, order, self.lengths, rng)
        for number, indices in islice(enumerate(plan), done, None):
            rows, labels, weights = data.make_batch(train, indices, size, self.lengths)
            # A generator for each batch: a run that goes on draws what it would have drawn.
            generator = np.random.default_rng((seed, epoch, number))
            if self.config.distortion:
                rows = data.distort(rows, self.config.distortion, generator)
            if self.config.task == "masked":
                rows, labels = data.mask_tokens(rows, generator, self.task.dataset.vocabulary)
            yield rows, labels, weights

    def _read_pending(self) -> None:
        """Wait for the pending steps, and add up their sums."""
        first = self.state.step - len(self.pending)
        for i, sums in enumerate(jax.device_get(self.pending)):
            if not np.isfinite(sums).all():
                self._diagnose(first + i)
            # The last number is the norm of the gradient.
            self.state.recent_sums = [
                float(a + b) for a, b in zip(self.state.recent_sums, sums, strict=False)
            ]
        self.pending, self.replay_point = [], (self.arrays, self.state.step)
        self.record.checkpoints.check_errors()

    def _log_training(self, bar: tqdm) -> None:
        state = self.state
        self._log({"step": state.step, **mean_metrics("train", state.recent_sums)})
        loss, correct, rows = state.recent_sums
        bar.set_postfix(loss=f"{loss / rows:.3f}", accuracy=f"{correct / rows:.3f}", refresh=False)
        state.epoch_sums = [a + b for a, b in zip(state.epoch_sums, state.recent_sums, strict=True)]
        state.recent_sums = [0.0] * 3

    def _validate(self, bar: tqdm, stop_requested: Callable[[], bool]) -> None:
        state, one_process = self.state, jax.process_count() == 1
        sums, _ = self.evaluate(
            self.task.dataset.validation, stop_requested if one_process else lambda: False
        )
        metrics = mean_metrics("validation", sums)
        line = {
            "epoch": state.epoch + 1,
            "step": state.step,
            **mean_metrics("train", state.epoch_sums),
            **metrics,
        }
        self._log(line | {"seconds": self.seconds})
        if self.record.writer.enabled:
            numbers = (f"{k.replace('_', ' ')} {v:.4f}" for k, v in line.items() if isinstance(v, float))
            bar.write(f"epoch {line['epoch']}: " + ", ".join(numbers))
        state.epoch_sums = [0.0] * 3
        best = state.add_epoch(
            metrics["validation_accuracy"],
            metrics["validation_loss"],
            self.config.patience,
            self.config.best_by,
        )
        if best or time.perf_counter() - self.saved_at >= self.config.checkpoint_every:
            self._save()
        if self.layout.any_process(self.stop_observed):
            self._interrupt()

    def _log(self, line: dict[str, Any]) -> None:
        self.record.writer.log(line)
        self.state.lines += 1
        self.state.lines_checksum = self.record.writer.checksum
        if self.observe is not None and self.observe(line):
            self.stop_observed = True

    def _save(self) -> None:
        self._read_pending()
        self.record.writer.fsync()
        self.state.seconds = self.seconds
        self.record.checkpoints.save(self.arrays, self.state)
        self.saved_at = time.perf_counter()

    def _interrupt(self) -> None:
        self._save()
        self.record.checkpoints.wait()
        raise KeyboardInterrupt(
            f"step {self.state.step} is saved; the same command with --out {self.config.out} continues"
        )

    def _diagnose(self, bad_step: int) -> None:
        """Compute the steps since the replay point again, and name the tensor that made one of them not
        finite."""
        arrays, first = self.replay_point
        epoch, done = divmod(first, self.steps_per_epoch)
        for step, batch in enumerate(islice(self._batches(epoch, done), bad_step - first + 1), first):
            if step < bad_step:
                arrays, _ = self._step(arrays, batch, step)
        nnx.update(self.program.model, with_arrays(arrays[0], named_arrays(arrays[0])))
        key, device = (self.layout.local_copy(tree) for tree in (self.program.key, self.program.device))
        name = diagnose_step(
            self.program.model,
            batch,
            device,
            fold_key(key, bad_step),
            self.layout.shards,
            self.config.accumulate,
            make_objective(self.config),
        )
        raise FloatingPointError(
            f"{name} stopped being finite at step {bad_step + 1}; lower `learning_rate` "
            f"({self.config.learning_rate:g})."
        )


def evaluation_size(config: Config) -> int:
    """Rows that are evaluated at once: more than in training, for no gradient is stored; but as many where
    the logits of every token are most of what is.
    """
    return (1 if config.task in LANGUAGE else 4) * config.batch_size // config.accumulate


def add_sums(sums: Any) -> np.ndarray:
    """The sum over batches, in double precision."""
    return sum((np.asarray(part, float) for part in sums), np.zeros(3))


def mean_metrics(name: str, sums: Any) -> dict[str, float]:
    """Mean loss and accuracy, from sums of loss, correct labels and labels."""
    return {f"{name}_loss": float(sums[0] / sums[2]), f"{name}_accuracy": float(sums[1] / sums[2])}
