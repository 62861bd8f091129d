"""Keys made of keys: the numbers of JAX, in a form that compiles fast on CPU."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl, threefry_prng_impl
from jaxtyping import Array, UInt32

# Threefry-2x32: rotations of rounds 1 to 8, which repeat, and the constant of the schedule of keys.
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
ROUNDS = 20
PARITY = 0x1BD11BDA
NAME = "threefry2x32"


def split_key(key: Array | None, count: int | tuple[int, ...]) -> Array | tuple[None, ...]:
    """The keys that `jax.random.split` makes of one, typed; or `count` times None.

    Arguments:
        key: one, typed or not.
        count: number of keys, or, with a key, the shape of an array of them.
    """
    if key is None:
        return (None,) * count
    return _as_jax_key(jax.random.split(as_fast_key(key), count))


def fold_key(key: Array | None, number: Array | int) -> Array | None:
    """The key that `jax.random.fold_in` makes of one and of a number, typed; or None."""
    return None if key is None else _as_jax_key(jax.random.fold_in(as_fast_key(key), number))


def as_fast_key(key: Array) -> Array:
    """The key, typed, in a form of which `jax.random` makes the same numbers and that compiles fast.

    JAX on CPU makes random bits by a loop in the shape of the result: one of 4×11×11 takes a second to
    compile. Bits of this key are made in one pass along a line, which takes a twentieth of that. On other
    platforms, for other generators than Threefry and without `jax_threefry_partitionable`, nothing changes.
    `jax.random.poisson` refuses it.

    Arguments:
        key: one or many, typed or not.
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    if str(jax.random.key_impl(key)) != NAME or not jax.config.jax_threefry_partitionable:
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=FAST)


def is_fast(key: Array) -> bool:
    """Whether a typed key is in the form of `as_fast_key`."""
    return jax.random.key_impl(key) == FAST


def threefry(
    key: UInt32[Array, "2"], high: UInt32[Array, "*any"], low: UInt32[Array, "*any"]
) -> tuple[UInt32[Array, "*any"], UInt32[Array, "*any"]]:
    """The two words that Threefry-2x32-20 makes of a key and of the two words of each counter.

    Source: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011), section 3.2.
    """
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


@partial(jax.jit, static_argnums=1)
def _split(key: UInt32[Array, "2"], shape: tuple[int, ...]) -> UInt32[Array, "*shape 2"]:
    def on_cpu(key):
        counter = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
        return _derive(key, counter)

    def by_jax(key):
        # The key adds nothing but that its keys differ between the shards of `jax.shard_map` if it does.
        return threefry_prng_impl.split(key, shape) | (key & 0)

    return jax.lax.platform_dependent(key, cpu=on_cpu, default=by_jax)


@jax.jit
def _fold_in(key: UInt32[Array, "2"], data: UInt32[Array, ""]) -> UInt32[Array, "2"]:
    def by_jax(key, data):
        return threefry_prng_impl.fold_in(key, data) | (key & 0) | (data & 0)

    return jax.lax.platform_dependent(key, data, cpu=_derive, default=by_jax)


@partial(jax.jit, static_argnums=(1, 2))
def _random_bits(key: UInt32[Array, "2"], bits: int, shape: tuple[int, ...]) -> Array:
    count = math.prod(shape)

    def on_cpu(key):
        counter = jax.lax.iota(jnp.uint32, count + count % 2)
        first, second = threefry(key, jnp.zeros_like(counter), counter)
        return (first ^ second)[:count].reshape(shape)

    def by_jax(key):
        drawn = threefry_prng_impl.random_bits(key, bits, shape)
        return drawn | (key[0] & 0).astype(drawn.dtype)

    if bits != 32 or count >= 2**32:
        return by_jax(key)
    return jax.lax.platform_dependent(key, cpu=on_cpu, default=by_jax)


def _derive(key: UInt32[Array, "2"], low: UInt32[Array, "*any"]) -> UInt32[Array, "*any 2"]:
    """Keys that follow from a key and from numbers below 2³².

    A loop of four rounds a turn: XLA on CPU would repeat straight code in everything that uses a key.
    """
    schedule = jnp.stack([key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(PARITY)])
    rotations = jnp.asarray(np.reshape(ROTATIONS, (2, 4)), jnp.uint32)

    def four_rounds(turn, words):
        a, b = words[..., 0], words[..., 1]
        for left in rotations[turn % 2]:
            a = a + b
            b = a ^ ((b << left) | (b >> (32 - left)))
        injection = turn + 1
        a = a + schedule[injection % 3]
        b = b + schedule[(injection + 1) % 3] + jnp.uint32(injection)
        return jnp.stack([a, b], -1)

    low = low.astype(jnp.uint32)
    first = jnp.stack([jnp.broadcast_to(key[0], low.shape), low + key[1]], -1)
    return jax.lax.fori_loop(0, ROUNDS // 4, four_rounds, first)


def _as_jax_key(key: Array) -> Array:
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=NAME) if is_fast(key) else key


FAST = define_prng_impl(
    key_shape=(2,),
    seed=threefry_prng_impl.seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="fast_threefry2x32",
    tag="fast_fry",
)
