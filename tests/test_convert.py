"""A plain optical convolution layer, and networks made optical, against flax on the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import nets
import optics
from tests.helpers import relative
from tests.parts import load


class Small(nnx.Module):
    """A network as anyone would write it: convolutions in a list, a normalisation, one layer used twice."""

    def __init__(self, rngs):
        self.first = nnx.Conv(2, 4, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.rest = nnx.List(
            [nnx.Conv(4, 4, (3, 3), feature_group_count=2, padding="CIRCULAR", rngs=rngs) for _ in range(2)]
        )
        self.out = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x, scale=1.0):
        x = jax.nn.relu(self.norm(self.first(x)))
        for conv in (*self.rest, self.rest[0]):
            x = jax.nn.relu(conv(x))
        return scale * self.out(x.mean((1, 2)))


@pytest.fixture
def model():
    return Small(nnx.Rngs(0))


@nnx.jit
def call(model, x, device=None, key=None, **others):
    return model(x, device, key, **others)


@pytest.mark.parametrize(
    ("channels", "options", "shape"),
    [
        ((2, 4), dict(kernel_size=(3, 3), strides=2), (2, 8, 7, 2)),
        (
            (2, 4),
            dict(kernel_size=(3, 2), padding="VALID", kernel_dilation=(1, 2), use_bias=False),
            (2, 8, 7, 2),
        ),
        ((4, 4), dict(kernel_size=5, padding="CAUSAL", feature_group_count=4), (3, 12, 4)),
        ((2, 4), dict(kernel_size=(4,), padding="REFLECT"), (12, 2)),
    ],
)
@pytest.mark.every(2)
def test_the_layer_is_that_of_flax(channels, options, shape, key):
    layer, expected = (make(*channels, rngs=nnx.Rngs(0), **options) for make in (nets.OpticalConv, nnx.Conv))
    x = jax.random.normal(key, shape)
    exact = expected(x)
    np.testing.assert_array_equal(call(layer, x), exact)
    assert relative(call(layer, x, load("ideal", pixels=(6, 6))), exact) <= 1e-4
    assert layer.kernel.get_value().shape == expected.kernel.get_value().shape


@pytest.mark.parametrize("rule", ["simulator", "ideal", "optical"])
@pytest.mark.every(2)
def test_the_layer_learns_through_a_noisy_device(rule, key):
    layer = nets.OpticalConv(2, 3, (3, 3), gradient=rule, rngs=nnx.Rngs(0))
    x, target = jax.random.normal(key, (4, 6, 6, 2)), jax.random.normal(key, (4, 6, 6, 3))

    @nnx.jit
    def slope(layer, device, key):
        return nnx.grad(lambda layer: jnp.mean((layer(x, device, key) - target) ** 2))(layer)

    noisy, exact = (
        jax.tree.leaves(slope(layer, device, k)) for device, k in ((load("engine11"), key), (None, None))
    )
    for noisy_leaf, exact_leaf in zip(noisy, exact, strict=True):
        assert 5e-3 < relative(noisy_leaf, exact_leaf) < 0.05


@pytest.mark.every(2)
def test_a_network_made_optical(model, key):
    x = jax.random.normal(key, (3, 9, 8, 2))
    optical = nets.convert(model)
    assert [".".join(map(str, path)) for path in optical.paths] == ["first", "rest.0", "rest.1"]
    model.eval()
    exact = model(x)
    np.testing.assert_allclose(call(optical, x), exact, rtol=1e-6, atol=1e-7)
    assert relative(call(optical, x, load("ideal", pixels=(5, 5)), scale=2.0), 2 * exact) <= 1e-4
    light = call(optical, x, load("engine11"), key)
    np.testing.assert_array_equal(light, call(optical, x, load("engine11"), key))
    assert 1e-2 < relative(light, exact) < 0.1
    # What is excluded stays exact.
    few = nets.convert(model, exclude=["rest"])
    assert [path for path in few.paths] == [("first",)]
    assert relative(call(few, x, load("engine11"), key), exact) < relative(light, exact)
    assert len(nets.convert(model, exclude=lambda name, module: module.strides == 2).paths) == 2


@pytest.mark.slow
def test_weights_and_statistics_are_shared_with_the_network(model, key):
    x = jax.random.normal(key, (3, 9, 8, 2))
    optical = nets.convert(model)
    assert len(jax.tree.leaves(nnx.state(optical))) == len(jax.tree.leaves(nnx.state(model)))
    before = np.asarray(model.norm.mean[...])
    call(optical, x, load("ideal", pixels=(9, 9)))
    assert np.any(model.norm.mean[...] != before)

    @nnx.jit
    def slope(optical, device, key):
        return nnx.grad(lambda model: jnp.sum(model(x, device, key) ** 2))(optical)

    for leaf in jax.tree.leaves(slope(optical, load("engine11"), key)):
        assert np.all(np.isfinite(leaf)) and np.any(leaf != 0)


class Unfit(nnx.Module):
    """Two convolutions that no device computes, and one that it does."""

    def __init__(self, rngs):
        self.plain = nnx.Conv(1, 1, (3,), rngs=rngs)
        self.volume = nnx.Conv(1, 1, (3, 3, 3), rngs=rngs)
        self.back = nnx.ConvTranspose(1, 1, (3, 3), rngs=rngs)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda m, r: nets.convert(jnp.ones(3)), "model"),
        (lambda m, r: nets.convert(nnx.Linear(2, 2, rngs=r)), "model"),
        (lambda m, r: nets.convert(m, exclude=["first", "rest"]), "model"),
        (lambda m, r: nets.convert(m, exclude="first"), "exclude"),
        (lambda m, r: nets.convert(m, gradient="exact"), "gradient"),
        (lambda m, r: nets.convert(m)(jnp.ones((1, 9, 8, 2)), load("ideal"), 0), "key"),
        (lambda m, r: nets.convert(m)(jnp.ones((1, 9, 8, 2)), "engine11"), "device"),
        (lambda m, r: nets.OpticalConv(1, 1, (3, 3, 3), rngs=r), "kernel_size"),
        (lambda m, r: nets.OpticalConv(1, 1, 3, gradient="exact", rngs=r), "gradient"),
        (lambda m, r: nets.OpticalConv(1, 1, 3, conv_general_dilated=None, rngs=r), "conv_general_dilated"),
        (lambda m, r: nets.OpticalConv(1, 1, 3, rngs=r)(jnp.ones((1, 5, 1)), load("ideal"), 0), "key"),
        (
            lambda m, r: nets.OpticalConv(1, 1, 3, rngs=r)(
                jnp.ones((1, 5, 1)), jax.random.key(0), load("ideal")
            ),
            "key",
        ),
        (lambda m, r: nets.OpticalConv(1, 1, 3, rngs=r)(jnp.ones((1, 5, 1)), "engine11"), "device"),
    ],
)
def test_refusals_name_the_argument(call, argument, model):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        call(model, nnx.Rngs(0))


@pytest.mark.parametrize(
    ("exclude", "named"),
    [([], 'back, .*`exclude=\\["back"\\]`'), (["back"], 'volume; .*`exclude=\\["volume"\\]`')],
)
def test_a_convolution_that_no_device_computes_is_refused_by_name(exclude, named):
    with pytest.raises(ValueError, match=named):
        nets.convert(Unfit(nnx.Rngs(0)), exclude=exclude)


def test_a_refusal_says_what_came_and_what_would_work(model):
    with pytest.raises(ValueError) as refusal:
        nets.convert(model, exclude=["second"])
    message = "`exclude` has 'second', where `model` has no convolution; it has first, rest.0, rest.1."
    assert str(refusal.value) == message


def test_what_cannot_be_converted_stays_exact():
    assert nets.convert(Unfit(nnx.Rngs(0)), exclude=["back", "volume"]).paths == (("plain",),)
    assert optics.conv_general_dilated(None) is jax.lax.conv_general_dilated
