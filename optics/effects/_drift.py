"""Devices that age: phases that wander and gains that fade with time."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import (
    as_leaf,
    as_shape,
    check_finite,
    check_given_key,
    check_memory,
    check_number,
    check_positive_number,
    check_positive_or_infinite,
    check_range,
    check_whole,
    describe,
    is_concrete,
)
from optics._phases import as_complex, unit_phasor
from optics._typing import ArrayLike, CountLike, KeyLike, ScalarLike, ShapeLike
from optics.effects._effect import Modulation


class Drift(Modulation):
    """Aging since the device was set up: each pixel's phase wanders and its amplitude fades.

        light -> light · (1 + fading · t) · exp(iφ(t))

    φ is the history of one physical unit, drawn once (`draw_drift`) and interpolated linearly between its
    moments: all exposures at one time have the same phase, with a key and without one. The time is a leaf, so
    a sweep over it compiles once, and `optics.aging` sets it in all stages of a device. One phase for all
    pixels, shape (moments, 1, 1), is the drift of an interferometer's reference with the opposite sign. After
    the end of its history the phase stays constant.

    Arguments:
        phase: φ at equally spaced moments from 0 to `duration`, rad, shape (moments, rows, columns) or
            (moments, 1, 1), at least 2 moments.
        duration: s, scalar.
        time: t, s, in [0, duration], scalar.
        fading: relative change of the amplitude per second, scalar or (rows, columns) map; negative where
            light is lost.

    Raises:
        ValueError: a `phase` of another shape or not finite, a `duration` that is not positive, or a `time`
            outside of it.

    Source: `draw_drift`, for the histories.
    """

    linear: ClassVar[bool] = True
    phase: Array = eqx.field(converter=as_leaf)
    duration: Array = eqx.field(converter=as_leaf)
    time: Array = eqx.field(converter=as_leaf)
    fading: Array = eqx.field(converter=as_leaf)

    def __init__(
        self,
        phase: ArrayLike,
        duration: ScalarLike,
        time: ScalarLike = 0.0,
        fading: ArrayLike = 0.0,
    ):
        check_finite("phase", phase, "rad")
        if np.ndim(phase) != 3 or np.shape(phase)[0] < 2:
            raise ValueError(
                "`phase` must have the shape (moments, rows, columns) with at least 2 moments, "
                f"got {np.shape(phase)}."
            )
        check_positive_number("duration", duration, "s")
        check_finite("fading", fading, "1/s")
        check_number("time", time, 0.0, float(duration) if is_concrete(duration) else math.inf, "s")
        self.phase = phase
        self.duration = duration
        self.time = time
        self.fading = fading

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        value = as_complex(value)
        last = self.phase.shape[0] - 1
        place = jnp.clip(self.time / self.duration, 0, 1) * last
        before = jnp.minimum(jax.lax.stop_gradient(place).astype(int), last - 1)
        part = place - before
        phi = (1 - part) * self.phase[before] + part * self.phase[before + 1]
        amplitude = 1 + self.fading * self.time
        return value * (amplitude * unit_phasor(phi.astype(value.real.dtype))).astype(value.dtype)


def draw_drift(
    key: KeyLike,
    shape: ShapeLike,
    diffusion: ArrayLike,
    duration: ScalarLike,
    moments: CountLike = 257,
    relaxation: ScalarLike = math.inf,
) -> Float[Array, "moments rows cols"]:
    """Draw the phases of one unit over time for `Drift`: a random walk, free or pulled back by control.

        random walk:           Var φ(t) = D t
        Ornstein-Uhlenbeck:    dφ = −φ dt / τ + √D dW,   Var φ(t) = (D τ / 2) (1 − exp(−2t/τ)),   φ(0) = 0

    A random walk is the phase of a laser or an interferometer under white frequency noise, for which D = 2π
    Δν with Δν the width of its line; with τ it is a device in a stabilized housing.

    Arguments:
        key: of the unit, consumed.
        shape: pixels (rows, columns), or (1, 1) for a phase common to all.
        diffusion: D, rad²/s, scalar or (rows, columns) map.
        duration: s, scalar.
        moments: equally spaced, from 0 to `duration`, at least 2.
        relaxation: τ, s, scalar; infinite for the random walk.

    Returns:
        phases, rad, shape (moments, rows, columns), 0 at the first.

    Raises:
        ValueError: no key, a `shape` that is no pair of whole numbers, `diffusion` negative or of another
            shape, `duration` or `relaxation` not positive, fewer than 2 `moments`.

    Source: G. E. Uhlenbeck and L. S. Ornstein, Phys. Rev. 36, 823 (1930); its exact steps: D. T. Gillespie,
        Phys. Rev. E 54, 2084 (1996); laser phase: C. H. Henry, IEEE J. Quantum Electron. 18, 259 (1982).
    """
    check_given_key("key", key)
    shape = as_shape("shape", shape, 2)
    check_range("diffusion", diffusion, 0.0, math.inf, "rad²/s")
    if np.shape(diffusion) not in ((), shape):
        raise ValueError(
            f"`diffusion` must be one number or a map of the shape {shape}, got {describe(diffusion)}."
        )
    check_positive_number("duration", duration, "s")
    check_whole("moments", moments, 2)
    check_memory("moments", moments, moments * math.prod(shape))
    check_positive_or_infinite("relaxation", relaxation, "s")
    step = jnp.asarray(duration) / (moments - 1)
    rate = 1 / jnp.asarray(relaxation, step.dtype)
    decay = jnp.exp(-rate * step)
    # (1 − exp(−2 step/τ)) τ/2, which is the step itself without relaxation.
    relaxes = rate > 0
    effective_step = jnp.where(
        relaxes, -jnp.expm1(-2 * rate * step) / (2 * jnp.where(relaxes, rate, 1)), step
    )
    kicks = jnp.sqrt(diffusion * effective_step) * jax.random.normal(key, (moments - 1, *shape))
    start = jnp.zeros(shape, kicks.dtype)
    walk = jax.lax.scan(lambda phi, kick: (decay * phi + kick,) * 2, start, kicks)[1]
    return jnp.concatenate([start[None], walk])
