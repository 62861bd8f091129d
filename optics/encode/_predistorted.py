"""Drives that allow for what the modulator does to them."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import check_instance, check_whole, describe
from optics._typing import CountLike, EffectsLike, EncoderLike
from optics.effects import Effect, apply
from optics.encode._encoder import Encoder, EncoderOnEncoder


class Predistorted(EncoderOnEncoder):
    """An encoder whose numbers are changed so that the light behind a modulator is the wanted one.

        a₀ = a,   a_{k+1} = a_k + (a − scale_k · (light(a_k) − light(0)))
        light(a) = combine(demodulate(modulator(drive of a)))

    The electronics simulate the modulator as they know it, see by how much its light misses the numbers, and
    add that to the numbers before they encode them. The light of zeros is the background that a device
    subtracts. It costs no exposure and no resolution, only the
    simulation of the modulator `steps` times. It undoes what depends on the neighbours of a pixel, such as
    crosstalk, and the response of the pixels. The error falls by a factor a step as long as it is small;
    where a small change of a number moves its phase across the end of the range of the modulator, the light
    jumps and no step helps.

    Arguments:
        encoder: numbers -> light.
        modulator: effects as a calibration knows them, without a key: `Crosstalk`, or `PhaseLUT` and
            `Crosstalk`. What only dims all light alike is the business of gains, and what is unknown stays.
        steps: at least 1.

    Raises:
        ValueError: an `encoder` or a `modulator` that is not made of such parts, or `steps` below 1.

    Source: the iteration is that of P. J. van Cittert, Z. Phys. 69, 298 (1931).

    Example:
        >>> import optics
        >>> crosstalk = optics.effects.Crosstalk(optics.effects.SuperGaussian(width=20.0))
        >>> encoder = optics.encode.Predistorted(optics.encode.SequentialPhase(), (crosstalk,))
        >>> print(optics.FourierProcessor(optics.dft(8), slm=(crosstalk,), encoder=encoder).shape)
        (8, 8)
    """

    modulator: tuple[Effect, ...]
    steps: int = eqx.field(static=True)

    def __init__(self, encoder: EncoderLike, modulator: EffectsLike, steps: CountLike = 1):
        check_instance("encoder", encoder, Encoder, "`optics.encode.SequentialPhase()`")
        is_chain = isinstance(modulator, tuple | list) and all(isinstance(e, Effect) for e in modulator)
        if not is_chain or not modulator:
            raise ValueError(
                "`modulator` must be a tuple of at least one effect from `optics.effects`, got "
                f"{describe(modulator)}."
            )
        check_whole("steps", steps, 1)
        self.encoder = encoder
        self.modulator = tuple(modulator)
        self.steps = int(steps)

    def encode(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Complex[Array, "*lead exposures slm_rows slm_cols"], Float[Array, "*lead 1 1"]]:
        """Drives and scale of the changed numbers, as those of `encoder`."""
        background, _ = self._simulate(jnp.zeros(a.shape[-2:], a.dtype))
        is_dark = jnp.all(a == 0, axis=(-2, -1), keepdims=True)
        changed = a
        for _ in range(self.steps):
            light, scale = self._simulate(changed)
            error = a - scale * (light - background)
            # What rounding leaves of a plane of zeros would be encoded as if it were numbers.
            changed = changed + jnp.where(is_dark, 0, error)
        return self.encoder.encode_with_slope(changed)

    def _simulate(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[Inexact[Array, "*lead rows cols"], Float[Array, "*lead 1 1"]]:
        """Light behind the modulator as it is known, a pixel a number, and the scale of the numbers."""
        drive, scale = self.encoder.encode_with_slope(a)
        light = self.encoder.demodulate(apply(self.modulator, drive, None), a.shape[-2:])
        return self.encoder.combine(light), scale

    def demodulate(
        self,
        light: Inexact[Array, "*lead light_rows light_cols"],
        shape: tuple[int, int],
        keep_subpixels: bool = False,
    ) -> Inexact[Array, "*lead new_rows new_cols"]:
        """That of `encoder`."""
        return self.encoder.demodulate(light, shape, keep_subpixels)
