"""Gerchberg–Saxton: the phase from amplitudes in two planes."""

import equinox as eqx
import jax

from optics._numerics import safe_sign
from optics._typing import (
    ArrayLike,
    CountLike,
    FunctionLike,
    KeyLike,
    ScalarLike,
)
from optics.retrieve._retrieved import Retrieved
from optics.retrieve._transform import adjoint
from optics.retrieve._two_planes import as_two_planes


def gerchberg_saxton(
    source_amplitude: ArrayLike,
    target_amplitude: ArrayLike,
    iterations: ScalarLike = 100,
    *,
    key: KeyLike = None,
    start: ArrayLike | None = None,
    restarts: CountLike = 1,
    forward: FunctionLike | None = None,
) -> Retrieved:
    """Find the phase that takes a given amplitude in one plane to a given amplitude in another.

        u = F(S exp(iφ)),   φ -> arg F†(T u / |u|)

    The same iteration retrieves a phase from two measured amplitudes and designs a phase hologram. The target
    is scaled to the light of the source: the residual is ‖ |u|/‖u‖ − T/‖T‖ ‖, which never grows where F is
    unitary. φ is determined up to a constant.

    Arguments:
        source_amplitude: S, shape (..., rows, columns) or (rows, columns), any unit.
        target_amplitude: T, shape (..., rows, columns), any unit; leading axes broadcast with the source's.
        iterations: at least 1; static, or traced (then without a reverse-mode gradient).
        key: `jax.random.key` of the random starts, consumed.
        start: φ to start from, rad, shape of S exp(iφ); instead of `key`.
        restarts: number of random starts; each example returns its start of smallest residual; static.
        forward: F, linear map between the planes, acting on the last two axes; None is `centred_dft`.

    Returns:
        `Retrieved(object, field, residual)` with object = S exp(iφ) and field = F object.

    Raises:
        ValueError: amplitudes that are complex, negative or not finite or whose planes do not fit;
            `iterations` or `restarts` not whole; neither or both of `key` and `start`, or a `start` of
            another shape.

    Source: R. W. Gerchberg and W. O. Saxton, Optik 35, 237 (1972).

    Example:
        >>> import jax, numpy as np, optics
        >>> laser, spot = np.ones((8, 8)), np.eye(8)[:, 3:4] * np.eye(8)[5]
        >>> hologram = optics.retrieve.gerchberg_saxton(laser, spot, 20, key=jax.random.key(0))
        >>> print(f"{float(optics.retrieve.efficiency(hologram.field, spot)):.3f}")
        1.000
    """
    planes = as_two_planes(source_amplitude, target_amplitude, iterations, key, start, restarts, forward)
    return _alternate(planes, iterations)


@eqx.filter_jit
def _alternate(planes, iterations):
    x = planes.first_objects()
    backward = adjoint(planes.forward, x)

    def step(_, x):
        return planes.source * safe_sign(backward(planes.target * safe_sign(planes.forward(x))))

    return planes.result(jax.lax.fori_loop(0, iterations, step, x))
