"""The steps that every device takes: numbers to light, the setting of full scale, and checks of its parts."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_leaf, check_finite, check_range
from optics._typing import ArrayLike, EffectsLike, EncoderLike, MeasurementLike, ScalarLike
from optics.detect import AbstractMeasurement
from optics.effects import Effect, Modulation, Noise, Quantize, apply
from optics.encode import Encoder
from optics.transfer import AbstractTransfer, light_shape


class Exposure(NamedTuple):
    """One setting of a device: the drive of its modulator, what full scale stands for, and the scale of the
    numbers.

    A pytree; all three are settings of the electronics. An encoder that needs several exposures for one field
    has them on an axis of its own.

    Attributes:
        drive: amplitudes of modulator pixels, of at most 1, shape (..., exposures, rows, columns), real or
            complex.
        full_scale: the field that the receiver's full scale stands for, in units of the amplitude of the
            brightest modulator pixel, shape (..., exposures, 1, 1).
        scale: what the drive is multiplied by to give the numbers, in their unit, shape (..., 1, 1).
    """

    drive: Inexact[Array, "*lead exposures slm_rows slm_cols"]
    full_scale: Float[Array, "*lead exposures 1 1"]
    scale: Float[Array, "*lead 1 1"]


class Light(NamedTuple):
    """Numbers as light.

    Attributes:
        field: light behind the modulator, shape (..., exposures, rows, columns).
        nominal: the amplitude that the modulator is known to give, without noise and without a gradient, same
            shape.
        scale: of the numbers, shape (..., 1, 1).
    """

    field: Inexact[Array, "*lead exposures light_rows light_cols"]
    nominal: Float[Array, "*lead exposures light_rows light_cols"]
    scale: Float[Array, "*lead 1 1"]


def encode_and_modulate(
    encoder: Encoder,
    slm: tuple[Effect, ...],
    transfer: AbstractTransfer,
    a: Inexact[Array, "*lead rows cols"],
    key: Array | None,
) -> Light:
    """Numbers as light: encoded, and passed through the modulator.

    Raises:
        ValueError: light of another shape than the transfer takes.
    """
    drive, scale = encoder.encode(a)
    field, nominal = (modulate(encoder, slm, transfer, drive, k) for k in (key, None))
    return Light(field, jax.lax.stop_gradient(jnp.abs(nominal)), scale)


def modulate(
    encoder: Encoder,
    slm: tuple[Effect, ...],
    transfer: AbstractTransfer,
    drive: Inexact[Array, "*lead exposures slm_rows slm_cols"],
    key: Array | None,
) -> Inexact[Array, "*lead exposures light_rows light_cols"]:
    """Light behind the modulator, on the pixels that the transfer takes.

    Raises:
        ValueError: light of another shape than the transfer takes.
    """
    expected = light_shape(transfer.shape, transfer.subpixels)
    light = encoder.demodulate(apply(slm, drive, key), transfer.shape, keep_subpixels=transfer.subpixels > 1)
    if light.shape[-2:] != expected:
        have, want = ("×".join(map(str, pair)) for pair in (light.shape[-2:], expected))
        raise ValueError(
            f"`transfer` takes {want} pixels of light, but `encoder` and `slm` give {have}; "
            f"describe the lens with `subpixels` of its pixels divided like theirs, or leave it at 1."
        )
    return light


def full_scale_of(bound: Float[Array, "*any"], headroom: Float[Array, ""]) -> Float[Array, "*any"]:
    """Full scale: `headroom` times a bound on the brightest field; 1 in the dark. A setting without
    gradient.
    """
    full_scale = jax.lax.stop_gradient(headroom * bound)
    return jnp.where(full_scale > 0, full_scale, 1)


def detects_real(real: bool, measurement: AbstractMeasurement, encoder: Encoder, output_gain: Array) -> bool:
    """Whether the real part of a field is all that is detected: it is known to be real, and every part
    behind the light keeps it so.
    """
    parts_support_real = measurement.supports_real and encoder.supports_real
    return real and parts_support_real and not jnp.iscomplexobj(output_gain)


def as_headroom(headroom: ScalarLike) -> Array:
    """Full scale over the brightest possible field, as a leaf of at least 1."""
    check_range("headroom", headroom, 1.0, math.inf)
    return as_leaf(headroom)


def check_measurement(measurement: MeasurementLike) -> None:
    """Check that `measurement` is an instance of a measurement, not its class."""
    if not isinstance(measurement, AbstractMeasurement):
        raise ValueError(
            "`measurement` must be an `AbstractMeasurement`, such as `optics.Coherent()`, got "
            f"{measurement!r}."
        )


def check_encoder(encoder: EncoderLike) -> None:
    """Check that `encoder` is an instance of an encoder."""
    if not isinstance(encoder, Encoder):
        raise ValueError(
            f"`encoder` must be an `Encoder`, such as `optics.encode.ComplexAmplitude()`, got {encoder!r}."
        )


def check_modulator(name: str, chain: EffectsLike) -> None:
    """Check that every effect has a meaning on a modulator."""
    _check_effects(name, chain, True, "amplitudes are signed", Noise, "this noise is of detectors")


def check_camera(name: str, chain: EffectsLike, measurement: AbstractMeasurement) -> None:
    """Check that every effect has a meaning on the frames of a measurement."""
    signed = measurement.signed
    reason = f"the frames of {type(measurement).__name__} are {'' if signed else 'not '}signed"
    _check_effects(name, chain, signed, reason, Modulation, "it acts on light as it leaves a modulator")


def check_gain(name: str, gain: ArrayLike, shape: tuple[int, int]) -> None:
    """Check that a gain is finite, and a scalar or a map of the device's pixels."""
    check_finite(name, jnp.abs(gain))
    if gain.shape not in ((), shape):
        raise ValueError(
            f"`{name}` must be a scalar or have the shape {shape} of the transfer, got {gain.shape}."
        )


def _check_effects(
    name: str, chain: Any, signed: bool, reason: str, unfit: type[Effect], unfit_reason: str
) -> None:
    """Check that a chain holds effects alone, for values of this sign, and none of a kind that is out of
    place.
    """
    if not isinstance(chain, Sequence):
        raise ValueError(f"`{name}` must be a tuple of effects from `optics.effects`, got {chain!r}.")
    for effect in chain:
        if not isinstance(effect, Effect):
            raise ValueError(
                f"`{name}` must be a tuple of effects from `optics.effects`, got {effect!r} in it."
            )
        if isinstance(effect, unfit):
            raise ValueError(f"`{name}` cannot hold {type(effect).__name__}: {unfit_reason}.")
        if effect.signed not in (None, signed):
            raise ValueError(
                f"`{name}` cannot hold {type(effect).__name__}: {reason}"
                + ("; use `Quantize(bits, signed=True)`." if signed and isinstance(effect, Quantize) else ".")
            )
