"""Modulators that set amplitudes from 0 to 1: a number of any sign or phase takes several exposures."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import check_whole
from optics._phases import TWO_PI, as_complex
from optics._typing import CountLike
from optics.encode._encoder import Encoder, largest_amplitude


class Amplitude(Encoder):
    """Numbers as non-negative amplitudes, in one exposure for each direction of the complex plane.

        a / scale = Σ_k drive_k exp(2πik/exposures),   drive_k ≥ 0

    1 exposure for numbers that are not negative, 2 for real ones (positive and negative part), 3 or 4 for
    complex ones. A number lies between two neighbouring directions, and only their drives are not zero. A
    single exposure encodes negative numbers as 0, without gradient; one and two exposures refuse complex
    numbers.

    Arguments:
        exposures: 1 to 4.

    Raises:
        ValueError: `exposures` outside its range; `encode`: complex numbers where `exposures` is 1 or 2.

    Source: J. W. Goodman and L. M. Woody, Appl. Opt. 16, 2611 (1977), for three components.
    """

    exposures: int = eqx.field(static=True)

    def __init__(self, exposures: CountLike = 2):
        check_whole("exposures", exposures, 1, 4)
        self.exposures = int(exposures)

    @property
    def supports_real(self) -> bool:
        return self.exposures <= 2

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Float[Array, "*lead exposures rows cols"], Float[Array, "*lead 1 1"]]:
        """Drives (..., exposures, rows, columns) in [0, 1] and scale (..., 1, 1)."""
        if self.exposures <= 2 and jnp.iscomplexobj(a):
            raise ValueError(
                f"`a` must be real for {self.exposures} exposures, got {a.dtype}; "
                "`Amplitude(3)` and `Amplitude(4)` take complex numbers."
            )
        parts = self.nonnegative_parts(a)
        scale = largest_amplitude(jnp.max(parts, axis=-3))
        return parts / scale[..., None, :, :], scale

    def largest(self, a: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead 1 1"]:
        """The largest of the non-negative parts."""
        return jnp.max(self.nonnegative_parts(a), axis=(-3, -2, -1))[..., None, None]

    def combine(
        self, fields: Inexact[Array, "*lead exposures rows cols"]
    ) -> Inexact[Array, "*lead rows cols"]:
        """Σ_k exp(2πik/exposures) fields_k."""
        if self.exposures == 1:
            return fields[..., 0, :, :]
        if self.exposures == 2:
            return fields[..., 0, :, :] - fields[..., 1, :, :]
        return jnp.sum(self._directions(fields)[:, None, None] * fields, axis=-3)

    def nonnegative_parts(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> Float[Array, "*lead exposures rows cols"]:
        """The non-negative parts of `a`, in its unit."""
        if self.exposures <= 2:
            # Zero belongs to one of the two only, so that its slope is counted once.
            parts = [jnp.where(a >= 0, a, 0), jnp.where(a < 0, -a, 0)]
            return jnp.stack(parts[: self.exposures], axis=-3)
        z = as_complex(a)
        n, width = self.exposures, TWO_PI / self.exposures
        constant = jax.lax.stop_gradient(z)
        sector = jnp.floor(jnp.mod(jnp.arctan2(constant.imag, constant.real), TWO_PI) / width).astype(int) % n
        directions = self._directions(z)
        first, second = directions[sector], directions[(sector + 1) % n]
        # Coordinates in the oblique frame of the two directions, linear in the number.
        along_first = (jnp.conj(z) * second).imag / np.sin(width)
        along_second = (jnp.conj(first) * z).imag / np.sin(width)
        direction = jnp.arange(n)[:, None, None]
        sector = sector[..., None, :, :]
        parts = jnp.where(direction == sector, along_first[..., None, :, :], 0) + jnp.where(
            direction == (sector + 1) % n, along_second[..., None, :, :], 0
        )
        # Rounding leaves a part on an edge of its sector slightly below zero.
        return jnp.where(parts >= 0, parts, 0)

    def _directions(self, like: Array) -> Complex[Array, " exposures"]:
        directions = np.exp(1j * TWO_PI * np.arange(self.exposures) / self.exposures)
        return jnp.asarray(directions, jnp.result_type(like, jnp.complex64))
