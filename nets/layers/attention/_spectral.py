"""Convolutional attention on spectra: one transform forward and one back, whatever the number of heads.

With unitary spectra X of real tokens, M = conj(F wq) F wk and k numbers in a token, Parseval's theorem gives
the logits and linearity the values:

    q_i · k_j = Re Σ_f conj(X_i) M X_j,      Σ_j p_ij (x_j ⊛ wv) = F⁻¹[ F wv · Σ_j p_ij X_j ]

Half of the spectrum of real numbers determines the other half, X(−f) = conj X(f): columns 0 … cols // 2 are
kept.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from nets.layers.attention._weights import masked_softmax


def spectral_weights(
    queries: Complex[Array, "batch tokens rows half"],
    spectra: Complex[Array, "batch others rows half"],
    kernels: Complex[Array, "heads rows half"],
    plane: tuple[int, int],
    visible: Bool[Array, "..."] | None,
) -> Float[Array, "batch tokens heads others"]:
    """softmax over tokens j of Re Σ_f conj(X_i) M X_j / √k.

    Arguments:
        queries, spectra: X_i, X_j.
        kernels: M, of unnormalised transforms.
        plane: rows and columns of a token, k = rows · columns.
        visible: of `visible_tokens`.
    """
    # A column that is not its own mirror image stands for two.
    single = [0, plane[1] // 2] if plane[1] % 2 == 0 else [0]
    counts = np.where(np.isin(np.arange(kernels.shape[-1]), single), 1, 2) / math.sqrt(math.prod(plane))
    weighted = queries[:, :, None] * (jnp.conj(kernels) * counts)
    logits = jnp.einsum("bthf,bsf->bths", _as_real(weighted), _as_real(spectra))
    return masked_softmax(logits, None if visible is None else visible[:, :, None])


def mix_values(
    weights: Float[Array, "batch tokens heads others"],
    spectra: Complex[Array, "batch others rows half"],
    kernels: Complex[Array, "heads rows half"],
) -> Complex[Array, "batch tokens rows half"]:
    """Σ_a F wv^a · Σ_j p^a_ij X_j."""
    real, imaginary = jnp.split(jnp.einsum("bths,bsf->bthf", weights, _as_real(spectra)), 2, axis=-1)
    averages = jax.lax.complex(real, imaginary).reshape(*weights.shape[:3], *kernels.shape[-2:])
    return jnp.sum(averages * kernels, axis=2)


def _as_real(spectra: Complex[Array, "*lead rows half"]) -> Float[Array, "*lead numbers"]:
    """Real parts, then imaginary parts: the scalar product of two is the real part of the complex one."""
    flat = spectra.reshape(*spectra.shape[:-2], -1)
    return jnp.concatenate([flat.real, flat.imag], axis=-1)
