"""The result of a fit: numbers, their standard errors, and how well the model fits."""

from typing import NamedTuple

import numpy as np
from jaxtyping import PyTree

from optics.device import FourierProcessor

# Numbers that `print` lists; the others are counted.
MAX_PRINTED = 40

# χ² per degree of freedom beyond which `print` says that the model does not fit, if chance does not explain
# it.
POOR_RATIO = 1.5
CHANCE_DEVIATIONS = 5.0

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
        freedom: its degrees of freedom; `chi2 / freedom` is near 1 where the device can describe the bench.
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

    def __str__(self) -> str:
        ratio = self.chi2 / self.freedom
        lines = [
            f"χ² / degrees of freedom = {ratio:.3f} ({self.freedom}){_describe_ratio(ratio, self.freedom)}"
        ]
        rows = list(zip(self.names, self.numbers, self.deviations, strict=True))
        lines += [f"{name} = {number:.6g} ± {error:.2g}" for name, number, error in rows[:MAX_PRINTED]]
        lines += [f"and {len(rows) - MAX_PRINTED} more"] if len(rows) > MAX_PRINTED else []
        lines += (
            [f"not determined: {', '.join(self.undetermined[:MAX_PRINTED])}"] if self.undetermined else []
        )
        return "\n".join(lines)


def standard_errors(slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors and correlations of fitted numbers from the slopes of the whitened data.

        information = slopesᵀ slopes,   covariance = information⁻¹

    Numbers that the data do not determine, alone or against others, have an infinite standard error and no
    correlation.

    Arguments:
        slopes: d datum / d number in standard deviations of the datum, shape (data, numbers).

    Returns:
        standard errors, shape (numbers,), in (0, ∞]; correlations, shape (numbers, numbers), 1 on the
        diagonal.
    """
    slopes = np.asarray(slopes, np.float64)
    count = slopes.shape[1]
    strength = np.sqrt(np.sum(slopes**2, axis=0))
    matters = strength > 0
    normalized = slopes[:, matters] / strength[matters]
    eigenvalues, directions = np.linalg.eigh(normalized.T @ normalized)
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
