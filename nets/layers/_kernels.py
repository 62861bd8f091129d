"""Kernels of circular convolutions of an embedding that is a plane: their sizes, their first values, their place."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from nets.layers._check import at_least_one


def plane_and_taps(shape: Any, kernel: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """The embedding and the kernel as (rows, columns); one dimension is a plane of one row.

    Arguments:
        shape: of the embedding, (k,) or (k1, k2).
        kernel: taps in each direction, one number for all, or None for those of the embedding.

    Raises:
        ValueError: a shape that has not one or two whole numbers, or a kernel larger than the plane.
    """
    shape = tuple(shape) if isinstance(shape, Sequence) else shape
    if not isinstance(shape, tuple) or len(shape) not in (1, 2):
        raise ValueError(f"`shape` must be (k,) or (k1, k2), got {shape!r}.")
    at_least_one(**{f"shape[{i}]": n for i, n in enumerate(shape)})
    kernel = shape if kernel is None else (kernel,) * len(shape) if isinstance(kernel, int) else tuple(kernel)
    if len(kernel) != len(shape) or any(
        not isinstance(k, int) or not 1 <= k <= n for k, n in zip(kernel, shape, strict=True)
    ):
        raise ValueError(
            f"`kernel` must have between 1 and {shape} taps in each direction of `shape`, got {kernel}."
        )
    line = (1,) * (2 - len(shape))
    return line + shape, line + kernel


def new_kernels(
    count: int, taps: tuple[int, int], rngs: nnx.Rngs, inputs: int = 1
) -> Float[Array, "count taps_y taps_x"]:
    """First values, uniform in ±1/√(inputs · taps), each output being a sum over that many numbers."""
    bound = 1 / math.sqrt(inputs * math.prod(taps))
    return jax.random.uniform(rngs.params(), (count, *taps), minval=-bound, maxval=bound)


def centred(
    kernels: Float[Array, "count taps_y taps_x"], plane: tuple[int, int]
) -> Float[Array, "count rows cols"]:
    """Kernels as planes: a full one as it is, a smaller one with its middle tap, number taps // 2, at index 0."""
    taps = kernels.shape[-2:]
    if taps == plane:
        return kernels
    padded = jnp.pad(kernels, [(0, 0), *((0, n - k) for n, k in zip(plane, taps, strict=True))])
    return jnp.roll(padded, [-(k // 2) for k in taps], axis=(-2, -1))
