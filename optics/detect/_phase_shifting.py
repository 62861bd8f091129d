"""Phase shifting: a reference beam stepped in phase."""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import (
    as_leaf,
    check_finite,
    check_finite_field,
    check_positive_number,
    check_whole,
    is_concrete,
)
from optics._typing import ArrayLike, ScalarLike
from optics.detect._interference import field_from_quadratures, interference_frames
from optics.detect._measurement import AbstractMeasurement

# Frames of a field; no bench takes more, and all of them are in memory.
LARGEST_STEPS = 1024


class PhaseShifting(AbstractMeasurement):
    """An intensity camera and a reference beam stepped in phase; least squares gives the field.

        I_d = |z + r exp(iδ_d)|² / (1 + r)² = [|z|² + r² + 2 r (x cos δ_d + y sin δ_d)] / (1 + r)²

        equal steps, δ_d = 2π d / steps:   z = (1 + r)² Σ_d I_d exp(iδ_d) / (steps · r)
        any three or more phases:          x, y and the constant that fit the frames best
        weights w of one's own:            z = (1 + r)² Σ_d I_d w_d / (2 r)
        two steps, 0 and π/2:              the smaller root of the quadratic equation for |z|²

    The division by (1 + r)² makes the brightest possible frame full scale, z = 1 being the brightest field.
    With three steps or more |z|² and r² cancel in the sum, so that integration over the pixel may be part of
    the transfer. With two they do not: r must be known, detector pixels small, and r ≥ √2, or else a field
    with Re z + Im z < −r gives the frames of another one. At r = √2 the gradient is singular at z = −(1 +
    i)/√2.

    Arguments:
        steps: frames, at least 2; by default 4, or the number of `phases`.
        reference: r, amplitude of the reference relative to the brightest field, scalar; by default 1, and 2
            for two steps, whose noise at worst grows as 1 / (r − √2).
        phases: δ, rad, shape (steps,), for steps that are not equal, such as Hariharan's (−π, −π/2, 0, π/2,
            π); at least 3, three of them different modulo 2π.
        weights: w, complex, dimensionless, shape (steps,), of an algorithm of one's own for these `phases`,
            such as one that withstands errors of the steps (`hariharan`); by default those of least squares,
            which have the least noise.

    Raises:
        ValueError: fewer than 2 steps, a `reference` that is not positive or below √2 with two steps,
            `phases` that are fewer than 3, not `steps` in number or too alike, or `weights` without `phases`
            or that do not give the field.

    Source: J. H. Bruning et al., Appl. Opt. 13, 2693 (1974), eqs. 2-4; D. Malacara, Optical Shop Testing
        (2007), 14.7; any phases: J. E. Greivenkamp, Opt. Eng. 23, 350 (1984); two steps: X. F. Meng et al.,
        Opt. Lett. 31, 1414 (2006).

    Example:
        >>> import jax.numpy as jnp, optics
        >>> measurement = optics.PhaseShifting(4)
        >>> print(measurement.field(measurement.frames(jnp.full((2, 2), 0.5)))[0, 0].round(3))
        (0.5+0j)
    """

    # A camera measures |z|², also of a field that is known to be real.
    signed: ClassVar[bool] = False
    single_exposure: ClassVar[bool] = False
    supports_real: ClassVar[bool] = False
    steps: int = eqx.field(static=True)
    reference: Array = eqx.field(converter=as_leaf)
    phases: Array | None
    weights: Array | None

    def __init__(
        self,
        steps: ScalarLike | None = None,
        reference: ScalarLike | None = None,
        phases: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ):
        if phases is not None:
            phases = _as_step_phases(phases)
            if steps is not None:
                check_whole("steps", steps, 2, LARGEST_STEPS)
            if steps is not None and steps != phases.size:
                raise ValueError(
                    f"`steps` must be the number of `phases`, {phases.size}, or be left out, got {steps!r}."
                )
            steps = phases.size
        steps = 4 if steps is None else steps
        check_whole("steps", steps, 2, LARGEST_STEPS)
        reference = (2.0 if steps == 2 else 1.0) if reference is None else reference
        check_positive_number("reference", reference)
        if steps == 2 and is_concrete(reference) and np.any(np.asarray(reference) < math.sqrt(2)):
            raise ValueError(
                f"`reference` must be at least √2 ≈ 1.41421 with 2 steps, got {reference}: "
                "two fields would give the same frames; strengthen it or take 3 steps."
            )
        self.steps = int(steps)
        self.reference = reference
        self.phases = phases
        self.weights = None if weights is None else _as_step_weights(weights, phases)

    def _phase_factors(self) -> Complex[Array, " steps"]:
        if self.phases is not None:
            return jnp.exp(1j * self.phases.astype(jnp.result_type(float)))
        return jnp.exp(2j * jnp.pi * jnp.arange(self.steps) / (4 if self.steps == 2 else self.steps))

    def frames(self, field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead steps rows cols"]:
        """Intensity frames (..., steps, rows, columns) in units of full scale, in [0, 1] for |field| ≤ 1."""
        return interference_frames(field, self.reference, self._phase_factors())

    def field(self, frames: Float[Array, "*lead steps rows cols"]) -> Complex[Array, "*lead rows cols"]:
        """The field from the frames."""
        if self.steps == 2:
            return field_from_quadratures(frames, self.reference)
        factors = self._phase_factors()
        if self.weights is not None:
            weights = self.weights
        elif self.phases is None:
            weights = 2 * factors / self.steps
        else:
            # The constant of the least squares is fitted by taking off the mean.
            factors = factors - jnp.mean(factors)
            c, s = factors.real, factors.imag
            cc, ss, cs = jnp.sum(c * c), jnp.sum(s * s), jnp.sum(c * s)
            weights = ((ss * c - cs * s) + 1j * (cc * s - cs * c)) / (cc * ss - cs**2)
        weights = weights * (1 + self.reference) ** 2 / (2 * self.reference)
        return jnp.sum(frames * weights[:, None, None], axis=-3)

    def residual(self, frames: Float[Array, "*lead steps rows cols"]) -> Float[Array, "*lead rows cols"]:
        """What the best constant and field leave of the frames, root mean square in units of full scale.

            √( Σ_d (I_d − fitted_d)² / (steps − 3) )

        Steps that are not those of `phases` leave a residual in proportion to the field and to their errors;
        without them it is the noise of a frame.

        Raises:
            ValueError: fewer than four steps, which every field fits.
        """
        if self.steps < 4:
            raise ValueError(f"`steps` must be at least 4 to leave a residual, got {self.steps}.")
        factors = self._phase_factors()
        model = jnp.stack([jnp.ones(self.steps), factors.real, factors.imag], axis=1)
        # Onto what no constant and no field explains.
        outside = jnp.eye(self.steps) - model @ jnp.linalg.pinv(model)
        left = jnp.einsum("ds,...sij->...dij", outside, frames, precision="highest")
        return jnp.sqrt(jnp.sum(left**2, axis=-3) / (self.steps - 3))


def hariharan(reference: ScalarLike = 1.0) -> PhaseShifting:
    """Hariharan's five steps of a quarter turn, whose result has no error of first order in the step.

        δ = −π, −π/2, 0, π/2, π:   x ∝ 2 I₃ − I₁ − I₅,   y ∝ 2 (I₄ − I₂)

    Arguments:
        reference: r, amplitude of the reference relative to the brightest field, scalar.

    Returns:
        `PhaseShifting` with these phases and weights.

    Raises:
        ValueError: a `reference` that is not positive.

    Source: P. Hariharan, B. F. Oreb and T. Eiju, Appl. Opt. 26, 2504 (1987), eq. 4.
    """
    phases = np.pi * np.array([-1, -0.5, 0, 0.5, 1])
    return PhaseShifting(None, reference, phases, np.array([-0.25, -0.5j, 0.5, 0.5j, -0.25]))


def _as_step_weights(weights: ArrayLike, phases: Array | None) -> Array:
    """The weights as a leaf; concrete ones must give the field and nothing of the constant."""
    if phases is None:
        raise ValueError("`weights` need the `phases` that they are for; give both.")
    check_finite_field("weights", weights)
    array = as_leaf(weights)
    if array.shape != phases.shape:
        raise ValueError(f"`weights` must have the shape {phases.shape} of `phases`, got {array.shape}.")
    if is_concrete(weights) and is_concrete(phases):
        values, angles = np.asarray(weights, complex), np.asarray(phases, float)
        moments = [np.sum(values * f) for f in (np.ones_like(angles), np.cos(angles), np.sin(angles))]
        if not np.allclose(moments, [0, 1, 1j], atol=1e-4):
            raise ValueError(
                "`weights` must give 0 of a constant, 1 of the cosine and i of the sine of `phases`, got "
                f"{np.round(moments, 4)}."
            )
    return array


def _as_step_phases(phases: ArrayLike) -> Array:
    """The phases as a leaf; concrete ones must determine both quadratures and the constant."""
    check_finite("phases", phases, "rad")
    array = as_leaf(phases)
    if array.ndim != 1 or array.size < 3:
        raise ValueError(
            f"`phases` must be at least 3 in one row, got shape {array.shape}; two frames are `steps=2`."
        )
    if is_concrete(phases):
        factors = np.exp(1j * np.asarray(phases, float))
        factors = factors - np.mean(factors)
        singular_values = np.linalg.svd(np.stack([factors.real, factors.imag]), compute_uv=False)
        # The noise of the frames enters the field multiplied by the inverse of this.
        if singular_values[-1] / math.sqrt(len(factors)) < 1e-3:
            raise ValueError(
                "`phases` must differ, three of them modulo 2π, to determine both quadratures; "
                f"got {np.asarray(phases)} rad."
            )
    return array
