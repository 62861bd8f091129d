"""The exact convolution, and the gradient rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

import optics
from tests.helpers import compiled_programs, relative
from tests.parts import load


@given(
    rows=st.integers(1, 5),
    cols=st.integers(1, 5),
    seed=st.integers(0, 2**20),
    kind=st.sampled_from(["f", "c", "i"]),
)
@settings(max_examples=6, deadline=None)
def test_against_scipy(rows, cols, seed, kind):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(2, rows, cols))
    if kind == "c":
        x, w = x + 1j * rng.normal(size=x.shape), w - 1j * x
    if kind == "i":
        x, w = np.round(4 * x).astype(int), np.round(4 * w).astype(int)
    # By the definition: y[i] = Σ_u w[u] x[i − u].
    expected = sum(w[u, v] * np.roll(x, (u, v), (0, 1)) for u in range(rows) for v in range(cols))
    tolerance = 1e-5 * max(1.0, np.abs(x).max() * np.abs(w).max() * rows * cols)
    convolve = jax.jit(optics.convolve)
    np.testing.assert_allclose(convolve(x, w), expected, atol=tolerance)
    np.testing.assert_allclose(
        convolve(x, w, optics.presets.load("ideal", pixels=(rows, cols))), expected, atol=tolerance
    )


def test_against_scipy_signal(key):
    x, kernel = jax.random.normal(key, (12, 9)), jax.random.normal(key, (3, 5))
    expected = scipy.signal.convolve2d(np.asarray(x), np.asarray(kernel), mode="same", boundary="wrap")
    # A small kernel around its origin: its middle at index 0.
    w = jnp.roll(jnp.pad(kernel, ((0, 9), (0, 4))), (-1, -2), (0, 1))
    np.testing.assert_allclose(optics.convolve(x, w), expected, atol=1e-5)


def test_a_delta_changes_nothing(key):
    x = jax.random.normal(key, (11, 11))
    delta = jnp.zeros((11, 11)).at[0, 0].set(1)
    for device in (None, optics.presets.load("ideal")):
        np.testing.assert_allclose(optics.convolve(x, delta, device), x, atol=1e-5)


def test_transform_in_the_order_of_numpy(key):
    for shape in ((11, 11), (4, 6)):
        a = jax.random.normal(key, (2, *shape))
        expected = np.fft.fft2(np.asarray(a), norm="ortho")
        assert relative(optics.transform(a), expected) <= 1e-6
        assert relative(optics.transform(a, optics.presets.load("ideal", pixels=shape)), expected) <= 1e-5


def _problem(key):
    device = load("engine11", pixels=5)
    x, w = jax.random.normal(key, (4, 1, 5, 5)), jax.random.normal(jax.random.fold_in(key, 1), (3, 5, 5))
    return device, x, w


def test_ideal_gradient(key):
    device, x, w = _problem(key)
    rule = optics.ideal_gradient(optics.convolve)
    ruled, convolve = jax.jit(rule), jax.jit(optics.convolve)
    np.testing.assert_array_equal(ruled(x, w, device, key), convolve(x, w, device, key))
    np.testing.assert_array_equal(ruled(x, w), convolve(x, w))
    target = jax.random.normal(key, (4, 3, 5, 5))

    def against(convolve, device):
        return lambda x, w: jnp.vdot(target, convolve(x, w, device, key))

    result = jax.jit(jax.grad(against(rule, device), (0, 1)))(x, w)
    expected = jax.jit(jax.grad(against(optics.convolve, None), (0, 1)))(x, w)
    simulator = jax.jit(jax.grad(against(optics.convolve, device), (0, 1)))(x, w)
    for f, e, s in zip(result, expected, simulator, strict=True):
        assert relative(f, e) <= 1e-6 < relative(s, e)
    # Forward mode, remat and vmap.
    slope = jax.jit(lambda x: jax.jvp(lambda x: rule(x, w, device, key), (x,), (x,))[1])(x)
    assert relative(slope, convolve(x, w)) <= 1e-6
    remat = jax.jit(jax.grad(jax.checkpoint(against(rule, device)), 1))(x, w)
    assert relative(remat, expected[1]) <= 1e-6
    mapped = jax.jit(jax.vmap(jax.grad(against(rule, device), 1), (0, None)))(jnp.stack([x, 2 * x]), w)
    assert mapped.shape == (2, 3, 5, 5) and np.all(np.isfinite(mapped))
    # The device and the key have no derivative.
    assert not any(
        np.any(leaf)
        for leaf in jax.tree.leaves(jax.jit(jax.grad(lambda d: jnp.sum(rule(x, w, d, key))))(device))
    )


def test_ideal_gradient_of_a_transform(key):
    device, x, _ = _problem(key)
    rule = optics.ideal_gradient(optics.transform)

    def power(f, device):
        return lambda x: jnp.real(jnp.vdot(jnp.ones(x.shape) * (1 + 2j), f(x, device, key)))

    assert relative(jax.grad(power(rule, device))(x), jax.grad(power(optics.transform, None))(x)) <= 1e-5


def test_ideal_gradient_under_shard_map(key):
    device, x, w = _problem(key)
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    rule = optics.ideal_gradient(optics.convolve)

    def loss(x, w):
        return jax.lax.psum(jnp.sum(rule(x, w, device, key) ** 2), "data")

    sharded = jax.jit(
        jax.shard_map(jax.grad(loss, 1), mesh=mesh, in_specs=(spec("data"), spec()), out_specs=spec())
    )
    expected = jax.jit(jax.grad(lambda w: jnp.sum(rule(x, w, device, key) ** 2)))(w)
    assert relative(sharded(x, w), expected) <= 1e-4


@pytest.mark.usefixtures("x64")
def test_ideal_gradient_of_single_precision_on_a_double_precision_device():
    device = optics.presets.load("ideal", pixels=3)
    x = jnp.ones((3, 3), jnp.float32)
    slope = jax.grad(lambda x: jnp.sum(optics.ideal_gradient(optics.convolve)(x, x, device)))(x)
    assert slope.dtype == jnp.float32 and np.all(np.isfinite(slope))


def test_half_precision_is_raised():
    x = jnp.ones((3, 3), jnp.bfloat16)
    assert optics.convolve(x, x).dtype == optics.convolve(x, x, load("ideal", pixels=3)).dtype == jnp.float32


def test_refusals():
    with pytest.raises(ValueError, match="`f` must have arguments `device` and `key`"):
        optics.ideal_gradient(jnp.sin)


@pytest.mark.parametrize("key", [0, "engine11", jnp.ones(2)])
def test_what_is_no_key_is_refused_by_name(key):
    x, device = jnp.ones((3, 3)), load("ideal", pixels=3)
    with pytest.raises(ValueError, match="`key` must be None or one key"):
        optics.convolve(x, x, device, key)
    with pytest.raises(ValueError, match="`key` must be None or one key"):
        optics.transform(x, device, key)


@pytest.mark.parametrize("call", ["convolve", "transform", "conv_general_dilated"])
def test_an_eager_call_on_a_device_is_one_program_for_all_numbers(call, key):
    def run(photons, number):
        device = load("engine11", pixels=5, level="ideal", photons=photons)
        x, k = jnp.full((2, 3, 5, 5), number), jax.random.fold_in(key, int(number))
        with compiled_programs() as programs:
            if call == "convolve":
                y = optics.convolve(x, x[:1], device, k)
            elif call == "transform":
                y = optics.transform(x, device, k)
            else:
                y = optics.conv_general_dilated(device, k)(x, x[:, :, :3, :3], (1, 1), "SAME")
        return y, len(programs)

    (first, few), (other, none) = run(1e4, 1.0), run(2e4, 2.0)
    # What prepares the arrays is a handful; one operation at a time would be some hundred.
    assert few <= 12 and none == 0
    assert not np.array_equal(first, other)


# Kernels for all rows; for some; rows of several axes; a count that only 1 and itself divide.
SHAPES = [
    ((60, 1), (3,)),
    ((2, 60, 1), (2, 1, 3)),
    ((20, 3, 1, 1), (2, 3)),
    ((61,), (61,)),
    ((60,), ()),
]


@pytest.mark.parametrize(("x_lead", "w_lead"), SHAPES)
@pytest.mark.every(3)
def test_chunks_in_the_cache_change_nothing_but_time(x_lead, w_lead, key, monkeypatch):
    device = optics.FourierProcessor(optics.dft((2, 3)))
    x, w = jax.random.normal(key, (*x_lead, 2, 3)), jax.random.normal(key, (*w_lead, 2, 3))

    def loss(x, w):
        y = optics.convolve(x, w, device)
        return jnp.sum(jnp.sin(y)), y

    results, loops = [], []
    for numbers in (96, 2**40):
        jax.clear_caches()
        monkeypatch.setattr("optics._chunks.CACHED_ELEMENTS", numbers)
        program = jax.jit(lambda x, w: jax.grad(loss, (0, 1), has_aux=True)(x, w))
        results.append(jax.tree.leaves(program(x, w)))
        loops.append(str(jax.make_jaxpr(program)(x, w)).count("scan["))
    assert loops[1] == 0 and (loops[0] > 0) == (x_lead != (61,))
    for chunked, whole in zip(*results, strict=True):
        assert relative(chunked, whole) <= 1e-5
    assert relative(results[0][-1], optics.convolve(x, w)) <= 1e-5


def test_chunks_draw_their_own_noise_and_are_counted_once(key, monkeypatch):
    monkeypatch.setattr("optics._chunks.CACHED_ELEMENTS", 64)
    jax.clear_caches()
    device = optics.FourierProcessor(optics.dft(4), camera=(optics.effects.Read(0.01),))
    a = jnp.broadcast_to(jax.random.normal(key, (4, 4)), (1000, 4, 4))
    transform = jax.jit(lambda a, key: optics.transform(a, device, key))
    assert "scan[" in str(jax.make_jaxpr(transform)(a, key))
    noise = np.asarray(transform(a, key) - transform(a, None)).reshape(1000, -1)
    noise = np.concatenate([noise.real, noise.imag], axis=1) / noise.real.std()
    # Every pair of planes: correlations of 32 numbers have a standard deviation of 1 / √32.
    correlations = (noise @ noise.T / 32)[np.triu_indices(1000, 1)]
    assert np.abs(correlations).max() < 6 / np.sqrt(32) and correlations.std() < 1.1 / np.sqrt(32)
    assert optics.ledger(device, (1000, 1, 4, 4), (3, 4, 4)).exposures == 1000 + 3 + 3000
