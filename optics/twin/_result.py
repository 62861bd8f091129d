"""The result of a fit: numbers, their standard errors, and how well the model fits."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, PyTree

from optics._check import as_numpy, check_finite
from optics._typing import ArrayLike
from optics.device import FourierProcessor
from optics.twin._lack_of_fit import SIGNIFICANCE, LackOfFit

# Numbers that `print` lists; the others are counted.
MAX_PRINTED = 40

# χ² per degree of freedom beyond which `print` says that the model does not fit, if chance does not explain
# it.
POOR_RATIO = 1.5
CHANCE_DEVIATIONS = 5.0

# Errors of a model, in standard deviations of the noise of a pixel, that a test must be able to find before a
# fit is called good.
LARGEST_HIDDEN_ERROR = 1.0

# An eigenvalue of the normalized information below this is rounding: nothing is known along its direction.
ROUNDING_EIGENVALUE = 1e-10
# The share of a number along such directions above which it counts as unknown.
UNKNOWN_SHARE = 1e-6


class Fit(NamedTuple):
    """A twin fitted to a recording; `print` lists the numbers and says whether the model fits.

    Attributes:
        device: with the fitted numbers in place; its transfer is of the same kind as before.
        values: fitted leaves, in the structure that `where` returned.
        errors: their standard errors, same structure and units: infinite for a number that the recording does
            not determine, 0 for one that was held; real and imaginary part of a complex number have one each.
        chi2: Σ (frames − mean)² / variance over the pixels that count.
        freedom: its degrees of freedom. With noise that was held, `chi2 / freedom` is near 1 where the device
            can describe the bench; with noise that was fitted it is 1 by construction, of a wrong model too.
        noise_is_fitted: a level of noise was fitted, or the camera had none and got that of the residuals.
        lack_of_fit: the test of the model: repeats of a drive if the recording has any, else the noise of the
            camera if it was held, else patterns in the residuals; None where there was nothing to test.
        correlation: of the free numbers, shape (free, free), in the order of `names`; 0 where a number is not
            determined.
        names: of the free numbers, such as "transfer.aberrations[4]".
        numbers: the free numbers as a vector, in double precision.
        deviations: their standard errors.
    """

    device: FourierProcessor
    values: PyTree
    errors: PyTree
    chi2: float
    freedom: int
    noise_is_fitted: bool
    lack_of_fit: LackOfFit | None
    correlation: np.ndarray
    names: tuple[str, ...]
    numbers: np.ndarray
    deviations: np.ndarray

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Names of the numbers that the recording does not determine, alone or against one another."""
        return tuple(
            name for name, error in zip(self.names, self.deviations, strict=True) if not np.isfinite(error)
        )

    @property
    def is_good(self) -> bool | None:
        """Whether the model fits: False if noise alone gives such a lack of fit less than once in 100 times,
        and None if no test could have found an error of the size of the noise.
        """
        if self.lack_of_fit is None:
            return None
        if self.lack_of_fit.probability < SIGNIFICANCE:
            return False
        return True if self.lack_of_fit.detectable <= LARGEST_HIDDEN_ERROR else None

    def __str__(self) -> str:
        ratio = self.chi2 / self.freedom
        remark = _describe_ratio(ratio, self.freedom)
        if self.noise_is_fitted and not remark:
            remark = ", which says nothing of the model: the noise was fitted"
        lines = [
            f"χ² / degrees of freedom = {ratio:.3f} ({self.freedom}){remark}",
            _describe_test(self.is_good, self.lack_of_fit),
        ]
        rows = list(zip(self.names, self.numbers, self.deviations, strict=True))
        lines += [f"{name} = {number:.6g} ± {error:.2g}" for name, number, error in rows[:MAX_PRINTED]]
        lines += [f"and {len(rows) - MAX_PRINTED} more"] if len(rows) > MAX_PRINTED else []
        lines += (
            [f"not determined: {', '.join(self.undetermined[:MAX_PRINTED])}"] if self.undetermined else []
        )
        return "\n".join(lines)


