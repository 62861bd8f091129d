"""Coherent receiver."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics.detect._measurement import AbstractMeasurement


class Coherent(AbstractMeasurement):
    """A coherent receiver at each pixel: two balanced pairs of photodiodes give both quadratures at once.

    With a local oscillator r, the pairs' differences are r Re(A) and r Im(A); divided by r they are the
    frames. A field known to be real needs one pair, and gives one frame.

    Source: K. Kikuchi, J. Lightwave Technol. 34, 157 (2016), section II.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> print(optics.Coherent().frames(jnp.full((2, 2), 0.3 - 0.4j))[:, 0, 0])
        [ 0.3 -0.4]
    """

    signed: ClassVar[bool] = True
    single_exposure: ClassVar[bool] = True
    supports_real: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    def frames(self, field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead frames rows cols"]:
        """Signed frames (..., 2, rows, columns), in phase and in quadrature; the first of a real field."""
        if jnp.iscomplexobj(field):
            return jnp.stack([field.real, field.imag], axis=-3)
        return field[..., None, :, :]

    def field(self, frames: Float[Array, "*lead frames rows cols"]) -> Inexact[Array, "*lead rows cols"]:
        """The field from the frames, complex when there are two."""
        if frames.shape[-3] == 1:
            return frames[..., 0, :, :]
        return jax.lax.complex(frames[..., 0, :, :], frames[..., 1, :, :])
