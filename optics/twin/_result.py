"""What a fit gives."""

from typing import Any, NamedTuple

import numpy as np

from optics.device import FourierProcessor

# An eigenvalue of the normalized information below this is rounding: nothing is known along its direction.
NOTHING = 1e-10
# What share of a number may lie along such a direction before it counts as unknown.
SHARE = 1e-6


def errors_of(slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors and correlations of numbers from the slopes of the whitened data.

        information = slopesᵀ slopes,   covariance = information⁻¹

    Numbers that the data do not determine, alone or against others, have an infinite standard error and no correlation.

    Arguments:
        slopes: d datum / d number in standard deviations of the datum, shape (data, numbers).

    Returns:
        standard errors, shape (numbers,), in (0, ∞]; correlations, shape (numbers, numbers), 1 on the diagonal.
    """
    slopes = np.asarray(slopes, np.float64)
    count = slopes.shape[1]
    alone = np.sqrt(np.sum(slopes**2, axis=0))
    felt = alone > 0
    information = (slopes[:, felt] / alone[felt]).T @ (slopes[:, felt] / alone[felt])
    strength, directions = np.linalg.eigh(information)
    known = strength > NOTHING * max(len(strength), 1)
    covariance = (directions[:, known] / strength[known]) @ directions[:, known].T
    unknown = np.sum(directions[:, ~known] ** 2, axis=1) > SHARE
    errors, correlation = np.full(count, np.inf), np.eye(count)
    spread = np.sqrt(np.diag(covariance))
    good = np.flatnonzero(felt)[~unknown]
    errors[good] = spread[~unknown] / alone[good]
    normalized = (covariance / np.outer(spread, spread).clip(np.finfo(float).tiny))[~unknown][:, ~unknown]
    correlation[np.ix_(good, good)] = normalized
    np.fill_diagonal(correlation, 1.0)
    return errors, correlation


# Numbers that are printed; the others are counted.
SHOWN = 40


class Fit(NamedTuple):
    """A twin fitted to a recording.

    Attributes:
        device: with the fitted numbers in place; its transfer is of the kind that it was.
        values: fitted leaves, as `where` returned them.
        errors: their standard errors, the same structure and units: infinite for a number that the recording does not
            determine, 0 for one that was held; of a complex number real and imaginary part have one each.
        chi2: Σ (frames − mean)² / variance over the numbers that count.
        freedom: its degrees of freedom; `chi2 / freedom` is near 1 where the device can be what the bench is.
        correlation: of the free numbers, shape (free, free), in the order of `names`; 0 where a number is not determined.
        names: of the free numbers, such as "transfer.aberrations[4]".
        numbers: the free numbers as a vector, in double precision.
        deviations: their standard errors.
    """

    device: FourierProcessor
    values: Any
    errors: Any
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
        lines = [f"χ² / degrees of freedom = {self.chi2 / self.freedom:.3f} ({self.freedom})"]
        lines += [
            f"{n} = {v:.6g} ± {e:.2g}"
            for n, v, e in list(zip(self.names, self.numbers, self.deviations, strict=True))[:SHOWN]
        ]
        lines += [f"and {len(self.names) - SHOWN} more"] if len(self.names) > SHOWN else []
        lines += [f"not determined: {', '.join(self.undetermined[:SHOWN])}"] if self.undetermined else []
        return "\n".join(lines)
