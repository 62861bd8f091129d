"""A plain optical convolution layer, and networks made optical, against flax on the same weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import nets
import optics
from tests.helpers import relative
from tests.helpers_nets import Convolver, Multiplier
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
    assert [".".join(map(str, path)) for path in optical.paths] == ["first", "out", "rest.0", "rest.1"]
    model.eval()
    exact = model(x)
    np.testing.assert_allclose(call(optical, x), exact, rtol=1e-6, atol=1e-7)
    assert relative(call(optical, x, load("ideal", pixels=(5, 5)), scale=2.0), 2 * exact) <= 1e-4
    light = call(optical, x, load("engine11"), key)
    np.testing.assert_array_equal(light, call(optical, x, load("engine11"), key))
    assert 1e-2 < relative(light, exact) < 0.1
    # What is excluded stays exact.
    few = nets.convert(model, exclude=["rest", "out"])
    assert [path for path in few.paths] == [("first",)]
    assert relative(call(few, x, load("engine11"), key), exact) < relative(light, exact)
    linear = nets.convert(model, exclude=lambda name, module: isinstance(module, nnx.Conv))
    assert linear.paths == (("out",),)


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
        (lambda m, r: nets.convert(nnx.BatchNorm(2, rngs=r)), "model"),
        (lambda m, r: nets.convert(nnx.Einsum("ab,ab->ab", (2, 2), rngs=r)), "model"),
        (lambda m, r: nets.convert(m, exclude=["first", "out", "rest"]), "model"),
        (lambda m, r: nets.convert(m, exclude=["out"])(jnp.ones((1, 9, 8, 2)), Multiplier()), "device"),
        (lambda m, r: nets.convert(nnx.Linear(2, 2, rngs=r))(jnp.ones((1, 2)), load("ideal")), "device"),
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
    message = (
        "`exclude` has 'second', where `model` has no convolution or product of matrices; it has first, "
    )
    assert str(refusal.value) == message + "out, rest.0, rest.1."
    with pytest.raises(ValueError) as refusal:
        nets.convert(model, exclude=["out"])(jnp.ones((1, 9, 8, 2)), Multiplier())
    message = (
        "`device` Multiplier computes none of first, rest.0, rest.1 in `model`; use one that convolves, "
    )
    assert str(refusal.value) == message + "such as a `FourierProcessor`."


def test_what_cannot_be_converted_stays_exact():
    assert nets.convert(Unfit(nnx.Rngs(0)), exclude=["back", "volume"]).paths == (("plain",),)
    assert optics.conv_general_dilated(None) is jax.lax.conv_general_dilated


class Attentive(nnx.Module):
    """A network of flax's attention and products: einsums, a linear layer, one over two axes."""

    def __init__(self, rngs, **options):
        self.attend = nnx.MultiHeadAttention(4, 8, **({"decode": False} | options), rngs=rngs)
        self.linear = nnx.Linear(8, 8, rngs=rngs)
        self.split = nnx.LinearGeneral(8, (2, 3), rngs=rngs)
        self.join = nnx.Einsum("...hk,hko->...o", (2, 3, 5), (5,), rngs=rngs)
        # Each with its own: no product of matrices.
        self.scale = nnx.Einsum("bto,to->bto", (6, 5), rngs=rngs)

    def __call__(self, x, **options):
        return self.scale(self.join(self.split(self.linear(self.attend(x, **options)))))


PADDING = jnp.arange(6) < jnp.array([6, 3, 0])[:, None, None, None]


@functools.cache
def attentive(**options):
    return Attentive(nnx.Rngs(0), **options)


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, {}),
        ({}, {"mask": PADDING}),
        ({}, {"is_causal": True}),
        ({"num_kv_heads": 2}, {"mask": PADDING}),
        ({"normalize_qk": True, "num_kv_heads": 1}, {"is_causal": True}),
        ({"dropout_rate": 0.5, "deterministic": True}, {}),
        ({"dtype": jnp.bfloat16}, {}),
    ],
)
@pytest.mark.every(2)
def test_attention_of_flax_on_a_device(options, arguments, key):
    x, model = jax.random.normal(key, (3, 6, 8)), attentive(**options)
    optical = nets.convert(model)
    names = [".".join(map(str, path)) for path in optical.paths]
    projections = [f"attend.{name}" for name in ("key", "out", "query", "value")]
    assert sorted(names) == sorted([*projections, "attend", "join", "linear", "split"])
    exact = model(x, **arguments)
    np.testing.assert_array_equal(optical(x, **arguments), exact)
    on_device = nnx.jit(lambda optical, device, key: optical(x, device, key, **arguments))
    tolerance = 0.03 if "dtype" in options else 1e-5
    assert relative(on_device(optical, Multiplier(), key), exact) <= tolerance
    assert on_device(optical, Multiplier(), key).dtype == exact.dtype
    assert tolerance / 2 < relative(on_device(optical, Multiplier(0.02), key), exact) < 0.5


