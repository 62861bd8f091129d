"""Training, as a function and as a command: python -m nets.train"""

import json
import os
import sys
import time
from contextlib import closing
from typing import Any

from nets.config import CACHE, Config, resolve


def fit(config: Config) -> dict[str, Any]:
    """Train one network and write its run folder; a run that lies in the folder is continued, bit by bit as if it had not ended.

    The network of the epoch with the best validation accuracy is the one that is tested, once, at the end.

    Arguments:
        config: the run; None fields take the defaults of the data set.

    Returns:
        the last line of metrics.jsonl: test accuracy and loss, or those of the validation without a test, the epoch they are
        of, and the baseline where there is one.

    Raises:
        ValueError: a field that no run can have, a folder with another run or a damaged one, or data that cannot be read,
            before anything is written.
        FloatingPointError: a number stopped being finite; what was recorded and saved until then stays.
        OSError: the folder cannot be written to any more, or another process of the run is gone; what was saved until then
            stays.
        KeyboardInterrupt: the process was told to stop; everything is saved.
    """
    import jax

    from nets.run._environment import kept_programs

    config = resolve(config)
    try:
        with kept_programs(config.cache):
            return _fit(config)
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        raise ConnectionError(
            f"another process of the run is gone ({str(error).splitlines()[0][:120]}); start all of them again, with the same "
            f"command and --out {config.out}: its last checkpoint is whole."
        ) from error


def _fit(config: Config) -> dict[str, Any]:
    import jax
    import optax
    from flax import nnx

    from nets.run import _distribute as distribute

    distribute.join(config)  # before anything is computed

    from nets import data
    from nets.run import _resume as resume
    from nets.run._build import build_device, build_model, parameters
    from nets.run._checkpoint import Checkpoints, Progress, filled, named
    from nets.run._environment import board_writer
    from nets.run._folder import Run
    from nets.run._loop import Loop, metrics
    from nets.run._steps import compile_steps

    layout = distribute.layout(config)
    before = resume.earlier(config)
    if before.result is not None:
        print(f"the run in {config.out} is finished; name another folder to start one", file=sys.stderr)
        return before.result
    writer = board_writer() if config.tensorboard else None
    device = build_device(config)
    start = time.perf_counter()
    dataset = data.load(config, before.tokenizer)
    about = before.same(dataset)
    model = build_model(config, dataset, nnx.Rngs(config.seed))
    if config.start is not None:
        resume.start_from(config.start, model, config, dataset)
    total = -(-len(dataset.train.labels) // config.batch_size) * config.epochs
    warmup = max(1, total // 20)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, max(total, warmup + 1))
    optimizer = nnx.Optimizer(
        model, optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule)), wrt=nnx.Param
    )
    step, evaluate = compile_steps(model, optimizer, layout.mesh, config.accumulate)
    state = nnx.state((model, optimizer))
    # Not the key that the initial weights were drawn from.
    root = jax.random.fold_in(jax.random.key(config.seed), 2**31)

    # What the network cannot take is refused by its shapes, before a folder is made.
    jax.eval_shape(
        evaluate, state, next(iter(data.batches(dataset.validation, config.batch_size))), device, root
    )
    layout.meet("before anything is written")
    about |= {"parameters": parameters(model), "shards": layout.shards}
    run = Run(config, about, dataset.files, layout.writer)
    with closing(run), closing(Checkpoints(config.out, layout.writer)) as saved:
        found = saved.latest() if layout.writer else None
        progress = layout.position(None if found is None else found[1])
        if progress is None:
            progress = Progress()
        else:
            for i in range(2):
                state[i] = filled(
                    state[i], layout.arrays(None if found is None else found[0][i], named(state[i]))
                )
            if layout.writer:
                print(f"continuing {config.out} at step {progress.step}", file=sys.stderr)
            before.warn(layout.shards)
        run.cut(progress.lines)
        run.show(writer, progress.step)
        state, root, device = (layout.everywhere(tree) for tree in (state, root, device))
        loop = Loop(
            config, dataset, model, step, evaluate, state, device, root, run, saved, progress, layout, start
        )
        loop.train()
        best = progress.best
        if not config.test:
            final = {f"validation_{name}": best[name] for name in ("accuracy", "loss")} | {
                "best_epoch": best["epoch"]
            }
            run.finish(final | {"seconds": loop.seconds})
            return final
        if best["checkpoint"] != progress.number:
            arrays = saved.read(best["checkpoint"])[0][0] if layout.writer else None
            loop.state[0] = layout.everywhere(
                filled(loop.state[0], layout.arrays(arrays, named(loop.state[0])))
            )
        sums, predicted = loop.totals(dataset.test)
        final = metrics("test", sums) | {"best_epoch": best["epoch"]} | about["baseline"]
        run.finish(final | {"seconds": loop.seconds}, dataset.test.labels, predicted)
    return final


def main(arguments: list[str] | None = None) -> int:
    """The command line; what goes wrong is one line on standard error and exit status 2, or 130 where it was told to stop."""
    import tyro

    config = tyro.cli(Config, args=arguments, default=Config(cache=CACHE), prog="python -m nets.train")
    try:
        final = fit(config)
    except (ValueError, FloatingPointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as told:
        print(
            f"stopped: {told.args[0] if told.args else 'nothing was saved since the last checkpoint'}",
            file=sys.stderr,
        )
        return 130
    print(json.dumps(final))
    return 0


if __name__ == "__main__":
    status = main()
    if status and "jax" in sys.modules and sys.modules["jax"].process_count() > 1:
        # An orderly end would wait for the other processes, which may be waiting for this one.
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
