"""Modulators that set phase alone: a number as the depth and the phase of a small blazed grating."""

from functools import partial
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import check_whole
from optics.effects._phase import TURN, light, phasor
from optics.encode._double_phase import BRIGHTEST, polar
from optics.encode._encoder import Encoder, blocks, brightest


class Blazed(Encoder):
    """A complex number in the first order of a grating of one period a number (off-axis encoding).

        drive_j = exp(i (φ + 2π M x_j)),   x_j = (j + ½)/q − ½,   j = 0 … q − 1
        first order: mean_j drive_j exp(−2πi x_j) = exp(iφ) D(1 − M),   D(m) = sin(πm) / (q sin(πm/q))

    The depth M in [0, 1] is where D(1 − M) = |a| / scale, so that the middle of the order is exact for any q; for many
    pixels D is the sinc of the source. Unmodulated light (gaps, extinction) stays in the zero order, one period away: that
    is what off-axis encoding is for. Centre the optics on `order`.

    Away from the middle of the order the slope 1 − M left in a block shows. For numbers all over the disc the error is
    52 % of the field over the whole order and 25 % over its inner half (|κ| ≤ ¼ cycle a number). With `exposures=period`
    the slope is moved through the block from one exposure to the next, and their mean is exact everywhere.

    Arguments:
        period: q, modulator pixels across for one number, at least 3 (with 2 the orders +1 and −1 are one).
        exposures: 1, or `period`.

    Raises:
        ValueError: `period` below 3 or another number of `exposures`.

    Source: J. A. Davis et al., Appl. Opt. 38, 5004 (1999).
    """

    order: ClassVar[tuple[float, float]] = (0.0, 1.0)
    period: int = eqx.field(static=True)
    phase_only: ClassVar[bool] = True
    exposures: int = eqx.field(static=True)

    def __init__(self, period: int = 4, exposures: int = 1):
        check_whole("period", period, 3)
        if exposures not in (1, period):
            raise ValueError(
                f"`exposures` must be 1, or {period} to move the grating through its period, got {exposures!r}."
            )
        self.period, self.exposures = int(period), int(exposures)

    @property
    def subpixels(self) -> tuple[int, int]:
        return 1, self.period

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Complex[Array, "*lead exposures rows drivecols"], Float[Array, "*lead 1 1"]]:
        """Drives (..., exposures, rows, columns·period) of modulus 1 and scale (..., 1, 1)."""
        scale = brightest(a) / BRIGHTEST
        amplitude, phi, rest = polar(light(a / scale))
        detuning = _detuning(amplitude, self.period)
        ramp = TURN * jnp.asarray(_places(self.period), phi.dtype)[None, :]
        carrier = blocks(phi, jnp.ones_like(ramp)) + blocks(jnp.ones_like(phi), ramp)
        at_zero = blocks(rest, phasor(ramp))
        drives = [
            phasor(carrier - blocks(detuning, jnp.roll(ramp, shift))) + at_zero
            for shift in range(self.exposures)
        ]
        return jnp.stack(drives, axis=-3), scale

    def combine(
        self, fields: Inexact[Array, "*lead exposures rows cols"]
    ) -> Inexact[Array, "*lead rows cols"]:
        """The mean of the exposures."""
        return jnp.mean(fields, axis=-3)


def _places(period: int) -> np.ndarray:
    return (np.arange(period) + 0.5) / period - 0.5


def _order(m: Float[Array, "*any"], period: int) -> tuple[Float[Array, "*any"], Float[Array, "*any"]]:
    """D(m) and its slope, as the sum over pixels: nothing cancels at small m."""
    places = [TURN * float(x) for x in _places(period)]
    return sum(jnp.cos(x * m) for x in places) / period, -sum(x * jnp.sin(x * m) for x in places) / period


@partial(jax.jit, static_argnames="period")
def _detuning(amplitude: Float[Array, "*any"], period: int) -> Float[Array, "*any"]:
    """m in [0, 1] with D(m) = amplitude: a table, then Newton's rule; the last step carries the slope dm/dA = 1/D'."""
    m = np.linspace(0, 1, 65)
    table = np.mean(np.cos(TURN * m[:, None] * _places(period)), axis=-1)
    # D falls as 1 − c m²: against √(1 − D) the table is nearly straight.
    fixed = jax.lax.stop_gradient(amplitude)
    grid = jnp.asarray(np.sqrt(np.maximum(1 - table, 0)), amplitude.dtype)
    m = jnp.interp(jnp.sqrt(jnp.maximum(1 - fixed, 0)), grid, jnp.asarray(m, amplitude.dtype))
    for _ in range(3):
        value, slope = _order(m, period)
        m = jnp.clip(m - (value - fixed) / slope, 1e-6, 1)
    value, slope = _order(m, period)
    return m - (value - amplitude) / slope
