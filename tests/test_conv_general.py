"""The drop-in for `jax.lax.conv_general_dilated`, against it."""

import functools
import itertools
import random
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import optics
from optics import _chunks
from optics.gradients import optical_gradient
from optics.mapping import conv_general_dilated
from tests.helpers import relative
from tests.helpers_mapping import quick_jit
from tests.parts import load

NHWC = ("NHWC", "HWIO", "NHWC")


def random_configuration(rng):
    """Shapes of lhs and rhs, and the other arguments."""
    space = rng.choice(["W", "HW", "HW"])
    axes = len(space)
    features, batches = rng.choice([(1, 1), (1, 1), (2, 1), (3, 1), (1, 2)])
    sizes = {"N": batches * rng.randint(1, 2), "C": features * rng.randint(1, 2)} | {
        c: rng.randint(3, 9) for c in space
    }
    taps = {"O": features * batches * rng.randint(1, 2), "I": sizes["C"] // features}
    taps |= {c: rng.randint(1, rng.choice([4, 4, 4, 7])) for c in space}
    names = rng.choice([("NC", "OI", "NC"), ("N_C", "_IO", "N_C"), ("_NC", "O_I", "C_N")])
    names = tuple(n.replace("_", space) if "_" in n else n + space for n in names)
    padding = rng.choice(
        ["SAME", "VALID", "SAME_LOWER", *3 * [tuple((rng.randint(-1, 3), rng.randint(-1, 3)) for _ in space)]]
    )
    options = {
        "window_strides": tuple(rng.randint(1, 3) for _ in space),
        "padding": padding,
        "lhs_dilation": (1,) * axes
        if isinstance(padding, str)
        else tuple(rng.choice([1, 1, 2, 3]) for _ in space),
        "rhs_dilation": tuple(rng.choice([1, 1, 2, 3]) for _ in space),
        "dimension_numbers": rng.choice([None, names]) if names[0].startswith("NC") else names,
        "feature_group_count": features,
        "batch_group_count": batches,
    }
    return tuple(sizes[c] for c in names[0]), tuple(taps[c] for c in names[1]), options


def _call(fn, options, x, w):
    return fn(x, w, **options)


def relative_errors(lhs, rhs, options, device, gradient=None):
    """Relative errors of the value and of both derivatives of a random sum of it."""
    rng = np.random.default_rng(0)
    out = jax.eval_shape(functools.partial(_call, jax.lax.conv_general_dilated, options), lhs, rhs)
    slope = rng.normal(size=out.shape).astype(np.float32)

    @quick_jit
    def both(x, w, slope, device):
        result = []
        for fn in (conv_general_dilated(device, None, gradient), jax.lax.conv_general_dilated):
            value, back = jax.vjp(functools.partial(_call, fn, options), x, w)
            result.append((value, *back(slope)))
        return result

    x, w = (rng.normal(size=a.shape).astype(np.float32) for a in (lhs, rhs))
    # A derivative can be zero: padding that is all a kernel sees.
    return [
        relative(f, e) if np.any(e) else np.max(np.abs(f))
        for f, e in zip(*both(x, w, slope, device), strict=True)
    ]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 25))])
def test_as_lax_on_random_configurations(seed):
    # The device is smaller than the planes, and often than the kernels.
    rng, device, done = random.Random(seed), load("ideal", pixels=(4, 5)), 0
    while done < 8:
        lhs, rhs, options = random_configuration(rng)
        lhs, rhs = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (lhs, rhs))
        try:
            out = jax.eval_shape(functools.partial(_call, jax.lax.conv_general_dilated, options), lhs, rhs)
        except ValueError:
            continue
        if out.size:
            assert max(relative_errors(lhs, rhs, options, device)) <= 1e-4, (lhs.shape, rhs.shape, options)
            done += 1


@pytest.mark.parametrize(
    ("lhs", "rhs", "options"),
    [
        ((5, 9, 8, 4), (3, 2, 2, 6), {"dimension_numbers": NHWC, "feature_group_count": 2}),
        ((3, 6, 7, 6), (2, 2, 1, 6), {"dimension_numbers": NHWC, "feature_group_count": 6}),
        ((4, 11, 6), (3, 6, 2), {"dimension_numbers": ("NWC", "WIO", "NWC")}),
    ],
)
@pytest.mark.every(2)
def test_in_chunks(lhs, rhs, options, monkeypatch):
    # One channel at a time, and one tile.
    monkeypatch.setattr(_chunks, "MAX_ELEMENTS", 1)
    lhs, rhs = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (lhs, rhs))
    options |= {"window_strides": (1,) * (len(lhs.shape) - 2), "padding": "SAME"}
    assert max(relative_errors(lhs, rhs, options, load("ideal", pixels=(4, 5)))) <= 1e-4


