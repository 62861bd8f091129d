"""Relaxed averaged alternating reflections."""

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


def raar(
    amplitude: ArrayLike,
    support: ArrayLike,
    beta: ScalarLike = 0.99,
    iterations: ScalarLike = 1000,
    *,
    polish: ScalarLike = 20,
    key: KeyLike = None,
    start: ArrayLike | None = None,
    restarts: CountLike = 1,
    nonnegative: FlagLike = True,
    forward: FunctionLike | None = None,
) -> Retrieved:
    """Find an object of known support from the amplitude of its transform by relaxed reflections (RAAR).

        x -> β/2 (R_S R_M + 1) x + (1 − β) P_M x,   R = 2 P − 1

    P_M gives the transform of x the measured amplitude. P_S sets x to zero outside the support and where it
    is negative. With β = 1, averaged reflections without relaxation, most objects are found, but the search
    does not settle where there is noise. A smaller β settles nearer to the object; below about 0.95 it stops
    at wrong objects when they fill their support. Ambiguities, arguments and results are those of `hio`.

    Arguments:
        amplitude, support, iterations, polish, key, start, restarts, nonnegative, forward: as in `hio`.
        beta: β, relaxation in [0.5, 1], scalar.

    Returns:
        `Retrieved(object, field, residual)`.

    Raises:
        ValueError: as in `hio`.

    Source: D. R. Luke, Inverse Problems 21, 37 (2005).

    Example:
        >>> import jax, numpy as np, optics
        >>> amplitude, support = np.ones((8, 8)), np.pad(np.ones((4, 4), bool), 2)
        >>> result = optics.retrieve.raar(amplitude, support, iterations=20, key=jax.random.key(0))
        >>> result.object.shape, bool(result.residual < 0.5)
        ((8, 8), True)
    """
    check_number("beta", beta, 0.5, 1.0)
    rule, problem = RelaxedReflections(as_leaf(beta)), as_problem(amplitude, support, forward, nonnegative)
    return search(rule, problem, iterations, polish=polish, key=key, start=start, restarts=restarts)


class RelaxedReflections(Rule):
    """x -> β/2 (R_S R_M + 1) x + (1 − β) P_M x."""

    beta: Array

    def step(self, state: Array, constraints: Constraints) -> Array:
        y = constraints.fit(state)
        # β/2 (R_S R_M + 1) x = β (P_S(2y − x) − y + x), the reflection through the amplitude being 2y − x.
        return self.beta * (constraints.project(2 * y - state) - y + state) + (1 - self.beta) * y
