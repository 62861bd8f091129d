"""The steps that every device takes: numbers to light, the setting of full scale, and checks of its parts."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact, PyTree

from optics._check import as_leaf, check_finite_field, check_instance, check_number, describe
from optics._keys import split_key
from optics._numerics import unit_ratio
from optics._typing import (
    ArrayLike,
    EffectsLike,
    EncoderLike,
    MeasurementLike,
    ScalarLike,
    TransferLike,
)
from optics.detect import AbstractMeasurement
from optics.device._modes import sum_modes
from optics.effects import Effect, Modulation, Noise, PerMode, Quantize, apply, laser_power
from optics.encode import ComplexAmplitude, Encoder, complex_amplitude
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


def encode(
    encoder: Encoder,
    slm: tuple[Effect, ...],
    transfer: AbstractTransfer,
    a: Inexact[Array, "*lead rows cols"],
) -> tuple[Inexact[Array, "*lead exposures slm_rows slm_cols"], Float[Array, "*lead 1 1"]]:
    """The drive and its scale, with the gradient of the scale where the modulator is not linear.

    Behind a linear modulator the scale cancels, and its gradient would only hold the rounding of converters.
    """
    # Behind sub-pixels a number in two phases is linear in the middle of the order alone.
    has_linear_light = transfer.subpixels == 1 or not encoder.phase_only
    if has_linear_light and all(effect.linear for effect in slm):
        return encoder.encode(a)
    return encoder.encode_with_slope(a)


def encode_amplitude(
    a: Inexact[Array, "*lead rows cols"], modulator: tuple[Effect, ...]
) -> tuple[Inexact[Array, "*lead rows cols"], Float[Array, "*lead 1 1"]]:
    """`encode.complex_amplitude`, with the gradient of the scale where the modulator is not linear."""
    if all(effect.linear for effect in modulator):
        return complex_amplitude(a)
    ratio = unit_ratio(ComplexAmplitude().largest(a))
    drive, scale = complex_amplitude(a / ratio)
    return drive, scale * ratio


def form_frames(
    measurement: AbstractMeasurement,
    parts: PyTree,
    propagate: Callable,
    full_scale: Float[Array, "*lead exposures 1 1"],
    keys: tuple[Array | None, ...],
    shape: tuple[int, int],
    real: bool,
) -> Float[Array, "*lead exposures frames camera_rows camera_cols"]:
    """The frames of light, before the effects of the camera.

    Frames that are exposures of their own have their own draw of all that fluctuates in the light. Those of
    modes of light that do not interfere add up.

    Arguments:
        measurement: light -> frames.
        parts: what light meets, chains of effects and transfers, which may differ between modes.
        propagate: a function of the parts and of the keys that returns the field at the detector, shape (...,
            exposures, rows, columns), and the power of the laser that it had, shape (..., exposures, 1, 1),
            or None.
        full_scale: in the unit of the field.
        keys: of the modulators; all are None without noise.
        shape: of the field, (rows, columns).
        real: whether the field is real.
    """
    is_steady = measurement.single_exposure or None in keys
    count = 1 if is_steady else measurement.frame_count(shape, real)
    draws = keys if count == 1 else tuple(split_key(key, count) for key in keys)

    def form(parts):
        if count == 1:
            field, power = propagate(parts, *draws)
            return _with_laser(measurement.frames, field / full_scale, power, axis=-3)
        # Only the draws differ: what stands before the first of them is computed once.
        fields, powers = jax.vmap(functools.partial(propagate, parts), out_axes=-3)(*draws)
        return _with_laser(measurement.frames_in_turn, fields / full_scale[..., None, :, :], powers)

    return sum_modes(parts, form, measurement.linear)


def _with_laser(
    frames_of: Callable,
    field: Inexact[Array, "..."],
    power: Float[Array, "..."] | None,
    axis: int | None = None,
) -> Float[Array, "..."]:
    """Frames under a laser of this power, which feeds the reference too: the field is that of a steady laser
    times √power, and the frames are those of a steady laser times the power.
    """
    if power is None:
        return frames_of(field)
    return frames_of(field / jnp.sqrt(power)) * (power if axis is None else jnp.expand_dims(power, axis))


def draw_laser_power(
    slm: tuple[Effect, ...], drive: Inexact[Array, "*lead slm_rows slm_cols"], key: Array | None
) -> Float[Array, "*lead 1 1"] | None:
    """The power of the laser, relative to its mean, in each exposure of a drive that `slm` takes with this
    key; None where it is steady.
    """
    return laser_power(slm, (*drive.shape[:-2], 1, 1), drive.real.dtype, key)


def modulate(
    encoder: Encoder,
    slm: tuple[Effect, ...],
    transfer: AbstractTransfer,
    drive: Inexact[Array, "*lead exposures slm_rows slm_cols"],
    key: Array | None,
) -> Inexact[Array, "*lead exposures light_rows light_cols"]:
    """Light behind the modulator, on the pixels that the transfer takes. Pixels larger than those light all
    of their parts alike.

    Raises:
        ValueError: light of pixels that those of the transfer do not divide.
    """
    expected = light_shape(transfer.shape, transfer.subpixels)
    light = encoder.demodulate(apply(slm, drive, key), transfer.shape, keep_subpixels=transfer.subpixels > 1)
    for axis, count in zip((-2, -1), expected, strict=True):
        if light.shape[axis] < count and count % light.shape[axis] == 0:
            light = jnp.repeat(light, count // light.shape[axis], axis=axis)
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
    check_number("headroom", headroom, 1.0)
    return as_leaf(headroom)


def check_measurement(measurement: MeasurementLike) -> None:
    """Check that `measurement` is an instance of a measurement, not its class."""
    if not isinstance(measurement, AbstractMeasurement):
        raise ValueError(
            "`measurement` must be an `AbstractMeasurement`, such as `optics.Coherent()`, got "
            f"{describe(measurement)}."
        )


def check_encoder(encoder: EncoderLike) -> None:
    """Check that `encoder` is an instance of an encoder."""
    if not isinstance(encoder, Encoder):
        raise ValueError(
            f"`encoder` must be an `Encoder`, such as `optics.encode.ComplexAmplitude()`, got "
            f"{describe(encoder)}."
        )


def check_modulator(name: str, chain: EffectsLike) -> None:
    """Check that every effect has a meaning on a modulator."""
    _check_effects(name, chain, True, "amplitudes are signed", Noise, "this noise is of detectors")


def check_camera(name: str, chain: EffectsLike, measurement: AbstractMeasurement) -> None:
    """Check that every effect has a meaning on the frames of a measurement."""
    signed = measurement.signed
    reason = f"the frames of {type(measurement).__name__} are {'' if signed else 'not '}signed"
    _check_effects(name, chain, signed, reason, Modulation, "it acts on light as it leaves a modulator")


def check_power_modulator(name: str, chain: EffectsLike, signed: bool = False) -> None:
    """Check that every effect has a meaning on a modulator of light that does not interfere."""
    reason = f"its powers are {'' if signed else 'not '}signed"
    unfit = "it acts on fields or on frames, and this modulator sets powers"
    _check_effects(name, chain, signed, reason, (Noise, Modulation), unfit)


def check_photodiodes(name: str, chain: EffectsLike, signed: bool) -> None:
    """Check that every effect has a meaning on the frames of photodiodes, or of pairs of them."""
    reason = (
        f"the frames of {'differential ' if signed else ''}photodiodes are {'' if signed else 'not '}signed"
    )
    _check_effects(name, chain, signed, reason, Modulation, "it acts on light as it leaves a modulator")


def as_gain(name: str, gain: ArrayLike, shape: tuple[int, int]) -> Array:
    """A gain as a leaf; refuse one that is not finite, or neither a scalar nor a map of the device's
    pixels.
    """
    check_finite_field(name, gain)
    leaf = as_leaf(gain)
    if leaf.shape not in ((), shape):
        raise ValueError(
            f"`{name}` must be a scalar or have the shape {shape} of the transfer, got {leaf.shape}."
        )
    return leaf


def check_same_pixels(first: AbstractTransfer, second: AbstractTransfer) -> None:
    """Check that the lenses before and behind a filter have the same pixels."""
    if first.shape != second.shape:
        raise ValueError(
            f"`first` and `second` must have the same pixels, got {first.shape} and {second.shape}."
        )


def centred_spectrum(kernel: Inexact[Array, "*lead rows cols"]) -> Complex[Array, "*lead rows cols"]:
    """The unitary spectrum of a kernel that the electronics compute, origin at pixel n//2 on both sides."""
    axes = (-2, -1)
    return jnp.fft.fftshift(jnp.fft.fft2(jnp.fft.ifftshift(kernel, axes), norm="ortho"), axes)


