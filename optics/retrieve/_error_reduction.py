"""Error reduction: alternating projections."""

from optics._typing import (
    ArrayLike,
    CountLike,
    FlagLike,
    FunctionLike,
    KeyLike,
    ScalarLike,
)
from optics.retrieve._problem import as_problem
from optics.retrieve._retrieved import Retrieved
from optics.retrieve._search import ErrorReduction, search


def error_reduction(
    amplitude: ArrayLike,
    support: ArrayLike,
    iterations: ScalarLike = 200,
    *,
    key: KeyLike = None,
    start: ArrayLike | None = None,
    restarts: CountLike = 1,
    nonnegative: FlagLike = True,
    forward: FunctionLike | None = None,
) -> Retrieved:
    """Find an object of known support from the amplitude of its transform by alternating projections.

        x -> P_S P_M x

    P_M gives the transform of x the measured amplitude. P_S sets x to zero outside the support and where it
    is negative. The residual never grows. From a random start it mostly stops far from the object: use it to
    refine a result of `hio` or `raar`. Ambiguities, arguments and results are those of `hio`.

    Arguments:
        amplitude, support, key, start, restarts, nonnegative, forward: as in `hio`.
        iterations: at least 1; static, or traced (then without a reverse-mode gradient).

    Returns:
        `Retrieved(object, field, residual)`.

    Raises:
        ValueError: as in `hio`.

    Source: J. R. Fienup, Appl. Opt. 21, 2758 (1982), section III.
    """
    problem = as_problem(amplitude, support, forward, nonnegative)
    return search(ErrorReduction(), problem, iterations, key=key, start=start, restarts=restarts)
