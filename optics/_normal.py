"""Normal numbers for noise, those of JAX, in a form that CPUs compute four times as fast."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from optics._fusion import fusion_barrier
from optics._numerics import as_typed_key
from optics._typing import DTypeLike

# Threefry-2x32: rotations of rounds 1 to 8, which repeat, and the constant of the schedule of keys.
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
ROUNDS = 20
PARITY = 0x1BD11BDA


def draw_normal(key: Array, shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, "*shape"]:
    """The numbers of `jax.random.normal`.

    On CPU, JAX passes five times through memory to make the random bits, and leaves the numbers to be made
    again for each use. Here they are made in one pass, and stored. Keys of other generators and double
    precision are left to JAX.

    Arguments:
        key: consumed; traced or not, one key.
        shape: of the result.
        dtype: of the result, real.

    Source: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011), section 3.2.
    """
    key = as_typed_key(key)
    count = math.prod(shape)
    is_threefry = str(jax.random.key_impl(key)) == "threefry2x32"
    if not is_threefry or count >= 2**32 or jnp.dtype(dtype) != jnp.float32:
        return fusion_barrier(jax.random.normal(key, shape, dtype))
    # XLA on CPU takes ten times as long for an odd number of them.
    counter = jax.lax.iota(jnp.uint32, count + count % 2)
    first, second = threefry(jax.random.key_data(key), jnp.zeros_like(counter), counter)
    # Of the bits 23 make a number from 1 to 2, and that one from −1 to 1, without −1 itself.
    mantissa = ((first ^ second) >> 9) | np.float32(1).view(np.uint32)
    from_zero_to_one = jax.lax.bitcast_convert_type(mantissa, jnp.float32) - np.float32(1)
    lowest = np.nextafter(np.float32(-1), np.float32(0))
    uniform = jnp.maximum(from_zero_to_one * (np.float32(1) - lowest) + lowest, lowest)
    return fusion_barrier(np.float32(math.sqrt(2)) * jax.lax.erf_inv(uniform))[:count].reshape(shape)


def threefry(
    key: UInt32[Array, "2"], high: UInt32[Array, "*any"], low: UInt32[Array, "*any"]
) -> tuple[UInt32[Array, "*any"], UInt32[Array, "*any"]]:
    """The two words that Threefry-2x32-20 makes of a key and of the two words of each counter."""
    schedule = key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(PARITY)
    a, b = high + schedule[0], low + schedule[1]
    for turn in range(ROUNDS):
        left = ROTATIONS[turn % len(ROTATIONS)]
        a = a + b
        b = a ^ ((b << left) | (b >> (32 - left)))
        if turn % 4 == 3:
            injection = turn // 4 + 1
            a = a + schedule[injection % 3]
            b = b + schedule[(injection + 1) % 3] + jnp.uint32(injection)
    return a, b
