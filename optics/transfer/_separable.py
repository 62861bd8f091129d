"""A compiled transfer as a short sum of row ⊗ column products."""

from functools import partial

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf


class Separable(eqx.Module):
    """A compiled transfer for larger devices: the paraxial kernel separates, aberrations and a round pupil add terms.

        out = Σ_k rows_k · in · cols_k

    Arguments:
        rows: complex, shape (terms, rows of the detector, rows of light).
        cols: complex, shape (terms, columns of light, columns of the detector).
        peak: how bright one modulator pixel can make one detector pixel.
        residual: relative error of the map by truncation (Frobenius norm).
        subpixels: pixels of light per detector pixel and axis.

    Raises:
        ValueError: `rows` and `cols` with different numbers of terms, or sizes that `subpixels` does not explain.
    """

    rows: Complex[Array, "terms rows_out rows_in"]
    cols: Complex[Array, "terms_too cols_in cols_out"]
    peak: Float[Array, ""] = eqx.field(converter=as_leaf)
    residual: Float[Array, ""] = eqx.field(converter=as_leaf, default=0.0)
    subpixels: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        (terms, rows_out, rows_in), (others, cols_in, cols_out) = self.rows.shape, self.cols.shape
        if terms != others:
            raise ValueError(
                f"`rows` and `cols` must have the same number of terms, got {terms} and {others}."
            )
        if (rows_in, cols_in) != (rows_out * self.subpixels, cols_out * self.subpixels):
            raise ValueError(
                f"`rows` and `cols` must take {rows_out * self.subpixels}×{cols_out * self.subpixels} pixels of light to "
                f"{rows_out}×{cols_out} of the detector, got {rows_in}×{cols_in}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the detector."""
        return self.rows.shape[1], self.cols.shape[2]

    def __call__(
        self, light: Inexact[Array, "*lead rows cols"], in_phase: bool = False
    ) -> Inexact[Array, "*lead rows_out cols_out"]:
        """The field at the detector: arguments and result as those of `Dense`."""
        terms, rows_out, rows_in = self.rows.shape
        cols_in, cols_out = self.cols.shape[1:]
        dot = partial(jnp.matmul, precision="highest")
        # Two products of matrices over all terms at once: first the columns, then the rows and the sum over terms.
        across = dot(light, jnp.moveaxis(self.cols, 0, 1).reshape(cols_in, -1)).reshape(
            *light.shape[:-1], terms, cols_out
        )
        across = jnp.swapaxes(across, -3, -2).reshape(*light.shape[:-2], terms * rows_in, cols_out)
        down = jnp.moveaxis(self.rows, 0, 1).reshape(rows_out, -1)
        if in_phase:
            return dot(down.real, across.real) - dot(down.imag, across.imag)
        return dot(down, across)
