"""A trained network with its data, to be tested on devices."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from nets.config import Config, bucket_lengths
from nets.data import Split, gathered, load, planned
from nets.run import _steps as steps
from nets.run._build import build_model
from nets.run._checkpoint import best, filled
from nets.run._loop import added, evaluation_size, metrics
from nets.run._resume import earlier


class Trained:
    """The network of the best epoch of a run, compiled once for all devices of one structure.

    Arguments:
        run: folder of the run.
        config: of the run.

    Raises:
        ValueError: no checkpoint in the folder, or other data than the network was trained on.
    """

    def __init__(self, run: Path, config: Config):
        before = earlier(config)
        self.config, self.dataset = config, load(config, before.tokenizer)
        before.same(self.dataset)
        self.model = build_model(config, self.dataset, nnx.Rngs(config.seed))
        nnx.update(self.model, filled(nnx.state(self.model), best(run)))
        self.model.eval()
        graph, self.state = nnx.split(self.model)
        self.compute = jax.jit(
            lambda state, batch, device, key: steps.sums(nnx.merge(graph, state), batch, device, key)
        )

    def split(self, name: str) -> Split:
        """The rows of "test" or "validation".

        Raises:
            ValueError: another name.
        """
        if name not in ("test", "validation"):
            raise ValueError(f"`split` must be test or validation, got {name!r}.")
        return getattr(self.dataset, name)

    def plan(self, split: str) -> list[np.ndarray]:
        """The rows of each batch that a split is read in."""
        return planned(self.split(split), evaluation_size(self.config), lengths=bucket_lengths(self.config))

    def on(
        self, device: Any, seed: int, split: str = "test", done: Callable[[], Any] = lambda: None
    ) -> tuple[dict[str, float], np.ndarray]:
        """Accuracy and loss on a device, and the class of each row.

        Arguments:
            device: computes the convolutions; None is the exact FFT.
            seed: of the device's noise.
            split: "test" or "validation".
            done: called after each batch.
        """
        root, found, plan = jax.random.key(seed), [], self.plan(split)
        for i, chosen in enumerate(plan):
            batch = gathered(
                self.split(split), chosen, evaluation_size(self.config), bucket_lengths(self.config)
            )
            found.append(jax.device_get(self.compute(self.state, batch, device, jax.random.fold_in(root, i))))
            done()
        total, predicted = added(plan, found)
        return {
            key.removeprefix("test_"): number for key, number in metrics("test", total).items()
        }, predicted
