"""The fringing field between the electrodes of a phase modulator."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import check_whole
from optics.effects._crosstalk_kernels import Exponential, SuperGaussian
from optics.effects._effect import Modulation
from optics.effects._phase import PhaseLUT, light, phase, phasor, wrap


class Crosstalk(Modulation):
    """Crosstalk between pixels: the fringing field blurs the phase, not the light.

        φ̃ = φ ⊛ K (sub-pixels),   light -> |light| · mean over the pixel of exp(iφ̃)

    φ is the drive, wrapped to [0, 2π), as a staircase of pixels, K the kernel along rows and along columns, of area 1.
    Where the drive jumps by a whole turn, the blurred phase passes through everything between (flyback): a real loss,
    for the electrode knows voltages, not phases. Beyond its edge the panel goes on as its outermost pixels.

    The mean over the pixel is what reaches the middle of the central order. What that leaves out: away from the middle
    the sub-pixels have their own phases, so that the envelope over the orders changes with the hologram. An optics that
    starts from sub-pixels takes that in with `keep_subpixels=True`: the light then has shape (..., rows·subpixels,
    columns·subpixels), each sub-pixel in units of the brightest, so that a pixel is the mean of its sub-pixels.

    Arguments:
        kernel: `SuperGaussian()` or `Exponential()`.
        subpixels: samples of the phase across a pixel, at least 1; 3 tell its edges from its middle.
        neighbours: pixels on each side that the kernel is followed to, at least 1.
        response: `PhaseLUT` of the pixels, applied to the drive before it blurs. As an effect of its own before this
            one it would lose whole turns: light does not know phases past 2π.
        keep_subpixels: give the sub-pixels instead of their mean.

    Raises:
        ValueError: `subpixels` or `neighbours` below 1, or a `kernel` or `response` of another kind.

    Source: P. Schroff et al., Sci. Rep. 13, 3252 (2023); M. Persson et al., Opt. Express 20, 22334 (2012).
    """

    kernel: SuperGaussian | Exponential
    response: PhaseLUT | None
    subpixels: int = eqx.field(static=True)
    neighbours: int = eqx.field(static=True)
    keep_subpixels: bool = eqx.field(static=True)

    def __init__(
        self,
        kernel: SuperGaussian | Exponential,
        subpixels: int = 3,
        neighbours: int = 3,
        response: PhaseLUT | None = None,
        keep_subpixels: bool = False,
    ):
        if not hasattr(kernel, "below"):
            raise ValueError(f"`kernel` must be a kernel such as `effects.SuperGaussian()`, got {kernel!r}.")
        if response is not None and not hasattr(response, "curve"):
            raise ValueError(f"`response` must be a `PhaseLUT` or None, got {response!r}.")
        check_whole("subpixels", subpixels, 1)
        check_whole("neighbours", neighbours, 1)
        self.kernel, self.response = kernel, response
        self.subpixels, self.neighbours, self.keep_subpixels = (
            int(subpixels),
            int(neighbours),
            bool(keep_subpixels),
        )

    def _shares(self, dtype) -> Float[Array, "subpixels near"]:
        """What each neighbouring pixel adds to the phase at the middle of each sub-pixel; each line sums to 1."""
        middle = (jnp.arange(self.subpixels, dtype=dtype) + 0.5) / self.subpixels - 0.5
        edges = jnp.arange(-self.neighbours, self.neighbours + 2, dtype=dtype) - 0.5
        shares = -jnp.diff(self.kernel.below(middle[:, None] - edges), axis=-1)
        return (shares / jnp.sum(shares, axis=-1, keepdims=True)).astype(dtype)

    def __call__(
        self, value: Inexact[Array, "*lead rows cols"], key: Array | None
    ) -> Complex[Array, "*lead newrows newcols"]:
        value = light(value)
        phi = phase(value)
        drive = wrap(phi)
        if self.response is not None:
            drive = self.response.curve(drive)
        shares = self._shares(drive.dtype)
        blurred = _blur(_blur(drive, shares).swapaxes(-1, -2), shares).swapaxes(-1, -2)
        rows, cols = phi.shape[-2:]
        blocks = blurred.reshape(*phi.shape[:-2], rows, self.subpixels, cols, self.subpixels)
        # The light is turned by the change of its phase: its amplitude need not be taken apart.
        turn = phasor(blocks - phi[..., :, None, :, None])
        if self.keep_subpixels:
            return (value[..., :, None, :, None] * turn).reshape(blurred.shape)
        return value * jnp.mean(turn, axis=(-3, -1))


def _blur(phi: Float[Array, "*lead n"], shares: Float[Array, "subpixels near"]) -> Float[Array, "*lead subs"]:
    """Sub-pixels of the last axis, each the shared phase of the pixels near it."""
    n, reach = phi.shape[-1], shares.shape[-1] // 2
    near = jnp.clip(jnp.arange(n)[:, None] + jnp.arange(-reach, reach + 1), 0, n - 1)
    blurred = jnp.einsum("...nd,sd->...ns", phi[..., near], shares, precision="highest")
    return blurred.reshape(*phi.shape[:-1], n * shares.shape[0])
