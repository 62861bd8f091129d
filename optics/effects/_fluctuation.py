"""Light that does not hold still: flicker of the panel, noise of the laser."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_range
from optics.effects._effect import Modulation
from optics.effects._phase import TURN, light, phase, phasor, wrap


class Flicker(Modulation):
    """Phase ripple of a modulator.

        independent:  light -> light · exp(iδ),   δ ~ Normal(0, σ²) in each pixel and exposure
        common:       light -> light · ⟨exp(iδ(t))⟩ over the exposure,   δ(t) = √2 σ sin(2πft)

    A digitally addressed panel ripples in step, at the rate of its addressing. Averaged over whole periods the field is
    J₀(√2 σ) times the ideal one: the same light is lost as by independent ripple, exp(−σ²) of it, but it dims all
    pixels alike (in interference with a steady reference; unmodulated light gains by it), where independent ripple
    scatters the light over the plane as speckle. An exposure of `cycles` periods that is not in step with the panel
    starts at a random moment, one draw for all pixels of an exposure:

        ⟨exp(iδ)⟩ = Σ_k J_k(√2 σ) sinc(k · cycles) exp(ikψ),   ψ uniform

    Averaging the field is right for interference with a reference. The intensity of the light alone does not feel a
    common phase: for that use `cycles=0` (one instant an exposure) and average frames over keys.

    Arguments:
        sigma: σ, rms ripple, rad, scalar or map; at most 1 when common.
        common: all pixels in step.
        cycles: periods of the ripple in one exposure, at least 0, scalar; for common ripple.
        proportional: common ripple grows with the drive φ of the pixel in [0, 2π): σ φ/2π.

    Raises:
        ValueError: `sigma` or `cycles` negative, `sigma` above 1 rad when common, or `proportional` without `common`.

    Source: A. Lizana et al., Opt. Express 16, 16711 (2008); Jacobi-Anger: Abramowitz and Stegun (1964), 9.1.42-43.
    """

    sigma: Array = eqx.field(converter=as_leaf)
    cycles: Array = eqx.field(converter=as_leaf)
    common: bool = eqx.field(static=True)
    proportional: bool = eqx.field(static=True)

    def __init__(self, sigma: Any, common: bool = False, cycles: Any = 1.0, proportional: bool = False):
        check_range("sigma", sigma, 0.0, 1.0 if common else math.inf, "rad")
        check_range("cycles", cycles, 0.0, math.inf)
        if proportional and not common:
            raise ValueError("`proportional` ripple must be common, got `common=False`; set `common=True`.")
        self.sigma, self.cycles, self.common, self.proportional = (
            sigma,
            cycles,
            bool(common),
            bool(proportional),
        )

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Complex[Array, "*any"]:
        value = light(value)
        if not self.common:
            if key is None:
                return value * jnp.exp(-(self.sigma**2) / 2)
            return value * phasor(self.sigma * jax.random.normal(key, value.shape, value.real.dtype))
        depth = math.sqrt(2) * self.sigma
        if self.proportional:
            depth = depth * wrap(phase(value)) / TURN
        if key is None:
            return value * _bessel(0, depth)
        moment = TURN * jax.random.uniform(key, _exposures(value), value.real.dtype)
        real, imaginary = _bessel(0, depth), 0.0
        for k in range(1, 9):
            term = 2 * _bessel(k, depth) * jnp.sinc(k * self.cycles)
            if k % 2:
                imaginary = imaginary + term * jnp.sin(k * moment)
            else:
                real = real + term * jnp.cos(k * moment)
        real, imaginary = jnp.broadcast_arrays(real, imaginary)
        return value * jax.lax.complex(real.astype(value.real.dtype), imaginary.astype(value.real.dtype))


def _bessel(k: int, x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """J_k(x) for |x| ≤ √2 by its power series, good to 1e-12 (Abramowitz and Stegun, 9.1.10)."""
    return (x / 2) ** k * sum(
        (-(x**2) / 4) ** m * (1 / (math.factorial(m) * math.factorial(m + k))) for m in range(8)
    )


def _exposures(value: Array) -> tuple[int, ...]:
    """Shape of one number an exposure."""
    return (*value.shape[:-2], *(1 for _ in value.shape[-2:]))


class LaserNoise(Modulation):
    """Noise of the laser, one draw for all pixels of an exposure.

        light -> light · √(P/P̄) · exp(i (θ_y y + θ_x x)),   ln(P/P̄) ~ Normal(−s²/2, s²),   s² = ln(1 + rin²)

    P has the mean P̄ and the standard deviation rin · P̄ exactly and is never negative; for small `rin` it is Normal.
    x and y count pixels from pixel n//2; θ ~ Normal(0, pointing²) is the wander of the beam. The expected field is
    light · (1 + rin²)^(−1/8) · exp(−pointing² (x² + y²)/2).

    Arguments:
        rin: relative rms power noise from exposure to exposure, the root of the integral of the relative intensity noise
            over the band of the exposure; scalar.
        pointing: rms phase step from a pixel to the next, 2π · pitch · angle / λ, rad, scalar; None for a beam that holds.

    Raises:
        ValueError: `rin` or `pointing` negative.

    Source: R. Paschotta, Encyclopedia of Laser Physics and Technology (2008), relative intensity noise.
    """

    rin: Array = eqx.field(converter=as_leaf)
    pointing: Array | None

    def __init__(self, rin: Any, pointing: Any = None):
        check_range("rin", rin, 0.0, math.inf)
        if pointing is not None:
            check_range("pointing", pointing, 0.0, math.inf, "rad")
        self.rin, self.pointing = rin, None if pointing is None else as_leaf(pointing)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        dtype, spread = value.real.dtype, jnp.log1p(self.rin**2)
        of_power, of_beam = (None, None) if key is None else jax.random.split(key)
        if key is None:
            amplitude = jnp.exp(-spread / 8)
        else:
            noisy = spread > 0
            deviation = jnp.where(noisy, jnp.sqrt(jnp.where(noisy, spread, 1)), 0)
            amplitude = jnp.exp(
                deviation / 2 * jax.random.normal(of_power, _exposures(value), dtype) - spread / 4
            )
        value = value * amplitude.astype(dtype)
        if self.pointing is None:
            return value
        y, x = (jnp.arange(n, dtype=dtype) - n // 2 for n in value.shape[-2:])
        if key is None:
            return light(value) * jnp.exp(-(self.pointing**2) / 2 * (y[:, None] ** 2 + x**2))
        tilt = self.pointing * jax.random.normal(of_beam, (2, *_exposures(value)), dtype)
        return light(value) * phasor(tilt[0] * y[:, None] + tilt[1] * x)
