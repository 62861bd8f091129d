"""Phase ripple of a modulator."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_flag, check_number, check_range
from optics._phases import TWO_PI, as_complex, safe_angle, unit_phasor, wrap_phase
from optics._typing import ArrayLike, FlagLike, ScalarLike
from optics.effects._effect import Modulation


class Flicker(Modulation):
    """Phase ripple of a modulator.

        independent:  light -> light · exp(iδ),   δ ~ Normal(0, σ²) in each pixel and exposure
        common:       light -> light · ⟨exp(iδ(t))⟩ over the exposure,   δ(t) = √2 σ sin(2πft)

    A digitally addressed panel ripples in step, at the rate of its addressing. Averaged over whole periods
    the field is J₀(√2 σ) times the ideal one: the same light is lost as by independent ripple, exp(−σ²) of
    it, but it dims all pixels alike (in interference with a steady reference; unmodulated light gains by it),
    where independent ripple scatters the light over the plane as speckle. An exposure of `cycles` periods
    that is not in step with the panel starts at a random moment, one draw for all pixels of an exposure:

        ⟨exp(iδ)⟩ = Σ_k J_k(√2 σ) sinc(k · cycles) exp(ikψ),   ψ uniform

    Averaging the field is right for interference with a reference. The intensity of the light alone does not
    feel a common phase: for that use `cycles=0` (one instant an exposure) and average frames over keys.

    Arguments:
        sigma: σ, rms ripple, rad, scalar or map; at most 1 when common.
        common: all pixels in step.
        cycles: periods of the ripple in one exposure, at least 0, scalar; for common ripple.
        proportional: common ripple grows with the drive φ of the pixel in [0, 2π): σ φ/2π.

    Raises:
        ValueError: `sigma` or `cycles` negative, `sigma` above 1 rad when common, or `proportional` without
            `common`.

    Source: A. Lizana et al., Opt. Express 16, 16711 (2008); Jacobi-Anger: Abramowitz and Stegun (1964),
        9.1.42-43.
    """

    sigma: Array = eqx.field(converter=as_leaf)
    cycles: Array = eqx.field(converter=as_leaf)
    common: bool = eqx.field(static=True)
    proportional: bool = eqx.field(static=True)

    def __init__(
        self,
        sigma: ArrayLike,
        common: FlagLike = False,
        cycles: ScalarLike = 1.0,
        proportional: FlagLike = False,
    ):
        check_flag("common", common)
        check_flag("proportional", proportional)
        check_range("sigma", sigma, 0.0, 1.0 if common else math.inf, "rad")
        check_number("cycles", cycles, 0.0)
        if proportional and not common:
            raise ValueError("`proportional` ripple must be common, got `common=False`; set `common=True`.")
        self.sigma = sigma
        self.cycles = cycles
        self.common = bool(common)
        self.proportional = bool(proportional)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Complex[Array, "*any"]:
        value = as_complex(value)
        if not self.common:
            if key is None:
                return value * jnp.exp(-(self.sigma**2) / 2)
            return value * unit_phasor(self.sigma * jax.random.normal(key, value.shape, value.real.dtype))
        depth = math.sqrt(2) * self.sigma
        if self.proportional:
            depth = depth * wrap_phase(safe_angle(value)) / TWO_PI
        if key is None:
            return value * _bessel(0, depth)
        start = TWO_PI * jax.random.uniform(key, exposure_shape(value), value.real.dtype)
        real, imaginary = _bessel(0, depth), 0.0
        for k in range(1, 9):
            term = 2 * _bessel(k, depth) * jnp.sinc(k * self.cycles)
            if k % 2:
                imaginary = imaginary + term * jnp.sin(k * start)
            else:
                real = real + term * jnp.cos(k * start)
        real, imaginary = jnp.broadcast_arrays(real, imaginary)
        return value * jax.lax.complex(real.astype(value.real.dtype), imaginary.astype(value.real.dtype))


def exposure_shape(value: Array) -> tuple[int, ...]:
    """Shape of one number an exposure, which broadcasts against `value`."""
    return (*value.shape[:-2], *(1 for _ in value.shape[-2:]))


def _bessel(k: int, x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """J_k(x) for |x| ≤ √2 by its power series, good to 1e-12 (Abramowitz and Stegun, 9.1.10)."""
    return (x / 2) ** k * sum(
        (-(x**2) / 4) ** m * (1 / (math.factorial(m) * math.factorial(m + k))) for m in range(8)
    )
