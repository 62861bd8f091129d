"""A compiled transfer for whole panels: a short sum of Fourier transforms between masks."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_number, check_positive_number, check_whole
from optics._typing import ArrayLike, CountLike, ScalarLike
from optics.transfer._transfer import AbstractTransfer, as_factors, check_terms, light_shape

# So few terms are a program without a loop, which reads and writes the sum once.
MOST_UNROLLED = 3


class MaskedFFT(AbstractTransfer):
    """A compiled transfer for panels: a short sum of Fourier transforms between pixelwise masks.

        out = Σ_k masks_out_k · F[masks_in_k · in]

    F is the unitary discrete Fourier transform of the light, origin at pixel n//2, of which the detector
    takes the middle. One term is the ideal lens with the shading of its pixels; aberrations, defocus and
    everything else that differs from place to place add terms.

    Arguments:
        masks_in: on the light, shape (terms, rows of light, columns of light), dimensionless.
        masks_out: on the detector, shape (terms, rows, columns), dimensionless.
        peak: how bright one modulator pixel can make one detector pixel; by default a bound from the masks.
        residual: relative error of the map by truncation (Frobenius norm).
        subpixels: pixels of light per detector pixel and axis.

    Raises:
        ValueError: masks that are no arrays of three axes, with different numbers of terms, or of sizes that
            do not match `subpixels`; `peak` not above 0, or `residual` below 0.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> ideal = optics.MaskedFFT(jnp.ones((1, 32, 64)), jnp.ones((1, 32, 64)))
        >>> round(float(abs(ideal(jnp.zeros((32, 64)).at[16, 32].set(1.0)))[0, 0]) * (32 * 64) ** 0.5, 6)
        1.0
    """

    masks_in: Inexact[Array, "terms rows_in cols_in"]
    masks_out: Inexact[Array, "terms_too rows_out cols_out"]
    peak: Float[Array, ""]
    residual: Float[Array, ""]
    subpixels: int = eqx.field(static=True)

    def __init__(
        self,
        masks_in: ArrayLike,
        masks_out: ArrayLike,
        peak: ScalarLike | None = None,
        residual: ScalarLike = 0.0,
        subpixels: CountLike = 1,
    ):
        self.masks_in = as_factors("masks_in", masks_in, "terms, rows, columns", jnp.float32)
        self.masks_out = as_factors("masks_out", masks_out, "terms, rows, columns", jnp.float32)
        check_terms(("masks_in", "masks_out"), self.masks_in, self.masks_out)
        check_number("residual", residual, 0.0)
        check_whole("subpixels", subpixels, 1)
        self.residual, self.subpixels = as_leaf(residual), int(subpixels)
        expected = light_shape(self.shape, self.subpixels)
        if self.masks_in.shape[1:] != expected:
            have, want = ("×".join(map(str, pair)) for pair in (self.masks_in.shape[1:], expected))
            raise ValueError(
                f"`masks_in` must have {want} pixels of light for {self.shape[0]}×{self.shape[1]} of "
                f"`masks_out`, got {have}."
            )
        if peak is None:
            brightest = [jnp.max(jnp.abs(masks), axis=(1, 2)) for masks in (self.masks_in, self.masks_out)]
            peak = jnp.sum(brightest[0] * brightest[1]) / math.sqrt(math.prod(expected))
        check_positive_number("peak", peak)
        self.peak = as_leaf(peak)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the detector."""
        # Those of a `Modal` have an axis of modes before the terms.
        return self.masks_out.shape[-2], self.masks_out.shape[-1]

    def __call__(
        self, light: Inexact[Array, "*lead rows cols"], real: bool = False
    ) -> Inexact[Array, "*lead rows_out cols_out"]:
        """The field at the detector: arguments and result as those of `AbstractTransfer`."""

        def term(pair):
            mask_in, mask_out = pair
            field = mask_out * self.transform(light * mask_in)
            return field.real if real else field

        masks = self.masks_in, self.masks_out
        first = self.masks_in[0], self.masks_out[0]
        if self.masks_in.shape[0] == 1:
            return term(first)

        # One term at a time, forward and backward: a panel's field is large.
        @jax.checkpoint
        def add_term(total, pair):
            return total + term(pair), None

        terms, field = self.masks_in.shape[0], jax.eval_shape(term, first)
        unroll = terms if terms <= MOST_UNROLLED else 1
        return jax.lax.scan(add_term, jnp.zeros(field.shape, field.dtype), masks, unroll=unroll)[0]

    def transform(
        self, light: Inexact[Array, "*lead rows cols"]
    ) -> Complex[Array, "*lead rows_out cols_out"]:
        """The Fourier transform between the masks of a term."""
        return fourier_transform(light, self.shape)


def fourier_transform(
    light: Inexact[Array, "*lead rows cols"], shape: tuple[int, int]
) -> Complex[Array, "*lead rows_out cols_out"]:
    """The unitary discrete Fourier transform of light, origin at pixel n//2, and of it the middle `shape`."""
    rows, cols = shape
    before, after = move_origins(light.shape[-2:], shape)
    return jnp.fft.fft2(light * before, norm="ortho")[..., :rows, :cols] * after


def move_origins(size: tuple[int, ...], shape: tuple[int, int]) -> tuple[Array, Array]:
    """Factors before and after a transform of planes of `size`, of which the middle `shape` is kept, that
    move both origins from pixel 0 to n//2: no array is copied for it.
    """
    (row_in, row_out), (col_in, col_out) = (_origin_phases(n, m) for n, m in zip(size, shape, strict=True))
    return row_in[:, None] * col_in, row_out[:, None] * col_out


def _origin_phases(n: int, m: int) -> tuple[Inexact[Array, " n"], Inexact[Array, " m"]]:
    """The factors before and after a transform of n pixels, of which m are kept, that move its origins from
    pixel 0 to n//2 and m//2; real where they are signs.

        exp(−2πi (j − n//2) (i − m//2) / n) = exp(−2πi j i / n) · exp(2πi j (m//2) / n)
                                              · exp(2πi (n//2) (i − m//2) / n)
    """
    # Products are reduced modulo n as integers: the angles are then exact.
    turns = np.arange(n) * (m // 2) % n, (np.arange(m) - m // 2) * (n // 2) % n
    before, after = (_turn(t, n) for t in turns)
    return before, after


def _turn(steps: np.ndarray, n: int) -> Inexact[Array, " size"]:
    """exp(2πi steps / n)."""
    if np.all(2 * steps % n == 0):
        # A complex product would take longer.
        return jnp.asarray(np.where(steps == 0, 1.0, -1.0), jnp.result_type(float))
    return jnp.asarray(np.exp(2j * np.pi * steps / n), jnp.result_type(complex))
