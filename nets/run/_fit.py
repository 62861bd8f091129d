"""Train the network of a `Config`, from the start or from where an earlier start ended."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import optax
from flax import nnx

from nets import data
from nets.config import Config, resolve
from nets.run._build import build_device, build_model, count_parameters, seed_rngs
from nets.run._checkpoint import Checkpoints, RunState, load_body, load_weights, named_arrays, with_arrays
from nets.run._distribute import join, make_layout
from nets.run._environment import (
    compilation_cache,
    silent_writers,
    usable_cores,
    usual_promotion,
)
from nets.run._folder import RunFolder, check_folders
from nets.run._layer_decay import decay_layers
from nets.run._population import draw_units, first_unit, make_objective
from nets.run._recalibrate import measure_layer_scales
from nets.run._sinks import Tracker
from nets.run._sizes import check_sizes
from nets.run._steps import compile_steps
from nets.run._tokens import sum_by_document, token_metrics
from nets.run._trainer import Observer, Program, Record, Task, Trainer, evaluation_size, mean_metrics
from nets.run._writer import RunWriter
from optics._keys import fold_key
from optics._typing import DeviceLike


@usual_promotion()
def fit(config: Config, observe: Observer | None = None) -> dict[str, Any]:
    """Train a network and write the folder of its run; continue the run that is in the folder, with the same
    result to the last bit.

    The network of the epoch with the best validation (`best_by`) is tested once, at the end.

    Arguments:
        config: the run; options that are None take their defaults.
        observe: called with each line of metrics.jsonl; if it returns true, the run is saved and interrupted
            there.

    Returns:
        the last line of metrics.jsonl: accuracy and loss of the test, or of the validation for a run without
        a test, the accuracy of the same network with the exact FFT, the best epoch, and the accuracies of
        baselines.

    Raises:
        ValueError: an impossible option, a folder of another run or a damaged one, or data that cannot be
            read; nothing has been written then.
        FloatingPointError: a number stopped being finite; earlier checkpoints remain.
        OSError: the folder cannot be written to any more, or another process of the run is lost; earlier
            checkpoints remain.
        KeyboardInterrupt: the process or `observe` asked to stop; everything is saved.
    """
    config = resolve(config)
    check_folders(config)
    with compilation_cache(config.cache), silent_writers(), _explain_lost_process(config):
        join(config)  # before any array is made
        folder = RunFolder(config.out)
        result = folder.result()
        if result is not None:
            print(f"the run in {config.out} is finished; name another folder to start one", file=sys.stderr)
            return result
        return _train(config, folder, observe)


def _train(config: Config, folder: RunFolder, observe: Observer | None) -> dict[str, Any]:
    layout = make_layout(config)
    tracker = Tracker(config.log_to) if config.log_to else None
    device, held_out = _build_devices(config)
    started = time.perf_counter()
    tokenizer = folder.tokenizer()
    if tokenizer is None and config.init_from is not None:
        tokenizer = RunFolder(Path(config.init_from)).tokenizer()
    dataset = data.load(config, tokenizer, not folder.exists())
    facts = folder.check_data(dataset)
    task = Task(config, dataset, layout)
    program = _build(task, device, held_out)
    cores = usable_cores()
    facts |= {"parameters": count_parameters(program.model), "shards": layout.shards, "cores": cores}
    layout.barrier("before anything is written")
    with ExitStack() as stack:
        writer = stack.enter_context(closing(RunWriter(config, facts, dataset.files, layout.is_writer)))
        checkpoints = stack.enter_context(closing(Checkpoints(config.out, layout.is_writer)))
        program, state = _restore(task, program, checkpoints)
        writer.truncate(state.lines, state.lines_checksum)
        if state.step and layout.is_writer:
            print(f"continuing {config.out} at step {state.step}", file=sys.stderr)
            folder.warn_if_rounded_otherwise(layout.shards, cores)
        writer.attach(tracker)
        trainer = Trainer(task, program, Record(writer, checkpoints, state, started), observe)
        trainer.train()
        return _finish(trainer, facts["baseline"])


def _build_devices(config: Config) -> tuple[DeviceLike, DeviceLike]:
    """What a run trains on, and what it is validated and tested on."""
    if config.units is not None:
        return draw_units(config)
    device = build_device(config)
    return device, device


def _build(task: Task, device: DeviceLike, held_out: DeviceLike) -> Program:
    """The network with its first weights, and its compiled step and evaluation."""
    config, dataset = task.config, task.dataset
    check_sizes(config, dataset)
    model = build_model(config, dataset, seed_rngs(config.seed))
    if config.init_from is not None:
        _load_initial_weights(model, config, dataset)
    if config.layer_scale == "measured":
        rows = dataset.train.rows[: evaluation_size(config)]
        measure_layer_scales(model, rows, first_unit(config, device), jax.random.key(config.seed))
    optimizer = nnx.Optimizer(model, _adam(config, len(dataset.train.labels)), wrt=nnx.Param)
    step, evaluate = compile_steps(
        model, optimizer, task.layout.mesh, config.accumulate, make_objective(config)
    )
    arrays = nnx.state((model, optimizer))
    # A key that differs from that of the first weights.
    key = fold_key(jax.random.key(config.seed), 2**31)
    # Shapes that do not fit are refused here, before a folder is made.
    batch = next(iter(data.batches(dataset.validation, evaluation_size(config))))
    jax.eval_shape(evaluate, arrays, batch, held_out, key)
    return Program(model, step, evaluate, arrays, device, held_out, key)


def _load_initial_weights(model: nnx.Module, config: Config, dataset: data.Dataset) -> None:
    start = RunFolder(Path(config.init_from))
    start.check_start(config, dataset)
    try:
        if start.facts().get("task") in (None, config.task):
            load_weights(model, config.init_from)
        else:
            load_body(model, config.init_from)
    except ValueError as error:
        raise ValueError(
            f"`init_from` {config.init_from} cannot be used: {error} Give a run with the same network."
        ) from None


def _adam(config: Config, rows: int) -> optax.GradientTransformation:
    steps = -(-rows // config.batch_size) * config.epochs
    warmup = max(1, steps // 20)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, max(steps, warmup + 1))
    parts = [optax.clip_by_global_norm(1.0), optax.adam(schedule)]
    if config.layer_decay != 1:
        parts.append(decay_layers(config.layer_decay, config.depth))
    return optax.chain(*parts)


def _restore(task: Task, program: Program, checkpoints: Checkpoints) -> tuple[Program, RunState]:
    """The program and the state of the last checkpoint, on all devices; those of a new run if there is
    none."""
    layout, arrays = task.layout, program.arrays
    latest = checkpoints.latest() if layout.is_writer else None
    state = layout.broadcast_state(None if latest is None else latest[1])
    if state is None:
        state = RunState()
    else:
        for i in range(2):
            saved = layout.broadcast_arrays(None if latest is None else latest[0][i], named_arrays(arrays[i]))
            arrays[i] = _with_saved_arrays(arrays[i], saved)
    arrays, key, device = (layout.replicate(tree) for tree in (arrays, program.key, program.device))
    same = program.held_out is program.device
    held_out = device if same else layout.replicate(program.held_out)
    return replace(program, arrays=arrays, key=key, device=device, held_out=held_out), state


def _with_saved_arrays(state: Any, saved: dict) -> Any:
    try:
        return with_arrays(state, saved)
    except ValueError as error:
        raise ValueError(f"`out`: {error} Name another folder.") from None


def _finish(trainer: Trainer, baseline: dict[str, Any]) -> dict[str, Any]:
    """Test the best epoch, unless the run has no test, and write the last line."""
    best, writer, test = trainer.state.best, trainer.record.writer, trainer.task.dataset.test
    if not trainer.config.test:
        final = {f"validation_{name}": best[name] for name in ("accuracy", "loss")}
        final |= {"best_epoch": best["epoch"]}
        writer.finish(final | {"seconds": trainer.seconds})
        return final
    if best["checkpoint"] != trainer.state.checkpoint_id:
        trainer.load(best["checkpoint"])
    sums, of_rows = trainer.evaluate(test)
    final = mean_metrics("test", sums) | token_metrics("test", test, of_rows)
    is_class = test.labels.ndim == 1
    predictions = (
        {"labels": test.labels, "predicted": of_rows} if is_class else sum_by_document(test, of_rows)
    )
    if trainer.program.device is not None:
        exact_sums, exact = trainer.evaluate(test, exact=True)
        final["exact_test_accuracy"] = mean_metrics("test", exact_sums)["test_accuracy"]
        final |= {f"exact_{name}": value for name, value in token_metrics("test", test, exact).items()}
        predictions |= {} if is_class else {"exact_nats": sum_by_document(test, exact)["nats"]}
    final |= {"best_epoch": best["epoch"]} | baseline
    writer.finish(final | {"seconds": trainer.seconds}, predictions)
    return final


@contextmanager
def _explain_lost_process(config: Config) -> Iterator[None]:
    """Turn the error of a lost process into one that says how to go on."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        raise ConnectionError(
            f"another process of the run is gone ({str(error).splitlines()[0][:120]}); start all of them "
            "again, with "
            f"the same command and --out {config.out}: its last checkpoint is whole."
        ) from error
