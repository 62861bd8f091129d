"""A compiled transfer as a full matrix."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Inexact

from optics._check import as_array, as_shape, check_whole
from optics._typing import ArrayLike, CountLike, ShapeLike
from optics.transfer._transfer import AbstractTransfer, light_shape


class Dense(AbstractTransfer):
    """A compiled transfer: every detector pixel as a weighted sum of every modulator pixel.

        out_m = Σ_n matrix[m, n] · in_n

    Nothing is truncated: its `residual` is 0.

    Arguments:
        matrix: complex, shape (rows·columns, rows·columns·subpixels²), pixels in row-major order,
            dimensionless.
        shape: pixels (rows, columns) of the detector.
        subpixels: pixels of light per detector pixel and axis; an axis of one pixel is not divided.

    Raises:
        ValueError: `matrix` no array of numbers or of another shape, `shape` not two whole numbers, or
            `subpixels` below 1.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> mirror = optics.Dense(jnp.eye(4, dtype=complex)[::-1], shape=(2, 2))
        >>> mirror(jnp.array([[1.0, 2.0], [3.0, 4.0]]), real=True).tolist()
        [[4.0, 3.0], [2.0, 1.0]]
    """

    matrix: Complex[Array, "out in"]
    shape: tuple[int, int] = eqx.field(static=True)
    subpixels: int = eqx.field(static=True)

    def __init__(self, matrix: ArrayLike, shape: ShapeLike, subpixels: CountLike = 1):
        rows, cols = as_shape("shape", shape, 2)
        check_whole("subpixels", subpixels, 1)
        matrix = as_array("matrix", matrix)
        self.shape, self.subpixels = (rows, cols), int(subpixels)
        light_rows, light_cols = light_shape(self.shape, self.subpixels)
        matrix_shape = rows * cols, light_rows * light_cols
        if matrix.shape != matrix_shape:
            raise ValueError(
                f"`matrix` must have shape {matrix_shape} for {rows}×{cols} pixels, got {matrix.shape}."
            )
        self.matrix = matrix.astype(jnp.result_type(matrix, jnp.complex64))

    @property
    def peak(self) -> Array:
        """The largest |matrix[m, n]|: how bright one modulator pixel can make one detector pixel."""
        return jnp.max(jnp.abs(self.matrix))

    @property
    def residual(self) -> Array:
        """Relative error of the map by truncation: none."""
        return jnp.zeros(())

    def __call__(
        self, light: Inexact[Array, "*lead rows cols"], real: bool = False
    ) -> Inexact[Array, "*lead rows_out cols_out"]:
        """The field at the detector: arguments and result as those of `AbstractTransfer`."""
        flat = light.reshape(*light.shape[:-2], -1)
        re, im = self.matrix.real.T, self.matrix.imag.T
        # Products of real matrices: a complex product would compute parts that are zero or not asked for.
        dot = partial(jnp.matmul, precision="highest")
        if jnp.iscomplexobj(light):
            parts = jnp.concatenate([flat.real, flat.imag], axis=-1)
            out_re = dot(parts, jnp.concatenate([re, -im]))
            out_im = None if real else dot(parts, jnp.concatenate([im, re]))
        else:
            out_re = dot(flat, re)
            out_im = None if real else dot(flat, im)
        out = out_re if out_im is None else jax.lax.complex(out_re, out_im)
        return out.reshape(*light.shape[:-2], *self.shape)
