"""Devices that drift, and calibrations on a schedule.

`effects.Drift` in a modulator's chain holds the history of one unit. `at_time(device, time)` is the device at
a moment of it, and `error_over_time` tells how far the results are off between calibrations.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics._check import (
    check_choice,
    check_finite,
    check_instance,
    check_key,
    check_number,
    check_positive_or_infinite,
    check_whole,
)
from optics._typing import ArrayLike, CountLike, DeviceLike, KeyLike, ScalarLike, TextLike
from optics.calibration import COMPENSATIONS, calibrate
from optics.convolution import convolve
from optics.device import AbstractDevice, FourierProcessor, compile_device
from optics.effects import Drift
from optics.metrics import relative_error

# Pairs of planes that are convolved at each time, all at once.
LARGEST_BATCH = 65536


def at_time(device: DeviceLike, time: ScalarLike) -> AbstractDevice:
    """The device at another time: every `Drift` in it set to that time.

    Arguments:
        device: of any kind.
        time: s, scalar, may be traced.

    Returns:
        the device, of the same structure.

    Raises:
        ValueError: a device that does not drift, or a `time` that is negative or not finite.
    """
    check_instance("device", device, AbstractDevice, "an `optics.FourierProcessor` with a `Drift`")
    check_number("time", time, 0.0, unit="s")
    drifts = _drifts(device)
    if not drifts:
        raise ValueError(
            "`device` must have an `effects.Drift` in one of its chains; without one it does not age."
        )
    times = [jnp.asarray(time, drift.time.dtype) for drift in drifts]
    return eqx.tree_at(lambda device: [drift.time for drift in _drifts(device)], device, times)


def error_over_time(
    device: DeviceLike,
    times: ArrayLike,
    every: ScalarLike,
    compensation: TextLike = "complex",
    key: KeyLike = None,
    planes: CountLike = 8,
) -> Float[Array, " times"]:
    """Relative error of convolutions on a device that drifts and is calibrated on a schedule.

        error(t) = ‖light(t) − exact‖ / ‖exact‖,   calibrated at the last multiple of `every` up to t

    The error grows from each calibration to the next. The times are one batch: everything compiles once.

    Arguments:
        device: with `Drift` in its modulator's chain; a lens is compiled first.
        times: s, from 0 to the end of the history, shape (times,).
        every: s from one calibration to the next, scalar; infinite for one at time 0 alone.
        compensation: as of `calibrate`, which measures without the device's noise.
        key: of the numbers that are convolved, and of the noise; None convolves fixed ones and gives expected
            values.
        planes: pairs of numbers convolved at each time, at least 1.

    Returns:
        rms errors, shape (times,).

    Raises:
        ValueError: a device that does not drift, `times` that are not in one row, negative or after the end
            of the history, an `every` that is not positive, or arguments that `calibrate` refuses.

    Example:
        >>> import jax, optics
        >>> history = optics.effects.draw_drift(jax.random.key(0), (2, 2), 1e-3, 60.0)
        >>> device = optics.FourierProcessor(optics.dft(2), slm=(optics.effects.Drift(history, 60.0),))
        >>> errors = optics.aging.error_over_time(device, [0.0, 59.0], every=30.0)
        >>> print(bool(errors[0] < 1e-5 < errors[1]))
        True
    """
    check_instance("device", device, FourierProcessor, "an `optics.FourierProcessor` with a `Drift`")
    check_finite("times", times, "s")
    times = np.atleast_1d(np.asarray(times, float))
    end = min((float(drift.duration) for drift in _drifts(device)), default=0.0)
    at_time(device, 0.0)
    if times.ndim != 1 or np.min(times) < 0 or np.max(times) > end * (1 + 1e-6):
        raise ValueError(
            f"`times` must be one row of times from 0 to {end:g} s, the end of the device's history, "
            f"got {times}."
        )
    check_positive_or_infinite("every", every, "s")
    check_choice("compensation", compensation, COMPENSATIONS)
    check_key("key", key)
    check_whole("planes", planes, 1, LARGEST_BATCH)
    device = compile_device(device)
    calibrated_at = np.zeros_like(times) if np.isinf(every) else every * np.floor(times / every * (1 + 1e-12))
    calibrations, which = np.unique(calibrated_at, return_inverse=True)
    of_numbers, of_noise = jax.random.split(jax.random.key(0) if key is None else key)
    x, w = jax.random.normal(of_numbers, (2, planes, *device.shape))
    exact = convolve(x, w)

    def calibrated_gains(time):
        calibrated = calibrate(at_time(device, time), compensation=compensation)
        return calibrated.input_gain, calibrated.output_gain

    def error(gains, time):
        now = at_time(device, time).with_gains(*gains)
        return relative_error(convolve(x, w, now, None if key is None else of_noise), exact)

    dtype = jnp.result_type(float)
    gains = jax.jit(jax.vmap(calibrated_gains))(jnp.asarray(calibrations, dtype))
    gains = jax.tree.map(lambda leaf: leaf[which], gains)
    return jax.jit(jax.vmap(error))(gains, jnp.asarray(times, dtype))


def _drifts(device: DeviceLike) -> list[Drift]:
    nodes = jax.tree.leaves(device, is_leaf=lambda node: isinstance(node, Drift))
    return [node for node in nodes if isinstance(node, Drift)]