class Twice(nnx.Module):
    """Each part, called twice with the same numbers."""

    def __init__(self, rngs):
        self.parts = nnx.List(
            [
                nnx.Linear(8, 8, rngs=rngs),
                nnx.LinearGeneral(8, (2, 3), rngs=rngs),
                nnx.Einsum("bti,io->bto", (8, 8), rngs=rngs),
                nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs),
            ]
        )

    def __call__(self, x):
        return [(part(x), part(x)) for part in self.parts]


def test_every_call_draws_its_own_noise(key):
    optical = nets.convert(Twice(nnx.Rngs(0)))
    results = nnx.jit(lambda optical, key: optical(jnp.ones((2, 4, 8)), Multiplier(0.1), key))
    for first, second in results(optical, key):
        assert not np.any(first == second)
    for (first, _), (again, _) in zip(results(optical, key), results(optical, key), strict=True):
        np.testing.assert_array_equal(first, again)


def test_dropout_of_attention_is_that_of_flax(key):
    x, model = jax.random.normal(key, (3, 6, 8)), Attentive(nnx.Rngs(0), dropout_rate=0.5)
    optical, twin = nets.convert(model), nnx.clone(model)
    for _ in range(2):
        exact = twin(x, deterministic=False)
        assert relative(optical(x, Multiplier(), deterministic=False), exact) <= 1e-5
    assert int(model.attend.rngs.count[...]) == 2


def test_caches_of_attention_grow_as_in_flax(key):
    model = nnx.Sequential(nnx.MultiHeadAttention(2, 8, num_kv_heads=1, decode=True, rngs=nnx.Rngs(0)))
    model.layers[0].init_cache((3, 4, 8))
    optical, twin = nets.convert(model), nnx.clone(model)
    for token in jax.random.normal(key, (4, 3, 1, 8)):
        assert relative(optical(token, Multiplier(), key), twin(token)) <= 1e-5
    assert int(model.layers[0].cache_index[...]) == 4
    np.testing.assert_allclose(model.layers[0].cached_key[...], twin.layers[0].cached_key[...], atol=1e-6)


class Both(nnx.Module):
    """A convolution and a product."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 2, (3, 3), rngs=rngs)
        self.linear = nnx.Linear(2, 3, rngs=rngs)

    def __call__(self, x):
        return self.linear(self.conv(x))


def test_the_device_decides_what_becomes_optical(key):
    x, model = jax.random.normal(key, (1, 5, 5, 1)), Both(nnx.Rngs(0))
    convolver, multiplier = Convolver(0.05, (5, 5)), Multiplier(0.05)
    exact, all_parts = model(x), nets.convert(model)

    def on(device, optical=all_parts):
        return nnx.jit(lambda optical: optical(x, device, key))(optical)

    # A device that convolves leaves the product exact, and draws the noise that it drew without products.
    convolution, product = on(convolver), on(multiplier)
    np.testing.assert_array_equal(convolution, on(convolver, nets.convert(model, exclude=["linear"])))
    # One that multiplies leaves the convolution exact.
    np.testing.assert_array_equal(product, on(multiplier, nets.convert(model, exclude=["conv"])))
    both = on(optics.Devices(convolve=convolver, matmul=multiplier))
    assert all(relative(y, exact) > 1e-3 for y in (convolution, product, both))
    assert not np.array_equal(both, convolution) and not np.array_equal(both, product)


def test_an_attention_function_of_its_own_stays_exact(key):
    x, model = jax.random.normal(key, (3, 6, 8)), Attentive(nnx.Rngs(0))
    model.attend.attention_fn = lambda q, k, v, **_: v
    optical = nets.convert(model, exclude=["attend.out"])
    assert ("attend",) not in optical.paths and ("attend", "value") in optical.paths
    assert relative(optical(x, Multiplier()), model(x)) <= 1e-5


@pytest.mark.parametrize("rule", ["ideal", "simulator"])
@pytest.mark.every(2)
def test_a_network_of_flax_learns_through_products(rule, key):
    model = Attentive(nnx.Rngs(0))
    optical = nets.convert(model, gradient=rule)
    x, target = jax.random.normal(key, (8, 6, 8)), jax.random.normal(key, (8, 6, 5))
    optimizer = nnx.Optimizer(optical, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(optical, optimizer, device, key):
        def loss(optical):
            return jnp.mean((optical(x, device, key, mask=jnp.tri(6, dtype=bool)) - target) ** 2)

        value, slope = nnx.value_and_grad(loss)(optical)
        optimizer.update(optical, slope)
        return value

    losses = [step(optical, optimizer, Multiplier(0.01), jax.random.fold_in(key, i)) for i in range(12)]
    assert losses[-1] < 0.9 * losses[0]
    # The weights are those of the network.
    assert float(jnp.mean((model(x, mask=jnp.tri(6, dtype=bool)) - target) ** 2)) < 0.95 * losses[0]


def test_the_convolutions_of_a_device_multiply_for_flax(key):
    x, model = jax.random.normal(key, (1, 4, 6)), nnx.MultiHeadAttention(2, 6, decode=False, rngs=nnx.Rngs(0))
    device = optics.CirculantMultiplier(load("ideal", pixels=6))
    assert relative(call(nets.convert(model), x, device, key), model(x)) <= 1e-5
