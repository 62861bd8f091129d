"""The response of camera pixels, the same in every frame."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_leaf, check_finite_field, check_positive, check_range
from optics._typing import ArrayLike
from optics.effects._effect import Effect


class Dark(Effect):
    """Dark signal: value -> value + level. Its photon noise is that of the `Shot` that follows it.

    Arguments:
        level: mean dark signal of a frame in units of full scale, scalar or map.

    Raises:
        ValueError: `level` negative.

    Source: EMVA 1288 (2021), eq. 10.
    """

    level: Array = eqx.field(converter=as_leaf)

    def __init__(self, level: ArrayLike):
        check_range("level", level, 0.0, jnp.inf)
        self.level = level

    def __call__(self, value: Float[Array, "*any"], key: Array | None) -> Float[Array, "*any"]:
        return value + self.level


class Bias(Effect):
    """Offset of each pixel: value -> value + level, without noise of its own.

    Arguments:
        level: electronic offset or fixed pattern (DSNU, hot pixels among it) in units of full scale, scalar
            or (rows, columns) map of either sign; real for a camera, real or complex for stray light on a
            modulator.

    Raises:
        ValueError: `level` not finite.

    Source: EMVA 1288 (2021), linear model (offset) and spatial nonuniformity.
    """

    level: Array = eqx.field(converter=as_leaf)

    def __init__(self, level: ArrayLike):
        check_finite_field("level", level)
        self.level = level

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        return value + self.level


class Gain(Effect):
    """Response of each pixel: value -> value · gain.

    Arguments:
        gain: relative to the nominal response, scalar or (rows, columns) map; real for a camera (PRNU), real
            or complex for a modulator.

    Raises:
        ValueError: `gain` not finite.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> print(optics.effects.Gain(jnp.array([[1.0, 0.9]]))(jnp.ones((2, 2)), None)[0])
        [1.  0.9]
    """

    linear: ClassVar[bool] = True
    gain: Array = eqx.field(converter=as_leaf)

    def __init__(self, gain: ArrayLike):
        check_finite_field("gain", gain)
        self.gain = gain

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        return value * self.gain


class Saturate(Effect):
    """Full well: value -> min(value, level), and no gradient beyond it.

    For signed frames both signs saturate at `level`.

    Arguments:
        level: in units of full scale, scalar or map.

    Raises:
        ValueError: `level` not positive.

    Source: EMVA 1288 (2021), section 2.3.
    """

    level: Array = eqx.field(converter=as_leaf)

    def __init__(self, level: ArrayLike = 1.0):
        check_positive("level", level)
        self.level = level

    def __call__(self, value: Float[Array, "*any"], key: Array | None) -> Float[Array, "*any"]:
        # A mask, not clip: the derivative of clip is ½ exactly at the level.
        limit = jax.lax.stop_gradient(self.level)
        return jnp.where(jnp.abs(value) <= limit, value, jnp.sign(jax.lax.stop_gradient(value)) * self.level)
