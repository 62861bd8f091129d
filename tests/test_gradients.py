"""The optical gradient rule: against exact derivatives on an exact device, and by its statistics on a noisy one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics.gradients import gradient_rule, optical_gradient
from tests.helpers import relative
from tests.parts import load
from tests.test_conv_general import jit

rule = optical_gradient(optics.convolve)
# Converters of 16 bits: coarser ones have errors of their own, the same in every draw.
engine = functools.partial(load, "engine11", pixels=5, dac_bits=16, adc_bits=16)


def draw(key, shape, complex_=False):
    value = jax.random.normal(key, (2, *shape))
    return jax.lax.complex(*value) if complex_ else value[0]


def pulled_back(f):
    """f(arrays, slope) -> (value, derivatives by the rule of f)."""

    def both(arrays, slope):
        value, back = jax.vjp(f, *arrays)
        return value, back(slope)

    return jit(both)


@pytest.mark.parametrize("kinds", [(False, False), (True, False), (False, True), (True, True)])
def test_exact_on_an_ideal_device(key, kinds):
    device = load("ideal", pixels=(4, 5))
    of_x, of_w, of_slope = jax.random.split(key, 3)
    arrays = draw(of_x, (4, 1, 4, 5), kinds[0]), draw(of_w, (3, 4, 5), kinds[1])
    slope = draw(of_slope, (4, 3, 4, 5), any(kinds))
    value, found = pulled_back(lambda x, w: rule(x, w, device))(arrays, slope)
    exact, wanted = pulled_back(optics.convolve)(arrays, slope)
    assert relative(value, exact) <= 1e-4
    for f, w, a in zip(found, wanted, arrays, strict=True):
        assert f.dtype == a.dtype and relative(f, w) <= 1e-4


@pytest.mark.parametrize("complex_", [False, True])
def test_exact_on_an_ideal_device_for_a_transform(key, complex_):
    device = load("ideal", pixels=(4, 5))
    a, slope = draw(key, (3, 4, 5), complex_), draw(jax.random.fold_in(key, 1), (3, 4, 5), True)
    (found,) = pulled_back(lambda a: optical_gradient(optics.transform)(a, device))((a,), slope)[1]
    (wanted,) = pulled_back(optics.transform)((a,), slope)[1]
    assert found.dtype == a.dtype and relative(found, wanted) <= 1e-4


@pytest.fixture(scope="module")
def noisy():
    """gradients(name) on the 5×5 engine, of <target, x ⊛ w>, as a function of the key."""
    device, key = engine(), jax.random.key(5)
    x, w, target = (
        draw(key, (4, 1, 5, 5)),
        draw(jax.random.fold_in(key, 1), (3, 5, 5)),
        draw(jax.random.fold_in(key, 2), (4, 3, 5, 5)),
    )

    def gradients(convolve, device):
        return jit(jax.grad(lambda xw, key: jnp.vdot(target, convolve(*xw, device, key))))

    rules = {"simulator": optics.convolve, "ideal": optics.ideal_gradient(optics.convolve), "optical": rule}
    compiled = {name: gradients(convolve, device) for name, convolve in rules.items()} | {
        "exact": gradients(optics.convolve, None)
    }
    return lambda name, key: compiled[name]((x, w), key)


def test_through_noise(key, noisy):
    found = {name: noisy(name, key) for name in ("simulator", "ideal", "optical", "exact")}
    for i in range(2):
        assert relative(found["ideal"][i], found["exact"][i]) <= 1e-5
        for other in ("simulator", "ideal"):
            assert 1e-3 <= relative(found["optical"][i], found[other][i]) <= 0.1
    again, another = noisy("optical", key), noisy("optical", jax.random.fold_in(key, 1))
    for one, same, different in zip(found["optical"], again, another, strict=True):
        np.testing.assert_array_equal(one, same)
        assert relative(different, one) >= 1e-3


def test_the_noise_of_the_way_back_has_no_bias(key):
    device, x, target = engine(), draw(key, (4, 5, 5)), draw(key, (3, 4, 5, 5))
    w = draw(jax.random.fold_in(key, 1), (3, 1, 5, 5))
    gradients = jax.grad(lambda xw, key: jnp.vdot(target, rule(*xw, device, key)))
    draws = jit(jax.vmap(gradients, (None, 0)))((x, w), jax.random.split(key, 400))
    for each, expected in zip(draws, jit(gradients)((x, w), None), strict=True):
        error = (each.mean(0) - expected) / (each.std(0) / np.sqrt(len(each)))
        # Normal errors of the mean have an rms of 1, here of 75 to 100 numbers that share some of their noise.
        assert 0.6 <= np.sqrt(np.mean(error**2)) <= 1.4


def test_the_noise_of_the_way_back_is_not_that_of_the_way_there(key):
    # Kernels that are their own mirror image, and the planes themselves as slope: both ways are the same convolution.
    device, w = engine(), jnp.zeros((256, 5, 5)).at[:, 0, 0].set(1.0)
    x = draw(key, (256, 5, 5))
    both = pulled_back(lambda key, x, w: rule(x, w, device, key))
    there, (_, back, _) = both((key, x, w), x)
    expected, (_, expected_back, _) = both((None, x, w), x)
    np.testing.assert_allclose(expected, expected_back, atol=1e-4)
    noises = np.stack([np.ravel(there - expected), np.ravel(back - expected)])
    assert np.abs(np.corrcoef(noises)[0, 1]) <= 5 / np.sqrt(noises.shape[1])
    assert noises.std() >= 1e-3


def test_the_value_is_the_device_s(key):
    device, x, w = engine(), draw(key, (2, 5, 5)), draw(key, (5, 5))
    values = jit(lambda key: (rule(x, w, device, key), optics.convolve(x, w, device, key)))(key)
    np.testing.assert_array_equal(*values)
    np.testing.assert_array_equal(rule(x, w), optics.convolve(x, w))


def test_small_slopes_and_dark_planes(key):
    device, x, w = engine(), draw(key, (4, 5, 5)), draw(key, (5, 5))
    slope = draw(jax.random.fold_in(key, 1), (4, 5, 5)).at[1].set(0)
    back = pulled_back(lambda x, w: rule(x, w, device, key))
    one, tiny = back((x, w), slope)[1], back((x, w), 2.0**-40 * slope)[1]
    for found, wanted in zip(tiny, one, strict=True):
        assert relative(found * 2.0**40, wanted) <= 1e-6
    assert not np.any(one[0][1])
    # Nothing at all: the derivative with respect to it is still there.
    nothing = back((jnp.zeros_like(x), w), slope)[1]
    assert np.any(nothing[0]) and not np.any(nothing[1])


def test_under_transformations(key):
    device, x, w = engine(), draw(key, (4, 1, 5, 5)), draw(key, (3, 5, 5))

    def loss(x, w):
        return jnp.sum(rule(x, w, device, key) ** 2)

    wanted = jit(jax.grad(loss, 1))(x, w)
    assert relative(jit(jax.grad(jax.checkpoint(loss), 1))(x, w), wanted) <= 1e-3
    # Another order of sums may tip a converter to its next level.
    mapped = jit(jax.vmap(jax.grad(loss, 1), (0, None)))(jnp.stack([x, 2 * x]), w)
    assert relative(mapped[0], wanted) <= 1e-3
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    # The kernels are shared by the shards, so that their derivative is a sum over the mesh.
    total = jax.grad(lambda x, w: jax.lax.psum(loss(x, w), "data"), 1)
    sharded = jit(jax.shard_map(total, mesh=mesh, in_specs=(spec("data"), spec()), out_specs=spec()))
    assert relative(sharded(x, w), wanted) <= 1e-3
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(loss, (x, w), (x, w))


def test_device_and_key_have_no_derivative(key):
    x = draw(key, (5, 5))
    slopes = jit(jax.grad(lambda device: jnp.sum(rule(x, x, device, key))))(engine())
    assert jax.tree.leaves(slopes) and not any(np.any(leaf) for leaf in jax.tree.leaves(slopes))


def test_a_compiled_convolution_has_the_rule_too(key):
    device, x = load("ideal", pixels=5), draw(key, (5, 5))
    found = jit(jax.grad(lambda x: jnp.sum(optical_gradient(jax.jit(optics.convolve))(x, x, device) ** 2)))(x)
    assert relative(found, jit(jax.grad(lambda x: jnp.sum(optics.convolve(x, x) ** 2)))(x)) <= 1e-4


@pytest.mark.usefixtures("x64")
def test_single_precision_on_a_double_precision_device():
    device, x = optics.presets.load("ideal", pixels=3), jnp.ones((3, 3), jnp.float32)
    slope = jit(jax.grad(lambda x: jnp.sum(rule(x, x, device))))(x)
    # Σ (x ⊛ x) = (Σ x)².
    assert slope.dtype == jnp.float32 and relative(slope, np.full((3, 3), 18.0)) <= 1e-5


def test_rules_have_names():
    assert (
        gradient_rule(None)(optics.convolve) is gradient_rule("simulator")(optics.convolve) is optics.convolve
    )
    assert gradient_rule("ideal") is gradient_rule(optics.ideal_gradient) is optics.ideal_gradient
    assert gradient_rule("optical") is optical_gradient


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optical_gradient(jnp.sin), "`f` must be `optics.convolve` or `optics.transform`"),
        (
            lambda: optical_gradient(lambda x, w, device, key: x * w),
            "`f` must be `optics.convolve` or `optics.transform`",
        ),
        (lambda: gradient_rule("exact"), "`gradient` must be one of simulator, ideal, optical"),
        (lambda: gradient_rule(0.5), "`gradient` must be one of simulator, ideal, optical"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("rule", [lambda f: f, optics.ideal_gradient, optics.optical_gradient])
def test_a_transform_detected_in_one_quadrature(rule, key):
    device = optics.presets.load("ideal", pixels=(3, 5))
    a = jax.random.normal(key, (2, 3, 5)) + 1j * jax.random.normal(jax.random.key(1), (2, 3, 5))
    f = rule(optics.transform)
    found = f(a, device, key, real=True)
    assert found.dtype == jnp.float32
    assert relative(found, np.fft.fft2(np.asarray(a, complex), norm="ortho").real) < 1e-5
    slope = jax.grad(lambda a: jnp.sum(f(a, device, key, real=True) ** 3))(a)
    exact = jax.grad(lambda a: jnp.sum(jnp.fft.fft2(a, norm="ortho").real ** 3))(a)
    assert relative(slope, exact) < 1e-5
    # One quadrature, half the frames.
    assert optics.accounting.count(lambda d, k: f(a, d, k, real=True), device).adc == 2 * 15
    assert optics.accounting.count(lambda d, k: f(a, d, k), device).adc == 2 * 2 * 15
