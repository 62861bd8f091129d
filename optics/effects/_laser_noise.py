"""Noise of the laser: its power, and the direction of its beam."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import as_leaf, check_range
from optics._numerics import safe_sqrt, split_key
from optics._phases import as_complex, unit_phasor
from optics._typing import ScalarLike
from optics.effects._effect import Modulation
from optics.effects._flicker import exposure_shape


class LaserNoise(Modulation):
    """Noise of the laser, one draw for all pixels of an exposure.

        light -> light · √(P/P̄) · exp(i (θ_y y + θ_x x)),   ln(P/P̄) ~ Normal(−s²/2, s²),   s² = ln(1 + rin²)

    P has the mean P̄ and the standard deviation rin · P̄ exactly and is never negative; for small `rin` it is
    Normal. x and y count pixels from pixel n//2; θ ~ Normal(0, pointing²) is the wander of the beam. The mean
    field is light · (1 + rin²)^(−1/8) · exp(−pointing² (x² + y²)/2).

    Arguments:
        rin: relative rms power noise from exposure to exposure, the root of the integral of the relative
            intensity noise over the band of the exposure; scalar.
        pointing: rms phase step from a pixel to the next, 2π · pitch · angle / λ, rad, scalar; None for a
            beam that does not wander.

    Raises:
        ValueError: `rin` or `pointing` negative.

    Source: R. Paschotta, Encyclopedia of Laser Physics and Technology (2008), relative intensity noise.
    """

    rin: Array = eqx.field(converter=as_leaf)
    pointing: Array | None

    def __init__(self, rin: ScalarLike, pointing: ScalarLike | None = None):
        check_range("rin", rin, 0.0, math.inf)
        if pointing is not None:
            check_range("pointing", pointing, 0.0, math.inf, "rad")
        self.rin = rin
        self.pointing = None if pointing is None else as_leaf(pointing)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        dtype, variance = value.real.dtype, jnp.log1p(self.rin**2)
        power_key, beam_key = split_key(key, 2)
        if key is None:
            amplitude = jnp.exp(-variance / 8)
        else:
            normal = jax.random.normal(power_key, exposure_shape(value), dtype)
            amplitude = jnp.exp(safe_sqrt(variance) / 2 * normal - variance / 4)
        value = value * amplitude.astype(dtype)
        if self.pointing is None:
            return value
        y, x = (jnp.arange(n, dtype=dtype) - n // 2 for n in value.shape[-2:])
        if key is None:
            return as_complex(value) * jnp.exp(-(self.pointing**2) / 2 * (y[:, None] ** 2 + x**2))
        tilt = self.pointing * jax.random.normal(beam_key, (2, *exposure_shape(value)), dtype)
        return as_complex(value) * unit_phasor(tilt[0] * y[:, None] + tilt[1] * x)
