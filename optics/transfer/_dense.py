"""A compiled transfer as a full matrix, and the exact transform as one."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Inexact

from optics._check import check_whole


class Dense(eqx.Module):
    """A compiled transfer: every detector pixel as a weighted sum of every modulator pixel.

        out_m = Σ_n matrix[m, n] · in_n

    Nothing is cut off: its truncation `residual` is 0.

    Arguments:
        matrix: complex, shape (rows·columns, rows·columns·subpixels²), pixels in row-major order, dimensionless.
        shape: pixels (rows, columns) of the detector.
        subpixels: pixels of light per detector pixel and axis; an axis of one pixel is not divided.

    Raises:
        ValueError: `matrix` has another shape than that.
    """

    matrix: Complex[Array, "out in"]
    shape: tuple[int, int] = eqx.field(static=True, converter=tuple)
    subpixels: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        rows, cols = self.shape
        lit = light_shape(self.shape, self.subpixels)
        wanted = rows * cols, lit[0] * lit[1]
        if np.shape(self.matrix) != wanted:
            raise ValueError(
                f"`matrix` must have shape {wanted} for {rows}×{cols} pixels, got {np.shape(self.matrix)}."
            )

    @property
    def peak(self) -> Array:
        """The largest |matrix[m, n]|: how bright one modulator pixel can make one detector pixel."""
        return jnp.max(jnp.abs(self.matrix))

    @property
    def residual(self) -> Array:
        """Relative error of the map by truncation: none."""
        return jnp.zeros(())

    def __call__(
        self, light: Inexact[Array, "*lead rows cols"], in_phase: bool = False
    ) -> Inexact[Array, "*lead rows_out cols_out"]:
        """The field at the detector, shape (..., rows, columns).

        Arguments:
            light: field at the modulator, shape (..., rows · subpixels, columns · subpixels), real or complex.
            in_phase: return the real part alone, at half the cost.
        """
        flat = light.reshape(*light.shape[:-2], -1)
        real, imaginary = self.matrix.real.T, self.matrix.imag.T
        # Real products: a complex one would compute the parts that a real input or output throws away.
        dot = partial(jnp.matmul, precision="highest")
        if jnp.iscomplexobj(light):
            out = dot(flat.real, real) - dot(flat.imag, imaginary)
            other = None if in_phase else dot(flat.real, imaginary) + dot(flat.imag, real)
        else:
            out = dot(flat, real)
            other = None if in_phase else dot(flat, imaginary)
        return (out if other is None else jax.lax.complex(out, other)).reshape(*light.shape[:-2], *self.shape)


def dft(shape: int | tuple[int, int]) -> Dense:
    """The exact transform as a transfer: the unitary discrete Fourier transform with its origin at pixel n//2.

        out[m] = 1/√(rows·columns) Σ_n exp(−2πi (m_y n_y / rows + m_x n_x / columns)) in[n]

    Arguments:
        shape: pixels (rows, columns), or one number for a square.

    Returns:
        `Dense` of rows·columns squared entries.

    Raises:
        ValueError: `shape` is not one or two whole numbers of at least 1.
    """
    rows, cols = pixel_shape(shape)
    return Dense(jnp.asarray(np.kron(_line(rows), _line(cols)), dtype=jnp.result_type(complex)), (rows, cols))


def _line(n: int) -> np.ndarray:
    # The product is reduced modulo n as integers: the angle is then exact however long the line.
    k = np.arange(n) - n // 2
    return np.exp(-2j * np.pi * (np.outer(k, k) % n) / n) / np.sqrt(n)


def pixel_shape(shape: Any, name: str = "shape") -> tuple[int, int]:
    """One whole number or a pair, as the pair (rows, columns); anything else is refused by `name`."""
    pair = (shape, shape) if isinstance(shape, int | np.integer) and not isinstance(shape, bool) else shape
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"`{name}` must be one whole number or a pair (rows, columns), got {shape!r}.")
    for value in pair:
        check_whole(name, value, 1)
    return int(pair[0]), int(pair[1])


def light_shape(shape: tuple[int, int], subpixels: int) -> tuple[int, int]:
    """Pixels of light (rows, columns) on the modulator of a device of that shape; an axis of one pixel is not divided."""
    rows, cols = (n * subpixels if n > 1 else 1 for n in shape)
    return rows, cols
