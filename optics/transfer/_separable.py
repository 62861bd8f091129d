"""A compiled transfer as a short sum of row ⊗ column products."""

from functools import partial

import equinox as eqx
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf
from optics.transfer._transfer import AbstractTransfer


class Separable(AbstractTransfer):
    """A compiled transfer for larger devices: a short sum of row ⊗ column products.

        out = Σ_k rows_k · in · cols_k

    The paraxial kernel is one product; aberrations and a round pupil add terms.

    Arguments:
        rows: complex, shape (terms, rows of the detector, rows of light).
        cols: complex, shape (terms, columns of light, columns of the detector).
        peak: how bright one modulator pixel can make one detector pixel.
        residual: relative error of the map by truncation (Frobenius norm).
        subpixels: pixels of light per detector pixel and axis.

    Raises:
        ValueError: `rows` and `cols` with different numbers of terms, or sizes that do not match `subpixels`.
    """

    rows: Complex[Array, "terms rows_out rows_in"]
    cols: Complex[Array, "terms_too cols_in cols_out"]
    peak: Float[Array, ""] = eqx.field(converter=as_leaf)
    residual: Float[Array, ""] = eqx.field(converter=as_leaf, default=0.0)
    subpixels: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        row_terms, rows_out, rows_in = self.rows.shape
        col_terms, cols_in, cols_out = self.cols.shape
        if row_terms != col_terms:
            raise ValueError(
                f"`rows` and `cols` must have the same number of terms, got {row_terms} and {col_terms}."
            )
        light_rows, light_cols = rows_out * self.subpixels, cols_out * self.subpixels
        if (rows_in, cols_in) != (light_rows, light_cols):
            raise ValueError(
                f"`rows` and `cols` must take {light_rows}×{light_cols} pixels of light to "
                f"{rows_out}×{cols_out} of the detector, got {rows_in}×{cols_in}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the detector."""
        return self.rows.shape[1], self.cols.shape[2]

    def __call__(
        self, light: Inexact[Array, "*lead rows cols"], real: bool = False
    ) -> Inexact[Array, "*lead rows_out cols_out"]:
        """The field at the detector: arguments and result as those of `AbstractTransfer`."""
        terms = self.rows.shape[0]
        dot = partial(jnp.matmul, precision="highest")
        # Two products of matrices over all terms at once: the columns, then the rows and the sum over terms.
        cols = rearrange(self.cols, "term col_in col_out -> col_in (term col_out)")
        across = rearrange(dot(light, cols), "... row (term col) -> ... (term row) col", term=terms)
        rows = rearrange(self.rows, "term row_out row_in -> row_out (term row_in)")
        if real:
            return dot(rows.real, across.real) - dot(rows.imag, across.imag)
        return dot(rows, across)
