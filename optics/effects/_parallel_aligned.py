"""A parallel-aligned panel in light that is not along its director."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, as_real, check_finite, check_number, describe
from optics._phases import as_complex
from optics._typing import ArrayLike, ScalarLike
from optics.effects._effect import Modulation


class ParallelAligned(Modulation):
    """A parallel-aligned panel in light at an angle to its director, and an analyser behind it.

        light -> cos ψ cos α · light + sin ψ sin α

    The liquid crystal modulates what lies along its director. What lies across it passes unchanged, and the
    analyser makes both interfere: a field that is the same in every pixel, which a lens gathers in the zero
    order, (tan ψ tan α)² times the power of bright pixels. With light and analyser along the director the
    panel is ideal.

    A scalar field has one polarisation. This one is what the analyser passes, which a reference along the
    analyser interferes with. What an analyser of finite extinction leaks of the crossed polarisation,

        (sin ψ cos α − cos ψ sin α · light) / √extinction,

    interferes with itself alone: as a field it must not be added. It is a second mode of the light, and
    `analysed_modes` gives both. `unmodulated_modes` gives those of a receiver without an analyser.

    Arguments:
        polarisation: ψ of the light, from the director, rad, scalar or map.
        analyser: α of the axis that passes, from the director, rad, scalar or map.

    Raises:
        ValueError: `polarisation` or `analyser` not finite.

    Source: R. C. Jones, J. Opt. Soc. Am. 31, 488 (1941), applied to `polarisation.parallel_aligned`.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> panel = optics.effects.ParallelAligned(0.1, 0.1)
        >>> print(f"{abs(panel(jnp.zeros((2, 2)), None))[0, 0]:.4f}")
        0.0100
    """

    polarisation: Array = eqx.field(converter=as_leaf)
    analyser: Array = eqx.field(converter=as_leaf)

    def __init__(self, polarisation: ArrayLike = 0.0, analyser: ArrayLike = 0.0):
        check_finite("polarisation", polarisation, "rad")
        check_finite("analyser", analyser, "rad")
        self.polarisation = polarisation
        self.analyser = analyser

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Complex[Array, "*any"]:
        psi, alpha = self.polarisation, self.analyser
        along, across = jnp.cos(psi) * jnp.cos(alpha), jnp.sin(psi) * jnp.sin(alpha)
        return along * as_complex(value) + across


def unmodulated_modes(
    polarisation: ScalarLike,
) -> tuple[Float[Array, " 2"], tuple[ParallelAligned, ParallelAligned]]:
    """The two modes of light behind a parallel-aligned panel without an analyser.

        along the director:    light,   of the weight cos² ψ
        across the director:   1,       of the weight sin² ψ

    They are polarised at right angles, so that they do not interfere, and a camera adds their intensities. A
    reference polarised as the light is has the same shares of both, and a coherent receiver sees what it
    would behind an analyser at α = ψ.

    Arguments:
        polarisation: ψ of the light, from the director, rad, one number.

    Returns:
        the weights, shape (2,), of sum 1, and an effect for each mode; both have the same structure, so that
        `jax.tree.map(lambda *leaves: jnp.stack(leaves), *effects)` is what `PerMode` takes.

    Raises:
        ValueError: `polarisation` not one finite number.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> weights, (along, across) = optics.effects.unmodulated_modes(0.1)
        >>> print([f"{weight:.2f}" for weight in weights], abs(across(jnp.zeros((1, 2)), None)))
        ['0.99', '0.01'] [[1. 1.]]
    """
    check_number("polarisation", polarisation, unit="rad")
    psi = as_leaf(polarisation)
    weights = jnp.stack([jnp.cos(psi) ** 2, jnp.sin(psi) ** 2])
    return weights, (ParallelAligned(0.0, 0.0), ParallelAligned(np.pi / 2, np.pi / 2))


def analysed_modes(
    polarisation: ArrayLike, analyser: ArrayLike, extinction: ScalarLike = np.inf
) -> tuple[Float[Array, " 2"], tuple[ParallelAligned, ParallelAligned]]:
    """The two modes of light behind a parallel-aligned panel and an analyser of finite extinction.

        along the analyser:    cos ψ cos α · light + sin ψ sin α,    of the weight 1
        across the analyser:   sin ψ cos α − cos ψ sin α · light,    of the weight 1 / extinction

    They are polarised at right angles, so that they do not interfere, and a camera adds their intensities. A
    coherent receiver whose reference is polarised along the analyser sees the first alone, and needs no
    modes: `ParallelAligned(polarisation, analyser)`.

    Arguments:
        polarisation: ψ of the light, from the director, rad, scalar or map.
        analyser: α of the axis that passes, from the director, rad, scalar or map.
        extinction: power that the analyser passes of light along its axis over that of crossed light, at
            least 1, one number; 1 where there is no analyser, infinite where nothing leaks.

    Returns:
        the weights, shape (2,), relative to light that the analyser passes (`transfer.Modal` divides them by
        their sum, 1 + 1 / extinction), and an effect for each mode, both of the same structure.

    Raises:
        ValueError: `polarisation` or `analyser` not finite, or `extinction` not one number of at least 1.

    Example:
        >>> import optics
        >>> weights, (passed, leaked) = optics.effects.analysed_modes(0.05, 0.02, extinction=100.0)
        >>> print(weights)
        [1.   0.01]
    """
    passed = ParallelAligned(polarisation, analyser)
    ratio = as_real("extinction", extinction)
    if np.ndim(extinction) or (ratio is not None and not ratio >= 1):
        raise ValueError(
            "`extinction` must be one number of at least 1, or infinite where nothing leaks, got "
            f"{describe(extinction)}."
        )
    weight = 1 / as_leaf(extinction)
    return jnp.stack([jnp.ones_like(weight), weight]), (
        passed,
        ParallelAligned(passed.polarisation, passed.analyser + np.pi / 2),
    )
