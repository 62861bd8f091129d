"""What every encoder is: numbers to drives, exposures to light, fields to a field."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics.effects._phase import phasor


class Encoder(eqx.Module):
    """How numbers become light, in one or more exposures, on one or more pixels a number.

    For the transform T of an optics (linear in the field), of numbers a:

        drive, scale = encoder.encode(a)                    (..., exposures, rows·p, columns·q) and (..., 1, 1)
        light = encoder.demodulate(slm(drive), a.shape[-2:])      what the optics sees, (..., exposures, rows, columns)
        T a ≈ scale · encoder.combine(T light)              (..., rows, columns)

    The scale is per example (the last two axes of `a`), a setting of the electronics through which no gradient flows.

    Attributes:
        exposures: for one field; a measurement multiplies them by its own frames.
        subpixels: modulator pixels (p, q) for one number, down and across.
        order: diffraction order that carries the signal, cycles per number (down, across), on which the optics is centred.
        phase_only: the modulator sets phases alone, one number a pixel.
        supports_real: the weights of `combine` are real, so that of a field known to be real one quadrature is enough.
    """

    exposures: ClassVar[int] = 1
    subpixels: ClassVar[tuple[int, int]] = (1, 1)
    order: ClassVar[tuple[float, float]] = (0.0, 0.0)
    phase_only: ClassVar[bool] = False
    supports_real: ClassVar[bool] = True

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Inexact[Array, "*lead exposures slm_rows slm_cols"], Float[Array, "*lead 1 1"]]:
        """Drives of at most 1 in modulus and their scale, in the unit of `a`."""
        raise NotImplementedError

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
    ) -> Inexact[Array, "*lead light_rows light_cols"]:
        """The light relative to the order that the optics is centred on, a pixel a number.

            mean over the block of light · exp(−2πi (f_y y + f_x x))

        The mean is exact in the middle of the order. Elsewhere sub-pixels have phases of their own, which an optics that
        starts from sub-pixels knows.

        Arguments:
            light: behind the modulator, any whole multiple of `shape` (sub-pixels of crosstalk among them).
            shape: of the numbers, (rows, columns).
            keep_subpixels: keep the sub-pixels, turned to the order.

        Raises:
            ValueError: planes of `light` that are no whole multiple of `shape`.
        """
        if any(have % want for have, want in zip(light.shape[-2:], shape, strict=True)):
            have, want = ("×".join(map(str, pair)) for pair in (light.shape[-2:], shape))
            raise ValueError(
                f"`light` has planes of {have}, which is no whole multiple of the {want} numbers; encode the numbers first."
            )
        blocks = tuple(have // want for have, want in zip(light.shape[-2:], shape, strict=True))
        if any(self.order):
            turns = [
                f * ((jnp.arange(have, dtype=light.real.dtype) + 0.5) / block - 0.5)
                for f, have, block in zip(self.order, light.shape[-2:], blocks, strict=True)
            ]
            light = light * phasor(-2 * jnp.pi * jnp.mod(turns[0][:, None] + turns[1], 1.0))
        if keep_subpixels or blocks == (1, 1):
            return light
        (rows, cols), (p, q) = shape, blocks
        return jnp.mean(light.reshape(*light.shape[:-2], rows, p, cols, q), axis=(-3, -1))


def brightest(a: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead 1 1"]:
    """max |a| over each plane, 1 where all is zero; no gradient."""
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(a)), axis=(-2, -1), keepdims=True)
    return jnp.where(largest > 0, largest, 1)


def blocks(
    value: Inexact[Array, "*lead rows cols"], pattern: Inexact[Array, "p q"]
) -> Inexact[Array, "*lead slm_rows slm_cols"]:
    """Each number times the pattern, as a block of pixels: the Kronecker product of the last two axes."""
    (rows, cols), (p, q) = value.shape[-2:], pattern.shape
    product = value[..., :, None, :, None] * pattern[:, None, :]
    return product.reshape(*value.shape[:-2], rows * p, cols * q)
