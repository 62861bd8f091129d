"""One round of a fit: the numbers of the mean by least squares, the levels of noise by Fisher scoring.

Where the slopes of all numbers would not fit in memory, products with them stand for them.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from optics.twin._likelihood import FrameStatistics, Likelihood

# Of the method of Marquardt, relative to numbers of one unit of strength: at the start, at least, and where a
# short step is the last one.
FIRST_DAMPING, LEAST_DAMPING, LARGEST_LAST_DAMPING = 1e-3, 1e-9, 1e-1


@eqx.filter_jit
def predict(likelihood: Likelihood, vector: Float[Array, " free"]) -> FrameStatistics:
    """The statistics of the recording's frames."""
    return likelihood.statistics(vector)


@eqx.filter_jit
def fit_means(
    likelihood: Likelihood,
    vector: Float[Array, " free"],
    index: Int[Array, " moved"],
    scale: Float[Array, " moved"],
    weight: Float[Array, "*frames"],
    tolerance: Float[Array, ""],
    steps: int,
) -> tuple[Float[Array, " free"], Bool[Array, ""]]:
    """The numbers at `index` that bring the mean closest to the recorded frames, by Levenberg-Marquardt.

        minimize Σ weight² (frames − mean)²

    Arguments:
        vector: all free numbers to start from.
        index: of those that move.
        scale: the unit of each of these.
        weight: 1 / standard deviation, 0 where a pixel does not count, shape of the frames.
        tolerance: size of the last step, in these units.
        steps: at most.

    Returns:
        the free numbers, and whether the steps converged.
    """

    def residual(moved, _):
        mean = likelihood.statistics(vector.at[index].add(scale * moved)).mean
        return (weight * (likelihood.recording.frames - mean)).ravel()

    moved, converged = _solve_least_squares(residual, jnp.zeros_like(scale), tolerance, steps)
    return vector.at[index].add(scale * moved), converged


@eqx.filter_jit
def fit_means_by_rows(
    likelihood: Likelihood,
    vector: Float[Array, " free"],
    index: Int[Array, " moved"],
    scale: Float[Array, " moved"],
    weight: Float[Array, "*frames"],
    tolerance: Float[Array, ""],
    steps: int,
) -> tuple[Float[Array, " free"], Bool[Array, ""]]:
    """As `fit_means`, in the memory of a few recordings and with two transforms a number and step.

    Source: D. W. Marquardt, J. SIAM 11, 431 (1963).
    """
    frames, unit = likelihood.recording.frames, jnp.eye(index.size, dtype=vector.dtype)

    def residual(moved):
        mean = likelihood.statistics(vector.at[index].add(scale * moved)).mean
        return weight * (frames - mean)

    def linearize(moved):
        left, pull = jax.vjp(residual, moved)
        return jnp.sum(left**2), _gram(residual, moved, pull), pull(left)[0]

    def is_open(state):
        return ~state[-1] & (state[-2] < steps)

    def step(state):
        moved, equations, damping, count, _ = state
        cost, gram, slope = equations
        change = jnp.linalg.solve(gram + damping * unit, -slope)
        is_better = jnp.sum(residual(moved + change) ** 2) < cost
        moved = jnp.where(is_better, moved + change, moved)
        equations = jax.lax.cond(is_better, lambda: linearize(moved), lambda: equations)
        # At the end steps are below what rounding lets a sum of squares tell.
        is_small = (jnp.max(jnp.abs(change)) <= tolerance) & (damping <= LARGEST_LAST_DAMPING)
        damping = jnp.maximum(jnp.where(is_better, damping / 10, damping * 10), LEAST_DAMPING)
        return moved, equations, damping, count + 1, is_small

    start = jnp.zeros_like(scale)
    state = start, linearize(start), jnp.asarray(FIRST_DAMPING, scale.dtype), 0, jnp.asarray(False)
    moved, _, _, _, converged = jax.lax.while_loop(is_open, step, state)
    return vector.at[index].add(scale * moved), converged


