"""Weighted Gerchberg–Saxton: phase holograms whose spots are equally bright."""

import equinox as eqx
import jax
import jax.numpy as jnp

from optics._check import as_leaf, check_number
from optics._numerics import safe_abs, safe_divide, safe_sign
from optics._typing import (
    ArrayLike,
    CountLike,
    FunctionLike,
    KeyLike,
    ScalarLike,
)
from optics.retrieve._checks import check_count
from optics.retrieve._retrieved import Retrieved
from optics.retrieve._spots import check_spots
from optics.retrieve._transform import adjoint
from optics.retrieve._two_planes import as_two_planes


def weighted_gerchberg_saxton(
    source_amplitude: ArrayLike,
    target_amplitude: ArrayLike,
    iterations: ScalarLike = 30,
    *,
    exponent: ScalarLike = 1.0,
    fixed_after: ScalarLike | None = None,
    key: KeyLike = None,
    start: ArrayLike | None = None,
    restarts: CountLike = 1,
    forward: FunctionLike | None = None,
) -> Retrieved:
    """Find the phase hologram of an array of spots, weighting each until it has the brightness of its target.

        u = F(S exp(iφ)),   w -> w (⟨|u|/T⟩ / (|u|/T))^p at the spots,   φ -> arg F†(w exp(iψ)),   ψ = arg u

    A spot is where the target is above zero; the weights start at the target, and ⟨⟩ is the mean over spots.
    With `fixed_after` the phases ψ of the spots are held from that iteration on and the weights converge,
    mostly to uniformity 1 (Kim). Without it the phases follow the field, with a little more efficiency (Di
    Leonardo). In a regular array the higher orders of some spots can overfill another spot, which no weight
    dims: try other starts.

    Arguments:
        source_amplitude: S, amplitude on the modulator, shape (..., rows, columns), any unit.
        target_amplitude: T, amplitude of the spots, zero where there is none, shape (..., rows, columns), any
            unit.
        iterations: at least 1; static, or traced (then without a reverse-mode gradient).
        exponent: p, in (0, 1], scalar; less than 1 for spots that are measured with noise.
        fixed_after: iterations after which ψ is held, at least 1; None for never. Kim's value is about 12.
        key, start, restarts, forward: as in `gerchberg_saxton`.

    Returns:
        `Retrieved(object, field, residual)` with object = S exp(iφ); `uniformity` and `efficiency` measure
        its spots.

    Raises:
        ValueError: as in `gerchberg_saxton`, `exponent` out of range or `fixed_after` not whole.

    Source: R. Di Leonardo, F. Ianni and G. Ruocco, Opt. Express 15, 1913 (2007); D. Kim et al., Opt. Lett.
        44, 3178 (2019).
    """
    check_number("exponent", exponent, 0.0, 1.0, open_low=True)
    if fixed_after is not None:
        check_count("fixed_after", fixed_after)
    planes = as_two_planes(source_amplitude, target_amplitude, iterations, key, start, restarts, forward)
    check_spots(planes.target, target_amplitude)
    return _weigh(planes, iterations, as_leaf(exponent), fixed_after)


@eqx.filter_jit
def _weigh(planes, iterations, exponent, fixed_after):
    spot = planes.target > 0
    targets = jnp.where(spot, planes.target, 1)
    spots = jnp.sum(spot, axis=(-2, -1), keepdims=True)
    x = planes.first_objects()
    backward = adjoint(planes.forward, x)

    def step(i, state):
        x, weight, held = state
        u = planes.forward(x)
        # Weights follow the field at every iteration; the phases of the spots only until `fixed_after`.
        held = safe_sign(u) if fixed_after is None else jnp.where(i < fixed_after, safe_sign(u), held)
        share = safe_abs(u) / targets
        mean = jnp.sum(jnp.where(spot, share, 0), axis=(-2, -1), keepdims=True) / spots
        weight = weight * jnp.where(spot & (share > 0), safe_divide(mean, share), 1) ** exponent
        weight = weight / jnp.max(weight, axis=(-2, -1), keepdims=True)
        return planes.source * safe_sign(backward(weight * held)), weight, held

    u = planes.forward(x)
    first = (x, jnp.broadcast_to(planes.target, u.shape), safe_sign(u))
    return planes.result(jax.lax.fori_loop(0, iterations, step, first)[0])
