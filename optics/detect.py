"""Light -> frames -> complex field. A measurement has `frames(field)` and `field(frames)`, in units of full scale."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import leaf, positive, whole


class Coherent(eqx.Module):
    """Coherent receiver a pixel: two balanced pairs of photodiodes give the quadratures in one exposure.

    With a local oscillator r, the pairs' differences are r Re(A) and r Im(A); divided by r they are the frames. A
    field known to be real needs one pair, and gives one frame.

    Source: K. Kikuchi, J. Lightwave Technol. 34, 157 (2016), section II.
    """

    # Whether frames are signed, and whether a field known to be real may be detected as such.
    signed: ClassVar[bool] = True
    one_quadrature: ClassVar[bool] = True

    def frames(self, field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead frames rows cols"]:
        """Signed frames (..., 2, rows, columns): in phase and in quadrature; the first alone when `field` is real."""
        if jnp.iscomplexobj(field):
            return jnp.stack([field.real, field.imag], axis=-3)
        return field[..., None, :, :]

    def field(self, frames: Float[Array, "*lead frames rows cols"]) -> Inexact[Array, "*lead rows cols"]:
        """The field from the frames, complex when there are two."""
        if frames.shape[-3] == 1:
            return frames[..., 0, :, :]
        return jax.lax.complex(frames[..., 0, :, :], frames[..., 1, :, :])


class PhaseShifting(eqx.Module):
    """Intensity camera and a reference beam stepped in phase; least squares over equal steps gives the field.

        I_d = |z + r exp(iδ_d)|² / (1 + r)²,   δ_d = 2π d / steps
        z = (1 + r)² Σ_d I_d exp(iδ_d) / (steps · r)

    The division by (1 + r)² makes the brightest possible frame full scale, z = 1 being the brightest field. |z|² and
    r² cancel in the sum, so that integration over the pixel may be part of the transfer.

    Arguments:
        steps: frames, at least 3.
        reference: r, amplitude of the reference relative to the brightest field, scalar.

    Raises:
        ValueError: fewer than 3 steps, or a `reference` that is not positive.

    Source: J. H. Bruning et al., Appl. Opt. 13, 2693 (1974), eqs. 2-4; D. Malacara, Optical Shop Testing (2007), 14.7.
    """

    # The camera sees |z|², whatever is known of z.
    signed: ClassVar[bool] = False
    one_quadrature: ClassVar[bool] = False
    steps: int = eqx.field(static=True)
    reference: Array = eqx.field(converter=leaf)

    def __init__(self, steps: int = 4, reference: Any = 1.0):
        whole("steps", steps, 3)
        positive("reference", reference)
        self.steps, self.reference = int(steps), reference

    def _steps(self) -> Complex[Array, "steps 1 1"]:
        turn = 2j * jnp.pi * jnp.arange(self.steps) / self.steps
        return jnp.exp(turn)[:, None, None]

    def frames(self, field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead steps rows cols"]:
        """Intensity frames (..., steps, rows, columns) in units of full scale, in [0, 1] for |field| ≤ 1."""
        sum_ = field[..., None, :, :] + self.reference * self._steps()
        # re² + im², not |·|²: the modulus has no gradient at zero.
        return (sum_.real**2 + sum_.imag**2) / (1 + self.reference) ** 2

    def field(self, frames: Float[Array, "*lead steps rows cols"]) -> Complex[Array, "*lead rows cols"]:
        """The field from the frames."""
        weight = (1 + self.reference) ** 2 / (self.steps * self.reference)
        return weight * jnp.sum(frames * self._steps(), axis=-3)