@eqx.filter_jit
def information_by_rows(
    likelihood: Likelihood,
    vector: Float[Array, " free"],
    index: Int[Array, " moved"],
    weight: Float[Array, "*frames"],
) -> Float[Array, "moved moved"]:
    """(∂mean/∂θ)ᵀ weight² (∂mean/∂θ) of the numbers at `index`, in the memory of a few recordings."""

    def mean_of(moved):
        return weight * likelihood.statistics(vector.at[index].set(moved)).mean

    return _gram(mean_of, vector[index], jax.vjp(mean_of, vector[index])[1])


def _gram(function: Callable, point: Array, pull: Callable) -> Float[Array, "moved moved"]:
    """Products of all pairs of slopes: a slope pushed forward and pulled back at a time."""
    rows = jax.lax.map(
        lambda direction: pull(jax.jvp(function, (point,), (direction,))[1])[0],
        jnp.eye(point.size, dtype=point.dtype),
    )
    return (rows + rows.T) / 2


@eqx.filter_jit
def fit_noise(
    likelihood: Likelihood,
    vector: Float[Array, " free"],
    index: Int[Array, " moved"],
    squared_residuals: Float[Array, "*frames"],
    weight: Float[Array, "*frames"],
    tolerance: Float[Array, ""],
    steps: int,
) -> tuple[Float[Array, " free"], Bool[Array, ""]]:
    """The levels of noise at `index` that explain the residuals, a step towards the most likely ones.

        minimize Σ (weight² (squared residuals − variance))² / 2

    Where the weights are those of the variance that results, the likelihood has its maximum (Fisher scoring).

    Arguments:
        vector: all free numbers to start from.
        index: of the levels, which are positive.
        squared_residuals: of the frames, corrected for what the fit of the means took from them.
        weight, tolerance, steps: as for `fit_means`; the unit of a level is the level itself.

    Returns:
        the free numbers, and whether the steps converged.
    """

    def rescale(moved):
        return vector.at[index].set(vector[index] * jnp.exp(moved))

    def residual(moved, _):
        variance = likelihood.statistics(rescale(moved)).variance
        return (weight**2 * (squared_residuals - variance)).ravel() / jnp.sqrt(2.0)

    moved, converged = _solve_least_squares(residual, jnp.zeros(index.shape, vector.dtype), tolerance, steps)
    return rescale(moved), converged


@eqx.filter_jit
def mean_slopes(
    likelihood: Likelihood, vector: Float[Array, " free"], index: Int[Array, " moved"]
) -> Float[Array, "pixels moved"]:
    """d mean / d number, a column for each number at `index`."""
    return _slopes(lambda v: likelihood.statistics(v).mean, vector, index)


@eqx.filter_jit
def variance_slopes(
    likelihood: Likelihood, vector: Float[Array, " free"], index: Int[Array, " moved"]
) -> Float[Array, "pixels moved"]:
    """d variance / d number, a column for each number at `index`."""
    return _slopes(lambda v: likelihood.statistics(v).variance, vector, index)


def _slopes(function: Callable, vector: Array, index: Array) -> Float[Array, "pixels moved"]:
    slopes = jax.jacfwd(lambda moved: function(vector.at[index].set(moved)))(vector[index])
    return slopes.reshape(-1, index.size)


def _solve_least_squares(
    residual: Callable, start: Float[Array, " moved"], tolerance: Float[Array, ""], steps: int
) -> tuple[Float[Array, " moved"], Bool[Array, ""]]:
    import lineax  # both take a quarter of a second, which only a fit has to spend
    import optimistix

    # Columns of one length, in double precision: the normal equations lose nothing that the standard errors
    # would keep.
    solver = optimistix.LevenbergMarquardt(
        rtol=1e-8, atol=tolerance, linear_solver=lineax.Normal(lineax.Cholesky())
    )
    solution = optimistix.least_squares(residual, solver, start, max_steps=steps, throw=False)
    return solution.value, solution.result == optimistix.RESULTS.successful