def test_in_chunks_under_shard_map(key, monkeypatch):
    monkeypatch.setattr(_chunks, "MAX_ELEMENTS", 1)
    device, x, w = (
        load("ideal", pixels=(4, 5)),
        jax.random.normal(key, (4, 6, 6, 2)),
        jax.random.normal(key, (3, 3, 2, 2)),
    )
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec

    def loss(fn):
        return lambda x, w: jnp.sum(fn(x, w, (1, 1), "SAME", dimension_numbers=NHWC) ** 2)

    total = jax.grad(lambda x, w: jax.lax.psum(loss(conv_general_dilated(device, key))(x, w), "data"), 1)
    sharded = quick_jit(jax.shard_map(total, mesh=mesh, in_specs=(spec("data"), spec()), out_specs=spec()))
    assert relative(sharded(x, w), quick_jit(jax.grad(loss(jax.lax.conv_general_dilated), 1))(x, w)) <= 1e-4


@pytest.fixture(scope="module")
def noisy():
    """Values and derivatives by rule, of a layer on the 5×5 engine, as a function of the key."""
    device, key = load("engine11", pixels=5), jax.random.key(3)
    x, w, slope = (
        jax.random.normal(k, s)
        for k, s in zip(jax.random.split(key, 3), ((2, 6, 6, 2), (3, 3, 2, 3), (2, 3, 3, 3)), strict=True)
    )

    def computed(device, rule):
        @quick_jit
        def both(key):
            fn = conv_general_dilated(device, key, rule)
            value, back = jax.vjp(lambda x, w: fn(x, w, (2, 2), "SAME", dimension_numbers=NHWC), x, w)
            return value, *back(slope)

        return both

    rules = {"simulator": None, "ideal": optics.ideal_gradient, "optical": "optical"}
    return {name: computed(device, rule) for name, rule in rules.items()} | {"exact": computed(None, None)}


@pytest.mark.every(2)
def test_gradient_rules(noisy, key):
    result = {name: both(key) for name, both in noisy.items()}
    exact = result.pop("exact")
    for name, (value, *slopes) in result.items():
        assert 1e-3 <= relative(value, exact[0]) <= 0.1
        np.testing.assert_allclose(value, result["simulator"][0], rtol=1e-5, atol=1e-5)
        for slope, expected in zip(slopes, exact[1:], strict=True):
            error = relative(slope, expected)
            assert error <= 1e-5 if name == "ideal" else 1e-3 <= error <= 0.2, (name, error)
    # Same key, same bits; another key, other noise; no key, none.
    optical = noisy["optical"]
    np.testing.assert_array_equal(optical(key)[1], result["optical"][1])
    assert np.any(optical(jax.random.fold_in(key, 1))[1] != result["optical"][1])
    np.testing.assert_array_equal(optical(None)[0], optical(None)[0])


def test_optical_gradient_on_an_ideal_device():
    lhs, rhs = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 7, 6, 2), (3, 2, 2, 3)))
    options = {"window_strides": (2, 1), "padding": "SAME", "dimension_numbers": NHWC}
    assert max(relative_errors(lhs, rhs, options, load("ideal", pixels=(4, 5)), optical_gradient)) <= 1e-4


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((2, 3, 9, 8, 2), {"kernel_size": (3, 2), "strides": 2, "padding": "CIRCULAR"}),
        ((6, 7, 2), {"kernel_size": (3, 3), "kernel_dilation": 2, "padding": "REFLECT"}),
        ((4, 13, 2), {"kernel_size": 3, "padding": "CAUSAL", "feature_group_count": 2}),
    ],
)
def test_in_a_flax_layer(key, shape, arguments):
    x = jax.random.normal(key, shape)
    layers = [
        nnx.Conv(2, 4, conv_general_dilated=fn, rngs=nnx.Rngs(0), **arguments)
        for fn in (conv_general_dilated(load("ideal", pixels=(4, 5))), jax.lax.conv_general_dilated)
    ]
    result, expected = (quick_jit(layer)(x) for layer in layers)
    assert relative(result, expected) <= 1e-4


