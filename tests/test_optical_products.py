"""Products of matrices of networks on a device: layers, blocks, and runs that are trained through them."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import nets
import optics
from nets.config import Config, as_config, as_json, resolve
from nets.run import RunFolder, build_device, choose_device, evaluate
from tests.helpers import relative
from tests.helpers_layers import noisy, rngs, run
from tests.helpers_nets import Convolver, Multiplier, lines
from tests.parts import load

ON_DEVICE = {"products": "device"}
LAYERS = {
    "wide": lambda **options: nets.LinearSelfAttention(9, 2, **options, rngs=rngs()),
    "canonical": lambda **options: nets.LinearSelfAttention(9, 3, "canonical", **options, rngs=rngs()),
    "narrow": lambda **options: nets.LinearSelfAttention(9, 3, "narrow", **options, rngs=rngs()),
    "direct": lambda **options: nets.ConvSelfAttention((3, 3), 2, **options, rngs=rngs()),
    "feed-forward": lambda **options: nets.FeedForward(9, 20, **options, rngs=rngs()),
}
ATTENTION = [name for name in LAYERS if name != "feed-forward"]


def devices(noise=0.0):
    """A device for every layer."""
    return optics.Devices(convolve=Convolver(), matmul=Multiplier(noise))


@functools.cache
def slopes_of(name, **options):
    """(x, device, key, mask) -> result and slopes for weights and x, compiled."""
    layer = LAYERS[name](**options)
    graph, state = nnx.split(layer)

    def loss(state, x, device, key, mask):
        more = () if mask is None else (mask,)
        y = nnx.merge(graph, state)(x, device, key, *more)
        return jnp.sum(jnp.sin(y)), y

    slope = jax.jit(jax.grad(loss, (0, 1), has_aux=True))

    def call(x, device=None, key=None, mask=None):
        slopes, y = slope(state, x, device, key, mask)
        return y, jax.tree.leaves(slopes)

    return call


def masks(name):
    """Padding, also a row that is nothing else."""
    return None if name == "feed-forward" else jnp.arange(7) < jnp.array([[7], [4], [0]])


@pytest.mark.parametrize(
    ("name", "rule", "causal"),
    [
        *((name, "simulator", False) for name in LAYERS),
        ("canonical", "simulator", True),
        ("direct", "simulator", True),
        ("direct", "ideal", False),
        ("direct", "optical", False),
        ("feed-forward", "optical", False),
        ("canonical", "ideal", False),
    ],
)
@pytest.mark.every(4)
def test_an_exact_device_changes_nothing(name, rule, causal, key):
    options = {"gradient": rule} | ({"causal": True} if causal else {})
    x, mask = jax.random.normal(key, (3, 7, 9)), masks(name)
    exact, exact_slopes = slopes_of(name, **options)(x, mask=mask)
    call = slopes_of(name, **options, **ON_DEVICE)
    # Without a device it is the electronic layer, to the bit.
    same, same_slopes = call(x, mask=mask)
    np.testing.assert_array_equal(same, exact)
    for slope, exact_slope in zip(same_slopes, exact_slopes, strict=True):
        np.testing.assert_array_equal(slope, exact_slope)
    y, slopes = call(x, devices(), key, mask)
    assert relative(y, exact) <= 1e-5
    for slope, exact_slope in zip(slopes, exact_slopes, strict=True):
        assert relative(slope, exact_slope) <= 2e-5


@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.every(3)
def test_padding_is_not_attended_to_on_a_device(name, key):
    x, mask = jax.random.normal(key, (3, 7, 9)), masks(name)
    layer = LAYERS[name](**ON_DEVICE)
    weights = run(layer, x, devices(0.01), key, mask, method="attention_map")
    exact = run(layer, x, None, None, mask, method="attention_map")
    assert np.all(np.asarray(weights)[1, ..., 4:] == 0) and 1e-4 < relative(weights, exact) < 0.1
    np.testing.assert_allclose(weights[2], 1 / 7, atol=1e-6)


def test_the_convolutions_of_a_device_multiply(key):
    x, device = jax.random.normal(key, (1, 4, 6)), optics.CirculantMultiplier(load("ideal", pixels=4))
    layer = nets.LinearSelfAttention(6, 2, "canonical", **ON_DEVICE, rngs=rngs())
    assert relative(run(layer, x, device, key), run(layer, x)) <= 1e-5


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.every(4)
def test_each_product_draws_its_own_noise(name, key):
    x, call = jax.random.normal(key, (3, 7, 9)), slopes_of(name, **ON_DEVICE)
    keys = jax.random.split(key, 2)
    exact = call(x)[0]
    first, second = (call(x, devices(0.03), k)[0] for k in keys)
    assert all(0.005 < relative(y, exact) < 0.5 for y in (first, second))
    np.testing.assert_array_equal(first, call(x, devices(0.03), keys[0])[0])
    errors = np.ravel(first - exact), np.ravel(second - exact)
    assert abs(np.corrcoef(*errors)[0, 1]) < 0.3
    assert relative(call(x, devices(0.03))[0], exact) <= 1e-5


@pytest.mark.parametrize("name", ["direct", "wide"])
@pytest.mark.every(2)
def test_blocks_of_queries_draw_their_own_noise(name, key, monkeypatch):
    monkeypatch.setattr("optics._chunks.MAX_ELEMENTS", 64)
    monkeypatch.setattr("nets.layers.attention._weights.MAX_ELEMENTS", 64)
    layer = LAYERS[name](**ON_DEVICE)
    # Equal tokens, in two blocks of 64.
    x = jnp.broadcast_to(jax.random.normal(key, (9,)), (1, 128, 9))
    graph, state = nnx.split(layer)

    @jax.jit
    def results(state, device, key):
        layer = nnx.merge(graph, state)
        return layer(x, device, key), layer.attention_map(x, device, key)

    exact, _ = results(state, devices(), key)
    assert str(jax.make_jaxpr(results)(state, devices(), key)).count("scan[") >= 2
    y, weights = results(state, devices(0.005), key)
    assert relative(y, exact) < 0.1
    for noise in (y[0], weights[0, 0]):
        # What tokens share, that of keys and values, left out.
        noise = noise - noise.mean(0)
        assert abs(np.corrcoef(np.ravel(noise[:64]), np.ravel(noise[64:]))[0, 1]) < 0.3
    assert relative(exact, run(layer, x)) <= 1e-5


def test_the_map_of_a_call_is_the_one_read_out_also_in_blocks(key, monkeypatch):
    monkeypatch.setattr("optics._chunks.MAX_ELEMENTS", 64)
    monkeypatch.setattr("nets.layers.attention._weights.MAX_ELEMENTS", 64)

    class OfLogits(Multiplier):
        """Noise in products over the three features of a head alone."""

        def matmul(self, a, b, key=None):
            return super().matmul(a, b, key if a.shape[-1] == 3 else None)

    layer, x = LAYERS["canonical"](**ON_DEVICE), jax.random.normal(key, (1, 70, 9))
    graph, state = nnx.split(layer)

    @jax.jit
    def both(state, device, key):
        layer = nnx.merge(graph, state)
        return layer(x, device, key), layer.attention_map(x, device, key)

    y, weights = both(state, OfLogits(0.1), key)
    values = layer.project(x).reshape(70, 3, 3, 3)[:, 2]
    expected = layer.merge(jnp.einsum("hts,shk->thk", weights[0], values).reshape(70, 9))
    assert relative(y[0], expected) <= 1e-5 < relative(both(state, OfLogits(0.0), key)[0], y)


def test_a_number_of_the_device_is_swept_in_one_compilation(key):
    x, layer = jax.random.normal(key, (1, 4, 9)), LAYERS["canonical"](**ON_DEVICE)
    graph, state = nnx.split(layer)
    traces = 0

    @jax.jit
    def call(state, device, key):
        nonlocal traces
        traces += 1
        return nnx.merge(graph, state)(x, device, key)

    exact = call(state, Multiplier(jnp.float32(0)), key)
    errors = [relative(call(state, Multiplier(jnp.float32(s)), key), exact) for s in (0.01, 0.02)]
    assert errors[1] == pytest.approx(2 * errors[0], rel=0.05) and traces == 1
    units = jax.vmap(lambda noise, key: call(state, Multiplier(noise), key))
    y = units(jnp.array([0.01, 0.02]), jnp.stack([key, key]))
    assert [relative(each, exact) for each in y] == pytest.approx(errors, rel=1e-3)
    slope = jax.grad(lambda noise: jnp.sum(call(state, Multiplier(noise), key) ** 2))(0.01)
    assert np.isfinite(slope) and slope != 0


@pytest.mark.parametrize("rule", ["optical", "ideal", "simulator"])
@pytest.mark.every(2)
def test_a_dense_layer_is_that_of_flax(rule, key):
    layer = nets.OpticalDense(10, 7, gradient=rule, rngs=rngs())
    expected, x = nnx.Linear(10, 7, rngs=rngs()), jax.random.normal(key, (3, 4, 10))
    np.testing.assert_array_equal(layer(x), expected(x))
    assert relative(layer(x, Multiplier()), expected(x)) <= 1e-6
    assert layer(x[0, 0], Multiplier()).shape == (7,)

    @nnx.jit
    def slope(layer, device, key):
        return nnx.grad(lambda layer: jnp.mean((layer(x, device, key) - 1) ** 2))(layer)

    noise, exact = (jax.tree.leaves(slope(layer, *on)) for on in ((Multiplier(0.03), key), (None, None)))
    for noisy_leaf, exact_leaf in zip(noise, exact, strict=True):
        assert 1e-4 < relative(noisy_leaf, exact_leaf) < 0.3


@functools.cache
def network():
    """A classifier of a block all of whose products are on the device."""
    streams = nnx.Rngs(0)

    attention = nets.LinearSelfAttention(9, 3, "canonical", **ON_DEVICE, rngs=streams)
    block = nets.Block(attention, 12, 0.1, **ON_DEVICE, rngs=streams)
    embedding = nets.TokenEmbedding(50, 8, 9, rngs=streams)
    model = nets.Classifier(embedding, [block], 3, rngs=streams)
    model.eval()
    return model


def test_a_network_runs_on_the_device_except_for_its_ends(key):
    x = jax.random.randint(key, (2, 6), 0, 50)
    exact = run(network(), x)
    assert relative(run(network(), x, Multiplier(), key), exact) <= 1e-5
    assert 1e-3 < relative(run(network(), x, Multiplier(0.02), key), exact) < 0.5
    # A block is six products: queries with keys and weights with values are one of each example and head.
    shapes = []

    class Counting(Multiplier):
        def matmul(self, a, b, key=None):
            shapes.append((a.shape, b.shape))
            return super().matmul(a, b, key)

    jax.eval_shape(lambda key: network()(x, Counting(), key), key)
    assert len(set(shapes)) == 6


def test_a_vision_transformer_convolves_and_multiplies(key):
    x = jax.random.normal(key, (2, 4, 4))
    model = nets.ConvViT((4, 4), 3, 2, (3, 3), 1, 2, **ON_DEVICE, rngs=rngs())
    assert relative(run(model, x, devices(), key), run(model, x)) <= 1e-4
    maps = nets.ConvViT((4, 4), 3, 2, (3, 3), 1, 2, maps=1, **ON_DEVICE, rngs=rngs())
    assert isinstance(maps.blocks[0].feed_forward, nets.ConvFeedForward)


def test_the_ledger_counts_products_and_convolutions():
    engine = optics.FourierProcessor(optics.dft(3))
    both = optics.Devices(convolve=engine, matmul=optics.CirculantMultiplier(engine))
    x = jnp.ones((1, 4, 9))

    def count(device, **options):
        layer = nets.ConvSelfAttention((3, 3), 2, **options, rngs=rngs())
        return optics.accounting.count(lambda device, key: layer(x, device, key), device)

    alone, with_products = count(engine), count(both, **ON_DEVICE)
    # The products of 4 tokens with 4, in tiles of the multiplier.
    assert with_products.exposures > alone.exposures and with_products.adc > alone.adc
    # Electronic products leave the multiplier dark.
    assert count(both) == alone


X = jnp.ones((1, 4, 9))


@pytest.mark.parametrize(
    ("call", "argument", "remedy"),
    [
        (lambda: LAYERS["wide"](products="light"), "products", '"electronic" or "device"'),
        (lambda: LAYERS["direct"](products="light"), "products", '"electronic" or "device"'),
        (lambda: LAYERS["feed-forward"](products=True), "products", '"electronic" or "device"'),
        (lambda: LAYERS["wide"](gradient="exact"), "gradient", "optics.ideal_gradient"),
        (lambda: LAYERS["feed-forward"](gradient="exact"), "gradient", "optics.ideal_gradient"),
        (lambda: LAYERS["feed-forward"](dtype=jnp.bfloat16, **ON_DEVICE), "dtype", "leave one out"),
        (lambda: LAYERS["direct"](spectral=True, **ON_DEVICE), "products", "leave `products` out, or"),
        (lambda: LAYERS["wide"](**ON_DEVICE)(X, noisy(3)), "device", "`optics.CirculantMultiplier(device)`"),
        (
            lambda: LAYERS["feed-forward"](**ON_DEVICE)(X, noisy(3)),
            "device",
            "`optics.CirculantMultiplier(device)`",
        ),
        (
            lambda: LAYERS["direct"](**ON_DEVICE)(X, noisy(3)),
            "device",
            "`optics.Devices(convolve=device, matmul=optics.CirculantMultiplier(device))`",
        ),
        (
            lambda: LAYERS["direct"](**ON_DEVICE)(X, Multiplier()),
            "device",
            "no convolution, .* `optics.Devices(convolve=engine, matmul=device)`",
        ),
        (lambda: LAYERS["direct"](**ON_DEVICE).attention_map(X, noisy(3)), "device", "optics.Devices"),
        (lambda: LAYERS["wide"](**ON_DEVICE)(X, Multiplier(), 0), "key", "jax.random.key"),
        (lambda: nets.OpticalDense(3, 2, gradient="exact", rngs=rngs()), "gradient", "optics.ideal_gradient"),
        (lambda: nets.OpticalDense(0, 2, rngs=rngs()), "in_features", "at least 1"),
        (lambda: nets.OpticalDense(3, 2, dot_general=None, rngs=rngs()), "dot_general", "give the `device`"),
        (lambda: nets.OpticalDense(3, 2, rngs=rngs())(jnp.ones((2, 4))), "x", "(..., 3)"),
        (lambda: nets.OpticalDense(3, 2, rngs=rngs())(jnp.ones((2, 3)), noisy(3)), "device", "Circulant"),
        (lambda: nets.OpticalDense(3, 2, rngs=rngs())(jnp.ones((2, 3)), Multiplier(), 0), "key", "key"),
        (
            lambda: nets.Block(
                LAYERS["wide"](), feed_forward=LAYERS["feed-forward"](), **ON_DEVICE, rngs=rngs()
            ),
            "products",
            "leave one out",
        ),
        (
            lambda: nets.Block(
                LAYERS["wide"](), feed_forward=LAYERS["feed-forward"](), gradient="ideal", rngs=rngs()
            ),
            "gradient",
            "leave one out",
        ),
        (
            lambda: nets.ConvViT((4, 4), 3, 2, (3, 3), spectral=True, **ON_DEVICE, rngs=rngs()),
            "products",
            "leave `products` out, or",
        ),
    ],
)
def test_refusals_name_the_argument_and_the_remedy(call, argument, remedy):
    pattern = f"`{argument}`.*{re.escape(remedy)}".replace(re.escape(".*"), ".*")
    with pytest.raises(ValueError, match=pattern):
        call()


# Runs.

SMALL = Config(
    model="linear",
    attention="canonical",
    device="ideal",
    products="device",
    multiplier="convolutions",
    gradient="ideal",
    shape=(8,),
    heads=1,
    patch=4,
    batch_size=32,
    max_examples=160,
    epochs=1,
    distortion=0.0,
    progress=False,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of five steps through products of matrices by convolutions."""
    out = tmp_path_factory.mktemp("products") / "run"
    nets.fit(dataclasses.replace(SMALL, out=out))
    return out


