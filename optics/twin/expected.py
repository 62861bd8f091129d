"""What a device lets its camera expect: mean and variance of every frame."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Inexact

from optics.device import FourierProcessor
from optics.device.exposure import modulated
from optics.effects import Effect, Noise, Quantize, Saturate
from optics.effects.converter import power_of_two
from optics.transfer import FourierLens, Separable, compile_transfer

# A pixel whose expected value lies this many standard deviations from an end of the scale is never cut off there.
CLEAR = 4.0


def expected(
    device: FourierProcessor, drive: Inexact[Array, "count exposures driverows drivecols"], reach: Float[Array, "count exposures 1 1"]
) -> tuple[Float[Array, "*frames"], Float[Array, "*frames"], Bool[Array, "*frames"]]:
    """Mean and variance of the frames of a drive, and which pixels the ends of the scale leave alone.

        noise:            variance += its own
        Quantize:         variance += step² / 12, and no rounding: the noise dithers it
        Gain and others:  mean -> effect(mean),   variance -> variance · slope²

    Returns:
        mean in units of full scale, its square, and True where the mean keeps `CLEAR` standard deviations from the full
        well and from the first and last level of a converter; each (count, exposures, shots, rows, columns).
    """
    light = modulated(device.encoder, device.slm, device.optics, drive, None)
    return _through(device.camera, device.measurement.frames(device.optics(light) / reach))


def _through(camera: Sequence[Effect], mean: Array) -> tuple[Array, Array, Array]:
    variance, clear = jnp.zeros_like(mean), jnp.ones(mean.shape, bool)
    for effect in camera:
        far = CLEAR * jnp.sqrt(jnp.maximum(jax.lax.stop_gradient(variance), 0))
        if isinstance(effect, Noise):
            variance = variance + effect.variance(mean)
        elif isinstance(effect, Saturate):
            clear = clear & (jnp.abs(mean) + far <= effect.level)
        elif isinstance(effect, Quantize):
            count = power_of_two(effect.bits - 1 if effect.signed else effect.bits).astype(mean.dtype)
            largest = jnp.maximum(count - 1, 1)
            lowest = (-count if effect.signed else 0) - 0.5
            clear = clear & (mean - far >= lowest / largest) & (mean + far <= 1 + 0.5 / largest)
            variance = variance + 1 / (12 * largest**2)
        else:
            mean, slope = jax.jvp(lambda value, effect=effect: effect(value, None), (mean,), (jnp.ones_like(mean),))
            variance = variance * slope**2
    return mean, variance, clear


def compiled(device: FourierProcessor, terms: int | None = None) -> FourierProcessor:
    """The device with its lens compiled; one whose optics is compiled already is left as it is.

    Arguments:
        terms: of the sum of row ⊗ column products, needed under jit for more than 16 pixels a side.
    """
    if not isinstance(device.optics, FourierLens):
        return device
    return eqx.tree_at(lambda d: d.optics, device, compile_transfer(device.optics, terms))


def terms_of(optics: Any) -> int | None:
    """How many terms the optics needs where it is compiled to a sum of them."""
    if not isinstance(optics, FourierLens):
        return None
    found = compile_transfer(optics)
    return jax.tree.leaves(found)[0].shape[0] if isinstance(found, Separable) else None
