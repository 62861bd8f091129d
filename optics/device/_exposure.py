"""What every device does: light onto the optics, and frames off it."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import check_finite
from optics.effects import Effect, Modulation, Noise, apply
from optics.encode import Encoder
from optics.transfer import light_shape

# The chains of effects that a device may have, by the name of the field, in the order that light meets them.
MODULATORS, DETECTORS = ("slm", "multiplier", "filter"), ("camera", "detector")


def lit(
    encoder: Encoder,
    slm: tuple[Effect, ...],
    optics: Callable,
    a: Inexact[Array, "*lead rows cols"],
    key: Array | None,
) -> tuple[
    Inexact[Array, "*lead frames lightrows lightcols"],
    Float[Array, "*lead frames lightrows lightcols"],
    Float[Array, "*lead 1 1"],
]:
    """Numbers as light: what leaves the modulator, the amplitude that it is known to be driven to, and the scale.

    Raises:
        ValueError: light of another shape than the optics takes.
    """
    drive, scale = encoder.encode(a)
    light, known = (modulated(encoder, slm, optics, drive, k) for k in (key, None))
    return light, jax.lax.stop_gradient(jnp.abs(known)), scale


def modulated(
    encoder: Encoder,
    slm: tuple[Effect, ...],
    optics: Callable,
    drive: Inexact[Array, "*lead frames driverows drivecols"],
    key: Array | None,
) -> Inexact[Array, "*lead frames lightrows lightcols"]:
    """What leaves the modulator when it is driven, as the optics takes it.

    Raises:
        ValueError: light of another shape than the optics takes.
    """
    subpixels = getattr(optics, "subpixels", 1)
    wanted = light_shape(optics.shape, subpixels)
    light = encoder.seen(apply(slm, drive, key), optics.shape, resolve=subpixels > 1)
    if light.shape[-2:] != wanted:
        have, want = ("×".join(map(str, pair)) for pair in (light.shape[-2:], wanted))
        raise ValueError(
            f"`optics` takes {want} pixels of light, but `encoder` and `slm` give {have}; "
            f"describe the lens with `subpixels` of its pixels divided like theirs, or leave it at 1."
        )
    return light


def exposed(bound: Float[Array, "..."], headroom: Float[Array, ""]) -> Float[Array, "..."]:
    """The exposure: full scale is `headroom` times the brightest field possible; 1 in the dark. A setting without gradient."""
    reach = jax.lax.stop_gradient(headroom * bound)
    return jnp.where(reach > 0, reach, 1)


def check_measurement(measurement: Any) -> None:
    """Refuse what is no measurement, such as its class."""
    if isinstance(measurement, type) or not hasattr(measurement, "frames"):
        raise ValueError(f"`measurement` must be one, such as `optics.Coherent()`, got {measurement!r}.")


def check_modulator(name: str, chain: Any) -> None:
    """Refuse effects that have no meaning on a modulator."""
    _refuse_effects(name, chain, True, "amplitudes are signed", Noise, "this noise is of detectors")


def check_camera(name: str, chain: Any, measurement: Any) -> None:
    """Refuse effects that have no meaning on the frames of a measurement."""
    signed = measurement.signed
    why = f"the frames of {type(measurement).__name__} are {'' if signed else 'not '}signed"
    _refuse_effects(name, chain, signed, why, Modulation, "it acts on light as it leaves a modulator")


def check_gain(name: str, gain: Any, shape: tuple[int, int]) -> None:
    """Refuse a gain that is not finite, or neither a scalar nor a map of the optics."""
    check_finite(name, jnp.abs(gain))
    if gain.shape not in ((), shape):
        raise ValueError(
            f"`{name}` must be a scalar or have the shape {shape} of the optics, got {gain.shape}."
        )


def _refuse_effects(
    name: str, chain: Any, signed: bool, why: str, never: type[Effect], why_never: str
) -> None:
    """Refuse what is no effect, effects on intensities where values are signed or the other way round, and kinds out of place."""
    if not isinstance(chain, Sequence):
        raise ValueError(f"`{name}` must be a tuple of effects from `optics.effects`, got {chain!r}.")
    for effect in chain:
        if not isinstance(effect, Effect):
            raise ValueError(
                f"`{name}` must be a tuple of effects from `optics.effects`, got {effect!r} in it."
            )
        if isinstance(effect, never):
            raise ValueError(f"`{name}` cannot hold {type(effect).__name__}: {why_never}.")
        if effect.signed not in (None, signed):
            raise ValueError(f"`{name}` cannot hold {type(effect).__name__}: {why}.")


def reversed_about_axis(a: Inexact[Array, "*lead rows cols"]) -> Inexact[Array, "*lead rows cols"]:
    """a[−n], with the origin at pixel n//2: what two forward transforms do to a plane."""
    even = tuple(1 - n % 2 for n in a.shape[-2:])
    return jnp.roll(jnp.flip(a, (-2, -1)), even, (-2, -1))
