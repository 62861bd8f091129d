"""What differs from frame to frame."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import leaf, number, positive
from optics.effects.effect import Effect

# jax.random.poisson draws int32: above this mean it would saturate, and a Gaussian is exact to 1e-4 σ there anyway.
LARGEST_POISSON_MEAN = 1e8


class Shot(Effect):
    """Photon noise of an intensity frame.

        value -> N / photons,   N ~ Poisson(photons · value)

    By default N is Gaussian with the Poisson's mean and variance, which is close above some 30 photons and ten times
    faster; `exact=True` draws the Poisson. The noise passes no gradient, so the gradient of the mean is 1 at any
    light level. Light cannot be negative: a negative value has no noise.

    Arguments:
        photons: detected photons (photoelectrons) of a full-scale pixel in one frame, scalar or map.
        exact: draw Poisson counts.

    Raises:
        ValueError: `photons` not positive.

    Source: EMVA Standard 1288, release 4.0 (2021), eqs. 3-4.
    """

    photons: Array = eqx.field(converter=leaf)
    exact: bool = eqx.field(static=True)

    def __init__(self, photons: Any, exact: bool = False):
        positive("photons", photons)
        self.photons, self.exact = photons, bool(exact)

    def __call__(self, value: Float[Array, "*any"], key: Array | None) -> Float[Array, "*any"]:
        if key is None:
            return value
        mean = jax.lax.stop_gradient(jnp.maximum(value, 0) * self.photons)
        noise = jnp.sqrt(mean) * jax.random.normal(key, mean.shape, mean.dtype)
        if self.exact:
            # A key of its own: counts and Gaussian stand in for one another where the mean is too large to count.
            counts = jax.random.poisson(jax.random.fold_in(key, 1), jnp.minimum(mean, LARGEST_POISSON_MEAN))
            noise = jnp.where(mean > LARGEST_POISSON_MEAN, noise, counts.astype(mean.dtype) - mean)
        return value + jax.lax.stop_gradient(noise / self.photons)


class BalancedShot(Effect):
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

    photons: Array = eqx.field(converter=leaf)

    def __init__(self, photons: Any):
        positive("photons", photons)
        self.photons = photons

    def __call__(self, value: Float[Array, "*any"], key: Array | None) -> Float[Array, "*any"]:
        if key is None:
            return value
        return value + jax.random.normal(key, value.shape, value.dtype) * jax.lax.rsqrt(2 * self.photons)


class Read(Effect):
    """Noise of the readout electronics, independent of the light.

        value -> value + n,   n ~ Normal(0, sigma²)

    Arguments:
        sigma: standard deviation in units of full scale, scalar or map.

    Raises:
        ValueError: `sigma` negative.

    Source: EMVA 1288 (2021), eq. 13.
    """

    sigma: Array = eqx.field(converter=leaf)

    def __init__(self, sigma: Any):
        number("sigma", sigma, 0.0, jnp.inf)
        self.sigma = sigma

    def __call__(self, value: Float[Array, "*any"], key: Array | None) -> Float[Array, "*any"]:
        if key is None:
            return value
        return value + self.sigma * jax.random.normal(key, value.shape, value.dtype)
