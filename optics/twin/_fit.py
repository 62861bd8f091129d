"""A simulated twin fitted to the recording of a bench."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from optics._check import check_whole
from optics._typing import CountLike, DeviceLike, FunctionLike, RecordingLike, ShapeLike
from optics.device import FourierProcessor, compile_device
from optics.effects import Noise
from optics.twin._check_recording import check_orientation, check_recording
from optics.twin._lack_of_fit import LackOfFit, compare_noise, compare_repeats, group_repeats, seek_patterns
from optics.twin._least_squares import (
    fit_means,
    fit_means_by_rows,
    fit_noise,
    information_by_rows,
    mean_slopes,
    predict,
    variance_slopes,
)
from optics.twin._likelihood import Likelihood, compiled_terms
from optics.twin._parameters import FreeParameters
from optics.twin._recording import Recording
from optics.twin._result import Fit, errors_of_information, standard_errors

# The weights depend a little on the fitted numbers, so least squares is done in rounds. Each ends where its
# steps are this far below the standard error of a number alone.
ROUND_TOLERANCES = 0.1, 0.03, 1e-3
# Rounds more where the weights themselves are fitted.
EXTRA_NOISE_ROUNDS = 3
# Relative size of the last step of a level of noise.
NOISE_TOLERANCE = 1e-5
# Of a camera without noise, in units of full scale squared: far below a level of any converter.
SMALLEST_VARIANCE = 1e-18
# Pairs of a recorded pixel and a fitted number, beyond which the slopes are not held in memory: 1 GB.
MOST_SLOPES = 2**27


def fit_twin(
    device: DeviceLike,
    recording: RecordingLike,
    where: FunctionLike,
    free: PyTree = None,
    steps: CountLike = 100,
    map_pixels: ShapeLike | None = None,
) -> Fit:
    """Fit any numbers of a device to recorded frames, by maximum likelihood, with their standard errors.

        frames ~ Normal(mean(θ), variance(θ))
        information = (∂mean/∂θ)ᵀ variance⁻¹ (∂mean/∂θ),   covariance = information⁻¹

    Numbers that move the mean are fitted by Levenberg-Marquardt, with the variance that the device's camera
    gives (shot, read, quantization), renewed between rounds; levels of noise by the likelihood of the
    residuals, with the information ½ (∂variance/∂θ)ᵀ variance⁻² (∂variance/∂θ). A camera without noise has
    the variance of the residuals. Pixels that are expected within 4 standard deviations of an end of the
    scale do not count, nor do pixels that never change. The fit is local: start within about half a wave and
    half a fringe of the truth. It runs in double precision, and holds 8 bytes for each pair of a pixel
    recorded and a number fitted; where that is more than 1 GB it finds the information a row at a time, in
    the memory of a few recordings, and takes two transforms of the recording for each number and step; errors
    of a model whose noise is fitted then show in repeated drives alone.

    A panel's maps (gains, offsets, phases) have a number a pixel, and a few frames do not tell so many. With
    `map_pixels` a map is fitted as it is in the device plus a smooth surface through values at nodes:

        map = map in `device` + spline(nodes),   nodes from the first to the last pixel of each axis

    a cubic spline (not-a-knot) along rows and columns. Illumination, aberrations and the bow of a panel are
    such maps; what differs from pixel to pixel stays that of `device`. As many nodes as pixels are the map.
    From one drive of 1,024×1,024 pixels, four frames, 5×5 complex nodes take 96 s of one core and 1.6 GB.

    Whether the model is right is tested apart from χ² (`Fit.lack_of_fit`): record some drives twice, as a
    level of noise that is fitted brings χ² per degree of freedom to 1 whatever the model is. Standard errors
    suppose a right model; of a wrong one the numbers may be off by many of them, at any χ².

    Noise of the modulator (laser, flicker) moves all pixels of a frame at once, which the likelihood does not
    model: there χ² per degree of freedom exceeds 1, and standard errors are to be multiplied by its root at
    least.

    Arguments:
        device: where the fit starts. To fit defocus, aberrations and the like its
            transfer must be a `FourierLens`, which is compiled at every step.
        recording: drives, and the frames that the bench gave.
        where: function of the device that returns the leaves to fit, as for `equinox.tree_at`, such as
            `lambda d: (d.transfer.defocus, d.slm[0].gain)`. The index counts the effects of the chain: the
            first effect of `effects.camera` may be `Dark`. Pick an effect by its type to be sure.
        free: booleans like the result of `where`, or that broadcast to it: False holds a number, such as the
            piston and the tilts of `aberrations`, which a reference and a shift imitate. By default all are
            fitted.
        steps: of each round at most.
        map_pixels: nodes of each map among what `where` picks, one number or (rows, columns); None fits every
            pixel. What has fewer than two axes is fitted as it is. `free` holds whole maps then.

    Returns:
        `Fit`: the device fitted, standard errors, χ², correlations, the names of numbers that could not be
            determined, and whether the model is good.

    Raises:
        ValueError: a recording of another device, turned, or in another order; a `where` that picks leaves
            that are not there or that the frames do not depend on; noise that is 0 to start with; fewer
            pixels recorded than numbers fitted; `map_pixels` without a map, of more nodes than a map has
            pixels, or with part of a map held by `free`; or a fit that does not converge.

    Source: C. de Boor, A Practical Guide to Splines (1978), chapter IV, on the ends of the spline.
    """
    if not isinstance(device, FourierProcessor):
        raise ValueError(f"`device` must be a `FourierProcessor`, got {type(device).__name__}.")
    if not isinstance(recording, Recording):
        raise ValueError(f"`recording` must be an `optics.Recording`, got {type(recording).__name__}.")
    check_whole("steps", steps, 1)
    check_recording(device, recording)
    parameters = FreeParameters(where, device, free, map_pixels)
    fits_lens = any(parameters.in_lens)
    with jax.enable_x64(True):
        start = _as_double(device if fits_lens else compile_device(device))
        likelihood = Likelihood(
            start,
            _as_double(recording),
            parameters,
            _responsive_pixels(recording),
            compiled_terms(device.transfer) if fits_lens else None,
        )
        predicted = predict(likelihood, parameters.vector(start))
        check_orientation(recording, predicted.mean, predicted.variance)
        return _as_fit(device, parameters, _maximize(likelihood, steps))


class Optimum(NamedTuple):
    """The most likely numbers, and the whitened slopes there.

    Attributes:
        vector: the free numbers.
        chi2: Σ (frames − mean)² / variance over the pixels that count.
        freedom: degrees of freedom of `chi2`.
        noise_is_fitted: to the residuals that `chi2` sums.
        lack_of_fit: None where nothing tells noise from an error of the model.
        mean_errors: standard errors of the numbers of the mean, and their correlations.
        noise_errors: those of the levels of noise.
    """

    vector: Float[Array, " free"]
    chi2: float
    freedom: int
    noise_is_fitted: bool
    lack_of_fit: LackOfFit | None
    mean_errors: tuple[np.ndarray, np.ndarray]
    noise_errors: tuple[np.ndarray, np.ndarray]


def _maximize(likelihood: Likelihood, steps: int) -> Optimum:
    """Fit the numbers of the mean and the levels of noise in turn, until both are the most likely ones."""
    parameters, frames = likelihood.parameters, likelihood.recording.frames
    is_noise = parameters.is_noise()
    of_mean, of_noise = (jnp.asarray(np.flatnonzero(mask), int) for mask in (~is_noise, is_noise))
    vector = parameters.vector(likelihood.device)
    if np.any(np.asarray(vector)[is_noise] <= 0):
        raise ValueError(
            f"`device` must start with noise above 0 where it is fitted, got {np.asarray(vector)[is_noise]}."
        )
    noiseless = not any(isinstance(effect, Noise) for effect in likelihood.device.camera)

    for round_ in range(len(ROUND_TOLERANCES) + (EXTRA_NOISE_ROUNDS if of_noise.size else 0)):
        mean, variance, in_range = predict(likelihood, vector)
        if noiseless:
            variance = _residual_variance(frames - mean, in_range, of_mean.size)
        counts = in_range & (variance > 0)
        pixels = int(jnp.sum(counts))
        _check_enough_pixels(pixels, len(vector))
        weight = _weights(variance, counts)
        if of_mean.size:
            by_rows = weight.size * of_mean.size > MOST_SLOPES
            if by_rows:
                strength = jnp.sqrt(jnp.diag(information_by_rows(likelihood, vector, of_mean, weight)))
            else:
                strength = jnp.linalg.norm(
                    mean_slopes(likelihood, vector, of_mean) * weight.reshape(-1, 1), axis=0
                )
            if round_ == 0:
                _check_sensitivity(parameters, np.asarray(strength), of_mean)
            scale = jnp.where(strength > 0, 1 / jnp.where(strength > 0, strength, 1), 0)
            tolerance = jnp.asarray(ROUND_TOLERANCES[min(round_, len(ROUND_TOLERANCES) - 1)])
            fit_numbers = fit_means_by_rows if by_rows else fit_means
            vector, converged = fit_numbers(likelihood, vector, of_mean, scale, weight, tolerance, steps)
            _check_convergence(converged, steps, "the means")
            mean = predict(likelihood, vector).mean
        if of_noise.size:
            # The fit of the means has made the residuals smaller.
            squared_residuals = (frames - mean) ** 2 * (pixels / (pixels - of_mean.size))
            tolerance = jnp.asarray(NOISE_TOLERANCE)
            vector, converged = fit_noise(
                likelihood, vector, of_noise, squared_residuals, weight, tolerance, steps
            )
            _check_convergence(converged, steps, "the noise")

    mean, variance, _ = predict(likelihood, vector)
    if noiseless:
        variance = _residual_variance(frames - mean, counts, of_mean.size)
    chi2 = float(jnp.sum(jnp.where(counts, (frames - mean) ** 2 / variance, 0)))
    weight = _weights(variance, counts)
    of_pixel = weight.reshape(-1, 1)
    whitened_means, whitened_noise = np.zeros((weight.size, 0)), np.zeros((1, 0))
    information = None
    if of_mean.size and weight.size * of_mean.size > MOST_SLOPES:
        information = np.asarray(information_by_rows(likelihood, vector, of_mean, weight))
    elif of_mean.size:
        whitened_means = np.asarray(mean_slopes(likelihood, vector, of_mean) * of_pixel)
    if of_noise.size:
        slopes = variance_slopes(likelihood, vector, of_noise)
        whitened_noise = np.asarray(slopes * of_pixel**2) / np.sqrt(2)
    freedom, noise_is_fitted = pixels - of_mean.size, noiseless or of_noise.size > 0
    residual, groups = np.asarray(weight * (frames - mean)), group_repeats(likelihood.recording)
    lack_of_fit = compare_repeats(residual, np.asarray(counts), groups, of_mean.size)
    if lack_of_fit is None and not noise_is_fitted:
        lack_of_fit = compare_noise(chi2, freedom, pixels)
    elif lack_of_fit is None and information is None:
        lack_of_fit = seek_patterns(likelihood, vector, whitened_means, residual, weight)
    of_means = standard_errors(whitened_means) if information is None else errors_of_information(information)
    return Optimum(
        vector, chi2, freedom, noise_is_fitted, lack_of_fit, of_means, standard_errors(whitened_noise)
    )


def _as_fit(device: FourierProcessor, parameters: FreeParameters, optimum: Optimum) -> Fit:
    """The result of a fit, in the precision of the device that it started from."""
    is_noise, vector = parameters.is_noise(), np.asarray(optimum.vector)
    errors, correlation = np.empty(len(vector)), np.eye(len(vector))
    for mask, of_kind in ((~is_noise, optimum.mean_errors), (is_noise, optimum.noise_errors)):
        errors[mask], correlation[np.ix_(mask, mask)] = of_kind
    values = parameters.unflatten(device, jnp.asarray(vector))
    return Fit(
        device=eqx.tree_at(parameters.where, device, values),
        values=values,
        errors=parameters.leaf_errors(device, errors, correlation),
        chi2=optimum.chi2,
        freedom=optimum.freedom,
        noise_is_fitted=optimum.noise_is_fitted,
        lack_of_fit=optimum.lack_of_fit,
        correlation=correlation,
        names=parameters.names,
        numbers=vector,
        deviations=errors,
    )


def _as_double(tree: PyTree) -> PyTree:
    """Floating-point leaves in double precision."""

    def as_double(leaf):
        if not eqx.is_inexact_array(leaf):
            return leaf
        return leaf.astype(jnp.complex128 if jnp.iscomplexobj(leaf) else jnp.float64)

    return jax.tree.map(as_double, tree)


def _responsive_pixels(recording: Recording) -> Bool[Array, "rows cols"]:
    """Pixels of the camera that change from frame to frame, where there are enough frames to say so."""
    if recording.count <= 2:
        return jnp.ones(recording.frames.shape[-2:], bool)
    return jnp.ptp(recording.frames, axis=(0, 1, 2)) > 0


def _residual_variance(
    residual: Float[Array, "*frames"], counts: Bool[Array, "*frames"], fitted: int
) -> Float[Array, "*frames"]:
    """The variance of a camera without noise: that of the residuals, common to all pixels, and above 0."""
    mean_square = jnp.sum(jnp.where(counts, residual**2, 0)) / jnp.maximum(jnp.sum(counts) - fitted, 1)
    return jnp.full_like(residual, jnp.maximum(mean_square, SMALLEST_VARIANCE))


def _weights(variance: Float[Array, "*frames"], counts: Bool[Array, "*frames"]) -> Float[Array, "*frames"]:
    """1 / standard deviation of the pixels that count, 0 for the others."""
    return jnp.where(counts, 1 / jnp.sqrt(jnp.where(counts, variance, 1)), 0)


def _check_enough_pixels(pixels: int, numbers: int) -> None:
    if pixels <= numbers:
        raise ValueError(
            f"`recording` must hold more pixels that count than the {numbers} numbers that are fitted, "
            f"but {pixels} do; record more drives."
        )


def _check_sensitivity(
    parameters: FreeParameters, strength: np.ndarray, of_mean: Int[Array, " moved"]
) -> None:
    """Refuse a leaf without a number that moves the frames."""
    matters = parameters.is_noise()
    matters[np.asarray(of_mean)] = strength > 0
    ends = np.cumsum(parameters.counts)[:-1]
    for path, part in zip(parameters.paths, np.split(matters, ends), strict=True):
        if part.size and not np.any(part):
            raise ValueError(
                f"`where` picks `{path}`, which the expected frames do not depend on; leave it out."
            )


def _check_convergence(converged: Bool[Array, ""], steps: int, name: str) -> None:
    if not bool(converged):
        raise ValueError(
            f"the fit of {name} did not converge in {steps} steps; start from a `device` that is closer to "
            "the bench, hold numbers that cannot be separated with `free`, or raise `steps`."
        )
