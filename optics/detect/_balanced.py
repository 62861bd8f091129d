"""Balanced pairs of photodiodes, each diode read on its own."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_leaf, check_positive_number
from optics._typing import ScalarLike
from optics.detect._interference import interference_frames
from optics.detect._measurement import AbstractMeasurement


class Balanced(AbstractMeasurement):
    """Balanced pairs of photodiodes, each diode read on its own and the difference taken in electronics.

        I = |z ± r|² / (1 + r)²,  |z ± ir|² / (1 + r)²
        Re z = (1 + r)² (I₊ − I₋) / (4 r),   Im z likewise from the second pair

    |z|² and r² cancel in the difference, and so does a dark signal common to both diodes. A field known to be
    real needs the first pair alone. Photon noise, full well and quantization act on the intensities of the
    diodes; with `Coherent` they act on the difference. A full-scale frame has the photons of one diode.

    Arguments:
        reference: r, amplitude of the local oscillator relative to the brightest field, scalar.

    Raises:
        ValueError: a `reference` that is not positive.

    Source: H. P. Yuen and V. W. S. Chan, Opt. Lett. 8, 177 (1983); K. Kikuchi, J. Lightwave Technol. 34, 157
        (2016), section II.
    """

    signed: ClassVar[bool] = False
    single_exposure: ClassVar[bool] = True
    supports_real: ClassVar[bool] = True
    reference: Array = eqx.field(converter=as_leaf)

    def __init__(self, reference: ScalarLike = 1.0):
        check_positive_number("reference", reference)
        self.reference = reference

    def frames(self, field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead frames rows cols"]:
        """Frames (..., 4, rows, columns) in [0, 1] of z ± r and z ± ir; of z ± r when `field` is real."""
        phase_factors = [1, -1, 1j, -1j] if jnp.iscomplexobj(field) else [1.0, -1.0]
        return interference_frames(field, self.reference, jnp.asarray(phase_factors))

    def field(self, frames: Float[Array, "*lead frames rows cols"]) -> Inexact[Array, "*lead rows cols"]:
        """The field from the frames, complex when there are four."""
        scale = (1 + self.reference) ** 2 / (4 * self.reference)
        difference = (frames[..., ::2, :, :] - frames[..., 1::2, :, :]) * scale
        if difference.shape[-3] == 1:
            return difference[..., 0, :, :]
        return jax.lax.complex(difference[..., 0, :, :], difference[..., 1, :, :])
