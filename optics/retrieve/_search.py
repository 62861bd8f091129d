"""The loop that every retrieval from one amplitude and a support runs."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PyTree

from optics._check import as_plane
from optics._typing import ArrayLike, CountLike, KeyLike, ScalarLike
from optics.retrieve._checks import check_count, check_start
from optics.retrieve._problem import Constraints, Problem, make_constraints
from optics.retrieve._retrieved import Retrieved, best_try
from optics.retrieve._transform import to_centre, to_corner


class Rule(eqx.Module):
    """One iteration of a retrieval. Its state is the object, unless a rule carries more from step to step."""

    def begin(self, x: Inexact[Array, "*tries rows cols"]) -> PyTree:
        """The state of an object to start from."""
        return x

    def step(self, state: PyTree, constraints: Constraints) -> PyTree:
        """The next state."""
        raise NotImplementedError

    def object(self, state: PyTree) -> Inexact[Array, "*tries rows cols"]:
        """The object of a state."""
        return state


class ErrorReduction(Rule):
    """x -> P_S P_M x."""

    def step(self, state: Array, constraints: Constraints) -> Array:
        return constraints.project(constraints.fit(state))


def search(
    rule: Rule,
    problem: Problem,
    iterations: ScalarLike,
    *,
    polish: ScalarLike = 0,
    key: KeyLike,
    start: ArrayLike | None,
    restarts: CountLike,
) -> Retrieved:
    """Iterate a rule from one or several starts and return the best result.

    Arguments:
        rule: what one iteration does.
        problem: the amplitude and what is known about the object.
        iterations: of the rule.
        polish: final iterations of error reduction.
        key, start, restarts: as in `hio`.
    """
    check_count("iterations", iterations)
    check_count("polish", polish, 0)
    check_start(key, start, restarts)
    if start is not None:
        start = as_plane("start", start)
        if start.shape != problem.shape:
            raise ValueError(
                f"`start` must have the shape of the objects, {problem.shape}, got {start.shape}."
            )
        if problem.nonnegative and jnp.iscomplexobj(start):
            raise ValueError(
                f"`start` must be real, as the objects are, got {start.dtype}; take its real part."
            )
    return _search(rule, problem, iterations, polish, key, start, restarts)


@eqx.filter_jit
def _search(rule, problem, iterations, polish, key, start, restarts):
    default = problem.forward is None
    x = problem.random_objects(key, restarts) if start is None else start.astype(problem.dtype)[None]
    x = to_corner(x) if default else x
    constraints = make_constraints(problem, x)
    for turn, count in ((rule, iterations), (ErrorReduction(), polish)):
        state = jax.lax.fori_loop(0, count, lambda _, s, turn=turn: turn.step(s, constraints), turn.begin(x))
        x = turn.object(state)
    return best_try(problem.result(to_centre(x) if default else x))
