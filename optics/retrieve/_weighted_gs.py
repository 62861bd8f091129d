"""Weighted Gerchberg–Saxton: phase holograms whose spots are equally bright."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_leaf, check_range, is_concrete
from optics.retrieve import _checks as refuse
from optics.retrieve._gerchberg_saxton import begin, given, scaled_result
from optics.retrieve._planes import adjoint, dft
from optics.retrieve._retrieved import Retrieved, modulus, phase


def weighted_gerchberg_saxton(
    source_amplitude: Any,
    target_amplitude: Any,
    iterations: Any = 30,
    *,
    exponent: Any = 1.0,
    fixed_after: Any = None,
    key: Array | None = None,
    start: Any = None,
    restarts: int = 1,
    forward: Any = None,
) -> Retrieved:
    """Find the phase hologram of an array of spots, each weighted until all are as bright as asked for.

        u = F(S exp(iφ)),   w -> w (⟨|u|/T⟩ / (|u|/T))^p at the spots,   φ -> arg F†(w exp(iψ)),   ψ = arg u

    A spot is where the target is above zero; the weights start at the target, and ⟨⟩ is the mean over spots. With
    `fixed_after` the phases ψ of the spots are held from that iteration on and the weights converge, mostly to
    uniformity 1 (Kim); without it the phases follow the field, with a little more efficiency (Di Leonardo). In a
    regular array the higher orders of some spots may overfill another, which no weight then dims: try other starts.

    Arguments:
        source_amplitude: S, amplitude on the modulator, shape (..., rows, columns), any unit.
        target_amplitude: T, wanted amplitude, zero where there is no spot, shape (..., rows, columns), any unit.
        iterations: at least 1; static, or traced (without reverse-mode gradient then).
        exponent: p, in (0, 1], scalar; less than 1 for spots that are measured with noise.
        fixed_after: iterations after which ψ is held, at least 1; None for never. Kim's value is about 12.
        key, start, restarts, forward: as in `gerchberg_saxton`.

    Returns:
        `Retrieved(object, field, residual)` with object = S exp(iφ); see `uniformity` and `efficiency` for its spots.

    Raises:
        ValueError: as in `gerchberg_saxton`, `exponent` out of range or `fixed_after` not whole.

    Source: R. Di Leonardo, F. Ianni and G. Ruocco, Opt. Express 15, 1913 (2007); D. Kim et al., Opt. Lett.
        44, 3178 (2019).
    """
    check_range("exponent", exponent, 0.0, 1.0, open_low=True)
    if fixed_after is not None:
        refuse.count("fixed_after", fixed_after)
    source, target, start = given(
        source_amplitude, target_amplitude, iterations, key, start, restarts, forward
    )
    _some_spots(target, target_amplitude)
    return _weigh(source, target, iterations, as_leaf(exponent), fixed_after, key, start, restarts, forward)


def uniformity(field: Inexact[Array, "*lead rows cols"], target_amplitude: Any) -> Float[Array, "*lead"]:
    """How equal the spots of a hologram are: 1 − (max q − min q)/(max q + min q), q = |field|²/target² over the spots.

    Arguments:
        field: shape (..., rows, columns).
        target_amplitude: zero where there is no spot, shape (..., rows, columns).

    Returns:
        in [0, 1], 1 where every spot is as bright as asked for; shape (...).

    Raises:
        ValueError: a target that is complex, negative or without a spot.

    Source: R. Di Leonardo, F. Ianni and G. Ruocco, Opt. Express 15, 1913 (2007), section 2.
    """
    target = refuse.amplitudes("target_amplitude", target_amplitude)
    _some_spots(target, target_amplitude)
    spot = target > 0
    q = (field.real**2 + field.imag**2) / jnp.where(spot, target, 1) ** 2
    most, least = (
        f(jnp.where(spot, q, other), axis=(-2, -1)) for f, other in ((jnp.max, 0), (jnp.min, jnp.inf))
    )
    return 1 - (most - least) / jnp.where(most > 0, most + least, 1)


def efficiency(field: Inexact[Array, "*lead rows cols"], target_amplitude: Any) -> Float[Array, "*lead"]:
    """Share of the light that is in the spots: Σ_spots |field|² / Σ |field|².

    Arguments, errors and source: those of `uniformity`.
    """
    target = refuse.amplitudes("target_amplitude", target_amplitude)
    _some_spots(target, target_amplitude)
    power = field.real**2 + field.imag**2
    total = jnp.sum(power, axis=(-2, -1))
    return jnp.sum(jnp.where(target > 0, power, 0), axis=(-2, -1)) / jnp.where(total > 0, total, 1)


def _some_spots(target: Array, value: Any) -> None:
    if is_concrete(value) and is_concrete(target) and not bool(jnp.all(jnp.any(target > 0, axis=(-2, -1)))):
        raise ValueError(
            "`target_amplitude` must be above 0 in at least one spot of each plane, got a dark one."
        )


@eqx.filter_jit
def _weigh(source, target, iterations, exponent, fixed_after, key, start, restarts, forward):
    forward = dft if forward is None else forward
    spot = target > 0
    asked = jnp.where(spot, target, 1)
    spots = jnp.sum(spot, axis=(-2, -1), keepdims=True)
    x = begin(source, key, start, restarts)
    backward = adjoint(forward, x)

    def step(i, state):
        x, weight, held = state
        u = forward(x)
        # The weights are those of the field as it is; the phases of the spots are held from `fixed_after` on.
        held = phase(u) if fixed_after is None else jnp.where(i < fixed_after, phase(u), held)
        share = modulus(u) / asked
        mean = jnp.sum(jnp.where(spot, share, 0), axis=(-2, -1), keepdims=True) / spots
        weight = weight * jnp.where(spot & (share > 0), mean / jnp.where(share > 0, share, 1), 1) ** exponent
        weight = weight / jnp.max(weight, axis=(-2, -1), keepdims=True)
        return source * phase(backward(weight * held)), weight, held

    u = forward(x)
    x = jax.lax.fori_loop(0, iterations, step, (x, jnp.broadcast_to(target, u.shape), phase(u)))[0]
    return scaled_result(x, target, forward)
