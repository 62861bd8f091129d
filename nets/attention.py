"""Self-attention with linear and with convolutional projections."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

import optics


class LinearSelfAttention(nnx.Module):
    """Multi-head self-attention with full-width linear projections, as in the source article ("wide").

        q^a = x Wq^a,  k^a = x Wk^a,  v^a = x Wv^a,   y = concat_a( softmax(q^a k^aᵀ / √k) v^a ) Wo + bo

    It has 4 h k² + k parameters for h heads of the full width k.

    Arguments:
        features: k, width of the embedding.
        heads: h.
        kind: "wide".
        rngs: for the initial weights, uniform in ±1/√(inputs).

    Raises:
        ValueError: unknown `kind`, or fewer than one head or feature.

    Source: A. Vaswani et al. (2017), section 3.2; P. Bloem, "Transformers from scratch" (2019), wide self-attention.
    """

    def __init__(self, features: int, heads: int = 8, kind: str = "wide", *, rngs: nnx.Rngs):
        at_least_one(features=features, heads=heads)
        if kind != "wide":
            raise ValueError(f'`kind` must be "wide", got {kind!r}.')
        self.features, self.heads = features, heads
        init = _torch_uniform
        self.project = nnx.Linear(features, 3 * heads * features, use_bias=False, kernel_init=init, rngs=rngs)
        self.merge = nnx.Linear(heads * features, features, kernel_init=init, rngs=rngs)

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
            device, key: unused: a matrix product is not a convolution.
            mask: True where there is a token; padding is not attended to.
        """
        has_width(x, self.features)
        projected = self.project(x).reshape(*x.shape[:2], 3 * self.heads, self.features)
        q, k, v = jnp.split(projected, 3, axis=2)
        y = jnp.einsum("bhts,bshk->bthk", attention_weights(q, k, mask), v)
        return self.merge(y.reshape(*x.shape[:2], -1))


class ConvSelfAttention(nnx.Module):
    """Multi-head self-attention whose projections are circular convolutions of each token's embedding.

        q^a = x ⊛ wq^a,  k^a = x ⊛ wk^a,  v^a = x ⊛ wv^a,   y = Σ_a softmax(q^a k^aᵀ / √k) v^a

    The heads are summed and there is no output matrix: all 3 h k parameters are in convolutions, which a device can
    compute.

    Arguments:
        shape: of the embedding as a plane, (k,) or (k1, k2) with k = k1 k2.
        heads: h.
        kernel: size of the kernels in each direction, centred on the pixel they act on; by default that of the plane.
        convolve: `optics.convolve`, or a gradient rule around it.
        rngs: for the initial kernels, uniform in ±1/√(taps).

    Raises:
        ValueError: a shape that has not one or two whole numbers, fewer than one head, or a kernel larger than the plane.

    Source: F. Michel, E. Cottle and J. Wilson, "Optical computing and transformer networks" (2021).
    """

    def __init__(
        self,
        shape: Sequence[int],
        heads: int = 8,
        kernel: Sequence[int] | int | None = None,
        *,
        convolve: Callable = optics.convolve,
        rngs: nnx.Rngs,
    ):
        shape = tuple(shape) if isinstance(shape, Sequence) else shape
        if not isinstance(shape, tuple) or len(shape) not in (1, 2):
            raise ValueError(f"`shape` must be (k,) or (k1, k2), got {shape!r}.")
        kernel = (kernel,) * len(shape) if isinstance(kernel, int) else kernel
        at_least_one(heads=heads, **{f"shape[{i}]": n for i, n in enumerate(shape)})
        kernel = shape if kernel is None else tuple(kernel)
        if len(kernel) != len(shape) or any(not 1 <= k <= n for k, n in zip(kernel, shape, strict=True)):
            raise ValueError(f"`kernel` must have between 1 and {shape} taps in each direction of `shape`, got {kernel}.")
        self.heads, self.convolve = heads, convolve
        # One dimension is a plane of one row.
        self.plane, self.taps = (1,) * (2 - len(shape)) + shape, (1,) * (2 - len(kernel)) + kernel
        self.features = math.prod(shape)
        bound = 1 / math.sqrt(math.prod(kernel))
        self.kernels = nnx.Param(jax.random.uniform(rngs.params(), (3 * heads, *self.taps), minval=-bound, maxval=bound))

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
            device: computes the convolutions; None is the exact FFT.
            key: of the device's noise, consumed; None gives the expected value.
            mask: True where there is a token; padding is not attended to.
        """
        has_width(x, self.features)
        planes = x.reshape(*x.shape[:2], 1, *self.plane)
        projected = self.convolve(planes, self._full_kernels(), device, key)
        q, k, v = jnp.split(projected.reshape(*x.shape[:2], -1, self.features), 3, axis=2)
        return jnp.einsum("bhts,bshk->btk", attention_weights(q, k, mask), v)

    def _full_kernels(self) -> Float[Array, "kernels rows cols"]:
        kernels = self.kernels[...]
        if self.taps == self.plane:
            return kernels
        padding = [(0, n - k) for n, k in zip(self.plane, self.taps, strict=True)]
        padded = jnp.pad(kernels, [(0, 0), *padding])
        return jnp.roll(padded, [-(k // 2) for k in self.taps], axis=(-2, -1))


def attention_weights(
    q: Float[Array, "batch tokens heads features"],
    k: Float[Array, "batch tokens heads features"],
    mask: Bool[Array, "batch tokens"] | None,
) -> Float[Array, "batch heads tokens tokens"]:
    """softmax over the second token axis of q kᵀ / √features, padding excluded."""
    logits = jnp.einsum("bthk,bshk->bhts", q, k) / math.sqrt(q.shape[-1])
    if mask is not None:
        logits = jnp.where(mask[:, None, None, :], logits, jnp.finfo(logits.dtype).min)
    return jax.nn.softmax(logits)


def has_width(x: Array, features: int) -> None:
    """Refuse vectors of another width than the layer's."""
    if x.ndim != 3 or x.shape[-1] != features:
        raise ValueError(f"`x` must have shape (batch, tokens, {features}), got {x.shape}.")


def at_least_one(**values: Any) -> None:
    """Refuse, by name, what is not a whole number of at least 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` must be a whole number of at least 1, got {value!r}.")


def _torch_uniform(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32, out_sharding: Any = None) -> Array:
    """Uniform in ±1/√(inputs), the initial weights of the article's framework, for linear and convolution alike."""
    bound = 1 / math.sqrt(shape[0])
    return jax.random.uniform(key, shape, dtype, -bound, bound)
