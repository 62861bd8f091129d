"""A compiled transfer as a short sum of row ⊗ column products."""

from functools import partial

import equinox as eqx
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_number, check_positive_number, check_whole
from optics._typing import ArrayLike, CountLike, ScalarLike
from optics.transfer._transfer import AbstractTransfer, as_factors, check_terms


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
        ValueError: `rows` and `cols` no arrays of three axes, with different numbers of terms, or of sizes
            that do not match `subpixels`; `peak` not above 0, or `residual` below 0.
    """

    rows: Complex[Array, "terms rows_out rows_in"]
    cols: Complex[Array, "terms_too cols_in cols_out"]
    peak: Float[Array, ""]
    residual: Float[Array, ""]
    subpixels: int = eqx.field(static=True)

    def __init__(
        self,
        rows: ArrayLike,
        cols: ArrayLike,
        peak: ScalarLike,
        residual: ScalarLike = 0.0,
        subpixels: CountLike = 1,
    ):
        rows = as_factors("rows", rows, "terms, pixels, pixels", jnp.complex64)
        cols = as_factors("cols", cols, "terms, pixels, pixels", jnp.complex64)
        check_terms(("rows", "cols"), rows, cols)
        check_positive_number("peak", peak)
        check_number("residual", residual, 0.0)
        check_whole("subpixels", subpixels, 1)
        self.rows, self.cols = rows, cols
        self.peak, self.residual, self.subpixels = as_leaf(peak), as_leaf(residual), int(subpixels)
        _, rows_out, rows_in = rows.shape
        _, cols_in, cols_out = cols.shape
        light_rows, light_cols = rows_out * self.subpixels, cols_out * self.subpixels
        if (rows_in, cols_in) != (light_rows, light_cols):
            raise ValueError(
                f"`rows` and `cols` must take {light_rows}×{light_cols} pixels of light to "
                f"{rows_out}×{cols_out} of the detector, got {rows_in}×{cols_in}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the detector."""
        # Those of a `Modal` have an axis of modes before the terms.
        return self.rows.shape[-2], self.cols.shape[-1]

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
