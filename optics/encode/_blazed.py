"""Modulators that set phase alone: a number as the depth and the phase of a small blazed grating."""

from functools import partial
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import check_whole
from optics._phases import TWO_PI, as_complex, unit_phasor
from optics._typing import CountLike
from optics.encode._encoder import Encoder, kronecker, largest_amplitude
from optics.encode._polar import LARGEST_ENCODED, polar_form


class Blazed(Encoder):
    """A complex number in the first order of a grating of one period a number (off-axis encoding).

        drive_j = exp(i (φ + 2π M x_j)),   x_j = (j + ½)/q − ½,   j = 0 … q − 1
        first order: mean_j drive_j exp(−2πi x_j) = exp(iφ) D(1 − M),   D(m) = sin(πm) / (q sin(πm/q))

    The depth M in [0, 1] is where D(1 − M) = |a| / scale, so that the middle of the order is exact for any q;
    for many pixels D is the sinc of the source. Unmodulated light (gaps, extinction) stays in the zero order,
    one period away from the signal. Centre the transfer on `order`.

    Away from the middle of the order the slope 1 − M left in a block adds an error. For numbers uniform over
    the disc it is 52 % of the field over the whole order and 25 % over its inner half (|κ| ≤ ¼ cycle a
    number). With `exposures=period` the slope moves through the block from one exposure to the next, and
    their mean is exact everywhere.

    Arguments:
        period: q, modulator pixels across for one number, at least 3 (with 2 the orders +1 and −1 coincide).
        exposures: 1, or `period`.

    Raises:
        ValueError: `period` below 3 or another number of `exposures`.

    Source: J. A. Davis et al., Appl. Opt. 38, 5004 (1999).
    """

    order: ClassVar[tuple[float, float]] = (0.0, 1.0)
    period: int = eqx.field(static=True)
    phase_only: ClassVar[bool] = True
    exposures: int = eqx.field(static=True)

    def __init__(self, period: CountLike = 4, exposures: CountLike = 1):
        check_whole("period", period, 3, 64)
        check_whole("exposures", exposures, 1)
        if exposures not in (1, period):
            raise ValueError(
                f"`exposures` must be 1, or {period} to move the grating through its period, "
                f"got {exposures!r}."
            )
        self.period, self.exposures = int(period), int(exposures)

    @property
    def subpixels(self) -> tuple[int, int]:
        return 1, self.period

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Complex[Array, "*lead exposures rows slm_cols"], Float[Array, "*lead 1 1"]]:
        """Drives (..., exposures, rows, columns·period) of modulus 1 and scale (..., 1, 1)."""
        scale = largest_amplitude(a) / LARGEST_ENCODED
        amplitude, phi, zero = polar_form(as_complex(a / scale))
        detuning = _solve_detuning(amplitude, self.period)
        ramp = TWO_PI * jnp.asarray(_pixel_positions(self.period), phi.dtype)[None, :]
        carrier = kronecker(phi, jnp.ones_like(ramp)) + kronecker(jnp.ones_like(phi), ramp)
        zeros = kronecker(zero, unit_phasor(ramp))
        drives = [
            unit_phasor(carrier - kronecker(detuning, jnp.roll(ramp, shift))) + zeros
            for shift in range(self.exposures)
        ]
        return jnp.stack(drives, axis=-3), scale

    def combine(
        self, fields: Inexact[Array, "*lead exposures rows cols"]
    ) -> Inexact[Array, "*lead rows cols"]:
        """The mean of the exposures."""
        return jnp.mean(fields, axis=-3)


def _pixel_positions(period: int) -> np.ndarray:
    """x_j: where the pixels of a block are, in numbers from its middle."""
    return (np.arange(period) + 0.5) / period - 0.5


def _order_amplitude(
    m: Float[Array, "*any"], period: int
) -> tuple[Float[Array, "*any"], Float[Array, "*any"]]:
    """D(m) and its slope, as the sum over pixels: nothing cancels at small m."""
    phases = [TWO_PI * float(x) for x in _pixel_positions(period)]
    return sum(jnp.cos(x * m) for x in phases) / period, -sum(x * jnp.sin(x * m) for x in phases) / period


@partial(jax.jit, static_argnames="period")
def _solve_detuning(amplitude: Float[Array, "*any"], period: int) -> Float[Array, "*any"]:
    """m in [0, 1] with D(m) = amplitude, by a table and Newton's rule."""
    m = np.linspace(0, 1, 65)
    table = np.mean(np.cos(TWO_PI * m[:, None] * _pixel_positions(period)), axis=-1)
    # D falls as 1 − c m²: against √(1 − D) the table is nearly straight.
    constant = jax.lax.stop_gradient(amplitude)
    grid = jnp.asarray(np.sqrt(np.maximum(1 - table, 0)), amplitude.dtype)
    m = jnp.interp(jnp.sqrt(jnp.maximum(1 - constant, 0)), grid, jnp.asarray(m, amplitude.dtype))
    for _ in range(3):
        value, slope = _order_amplitude(m, period)
        m = jnp.clip(m - (value - constant) / slope, 1e-6, 1)
    # The last step carries the slope dm/dA = 1/D'.
    value, slope = _order_amplitude(m, period)
    return m - (value - amplitude) / slope
