"""What tests of all packages share: figures of error that the project does not compute itself."""

import numpy as np


def relative(result, exact):
    """Relative error in the 2-norm, by NumPy."""
    result, exact = np.asarray(result), np.asarray(exact)
    assert result.shape == exact.shape
    return np.linalg.norm(result - exact) / np.linalg.norm(exact)
