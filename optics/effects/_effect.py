"""The one type of every nonideality."""

from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Inexact


class Effect(eqx.Module):
    """A nonideality: (value, key) -> value. With `key=None` it gives the expected value.

    `value` has shape (..., rows, columns): amplitudes of modulator pixels, or frames in units of full scale. Numbers
    are pytree leaves, scalar or a (rows, columns) map of one physical device.

    Attributes:
        signed: True for an effect on signed values only (amplitudes, quadratures), False on intensities only, None on both.
    """

    signed: ClassVar[bool | None] = None

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        raise NotImplementedError


class Modulation(Effect):
    """An effect on light as it leaves a modulator; it has no meaning on frames.

    `value` is the amplitude of each pixel in units of the brightest pixel, real or complex; the result is complex
    where the effect acts on phase. Leading axes are exposures.
    """

    signed: ClassVar[bool | None] = True
