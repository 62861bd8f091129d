"""Pixels that do not respond."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Inexact

from optics._check import as_leaf, check_finite_field, check_range, describe
from optics._typing import ArrayLike
from optics.effects._effect import Effect


class StuckPixels(Effect):
    """Stuck pixels: value -> value · (1 − mask) + stuck · mask.

    Arguments:
        mask: 1 where a pixel is stuck and 0 elsewhere (or booleans), map of shape (rows, columns). It is a
            number so that a derivative gives the cost of losing a pixel.
        stuck: value of stuck pixels: amplitude (real or complex) on a modulator, frame value on a camera;
            scalar or map.

    Raises:
        ValueError: `mask` outside [0, 1] or not a map, or `stuck` not finite.
    """

    mask: Array = eqx.field(converter=as_leaf)
    stuck: Array = eqx.field(converter=as_leaf)

    def __init__(self, mask: ArrayLike, stuck: ArrayLike = 0.0):
        check_range("mask", mask, 0.0, 1.0)
        if np.ndim(mask) < 2:
            raise ValueError(f"`mask` must be a map of shape (rows, columns), got {describe(mask)}.")
        check_finite_field("stuck", stuck)
        self.mask, self.stuck = mask, stuck

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        return value * (1 - self.mask) + self.stuck * self.mask
