"""Light as a sum of mutually incoherent modes."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics._check import (
    as_array,
    as_leaf,
    as_real,
    check_finite,
    check_instance,
    check_positive,
    check_range,
    describe,
    is_concrete,
)
from optics._typing import ArrayLike, PartLike


class Light(eqx.Module):
    """Mutually incoherent modes of light: a power, a wavelength and a direction each.

        I(y, x) = Σ_k w_k |u_k(y, x)|²,   Σ_k w_k = 1

    u_k is the field that a plane wave of wavelength λ_k from direction θ_k makes at the camera. A mode's
    wavelength is that of the carrier, λ_k = λ / (1 + δ_k), with its detuning δ_k = (ν_k − ν) / ν kept beside
    it: single precision holds a wavelength to 6e-8 of itself, which is coarser than the line of many lasers.

    Arguments:
        weights: powers of the modes in any unit, at least 0, shape (modes,).
        wavelength: in vacuum, of all modes or of each, m, scalar or shape (modes,).
        tilt: direction (y, x) of the plane wave of each mode on the modulator, rad, shape (modes, 2) or (2,).
        detuning: of each mode's frequency from that of `wavelength`, relative, above −1, scalar or shape
            (modes,).

    Attributes:
        weights: w, sum 1, shape (modes,).
        carrier: λ, the wavelength that detunings count from, m, scalar.
        detuning: δ, relative, shape (modes,).
        tilt: θ, rad, shape (modes, 2).

    Raises:
        ValueError: `weights` that are no vector, negative, or all zero; `wavelength` not positive, or
            `detuning` not above −1; a number of them or of rows of `tilt` that differs from that of the
            weights; numbers that are not finite.

    Example:
        >>> import optics
        >>> channels = optics.light.Light([1.0, 3.0], [1550e-9, 1551e-9])
        >>> print(channels.weights)
        [0.25 0.75]
    """

    weights: Float[Array, " modes"]
    carrier: Float[Array, ""]
    detuning: Float[Array, " modes"]
    tilt: Float[Array, "modes 2"]

    def __init__(
        self,
        weights: ArrayLike,
        wavelength: ArrayLike,
        tilt: ArrayLike = (0.0, 0.0),
        detuning: ArrayLike = 0.0,
    ):
        check_range("weights", weights, 0.0, jnp.inf)
        check_positive("wavelength", wavelength, "m")
        check_finite("tilt", tilt, "rad")
        check_range("detuning", detuning, -1.0, jnp.inf, open_low=True)
        weights, wavelength, tilt, detuning = (
            as_numbers(name, value)
            for name, value in (
                ("weights", weights),
                ("wavelength", wavelength),
                ("tilt", tilt),
                ("detuning", detuning),
            )
        )
        if weights.ndim != 1 or (is_concrete(weights) and not weights.sum() > 0):
            raise ValueError(
                f"`weights` must be a vector of powers, one of them above 0 at least, got "
                f"{describe(weights)}."
            )
        modes = weights.shape[0]
        for name, value in (("wavelength", wavelength), ("detuning", detuning)):
            if value.shape not in ((), (modes,)):
                raise ValueError(
                    f"`{name}` must be one number or one for each of {modes} `weights`, got "
                    f"{describe(value)}."
                )
        if tilt.shape not in ((2,), (modes, 2)):
            raise ValueError(
                f"`tilt` must be a pair (y, x), or one for each of {modes} `weights`, got {describe(tilt)}."
            )
        carrier = wavelength.reshape(-1)[0]
        if wavelength.ndim:
            detuning = ((carrier - wavelength) + carrier * detuning) / wavelength
        weights = as_leaf(weights)
        self.weights = weights / jnp.sum(weights)
        self.carrier = as_leaf(carrier)
        self.detuning = jnp.broadcast_to(as_leaf(detuning), (modes,))
        self.tilt = jnp.broadcast_to(as_leaf(tilt), (modes, 2))

    @property
    def wavelength(self) -> Float[Array, " modes"]:
        """Of each mode in vacuum, λ / (1 + δ), m, shape (modes,)."""
        return self.carrier / (1 + self.detuning)

    @property
    def modes(self) -> int:
        """How many there are."""
        return self.weights.shape[0]


def product(line: PartLike, source: PartLike) -> Light:
    """Every wavelength from every direction: light of two independent causes.

        w_jk = w_j w_k,   1 + δ_jk = (1 + δ_j) (1 + δ_k),   θ_jk = θ_j + θ_k

    Arguments:
        line: `Light`, such as that of a spectral line.
        source: `Light` of the same carrier, such as that of a source of finite size.

    Returns:
        `Light` with a mode for each pair, those of `source` in the inner order.

    Raises:
        ValueError: arguments that are no `Light`, or carriers that differ by more than 1e-6 of a wavelength.

    Example:
        >>> from optics import light
        >>> diode = light.product(light.line(850e-9, 2e-9, modes=5), light.chip(850e-9, 1e-3, modes=3))
        >>> diode.modes
        45
    """
    check_instance("line", line, Light, "`optics.light.line(850e-9, 1e-9)`")
    check_instance("source", source, Light, "`optics.light.disc(850e-9, 1e-3)`")
    carriers = as_real("line", line.carrier), as_real("source", source.carrier)
    if None not in carriers and not np.allclose(*carriers, rtol=1e-6, atol=0):
        raise ValueError(
            f"`source` must have the carrier of `line`, {carriers[0]:g} m, got {carriers[1]:g} m; make both "
            f"with the same wavelength."
        )
    detuning = _pairs(line.detuning, source.detuning)
    made = (
        jnp.multiply(*_pairs(line.weights, source.weights)),
        line.carrier,
        jnp.add(*_pairs(line.tilt, source.tilt)),
        detuning[0] + detuning[1] + detuning[0] * detuning[1],
    )
    return Light(*made)


def as_numbers(name: str, value: ArrayLike) -> Array | np.ndarray:
    """Real numbers as an array, in double precision where they are known."""
    known = as_real(name, value)
    return as_array(name, value) if known is None else known


def _pairs(first: Array, second: Array) -> tuple[Array, Array]:
    """Both along every pair of their modes."""
    return jnp.repeat(first, second.shape[0], axis=0), jnp.tile(
        second, (first.shape[0],) + (1,) * (second.ndim - 1)
    )
