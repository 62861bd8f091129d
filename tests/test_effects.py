"""Every effect: its limit, its statistics, its gradient, and the transformations of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from optics import effects
from tests.conftest import relative
from tests.parts import EFFECTS, LIMITS

VALUE = jnp.linspace(0.05, 0.95, 30).reshape(5, 6)
RANDOM = ("shot", "exact shot", "balanced shot", "read")


def test_every_effect_has_its_limit():
    assert EFFECTS.keys() == LIMITS.keys()
    exported = {name for name, thing in vars(effects).items() if isinstance(thing, type) and thing not in (effects.Effect, effects.Noise)}
    assert exported == {type(effect).__name__ for effect in EFFECTS.values()}


@pytest.mark.parametrize("name", EFFECTS)
def test_the_effect_acts(name, key):
    assert relative(EFFECTS[name](VALUE, key), VALUE) > 1e-3


@pytest.mark.parametrize("name", LIMITS)
def test_identity_limit(name, key):
    assert relative(LIMITS[name](VALUE, key), VALUE) <= 2e-5


@pytest.mark.parametrize("name", EFFECTS)
def test_jit_vmap_and_key(name, key):
    effect = EFFECTS[name]
    value = effect(VALUE, key)
    assert value.shape == VALUE.shape and value.dtype == VALUE.dtype
    np.testing.assert_array_equal(value, effect(VALUE, key))
    np.testing.assert_allclose(jax.jit(lambda e, v, k: e(v, k))(effect, VALUE, key), value, atol=1e-6)
    keys = jax.random.split(key, 3)
    mapped = jax.vmap(lambda k: effect(VALUE, k))(keys)
    np.testing.assert_allclose(mapped[1], effect(VALUE, keys[1]), atol=1e-6)
    assert (name in RANDOM) == (not np.array_equal(mapped[0], mapped[1]))


@pytest.mark.parametrize("name", EFFECTS)
def test_expected_value_is_the_mean(name, key):
    effect = EFFECTS[name]
    draws = jax.vmap(lambda k: effect(VALUE, k))(jax.random.split(key, 4000))
    expected = effect(VALUE, None)
    error = np.abs(np.mean(draws, 0) - expected) / (np.std(draws, 0) / np.sqrt(4000) + 1e-6)
    assert np.max(error) < 5


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("effects_", [EFFECTS, LIMITS], ids=["acting", "limit"])
def test_no_nan_at_zero(effects_, name, key):
    zero, effect = jnp.zeros((3, 3)), effects_[name]
    for k in (key, None):
        value, slope = jax.jit(jax.value_and_grad(lambda v: jnp.sum(effect(v, k))))(zero)  # noqa: B023
        assert np.isfinite(value) and np.all(np.isfinite(slope))
        of_effect = jax.grad(lambda e: jnp.sum(e(zero, k)), allow_int=True)(effect)  # noqa: B023
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(of_effect))


@pytest.mark.parametrize("photons", [0.01, 0.3, 1.0, 30.0, 1e4, 1e6])
@pytest.mark.parametrize("exact", [False, True])
def test_shot_noise_statistics(photons, exact, key):
    n = 200_000
    draws = np.asarray(effects.Shot(photons, exact)(jnp.ones((n,)), key), np.float64) * photons
    assert abs(draws.mean() - photons) < 5 * np.sqrt(photons / n)
    kurtosis = 3 * photons**2 + (photons if exact else 0)
    assert abs(draws.var() - photons) < 5 * np.sqrt((kurtosis - photons**2) / n)
    if exact and photons < 100:
        np.testing.assert_allclose(draws, np.round(draws), atol=1e-4)


@pytest.mark.parametrize("value", [1e-5, 1e-2, 1.0, 1e3])
@pytest.mark.parametrize("exact", [False, True])
def test_gradient_of_the_mean_of_shot_noise_is_one(value, exact, key):
    shot = effects.Shot(1e3, exact)
    assert jax.grad(lambda v: jnp.mean(shot(v * jnp.ones(1000), key)))(value) == pytest.approx(1, abs=1e-5)


def test_gradients_with_respect_to_the_noise_itself(key):
    slope = jax.grad(lambda p: jnp.sum(effects.Shot(p)(VALUE, key)))(1e3)
    step = (jnp.sum(effects.Shot(1010.0)(VALUE, key)) - jnp.sum(effects.Shot(990.0)(VALUE, key))) / 20
    assert slope == pytest.approx(float(step), rel=0.05)
    for shot in (effects.Shot(1e3), effects.Shot(1e3, exact=True)):
        without = jax.grad(lambda s: jnp.sum(effects.apply((shot, effects.Read(s)), VALUE, key)))(0.0)  # noqa: B023
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
    np.testing.assert_allclose(effects.apply((*chain, effects.Dark(0.5)), VALUE, key), effects.apply(chain, VALUE, key) + 0.5, rtol=1e-6)


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
    found = effects.Quantize(4, signed=True)(value, None)
    np.testing.assert_allclose(found, [2 / 7 - 4j / 7, 0], atol=1e-6)


def test_gradients_within_and_beyond_the_range():
    def slope(effect, value):
        return float(jax.grad(lambda v: effect(v, None))(value))

    # A clip would give ½ at the tie.
    for value, wanted in ((0.0, 1), (0.4, 1), (1.0, 1), (1.3, 0), (-0.3, 0)):
        assert slope(effects.Quantize(4), value) == wanted
    for value, wanted in ((0.0, 1), (-0.9, 1), (-1.0, 1), (1.0, 1), (1.5, 0), (-1.5, 0)):
        assert slope(effects.Quantize(4, signed=True), value) == wanted
        assert slope(effects.Saturate(), value) == wanted


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: effects.Shot(0.0), "`photons` must be finite and above 0, got 0"),
        (lambda: effects.BalancedShot(-5.0), "`photons` must be"),
        (lambda: effects.Read(-0.1), "`sigma` must be finite and at least 0, got -0.1"),
        (lambda: effects.Read(np.array([0.1, np.nan])), "`sigma` must be finite"),
        (lambda: effects.Dark(-0.1), "`level` must be finite and at least 0"),
        (lambda: effects.Gain(float("nan")), "`gain` must be finite"),
        (lambda: effects.Saturate(0.0), "`level` must be finite and above 0"),
        (lambda: effects.Quantize(0), "`bits` must be a whole number of at least 1 and at most 16, got 0"),
        (lambda: effects.Quantize(1, signed=True), "`bits` must be a whole number of at least 2"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
