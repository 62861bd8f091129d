"""Normal numbers for noise, those of JAX, in a form that CPUs compute four times as fast."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics._fusion import fusion_barrier
from optics._keys import as_fast_key, is_fast, threefry
from optics._typing import DTypeLike


def draw_normal(key: Array, shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, "*shape"]:
    """The numbers of `jax.random.normal`.

    On CPU, JAX passes five times through memory to make the random bits, and leaves the numbers to be made
    again for each use. Here they are made in one pass, and stored. Keys of other generators and double
    precision are left to JAX.

    Arguments:
        key: consumed; traced or not, one key.
        shape: of the result.
        dtype: of the result, real.
    """
    key = as_fast_key(key)
    count = math.prod(shape)
    if not is_fast(key) or count >= 2**32 or jnp.dtype(dtype) != jnp.float32:
        return fusion_barrier(jax.random.normal(key, shape, dtype))
    # XLA on CPU takes ten times as long for an odd number of them.
    counter = jax.lax.iota(jnp.uint32, count + count % 2)
    first, second = threefry(jax.random.key_data(key), jnp.zeros_like(counter), counter)
    # Of the bits 23 make a number from 1 to 2, and that one from −1 to 1, without −1 itself. They are stored
    # too: one loop of bits and one of numbers take two thirds of the time of one of both.
    mantissa = ((first ^ second) >> 9) | np.float32(1).view(np.uint32)
    from_one_to_two = fusion_barrier(jax.lax.bitcast_convert_type(mantissa, jnp.float32))
    from_zero_to_one = from_one_to_two - np.float32(1)
    lowest = np.nextafter(np.float32(-1), np.float32(0))
    uniform = jnp.maximum(from_zero_to_one * (np.float32(1) - lowest) + lowest, lowest)
    return fusion_barrier(np.float32(math.sqrt(2)) * jax.lax.erf_inv(uniform))[:count].reshape(shape)
