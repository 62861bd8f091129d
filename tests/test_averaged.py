"""A Fourier engine that averages exposures: the statistics of its noise, and every exposure counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics

X, W = (jax.random.normal(jax.random.key(i), (4, 5)) for i in range(2))


def engine(photons=1e3):
    return optics.FourierProcessor(optics.dft((4, 5)), camera=(optics.effects.BalancedShot(photons),))


def variances(device, count=400):
    """Of a transform and of a convolution, the mean over the pixels."""
    keys = jax.random.split(jax.random.key(2), count)
    draws = (
        jax.vmap(lambda key: optics.transform(X, device, key))(keys),
        jax.vmap(lambda key: optics.convolve(X, W, device, key))(keys),
    )
    return [float(jnp.var(a, axis=0).mean()) for a in draws]


def test_the_variance_falls_by_the_exposures():
    once, of_product = variances(engine())
    assert variances(optics.Averaged(engine(), inputs=4))[0] == pytest.approx(once / 4, rel=0.1)
    # At little noise the parts of the three transforms add up, so that averaging all of them divides the sum.
    assert variances(optics.Averaged(engine(), 4, 4, 4))[1] == pytest.approx(of_product / 4, rel=0.15)
    parts = [
        variances(optics.Averaged(engine(), *counts))[1] for counts in ((64, 1, 1), (1, 64, 1), (1, 1, 64))
    ]
    saved = sum(of_product - part for part in parts)
    assert saved == pytest.approx(of_product * 63 / 64, rel=0.15)


def test_without_noise_it_is_the_engine():
    device = optics.Averaged(engine(), 3, 5, 2)
    assert jnp.array_equal(optics.convolve(X, W, device), optics.convolve(X, W, engine()))
    one = optics.Averaged(engine())
    key = jax.random.key(0)
    assert np.allclose(optics.convolve(X, W, one, key), optics.convolve(X, W, engine(), key), rtol=1e-5)


def test_every_exposure_is_counted():
    x = jnp.ones((7, 1, 4, 5))
    w = jnp.ones((3, 4, 5))
    counts = optics.accounting.count(
        lambda device, key: optics.convolve(x, w, device, key), optics.Averaged(engine(), 2, 5, 4)
    )
    assert counts.exposures == 2 * 7 + 5 * 3 + 4 * 21
    assert optics.ledger(optics.Averaged(engine(), 2, 5, 4), x.shape, w.shape).exposures == counts.exposures


def test_refuses_an_engine_without_a_transform():
    with pytest.raises(
        ValueError, match=r"^`engine` must have a transform of its own, but Correlator has none"
    ):
        optics.Averaged(optics.Correlator(optics.dft(3)))


@pytest.mark.parametrize("name", ["inputs", "kernels", "products"])
def test_refuses_counts(name):
    with pytest.raises(ValueError, match=f"^`{name}` must be a whole number of at least 1"):
        optics.Averaged(engine(), **{name: 0})
