"""The fringing field between the electrodes of a phase modulator."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import check_whole
from optics._phases import as_complex, safe_angle, unit_phasor, wrap_phase
from optics.effects._crosstalk_kernels import AbstractKernel
from optics.effects._effect import Modulation
from optics.effects._phase_lut import PhaseLUT


class Crosstalk(Modulation):
    """Crosstalk between pixels: the fringing field blurs the phase, not the light.

        φ̃ = φ ⊛ K (sub-pixels),   light -> |light| · mean over the pixel of exp(iφ̃)

    φ is the drive, wrapped to [0, 2π), as a staircase of pixels; K is the kernel along rows and along
    columns, of area 1. Where the drive jumps by a whole turn, the blurred phase passes through everything
    between (flyback). That loss is real, for electrodes hold voltages, not phases. Beyond the edge of the
    panel the outermost pixels are repeated.

    The mean over the pixel reaches the middle of the central order. It leaves out that the sub-pixels
    have phases of their own, so that away from the middle the envelope over the orders changes with the
    hologram. A transfer that starts from sub-pixels takes that in with `keep_subpixels=True`: the light then
    has shape (..., rows·subpixels, columns·subpixels), each sub-pixel in units of the brightest, so that a
    pixel is the mean of its sub-pixels.

    Arguments:
        kernel: `SuperGaussian()`, `Exponential()` or another `AbstractKernel`.
        subpixels: samples of the phase across a pixel, at least 1; with 3 the edges differ from the middle.
        neighbours: pixels on each side that the kernel is followed to, at least 1.
        response: `PhaseLUT` of the pixels, applied to the drive before it blurs. As an effect of its own
            before this one it would lose whole turns: light holds phases modulo 2π.
        keep_subpixels: give the sub-pixels instead of their mean.

    Raises:
        ValueError: `subpixels` or `neighbours` below 1, or a `kernel` or `response` of another kind.

    Source: P. Schroff et al., Sci. Rep. 13, 3252 (2023); M. Persson et al., Opt. Express 20, 22334 (2012).

    Example:
        >>> import optics
        >>> crosstalk = optics.effects.Crosstalk(optics.effects.SuperGaussian(width=2.0), subpixels=3)
        >>> print(optics.FourierProcessor(optics.dft(4), slm=(crosstalk,)).shape)
        (4, 4)
    """

    kernel: AbstractKernel
    response: PhaseLUT | None
    subpixels: int = eqx.field(static=True)
    neighbours: int = eqx.field(static=True)
    keep_subpixels: bool = eqx.field(static=True)

    def __init__(
        self,
        kernel: AbstractKernel,
        subpixels: int = 3,
        neighbours: int = 3,
        response: PhaseLUT | None = None,
        keep_subpixels: bool = False,
    ):
        if not isinstance(kernel, AbstractKernel):
            raise ValueError(f"`kernel` must be a kernel such as `effects.SuperGaussian()`, got {kernel!r}.")
        if response is not None and not isinstance(response, PhaseLUT):
            raise ValueError(f"`response` must be a `PhaseLUT` or None, got {response!r}.")
        check_whole("subpixels", subpixels, 1)
        check_whole("neighbours", neighbours, 1)
        self.kernel = kernel
        self.response = response
        self.subpixels = int(subpixels)
        self.neighbours = int(neighbours)
        self.keep_subpixels = bool(keep_subpixels)

    def __call__(
        self, value: Inexact[Array, "*lead rows cols"], key: Array | None
    ) -> Complex[Array, "*lead light_rows light_cols"]:
        value = as_complex(value)
        phi = safe_angle(value)
        drive = wrap_phase(phi)
        if self.response is not None:
            drive = self.response.curve(drive)
        weights = self._neighbour_weights(drive.dtype)
        blurred = _blur(_blur(drive, weights).swapaxes(-1, -2), weights).swapaxes(-1, -2)
        rows, cols = phi.shape[-2:]
        subpixels = blurred.reshape(*phi.shape[:-2], rows, self.subpixels, cols, self.subpixels)
        # The light is turned by the change of its phase: its amplitude need not be taken apart.
        turn = unit_phasor(subpixels - phi[..., :, None, :, None])
        if self.keep_subpixels:
            return (value[..., :, None, :, None] * turn).reshape(blurred.shape)
        return value * jnp.mean(turn, axis=(-3, -1))

    def _neighbour_weights(self, dtype) -> Float[Array, "subpixels neighbours"]:
        """Weights of neighbouring pixels in the phase in the middle of each sub-pixel; each row sums to 1."""
        middle = (jnp.arange(self.subpixels, dtype=dtype) + 0.5) / self.subpixels - 0.5
        edges = jnp.arange(-self.neighbours, self.neighbours + 2, dtype=dtype) - 0.5
        weights = -jnp.diff(self.kernel.cumulative(middle[:, None] - edges), axis=-1)
        return (weights / jnp.sum(weights, axis=-1, keepdims=True)).astype(dtype)


def _blur(
    phi: Float[Array, "*lead n"], weights: Float[Array, "subpixels neighbours"]
) -> Float[Array, "*lead light_n"]:
    """Sub-pixels along the last axis, each the weighted phase of the pixels near it."""
    n, distance = phi.shape[-1], weights.shape[-1] // 2
    nearby = jnp.clip(jnp.arange(n)[:, None] + jnp.arange(-distance, distance + 1), 0, n - 1)
    blurred = jnp.einsum("...nd,sd->...ns", phi[..., nearby], weights, precision="highest")
    return blurred.reshape(*phi.shape[:-1], n * weights.shape[0])
