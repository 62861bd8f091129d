"""Every effect: its limit, its statistics, its gradient, and the transformations of JAX."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import optics
from optics import effects
from optics._fusion import fusion_barrier
from tests.helpers import relative
from tests.parts import EFFECTS

VALUE = jnp.linspace(0.05, 0.95, 30).reshape(5, 6)
# Light has a phase too: all round the circle, and a little beyond the drive's seam at 0.
LIGHT = VALUE * jnp.exp(2j * jnp.pi * jnp.linspace(-0.01, 0.97, 30).reshape(6, 5).T)

# Compiled once per kind of effect: one operation at a time would compile each of them.
act = jax.jit(lambda effect, value, key: effect(value, key))
draw_many = jax.jit(jax.vmap(lambda effect, value, key: effect(value, key), (None, None, 0)))


@jax.jit
def slopes(effect, value, key):
    """The sum of an effect's result, and its slopes along the value and along every number of the effect."""

    def total(value, effect):
        result = effect(value, key)
        return jnp.sum(result.real) + jnp.sum(result.imag)

    return jax.value_and_grad(total, (0, 1))(value, effect)


def value_of(effect):
    """A value that the effect acts on: light of a modulator, or frames."""
    return LIGHT if isinstance(effect, effects.Modulation) else VALUE


def test_every_effect_has_its_limit():
    assert all(part.limit for part in EFFECTS.values())
    kinds = (effects.Effect, effects.Noise, effects.Modulation)
    exported = {
        name
        for name, thing in vars(effects).items()
        if isinstance(thing, type) and issubclass(thing, effects.Effect)
    }
    assert exported - {kind.__name__ for kind in kinds} == {
        type(part.make()).__name__ for part in EFFECTS.values()
    }


@pytest.mark.parametrize("name", EFFECTS)
def test_the_effect_acts(name, key):
    effect = EFFECTS[name].make()
    value = value_of(effect)
    assert relative(act(effect, value, key), value) > 1e-3


@pytest.mark.parametrize("name", EFFECTS)
def test_identity_limit(name, key):
    effect = EFFECTS[name].limit()
    value = value_of(effect)
    # 16 bits of phase round by 3e-5 rad.
    assert relative(act(effect, value, key), value) <= (5e-5 if name == "phase levels" else 2e-5)


@pytest.mark.parametrize("name", EFFECTS)
def test_jit_vmap_and_key(name, key):
    effect = EFFECTS[name].make()
    value = value_of(effect)
    result = act(effect, value, key)
    assert result.shape == value.shape and result.dtype == value.dtype
    np.testing.assert_array_equal(result, act(effect, value, key))
    keys = jax.random.split(key, 4000)
    mapped = np.asarray(draw_many(effect, value, keys))
    np.testing.assert_allclose(mapped[1], act(effect, value, keys[1]), atol=1e-6)
    assert EFFECTS[name].random == (np.max(np.abs(mapped[0] - mapped[1])) > 1e-6)


@pytest.mark.parametrize("name", EFFECTS)
def test_without_a_key_the_value_is_the_mean_of_the_draws(name, key):
    effect = EFFECTS[name].make()
    value = value_of(effect)
    draws = draw_many(effect, value, jax.random.split(key, 4000))
    expected = act(effect, value, None)
    error = np.abs(np.mean(draws, 0) - expected) / (np.std(draws, 0) / np.sqrt(4000) + 1e-6)
    assert np.max(error) < 5


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("maker", ["make", "limit"])
@pytest.mark.every(3)
def test_no_nan_at_zero(maker, name, key):
    for k in (key, None):
        value, result = slopes(getattr(EFFECTS[name], maker)(), jnp.zeros((3, 3)), k)
        assert np.isfinite(value) and all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(result))


@pytest.mark.parametrize("photons", [0.01, 0.3, 1.0, 30.0, 1e4, 1e6])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.every(2)
def test_shot_noise_statistics(photons, exact, key):
    n = 200_000
    draws = np.asarray(act(effects.Shot(photons, exact), jnp.ones((n,)), key), np.float64) * photons
    assert abs(draws.mean() - photons) < 5 * np.sqrt(photons / n)
    kurtosis = 3 * photons**2 + (photons if exact else 0)
    assert abs(draws.var() - photons) < 5 * np.sqrt((kurtosis - photons**2) / n)
    if exact and photons < 100:
        np.testing.assert_allclose(draws, np.round(draws), atol=1e-4)


