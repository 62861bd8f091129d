"""A Fourier engine that averages exposures: the statistics of its noise, and every exposure counted."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import nets
import optics
from nets.config import Config, resolve

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


def test_compiled_is_eager_and_no_gradient_is_nan():
    device, key = optics.Averaged(engine(), 2, 3, 2), jax.random.key(0)
    assert np.allclose(
        jax.jit(optics.convolve)(X, W, device, key), optics.convolve(X, W, device, key), atol=1e-4
    )
    for x in (X, 0 * X):
        slopes = jax.grad(lambda x, w, device: optics.convolve(x, w, device, key).sum(), (0, 1))(x, W, device)
        assert all(np.isfinite(slope).all() for slope in slopes)


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


def small_network():
    config = resolve(
        Config(data="digits", shape=(3, 3), device="none", heads=2, dropout=0.0, out=Path("unused"))
    )
    dataset = nets.data.load(config)
    model = nets.run.build_model(config, dataset, nnx.Rngs(0))
    model.eval()
    return model, nets.data.make_batch(dataset.train, np.arange(16), 16)


def noisy_engine():
    return optics.FourierProcessor(optics.dft(3), camera=(optics.effects.BalancedShot(10.0),))


def test_exposures_go_where_the_loss_gains_and_no_further_than_allowed():
    model, batch = small_network()
    chosen = nets.run.choose_exposures(model, batch, noisy_engine(), 4.0, jax.random.key(0))
    # 16 images of 4 tokens, 2 heads of 3 projections: 64 inputs, 6 kernels, 384 products.
    taken = 64 * chosen.inputs + 6 * chosen.kernels + 384 * chosen.products
    assert 1 < taken / (64 + 6 + 384) <= 4
    # Exposures of a kernel cost least.
    assert chosen.kernels >= chosen.products


def test_no_exposures_where_the_loss_gains_nothing():
    model, batch = small_network()
    quiet = optics.FourierProcessor(optics.dft(3))
    chosen = nets.run.choose_exposures(model, batch, quiet, 8.0, jax.random.key(0))
    assert (chosen.inputs, chosen.kernels, chosen.products) == (1, 1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(model=3), "`model` must be a"),
        (dict(factor=0.5), "`factor` must be"),
        (dict(key=None), "`key` must be a key"),
        (dict(device=optics.Correlator(optics.dft(3))), "`engine` must have a transform"),
    ],
)
def test_choosing_refuses(change, message):
    model, batch = small_network()
    arguments = dict(model=model, batch=batch, device=noisy_engine(), factor=2.0, key=jax.random.key(0))
    with pytest.raises(ValueError, match="^" + message):
        nets.run.choose_exposures(**arguments | change)
