"""The one type of every encoder, and the steps that encoders share."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._numerics import safe_abs, unit_ratio
from optics._phases import TWO_PI, unit_phasor


class Encoder(eqx.Module):
    """How numbers become light, in one or more exposures, on one or more pixels a number.

    For a transfer T (linear in the field) of numbers a:

        drive, scale = encoder.encode(a)                      (..., exposures, rows·p, columns·q), (..., 1, 1)
        light = encoder.demodulate(slm(drive), a.shape[-2:])  (..., exposures, rows, columns)
        T a ≈ scale · encoder.combine(T light)                (..., rows, columns)

    The scale is per example (the last two axes of `a`), a setting of the electronics. `encode` passes no
    gradient through it; a device whose modulator is not linear adds it (`largest`). A subclass has `encode`,
    and sets the attributes and overrides `combine` where they differ from one exposure of a pixel a number.

    Attributes:
        exposures: for one field; a measurement multiplies them by its own frames.
        subpixels: modulator pixels (p, q) for one number, down and across.
        order: diffraction order that carries the signal, cycles per number (down, across), on which the
            transfer is centred.
        phase_only: the modulator sets phases alone, one number a pixel.
        supports_real: the weights of `combine` are real, so that of a field known to be real one quadrature
            is enough.
    """

    exposures: ClassVar[int] = 1
    subpixels: ClassVar[tuple[int, int]] = (1, 1)
    order: ClassVar[tuple[float, float]] = (0.0, 0.0)
    phase_only: ClassVar[bool] = False
    supports_real: ClassVar[bool] = True

    @abc.abstractmethod
    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Inexact[Array, "*lead exposures slm_rows slm_cols"], Float[Array, "*lead 1 1"]]:
        """Drives of at most 1 in modulus and their scale, in the unit of `a`."""

    def encode_with_slope(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Inexact[Array, "*lead exposures slm_rows slm_cols"], Float[Array, "*lead 1 1"]]:
        """Drives and scale as `encode` gives them, with the gradient of the scale as well."""
        ratio = unit_ratio(self.largest(a))
        drive, scale = self.encode(a / ratio)
        return drive, scale * ratio

    def largest(self, a: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead 1 1"]:
        """What the scale is in proportion to, with its gradient: the largest amplitude of each plane."""
        return jnp.max(safe_abs(a), axis=(-2, -1), keepdims=True)

    def combine(
        self, fields: Inexact[Array, "*lead exposures rows cols"]
    ) -> Inexact[Array, "*lead rows cols"]:
        """The field of the numbers, from the fields of the exposures; linear."""
        return fields[..., 0, :, :]

    def demodulate(
        self,
        light: Inexact[Array, "*lead light_rows light_cols"],
        shape: tuple[int, int],
        keep_subpixels: bool = False,
    ) -> Inexact[Array, "*lead new_rows new_cols"]:
        """The light relative to the order that the transfer is centred on, a pixel a number.

            mean over the block of light · exp(−2πi (f_y y + f_x x))

        The mean is exact in the middle of the order. Elsewhere sub-pixels have phases of their own, which a
        transfer that starts from sub-pixels takes in.

        Arguments:
            light: behind the modulator, any whole multiple of `shape` (sub-pixels of crosstalk among them).
            shape: of the numbers, (rows, columns).
            keep_subpixels: keep the sub-pixels, with the phase of the order taken off.

        Returns:
            light, planes of `shape`; of the shape of `light` with `keep_subpixels`.

        Raises:
            ValueError: planes of `light` that are no whole multiple of `shape`.
        """
        if any(pixels % numbers for pixels, numbers in zip(light.shape[-2:], shape, strict=True)):
            pixels, numbers = ("×".join(map(str, plane)) for plane in (light.shape[-2:], shape))
            raise ValueError(
                f"`light` has planes of {pixels}, which is no whole multiple of the {numbers} numbers; "
                "encode the numbers first."
            )
        block = tuple(pixels // numbers for pixels, numbers in zip(light.shape[-2:], shape, strict=True))
        if any(self.order):
            light = light * unit_phasor(-carrier_phase(self.order, light.shape[-2:], block, light.real.dtype))
        if keep_subpixels or block == (1, 1):
            return light
        (rows, cols), (p, q) = shape, block
        return jnp.mean(light.reshape(*light.shape[:-2], rows, p, cols, q), axis=(-3, -1))


class EncoderOnEncoder(Encoder):
    """An encoder that changes what another one shows, and is like it in all that it does not override."""

    encoder: Encoder

    @property
    def exposures(self) -> int:
        return self.encoder.exposures

    @property
    def subpixels(self) -> tuple[int, int]:
        return self.encoder.subpixels

    @property
    def order(self) -> tuple[float, float]:
        return self.encoder.order

    @property
    def phase_only(self) -> bool:
        return self.encoder.phase_only

    @property
    def supports_real(self) -> bool:
        return self.encoder.supports_real

    def largest(self, a: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead 1 1"]:
        return self.encoder.largest(a)

    def combine(
        self, fields: Inexact[Array, "*lead exposures rows cols"]
    ) -> Inexact[Array, "*lead rows cols"]:
        return self.encoder.combine(fields)


def carrier_phase(
    order: tuple[float, float], shape: tuple[int, int], block: tuple[int, int], dtype: np.dtype
) -> Float[Array, "slm_rows slm_cols"]:
    """Phase (rad, modulo 2π) of the order at each modulator pixel, with `block` pixels a number."""
    y, x = (
        f * ((jnp.arange(pixels, dtype=dtype) + 0.5) / per_number - 0.5)
        for f, pixels, per_number in zip(order, shape, block, strict=True)
    )
    return TWO_PI * jnp.mod(y[:, None] + x, 1.0)


def largest_amplitude(a: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead 1 1"]:
    """max |a| over each plane, 1 where all is zero; no gradient."""
    flat = jax.lax.stop_gradient(a).reshape(*a.shape[:-2], 1, -1)
    largest = jnp.max(jnp.abs(flat), axis=-1, keepdims=True)
    return jnp.where(largest > 0, largest, 1)


def kronecker(
    value: Inexact[Array, "*lead rows cols"], pattern: Inexact[Array, "p q"]
) -> Inexact[Array, "*lead slm_rows slm_cols"]:
    """The Kronecker product of the last two axes: each number times the pattern, as a block of pixels."""
    (rows, cols), (p, q) = value.shape[-2:], pattern.shape
    product = value[..., :, None, :, None] * pattern[:, None, :]
    return product.reshape(*value.shape[:-2], rows * p, cols * q)
