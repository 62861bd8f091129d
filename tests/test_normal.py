"""Keys and normal draws against JAX, published vectors of the generator, and statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from optics._keys import as_fast_key, fold_key, split_key, threefry
from optics._normal import draw_normal

# Of the Random123 distribution, kat_vectors: key, counter, words.
PUBLISHED = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]
# Normal deviates beyond which a test fails: one of 10⁴ draws.
DEVIATES = 3.9
LAGS = (1, 2, 3, 4, 11, 64, 121, 1024, 4096, 65536)


@pytest.mark.parametrize(("key", "counter", "words"), PUBLISHED)
def test_words_are_the_published_ones(key, counter, words):
    counter = [jnp.asarray([word], jnp.uint32) for word in counter]
    assert tuple(int(word[0]) for word in threefry(jnp.asarray(key, jnp.uint32), *counter)) == words


# What makes keys of a key, by JAX and here.
DERIVATIONS = {
    "two": (jax.random.split, lambda key: split_key(key, 2)),
    "an array": (lambda key: jax.random.split(key, (3, 5)), lambda key: split_key(key, (3, 5))),
    "none": (lambda key: jax.random.split(key, 0), lambda key: split_key(key, 0)),
    "a number": (
        lambda key: jax.random.fold_in(key, 2**32 - 1),
        lambda key: fold_key(key, 2**32 - 1),
    ),
    "numbers": (
        lambda key: jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(4)),
        lambda key: jax.vmap(lambda i: fold_key(key, i))(jnp.arange(4)),
    ),
    "keys of keys": (
        lambda key: jax.vmap(jax.random.split)(jax.random.split(key, 4)),
        lambda key: jax.vmap(lambda key: split_key(key, 2))(split_key(key, 4)),
    ),
}


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["eager", "compiled"])
@pytest.mark.parametrize("generator", ["threefry2x32", "rbg"])
@pytest.mark.parametrize("what", DERIVATIONS)
def test_keys_are_those_of_jax(what, generator, transform):
    by_jax, here = (transform(derive) for derive in DERIVATIONS[what])
    key = jax.random.key(7, impl=generator)
    assert here(key).dtype == by_jax(key).dtype
    if generator == "rbg" and "keys" in what:
        return  # mapped over, JAX draws other numbers of this generator
    np.testing.assert_array_equal(*(jax.random.key_data(f(key)) for f in (here, by_jax)))


@pytest.mark.parametrize("untyped", [False, True], ids=["typed", "untyped"])
def test_shards_have_keys_of_their_own(untyped, key):
    # The branches of a platform differed in what varies between shards, which `shard_map` refuses.
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("rows",))
    spec = jax.sharding.PartitionSpec("rows")

    def draw(split, fold, normal):
        def of_shard(keys):
            key = fold(split(keys[0], 2)[1], jax.lax.axis_index("rows"))
            return normal(key, (3,), jnp.float32)

        keys = jax.random.split(key, 1)
        keys = jax.random.key_data(keys) if untyped else keys
        return jax.jit(jax.shard_map(of_shard, mesh=mesh, in_specs=spec, out_specs=spec))(keys)

    here = draw(split_key, fold_key, draw_normal)
    of_fast = draw(split_key, fold_key, lambda key, *rest: jax.random.normal(as_fast_key(key), *rest))
    by_jax = draw(jax.random.split, jax.random.fold_in, jax.random.normal)
    np.testing.assert_array_equal(here, by_jax)
    np.testing.assert_array_equal(of_fast, by_jax)


def test_keys_are_made_without_compilation(key):
    with jax.disable_jit():
        made = jax.random.key_data(split_key(fold_key(key, 3), 2))
    np.testing.assert_array_equal(made, jax.random.key_data(jax.random.split(jax.random.fold_in(key, 3))))


def test_other_counters_of_jax_are_left_to_it(key):
    with jax.threefry_partitionable(False):
        for make in (lambda f: f(key, 3), lambda f: f(key, (2, 5))):
            keys = (jax.random.key_data(make(f)) for f in (split_key, jax.random.split))
            np.testing.assert_array_equal(*keys)
        np.testing.assert_array_equal(
            draw_normal(key, (5,), jnp.float32), jax.random.normal(key, (5,), jnp.float32)
        )


def test_untyped_keys_give_those_of_the_typed_one(key):
    words = jax.random.key_data(key)
    for make in (lambda key: split_key(key, 2), lambda key: fold_key(key, 3)):
        np.testing.assert_array_equal(*(jax.random.key_data(make(k)) for k in (words, key)))
    assert split_key(None, 2) == (None, None) and fold_key(None, 3) is None


@pytest.mark.parametrize("shape", [(), (2, 3, 5), (0, 3)])
@pytest.mark.parametrize(
    "draw",
    [
        jax.random.bits,
        lambda key, shape: jax.random.bits(key, shape, jnp.uint8),
        jax.random.normal,
        jax.random.bernoulli,
        lambda key, shape: jax.random.truncated_normal(key, -2, 2, shape),
        lambda key, shape: jax.random.permutation(key, 17) * jnp.ones(shape, int)[..., None],
    ],
    ids=["bits", "bytes", "normal", "bernoulli", "truncated", "permutation"],
)
def test_fast_keys_draw_what_jax_draws(draw, shape, key):
    def compiled(key):
        return jax.jit(lambda key: draw(key, shape=shape))(key)

    if draw is jax.random.bernoulli:
        compiled = jax.jit(lambda key: draw(key, 0.3, shape))
    np.testing.assert_array_equal(compiled(as_fast_key(key)), compiled(key))


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (0,), (2, 0, 3)])
def test_shapes_and_types(shape, key):
    for dtype in (jnp.float32, jnp.float16, jnp.bfloat16):
        draw = draw_normal(key, shape, dtype)
        assert draw.shape == shape and draw.dtype == dtype


@pytest.mark.parametrize("count", [1, 999])
def test_numbers_are_those_of_jax(count, key):
    draw = jax.jit(lambda key: draw_normal(key, (count,), jnp.float32))
    exact = jax.jit(lambda key: jax.random.normal(key, (count,)))(key)
    np.testing.assert_array_equal(draw(key), exact)
    np.testing.assert_array_equal(draw(jax.random.key_data(key)), exact)
    keys = jax.random.split(key, 3)
    both = (
        jax.jit(jax.vmap(lambda key: f(key, (count,), jnp.float32)))(keys)
        for f in (draw_normal, jax.random.normal)
    )
    np.testing.assert_array_equal(*both)


def test_double_precision_and_other_generators_are_those_of_jax(key, x64):
    np.testing.assert_array_equal(
        draw_normal(key, (7,), jnp.float64), jax.random.normal(key, (7,), jnp.float64)
    )
    other = jax.random.key(0, impl="rbg")
    np.testing.assert_array_equal(
        draw_normal(other, (7,), jnp.float32), jax.random.normal(other, (7,), jnp.float32)
    )


@pytest.mark.parametrize("count", [10**6, pytest.param(10**8, marks=pytest.mark.slow)])
def test_draws_are_normal_and_independent(count, key, optimized):
    blocks = min(count, 5 * 10**6)
    bins = 4096
    draw = jax.jit(lambda key: draw_normal(key, (blocks,), jnp.float32))
    counts, moments, tails, lags, crossed = np.zeros(bins), np.zeros(6), np.zeros(5), np.zeros(len(LAGS)), 0.0
    previous = np.asarray(draw(jax.random.fold_in(key, count)), np.float64)
    for turn in range(count // blocks):
        n = np.asarray(draw(jax.random.fold_in(key, turn)), np.float64)
        counts += np.bincount((scipy.special.ndtr(n) * bins).astype(int), minlength=bins)
        moments += [np.sum(n**power) for power in range(1, 7)]
        tails += [np.sum(np.abs(n) > sigma) for sigma in range(1, 6)]
        lags += [np.sum(n[:-lag] * n[lag:]) for lag in LAGS]
        crossed += np.sum(n * previous)
        previous = n
    # Kolmogorov-Smirnov on the edges of the bins, and χ² of the bins themselves.
    distance = np.abs(np.cumsum(counts) / count - np.arange(1, bins + 1) / bins).max()
    assert scipy.stats.kstwobign.sf(distance * np.sqrt(count)) > 1e-4
    assert scipy.stats.chisquare(counts).pvalue > 1e-4
    # The variance of n^p is that of moments: (2p − 1)!! minus the square of the mean.
    exact = np.array([0, 1, 0, 3, 0, 15])
    spread = np.sqrt((scipy.special.factorial2(2 * np.arange(1, 7) - 1) - exact**2) / count)
    assert np.all(np.abs(moments / count - exact) < DEVIATES * spread)
    expected_tails = 2 * scipy.stats.norm.sf(np.arange(1, 6)) * count
    low, high = scipy.stats.poisson.interval(1 - 2e-4, expected_tails)
    assert np.all((tails >= low) & (tails <= high))
    assert np.all(np.abs(lags) < DEVIATES * np.sqrt(count))
    assert abs(crossed) < DEVIATES * np.sqrt(count)
