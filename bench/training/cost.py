"""What a network costs: its parameters, and multiplications for one test row, from its options alone."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from flax import nnx

from bench.simulator.arithmetic import count_multiplications
from nets.config import OF_MULTIPLIER, Config, as_config, resolve
from nets.data import Dataset, Split
from nets.run import build_device, build_model, count_parameters


class Input(NamedTuple):
    """What a network has to know of its data: classes, pixels of an image, words without padding."""

    classes: int
    image: tuple[int, int] | None = None
    vocabulary: int | None = None


# Of the data sets whose networks classify; a vocabulary of None is that of the options.
INPUTS = {
    "digits": Input(10, (8, 8)),
    "fashion-mnist": Input(10, (28, 28)),
    "imdb": Input(2),
    "imdb-bytes": Input(2, vocabulary=257),
    "listops": Input(10, vocabulary=16),
    "pixels": Input(10, vocabulary=18),
}


class Cost(NamedTuple):
    """What a network costs.

    Attributes:
        parameters: that are trained, and `mixer_parameters` those of the layers that mix tokens.
        multiplications: of real numbers in electronics, for one test row of full length, forward.
        device_multiplications: that electronics would need for what a device computes of that row; None
            without a device.
    """

    parameters: int
    mixer_parameters: int
    multiplications: int
    device_multiplications: int | None


def count_cost(settings: dict[str, Any]) -> Cost | None:
    """The cost of the network that a run with these settings trains; None where this version has no such
    network.

    The network is traced with the shapes of its weights and of one row; no weight is drawn and no data set is
    read.
    """
    try:
        config = resolve(replace(as_config(settings), out=Path()))
    except ValueError:
        return None
    return _count(_without_training(config)) if config.data in INPUTS else None


def _without_training(config: Config) -> Config:
    """The options without those that change nothing of a forward pass, so that variants share one count."""
    own = Config()
    ignored = ("seed", "epochs", "batch_size", "accumulate", "learning_rate", "token_dropout")
    ignored += ("gradient", "unit", "units", "units_per_step", "objective", "level", "loss_bound", "patience")
    ignored += ("distortion", "init_from", "layer_decay", "best_by", "max_examples", "test")
    ignored += ("buckets", "validation_split")
    # Without a default of its own, as the network of a run without dropout has it.
    return replace(config, **{name: getattr(own, name) for name in ignored} | {"dropout": 0.0})


@lru_cache(maxsize=256)
def _count(config: Config) -> Cost:
    dataset = _empty_dataset(config)
    model = nnx.eval_shape(lambda: build_model(config, dataset, nnx.Rngs(0)))
    model.eval()
    graph, state = nnx.split(model)
    device = eqx.filter_eval_shape(lambda: build_device(config, **_exact_levels(config)))
    row = jax.ShapeDtypeStruct((1, *dataset.test.rows.shape[1:]), dataset.test.rows.dtype)
    counts = count_multiplications(
        lambda state, row, device: nnx.merge(graph, state)(row, device), (state, row), device
    )
    parameters = count_parameters(model)
    return Cost(
        parameters["all"],
        parameters["mixers"],
        counts.electronic,
        None if device is None else counts.device,
    )


def _exact_levels(config: Config) -> dict[str, str]:
    """Overrides that leave the optics of a device out, which take long to compile and change no count."""
    levels = {} if config.device == "none" else {"level": "ideal"}
    if config.products == "device" and config.multiplier != "convolutions":
        levels[f"{OF_MULTIPLIER}level"] = "ideal"
    return levels


def _empty_dataset(config: Config) -> Dataset:
    """A data set of the same sizes, of rows of zeros, one for each class."""
    inputs = INPUTS[config.data]
    if inputs.image is None:
        rows = np.zeros((inputs.classes, config.max_tokens), np.int32)
    else:
        rows = np.zeros((inputs.classes, *inputs.image), np.float32)
    split = Split(rows, np.arange(inputs.classes))
    vocabulary = None if inputs.image else inputs.vocabulary or config.vocabulary
    return Dataset(split, split, split, inputs.classes, inputs.image, vocabulary)
