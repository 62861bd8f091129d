"""What a block does to each token alone: two matrices, or two rounds of convolutions."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

import optics
from nets.layers._check import at_least_one, has_width
from nets.layers._kernels import centred, new_kernels, plane_and_taps
from optics.gradients import gradient_rule


def products(dtype: Any = None) -> Callable:
    """What multiplies in a `flax.nnx.Linear`, as its `dot_general`: factors are rounded, forwards and backwards, and nothing else is.

    Biases are added in the type of the factors before, for the gradient of one is a sum over all tokens: in bfloat16 it stops
    to grow at 256 times what is added.

    Arguments:
        dtype: such as `jnp.bfloat16`; None leaves the numbers as they are.
    """
    if dtype is None:
        return jax.lax.dot_general

    def product(
        a: Float[Array, "*left"], b: Float[Array, "*right"], dimensions: Any, **options: Any
    ) -> Float[Array, "*out"]:
        return jax.lax.dot_general(a.astype(dtype), b.astype(dtype), dimensions, **options).astype(a.dtype)

    return product


class FeedForward(nnx.Module):
    """Two linear layers, W2 relu(W1 x + b1) + b2: 8 k² + 5 k parameters when four times as wide as k features.

    Arguments:
        features: width.
        hidden: width between the layers; by default 4 · features.
        dtype: that numbers are rounded to where they are multiplied, such as `jnp.bfloat16`; None is their own.
        rngs: for the initial weights.

    Raises:
        ValueError: fewer than one feature or hidden number.
    """

    def __init__(self, features: int, hidden: int | None = None, dtype: Any = None, *, rngs: nnx.Rngs):
        hidden = 4 * features if hidden is None else hidden
        at_least_one(features=features, hidden=hidden)
        self.features = features
        self.widen = nnx.Linear(features, hidden, dot_general=products(dtype), rngs=rngs)
        self.narrow = nnx.Linear(hidden, features, dot_general=products(dtype), rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch tokens features"], device: Any = None, key: Array | None = None
    ) -> Float[Array, "batch tokens features"]:
        """Transform each token; `device` and `key` are unused."""
        return self.narrow(jax.nn.relu(self.widen(x)))


class ConvFeedForward(nnx.Module):
    """Two rounds of circular convolutions of each token's embedding, which a device can compute.

        y = b + Σ_c relu(x ⊛ w_c + b_c) ⊛ u_c,      c = 1 … m

    It is the feed-forward with matrices of circulant blocks, m of them each: 2 m k + (m + 1) k parameters for k features
    instead of 2 m k² + (m + 1) k, and 2 + 2 m optical transforms a token (without those of the kernels).

    Arguments:
        shape: of the embedding as a plane, (k,) or (k1, k2) with k = k1 k2.
        maps: m, planes between the two rounds.
        kernel: taps in each direction, centred on the pixel they act on; by default those of the plane.
        gradient: "simulator" (None means that), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        rngs: for the initial kernels, uniform in ±1/√(numbers summed).

    Raises:
        ValueError: a shape that has not one or two whole numbers, fewer than one map, a kernel larger than the plane, or
            an unknown `gradient`.

    Source: C. Ding et al., "CirCNN", MICRO (2017), section 3: block-circulant layers.
    """

    def __init__(
        self,
        shape: Sequence[int],
        maps: int = 4,
        kernel: Sequence[int] | int | None = None,
        *,
        gradient: Any = None,
        rngs: nnx.Rngs,
    ):
        self.plane, taps = plane_and_taps(shape, kernel)
        at_least_one(maps=maps)
        self.features = math.prod(self.plane)
        self.convolve = gradient_rule(gradient)(optics.convolve)
        self.widen = nnx.Param(new_kernels(maps, taps, rngs))
        self.narrow = nnx.Param(new_kernels(maps, taps, rngs, inputs=maps))
        self.widen_bias = nnx.Param(jnp.zeros((maps, *self.plane)))
        self.narrow_bias = nnx.Param(jnp.zeros(self.plane))

    def __call__(
        self, x: Float[Array, "batch tokens features"], device: Any = None, key: Array | None = None
    ) -> Float[Array, "batch tokens features"]:
        """Transform each token.

        Arguments:
            x: shape (batch, tokens, features).
            device: computes the convolutions; None is the exact FFT.
            key: of the device's noise, consumed; None gives the expected value.
        """
        has_width(x, self.features)
        of_first, of_second = (None, None) if key is None else jax.random.split(key)
        planes = x.reshape(*x.shape[:2], 1, *self.plane)
        hidden = jax.nn.relu(
            self.convolve(planes, centred(self.widen[...], self.plane), device, of_first)
            + self.widen_bias[...]
        )
        y = self.convolve(hidden, centred(self.narrow[...], self.plane), device, of_second)
        return (y.sum(axis=2) + self.narrow_bias[...]).reshape(x.shape)
