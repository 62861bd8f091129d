"""The one type of every nonideality."""

import abc
from typing import ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Inexact


class Effect(eqx.Module):
    """A nonideality: (value, key) -> value. A key draws its noise; None gives the value without noise.

    `value` has shape (..., rows, columns): amplitudes of modulator pixels, or frames in units of full scale.
    Numbers are pytree leaves, scalar or a (rows, columns) map of one physical device.

    Attributes:
        signed: True for an effect on signed values only (amplitudes, quadratures), False on intensities only,
            None on both.
        linear: the value behind it is a linear function of the value before it, rounding aside. Only then may
            a gradient leave out the scale of the numbers, which cancels.
    """

    signed: ClassVar[bool | None] = None
    linear: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        """The value behind the effect.

        Arguments:
            value: shape (..., rows, columns).
            key: of the noise, consumed; None gives the value without noise.
        """

    def laser_power(
        self, key: Array, shape: tuple[int, ...], dtype: np.dtype
    ) -> Float[Array, "*shape"] | None:
        """The power of the laser relative to its mean, as the light behind the effect has it with this key.

        A device multiplies its frames by it, because the laser feeds the reference too. None for an effect
        that leaves the laser as it is.

        Arguments:
            key: that the call takes.
            shape: (..., 1, 1), one number an exposure.
            dtype: of the result.
        """
        return None


class Modulation(Effect):
    """An effect on light as it leaves a modulator; it has no meaning on frames.

    `value` is the amplitude of each pixel in units of the brightest pixel, real or complex; the result is
    complex where the effect acts on phase. Leading axes are exposures. Without a key, light whose phase
    fluctuates has the mean amplitude of its draws: the part of it that interferes with a steady reference.
    """

    signed: ClassVar[bool | None] = True
