"""Feed-forward layers, which transform each token alone: two matrices, or two rounds of convolutions."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

import optics
from nets._check import (
    as_tokens,
    check_call,
    check_multiplier,
    check_products,
    check_rngs,
    check_sizes,
)
from nets.layers._kernels import as_plane_and_taps, uniform_kernels
from nets.layers._optical_dense import OpticalDense
from nets.layers._planes import convolve_planes
from optics._check import check_dtype, check_memory
from optics._keys import split_key
from optics._typing import (
    ArrayLike,
    CountLike,
    DeviceLike,
    DTypeLike,
    GradientLike,
    KeyLike,
    PartLike,
    ShapeLike,
    TextLike,
)
from optics.gradients import gradient_rule


def rounding_dot_general(dtype: DTypeLike | None = None) -> Callable:
    """A `dot_general` for `flax.nnx.Linear` that rounds its factors, forwards and backwards.

    Biases are added in the dtype that the factors had before: the gradient of a bias is a sum over all
    tokens, and in bfloat16 such a sum stops growing at 256 times a term.

    Arguments:
        dtype: such as `jnp.bfloat16`; None rounds nothing.
    """
    if dtype is None:
        return jax.lax.dot_general
    check_dtype("dtype", dtype)

    def dot_general(
        a: Float[Array, "*left"], b: Float[Array, "*right"], dimensions: Any, **options: Any
    ) -> Float[Array, "*out"]:
        return jax.lax.dot_general(a.astype(dtype), b.astype(dtype), dimensions, **options).astype(a.dtype)

    return dot_general


class FeedForward(nnx.Module):
    """Two linear layers, W2 relu(W1 x + b1) + b2.

    With k features and the default width 4 k they have 8 k² + 5 k parameters.

    Arguments:
        features: k.
        hidden: width between the layers; by default 4 k.
        dtype: of the factors of electronic products, such as `jnp.bfloat16`; None rounds nothing.
        products: "electronic", or "device": on the device of the call.
        gradient: of products on a device: "simulator" (also None), "ideal", "optical", or a wrapper such as
            `optics.ideal_gradient`.
        rngs: for the initial weights.

    Raises:
        ValueError: `features` or `hidden` below 1, a `dtype` that is none or meets `products` "device",
            unknown `products` or `gradient`, or no `rngs`.
    """

    def __init__(
        self,
        features: CountLike,
        hidden: CountLike | None = None,
        dtype: DTypeLike | None = None,
        *,
        products: TextLike = "electronic",
        gradient: GradientLike = None,
        rngs: PartLike,
    ):
        check_sizes(features=features)
        hidden = 4 * features if hidden is None else hidden
        check_sizes(hidden=hidden)
        check_memory("hidden", hidden, 2 * features * hidden, "the weights")
        check_products(products)
        gradient_rule(gradient)
        check_rngs(rngs)
        self.features, self.products = features, products
        sizes = (features, hidden), (hidden, features)
        if products == "device":
            if dtype is not None:
                raise ValueError(
                    f"`dtype` rounds the factors of electronic products, got {dtype} with `products` device, "
                    "whose converters round them; leave one out."
                )
            self.widen, self.narrow = (OpticalDense(*size, gradient=gradient, rngs=rngs) for size in sizes)
            return
        product = rounding_dot_general(dtype)
        self.widen, self.narrow = (nnx.Linear(*size, dot_general=product, rngs=rngs) for size in sizes)

    def __call__(
        self, x: ArrayLike, device: DeviceLike = None, key: KeyLike = None
    ) -> Float[Array, "batch tokens features"]:
        """Transform each token.

        Arguments:
            x: shape (batch, tokens, features).
            device: multiplies matrices if `products` is "device", else unused; None is exact.
            key: of the device's noise, consumed; None computes without noise.

        Raises:
            ValueError: vectors of another width, complex ones, no device or one that has no product of
                matrices, or a bad key.
        """
        x = as_tokens(x, self.features)
        check_call(device, key)
        if self.products == "electronic":
            return self.narrow(jax.nn.relu(self.widen(x)))
        check_multiplier(device)
        widen_key, narrow_key = split_key(key, 2)
        return self.narrow(jax.nn.relu(self.widen(x, device, widen_key)), device, narrow_key)


class ConvFeedForward(nnx.Module):
    """Two rounds of circular convolutions of each token's embedding, which a device can compute.

        y = b + Σ_c relu(x ⊛ w_c + b_c) ⊛ u_c,      c = 1 … m

    It is a feed-forward whose matrices are stacks of m circulant blocks: 2 m k + (m + 1) k parameters for k
    features instead of 2 m k² + (m + 1) k. A token takes 2 + 2 m optical transforms, and the kernels take
    theirs.

    Arguments:
        shape: of the embedding as a plane, (k,) or (k1, k2) with k = k1 k2.
        maps: m, planes between the two rounds.
        kernel: taps in each direction, centred on the pixel they act on; by default those of the plane.
        gradient: "simulator" (also None), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        rngs: for the initial kernels, uniform in ±1/√(numbers summed).

    Raises:
        ValueError: `shape` is not one or two whole numbers, `maps` is below 1, the kernel is larger than the
            plane, or `gradient` is unknown.

    Source: C. Ding et al., "CirCNN", MICRO (2017), section 3: block-circulant layers.
    """

    def __init__(
        self,
        shape: ShapeLike,
        maps: CountLike = 4,
        kernel: ShapeLike | None = None,
        *,
        gradient: GradientLike = None,
        rngs: PartLike,
    ):
        self.plane, taps = as_plane_and_taps(shape, kernel)
        check_sizes(maps=maps)
        check_memory("maps", maps, 2 * maps * math.prod(self.plane), "the kernels")
        check_rngs(rngs)
        self.features = math.prod(self.plane)
        self.convolve = gradient_rule(gradient)(optics.convolve)
        self.widen = nnx.Param(uniform_kernels(maps, taps, rngs))
        self.narrow = nnx.Param(uniform_kernels(maps, taps, rngs, inputs=maps))
        self.widen_bias = nnx.Param(jnp.zeros((maps, *self.plane)))
        self.narrow_bias = nnx.Param(jnp.zeros(self.plane))

    def __call__(
        self, x: ArrayLike, device: DeviceLike = None, key: KeyLike = None
    ) -> Float[Array, "batch tokens features"]:
        """Transform each token.

        Arguments:
            x: shape (batch, tokens, features).
            device: computes the convolutions, of many planes at once if it is larger than they are; None is
                the exact FFT.
            key: of the device's noise, consumed; None computes without noise.

        Raises:
            ValueError: vectors of another width, complex ones, a device without room for a plane, or a bad
                key.
        """
        x = as_tokens(x, self.features)
        check_call(device, key)
        widen_key, narrow_key = split_key(key, 2)
        planes = x.reshape(*x.shape[:2], 1, *self.plane)
        hidden = convolve_planes(self.convolve, planes, self.widen[...], device, widen_key)
        hidden = jax.nn.relu(hidden + self.widen_bias[...])
        y = convolve_planes(self.convolve, hidden, self.narrow[...], device, narrow_key)
        return (y.sum(axis=2) + self.narrow_bias[...]).reshape(x.shape)
