"""The exact transform as a transfer."""

import jax.numpy as jnp
import numpy as np

from optics._check import as_pixels, check_memory
from optics._typing import ShapeLike
from optics.transfer._dense import Dense
from optics.transfer._masked_fft import MaskedFFT

# Pixels in all. A matrix of so many is made in a moment; on two cores it takes about as long as the fast
# transform at 11×11 pixels, and 5 to 15 times as long at 16×32.
LARGEST_MATRIX = 512


def dft(shape: ShapeLike) -> Dense | MaskedFFT:
    """The exact transform as a transfer: the unitary discrete Fourier transform, origin at pixel n//2.

        out[m] = 1/√(rows·columns) Σ_n exp(−2πi (m_y n_y / rows + m_x n_x / columns)) in[n]

    Arguments:
        shape: pixels (rows, columns), or one number for a square.

    Returns:
        `Dense` of rows·columns squared entries up to 512 pixels in all, and a fast Fourier transform,
        `MaskedFFT`, above.

    Raises:
        ValueError: `shape` is not one or two whole numbers of at least 1, or a field is too large for memory.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> image = jnp.zeros((4, 4)).at[2, 2].set(1.0)  # one pixel, on the axis
        >>> optics.dft(4)(image, real=True)[0].tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    rows, cols = as_pixels("shape", shape)
    if rows * cols <= LARGEST_MATRIX:
        matrix = np.kron(_dft_line(rows), _dft_line(cols))
        return Dense(jnp.asarray(matrix, dtype=jnp.result_type(complex)), (rows, cols))
    check_memory("shape", shape, 4 * rows * cols, "a field and its transform", 4.0)
    ones = jnp.ones((1, rows, cols))
    return MaskedFFT(ones, ones)


def _dft_line(n: int) -> np.ndarray:
    # The product is reduced modulo n as integers: the angle is then exact however long the line.
    k = np.arange(n) - n // 2
    return np.exp(-2j * np.pi * (np.outer(k, k) % n) / n) / np.sqrt(n)
