"""Devices that drift, and calibrations on a schedule."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics._check import check_finite, check_positive, check_whole
from optics.calibration import calibrate
from optics.convolution import convolve
from optics.device import FourierProcessor
from optics.effects import Drift
from optics.transfer import Dense
from optics.device import compile_device


def aged(device: Any, time: Any) -> Any:
    """The device at another time: every `Drift` in it set to it.

    Arguments:
        device: of any kind.
        time: s, scalar, may be traced.

    Raises:
        ValueError: a device that does not drift.
    """
    drifts = _drifts(device)
    if not drifts:
        raise ValueError(
            "`device` must have an `effects.Drift` in one of its chains; without one it does not age."
        )
    return eqx.tree_at(
        lambda d: [drift.time for drift in _drifts(d)],
        device,
        [jnp.asarray(time, d.time.dtype) for d in drifts],
    )


def error_over_time(
    device: FourierProcessor,
    times: Any,
    every: Any,
    compensation: str = "complex",
    key: Array | None = None,
    planes: int = 8,
) -> Float[Array, " times"]:
    """Relative error of convolutions on a device that drifts and is calibrated on a schedule.

        error(t) = ‖light(t) − exact‖ / ‖exact‖,   calibrated at the last multiple of `every` that is not after t

    The error grows from each calibration to the next. The times are one batch: everything compiles once.

    Arguments:
        device: with `Drift` in its modulator's chain; a lens is compiled first.
        times: s, from 0 to the end of the history, shape (times,).
        every: s from one calibration to the next, scalar; infinite for one at time 0 alone.
        compensation: as of `calibrate`, which measures with all the device's noise left out.
        key: of the numbers that are convolved, and of the shots; None convolves fixed ones and gives expected values.
        planes: pairs of numbers convolved at each time, at least 1.

    Returns:
        rms errors, shape (times,).

    Raises:
        ValueError: a device that does not drift, `times` that are not in one row, negative or after the end of the history,
            an `every` that is not positive, or what `calibrate` refuses.
    """
    times = np.atleast_1d(np.asarray(times, float))
    end = min((float(drift.duration) for drift in _drifts(device)), default=0.0)
    aged(device, 0.0)
    check_finite("times", times, "s")
    if times.ndim != 1 or not times.size or np.min(times) < 0 or np.max(times) > end * (1 + 1e-6):
        raise ValueError(
            f"`times` must be one row of times from 0 to {end:g} s, the end of the device's history, got {times}."
        )
    if not np.isinf(every):
        check_positive("every", every, "s")
    check_whole("planes", planes, 1)
    last = np.zeros_like(times) if np.isinf(every) else every * np.floor(times / every * (1 + 1e-12))
    moments, which = np.unique(last, return_inverse=True)
    device = compile_device(device)

    def gains(moment):
        found = calibrate(aged(device, moment), compensation=compensation)
        return found.input_gain, found.output_gain

    of_numbers, of_shots = jax.random.split(jax.random.key(0) if key is None else key)
    x, w = jax.random.normal(of_numbers, (2, planes, *device.shape))
    exact = convolve(x, w)

    def error(gains, time):
        now = eqx.tree_at(
            lambda d: (d.input_gain, d.output_gain), aged(device, time), gains, is_leaf=lambda leaf: isinstance(leaf, Dense)
        )
        light = convolve(x, w, now, None if key is None else of_shots)
        return jnp.linalg.norm(light - exact) / jnp.linalg.norm(exact)

    found = jax.jit(jax.vmap(gains))(jnp.asarray(moments, jnp.result_type(float)))
    used = jax.tree.map(lambda leaf: leaf[which], found)
    return jax.jit(jax.vmap(error))(used, jnp.asarray(times, jnp.result_type(float)))


def _drifts(device: Any) -> list[Drift]:
    return [
        node
        for node in jax.tree.leaves(device, is_leaf=lambda node: isinstance(node, Drift))
        if isinstance(node, Drift)
    ]
