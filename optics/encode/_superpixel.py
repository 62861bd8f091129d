"""Complex numbers on a modulator that switches, in one frame: blocks of mirrors in an order off the axis."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import check_whole
from optics.effects._phase import TURN, light, phasor
from optics.encode._double_phase import polar
from optics.encode._encoder import Encoder, blocks, brightest


class Superpixel(Encoder):
    """A binary hologram of size × size mirrors a number.

        on where cos(c + φ) > √(1 − (|a|/scale)²),   c = 2π (x + y/size)
        order: mean over the block of on · exp(−ic) = |a| exp(iφ) / (π scale)

    x and y are the places of the mirrors in numbers, so that the phases −c of a block's size² mirrors are equally spaced
    and those that are on form an arc around φ. A block shows only some phases and amplitudes; what it cannot show is an
    error of the number, 20 % rms for numbers all over the disc at size 3, 11 % at 4 and 3 % at 8. The gradient is that of the exact number.

    Arguments:
        size: mirrors a side of a block, at least 2.

    Raises:
        ValueError: `size` below 2.

    Source: W.-H. Lee, Appl. Opt. 18, 3661 (1979); S. A. Goorden et al., Opt. Express 22, 17999 (2014).
    """

    size: int = eqx.field(static=True)

    def __init__(self, size: int = 4):
        check_whole("size", size, 2)
        self.size = int(size)

    @property
    def subpixels(self) -> tuple[int, int]:
        return self.size, self.size

    @property
    def order(self) -> tuple[float, float]:
        return 1 / self.size, 1.0

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Float[Array, "*lead 1 slm_rows slm_cols"], Float[Array, "*lead 1 1"]]:
        """Frame of zeros and ones, (..., 1, rows·size, columns·size), and scale (..., 1, 1)."""
        scale = brightest(a)
        value = light(a / scale)
        fixed = jax.lax.stop_gradient(value)
        amplitude, phi, _ = polar(fixed)
        block = jnp.ones((self.size, self.size), phi.dtype)
        places = [(jnp.arange(n * self.size, dtype=phi.dtype) + 0.5) / self.size - 0.5 for n in a.shape[-2:]]
        carrier = TURN * jnp.mod(places[0][:, None] * self.order[0] + places[1] * self.order[1], 1.0)
        on = jnp.cos(carrier + blocks(phi, block)) > blocks(jnp.sqrt(jnp.maximum(1 - amplitude**2, 0)), block)
        # The smooth hologram with the same first order: its slope stands for that of the switches.
        smooth = 2 * (blocks(value - fixed, block) * phasor(carrier)).real / self._brightness
        return (on.astype(phi.dtype) + smooth)[..., None, :, :], scale

    def combine(
        self, fields: Inexact[Array, "*lead exposures rows cols"]
    ) -> Inexact[Array, "*lead rows cols"]:
        """The field of the frame, undimmed: a block with half its mirrors on has 1/π of the light in the order."""
        return fields[..., 0, :, :] * self._brightness

    @property
    def _brightness(self) -> float:
        """Inverse of the brightest order: size² equal phases, half of them on."""
        n = self.size**2
        return n * math.sin(math.pi / n)
