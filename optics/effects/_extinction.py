"""Finite contrast of a modulator."""

import equinox as eqx
from jaxtyping import Array, Inexact

from optics._check import as_leaf, check_range
from optics._typing import ArrayLike
from optics.effects._effect import Modulation


class Extinction(Modulation):
    """Finite contrast: a pixel that is off still leaks, in phase with those that are on.

        light -> ε + (1 − ε) · light,   ε = 1/√ratio

    The leak is a field: a contrast of 1000:1 leaves 3.2 % of the amplitude, the same in every pixel, which a
    lens gathers in the zero order.

    Arguments:
        ratio: intensity of an open pixel over that of a closed one, at least 1, scalar or map.

    Raises:
        ValueError: `ratio` below 1.
    """

    ratio: Array = eqx.field(converter=as_leaf)

    def __init__(self, ratio: ArrayLike):
        check_range("ratio", ratio, 1.0, float("inf"))
        self.ratio = ratio

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        leak = self.ratio**-0.5
        return leak + (1 - leak) * value
