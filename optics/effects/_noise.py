"""Noise, which differs from frame to frame."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import as_leaf, check_flag, check_positive, check_range
from optics._keys import split_key
from optics._normal import draw_normal
from optics._numerics import standard_deviation
from optics._typing import ArrayLike, FlagLike
from optics.effects._effect import Effect

# jax.random.poisson works in float32: at a mean of 1e6 its variance is 2.6 % too large, and beyond 2³¹ it
# saturates. Above this mean a Gaussian stands in, whose skewness of 0 differs from the Poisson's by 0.003.
LARGEST_POISSON_MEAN = 1e5


class Noise(Effect):
    """Zero-mean Gaussian noise: value -> value + √variance(value) · n,   n ~ Normal(0, 1).

    Attributes:
        additive: the variance does not depend on the value. Such noise joins the noise before it in one draw
            of the sum of their variances, which is the same distribution at half the cost.
    """

    additive: ClassVar[bool] = True

    @abc.abstractmethod
    def variance(self, value: Float[Array, "*any"]) -> Float[Array, "..."]:
        """Variance of the noise on `value`, in units of full scale squared; broadcasts against `value`."""

    def __call__(self, value: Float[Array, "*any"], key: Array | None) -> Float[Array, "*any"]:
        return self.draw(value, key, 0.0)

    def draw(
        self, value: Float[Array, "*any"], key: Array | None, extra_variance: ArrayLike
    ) -> Float[Array, "*any"]:
        """`value` with this noise and additive noise of variance `extra_variance`, in one draw."""
        if key is None:
            return value
        sigma = standard_deviation(self.variance(value) + extra_variance)
        # Drawn in a line: XLA on CPU takes three times as long to fill a stack of small planes.
        return value + sigma * draw_normal(key, (value.size,), value.dtype).reshape(value.shape)


class Shot(Noise):
    """Photon noise of an intensity frame.

        value -> N / photons,   N ~ Poisson(photons · value)

    By default N is Gaussian with the Poisson's mean and variance, which is close above some 30 photons and
    ten times faster; `exact=True` draws the Poisson. The noise passes no gradient to the value, so the
    gradient of the mean is 1 at any light level; Gaussian noise has one with respect to `photons`. Light
    cannot be negative: a negative value passes unchanged.

    Arguments:
        photons: detected photons (photoelectrons) of a full-scale pixel in one frame, scalar or map.
        exact: draw Poisson counts.

    Raises:
        ValueError: `photons` not positive.

    Source: EMVA Standard 1288, release 4.0 (2021), eqs. 3-4.

    Example:
        >>> import jax, jax.numpy as jnp, optics
        >>> frames = optics.effects.Shot(1e4)(jnp.ones((100, 100)), jax.random.key(0))
        >>> print(f"{frames.std():.3f}")
        0.010
    """

    additive: ClassVar[bool] = False
    signed: ClassVar[bool] = False
    photons: Array = eqx.field(converter=as_leaf)
    exact: bool = eqx.field(static=True)

    def __init__(self, photons: ArrayLike, exact: FlagLike = False):
        check_positive("photons", photons)
        check_flag("exact", exact)
        self.photons, self.exact = photons, bool(exact)

    def variance(self, value: Float[Array, "*any"]) -> Float[Array, "..."]:
        return jax.lax.stop_gradient(jnp.maximum(value, 0)) / self.photons

    def draw(
        self, value: Float[Array, "*any"], key: Array | None, extra_variance: ArrayLike
    ) -> Float[Array, "*any"]:
        gaussian = super().draw(value, key, extra_variance)
        if key is None or not self.exact:
            return gaussian
        mean = jax.lax.stop_gradient(jnp.maximum(value, 0) * self.photons)
        count_key, extra_key = split_key(key, 2)
        counts = jax.random.poisson(count_key, jnp.minimum(mean, LARGEST_POISSON_MEAN)).astype(mean.dtype)
        shot = jax.lax.stop_gradient((counts - mean) / self.photons)
        extra_sigma = standard_deviation(jnp.asarray(extra_variance, value.dtype))
        poisson = value + shot + extra_sigma * jax.random.normal(extra_key, value.shape, value.dtype)
        return jnp.where(mean > LARGEST_POISSON_MEAN, gaussian, poisson)


class BalancedShot(Noise):
    """Photon noise of a balanced pair under a strong local oscillator: differences cancel light, not noise.

        value -> value + n,   n ~ Normal(0, 1 / (2 · photons))

    The variance does not depend on the signal. Eight-port receivers split the signal in two, hence the ½
    where a single homodyne pair has ¼.

    Arguments:
        photons: detected photons of a full-scale field in one frame, before it is split, scalar or map.

    Raises:
        ValueError: `photons` not positive.

    Source: H. P. Yuen and V. W. S. Chan, Opt. Lett. 8, 177 (1983); Kikuchi (2016), section II.
    """

    signed: ClassVar[bool] = True
    photons: Array = eqx.field(converter=as_leaf)

    def __init__(self, photons: ArrayLike):
        check_positive("photons", photons)
        self.photons = photons

    def variance(self, value: Float[Array, "*any"]) -> Float[Array, "..."]:
        return 0.5 / self.photons


class Read(Noise):
    """Noise of the readout electronics, independent of the light.

        value -> value + n,   n ~ Normal(0, sigma²)

    Arguments:
        sigma: standard deviation in units of full scale, scalar or map.

    Raises:
        ValueError: `sigma` negative.

    Source: EMVA 1288 (2021), eq. 13.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> print(optics.effects.Read(0.01)(jnp.ones((2, 2)), None).mean())  # no key, no noise
        1.0
    """

    sigma: Array = eqx.field(converter=as_leaf)

    def __init__(self, sigma: ArrayLike):
        check_range("sigma", sigma, 0.0, jnp.inf)
        self.sigma = sigma

    def variance(self, value: Float[Array, "*any"]) -> Float[Array, "..."]:
        return self.sigma**2
