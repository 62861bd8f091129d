"""How coherent light is: the complex degree of coherence, and the visibility of fringes."""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from optics._check import as_array, check_finite, check_instance, describe
from optics._numerics import safe_abs
from optics._phases import TWO_PI, unit_phasor
from optics._typing import ArrayLike, PartLike
from optics.light._light import Light

LIGHT_SPEED = 299_792_458.0  # m/s, in vacuum


def coherence(
    light: PartLike, delay: ArrayLike = 0.0, separation: ArrayLike = (0.0, 0.0)
) -> Complex[Array, "*any"]:
    """Complex degree of coherence of the light at two points of the modulator, one of them delayed.

        γ(Δ, τ) = Σ_k w_k exp(2πi (Δ · sin θ_k / λ_k − (ν_k − ν) τ))

    ν is the frequency of the carrier, the middle of a line. Of one point γ is that of Wiener and Khinchin,
    the Fourier transform of the spectrum; without a delay that of van Cittert and Zernike, the Fourier
    transform of the source.

    Arguments:
        light: `Light`.
        delay: τ of the second point, s, shape (...); a difference of paths over 299,792,458 m/s.
        separation: Δ (y, x) from the second point to the first, m, shape (..., 2), broadcasts against
            `delay`.

    Returns:
        γ, |γ| ≤ 1, shape (...), relative to the frequency of the carrier.

    Raises:
        ValueError: a `light` that is none, or a `delay` or a `separation` that is not finite or, the latter,
            without a last axis of two.

    Source: M. Born and E. Wolf, Principles of Optics (1999), sections 10.3.1, 10.4.2 and 10.4.4.

    Example:
        >>> from optics import light
        >>> print(f"{abs(light.coherence(light.line(633e-9, 1e-9), delay=1e-13)):.3f}")
        0.980
    """
    check_instance("light", light, Light, "`optics.light.laser(633e-9)`")
    check_finite("delay", delay, "s")
    check_finite("separation", separation, "m")
    delay, separation = as_array("delay", delay), as_array("separation", separation)
    if separation.ndim < 1 or separation.shape[-1] != 2:
        raise ValueError(
            f"`separation` must have a last axis of two numbers (y, x) in m, got {describe(separation)}."
        )
    frequency = light.detuning * (LIGHT_SPEED / light.carrier)
    per_metre = jnp.sin(light.tilt) / light.wavelength[:, None]
    turns = jnp.sum(separation[..., None, :] * per_metre, axis=-1) - delay[..., None] * frequency
    return jnp.sum(light.weights * unit_phasor(TWO_PI * turns), axis=-1)


def visibility(
    light: PartLike, delay: ArrayLike = 0.0, separation: ArrayLike = (0.0, 0.0)
) -> Float[Array, "*any"]:
    """Contrast of the fringes that the light of two points makes, equally bright and one of them delayed.

        V = (I_max − I_min) / (I_max + I_min) = |γ(Δ, τ)|

    Arguments:
        light: `Light`.
        delay: τ of the second point, s, shape (...).
        separation: Δ (y, x) of the points on the modulator, m, shape (..., 2), broadcasts against `delay`.

    Returns:
        V in [0, 1], shape (...); without a slope where it is zero.

    Raises:
        ValueError: as of `coherence`.

    Source: M. Born and E. Wolf, Principles of Optics (1999), eq. 10.3.22.

    Example:
        >>> from optics import light
        >>> print(light.visibility(light.laser(633e-9), delay=1e-9))
        1.0
    """
    return safe_abs(coherence(light, delay, separation))
