"""Self-attention whose projections are convolutions of the embedding."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

import optics
from nets.layers._check import at_least_one, has_width
from nets.layers._kernels import centred, new_kernels, plane_and_taps
from nets.layers.attention._linear import attention_weights
from nets.layers.attention._spectral import half_spectrum, mixed, to_planes, weights_of_spectra
from optics.gradients import gradient_rule


class ConvSelfAttention(nnx.Module):
    """Multi-head self-attention whose projections are circular convolutions of each token's embedding.

        q^a = x ⊛ wq^a,  k^a = x ⊛ wk^a,  v^a = x ⊛ wv^a,   y = Σ_a softmax(q^a k^aᵀ / √k) v^a

    The heads are summed and there is no output matrix: all 3 h k parameters are in convolutions, which a device can
    compute. Literally computed, a token takes 1 + 3 h optical transforms, and those of the kernels. `spectral` computes the
    same function from one forward and one inverse transform a token; products with spectra are then electronic. A
    noisy device disturbs the two differently: fewer transforms, less noise.

    Arguments:
        shape: of the embedding as a plane, (k,) or (k1, k2) with k = k1 k2.
        heads: h.
        kernel: size of the kernels in each direction, centred on the pixel they act on; by default that of the plane.
        spectral: one transform forward and one back, instead of every convolution.
        convolve: `optics.convolve`, or a gradient rule around it; used unless `spectral`.
        gradient: "simulator" (None means that), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`, around
            the convolutions, or around the transforms if `spectral`.
        rngs: for the initial kernels, uniform in ±1/√(taps).

    Raises:
        ValueError: a shape that has not one or two whole numbers, fewer than one head, a kernel larger than the plane, or
            an unknown `gradient`.

    Source: F. Michel, E. Cottle and J. Wilson, "Optical computing and transformer networks" (2021).
    """

    def __init__(
        self,
        shape: Sequence[int],
        heads: int = 8,
        kernel: Sequence[int] | int | None = None,
        spectral: bool = False,
        *,
        convolve: Callable = optics.convolve,
        gradient: Any = None,
        rngs: nnx.Rngs,
    ):
        self.plane, self.taps = plane_and_taps(shape, kernel)
        at_least_one(heads=heads)
        rule = gradient_rule(gradient)
        self.heads, self.spectral = heads, spectral
        self.convolve, self.transform = rule(convolve), rule(optics.transform)
        self.features = math.prod(self.plane)
        self.kernels = nnx.Param(new_kernels(3 * heads, self.taps, rngs))

    def __call__(
        self,
        x: Float[Array, "batch tokens features"],
        device: Any = None,
        key: Array | None = None,
        mask: Bool[Array, "batch tokens"] | None = None,
    ) -> Float[Array, "batch tokens features"]:
        """Attend.

        Arguments:
            x: shape (batch, tokens, features).
            device: computes the convolutions, or the transforms; None is the exact FFT.
            key: of the device's noise, consumed; None gives the expected value.
            mask: True where there is a token; padding is not attended to.

        Raises:
            ValueError: vectors of another width, a device of another shape, or one that only convolves if `spectral`.
        """
        if not self.spectral:
            weights, v = self._literal(x, device, key, mask)
            return jnp.einsum("bhts,bshk->btk", weights, v)
        of_x, of_y = (None, None) if key is None else jax.random.split(key)
        weights, spectra, kernels = self._spectral(x, device, of_x, mask)
        y = to_planes(mixed(weights, spectra, kernels), self.plane, self.transform, device, of_y)
        return y.reshape(x.shape)

    def attention_map(
        self,
        x: Float[Array, "batch tokens features"],
        device: Any = None,
        key: Array | None = None,
        mask: Bool[Array, "batch tokens"] | None = None,
    ) -> Float[Array, "batch heads tokens tokens"]:
        """How much each token (third axis) takes of each (fourth); rows sum to 1. With the arguments of a call, its map."""
        if not self.spectral:
            return self._literal(x, device, key, mask)[0]
        of_x = None if key is None else jax.random.split(key)[0]
        return jnp.swapaxes(self._spectral(x, device, of_x, mask)[0], 1, 2)

    def _literal(self, x, device, key, mask):
        """Attention map, and the values of the heads."""
        has_width(x, self.features)
        planes = x.reshape(*x.shape[:2], 1, *self.plane)
        projected = self.convolve(planes, centred(self.kernels[...], self.plane), device, key)
        q, k, v = jnp.split(projected.reshape(*x.shape[:2], -1, self.features), 3, axis=2)
        return attention_weights(q, k, mask), v

    def _spectral(self, x, device, key, mask):
        """Attention map (batch, tokens, heads, tokens), the tokens' half-spectra, and those of the value kernels."""
        has_width(x, self.features)
        spectra = half_spectrum(x.reshape(*x.shape[:2], *self.plane), self.transform, device, key)
        kernels = jnp.fft.rfft2(centred(self.kernels[...], self.plane))
        of_q, of_k, of_v = jnp.split(kernels, 3)
        return weights_of_spectra(spectra, jnp.conj(of_q) * of_k, self.plane, mask), spectra, of_v
