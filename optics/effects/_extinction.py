"""Light that a modulator does not modulate."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Complex, Inexact

from optics._check import as_leaf, check_finite, check_range
from optics.effects._effect import Modulation
from optics.effects._phase import light, phasor


class Extinction(Modulation):
    """Finite contrast: a pixel that is off still leaks, in phase with those that are on.

        light -> ε + (1 − ε) · light,   ε = 1/√ratio

    The leak is a field: a contrast of 1000:1 leaves 3.2 % of the amplitude, the same in every pixel, which a lens
    gathers in the zero order.

    Arguments:
        ratio: intensity of an open pixel over that of a closed one, at least 1, scalar or map.

    Raises:
        ValueError: `ratio` below 1.
    """

    ratio: Array = eqx.field(converter=as_leaf)

    def __init__(self, ratio: Any):
        check_range("ratio", ratio, 1.0, float("inf"))
        self.ratio = ratio

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        leak = self.ratio**-0.5
        return leak + (1 - leak) * value


class DeadSpace(Modulation):
    """The gaps between pixels reflect light that nothing modulates: the zero order.

        light -> F · light + (1 − F) · ρ exp(iφ₀)

    This is the field in the middle of the central order, where each pixel counts with its area. The share of power in
    the zero order is ((1 − F) ρ)². An optics that dims the open area itself (`FourierLens.fill`) already has the
    factor F: use there `apply_fill_factor=False`, which leaves the leak relative to the open area, (1 − F)/F · ρ exp(iφ₀), alone.

    Arguments:
        fill: F, open share of the pixel's area, in (0, 1], scalar or map.
        reflectance: ρ, amplitude reflected by the gaps relative to that by the pixels, in [0, 1], scalar or map.
        phase: φ₀ of that light, rad, scalar or map.
        apply_fill_factor: whether the open area dims the light here.

    Raises:
        ValueError: `fill` or `reflectance` outside its range, `phase` not finite.

    Source: R. W. Cohn, Opt. Eng. 40, 2452 (2001).
    """

    fill: Array = eqx.field(converter=as_leaf)
    reflectance: Array = eqx.field(converter=as_leaf)
    phase: Array = eqx.field(converter=as_leaf)
    apply_fill_factor: bool = eqx.field(static=True)

    def __init__(self, fill: Any, reflectance: Any = 1.0, phase: Any = 0.0, apply_fill_factor: bool = True):
        check_range("fill", fill, 0.0, 1.0, open_low=True)
        check_range("reflectance", reflectance, 0.0, 1.0)
        check_finite("phase", phase, "rad")
        self.fill, self.reflectance, self.phase, self.apply_fill_factor = (
            fill,
            reflectance,
            phase,
            bool(apply_fill_factor),
        )

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Complex[Array, "*any"]:
        value = light(value)
        leak = (1 - self.fill) * self.reflectance * phasor(self.phase)
        return self.fill * value + leak if self.apply_fill_factor else value + leak / self.fill
