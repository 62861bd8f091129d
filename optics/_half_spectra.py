"""Spectra of real planes: half of one determines the other half, X(−f) = conj X(f).

Columns 0 … cols // 2 are kept.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from optics._check import check_shape
from optics._fusion import fusion_barrier
from optics._numerics import reverse_index
from optics._typing import DeviceLike, KeyLike
from optics.convolution import check_device


def half_spectrum(
    x: Float[Array, "*lead rows cols"], transform: Callable, device: DeviceLike, key: KeyLike
) -> Complex[Array, "*lead rows half"]:
    """Unitary spectrum of real planes, in the order of `jnp.fft.rfft2`.

    A device detects both halves. Their mean, each conjugated onto the other, is the spectrum of a real plane,
    and has half the variance of the noise.

    Arguments:
        x: planes, any unit.
        transform: `optics.transform`, or a gradient rule around it.
        device: None is the exact FFT.
        key: of the device's noise, consumed; None computes without noise.

    Raises:
        ValueError: a device of another shape, or one that only convolves.
    """
    if device is None:
        return jnp.fft.rfft2(x, norm="ortho")
    check_device(device)
    check_shape("x", x, device)
    spectra = transform(x, device, key)
    half = ((spectra + jnp.conj(reverse_index(spectra))) / 2)[..., : x.shape[-1] // 2 + 1]
    # Every head uses the spectrum: without the barrier it would be detected again for each.
    return fusion_barrier(half)


def planes_from_half(
    half: Complex[Array, "*lead rows half"],
    plane: tuple[int, int],
    transform: Callable,
    device: DeviceLike,
    key: KeyLike,
) -> Float[Array, "*lead rows cols"]:
    """Real planes from half-spectra; the inverse of `half_spectrum`."""
    if device is None:
        return jnp.fft.irfft2(half, s=plane, norm="ortho")
    # Column c of the other half is column cols − c of this half, conjugated, rows reversed.
    rest = reverse_index(jnp.flip(half[..., 1 : plane[1] - half.shape[-1] + 1], -1), (-2,))
    # The lens only transforms forwards: F⁻¹ Y = conj(F conj Y), here real.
    spectra = jnp.concatenate([jnp.conj(half), rest], axis=-1)
    return transform(spectra, device, key, real=True)