def standard_errors(slopes: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors and correlations of fitted numbers from the slopes of the whitened data.

        information = slopesᵀ slopes,   covariance = information⁻¹

    Numbers that the data do not determine, alone or against others, have an infinite standard error and no
    correlation.

    Arguments:
        slopes: d datum / d number in standard deviations of the datum, shape (data, numbers).

    Returns:
        standard errors, shape (numbers,), in (0, ∞]; correlations, shape (numbers, numbers), 1 on the
        diagonal.

    Raises:
        ValueError: `slopes` that are no plane of finite numbers.
    """
    slopes = as_numpy("slopes", slopes).astype(np.float64)
    if slopes.size:
        check_finite("slopes", slopes)
    if slopes.ndim != 2:
        raise ValueError(f"`slopes` must have the shape (data, numbers), got {slopes.shape}.")
    strength = np.sqrt(np.sum(slopes**2, axis=0))
    matters = strength > 0
    normalized = slopes[:, matters] / strength[matters]
    return _invert(normalized.T @ normalized, strength)


def errors_of_information(
    information: Float[np.ndarray, "numbers numbers"],
) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors and correlations from the information itself, as `standard_errors` has them."""
    strength = np.sqrt(np.diag(information))
    matters = strength > 0
    normalized = information[np.ix_(matters, matters)] / np.outer(strength[matters], strength[matters])
    return _invert(normalized, strength)


def _invert(
    normalized: Float[np.ndarray, "mattering mattering"], strength: Float[np.ndarray, " numbers"]
) -> tuple[np.ndarray, np.ndarray]:
    """Errors and correlations from the information of numbers in units of 1 / their strength."""
    count, matters = len(strength), strength > 0
    eigenvalues, directions = np.linalg.eigh(normalized)
    known = eigenvalues > ROUNDING_EIGENVALUE * max(len(eigenvalues), 1)
    covariance = (directions[:, known] / eigenvalues[known]) @ directions[:, known].T
    determined = np.sum(directions[:, ~known] ** 2, axis=1) <= UNKNOWN_SHARE
    index = np.flatnonzero(matters)[determined]
    deviation = np.sqrt(np.diag(covariance))
    errors, correlation = np.full(count, np.inf), np.eye(count)
    errors[index] = deviation[determined] / strength[index]
    ratio = covariance / np.outer(deviation, deviation).clip(np.finfo(float).tiny)
    correlation[np.ix_(index, index)] = ratio[determined][:, determined]
    np.fill_diagonal(correlation, 1.0)
    return errors, correlation


def _describe_test(is_good: bool | None, test: LackOfFit | None) -> str:
    """What was tested, and what came of it."""
    if test is None or (is_good is None and test.evidence == "patterns"):
        return (
            "the model cannot be judged: the noise was fitted to the residuals, which hides its errors, and "
            "patterns in them were not found, or not looked for where slopes take more than 1 GB; record "
            "some drives twice"
        )
    compared = {
        "repeats": "the residuals against the scatter of repeats",
        "noise": "the residuals against the noise of the model's camera",
        "patterns": "offsets, gains and squares that the residuals follow against what they leave",
    }[test.evidence]
    freedom = ", ".join(f"{number:.0f}" for number in test.freedom)
    figures = f"{compared}: ratio {test.ratio:.3g} ({freedom}), p = {test.probability:.2g}"
    if is_good is None:
        return (
            f"the model cannot be judged: an error of {test.detectable:.2g} standard deviations of the noise "
            f"would pass; record more drives twice. {figures}"
        )
    if is_good:
        return (
            f"the model fits; an error of {test.detectable:.2g} standard deviations of the noise would show "
            f"half of the time. {figures}"
        )
    if test.ratio < 1:
        return f"the model does not fit: it has more noise than the frames. {figures}"
    off = f"{test.model_error:.2g} standard deviations of the noise"
    return f"the model does not fit: it is off by {off}. {figures}"


def _describe_ratio(ratio: float, freedom: int) -> str:
    """A warning if χ² per degree of freedom is far from 1."""
    if abs(ratio - 1) < CHANCE_DEVIATIONS * np.sqrt(2 / freedom):
        return ""
    if ratio > POOR_RATIO:
        return (
            ": the model does not fit. The frames differ from it by more than its noise; free more numbers, "
            "or correct the noise of its camera."
        )
    if ratio < 1 / POOR_RATIO:
        return ": the camera of the model has more noise than the frames."
    return ""
