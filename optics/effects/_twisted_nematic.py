"""A twisted-nematic panel between a polariser and an analyser."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_choice, check_finite, check_number, check_positive
from optics._numerics import safe_sign
from optics._phases import TWO_PI, as_complex, safe_angle, unit_phasor, wrap_phase
from optics._typing import ArrayLike, ScalarLike, TextLike
from optics.effects._effect import Modulation
from optics.polarisation import twisted_nematic_transmission

# Asked phases that the table of nearest levels tells apart, for each level of the panel.
PHASES_PER_LEVEL = 16


class TwistedNematic(Modulation):
    """A twisted-nematic panel between a polariser and an analyser: amplitude and phase change together.

        light -> |light| · t(Γ(drive)) / exp(i arg t(Γ of drive 0))

    t is `polarisation.twisted_nematic_transmission`, of modulus at most 1: what the analyser does not pass is
    lost. The phase asked, φ = arg light in [0, 2π), is set in one of two ways:

        "linear"    the drive is φ / 2π; Γ is interpolated between the entries of the table
        "nearest"   the drive is the entry of the table whose t is nearest to max|t| · exp(iφ) in the plane of
                    complex numbers, to 1/32 of a level: a panel that was measured and is used for phase

    The light's amplitude is kept as a factor: a pixel has one drive and cannot set it too. Drives in between
    are groups of panel pixels. Angles between polariser and analyser at which |t| hardly changes
    ("phase-mostly") are found by maximising over `polariser` and `analyser`; all numbers have slopes. That of
    the light goes through "nearest" as if the phase followed exactly.

    Arguments:
        retardance: Γ at equally spaced drives, shape (levels,), rad, rising or falling. For "linear" the
            first is at φ = 0 and the last at 2π, and a table that falls turns phases the other way.
        twist: from entrance to exit, rad, one number.
        polariser: angle of the light, from the director at the entrance, rad, one number.
        analyser: angle that passes, from the director at the entrance, rad, one number.
        gain: relative retardance of each pixel (thickness of the cell), scalar or map; the table of nearest
            levels does not know it.
        lookup: "nearest" or "linear".

    Raises:
        ValueError: a `retardance` that is not a line of at least 2 finite numbers, an angle that is not one
            finite number, a `gain` that is not positive, or another `lookup`.

    Source: K. Lu and B. E. A. Saleh, Opt. Eng. 29, 240 (1990), on the transmission; R. D. Juday, Appl. Opt.
        32, 5100 (1993), on the nearest value in the complex plane.

    Example:
        >>> import jax.numpy as jnp, numpy as np, optics
        >>> panel = optics.effects.TwistedNematic(np.linspace(0.5, 5.5, 256), np.pi / 2, 0.38, 1.17)
        >>> light = panel.curve(jnp.linspace(0, 1, 256))
        >>> amplitude, phase = abs(light), jnp.unwrap(jnp.angle(light))
        >>> print(f"{amplitude.min():.1f} to {amplitude.max():.1f} over {phase[-1]:.1f} rad")
        0.6 to 0.7 over 5.4 rad
    """

    retardance: Float[Array, " levels"]
    twist: Array = eqx.field(converter=as_leaf)
    polariser: Array = eqx.field(converter=as_leaf)
    analyser: Array = eqx.field(converter=as_leaf)
    gain: Array = eqx.field(converter=as_leaf)
    lookup: str = eqx.field(static=True)

    def __init__(
        self,
        retardance: ArrayLike,
        twist: ScalarLike = np.pi / 2,
        polariser: ScalarLike = 0.0,
        analyser: ScalarLike = np.pi / 2,
        gain: ArrayLike = 1.0,
        lookup: TextLike = "nearest",
    ):
        check_finite("retardance", retardance, "rad")
        if np.ndim(retardance) != 1 or np.size(retardance) < 2:
            raise ValueError(
                "`retardance` must be a line of at least 2 numbers in rad, one for each level, got shape "
                f"{np.shape(retardance)}."
            )
        check_number("twist", twist, unit="rad")
        check_number("polariser", polariser, unit="rad")
        check_number("analyser", analyser, unit="rad")
        check_positive("gain", gain)
        check_choice("lookup", lookup, ("nearest", "linear"))
        self.retardance = as_leaf(retardance)
        self.twist = twist
        self.polariser = polariser
        self.analyser = analyser
        self.gain = gain
        self.lookup = lookup

    def curve(self, drive: Float[Array, "*any"]) -> Complex[Array, "*any"]:
        """The transmission for a drive in [0, 1], relative to the phase of drive 0, of a pixel of gain 1."""
        return self._transmission(self._retardance_at(drive))

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Complex[Array, "*any"]:
        value = as_complex(value)
        if self.lookup == "linear":
            phi = safe_angle(value)
            retardance = self._retardance_at(wrap_phase(phi) / TWO_PI)
        else:
            phi = safe_angle(jax.lax.stop_gradient(value))
            nearest = self._nearest_levels()
            asked = jnp.round(wrap_phase(phi) * (nearest.size / TWO_PI)).astype(int)
            retardance = self.retardance[nearest[asked % nearest.size]]
        transmission = self._transmission(self.gain * retardance).astype(value.dtype)
        return value * unit_phasor(-phi) * transmission

    def _retardance_at(self, drive: Float[Array, "*any"]) -> Float[Array, "*any"]:
        last = self.retardance.size - 1
        table = self.retardance.astype(drive.dtype)
        return jnp.interp(drive * last, jnp.arange(last + 1, dtype=drive.dtype), table)

    def _transmission(self, retardance: Float[Array, "*any"]) -> Complex[Array, "*any"]:
        angles = self.twist, self.polariser, self.analyser
        first = twisted_nematic_transmission(self.retardance[0], *angles)
        return twisted_nematic_transmission(retardance, *angles) * jnp.conj(safe_sign(first))

    def _nearest_levels(self) -> Array:
        """The level nearest to each of many phases that may be asked for, equally spaced from 0 on."""
        values = jax.lax.stop_gradient(self._transmission(self.retardance))
        count = PHASES_PER_LEVEL * values.size
        asked = unit_phasor(jnp.arange(count, dtype=values.real.dtype) * (TWO_PI / count))
        brightest = jnp.max(jnp.abs(values))
        # |t − b exp(iφ)|² without the part that is the same for all levels.
        distance = jnp.abs(values) ** 2 - 2 * brightest * jnp.real(values * jnp.conj(asked)[:, None])
        return jnp.argmin(distance, axis=-1)
