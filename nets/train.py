"""Training, as a function and as a command: python -m nets.train"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from nets.config import Config, as_json, resolve


def fit(config: Config) -> dict[str, Any]:
    """Train one network and write its run folder.

    Arguments:
        config: the run; None fields take the defaults of the data set.

    Returns:
        the last line of metrics.jsonl: test accuracy and loss, and the baseline where there is one.

    Raises:
        ValueError: a field that no run can have, or data that cannot be read, before anything is written.
        FloatingPointError: the loss stopped being finite; what was recorded until then stays.
    """
    import jax
    import numpy as np
    import optax
    from flax import nnx
    from tqdm.auto import tqdm

    from nets import data, record
    from nets.build import build_device, build_model

    config = resolve(config)
    device = build_device(config)
    start = time.perf_counter()
    dataset = data.load(config)
    model = build_model(config, dataset, nnx.Rngs(config.seed))
    steps = -(-len(dataset.train.labels) // config.batch_size)
    total = steps * config.epochs
    warmup = max(1, total // 20)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, max(total, warmup + 1))
    optimizer = nnx.Optimizer(model, optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule)), wrt=nnx.Param)
    step, evaluate = compile_steps(model, optimizer)
    state = nnx.state((model, optimizer))
    # Not the key that the initial weights were drawn from.
    root = jax.random.fold_in(jax.random.key(config.seed), 2**31)
    shuffle = np.random.default_rng(config.seed)

    # What the network cannot take is refused by its shapes, before a folder is made.
    jax.eval_shape(evaluate, state, next(iter(data.batches(dataset.test, config.batch_size))), device, root)
    run = record.Run(config, as_json(config), dataset.files)
    often = max(1, total // 50)
    done = 0  # not the bar's count, which stands still when the bar is off
    with tqdm(total=total, desc="training", unit=" steps", disable=not config.progress, miniters=10, mininterval=1) as bar:
        for epoch in range(1, config.epochs + 1):
            seen, lately = np.zeros(3), np.zeros(3)
            for batch in data.batches(dataset.train, config.batch_size, shuffle.permutation(len(dataset.train.labels))):
                state, sums = step(state, batch, device, jax.random.fold_in(root, done))
                lately += np.asarray(sums)
                done += 1
                bar.update()
                if not np.isfinite(lately[0]):
                    raise FloatingPointError(
                        f"the loss stopped being finite at step {done}; lower `learning_rate` ({config.learning_rate:g})."
                    )
                if done % often == 0 or done % steps == 0:
                    run.log({"step": done, **_metrics("train", lately)})
                    bar.set_postfix(loss=f"{lately[0] / lately[2]:.3f}", accuracy=f"{lately[1] / lately[2]:.3f}")
                    seen, lately = seen + lately, np.zeros(3)
            line = {"epoch": epoch, "step": done, **_metrics("train", seen)}
            line |= _metrics("validation", _totals(evaluate, state, dataset.validation, config, device, root))
            run.log(line | {"seconds": time.perf_counter() - start})
            bar.write(f"epoch {epoch}: " + ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in line.items() if isinstance(v, float)))
    final = _metrics("test", _totals(evaluate, state, dataset.test, config, device, root)) | dataset.baseline
    nnx.update((model, optimizer), state)
    run.finish(final | {"seconds": time.perf_counter() - start}, nnx.state(model))
    return final


def compile_steps(model: Any, optimizer: Any) -> tuple[Callable, Callable]:
    """The training step and the evaluation of one batch, as compiled functions of the state.

    Arguments:
        model, optimizer: as they are to start.

    Returns:
        step: (state, batch, device, key) -> state and sums of loss, right answers and rows.
        evaluate: (state, batch, device, key) -> sums; no dropout, statistics as they are.
    """
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    def sums(model, batch, device, key):
        rows, labels, weights = batch
        logits = model(rows, device, key)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        right = (logits.argmax(-1) == labels) * weights
        return jnp.stack([(losses * weights).sum(), right.sum(), weights.sum()])

    graph = nnx.graphdef((model, optimizer))
    model.eval()
    still = nnx.graphdef((model, optimizer))
    model.train()

    @jax.jit
    def step(state, batch, device, key):
        model, optimizer = nnx.merge(graph, state)

        def loss(model):
            found = sums(model, batch, device, key)
            return found[0] / found[2], found

        gradients, found = nnx.grad(loss, has_aux=True)(model)
        optimizer.update(model, gradients)
        return nnx.state((model, optimizer)), found

    @jax.jit
    def evaluate(state, batch, device, key):
        return sums(nnx.merge(still, state)[0], batch, device, key)

    return step, evaluate


def _totals(evaluate: Callable, state: Any, split: Any, config: Config, device: Any, root: Any) -> Any:
    """Sums of loss, right answers and rows over a split; the device's noise is the same at every evaluation."""
    import jax
    import numpy as np
    from tqdm.auto import tqdm

    from nets.data import batches

    total = np.zeros(3)
    key = jax.random.fold_in(root, 2**31)  # no step comes this far
    size = 4 * config.batch_size
    count = -(-len(split.labels) // size)
    rounds = tqdm(batches(split, size), total=count, desc="evaluating", unit=" batches", leave=False, disable=not config.progress)
    for i, batch in enumerate(rounds):
        total += np.asarray(evaluate(state, batch, device, jax.random.fold_in(key, i)))
    return total


def _metrics(name: str, sums: Any) -> dict[str, float]:
    return {f"{name}_loss": float(sums[0] / sums[2]), f"{name}_accuracy": float(sums[1] / sums[2])}


def main(arguments: list[str] | None = None) -> int:
    """The command line; bad input is one line on standard error and exit status 2."""
    import tyro

    config = tyro.cli(Config, args=arguments, prog="python -m nets.train")
    try:
        final = fit(config)
    except (ValueError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(final))
    return 0


if __name__ == "__main__":
    sys.exit(main())
