"""Hybrid input–output."""

import jax.numpy as jnp
from jaxtyping import Array

from optics._check import as_leaf, check_number
from optics._typing import (
    ArrayLike,
    CountLike,
    FlagLike,
    FunctionLike,
    KeyLike,
    ScalarLike,
)
from optics.retrieve._problem import Constraints, as_problem
from optics.retrieve._retrieved import Retrieved
from optics.retrieve._search import Rule, search


def hio(
    amplitude: ArrayLike,
    support: ArrayLike,
    beta: ScalarLike = 0.9,
    iterations: ScalarLike = 1000,
    *,
    polish: ScalarLike = 20,
    key: KeyLike = None,
    start: ArrayLike | None = None,
    restarts: CountLike = 1,
    nonnegative: FlagLike = True,
    forward: FunctionLike | None = None,
) -> Retrieved:
    """Find an object of known support from the amplitude of its transform by hybrid input–output.

        y = P_M x,   x -> y where y is allowed,  x − β y elsewhere

    P_M gives the transform of x the measured amplitude. A sample is allowed within the support and, if the
    object is known not to be negative, where it is not. If the transform is sampled at least twice as finely
    per axis as the support asks for, the amplitude determines the object up to three things: a factor of
    modulus 1 (none where the object is not negative), the conjugate object turned by 180° if the support
    allows it, and a shift if the support allows one; see `aligned_error`. With a `forward` that is not
    unitary, P_M is the gradient step x − F†(u − A u/|u|)/‖F‖².

    Arguments:
        amplitude: √I, measured, shape (..., rows, columns), any unit, origin at sample n//2.
        support: where the object may be, boolean mask of the object's plane, shape (rows, columns).
        beta: β, feedback in (0, 2], scalar.
        iterations: at least 1; static, or traced (then without a reverse-mode gradient).
        polish: final iterations of error reduction, at least 0, static or traced.
        key: `jax.random.key` of the random starts, consumed.
        start: object to start from, shape (..., rows, columns); instead of `key`.
        restarts: number of random starts; each example returns its start of smallest residual; static.
        nonnegative: the object is real and not negative; False for a complex one.
        forward: linear map from the object's plane to the measured one, acting on the last two axes, such as
            the transfer of a device; None is `centred_dft`.

    Returns:
        `Retrieved(object, field, residual)`, the object real if `nonnegative`.

    Raises:
        ValueError: an amplitude that is complex, negative or not finite; a support that is empty, not boolean
            or of another shape; `beta` out of range; counts that are not whole; neither or both of `key` and
            `start`.

    Source: J. R. Fienup, Appl. Opt. 21, 2758 (1982), eq. 44; uniqueness: R. H. T. Bates, Optik 61, 247
        (1982).

    Example:
        >>> import jax, numpy as np, optics
        >>> amplitude, support = np.ones((8, 8)), np.pad(np.ones((4, 4), bool), 2)
        >>> result = optics.retrieve.hio(amplitude, support, iterations=20, key=jax.random.key(0))
        >>> result.object.shape, bool(result.residual < 0.5)
        ((8, 8), True)
    """
    check_number("beta", beta, 0.0, 2.0, open_low=True)
    rule, problem = HybridInputOutput(as_leaf(beta)), as_problem(amplitude, support, forward, nonnegative)
    return search(rule, problem, iterations, polish=polish, key=key, start=start, restarts=restarts)


class HybridInputOutput(Rule):
    """x -> y where y is allowed, x − β y elsewhere."""

    beta: Array

    def step(self, state: Array, constraints: Constraints) -> Array:
        y = constraints.fit(state)
        return jnp.where(constraints.allows(y), y, state - self.beta * y)
