"""Physical units of the device of a run: those that it trains on, others that it is validated on, and the
objective over them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nets.config import Config, check_memory
from nets.run._build import build_device
from optics._keys import split_key
from optics._typing import DeviceLike

# Units that validation and test are computed on, and how many share the rows of one batch.
HELD_OUT, HELD_OUT_PER_BATCH = 8, 4
# Folded into keys, so that units differ from the noise of a step.
POPULATION, CHOICE = 2**31 + 1, 2**31 + 2


def build_population(config: Config, keys: jax.Array) -> DeviceLike:
    """Physical units of the device of a run, drawn in one compilation.

    Arguments:
        config: a resolved configuration, of a device.
        keys: one for each unit, shape (units,).

    Returns:
        the devices as one pytree, whose leaves have a first axis of units.

    Raises:
        ValueError: a device of which no unit differs from another, or more units than memory holds.
    """
    # Traced lenses are not kept on disk.
    nominal = replace(config, unit=None, cache=None)

    def draw(key):
        return build_device(nominal, key)

    shapes = jax.tree.leaves(jax.eval_shape(draw, keys[0]))
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in shapes)
    check_memory("units", len(keys), len(keys) * size, "the devices")
    return jax.jit(jax.vmap(draw))(keys)


def draw_units(config: Config) -> tuple[DeviceLike, DeviceLike]:
    """The units that a run trains on, and those that it is validated and tested on.

    They differ from each other, and from the units that `python -m nets.evaluate --units` draws.

    Arguments:
        config: a resolved configuration with `units`.
    """
    key = jax.random.fold_in(jax.random.key(config.seed), POPULATION)
    units = build_population(config, split_key(key, HELD_OUT + config.units))
    held_out, trained = (
        jax.tree.map(lambda leaf, part=part: leaf[part], units)
        for part in (slice(HELD_OUT), slice(HELD_OUT, None))
    )
    return trained, held_out


def first_unit(config: Config, device: DeviceLike) -> DeviceLike:
    """One device of a run: the first unit that it trains on, or its only device."""
    return device if config.units is None else jax.tree.map(lambda leaf: leaf[0], device)


def choose_units(units: DeviceLike, key: jax.Array, count: int) -> DeviceLike:
    """The units of one step, all different, chosen by the key of the step.

    Arguments:
        units: as `build_population` draws them.
        key: of the step.
        count: of units, at most all.
    """
    total = jax.tree.leaves(units)[0].shape[0]
    chosen = jax.random.choice(jax.random.fold_in(key, CHOICE), total, (count,), replace=False)
    return jax.tree.map(lambda leaf: leaf[chosen], units)


def next_units(units: DeviceLike, number: Any, count: int) -> DeviceLike:
    """The units of batch `number` of an evaluation: one after another, and the first again after the last."""
    total = jax.tree.leaves(units)[0].shape[0]
    first = 0 if number is None else number * count
    chosen = (first + jnp.arange(count)) % total
    return jax.tree.map(lambda leaf: leaf[chosen], units)


def sums_of_units(
    loss_sums: Callable, model: nnx.Module, batch: tuple, units: DeviceLike, key: jax.Array, divide: bool
) -> tuple[jax.Array, jax.Array]:
    """Loss, correct labels and labels of each unit, shape (units, 3), and the second result of `loss_sums`.

    Arguments:
        loss_sums: (model, batch, device, key) -> sums, a result of each row.
        model: its batch statistics become the mean over the units.
        batch: arrays with a first axis of rows.
        units: as `choose_units` gives them.
        key: of noise and dropout, other ones on each unit.
        divide: each unit computes its share of the rows; else each computes all of them.
    """
    count = jax.tree.leaves(units)[0].shape[0]
    if count == 1:
        unit = jax.tree.map(lambda leaf: leaf[0], units)
        sums, of_rows = loss_sums(model, batch, unit, split_key(key, 1)[0])
        return sums[None], of_rows
    graph, weights, statistics = nnx.split(model, nnx.Param, ...)
    if divide:
        batch = jax.tree.map(lambda a: a.reshape(count, -1, *a.shape[1:]), batch)

    def on_unit(case):
        unit, key, part = case
        copy = nnx.merge(graph, weights, statistics, copy=True)
        sums, of_rows = loss_sums(copy, part if divide else batch, unit, key)
        return sums, of_rows, nnx.split(copy, nnx.Param, ...)[2]

    # One after another: under `vmap` the noise of a step of `engine11` takes ten times as long on a CPU.
    cases = units, split_key(key, count), batch if divide else None
    sums, of_rows, statistics = jax.lax.map(on_unit, cases)
    nnx.update(model, jax.tree.map(lambda leaf: leaf.mean(0).astype(leaf.dtype), statistics))
    return sums, of_rows.reshape(-1, *of_rows.shape[2:]) if divide else of_rows[0]


def parts_of_units(
    over_units: "Objective | None", batch: tuple, device: DeviceLike, key: jax.Array
) -> Iterator[tuple[tuple, DeviceLike, jax.Array]]:
    """The rows, the device and the key of each unit of a step, as `choose_units` and `sums_of_units` choose
    them; those of the step itself without units.
    """
    if over_units is None:
        yield batch, device, key
        return
    count, units = over_units.count, choose_units(device, key, over_units.count)
    rows = len(batch[0]) // count if over_units.divide else 0
    for i, unit_key in enumerate(split_key(key, count)):
        part = tuple(a[i * rows : (i + 1) * rows] for a in batch) if rows else batch
        yield part, jax.tree.map(lambda leaf, i=i: leaf[i], units), unit_key


@dataclass(frozen=True)
class Objective:
    """What a step minimises over its units, of their mean losses.

        mean        1/K Σ_k l_k
        quantile    mean of the largest ⌈(1 − level) K⌉ of l_k, the conditional value at risk
        chance      1/K Σ_k l_k + max(0, q − bound),   q = the level-quantile of l_k

    With "chance" the constraint P(l ≤ bound) ≥ level is a penalty, zero where it holds for the units of the
    step.

    Arguments:
        count: K, the units of a step.
        kind: "mean", "quantile" or "chance".
        level: in [0, 1).
        bound: of the loss, in nats.

    Source: R. T. Rockafellar and S. Uryasev, J. Risk 2, 21 (2000), for the conditional value at risk;
    X. Chen et al., arXiv:2604.04330 (2026), who train photonic transformers with a chance constraint, on
    margins between logits.
    """

    count: int = 1
    kind: str = "mean"
    level: float = 0.75
    bound: float = 0.1

    @property
    def divide(self) -> bool:
        """Whether the units share the rows of a batch.

        Units that are compared with each other compute the same rows; the mean needs no comparison.
        """
        return self.kind == "mean"

    def __call__(self, losses: jax.Array) -> jax.Array:
        """The objective of the mean losses of the units, shape (units,), in nats."""
        if self.kind == "mean":
            return losses.mean()
        if self.kind == "chance":
            return losses.mean() + jnp.maximum(jnp.quantile(losses, self.level) - self.bound, 0)
        # A share such as 0.75 of 4 is not to become 2 by rounding.
        count = max(1, math.ceil((1 - self.level) * losses.size - 1e-9))
        return jnp.sort(losses)[-count:].mean()

    def of_sums(self, sums: jax.Array) -> jax.Array:
        """The objective times the labels, of the sums of loss, correct labels and labels of the units, shape
        (units, 3).
        """
        if self.kind == "mean":
            return sums[:, 0].sum()  # units whose share is all padding have no mean
        count = sums[0, 2]
        return self(sums[:, 0] / jnp.maximum(count, 1)) * count


def make_objective(config: Config) -> Objective | None:
    """The objective of a run over its units; None for a run on one device."""
    if config.units is None:
        return None
    return Objective(config.units_per_step, config.objective, config.level, config.loss_bound)