@pytest.mark.parametrize(
    ("lhs", "rhs", "preferred"),
    [
        ("float32", "complex64", None),
        ("complex64", "complex64", None),
        ("bfloat16", "bfloat16", None),
        ("bfloat16", "bfloat16", "float32"),
    ],
)
def test_kinds_of_numbers(key, lhs, rhs, preferred):
    def draw(key, shape, dtype):
        value = jax.random.normal(key, (2, *shape))
        return (jax.lax.complex(*value) if "complex" in dtype else value[0]).astype(dtype)

    x, w = (
        draw(key, (2, 1, 7), lhs),
        draw(jax.random.fold_in(key, 1), (2, 1, 3), "complex64" if "complex" in lhs + rhs else rhs),
    )
    x = x.astype(w.dtype)
    result, expected = (
        quick_jit(lambda x, w, fn=fn: fn(x, w, (1,), "SAME", preferred_element_type=preferred))(x, w)
        for fn in (conv_general_dilated(load("ideal", pixels=(4, 5))), jax.lax.conv_general_dilated)
    )
    assert result.dtype == expected.dtype
    assert relative(result.astype("complex64"), expected.astype("complex64")) <= (
        1e-2 if expected.dtype == "bfloat16" else 1e-4
    )


@pytest.mark.usefixtures("x64")
def test_double_precision(key):
    x, w = jax.random.normal(key, (2, 1, 7)), jax.random.normal(key, (2, 1, 3))
    result = quick_jit(
        lambda x, w: conv_general_dilated(optics.presets.load("ideal", pixels=4))(x, w, (1,), "SAME")
    )(x, w)
    assert (
        result.dtype == jnp.float64
        and relative(result, jax.lax.conv_general_dilated(x, w, (1,), "SAME")) <= 1e-12
    )


@pytest.mark.parametrize(("batch", "length"), [(0, 7), (2, 3), (2, 0)])
def test_nothing_to_compute(batch, length):
    x, w = jnp.ones((batch, 1, length)), jnp.ones((3, 1, 5))
    fn = conv_general_dilated(load("ideal", pixels=(4, 5)))
    np.testing.assert_array_equal(fn(x, w, (1,), "VALID"), jax.lax.conv_general_dilated(x, w, (1,), "VALID"))


def test_sharding_of_the_result(key):
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))
    x, w, spec = (
        jax.random.normal(key, (2, 1, 7)),
        jax.random.normal(key, (2, 1, 3)),
        jax.sharding.PartitionSpec("data"),
    )
    fn = conv_general_dilated(load("ideal", pixels=(4, 5)))
    with jax.set_mesh(mesh):
        result = quick_jit(lambda x, w: fn(x, w, (1,), "SAME", out_sharding=spec))(x, w)
    assert (
        result.sharding.spec[0] == "data"
        and relative(result, jax.lax.conv_general_dilated(x, w, (1,), "SAME")) <= 1e-4
    )


def test_no_device_is_lax():
    assert conv_general_dilated(None, gradient="optical") is jax.lax.conv_general_dilated


IDEAL = load("ideal", pixels=(4, 5))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: conv_general_dilated("engine11"), "device"),
        (lambda: conv_general_dilated(IDEAL, gradient="exact"), "gradient"),
        (lambda: conv_general_dilated(None, gradient="exact"), "gradient"),
        (
            lambda: conv_general_dilated(IDEAL)(
                np.ones((1, 1, 2, 2, 2)), np.ones((1, 1, 2, 2, 2)), (1, 1, 1), "SAME"
            ),
            "lhs",
        ),
        (lambda: conv_general_dilated(IDEAL)(np.ones((1, 1)), np.ones((1, 1)), (), "SAME"), "lhs"),
        (
            lambda: conv_general_dilated(IDEAL)(
                np.ones((1, 1, 2), int), np.ones((1, 1, 2), int), (1,), "SAME"
            ),
            "lhs",
        ),
    ],
)
def test_refusals(call, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        call()


def test_a_refusal_says_what_would_work():
    message = (
        "`lhs` has 3 spatial axes (shape (1, 1, 2, 2, 2)), but a device convolves over one or two; "
        "fold another axis into the batch, or use `jax.lax.conv_general_dilated`."
    )
    volume = np.ones((1, 1, 2, 2, 2))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        conv_general_dilated(IDEAL)(volume, volume, (1, 1, 1), "SAME")


@pytest.mark.parametrize("options", list(itertools.product([2, 1], ["SAME", ((0, 0),)])))
def test_refuses_what_lax_refuses_in_its_words(options):
    groups, padding = options
    x, w = np.ones((1, 3, 5), np.float32), np.ones((2, 2, 3), np.float32)
    words = []
    for fn in (conv_general_dilated(IDEAL), jax.lax.conv_general_dilated):
        with pytest.raises((ValueError, TypeError)) as caught:
            fn(x, w, (1,), padding, feature_group_count=groups)
        words.append(str(caught.value))
    assert words[0] == words[1]