@pytest.mark.parametrize("value", [1e-5, 1e-2, 1.0, 1e3])
@pytest.mark.parametrize("exact", [False, True])
def test_gradient_of_the_mean_of_shot_noise_is_one(value, exact, key):
    _, (slope, _) = slopes(effects.Shot(1e3, exact), value * jnp.ones(1000), key)
    assert jnp.mean(slope) == pytest.approx(1, abs=1e-5)


def test_gradients_with_respect_to_the_noise_itself(key):
    (_, (_, of_shot)), more, less = (slopes(effects.Shot(p), VALUE, key) for p in (1e3, 1010.0, 990.0))
    assert of_shot.photons == pytest.approx(float(more[0] - less[0]) / 20, rel=0.05)
    for shot in (effects.Shot(1e3), effects.Shot(1e3, exact=True)):
        without = jax.jit(jax.grad(lambda s: jnp.sum(effects.apply((shot, effects.Read(s)), VALUE, key))))(
            0.0
        )
        assert np.isfinite(without)


def test_numbers_keep_their_parts_and_their_type():
    np.testing.assert_array_equal(effects.Gain(np.array([1j, 1 + 1j])).gain, jnp.array([1j, 1 + 1j]))
    for value in (0.1, np.float64(0.1), 1, jnp.float32(0.1)):
        leaf = effects.Read(value).sigma
        assert leaf.dtype == jnp.float32 and not leaf.weak_type


def test_huge_counts_do_not_saturate(key):
    assert relative(effects.Shot(1e12, exact=True)(VALUE, key), VALUE) <= 1e-5


def test_balanced_and_read_noise(key):
    n = 100_000
    for effect, sigma in ((effects.BalancedShot(50.0), 0.1), (effects.Read(0.02), 0.02)):
        for level in (0.0, 0.9):
            noise = np.asarray(effect(jnp.full((n,), level), key)) - level
            assert noise.std() == pytest.approx(sigma, rel=5 / np.sqrt(2 * n))
            assert scipy.stats.kstest(noise / sigma, "norm").pvalue > 1e-3


def test_neighbouring_gaussian_noise_is_drawn_once_with_the_sum_of_variances(key):
    chain = (effects.Shot(1e4), effects.Read(0.01), effects.BalancedShot(5e3))
    value = jnp.full((100_000,), 0.5)
    together = np.asarray(effects.apply(chain, value, key)) - 0.5
    assert together.std() == pytest.approx(np.sqrt(0.5 / 1e4 + 1e-4 + 0.5 / 5e3), rel=0.01)
    # One draw: the same key gives the same normal numbers, only scaled.
    alone = np.asarray(effects.apply(chain[:1], value, key)) - 0.5
    assert np.corrcoef(together, alone)[0, 1] > 1 - 1e-5
    counts = np.asarray(effects.apply((effects.Shot(1e4, exact=True), effects.Read(0.01)), value, key)) - 0.5
    assert counts.std() == pytest.approx(np.sqrt(0.5 / 1e4 + 1e-4), rel=0.01)


def test_an_effect_behind_leaves_the_draws_before_it_alone(key):
    chain = (effects.Read(0.1), effects.Gain(1.0), effects.Read(0.2))
    np.testing.assert_allclose(
        effects.apply((*chain, effects.Dark(0.5)), VALUE, key),
        effects.apply(chain, VALUE, key) + 0.5,
        rtol=1e-6,
    )


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_levels(bits):
    value = jnp.linspace(-3, 3, 40_001)
    unsigned = effects.Quantize(bits)(value, None)
    assert len(np.unique(unsigned)) == 2**bits and unsigned.min() == 0 and unsigned.max() == 1
    if bits > 1:
        signed = np.unique(effects.Quantize(bits, signed=True)(value, None))
        assert len(signed) == 2**bits and {0.0, 1.0, -1.0} <= set(signed.tolist())


def test_quantization_error_of_a_large_converter():
    value = jax.random.uniform(jax.random.key(0), (100_000,))
    error = np.asarray(effects.Quantize(8)(value, None) - value) * 255
    assert error.std() == pytest.approx(1 / np.sqrt(12), rel=0.01) and np.max(np.abs(error)) <= 0.5 + 1e-4


def test_quantize_takes_the_parts_of_a_complex_value():
    value = jnp.asarray([0.31 - 0.52j, 0j])
    result = effects.Quantize(4, signed=True)(value, None)
    np.testing.assert_allclose(result, [2 / 7 - 4j / 7, 0], atol=1e-6)


