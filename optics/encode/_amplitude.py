"""Modulators that set amplitudes from 0 to 1: a number of any sign or phase takes several exposures."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import check_whole
from optics.effects._phase import TURN
from optics.encode._encoder import Encoder, brightest


class Amplitude(Encoder):
    """Numbers as non-negative amplitudes, in one exposure for each direction of the complex plane.

        a / scale = Σ_k drive_k exp(2πik/frames),   drive_k ≥ 0

    1 frame for numbers that are not negative, 2 for real ones (positive and negative part), 3 or 4 for complex ones. A
    number lies between two neighbouring directions, and only their drives are not zero. One frame shows negative
    numbers as 0, without gradient; complex numbers are refused by one and two.

    Arguments:
        frames: 1 to 4.

    Raises:
        ValueError: `frames` outside its range; `encode`: complex numbers where `frames` is 1 or 2.

    Source: J. W. Goodman and L. M. Woody, Appl. Opt. 16, 2611 (1977), for three components.
    """

    frames: int = eqx.field(static=True)

    def __init__(self, frames: int = 2):
        check_whole("frames", frames, 1, 4)
        self.frames = int(frames)

    @property
    def in_phase(self) -> bool:
        return self.frames <= 2

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Float[Array, "*lead frames rows cols"], Float[Array, "*lead 1 1"]]:
        """Drives (..., frames, rows, columns) in [0, 1] and scale (..., 1, 1)."""
        if self.frames <= 2 and jnp.iscomplexobj(a):
            raise ValueError(
                f"`a` must be real for {self.frames} frames, got {a.dtype}; `Amplitude(3)` and `Amplitude(4)` take complex numbers."
            )
        parts = self.split(a)
        scale = brightest(jnp.max(parts, axis=-3))
        return parts / scale[..., None, :, :], scale

    def combine(self, fields: Inexact[Array, "*lead frames rows cols"]) -> Inexact[Array, "*lead rows cols"]:
        """Σ_k exp(2πik/frames) fields_k."""
        if self.frames <= 2:
            return fields[..., 0, :, :] - fields[..., 1, :, :] if self.frames == 2 else fields[..., 0, :, :]
        return jnp.sum(self._directions(fields)[:, None, None] * fields, axis=-3)

    def split(self, a: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead frames rows cols"]:
        """The non-negative parts of `a`, in its unit."""
        if self.frames <= 2:
            # Zero belongs to one of the two only, so that its slope is counted once.
            parts = [jnp.where(a >= 0, a, 0), jnp.where(a < 0, -a, 0)]
            return jnp.stack(parts[: self.frames], axis=-3)
        z = a if jnp.iscomplexobj(a) else jax.lax.complex(a, jnp.zeros_like(a))
        n, width = self.frames, TURN / self.frames
        fixed = jax.lax.stop_gradient(z)
        sector = jnp.floor(jnp.mod(jnp.arctan2(fixed.imag, fixed.real), TURN) / width).astype(int) % n
        directions = self._directions(z)
        first, second = directions[sector], directions[(sector + 1) % n]
        # Coordinates in the oblique frame of the two directions, linear in the number.
        along_first = (jnp.conj(z) * second).imag / np.sin(width)
        along_second = (jnp.conj(first) * z).imag / np.sin(width)
        which = jnp.arange(n)[:, None, None]
        sector = sector[..., None, :, :]
        parts = jnp.where(which == sector, along_first[..., None, :, :], 0) + jnp.where(
            which == (sector + 1) % n, along_second[..., None, :, :], 0
        )
        # Rounding leaves a part on an edge of its sector a hair below zero.
        return jnp.where(parts >= 0, parts, 0)

    def _directions(self, like: Array) -> Complex[Array, " frames"]:
        turn = np.exp(1j * TURN * np.arange(self.frames) / self.frames)
        return jnp.asarray(turn, jnp.result_type(like, jnp.complex64))