def test_a_run_through_products_is_tested_and_read_again(finished):
    final = lines(finished)[-1]
    assert final["exact_test_accuracy"] == pytest.approx(final["test_accuracy"], abs=0.01)
    recorded = RunFolder(finished).config()
    assert (recorded.products, recorded.multiplier) == ("device", "convolutions")
    assert nets.fit(recorded)["test_accuracy"] == final["test_accuracy"]
    (exact,) = evaluate(finished, "none")
    assert (exact["device"], exact["multiplier"]) == ("none", None)
    assert exact["accuracy"] == pytest.approx(final["exact_test_accuracy"])
    other = dataclasses.replace(recorded, products="electronic", multiplier=None, device="none")
    with pytest.raises(ValueError, match=r"run of other options: .*`products` 'device', now 'electronic'"):
        nets.fit(other)


@pytest.mark.slow
def test_a_run_is_tested_on_another_multiplier(finished, monkeypatch):
    built = []
    monkeypatch.setattr(
        "nets.run._evaluate.build_device", lambda config: built.append(config) or Multiplier()
    )
    (row,) = evaluate(finished, "none", multiplier="stanford")
    assert (row["device"], row["multiplier"]) == ("none", "stanford") and built[0].products == "device"
    (exact,) = evaluate(finished, multiplier="none", device="none")
    assert row["accuracy"] == pytest.approx(exact["accuracy"], abs=1e-3)


