"""What differs from frame to frame."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import as_leaf, check_positive, check_range
from optics._fusion import fusion_barrier_in_lines
from optics.effects._effect import Effect

# jax.random.poisson works in float32: at a mean of 1e6 its variance is 2.6 % too large, and beyond 2³¹ it saturates.
# Above this mean a Gaussian stands in, whose skewness of 0 differs from the Poisson's by 0.003.
LARGEST_POISSON_MEAN = 1e5


class Noise(Effect):
    """Zero-mean Gaussian noise: value -> value + √variance(value) · n,   n ~ Normal(0, 1).

    Attributes:
        additive: the variance does not depend on the value. Such noise joins the noise before it in one draw, their
            variances added, which is the same distribution at half the cost.
    """

    additive: ClassVar[bool] = True

    def variance(self, value: Float[Array, "*any"]) -> Float[Array, "..."]:
        """Variance of the noise on `value`, in units of full scale squared; broadcasts against `value`."""
        raise NotImplementedError

    def __call__(self, value: Float[Array, "*any"], key: Array | None) -> Float[Array, "*any"]:
        return self.draw(value, key, 0.0)

    def draw(self, value: Float[Array, "*any"], key: Array | None, more: Any) -> Float[Array, "*any"]:
        """`value` with this noise and additive noise of variance `more`, in one draw."""
        if key is None:
            return value
        sigma = _root(self.variance(value) + more)
        # Drawn in a line, and by itself: XLA on CPU takes three times as long to fill a stack of small planes.
        drawn = jax.random.normal(key, (value.size,), value.dtype)
        return value + sigma * fusion_barrier_in_lines(drawn).reshape(value.shape)


def _root(variance: Float[Array, "..."]) -> Float[Array, "..."]:
    """√variance; where there is none, the root is kept from 0, where it has no slope."""
    noisy = variance > 0
    return jnp.where(noisy, jnp.sqrt(jnp.where(noisy, variance, 1)), 0)


class Shot(Noise):
    """Photon noise of an intensity frame.

        value -> N / photons,   N ~ Poisson(photons · value)

    By default N is Gaussian with the Poisson's mean and variance, which is close above some 30 photons and ten times
    faster; `exact=True` draws the Poisson. The noise passes no gradient to the value, so the gradient of the mean is 1
    at any light level; Gaussian noise has one with respect to `photons`. Light cannot be negative: a negative value
    passes as it is.

    Arguments:
        photons: detected photons (photoelectrons) of a full-scale pixel in one frame, scalar or map.
        exact: draw Poisson counts.

    Raises:
        ValueError: `photons` not positive.

    Source: EMVA Standard 1288, release 4.0 (2021), eqs. 3-4.
    """

    additive: ClassVar[bool] = False
    signed: ClassVar[bool] = False
    photons: Array = eqx.field(converter=as_leaf)
    exact: bool = eqx.field(static=True)

    def __init__(self, photons: Any, exact: bool = False):
        check_positive("photons", photons)
        self.photons, self.exact = photons, bool(exact)

    def variance(self, value: Float[Array, "*any"]) -> Float[Array, "..."]:
        return jax.lax.stop_gradient(jnp.maximum(value, 0)) / self.photons

    def draw(self, value: Float[Array, "*any"], key: Array | None, more: Any) -> Float[Array, "*any"]:
        gaussian = super().draw(value, key, more)
        if key is None or not self.exact:
            return gaussian
        mean = jax.lax.stop_gradient(jnp.maximum(value, 0) * self.photons)
        of_counts, of_more = jax.random.split(key)
        counts = jax.random.poisson(of_counts, jnp.minimum(mean, LARGEST_POISSON_MEAN)).astype(mean.dtype)
        shot = jax.lax.stop_gradient((counts - mean) / self.photons)
        exact = (
            value
            + shot
            + _root(jnp.asarray(more, value.dtype)) * jax.random.normal(of_more, value.shape, value.dtype)
        )
        return jnp.where(mean > LARGEST_POISSON_MEAN, gaussian, exact)


class BalancedShot(Noise):
    """Photon noise of a balanced pair under a strong local oscillator: the pair subtracts its light, not its noise.

        value -> value + n,   n ~ Normal(0, 1 / (2 · photons))

    The variance does not depend on the signal. Eight-port receivers split the signal in two, hence the ½ where a
    single homodyne pair has ¼.

    Arguments:
        photons: detected photons of a full-scale field in one frame, before it is split, scalar or map.

    Raises:
        ValueError: `photons` not positive.

    Source: H. P. Yuen and V. W. S. Chan, Opt. Lett. 8, 177 (1983); Kikuchi (2016), section II.
    """

    signed: ClassVar[bool] = True
    photons: Array = eqx.field(converter=as_leaf)

    def __init__(self, photons: Any):
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
    """

    sigma: Array = eqx.field(converter=as_leaf)

    def __init__(self, sigma: Any):
        check_range("sigma", sigma, 0.0, jnp.inf)
        self.sigma = sigma

    def variance(self, value: Float[Array, "*any"]) -> Float[Array, "..."]:
        return self.sigma**2