def check_transfer(name: str, transfer: TransferLike) -> None:
    """Check that `transfer` is an instance of a transfer."""
    check_instance(name, transfer, AbstractTransfer, "`optics.dft(11)` or `optics.compile_transfer(lens)`")


def _check_effects(
    name: str,
    chain: Any,
    signed: bool,
    reason: str,
    unfit: type[Effect] | tuple[type[Effect], ...],
    unfit_reason: str,
) -> None:
    """Check that a chain holds effects alone, for values of this sign, and none of a kind that is out of
    place.
    """
    if not isinstance(chain, Sequence):
        raise ValueError(f"`{name}` must be a tuple of effects from `optics.effects`, got {describe(chain)}.")
    for effect in chain:
        if not isinstance(effect, Effect):
            raise ValueError(
                f"`{name}` must be a tuple of effects from `optics.effects`, got {describe(effect)} in it."
            )
        # An effect of each mode is at home where it is one of light as it leaves a modulator.
        if isinstance(effect, PerMode) and not isinstance(effect, unfit):
            effect = effect.nominal
        if isinstance(effect, unfit):
            raise ValueError(f"`{name}` cannot hold {type(effect).__name__}: {unfit_reason}.")
        if effect.signed not in (None, signed):
            raise ValueError(
                f"`{name}` cannot hold {type(effect).__name__}: {reason}"
                + ("; use `Quantize(bits, signed=True)`." if signed and isinstance(effect, Quantize) else ".")
            )
