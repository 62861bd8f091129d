"""A simulated twin fitted to what a bench recorded."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax
import numpy as np
import optimistix
from jaxtyping import Array, Bool, Float

from optics._check import check_whole
from optics.device import FourierProcessor, compile_device
from optics.effects import Noise
from optics.twin._likelihood import Likelihood, separable_terms
from optics.twin._parameters import Leaves
from optics.twin._recording import Recording, check_orientation, check_recording
from optics.twin._result import Fit, errors_of


@eqx.filter_jit
def fit_means(
    problem: Likelihood, vector: Array, which: Array, scale: Array, weight: Array, small: Array, steps: int
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
    solver = optimistix.LevenbergMarquardt(
        rtol=1e-8, atol=small, linear_solver=lineax.Normal(lineax.Cholesky())
    )
    found = optimistix.least_squares(residual, solver, jnp.zeros_like(scale), max_steps=steps, throw=False)
    return vector.at[which].add(scale * found.value), found.result == optimistix.RESULTS.successful


@eqx.filter_jit
def fit_noise(
    problem: Likelihood, vector: Array, which: Array, square: Array, weight: Array, small: Array, steps: int
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

    solver = optimistix.LevenbergMarquardt(
        rtol=1e-8, atol=small, linear_solver=lineax.Normal(lineax.Cholesky())
    )
    found = optimistix.least_squares(
        residual, solver, jnp.zeros(which.shape, vector.dtype), max_steps=steps, throw=False
    )
    return put(found.value), found.result == optimistix.RESULTS.successful


@eqx.filter_jit
def slopes_of_means(problem: Likelihood, vector: Array, which: Array) -> Float[Array, "numbers free"]:
    """d mean / d number, a column for each of `which`."""
    return _slopes(lambda v: problem.expected(v)[0], vector, which)


@eqx.filter_jit
def slopes_of_variances(problem: Likelihood, vector: Array, which: Array) -> Float[Array, "numbers free"]:
    """d variance / d ln number, a column for each of `which`."""
    return _slopes(lambda v: problem.expected(v)[1], vector, which) * vector[which]


@eqx.filter_jit
def predict(problem: Likelihood, vector: Array) -> tuple[Array, Array, Array]:
    """Mean, variance and which numbers count."""
    return problem.expected(vector)


def _slopes(function: Any, vector: Array, which: Array) -> Array:
    along = partial(jax.jvp, function, (vector,))
    columns = jax.vmap(lambda i: along((jnp.zeros_like(vector).at[i].set(1.0),))[1].ravel(), out_axes=-1)
    return columns(which)


# The weights depend a little on what is fitted, so least squares is done in rounds. Each ends where its steps are this far below
# the standard error of a number alone.
SMALL_STEPS = 0.1, 0.03, 1e-3
# Rounds more where the weights themselves are fitted.
MORE_FOR_NOISE = 3
# Of a camera without noise, in units of full scale squared: far below a level of any converter.
SMALLEST_VARIANCE = 1e-18


def fit_twin(device: Any, recording: Any, where: Any, free: Any = None, steps: int = 100) -> Fit:
    """Fit any numbers of a device to recorded frames, by maximum likelihood, with their standard errors.

        frames ~ Normal(mean(θ), variance(θ)),   information = (∂mean/∂θ)ᵀ variance⁻¹ (∂mean/∂θ),   covariance = information⁻¹

    Numbers that move the mean are fitted by Levenberg-Marquardt, with the variance that the device's camera gives (shot,
    read, quantization), renewed between rounds; levels of noise by the likelihood of what is left over, with the
    information ½ (∂variance/∂θ)ᵀ variance⁻² (∂variance/∂θ). A camera without noise has the variance of the residuals. Pixels that
    are expected within 4 standard deviations of an end of the scale do not count, nor do pixels that never change. The
    fit is local: start within about half a wave and half a fringe of the truth. It runs in double precision, and holds
    8 bytes for each pair of a pixel recorded and a number fitted.

    Noise of the modulator (laser, flicker) moves all pixels of a frame at once, which the likelihood does not know: there χ²
    per degree of freedom exceeds 1, and standard errors are to be multiplied by its root at least.

    Arguments:
        device: where the fit starts, as it is believed to be. To fit defocus, aberrations and the like its optics must be
            a `FourierLens`, which is compiled at every step.
        recording: what was shown and what was seen.
        where: function of the device that returns the leaves to fit, as of `equinox.tree_at`, such as
            `lambda d: (d.transfer.defocus, d.slm[0].gain, d.camera[1].photons)`.
        free: booleans like what `where` returns, or that broadcast to it: False holds a number, such as the piston and the
            tilts of `aberrations`, which a reference and a shift imitate. By default all are fitted.
        steps: of each round at most.

    Returns:
        `Fit`: the device fitted, standard errors, χ², correlations, and the names of what could not be determined.

    Raises:
        ValueError: a recording of another device, turned, or in another order; a `where` that picks what is not there or what
            the frames do not depend on; noise that is 0 to start with; fewer numbers recorded than fitted; or a fit that
            does not come to an end.
    """
    if not isinstance(device, FourierProcessor):
        raise ValueError(f"`device` must be a `FourierProcessor`, got {type(device).__name__}.")
    if not isinstance(recording, Recording):
        raise ValueError(f"`recording` must be an `optics.Recording`, got {type(recording).__name__}.")
    check_whole("steps", steps, 1)
    check_recording(device, recording)
    leaves = Leaves(where, device, free)
    lens = any(leaves.of_lens())
    with jax.enable_x64(True):
        start = _double(device if lens else compile_device(device))
        live = (
            jnp.ptp(recording.frames, axis=(0, 1, 2)) > 0
            if recording.count > 2
            else jnp.ones(recording.frames.shape[-2:], bool)
        )
        problem = Likelihood(
            start, _double(recording), leaves, live, separable_terms(device.transfer) if lens else None
        )
        check_orientation(recording, *predict(problem, leaves.vector(start))[:2])
        vector, chi2, freedom, slopes = _settle(problem, steps)
        errors, correlation = zip(*(errors_of(s) for s in slopes), strict=True)
        return _result(device, problem, np.asarray(vector), errors, correlation, chi2, freedom)


def _settle(problem: Likelihood, steps: int) -> tuple[Array, float, int, tuple[np.ndarray, np.ndarray]]:
    """The most likely numbers, χ², its degrees of freedom, and whitened slopes of the numbers of the mean and of those of noise."""
    of_noise = problem.leaves.of_noise()
    moving, levels = (jnp.asarray(np.flatnonzero(mask), int) for mask in (~of_noise, of_noise))
    vector, frames = problem.leaves.vector(problem.device), problem.recording.frames
    if np.any(np.asarray(vector)[of_noise] <= 0):
        raise ValueError(
            f"`device` must start with noise above 0 where it is fitted, got {np.asarray(vector)[of_noise]}."
        )
    noiseless = not any(isinstance(effect, Noise) for effect in problem.device.camera)

    def left_over(mean, clear):
        # Of a camera without noise: what the fit left, the same for all, and never quite 0.
        mean_square = jnp.sum(jnp.where(clear, (frames - mean) ** 2, 0)) / jnp.maximum(
            jnp.sum(clear) - moving.size, 1
        )
        return jnp.full_like(mean, jnp.maximum(mean_square, SMALLEST_VARIANCE))

    for round_ in range(len(SMALL_STEPS) + (MORE_FOR_NOISE if levels.size else 0)):
        mean, variance, clear = predict(problem, vector)
        variance = left_over(mean, clear) if noiseless else variance
        counts = clear & (variance > 0)
        used = int(jnp.sum(counts))
        if used <= len(vector):
            raise ValueError(
                f"`recording` must hold more numbers that count than the {len(vector)} that are fitted, but {used} do; show more."
            )
        weight = jnp.where(counts, 1 / jnp.sqrt(jnp.where(counts, variance, 1)), 0)
        if moving.size:
            strength = jnp.sqrt(
                jnp.sum((slopes_of_means(problem, vector, moving) * weight.reshape(-1, 1)) ** 2, axis=0)
            )
            if round_ == 0:
                _check_felt(problem, np.asarray(strength), moving)
            scale = jnp.where(strength > 0, 1 / jnp.where(strength > 0, strength, 1), 0)
            vector, ended = fit_means(
                problem, vector, moving, scale, weight, jnp.asarray(SMALL_STEPS[min(round_, 2)]), steps
            )
            _check_ended(ended, steps, "the means")
            mean = predict(problem, vector)[0]
        if levels.size:
            taken = used / (used - moving.size)
            vector, ended = fit_noise(
                problem, vector, levels, (frames - mean) ** 2 * taken, weight, jnp.asarray(1e-5), steps
            )
            _check_ended(ended, steps, "the noise")
    mean, variance, _ = predict(problem, vector)
    variance = left_over(mean, counts) if noiseless else variance
    chi2, freedom = float(jnp.sum(jnp.where(counts, (frames - mean) ** 2 / variance, 0))), used - moving.size
    weight = jnp.where(counts, 1 / jnp.sqrt(variance), 0).reshape(-1, 1)
    none = np.zeros((1, 0))
    of_means = np.asarray(slopes_of_means(problem, vector, moving) * weight) if moving.size else none
    of_levels = (
        np.asarray(slopes_of_variances(problem, vector, levels) * weight**2 / vector[levels]) / np.sqrt(2)
        if levels.size
        else none
    )
    return vector, chi2, freedom, (of_means, of_levels)


def _result(
    device: FourierProcessor,
    problem: Likelihood,
    vector: np.ndarray,
    errors: Any,
    correlation: Any,
    chi2: float,
    freedom: int,
) -> Fit:
    leaves, of_noise = problem.leaves, problem.leaves.of_noise()
    together, both = np.empty(len(vector)), np.eye(len(vector))
    for mask, error, part in zip((~of_noise, of_noise), errors, correlation, strict=True):
        together[mask] = error
        both[np.ix_(mask, mask)] = part
    values, spread = leaves.like(device, jnp.asarray(vector)), leaves.like(device, jnp.asarray(together), 0.0)
    fitted = eqx.tree_at(leaves.where, device, values)
    return Fit(fitted, values, spread, chi2, freedom, both, leaves.names, vector, together)


def _double(tree: Any) -> Any:
    """Floating-point leaves in double precision."""

    def wide(leaf):
        if not eqx.is_inexact_array(leaf):
            return leaf
        return leaf.astype(jnp.complex128 if jnp.iscomplexobj(leaf) else jnp.float64)

    return jax.tree.map(wide, tree)


def _check_felt(problem: Likelihood, strength: np.ndarray, moving: Array) -> None:
    """Refuse a leaf of which no number reaches the frames."""
    felt = np.zeros(len(problem.leaves.names), bool)
    felt[np.asarray(moving)] = strength > 0
    felt |= problem.leaves.of_noise()
    ends = np.cumsum([0, *problem.leaves.counts])
    for path, first, last in zip(problem.leaves.paths, ends, ends[1:], strict=False):
        if first < last and not np.any(felt[first:last]):
            raise ValueError(
                f"`where` picks `{path}`, which the expected frames do not depend on; leave it out."
            )


def _check_ended(ended: Array, steps: int, what: str) -> None:
    if not bool(ended):
        raise ValueError(
            f"the fit of {what} did not come to an end in {steps} steps; start from a `device` that is closer to the bench, hold with "
            "`free` what cannot be told apart, or raise `steps`."
        )
