"""How often a network takes each kind of exposure, by what its loss gains from it."""

import math

import jax
from flax import nnx

import optics
from nets._check import check_module
from nets.run._steps import loss_sums
from optics._check import check_given_key, check_number
from optics._typing import DeviceLike, KeyLike, PartLike, ScalarLike

# Averages that the sensitivities are measured with.
TRIAL = 4
KINDS = ("inputs", "kernels", "products")


def choose_exposures(
    model: PartLike, batch: tuple, device: DeviceLike, factor: ScalarLike, key: KeyLike
) -> optics.Averaged:
    """A device that repeats the exposures from which the loss of a network gains most.

        minimise Σ_i s_i / K_i  with  Σ_i c_i K_i ≤ factor · Σ_i c_i:   K_i = max(1, ⌊λ √(s_i / c_i)⌋)

    i are the transforms of inputs, of kernels and of products. c_i is their number in the batch, as
    `optics.accounting.count` finds it, and s_i the part of the loss that goes when their noise is averaged,
    4/3 of what four exposures save. λ is the largest that the exposures allow.

    Arguments:
        model: trained, called as model(rows, device, key).
        batch: rows, labels and weights, as `nets.data.make_batch` makes them. A kernel is exposed once for a
            batch: its size matters.
        device: a Fourier engine.
        factor: exposures that may be taken, over those without averaging, at least 1.
        key: of the noise, consumed; each trial draws the same.

    Returns:
        the device with averages; 1 of each where the loss gains nothing.

    Raises:
        ValueError: no network, no key, a `factor` below 1, or a device that `optics.Averaged` refuses.
    """
    check_module("model", model, "`nets.run.load(folder).model`")
    check_given_key("key", key)
    check_number("factor", factor, 1.0)
    trials = {kind: optics.Averaged(device, **{kind: TRIAL}) for kind in KINDS}
    once = optics.Averaged(device)
    graph, state = nnx.split(model)
    numbers = {kind: _exposures(model, batch, trial) for kind, trial in trials.items()}
    in_all = _exposures(model, batch, once)
    numbers = {kind: (number - in_all) / (TRIAL - 1) for kind, number in numbers.items()}

    @jax.jit
    def loss(state, device):
        sums = loss_sums(nnx.merge(graph, state), batch, device, key)[0]
        return sums[0] / sums[2]

    before = float(loss(state, once))
    saved = {kind: before - float(loss(state, trial)) for kind, trial in trials.items()}
    weights = {
        kind: math.sqrt(max(saved[kind], 0.0) * TRIAL / (TRIAL - 1) / numbers[kind]) if numbers[kind] else 0.0
        for kind in KINDS
    }
    return optics.Averaged(device, **_largest(weights, numbers, factor * in_all))


def _exposures(model: nnx.Module, batch: tuple, device: optics.Averaged) -> int:
    return optics.accounting.count(lambda device, key: model(batch[0], device, key), device).exposures


def _largest(weights: dict[str, float], numbers: dict[str, float], most: float) -> dict[str, int]:
    """K_i = max(1, ⌊λ w_i⌋) with the largest λ of which Σ c_i K_i is at most `most`."""

    def counts(scale: float) -> dict[str, int]:
        return {kind: min(max(1, math.floor(scale * weight)), 2**16) for kind, weight in weights.items()}

    def fits(scale: float) -> bool:
        return sum(numbers[kind] * count for kind, count in counts(scale).items()) <= most * (1 + 1e-9)

    low, high = 0.0, 2**17 / max(*weights.values(), 1e-30)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return counts(low)
