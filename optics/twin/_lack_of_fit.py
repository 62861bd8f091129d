"""Tests of a fit that a level of noise, fitted to the same residuals, cannot satisfy."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact, Int

from optics.device import FourierProcessor, modulate
from optics.twin._likelihood import Likelihood, propagate_camera
from optics.twin._recording import Recording

# A model is refused where noise alone gives such a lack of fit less often than this.
SIGNIFICANCE = 0.01
# Numbers of the widest model that residuals are searched with: the square of it is held in memory.
MAX_PATTERNS = 2048
# An eigenvalue of the normalized equations below this is rounding.
ROUNDING_EIGENVALUE = 1e-10


class LackOfFit(NamedTuple):
    """How much more the frames differ from the model than noise explains.

    Attributes:
        evidence: what tells noise from an error of the model. "repeats": the scatter of the frames of one
            drive, taken several times; "noise": the noise of the model's camera, if none of it was fitted;
            "patterns": offsets, gains and squares that the residuals follow.
        ratio: mean square of the residuals that noise does not explain alone over that of the noise,
            expected 1 of a right model.
        freedom: degrees of freedom of both; infinite where the noise was known.
        probability: that noise alone gives a ratio as far off.
        model_error: root mean square error of the model that explains the ratio, in standard deviations of
            the noise of a pixel.
        detectable: such an error that would be found half of the time; infinite for "patterns", which show
            some errors and not others.
    """

    evidence: str
    ratio: float
    freedom: tuple[float, float]
    probability: float
    model_error: float
    detectable: float


def group_repeats(recording: Recording) -> Int[np.ndarray, " count"]:
    """For each drive of a recording the number of its group; drives and full scales of a group are equal."""
    drive, full_scale = np.asarray(recording.drive), np.asarray(recording.full_scale)
    settings = np.concatenate(
        [part.reshape(len(drive), -1) for part in (drive.real, drive.imag, full_scale)], axis=1
    )
    return np.unique(settings, axis=0, return_inverse=True)[1].ravel()


def compare_repeats(
    residual: Float[np.ndarray, "count exposures frames rows cols"],
    counts: Bool[np.ndarray, "count exposures frames rows cols"],
    groups: Int[np.ndarray, " count"],
    fitted: int,
) -> LackOfFit | None:
    """The means of repeats against the scatter of the repeats about them.

        F = (Σ m r̄² / (means − fitted)) / (Σ (r − r̄)² / (residuals − means))

    An error of the model repeats with the drive, noise does not, whatever its level. Noise that is common to
    the pixels of an exposure, such as a laser's, has fewer degrees of freedom than pixels: sums of (r − r̄)²
    scatter φ times as much from exposure to exposure as those of independent pixels, and the degrees of
    freedom of both sums are divided by φ (Satterthwaite).

    Arguments:
        residual: in standard deviations of the model's noise, 0 where a pixel does not count.
        counts: the pixels that count.
        groups: of drives that are equal, from 0.
        fitted: numbers of the mean.

    Returns:
        `LackOfFit`, or None without repeats, or of repeats without noise.

    Source: N. R. Draper and H. Smith, Applied Regression Analysis, 3rd ed., section 2.1 (pure error);
    F. E. Satterthwaite, Biometrics Bulletin 2, 110 (1946).
    """

    def add_groups(values):
        total = np.zeros((groups.max() + 1, *values.shape[1:]))
        np.add.at(total, groups, values)
        return total

    repeats = add_groups(counts)
    mean = add_groups(residual) / np.maximum(repeats, 1)
    squares = np.sum(add_groups(counts * (residual - mean[groups]) ** 2), axis=(-3, -2, -1))
    freedom = np.sum(np.maximum(repeats - 1, 0), axis=(-3, -2, -1))
    of_means = int(np.sum(repeats > 0)) - fitted
    if of_means < 1 or not np.sum(squares) > 0:
        return None
    noise = np.sum(squares) / np.sum(freedom)
    ratio = np.sum(repeats * mean**2) / of_means / noise
    shared = _overdispersion(squares, freedom)
    return _test_ratio(
        "repeats", ratio, (of_means / shared, np.sum(freedom) / shared), of_means / np.sum(counts)
    )


def compare_noise(chi2: float, freedom: int, pixels: int) -> LackOfFit:
    """χ² against the noise of the model's camera, none of which was fitted.

    Arguments:
        chi2, freedom: of the fit.
        pixels: that count.

    Returns:
        `LackOfFit`; it is improbable too where the frames have less noise than the model.
    """
    upper = _test_ratio("noise", chi2 / freedom, (float(freedom), np.inf), freedom / pixels)
    either = 2 * min(upper.probability, 1 - upper.probability)
    return upper._replace(probability=either)


def seek_patterns(
    likelihood: Likelihood,
    vector: Float[Array, " free"],
    slopes: Float[np.ndarray, "pixels moved"],
    residual: Float[np.ndarray, "count exposures frames rows cols"],
    weight: Float[Array, "count exposures frames rows cols"],
) -> LackOfFit | None:
    """How much of the residuals a wider model explains, against what it leaves.

        F = (explained / numbers added) / (left / degrees of freedom left)

    The wider model adds a complex gain of each modulator pixel and of each field at a camera pixel, an offset
    of each camera pixel, and a gain and a square that are common to all frames. Noise follows none of them,
    whatever its level; an error that is none of them stays unseen.

    Arguments:
        likelihood, vector: of the fit.
        slopes: of the fitted numbers of the mean, in standard deviations of a pixel.
        residual: in standard deviations, 0 where a pixel does not count.
        weight: 1 / standard deviation, 0 where a pixel does not count.

    Returns:
        `LackOfFit`, or None where the frames are too few for the wider model, or its numbers too many.
    """
    counts = np.asarray(weight) > 0
    fitted = slopes.shape[1]
    if fitted + sum(math.prod(shape) for shape in _pattern_shapes(likelihood)) > MAX_PATTERNS:
        return None
    gram, moment = (
        np.asarray(part)
        for part in _normal_equations(likelihood, vector, jnp.asarray(slopes), jnp.asarray(residual), weight)
    )
    before, rank_before = _explain(gram[:fitted, :fitted], moment[:fitted])
    after, rank = _explain(gram, moment)
    added, left_freedom = rank - rank_before, int(np.sum(counts)) - rank
    left = np.sum(residual**2) - after
    if added < 1 or left_freedom < 1 or not left > 0:
        return None
    ratio = (after - before) / added / (left / left_freedom)
    shared = _overdispersion(np.sum(residual**2, axis=(-3, -2, -1)), np.sum(counts, axis=(-3, -2, -1)))
    result = _test_ratio("patterns", ratio, (added / shared, left_freedom / shared), added / np.sum(counts))
    return result._replace(detectable=np.inf)


def _test_ratio(evidence: str, ratio: float, freedom: tuple[float, float], share: float) -> LackOfFit:
    """F-test of a ratio; `share` is that of the pixels which an error of the model is spread over."""
    from scipy import stats  # takes half a second, which only a fit has to spend

    law = stats.f(*freedom) if np.isfinite(freedom[1]) else stats.chi2(freedom[0], scale=1 / freedom[0])
    critical = law.isf(SIGNIFICANCE)
    return LackOfFit(
        evidence,
        float(ratio),
        (float(freedom[0]), float(freedom[1])),
        float(law.sf(ratio)),
        model_error=float(np.sqrt(max(ratio - 1, 0) * share)),
        detectable=float(np.sqrt(max(critical - 1, 0) * share)),
    )


def _overdispersion(squares: np.ndarray, freedom: np.ndarray) -> float:
    """How much more sums of squares of exposures scatter than those of independent pixels, at least 1."""
    squares, freedom = squares[freedom > 0], freedom[freedom > 0]
    if squares.size < 2:
        return 1.0
    noise = np.sum(squares) / np.sum(freedom)
    scatter = np.mean((squares - freedom * noise) ** 2 / (2 * freedom * noise**2))
    return max(1.0, float(scatter) * squares.size / (squares.size - 1))


def _explain(gram: np.ndarray, moment: np.ndarray) -> tuple[float, int]:
    """The sum of squares that normal equations explain, and their rank."""
    strength = np.sqrt(np.diag(gram))
    matters = strength > 0
    if not np.any(matters):
        return 0.0, 0
    normalized = gram[np.ix_(matters, matters)] / np.outer(strength[matters], strength[matters])
    eigenvalues, directions = np.linalg.eigh(normalized)
    known = eigenvalues > ROUNDING_EIGENVALUE * len(eigenvalues)
    along = directions[:, known].T @ (moment[matters] / strength[matters])
    return float(np.sum(along**2 / eigenvalues[known])), int(np.sum(known))


def _pattern_shapes(likelihood: Likelihood) -> list[tuple[int, ...]]:
    """Shapes of the numbers that the wider model adds: gains of the light and of the field, real and
    imaginary, offsets, and the common gain and square.
    """

    def propagate(device, drive):
        light = modulate(device.encoder, device.slm, device.transfer, drive, None)
        return light, device.transfer(light)

    light, field = eqx.filter_eval_shape(propagate, likelihood.device, likelihood.recording.drive[0])
    return [(2, *light.shape[-2:]), (2, *field.shape[-2:]), likelihood.recording.frames.shape[-2:], (2,)]


def _widened_frames(
    device: FourierProcessor,
    drive: Inexact[Array, "exposures slm_rows slm_cols"],
    full_scale: Float[Array, "exposures 1 1"],
    patterns: list[Array],
) -> Float[Array, "exposures frames rows cols"]:
    """The expected frames of a drive by the wider model."""
    of_light, of_field, offset, (gain, square) = patterns
    light = modulate(device.encoder, device.slm, device.transfer, drive, None)
    field = device.transfer(light * (1 + jax.lax.complex(*of_light))) * (1 + jax.lax.complex(*of_field))
    mean = propagate_camera(device.camera, device.measurement.frames(field / full_scale)).mean
    return mean + offset + gain * mean + square * mean**2


@eqx.filter_jit
def _normal_equations(
    likelihood: Likelihood,
    vector: Float[Array, " free"],
    slopes: Float[Array, "pixels moved"],
    residual: Float[Array, "count exposures frames rows cols"],
    weight: Float[Array, "count exposures frames rows cols"],
) -> tuple[Float[Array, "all all"], Float[Array, " all"]]:
    """Normal equations of the fitted numbers and those of the wider model, summed drive by drive."""
    device = likelihood.device_at(vector)
    recording = likelihood.recording
    start = [jnp.zeros(shape, residual.dtype) for shape in _pattern_shapes(likelihood)]
    count = recording.drive.shape[0]

    def add_drive(total, of_drive):
        drive, full_scale, moved, residual, weight = of_drive
        added = jax.jacfwd(lambda patterns: _widened_frames(device, drive, full_scale, patterns))(start)
        added = jnp.concatenate([part.reshape(weight.size, -1) for part in added], axis=1)
        columns = jnp.concatenate([moved, added * weight.reshape(-1, 1)], axis=1)
        return (total[0] + columns.T @ columns, total[1] + columns.T @ residual.ravel()), None

    width = slopes.shape[1] + sum(part.size for part in start)
    zeros = jnp.zeros((width, width), residual.dtype), jnp.zeros(width, residual.dtype)
    by_drive = slopes.reshape(count, -1, slopes.shape[1])
    of_drives = (recording.drive, recording.full_scale, by_drive, residual, weight)
    return jax.lax.scan(add_drive, zeros, of_drives)[0]
