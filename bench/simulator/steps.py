"""Training steps of networks, as functions of the device and its key."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from tqdm.auto import tqdm

from bench.config import Options
from bench.output import Rows
from bench.simulator.timing import time_ratio
from nets.config import Config, resolve
from nets.data import Dataset, Split
from nets.run import build_model, compile_steps, seed_rngs
from optics import AbstractDevice


def measure_training_steps(options: Options, device: AbstractDevice) -> Rows:
    """Training steps of classifiers as ratios: on the noisy device, with the exact FFT, of the linear one."""
    depth, heads, tokens, repeats = (1, 2, 32, 2) if options.quick else (6, 8, 1024, 7)
    key, cases = jax.random.key(options.seed), []
    for length in (16,) if options.quick else (32, 128):
        base = Config(
            data="imdb", depth=depth, heads=heads, max_tokens=length, batch_size=tokens // length, dropout=0.0
        )
        linear, _ = compile_classifier(
            replace(base, model="linear", shape=(121,), device="none"), options.seed
        )
        (literal, _), (spectral, _) = (
            compile_classifier(replace(base, model="conv2d", shape=device.shape, spectral=flag), options.seed)
            for flag in (False, True)
        )
        lambdas, _ = compile_classifier(replace(base, model="lambda"), options.seed)
        fourier, _ = compile_classifier(replace(base, model="fourier", shape=device.shape), options.seed)
        noisy, exact = (device, key), (None, None)
        cases += [
            (length, "spectral, noisy device", spectral, noisy, "linear wide", linear, exact),
            (length, "literal, noisy device", literal, noisy, "literal, exact FFT", literal, exact),
            (length, "spectral, exact FFT", spectral, exact, "linear wide", linear, exact),
        ]
    # The others are measured at the last length, which is the longest.
    cases += [
        (length, "lambdas, exact FFT", lambdas, exact, "linear wide", linear, exact),
        (length, "lambdas, noisy device", lambdas, noisy, "lambdas, exact FFT", lambdas, exact),
        (length, "Fourier mixing, noisy device", fourier, noisy, "Fourier mixing, exact FFT", fourier, exact),
    ]
    if options.quick:
        cases = cases[:1]
    rows = []
    for length, name, step, arguments, against, other_step, other_arguments in tqdm(
        cases, desc="training steps", unit=" cases", leave=False
    ):
        operation = f"training step, {depth} blocks, {heads} heads, {tokens // length} × {length} tokens"
        rows.append(
            {
                "operation": operation,
                "what": name,
                "against": against,
                **time_ratio(step, arguments, other_step, other_arguments, repeats),
            }
        )
    return rows


def compile_classifier(config: Config, seed: int) -> tuple[Callable, Callable]:
    """The first training step and evaluation of `python -m nets.train`, on a batch full of tokens.

    Returns:
        two functions (device, key) -> result.
    """
    config = resolve(replace(config, seed=seed))
    batch = full_batch(config)
    model_and_optimizer = new_classifier(config, batch)
    step, evaluate = compile_steps(*model_and_optimizer)
    state = nnx.state(model_and_optimizer)

    def bind(function):
        return lambda device, key: function(
            state, batch, device, jax.random.key(seed) if key is None else key
        )

    return bind(step), bind(evaluate)


def full_batch(config: Config) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Rows of random tokens without padding, random labels, and weights of 1."""
    rng = np.random.default_rng(config.seed)
    rows, labels = (
        rng.integers(1, 1000, (config.batch_size, config.max_tokens)),
        rng.integers(0, 2, config.batch_size),
    )
    return jnp.asarray(rows), jnp.asarray(labels), jnp.ones(config.batch_size)


def new_classifier(config: Config, batch: tuple) -> tuple[nnx.Module, nnx.Optimizer]:
    """The classifier of a vocabulary of 1,000 tokens, and its optimizer."""
    split = Split(np.asarray(batch[0]), np.asarray(batch[1]))
    model = build_model(
        config, Dataset(split, split, split, classes=2, vocabulary=1000), seed_rngs(config.seed)
    )
    return model, nnx.Optimizer(model, optax.adam(config.learning_rate), wrt=nnx.Param)
