"""Normal numbers for noise: the generator of JAX, in a form that CPUs compute four times as fast."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from optics._numerics import as_typed_key
from optics._typing import DTypeLike

# Threefry-2x32: rotations of rounds 1 to 8, which repeat, and the constant of the schedule of keys.
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
ROUNDS = 20
PARITY = 0x1BD11BDA


def draw_normal(key: Array, shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, "*shape"]:
    """Independent normal numbers of mean 0 and variance 1, as `jax.random.normal` draws them.

        n = √2 erf⁻¹(2 u − 1),   u uniform in (0, 1) with 32 bits

    JAX keeps one of the two words that a block of Threefry makes, and on CPU it passes five times through
    memory to make them. Here both are kept, in one pass; the numbers are others. The largest is 5.4. Keys of
    other generators and double precision are left to JAX.

    Arguments:
        key: consumed; traced or not, one key.
        shape: of the result.
        dtype: of the result, real.

    Source: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011), section 3.2.
    """
    key = as_typed_key(key)
    count = math.prod(shape)
    blocks = -(-count // 2)
    is_threefry = str(jax.random.key_impl(key)) == "threefry2x32"
    if not is_threefry or blocks > 2**32 or jnp.finfo(dtype).bits > 32:
        return jax.random.normal(key, shape, dtype)
    counter = jax.lax.iota(jnp.uint32, blocks)
    words = threefry(jax.random.key_data(key), jnp.zeros_like(counter), counter)
    numbers = jnp.concatenate([_normal_from_bits(word) for word in words])[:count]
    return numbers.reshape(shape).astype(dtype)


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


def _normal_from_bits(word: UInt32[Array, "*any"]) -> Float[Array, "*any"]:
    # As a signed number a word is uniform from −1 to 1; the outermost would be infinite.
    uniform = jax.lax.bitcast_convert_type(word, jnp.int32).astype(jnp.float32) * np.float32(2**-31)
    largest = np.nextafter(np.float32(1), np.float32(0))
    return np.float32(math.sqrt(2)) * jax.lax.erf_inv(jnp.clip(uniform, -largest, largest))
