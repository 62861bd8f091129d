"""Initial weights, and kernels of circular convolutions of an embedding that is a plane."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from optics._check import as_counts, check_memory, describe
from optics._typing import ShapeLike


def fan_in_uniform(
    key: Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32, out_sharding: object = None
) -> Float[Array, "..."]:
    """Initial weights of a linear layer, uniform in ±1/√(inputs), as in the article's framework.

    `flax.nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")` has the same distribution, but rounds
    some bounds
    differently: a recorded run could not be repeated to the bit.
    """
    bound = 1 / math.sqrt(shape[0])
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def uniform_kernels(
    count: int, taps: tuple[int, int], rngs: nnx.Rngs, inputs: int = 1
) -> Float[Array, "count taps_y taps_x"]:
    """Initial kernels, uniform in ±1/√(inputs · taps): an output is a sum of that many products."""
    bound = 1 / math.sqrt(inputs * math.prod(taps))
    return jax.random.uniform(rngs.params(), (count, *taps), minval=-bound, maxval=bound)


def as_plane_and_taps(shape: ShapeLike, kernel: ShapeLike | None) -> tuple[tuple[int, int], tuple[int, int]]:
    """The embedding and the kernel as (rows, columns); an embedding (k,) is a plane of one row.

    Arguments:
        shape: of the embedding, (k,) or (k1, k2).
        kernel: taps in each direction, one number for all, or None for those of the embedding.

    Raises:
        ValueError: `shape` is not one or two whole numbers, or the kernel is larger than the plane.
    """
    shape = as_counts("shape", shape)
    if len(shape) not in (1, 2):
        raise ValueError(f"`shape` must be (k,) or (k1, k2), got {shape!r}.")
    check_memory("shape", shape, math.prod(shape), "a plane")
    is_number = isinstance(kernel, int | np.integer) and not isinstance(kernel, bool)
    taps = (kernel,) * len(shape) if is_number else shape if kernel is None else kernel
    if (
        not isinstance(taps, tuple | list)
        or len(taps) != len(shape)
        or any(
            not isinstance(k, int | np.integer) or isinstance(k, bool) or not 1 <= k <= n
            for k, n in zip(taps, shape, strict=True)
        )
    ):
        raise ValueError(
            f"`kernel` must have between 1 and {shape} taps in each direction of `shape`, got "
            f"{describe(kernel)}."
        )
    ones = (1,) * (2 - len(shape))
    return ones + shape, ones + tuple(map(int, taps))


def centre_kernels(
    kernels: Float[Array, "count taps_y taps_x"], plane: tuple[int, int]
) -> Float[Array, "count rows cols"]:
    """Kernels as planes: the middle tap, number taps // 2, of a small one is at index 0; a full one stays."""
    taps = kernels.shape[-2:]
    if taps == plane:
        return kernels
    planes = jnp.pad(kernels, [(0, 0), *((0, n - k) for n, k in zip(plane, taps, strict=True))])
    return jnp.roll(planes, [-(k // 2) for k in taps], axis=(-2, -1))
