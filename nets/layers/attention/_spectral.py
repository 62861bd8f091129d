"""Convolutional attention on spectra: one transform forward and one back, whatever the number of heads.

With unitary spectra X of real tokens, M = conj(F wq) F wk and k numbers in a token, Parseval's theorem gives the logits
and linearity the values:

    q_i · k_j = Re Σ_f conj(X_i) M X_j,      Σ_j p_ij (x_j ⊛ wv) = F⁻¹[ F wv · Σ_j p_ij X_j ]

A spectrum of real numbers is known from half of it, X(−f) = conj X(f), so that columns 0 … cols // 2 are all that is kept.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from nets.layers.attention._linear import over_tokens
from optics._check import check_shape
from optics._fusion import fusion_barrier
from optics.convolution import check_device


def half_spectrum(
    x: Float[Array, "*lead rows cols"], transform: Callable, device: Any, key: Array | None
) -> Complex[Array, "*lead rows half"]:
    """Unitary spectrum of real planes, in the order of `jnp.fft.rfft2`.

    A device detects both halves. Their mean, each conjugated onto the other, is what a real plane can have, and halves the
    variance of the noise.

    Arguments:
        x: planes, any unit.
        transform: `optics.transform`, or a gradient rule around it.
        device: None is the exact FFT.
        key: of the device's noise, consumed; None gives the expected value.

    Raises:
        ValueError: a device of another shape, or one that only convolves.
    """
    if device is None:
        return jnp.fft.rfft2(x, norm="ortho")
    check_device(device)
    check_shape("x", x, device)
    found = transform(x, device, key)
    # Every head uses it: without the hint it would be detected again for each.
    half = ((found + jnp.conj(_mirrored(found))) / 2)[..., : x.shape[-1] // 2 + 1]
    return fusion_barrier(half.reshape(*half.shape[:-2], -1)).reshape(half.shape)


def to_planes(
    half: Complex[Array, "*lead rows half"],
    plane: tuple[int, int],
    transform: Callable,
    device: Any,
    key: Array | None,
) -> Float[Array, "*lead rows cols"]:
    """Real planes from half-spectra; the inverse of `half_spectrum`."""
    if device is None:
        return jnp.fft.irfft2(half, s=plane, norm="ortho")
    # Column c of the rest is column cols − c of what is there, conjugated, rows reversed.
    rest = jnp.roll(jnp.flip(half[..., 1 : plane[1] - half.shape[-1] + 1], (-2, -1)), 1, -2)
    # The lens only transforms forwards: F⁻¹ Y = conj(F conj Y), here real.
    return transform(jnp.concatenate([jnp.conj(half), rest], axis=-1), device, key, real=True)


def weights_of_spectra(
    spectra: Complex[Array, "batch tokens rows half"],
    kernels: Complex[Array, "heads rows half"],
    plane: tuple[int, int],
    mask: Bool[Array, "batch tokens"] | None,
) -> Float[Array, "batch tokens heads others"]:
    """softmax over tokens j of Re Σ_f conj(X_i) M X_j / √k.

    Arguments:
        spectra: X.
        kernels: M, of unnormalised transforms.
        plane: rows and columns of a token, k = rows · columns.
        mask: True where there is a token; padding is not attended to.
    """
    # A column that is not its own mirror image stands for two.
    alone = [0, plane[1] // 2] if plane[1] % 2 == 0 else [0]
    twice = np.where(np.isin(np.arange(kernels.shape[-1]), alone), 1, 2) / math.sqrt(math.prod(plane))
    queries = spectra[:, :, None] * (jnp.conj(kernels) * twice)
    return over_tokens(jnp.einsum("bthf,bsf->bths", _real(queries), _real(spectra)), mask)


def mixed(
    weights: Float[Array, "batch tokens heads others"],
    spectra: Complex[Array, "batch others rows half"],
    kernels: Complex[Array, "heads rows half"],
) -> Complex[Array, "batch tokens rows half"]:
    """Σ_a F wv^a · Σ_j p^a_ij X_j."""
    real, imaginary = jnp.split(jnp.einsum("bths,bsf->bthf", weights, _real(spectra)), 2, axis=-1)
    averages = jax.lax.complex(real, imaginary).reshape(*weights.shape[:3], *kernels.shape[-2:])
    return jnp.sum(averages * kernels, axis=2)


def _real(spectra: Complex[Array, "*lead rows half"]) -> Float[Array, "*lead numbers"]:
    """Real and imaginary parts, one after the other: their product of vectors is the real part of the complex one."""
    flat = spectra.reshape(*spectra.shape[:-2], -1)
    return jnp.concatenate([flat.real, flat.imag], axis=-1)


def _mirrored(a: Complex[Array, "*lead rows cols"]) -> Complex[Array, "*lead rows cols"]:
    """a[−i] over the last two axes, indices modulo their lengths."""
    return jnp.roll(jnp.flip(a, (-2, -1)), 1, (-2, -1))
