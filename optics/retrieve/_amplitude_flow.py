"""Amplitude flow: retrieval by gradient descent with momentum."""

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


def amplitude_flow(
    amplitude: ArrayLike,
    support: ArrayLike,
    iterations: ScalarLike = 500,
    *,
    rate: ScalarLike = 1.0,
    momentum: ScalarLike = 0.9,
    key: KeyLike = None,
    start: ArrayLike | None = None,
    restarts: CountLike = 1,
    nonnegative: FlagLike = True,
    forward: FunctionLike | None = None,
) -> Retrieved:
    """Find an object by descending along the gradient of the misfit of amplitudes, with momentum.

        L(x) = ½ ‖ |F x| − A ‖²
        v = x + momentum (x − x_before),   x -> P_S(v − rate/‖F‖² · F†(u − A u/|u|)),   u = F v

    F†(u − A u/|u|) is the Wirtinger gradient of L. With rate 1 and no momentum this is error reduction;
    momentum makes it converge about 1/(1 − momentum) times faster. From a random start both stop in local
    minima: start from a result of `hio` or `raar`. The gradient of the result flows through every iteration
    (`iterations` must be static); `implicit_gradient` computes it without them.

    Arguments:
        amplitude, support, iterations, key, start, restarts, nonnegative, forward: as in `hio`.
        rate: in units of the largest rate at which L never grows, in (0, 2], scalar.
        momentum: in [0, 0.999], scalar.

    Returns:
        `Retrieved(object, field, residual)`.

    Raises:
        ValueError: as in `hio`, or `rate` or `momentum` out of range.

    Source: E. J. Candès, X. Li and M. Soltanolkotabi, IEEE Trans. Inf. Theory 61, 1985 (2015); for amplitudes
        G. Wang, G. B. Giannakis and Y. C. Eldar, IEEE Trans. Inf. Theory 64, 773 (2018); momentum as in Y.
        Nesterov, Introductory Lectures on Convex Optimization (2004), section 2.2.
    """
    check_number("rate", rate, 0.0, 2.0, open_low=True)
    check_number("momentum", momentum, 0.0, 0.999)
    rule = AmplitudeFlow(as_leaf(rate), as_leaf(momentum))
    problem = as_problem(amplitude, support, forward, nonnegative)
    return search(rule, problem, iterations, key=key, start=start, restarts=restarts)


class AmplitudeFlow(Rule):
    """A gradient step with momentum; its state is the object and the one before it."""

    rate: Array
    momentum: Array

    def begin(self, x: Array) -> tuple[Array, Array]:
        return x, x

    def step(self, state: tuple[Array, Array], constraints: Constraints) -> tuple[Array, Array]:
        x, before = state
        v = x + self.momentum * (x - before)
        v = v + self.rate * (constraints.fit(v) - v)
        return constraints.project(v), x

    def object(self, state: tuple[Array, Array]) -> Array:
        return state[0]
