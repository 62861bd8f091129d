"""How well numbers are known: from the Fisher information to standard errors."""

import numpy as np

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
