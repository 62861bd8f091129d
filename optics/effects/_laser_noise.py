"""Noise of the laser: its power, and the direction of its beam."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import as_leaf, check_number
from optics._keys import split_key
from optics._numerics import standard_deviation
from optics._phases import as_complex, unit_phasor
from optics._typing import ScalarLike
from optics.effects._effect import Modulation
from optics.effects._flicker import exposure_shape


class LaserNoise(Modulation):
    """Noise of the laser, one draw for all pixels of an exposure.

        light -> light · √(P/P̄) · exp(i (θ_y y + θ_x x)),   ln(P/P̄) ~ Normal(−s²/2, s²),   s² = ln(1 + rin²)

    P has the mean P̄ and the standard deviation rin · P̄ exactly and is never negative; for small `rin` it is
    Normal. x and y count pixels from pixel n//2; θ ~ Normal(0, pointing²) is the wander of the beam. Without
    a key the beam is steady.

    In a device one laser lights everything: the reference of an interferometer and the local oscillator of a
    receiver have the power of the same draw, so that a frame is that of the steady laser times P/P̄. Frames
    that follow each other have draws of their own. Put it last in the chain of a modulator: the laser lights
    the leaks too. The reference does not wander.

    Laboratories divide each frame by the power that a monitor had during it: a photodiode, or pixels of the
    camera beside the array that the reference alone lights. With n photoelectrons it knows the power to
    1/√n; weighed with the mean power, what is left of the noise is

        rin / √(1 + n rin²)

    Arguments:
        rin: relative rms power noise from exposure to exposure, the root of the integral of the relative
            intensity noise over the band of the exposure; scalar.
        pointing: rms phase step from a pixel to the next, 2π · pitch · angle / λ, rad, scalar; None for a
            beam that does not wander.
        monitor: n, photoelectrons of a monitor in an exposure, scalar; 0 without one.

    Raises:
        ValueError: `rin`, `pointing` or `monitor` negative.

    Source: R. Paschotta, Encyclopedia of Laser Physics and Technology (2008), relative intensity noise.
    """

    linear: ClassVar[bool] = True
    rin: Array = eqx.field(converter=as_leaf)
    pointing: Array | None
    monitor: Array = eqx.field(converter=as_leaf)

    def __init__(self, rin: ScalarLike, pointing: ScalarLike | None = None, monitor: ScalarLike = 0.0):
        check_number("rin", rin, 0.0)
        check_number("monitor", monitor, 0.0, unit="photoelectrons")
        if pointing is not None:
            check_number("pointing", pointing, 0.0, unit="rad")
        self.rin = rin
        self.pointing = None if pointing is None else as_leaf(pointing)
        self.monitor = monitor

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        if key is None:
            return value if self.pointing is None else as_complex(value)
        dtype = value.real.dtype
        value = value * jnp.sqrt(self.laser_power(key, exposure_shape(value), dtype))
        if self.pointing is None:
            return value
        y, x = (jnp.arange(n, dtype=dtype) - n // 2 for n in value.shape[-2:])
        _, beam_key = split_key(key, 2)
        tilt = self.pointing * jax.random.normal(beam_key, (2, *exposure_shape(value)), dtype)
        return as_complex(value) * unit_phasor(tilt[0] * y[:, None] + tilt[1] * x)

    def laser_power(self, key: Array, shape: tuple[int, ...], dtype: np.dtype) -> Float[Array, "*shape"]:
        """P/P̄ of each exposure, as the light behind the effect has it with the same key."""
        power_key, _ = split_key(key, 2)
        variance = jnp.log1p(self.rin**2 / (1 + self.monitor * self.rin**2))
        normal = jax.random.normal(power_key, shape, dtype)
        return jnp.exp(standard_deviation(variance) * normal - variance / 2).astype(dtype)
