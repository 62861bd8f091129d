"""Speckle of frames against the gamma density, and against speckle patterns that light makes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from optics import effects, wave
from tests.helpers import compiled_programs

COUNT = 200_000
act = jax.jit(lambda effect, value, key: effect(value, key))


def gamma(contrast):
    """The density of mean 1 and this contrast."""
    return scipy.stats.gamma(contrast**-2.0, scale=contrast**2.0)


def draw(contrast, key):
    """Factors of as many pixels, in double precision."""
    return np.asarray(act(effects.Speckle(contrast), jnp.ones((COUNT,)), key), np.float64)


@pytest.mark.parametrize("contrast", [1e-4, 1e-3, 0.02, 0.2, 0.5, 1.0])
def test_moments(contrast, key):
    """Mean 1, variance C², third central moment 2 C⁴, within five standard errors of the gamma density."""
    factors = draw(contrast, key) - 1
    excess = gamma(contrast).stats("mvsk")[3]
    sigma = contrast / np.sqrt(COUNT)
    assert abs(factors.mean()) < 5 * sigma
    assert abs(factors.var() - contrast**2) < 5 * sigma * contrast * np.sqrt(excess + 2)
    if contrast >= 0.02:  # below, the skewness is less than what so many draws tell
        third = np.mean((factors - factors.mean()) ** 3)
        # The variance of a third moment: of the density, by quadrature.
        spread = np.sqrt(gamma(contrast).expect(lambda x: (x - 1) ** 6) / COUNT)
        assert abs(third - 2 * contrast**4) < 5 * spread
    assert factors.min() >= -1


@pytest.mark.parametrize("contrast", [0.01, 0.3, 1.0])
def test_density(contrast, key):
    assert scipy.stats.kstest(draw(contrast, key), gamma(contrast).cdf).pvalue > 1e-3


@pytest.mark.parametrize("patterns", [1, 4, 16])
def test_patterns_of_light(patterns, key):
    """A rough plane behind a lens, so many independent times: the intensities add to the same density."""
    phases = 2 * np.pi * np.random.default_rng(patterns).uniform(size=(patterns * 16, 64, 64))
    field = np.exp(1j * phases).astype(np.complex64) * np.asarray(wave.aperture((64, 64), 1e-5, 3e-4))
    frames = np.abs(wave.focus(field, 1e-5, 633e-9, 0.1)) ** 2
    # Samples two apart in each direction are independent: the stop fills less than the plane.
    light = frames.reshape(16, patterns, 64, 64).mean(1)[:, ::4, ::4].ravel()
    speckle = draw(patterns**-0.5, key)[: light.size]
    assert light.std() / light.mean() == pytest.approx(patterns**-0.5, rel=0.06)
    assert scipy.stats.ks_2samp(light / light.mean(), speckle).pvalue > 1e-3


def test_no_speckle(key):
    value = jnp.linspace(0, 1, 30).reshape(5, 6)
    np.testing.assert_array_equal(effects.Speckle(0.0)(value, key), value)
    np.testing.assert_array_equal(effects.Speckle(1.0)(value, None), value)


def test_a_map_of_contrasts_and_a_pattern_that_stays(key):
    contrast = jnp.array([[0.0, 0.1], [0.3, 1.0]])
    frames = jax.vmap(lambda k: effects.Speckle(contrast)(2 * jnp.ones((2, 2)), k))(
        jax.random.split(key, 20_000)
    )
    np.testing.assert_allclose(jnp.std(frames, 0) / 2, contrast, rtol=0.04)
    pattern = effects.Gain(effects.Speckle(0.5)(jnp.ones((64, 64)), key))
    np.testing.assert_array_equal(pattern(jnp.ones((2, 64, 64)), None)[0], pattern(jnp.ones((64, 64)), key))


@pytest.mark.parametrize("contrast", [0.0, 0.05, 0.4, 0.99])
def test_slope_to_the_contrast(contrast, key, x64):
    """The variance of a draw as a whole is C², with a slope of 2C; each factor moves at its quantile."""
    value = jnp.ones((20_000,))
    slope = jax.jit(jax.grad(lambda c: jnp.var(effects.Speckle(c)(value, key))))(contrast)
    assert slope == pytest.approx(2 * contrast, rel=0.05, abs=1e-12)
    if contrast > 1e-3:
        factors, slopes = jax.jvp(lambda c: effects.Speckle(c)(value[:500], key), (contrast,), (1.0,))
        quantiles = gamma(contrast).cdf(factors)
        step = 1e-5
        numeric = gamma(contrast + step).ppf(quantiles) - gamma(contrast - step).ppf(quantiles)
        np.testing.assert_allclose(slopes, numeric / (2 * step), rtol=1e-3, atol=1e-4)


def test_gradient_of_the_light_and_no_recompilation(key):
    value = jnp.linspace(0, 1, 30).reshape(5, 6)
    effect = effects.Speckle(0.3)
    slope = jax.grad(lambda v: jnp.sum(effect(v, key)))(value)
    np.testing.assert_allclose(slope, effect(jnp.ones((5, 6)), key), rtol=1e-6)
    act(effect, value, key)
    with compiled_programs() as programs:
        act(effects.Speckle(0.7), value, key)
    assert not programs
    for dark in (0.0, 1.0):
        slopes = jax.grad(lambda c: jnp.sum(effects.Speckle(c)(jnp.zeros((3, 3)), key)))(dark)
        assert np.isfinite(slopes)


def test_refusals():
    for contrast in (-0.1, 1.1, np.nan, [0.5, 2.0]):
        with pytest.raises(ValueError, match="`contrast` must be finite and at least 0 and at most 1"):
            effects.Speckle(contrast)
