"""Speckle that is left on frames of partially coherent light."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import as_leaf, check_range
from optics._typing import ArrayLike
from optics.effects._effect import Effect

# Below this contrast the draws are those at it, on a smaller scale: their skewness of 0.06 is the difference.
# The slope by the pattern to a smaller contrast would drown in rounding.
LEAST_DRAWN = 0.03


class Speckle(Effect):
    """Speckle of intensity frames, from a rough surface or a diffuser in the path of the light.

        value -> value · g,   g ~ Gamma(M, 1/M),   mean 1,   standard deviation C = 1/√M

    M speckle patterns add in each pixel: those of wavelengths, directions, polarisations or moments that do
    not interfere. One pattern alone has C = 1 and the exponential density. Modes of light with the powers
    w_k, each with a pattern of its own, have C = √(Σ w_k²). Pixels are independent: the grain is at most a
    pixel. Each exposure has a draw of its own, as of a diffuser that moves; a pattern that stays is
    `Gain(Speckle(C)(jnp.ones(shape), unit_key))`. A draw has a slope to the contrast: each factor moves with
    its quantile of the density.

    Arguments:
        contrast: C, standard deviation over mean, in [0, 1], scalar or map; 0 is no speckle.

    Raises:
        ValueError: `contrast` outside [0, 1].

    Source: J. W. Goodman, Speckle Phenomena in Optics (2007), sections 3.3 and 4.6.

    Example:
        >>> import jax, jax.numpy as jnp, optics
        >>> frames = optics.effects.Speckle(0.1)(jnp.ones((100, 100)), jax.random.key(0))
        >>> print(f"{frames.mean():.2f} {frames.std():.2f}")
        1.00 0.10
    """

    signed: ClassVar[bool] = False
    linear: ClassVar[bool] = True
    contrast: Array = eqx.field(converter=as_leaf)

    def __init__(self, contrast: ArrayLike):
        check_range("contrast", contrast, 0.0, 1.0)
        self.contrast = contrast

    def __call__(self, value: Float[Array, "*any"], key: Array | None) -> Float[Array, "*any"]:
        if key is None:
            return value
        drawn = jnp.maximum(self.contrast, LEAST_DRAWN).astype(value.dtype)
        patterns = jnp.broadcast_to(1 / drawn**2, value.shape)
        excess = jax.random.gamma(key, patterns, dtype=value.dtype) / patterns - 1
        return value * (1 + excess * (self.contrast / drawn).astype(value.dtype))
