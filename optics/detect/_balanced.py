"""Balanced pairs whose photodiodes are seen one by one."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_leaf, check_positive
from optics.detect._interference import intensity
from optics.detect._measurement import AbstractMeasurement


class Balanced(AbstractMeasurement):
    """Balanced pairs of photodiodes, each diode read on its own and the difference taken in electronics.

        I = |z ± r|² / (1 + r)²,  |z ± ir|² / (1 + r)²
        Re z = (1 + r)² (I₊ − I₋) / (4 r),   Im z likewise from the second pair

    |z|² and r² cancel in the difference, and so does a dark signal that both diodes share. A field known to be real
    needs the first pair alone. What `Coherent` has in its difference is here in each diode: photon noise, full well
    and quantization act on the intensities. The photons of a full-scale frame are those of one diode.

    Arguments:
        reference: r, amplitude of the local oscillator relative to the brightest field, scalar.

    Raises:
        ValueError: a `reference` that is not positive.

    Source: H. P. Yuen and V. W. S. Chan, Opt. Lett. 8, 177 (1983); K. Kikuchi, J. Lightwave Technol. 34, 157 (2016), section II.
    """

    signed: ClassVar[bool] = False
    single_exposure: ClassVar[bool] = True
    supports_real: ClassVar[bool] = True
    reference: Array = eqx.field(converter=as_leaf)

    def __init__(self, reference: Any = 1.0):
        check_positive("reference", reference)
        self.reference = reference

    def frames(self, field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead frames rows cols"]:
        """Frames (..., 4, rows, columns) in [0, 1] of the diodes z + r, z − r, z + ir, z − ir; the first two when `field` is real."""
        turns = [1, -1, 1j, -1j] if jnp.iscomplexobj(field) else [1.0, -1.0]
        return intensity(field, self.reference, jnp.asarray(turns))

    def field(self, frames: Float[Array, "*lead frames rows cols"]) -> Inexact[Array, "*lead rows cols"]:
        """The field from the frames, complex when there are four."""
        difference = (frames[..., ::2, :, :] - frames[..., 1::2, :, :]) * (
            (1 + self.reference) ** 2 / (4 * self.reference)
        )
        if difference.shape[-3] == 1:
            return difference[..., 0, :, :]
        return jax.lax.complex(difference[..., 0, :, :], difference[..., 1, :, :])
