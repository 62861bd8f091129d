"""The most likely numbers: least squares with the variance of the frames, and noise from what is left over."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax
import optimistix
from jaxtyping import Array, Bool, Float

from optics.twin.problem import Problem


@eqx.filter_jit
def means(
    problem: Problem, vector: Array, which: Array, scale: Array, weight: Array, small: Array, steps: int
) -> tuple[Float[Array, " free"], Bool[Array, ""]]:
    """The numbers `which` that bring the expected frames closest to the recording, by Levenberg-Marquardt.

        minimize Σ weight² (frames − mean)²

    Arguments:
        vector: all free numbers to start from.
        which: indices of those that move.
        scale: the unit of each of these.
        weight: 1 / standard deviation, 0 where a number does not count, shape of the frames.
        small: the last step, in these units.
        steps: at most.

    Returns:
        the free numbers, and whether the steps came to an end.
    """

    def residual(moved, _):
        mean, _, _ = problem.expected(vector.at[which].add(scale * moved))
        return (weight * (problem.recording.frames - mean)).ravel()

    # Columns of one length, in double precision: the normal equations lose nothing that `information` would keep.
    solver = optimistix.LevenbergMarquardt(rtol=1e-8, atol=small, linear_solver=lineax.Normal(lineax.Cholesky()))
    found = optimistix.least_squares(residual, solver, jnp.zeros_like(scale), max_steps=steps, throw=False)
    return vector.at[which].add(scale * found.value), found.result == optimistix.RESULTS.successful


@eqx.filter_jit
def noise(
    problem: Problem, vector: Array, which: Array, square: Array, weight: Array, small: Array, steps: int
) -> tuple[Float[Array, " free"], Bool[Array, ""]]:
    """The noise levels `which` that explain what is left over, a step towards the most likely ones (Fisher scoring).

        minimize Σ (weight² (square − variance))² / 2

    Where the weights are those of the variance that is found, the likelihood has its maximum.

    Arguments:
        vector: all free numbers to start from.
        which: indices of the levels, which are positive.
        square: squared residuals of the frames, freed of what the fit of the means took from them.
        weight, small, steps: as of `means`; the unit of a level is the level itself.

    Returns:
        the free numbers, and whether the steps came to an end.
    """

    def put(moved):
        return vector.at[which].set(vector[which] * jnp.exp(moved))

    def residual(moved, _):
        return (weight**2 * (square - problem.expected(put(moved))[1])).ravel() / jnp.sqrt(2.0)

    solver = optimistix.LevenbergMarquardt(rtol=1e-8, atol=small, linear_solver=lineax.Normal(lineax.Cholesky()))
    found = optimistix.least_squares(residual, solver, jnp.zeros(which.shape, vector.dtype), max_steps=steps, throw=False)
    return put(found.value), found.result == optimistix.RESULTS.successful


@eqx.filter_jit
def slopes_of_means(problem: Problem, vector: Array, which: Array) -> Float[Array, "numbers free"]:
    """d mean / d number, a column for each of `which`."""
    return _slopes(lambda v: problem.expected(v)[0], vector, which)


@eqx.filter_jit
def slopes_of_variances(problem: Problem, vector: Array, which: Array) -> Float[Array, "numbers free"]:
    """d variance / d ln number, a column for each of `which`."""
    return _slopes(lambda v: problem.expected(v)[1], vector, which) * vector[which]


@eqx.filter_jit
def look(problem: Problem, vector: Array) -> tuple[Array, Array, Array]:
    """Mean, variance and which numbers count."""
    return problem.expected(vector)


def _slopes(function: Any, vector: Array, which: Array) -> Array:
    along = partial(jax.jvp, function, (vector,))
    columns = jax.vmap(lambda i: along((jnp.zeros_like(vector).at[i].set(1.0),))[1].ravel(), out_axes=-1)
    return columns(which)
