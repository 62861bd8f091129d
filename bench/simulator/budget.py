"""The error budget: the error that each nonideality makes alone, and the error that is left without it."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact
from tqdm.auto import tqdm

from bench.output import Rows
from optics import AbstractDevice, Correlator, FourierProcessor
from optics.effects import Effect
from optics.encode import Predistorted
from optics.metrics import best_factor, relative_error

Place = tuple[str, int]  # name of a stage, number of an effect in it


class Switched(Effect):
    """An effect that can be switched off in a compiled program.

    Arguments:
        effect: one that keeps the shape of its value, or divides its pixels.
        on: scalar, true or false.
    """

    effect: Effect
    on: Array

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        changed = self.effect(value, key)
        # An effect may give the sub-pixels of each pixel.
        for axis in (-2, -1):
            value = jnp.repeat(value, changed.shape[axis] // value.shape[axis], axis=axis)
        return jnp.where(self.on, changed, value)

    def laser_power(
        self, key: Array, shape: tuple[int, ...], dtype: np.dtype
    ) -> Float[Array, "*shape"] | None:
        power = self.effect.laser_power(key, shape, dtype)
        return None if power is None else jnp.where(self.on, power, 1)


def effect_places(device: AbstractDevice) -> list[Place]:
    """(stage, number) of every effect of a device."""
    return [(stage.name, i) for stage in device.stages() for i in range(len(stage.effects))]


def switch_effects(device: AbstractDevice, on: Array) -> AbstractDevice:
    """The device with its effects, in the order of `effect_places`, on or off."""
    flags = iter(on)
    chains = {
        stage.name: [Switched(effect, next(flags)) for effect in stage.effects] for stage in device.stages()
    }
    device = _switch_drives(device, chains)
    # The unmodulated background depends on the effects, so measure it again.
    return device.with_stages(**chains).subtract_background()


def without_effects(device: AbstractDevice) -> AbstractDevice:
    """The device with its transfer alone."""
    chains: dict[str, list[Switched]] = {stage.name: [] for stage in device.stages()}
    return _switch_drives(device, chains).with_stages(**chains).subtract_background()


def _switch_drives(device: AbstractDevice, chains: dict[str, list[Switched]]) -> AbstractDevice:
    """The device whose drives allow for those effects alone that its modulator has."""
    if not isinstance(device, FourierProcessor | Correlator) or not isinstance(device.encoder, Predistorted):
        return device
    encoder = device.encoder
    switched = {type(effect.effect): effect.on for effect in chains["slm"]}
    if not any(type(effect) in switched for effect in encoder.modulator):
        return eqx.tree_at(lambda d: d.encoder, device, encoder.encoder)
    known = tuple(
        Switched(effect, switched.get(type(effect), jnp.asarray(False))) for effect in encoder.modulator
    )
    return eqx.tree_at(lambda d: d.encoder.modulator, device, known)


def budget(call: Callable, device: AbstractDevice, exact: np.ndarray, shots: jax.Array) -> Rows:
    """Relative RMS error of one draw: of the optics alone, with each effect, without each, and with all.

        explained = √(optics² + Σ (alone² − optics²))

    Independent errors add in quadrature; compare this root with the total. The difference is the effect of
    effects on one another: noise dithers a converter, saturation cuts noise off. All of it is one
    compilation.

    A gain that was set for all effects does not suit a few of them, and every bench sets one common factor
    first: errors are those after the best one.

    Arguments:
        call: (device, key) -> the result.
        device: with all its effects.
        exact: the exact result.
        shots: keys, over whose errors the mean square is taken.

    Returns:
        a row for the optics alone, one for each effect, with the error "without" it, and one for all effects.
    """
    places = effect_places(device)
    chains = {stage.name: stage.effects for stage in device.stages()}
    program = eqx.filter_jit(lambda device, on, key: call(switch_effects(device, on), key))

    def error_with(kept: list[Place]) -> float:
        on = jnp.asarray([place in kept for place in places])
        errors = []
        for key in shots:
            result = np.asarray(program(device, on, key))
            errors.append(relative_error(best_factor(result, exact).real * result, exact))
        return float(np.sqrt(np.mean(np.square(errors))))

    bare = error_with([])
    rows = [{"condition": "optics alone", "relative_rms_error": bare}]
    square = bare**2
    for stage, i in tqdm(places, desc="error budget", unit=" effects", leave=False):
        name = f"{stage} {type(chains[stage][i]).__name__}"
        alone = error_with([(stage, i)])
        without = error_with([place for place in places if place != (stage, i)])
        rows.append({"condition": name, "relative_rms_error": alone, "without": without})
        square += max(alone**2 - bare**2, 0.0)
    total = error_with(places)
    rows.append({"condition": "all", "relative_rms_error": total, "explained": float(np.sqrt(square))})
    return [{"sweep": "budget", **row} for row in rows]
