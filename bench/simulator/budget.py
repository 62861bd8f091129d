"""The error budget: what each nonideality costs alone, and what would be gained without it."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact
from tqdm.auto import tqdm

import optics
from bench import output as results
from optics import AbstractDevice
from optics.effects import Effect


class Switched(Effect):
    """An effect that can be switched off in a compiled program.

    Arguments:
        effect: that keeps the shape of its value.
        on: scalar, true or false.
    """

    effect: Effect
    on: Array

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        return jnp.where(self.on, self.effect(value, key), value)


def effect_places(device: AbstractDevice) -> list[tuple[str, int]]:
    """(stage, number) of every effect of a device."""
    return [(stage.name, i) for stage in device.stages() for i in range(len(stage.effects))]


def switch_effects(device: AbstractDevice, on: Array) -> AbstractDevice:
    """The device with its effects, in the order of `effect_places`, on or off."""
    flags = iter(on)
    chains = {
        stage.name: [Switched(effect, next(flags)) for effect in stage.effects] for stage in device.stages()
    }
    # The unmodulated background depends on the effects, so measure it again.
    return device.with_stages(**chains).subtract_background()


def without_effects(device: AbstractDevice) -> AbstractDevice:
    """The device with its transfer alone."""
    return device.with_stages(**{stage.name: () for stage in device.stages()}).subtract_background()


def budget(call: Callable, device: Any, exact: np.ndarray, shots: jax.Array) -> results.Rows:
    """Relative RMS error of one shot, a common factor taken out: optics alone, each effect beside it, without each, and all.

        explained = √(optics² + Σ (alone² − optics²))

    Independent errors add in quadrature; the square root of the sum is to be compared with the total. What is missing is
    what effects do to one another: noise dithers a converter, saturation cuts noise off. All of it is one compilation.

    Arguments:
        call: (device, key) -> the result.
        device: all of it.
        exact: the exact result.
        shots: keys, over whose errors the mean square is taken.
    """
    every = effect_places(device)
    chains = {stage.name: stage.effects for stage in device.stages()}
    scale = np.mean(np.abs(exact) ** 2)
    program = eqx.filter_jit(lambda device, on, key: call(switch_effects(device, on), key))

    def error(kept: list[tuple[str, int]]) -> float:
        squares = []
        on = jnp.asarray([part in kept for part in every])
        for key in shots:
            found = np.asarray(program(device, on, key))
            # A gain set for all the effects is not that of a few, and one common factor is what any bench sets first.
            found = found / (np.vdot(exact, found).real / np.vdot(exact, exact).real)
            squares.append(np.mean(np.abs(found - exact) ** 2))
        return float(np.sqrt(np.mean(squares) / scale))

    rows, bare = [], error([])
    rows.append({"condition": "optics alone", "relative_rms_error": bare})
    squares = bare**2
    for stage, i in tqdm(every, desc="error budget", unit=" effects", leave=False):
        name = f"{stage} {type(chains[stage][i]).__name__}"
        alone, without = error([(stage, i)]), error([part for part in every if part != (stage, i)])
        rows.append({"condition": name, "relative_rms_error": alone, "without": without})
        squares += max(alone**2 - bare**2, 0.0)
    rows.append(
        {"condition": "all", "relative_rms_error": error(every), "explained": float(np.sqrt(squares))}
    )
    return [{"sweep": "budget", **row} for row in rows]