def test_options_of_products_are_recorded_and_have_defaults():
    config = resolve(Config(model="linear", products="device"))
    assert config.multiplier == "crossbar" and config.out.name == "digits-linear-crossbar"
    assert resolve(Config(products="device")).out.name == "digits-conv2d-engine11-crossbar"
    assert as_config(as_json(config)) == config
    old = {name: value for name, value in as_json(resolve(Config())).items() if "pli" not in name}
    assert as_config(old | {"products": "electronic"}).multiplier is None
    assert resolve(Config()).out.name == "digits-conv2d-engine11"


def test_the_device_of_a_run_is_of_its_products_and_convolutions():
    assert isinstance(build_device(resolve(SMALL)), optics.CirculantMultiplier)
    config = resolve(Config(products="device", multiplier="convolutions", overrides=("photons=5",), unit=3))
    both = build_device(config)
    assert isinstance(both, optics.Devices) and both.convolver.shape == (11, 11)
    for device in (both.convolver, both.multiplier.engine):
        assert any(float(getattr(effect, "photons", 0)) == 5 for effect in device.camera)
    assert choose_device(config, "none").products == "electronic"
    chosen = choose_device(config, multiplier="none")
    assert (chosen.unit, chosen.products, chosen.device) == (3, "electronic", "engine11")
    chosen = choose_device(config, "ideal")
    assert (chosen.unit, chosen.overrides, chosen.multiplier) == (None, (), "convolutions")
    exact = resolve(Config(model="linear", device="none"))
    assert choose_device(exact, multiplier="stanford").products == "device"
    assert choose_device(exact) == exact