def test_gradients_within_and_beyond_the_range():
    def slope(effect, value):
        return float(jax.grad(lambda v: effect(v, None))(value))

    # A clip would give ½ at the tie.
    for value, expected in ((0.0, 1), (0.4, 1), (1.0, 1), (1.3, 0), (-0.3, 0)):
        assert slope(effects.Quantize(4), value) == expected
    for value, expected in ((0.0, 1), (-0.9, 1), (-1.0, 1), (1.0, 1), (1.5, 0), (-1.5, 0)):
        assert slope(effects.Quantize(4, signed=True), value) == expected
        assert slope(effects.Saturate(), value) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: effects.Shot(0.0), "`photons` must be finite and above 0, got 0"),
        (lambda: effects.BalancedShot(-5.0), "`photons`"),
        (lambda: effects.Read(-0.1), "`sigma`"),
        (lambda: effects.Read(np.array([0.1, np.nan])), "`sigma`"),
        (lambda: effects.Dark(-0.1), "`level`"),
        (lambda: effects.Gain(float("nan")), "`gain`"),
        (lambda: effects.Bias(np.array([0.1, np.inf])), "`level`"),
        (lambda: effects.StuckPixels([[0.0, 1.5]]), "`mask`"),
        (
            lambda: effects.StuckPixels(1.0),
            "`mask`",
        ),
        (lambda: effects.StuckPixels([[1.0]], np.nan), "`stuck`"),
        (lambda: effects.Saturate(0.0), "`level`"),
        (lambda: effects.Quantize(0), "`bits`"),
        (lambda: effects.Quantize(1, signed=True), "`bits`"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(1,), (3, 5, 7), (2, 64)])
@pytest.mark.every(3)
def test_a_fusion_barrier_is_exact_to_the_bit(shape, dtype, key):
    a = jax.random.normal(key, shape, dtype)
    result, slope = jax.jit(lambda a: (fusion_barrier(a), jax.vjp(fusion_barrier, a)[1](a)[0]))(a)
    assert result.dtype == dtype and result.shape == shape
    np.testing.assert_array_equal(result, a)
    np.testing.assert_array_equal(slope, a)


def test_bits_go_back_into_their_constructor_and_stay_whole():
    converter = effects.Quantize(8, signed=True)
    again = effects.Quantize(converter.bits, signed=True)
    value = jnp.linspace(-1, 1, 1001)
    np.testing.assert_array_equal(again(value, None), converter(value, None))
    # What trains every leaf of a device may move it a little.
    moved = eqx.tree_at(lambda q: q.bits, converter, converter.bits - 1e-5)
    np.testing.assert_array_equal(moved(value, None), converter(value, None))
    assert len(np.unique(effects.Quantize(np.array(3))(jnp.linspace(0, 1, 1001), None))) == 8
    for bad in (7.5, 0, 17, "8", True, [8]):
        with pytest.raises(ValueError, match="`bits` must be"):
            effects.Quantize(bad)
    swept = jax.vmap(lambda bits: optics.presets.load("engine11", pixels=2, dac_bits=bits).slm[0].bits)(
        jnp.array([4.0, 8.0])
    )
    np.testing.assert_array_equal(swept, [4, 8])


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.every(3)
def test_no_number_that_makes_no_sense_improves_an_effect(name, key):
    """A leaf that is not a number is not a number in the result; a negative one does not switch noise off."""
    effect = EFFECTS[name].make()
    value = value_of(effect)
    leaves, structure = jax.tree.flatten(effect)
    run = jax.jit(lambda leaves: jax.tree.unflatten(structure, leaves)(value, key))
    moved = relative(run(leaves), value)
    for i, leaf in enumerate(leaves):
        if np.array_equal(run([*leaves[:i], 1.5 * leaf + 0.1, *leaves[i + 1 :]]), run(leaves)):
            continue  # ripple that is independent in each pixel has no periods
        with_nan = run([*leaves[:i], jnp.full_like(leaf, jnp.nan), *leaves[i + 1 :]])
        assert np.isnan(with_nan).any(), (name, i)
        if EFFECTS[name].random:
            result = run([*leaves[:i], -leaf, *leaves[i + 1 :]])
            assert np.isnan(result).any() or relative(result, value) >= 0.9 * moved, (name, i)
