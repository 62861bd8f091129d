"""A known bias, so that the intensity shows the sign of the field."""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import as_leaf, check_number, is_concrete
from optics._numerics import safe_sqrt
from optics._typing import ScalarLike
from optics.detect._interference import field_from_quadratures, interference_frames
from optics.detect._measurement import AbstractMeasurement


class Offset(AbstractMeasurement):
    """An intensity camera, and a known bias b added to the field that keeps it from changing sign.

        real:     I = (z + b)² / (1 + b)²,                       z = (1 + b) √I − b
        complex:  I₁ = |z + b|² / (1 + b)²,  I₂ = |z + ib|² / (1 + b)²,  z as in `PhaseShifting` with 2 steps

    One frame for a field known to be real (b ≥ 1), two for a complex one (b ≥ √2). At b = 1 the darkest
    pixel, z = −1, gives no light and so has no gradient; a stronger bias has one everywhere, and more photon
    noise. |z|² does not cancel: the frames are those of the field at each pixel's centre, so detector pixels
    must be small.

    Arguments:
        offset: b, relative to the brightest field, scalar of at least 1.

    Raises:
        ValueError: an `offset` below 1, or below √2 at the first complex field.

    Source: A. Macfaden, G. Gordon and T. Wilkinson, Sci. Rep. 7, 13667 (2017); for two frames X. F. Meng et
        al., Opt. Lett. 31, 1414 (2006).
    """

    signed: ClassVar[bool] = False
    single_exposure: ClassVar[bool] = False
    supports_real: ClassVar[bool] = True
    offset: Array = eqx.field(converter=as_leaf)
    # Known when the device is built, needed when it is traced.
    only_real: bool = eqx.field(static=True)

    def __init__(self, offset: ScalarLike = 2.0):
        check_number("offset", offset, 1.0)
        self.offset = offset
        self.only_real = is_concrete(offset) and bool(np.any(np.asarray(offset) < math.sqrt(2)))

    def frames(self, field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead frames rows cols"]:
        """Frames (..., 2, rows, columns) in [0, 1], in phase and in quadrature; the first of a real field."""
        if not jnp.iscomplexobj(field):
            return interference_frames(field, self.offset, jnp.ones(1))
        if self.only_real:
            raise ValueError(
                "`offset` must be at least √2 ≈ 1.41421 for complex fields, got less: "
                "two fields would give the same frames."
            )
        return interference_frames(field, self.offset, jnp.asarray([1, 1j]))

    def field(self, frames: Float[Array, "*lead frames rows cols"]) -> Inexact[Array, "*lead rows cols"]:
        """The field from the frames, complex when there are two."""
        if frames.shape[-3] == 1:
            return (1 + self.offset) * safe_sqrt(frames[..., 0, :, :]) - self.offset
        return field_from_quadratures(frames, self.offset)
