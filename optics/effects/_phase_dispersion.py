"""What a panel of phases does to light of several wavelengths."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from optics import glass
from optics._check import check_choice, check_instance
from optics._typing import PartLike, TextLike
from optics.effects._per_mode import PerMode
from optics.effects._phase_lut import PhaseLUT
from optics.light import Light

CRYSTALS = ("5CB", "E7")


def phase_dispersion(light: PartLike, crystal: TextLike | None = None) -> PerMode:
    """The phases of a panel at each wavelength: a cell sets a path, which is more of a turn the shorter they
    are.

        φ_m = φ (λ / λ_m) (Δn(λ_m) / Δn(λ))

    λ is the carrier of the light, for which the drive is meant, and Δn the birefringence of the liquid
    crystal.

    Arguments:
        light: `light.Light`; the transfer of the device is that of `optics.illuminate` with the same light.
        crystal: "5CB" or "E7"; by default Δn is the same for all wavelengths.

    Returns:
        `PerMode` of `PhaseLUT`, for the end of a modulator's chain.

    Raises:
        ValueError: no `Light`, an unknown `crystal`, or a wavelength outside its range.

    Source: P. Yeh and C. Gu, Optics of Liquid Crystal Displays (2009), section 1.6, on dispersion.

    Example:
        >>> import optics
        >>> panel = optics.effects.phase_dispersion(optics.light.channels([600e-9, 650e-9]), "E7")
        >>> print(f"{panel.of_modes.stretch[1]:.3f}")
        -0.102
    """
    check_instance("light", light, Light, "`optics.light.line(633e-9, 10e-9)`")
    check_choice("crystal", crystal, (None, *CRYSTALS))
    ratio = jnp.ones(())
    if crystal is not None:
        ratio = _birefringence(crystal, light.wavelength) / _birefringence(crystal, light.carrier)
    stretch = jnp.broadcast_to((1 + light.detuning) * ratio - 1, light.detuning.shape)
    return PerMode(PhaseLUT(), jax.vmap(lambda of_mode: PhaseLUT(stretch=of_mode))(stretch))


def _birefringence(crystal: str, wavelength: Array) -> Float[Array, "*any"]:
    slow, fast = (glass.index(f"{crystal} {wave}", wavelength) for wave in ("extraordinary", "ordinary"))
    return slow - fast
