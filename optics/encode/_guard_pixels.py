"""Panel pixels between the squares of two numbers, which hold what does not change."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_finite, check_instance, check_whole, describe
from optics._phases import TWO_PI, unit_phasor
from optics._typing import ArrayLike, CountLike, EncoderLike
from optics.encode._encoder import Encoder, EncoderOnEncoder, kronecker


class GuardPixels(EncoderOnEncoder):
    """Each pixel of an encoder's drive on a square of panel pixels, the outer ones of which are guards.

        panel pixel (i, j) of a square:  drive of `encoder`  at least `guard` pixels from its edges
                                         exp(i phases[(i + j) mod 2])  nearer to them; 0 if amplitudes are set
        dims the numbers by              ((group − 2 guard) / group)²

    Crosstalk then acts between a number and guards that are the same for all numbers, and hardly between two
    numbers: how far the light of one moves with the others falls to an eighth (`group` of 6, one guard). But
    every edge of a number is then a step to a guard, where neighbours may have been alike. Guards pay where
    neighbours differ much: the convolution of `slm-4f` at 8×8, with both exposures of `DoublePhase` on a
    checkerboard and `Predistorted`, is wrong by 0.23 with one guard in place of 0.45. They do not pay with
    the `SequentialPhase` that it has: 0.087 in place of 0.048.

    The two phases of guards are the ends of the range by default. Between them a number whose phase crosses
    the end of the range meets the same edges before and after; with any others its light jumps there. The
    light of guards does not change: it is a background, which `subtract_background` takes off. A meter sees
    it too.

    Guards cost no exposure. They cost resolution, `group` · `group` panel pixels a pixel of the drive, and
    the light above, of which the square is the power. Effects act on panel pixels: the kernel of `Crosstalk`
    is in their pitch. Describe the lens with as many `subpixels` as a number has panel pixels, or with 1.

    Arguments:
        encoder: numbers -> drive.
        group: panel pixels a side of a pixel of its drive.
        guard: panel pixels on each side of the square; 0 for squares without guards.
        phases: of the guards in turn, as on a checkerboard, rad, shape (2,), by default the ends of the range
            of 8 bits; of no effect on a modulator that sets amplitudes, where guards are dark.

    Raises:
        ValueError: an `encoder` that is none, `group` below 1, a `guard` that leaves nothing of the square,
            or `phases` that are not two finite numbers.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> encoder = optics.encode.GuardPixels(optics.encode.SequentialPhase(), 4, phases=(0.0, 3.0))
        >>> drive, scale = encoder.encode(jnp.ones((2, 2)) / 2)
        >>> print(jnp.abs(jnp.angle(drive[0, :4, :4])).round(2))
        [[0.   3.   0.   3.  ]
         [3.   0.04 0.04 0.  ]
         [0.   0.04 0.04 3.  ]
         [3.   0.   3.   0.  ]]
    """

    phases: Array = eqx.field(converter=as_leaf)
    group: int = eqx.field(static=True)
    guard: int = eqx.field(static=True)

    def __init__(
        self,
        encoder: EncoderLike,
        group: CountLike,
        guard: CountLike = 1,
        phases: ArrayLike = (0.0, TWO_PI * 255 / 256),
    ):
        check_instance("encoder", encoder, Encoder, "`optics.encode.SequentialPhase()`")
        check_whole("group", group, 1, 256)
        check_whole("guard", guard, 0, 128)
        if 2 * guard >= group:
            raise ValueError(
                f"`guard` must leave a part of the {group} panel pixels of a square, at most "
                f"{(group - 1) // 2}, got {guard}."
            )
        check_finite("phases", phases, "rad")
        if np.shape(phases) != (2,):
            raise ValueError(f"`phases` must be two, got {describe(phases)}.")
        self.encoder, self.phases = encoder, phases
        self.group, self.guard = int(group), int(guard)

    @property
    def subpixels(self) -> tuple[int, int]:
        p, q = self.encoder.subpixels
        return p * self.group, q * self.group

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Inexact[Array, "*lead exposures slm_rows slm_cols"], Float[Array, "*lead 1 1"]]:
        """Drives (..., exposures, rows·p·group, columns·q·group) and scale, that of `encoder` over the light
        left.
        """
        drive, scale = self.encoder.encode(a)
        is_open = self._open_line()
        square = is_open[:, None] & is_open
        panel = kronecker(drive, jnp.asarray(square, drive.real.dtype))
        if self.phase_only:
            panel = panel + jnp.tile(self._ring(square, drive.real.dtype), drive.shape[-2:])
        return panel, scale / self._light()

    def _open_line(self) -> np.ndarray:
        """Which panel pixels along a side of a square are no guards."""
        place = np.arange(self.group)
        return (place >= self.guard) & (place < self.group - self.guard)

    def _ring(self, square: np.ndarray, dtype: np.dtype) -> Complex[Array, "group group"]:
        """Light of the guards of a square."""
        is_odd = np.indices(square.shape).sum(axis=0) % 2 == 1
        first, second = self.phases.astype(dtype)
        return jnp.where(square, 0, unit_phasor(jnp.where(is_odd, second, first)))

    def _light(self) -> float:
        """Amplitude of a number in its order, over that of an encoder on whole pixels."""
        offset = (np.arange(self.group) + 0.5) / self.group - 0.5
        is_open, light = self._open_line(), 1.0
        for cycles, pixels in zip(self.order, self.encoder.subpixels, strict=True):
            # The phase of the order turns within a square.
            light *= float(np.mean(is_open * np.cos(2 * np.pi * cycles * offset / pixels)))
        return light
