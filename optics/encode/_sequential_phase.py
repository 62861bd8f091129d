"""Modulators that set phase alone: a number as two phases, one after the other on the same pixel."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Inexact

from optics._check import check_whole
from optics._phases import as_complex, unit_phasor, wrap_phase
from optics._typing import CountLike
from optics.encode._encoder import Encoder, largest_amplitude
from optics.encode._polar import LARGEST_ENCODED, polar_form


class SequentialPhase(Encoder):
    """A complex number as the mean of two exposures of amplitude 1, neighbours as alike as they can be.

        |a| exp(iφ) = ½ (exp(iα) + exp(iβ)),   {α, β} = (φ ± arccos(|a| / scale)) mod 2π,   α ≤ β

    Which phase comes first is free, and it decides how far the drive jumps from a pixel to the next. Here the
    lower one comes first, in [0, 2π): real numbers then have all phases of an exposure within half a turn,
    and complex ones cross the end of the range more seldom. Crosstalk between pixels acts on these jumps:
    where the double phase of a checkerboard changes by half a turn or more inside each number, this changes
    between numbers alone. Both need two exposures to be exact.

    Light that the two exposures take away from one another, ±i sin θ exp(iφ), would add up to one bright
    point on the axis, which sets the full scale of a camera. `block` spreads it: squares of `block` numbers a
    side begin at random with the lower or the higher phase, in a fixed order. The bright points are then
    about `block` times a mean pixel, and crosstalk acts on the edges of the squares. A drift between the
    exposures leaves a part of this light.

    Arguments:
        block: numbers a side of a square that begins with the same phase, at least 1.

    Raises:
        ValueError: `block` below 1.

    Source: C. K. Hsueh and A. A. Sawchuk, Appl. Opt. 17, 3874 (1978), for the two phases.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> drive, scale = optics.encode.SequentialPhase().encode(jnp.array([[0.5, -0.5], [1.0, 0.0]]))
        >>> print(jnp.round(180 * jnp.angle(drive)[:, 0] / jnp.pi))
        [[  60.  120.]
         [ -60. -120.]]
    """

    phase_only: ClassVar[bool] = True
    exposures: ClassVar[int] = 2
    block: int = eqx.field(static=True)

    def __init__(self, block: CountLike = 8):
        check_whole("block", block, 1)
        self.block = int(block)

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Complex[Array, "*lead exposures slm_rows slm_cols"], Float[Array, "*lead 1 1"]]:
        """Drives (..., 2, rows, columns) of modulus 1 and scale (..., 1, 1)."""
        scale = largest_amplitude(a) / LARGEST_ENCODED
        amplitude, phi, zero = polar_form(as_complex(a / scale))
        theta = jnp.arccos(amplitude)
        two = wrap_phase(phi - theta), wrap_phase(phi + theta)
        lower, higher = jnp.minimum(*two), jnp.maximum(*two)
        lower_first = _lower_first(a.shape[-2:], self.block)
        first, second = jnp.where(lower_first, lower, higher), jnp.where(lower_first, higher, lower)
        drive = unit_phasor(jnp.stack([first, second], axis=-3))
        return drive + zero[..., None, :, :], scale

    def combine(
        self, fields: Inexact[Array, "*lead exposures rows cols"]
    ) -> Inexact[Array, "*lead rows cols"]:
        """The mean of the exposures."""
        return jnp.mean(fields, axis=-3)


def _lower_first(shape: tuple[int, int], block: int) -> Bool[np.ndarray, "rows cols"]:
    """Which numbers begin with the lower phase: squares in a fixed random order, the first of them do."""
    blocks = tuple(-(-n // block) for n in shape)
    order = np.random.default_rng(0).integers(0, 2, blocks) == 1
    order ^= not order[0, 0]
    return np.kron(order, np.ones((block, block), bool))[: shape[0], : shape[1]]
