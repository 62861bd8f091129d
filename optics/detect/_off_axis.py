"""Off-axis holography: one exposure with a tilted reference."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_number, check_positive_number, check_whole
from optics._typing import CountLike, ScalarLike
from optics.detect._measurement import AbstractMeasurement


class OffAxis(AbstractMeasurement):
    """Intensity camera and a tilted reference beam: the fringes carry the complex field in one exposure.

        I(x) = ⟨ |Z(x) + r exp(−2πi c x / n)|² ⟩ / (1 + r)²,   c = n + (n − 1)//2
        Z(x) = Σ_k ẑ_k exp(2πi k x / n),   k = −(n − 1)//2 … n//2

    x is in pixels of the field, n in a row; ⟨ ⟩ is the mean over the open part of a camera column. The camera
    has `oversampling` columns for each pixel of the field. The modulator is finite, and at the pitch where
    its transform is a DFT a field has the n frequencies of Z alone: Z is the field between pixels too. The
    spectrum of |Z|² ends at ±(n − 1) and that of the fringes fills n … 2n − 1, so four columns a pixel
    separate them without error; the demodulation takes those n frequencies out. The tilt is asin(c λ / (n
    pitch)), along the columns.

    Frames are in [0, 1] where |Z| ≤ 1 between the pixels too, which holds behind a modulator (every point of
    its transform is a sum over the same amplitudes). Other arrays may exceed their samples there. Camera
    effects given as maps have the shape (rows, oversampling · columns).

    Arguments:
        oversampling: camera columns for each pixel of the field, at least 4.
        reference: r, amplitude of the reference relative to the brightest field, scalar.
        fill: open share of a camera column's width in (0, 1], scalar; it lowers the contrast of the fringes
            to sinc(fill (c + k) / (n oversampling)), which the demodulation divides out.

    Raises:
        ValueError: fewer than 4 columns a pixel, a `reference` that is not positive, a `fill` outside (0, 1],
            or frames whose columns are not a multiple of `oversampling`.

    Source: E. N. Leith and J. Upatnieks, J. Opt. Soc. Am. 52, 1123 (1962); M. Takeda et al., J. Opt. Soc. Am.
        72, 156 (1982); E. Cuche et al., Appl. Opt. 39, 4070 (2000).
    """

    signed: ClassVar[bool] = False
    single_exposure: ClassVar[bool] = False
    supports_real: ClassVar[bool] = False
    oversampling: int = eqx.field(static=True)
    reference: Array = eqx.field(converter=as_leaf)
    fill: Array = eqx.field(converter=as_leaf)

    def __init__(self, oversampling: CountLike = 4, reference: ScalarLike = 1.0, fill: ScalarLike = 1.0):
        check_whole("oversampling", oversampling, 4, 64)
        check_positive_number("reference", reference)
        check_number("fill", fill, 0.0, 1.0, open_low=True)
        self.oversampling = int(oversampling)
        self.reference = reference
        self.fill = fill

    def frames(self, field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead 1 rows camera_cols"]:
        """One intensity frame (..., 1, rows, oversampling · columns) in units of full scale."""
        n = field.shape[-1]
        columns = n * self.oversampling
        # A factor exp(2πi c x / n) on both beams does not change the intensity: it makes the reference flat,
        # and frequency k of the field lies at k + c, from n to 2n − 1.
        spectrum = jnp.roll(jnp.fft.fft(field), (n - 1) // 2, -1)
        spectrum = jnp.pad(spectrum, [(0, 0)] * (field.ndim - 1) + [(n, columns - 2 * n)])
        total = jnp.fft.ifft(spectrum) * self.oversampling + self.reference
        sharp = (total.real**2 + total.imag**2) / (1 + self.reference) ** 2
        contrast = jnp.sinc(self.fill * jnp.arange(columns // 2 + 1) / columns)
        return jnp.fft.irfft(jnp.fft.rfft(sharp) * contrast, columns)[..., None, :, :]

    def field(self, frames: Float[Array, "*lead 1 rows camera_cols"]) -> Complex[Array, "*lead rows cols"]:
        """The field from the frame."""
        columns = frames.shape[-1]
        if columns % self.oversampling:
            raise ValueError(f"`frames` must have a multiple of {self.oversampling} columns, got {columns}.")
        n = columns // self.oversampling
        fringes = jax.lax.slice_in_dim(jnp.fft.rfft(frames[..., 0, :, :]), n, 2 * n, axis=-1)
        contrast = jnp.sinc(self.fill * jnp.arange(n, 2 * n) / columns)
        scale = (1 + self.reference) ** 2 / (self.reference * self.oversampling)
        return jnp.fft.ifft(jnp.roll(fringes * (scale / contrast), -((n - 1) // 2), -1))