@pytest.mark.parametrize(
    ("options", "name", "remedy"),
    [
        (dict(model="mean", products="device"), "products", "set --model to linear, conv1d or conv2d"),
        (dict(model="lambda", products="device"), "products", "set --model to linear, conv1d or conv2d"),
        (dict(model="fourier", products="device"), "products", "set --model to linear, conv1d or conv2d"),
        (dict(multiplier="stanford"), "multiplier", "set --products to device"),
        (dict(spectral=True, products="device"), "spectral", "leave --spectral or --products out"),
        (
            dict(model="linear", products="device", multiplier="convolutions"),
            "multiplier",
            "set --device to a preset",
        ),
        (dict(model="linear", products="device", device="engine11"), "model", "leave --device out"),
        (dict(overrides=("multiplier.photons=1",)), "overrides", "set --multiplier to one"),
        (
            dict(model="linear", products="device", overrides=("photons=1",)),
            "overrides",
            "leave --set out",
        ),
        (
            dict(data="imdb", model="linear", products="device", precision="mixed"),
            "precision",
            "leave --precision or --products out",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(options, name, remedy):
    with pytest.raises(ValueError, match=f"^`{name}` .*{remedy}"):
        resolve(Config(**options))


@pytest.mark.parametrize(
    ("options", "overrides", "message"),
    [
        (dict(multiplier="nothing"), {}, "`multiplier` must be convolutions, or a preset .* got 'nothing'"),
        (dict(multiplier="ideal"), {}, "`multiplier` ideal has no product .* --multiplier to convolutions"),
        (dict(multiplier="stanford"), {"photons": 1}, "`overrides` has photons.* begin with multiplier."),
    ],
)
def test_multipliers_that_are_none_are_refused(options, overrides, message):
    config = resolve(Config(model="linear", products="device", **options))
    with pytest.raises(ValueError, match=message):
        build_device(config, **overrides)
