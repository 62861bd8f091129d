"""A trained network with its data, read from the folder of its run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from nets import data
from nets.config import Config, bucket_lengths
from nets.run._build import build_model, seed_rngs
from nets.run._checkpoint import load_weights
from nets.run._environment import usual_promotion
from nets.run._folder import RunFolder
from nets.run._sizes import check_sizes
from nets.run._steps import loss_sums
from nets.run._tokens import token_metrics
from nets.run._trainer import add_sums, evaluation_size, mean_metrics
from optics._keys import fold_key
from optics._typing import DeviceLike


class TrainedNetwork:
    """The network of the best epoch of a run, ready for any device; `load` makes one.

    Arguments:
        config: of the run.
        dataset: its data.
        model: its network, in evaluation mode.
    """

    def __init__(self, config: Config, dataset: data.Dataset, model: nnx.Module):
        self.config, self.dataset, self.model = config, dataset, model
        graph, self.state = nnx.split(model)
        # Compiled once for all devices of the same structure.
        self.evaluate_batch = jax.jit(
            lambda state, batch, device, key: loss_sums(nnx.merge(graph, state), batch, device, key)
        )

    def split(self, name: str) -> data.Split:
        """The rows of "test" or "validation".

        Raises:
            ValueError: another name.
        """
        if name not in ("test", "validation"):
            raise ValueError(f"`split` must be test or validation, got {name!r}.")
        return getattr(self.dataset, name)

    def plan(self, split: str) -> list[np.ndarray]:
        """The row indices of each batch of a split."""
        return data.plan_batches(
            self.split(split), evaluation_size(self.config), lengths=bucket_lengths(self.config)
        )

    def evaluate(
        self,
        device: DeviceLike,
        seed: int,
        split: str = "test",
        after_batch: Callable[[], Any] = lambda: None,
    ) -> tuple[dict[str, float], np.ndarray]:
        """Accuracy and loss on a device, for tokens also perplexity and bits a byte; and the predicted class
        of each row, or the loss of each token.

        Arguments:
            device: computes what the network gives to a device; None is exact.
            seed: of the noise of the device.
            split: "test" or "validation".
            after_batch: called after each batch.
        """
        key, plan, results = jax.random.key(seed), self.plan(split), []
        size, lengths = evaluation_size(self.config), bucket_lengths(self.config)
        for i, indices in enumerate(plan):
            batch = data.make_batch(self.split(split), indices, size, lengths)
            result = self.evaluate_batch(self.state, batch, device, fold_key(key, i))
            results.append(jax.device_get(result))
            after_batch()
        sums, of_rows = zip(*results, strict=True)
        sums, of_rows = add_sums(sums), data.merge_batches(plan, of_rows)
        metrics = mean_metrics(split, sums) | token_metrics(split, self.split(split), of_rows)
        metrics = {name.removeprefix(f"{split}_"): value for name, value in metrics.items()}
        return metrics, of_rows


@usual_promotion()
def load(folder: Path | str, products: str | None = None) -> TrainedNetwork:
    """Read the network of the best epoch of a run, and its data.

    Arguments:
        folder: of the run.
        products: "electronic" or "device", where the network multiplies matrices; None is as in training.

    Returns:
        `config`, `dataset` and `model` of the run; `evaluate` tests the model on a device.

    Raises:
        ValueError: no run or no checkpoint in the folder, the data are missing or have changed, or
            `products` that its layers refuse.
    """
    run = RunFolder(Path(folder))
    config = run.config()
    dataset = data.load(config, run.tokenizer())
    run.check_data(dataset)
    check_sizes(config, dataset)
    if products not in (None, config.products):
        multiplier = config.multiplier if products == "device" else None
        config = replace(config, products=products, multiplier=multiplier)
    model = build_model(config, dataset, seed_rngs(config.seed))
    load_weights(model, run.path)
    model.eval()
    return TrainedNetwork(config, dataset, model)
