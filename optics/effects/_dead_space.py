"""Light from the gaps between pixels."""

import equinox as eqx
from jaxtyping import Array, Complex, Inexact

from optics._check import as_leaf, check_finite, check_flag, check_range
from optics._phases import as_complex, unit_phasor
from optics._typing import ArrayLike, FlagLike
from optics.effects._effect import Modulation


class DeadSpace(Modulation):
    """The gaps between pixels reflect light that nothing modulates: the zero order.

        light -> F · light + (1 − F) · ρ exp(iφ₀)

    This is the field in the middle of the central order, where each pixel counts with its area. The share of
    power in the zero order is ((1 − F) ρ)². A transfer that dims the open area itself (`FourierLens.fill`)
    already has the factor F: use `apply_fill_factor=False` there. It leaves only the leak relative to the
    open area, (1 − F)/F · ρ exp(iφ₀).

    Arguments:
        fill: F, open share of the pixel's area, in (0, 1], scalar or map.
        reflectance: ρ, amplitude reflected by the gaps relative to that by the pixels, in [0, 1], scalar or
            map.
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

    def __init__(
        self,
        fill: ArrayLike,
        reflectance: ArrayLike = 1.0,
        phase: ArrayLike = 0.0,
        apply_fill_factor: FlagLike = True,
    ):
        check_range("fill", fill, 0.0, 1.0, open_low=True)
        check_range("reflectance", reflectance, 0.0, 1.0)
        check_finite("phase", phase, "rad")
        check_flag("apply_fill_factor", apply_fill_factor)
        self.fill = fill
        self.reflectance = reflectance
        self.phase = phase
        self.apply_fill_factor = bool(apply_fill_factor)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Complex[Array, "*any"]:
        value = as_complex(value)
        leak = (1 - self.fill) * self.reflectance * unit_phasor(self.phase)
        return self.fill * value + leak if self.apply_fill_factor else value + leak / self.fill
