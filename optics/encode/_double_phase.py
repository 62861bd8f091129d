"""Modulators that set phase alone: a number as the mean of two phases."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import check_choice, check_whole
from optics._phases import as_complex, unit_phasor
from optics._typing import CountLike, TextLike
from optics.encode._encoder import Encoder, kronecker, largest_amplitude
from optics.encode._polar import LARGEST_ENCODED, polar_form


class DoublePhase(Encoder):
    """A complex number as the mean of two light beams of amplitude 1.

        |a| exp(iφ) = ½ (exp(i(φ + θ)) + exp(i(φ − θ))),   cos θ = |a| / scale

    "pair" puts the two side by side (rows × 2 columns); "checkerboard" puts them on the diagonals of 2×2
    pixels. The mean of the block is exact, and so is the middle of the central order. At κ cycles per number
    across, a pair's difference i sin θ exp(iφ) adds an error of weight tan(πκ/2), which reaches 1 at the edge
    of the order (κ = ½); for the checkerboard the product of two such weights. For numbers uniform over the
    disc the error is 53 % of the field over the whole order and 25 % over its inner half (|κ| ≤ ¼) for pairs,
    28 % and 6 % for the checkerboard. A second exposure with the two exchanged (`exposures=2`) cancels it
    everywhere.

    Arguments:
        layout: "pair" or "checkerboard".
        exposures: 1, or 2 to exchange the two.

    Raises:
        ValueError: another `layout` or number of `exposures`.

    Source: C. K. Hsueh and A. A. Sawchuk, Appl. Opt. 17, 3874 (1978); O. Mendoza-Yero et al., Opt. Lett. 39,
        1740 (2014), for the checkerboard.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> drive, scale = optics.encode.DoublePhase("pair").encode(jnp.ones((4, 4)))
        >>> print(drive.shape, jnp.abs(drive).max().round(3))
        (1, 4, 8) 1.0
    """

    layout: str = eqx.field(static=True)
    phase_only: ClassVar[bool] = True
    exposures: int = eqx.field(static=True)

    def __init__(self, layout: TextLike = "checkerboard", exposures: CountLike = 1):
        check_choice("layout", layout, ("pair", "checkerboard"))
        check_whole("exposures", exposures, 1, 2)
        self.layout, self.exposures = layout, int(exposures)

    @property
    def subpixels(self) -> tuple[int, int]:
        return (1, 2) if self.layout == "pair" else (2, 2)

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Complex[Array, "*lead exposures slm_rows slm_cols"], Float[Array, "*lead 1 1"]]:
        """Drives (..., exposures, rows·p, columns·q) of modulus 1 and scale (..., 1, 1)."""
        scale = largest_amplitude(a) / LARGEST_ENCODED
        amplitude, phi, zero = polar_form(as_complex(a / scale))
        theta = jnp.arccos(amplitude)
        signs = np.array([[1, -1]]) if self.layout == "pair" else np.array([[1, -1], [-1, 1]])
        pattern = jnp.asarray(signs, phi.dtype)
        ones = jnp.ones_like(pattern)

        def drive(sign):
            phases = kronecker(phi, ones) + sign * kronecker(theta, pattern)
            return unit_phasor(phases) + kronecker(zero, ones)

        return jnp.stack([drive(sign) for sign in (1, -1)[: self.exposures]], axis=-3), scale

    def combine(
        self, fields: Inexact[Array, "*lead exposures rows cols"]
    ) -> Inexact[Array, "*lead rows cols"]:
        """The mean of the exposures."""
        return jnp.mean(fields, axis=-3)
