"""The optical gradient: against exact derivatives on an exact device, by its statistics on a noisy one."""

import functools
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics.gradients import gradient_rule, optical_gradient
from tests.helpers import relative, with_slow
from tests.helpers_mapping import quick_jit
from tests.parts import load

rule = optical_gradient(optics.convolve)
# Converters of 16 bits: coarser ones add errors that are the same in every draw.
engine = functools.partial(load, "engine11", pixels=5, dac_bits=16, adc_bits=16)


def draw(key, shape, complex_=False):
    value = jax.random.normal(key, (2, *shape))
    return jax.lax.complex(*value) if complex_ else value[0]


def pulled_back(f):
    """f(arrays, slope) -> (value, derivatives by the rule of f)."""

    def both(arrays, slope):
        value, back = jax.vjp(f, *arrays)
        return value, back(slope)

    return quick_jit(both)


@pytest.mark.parametrize("kinds", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.every(2)
def test_exact_on_an_ideal_device(key, kinds):
    device = load("ideal", pixels=(4, 5))
    of_x, of_w, of_slope = jax.random.split(key, 3)
    arrays = draw(of_x, (4, 1, 4, 5), kinds[0]), draw(of_w, (3, 4, 5), kinds[1])
    slope = draw(of_slope, (4, 3, 4, 5), any(kinds))
    value, result = pulled_back(lambda x, w: rule(x, w, device))(arrays, slope)
    exact, expected = pulled_back(optics.convolve)(arrays, slope)
    assert relative(value, exact) <= 1e-4
    for f, w, a in zip(result, expected, arrays, strict=True):
        assert f.dtype == a.dtype and relative(f, w) <= 1e-4


@pytest.mark.parametrize("complex_", [False, True])
def test_exact_on_an_ideal_device_for_a_transform(key, complex_):
    device = load("ideal", pixels=(4, 5))
    a, slope = draw(key, (3, 4, 5), complex_), draw(jax.random.fold_in(key, 1), (3, 4, 5), True)
    (result,) = pulled_back(lambda a: optical_gradient(optics.transform)(a, device))((a,), slope)[1]
    (expected,) = pulled_back(optics.transform)((a,), slope)[1]
    assert result.dtype == a.dtype and relative(result, expected) <= 1e-4


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
        return quick_jit(jax.grad(lambda xw, key: jnp.vdot(target, convolve(*xw, device, key))))

    rules = {"simulator": optics.convolve, "ideal": optics.ideal_gradient(optics.convolve), "optical": rule}
    compiled = {name: gradients(convolve, device) for name, convolve in rules.items()} | {
        "exact": gradients(optics.convolve, None)
    }
    return lambda name, key: compiled[name]((x, w), key)


@pytest.mark.slow
def test_through_noise(key, noisy):
    result = {name: noisy(name, key) for name in ("simulator", "ideal", "optical", "exact")}
    for i in range(2):
        assert relative(result["ideal"][i], result["exact"][i]) <= 1e-5
        for other in ("simulator", "ideal"):
            assert 1e-3 <= relative(result["optical"][i], result[other][i]) <= 0.1
    again, another = noisy("optical", key), noisy("optical", jax.random.fold_in(key, 1))
    for first, same, different in zip(result["optical"], again, another, strict=True):
        np.testing.assert_array_equal(first, same)
        assert relative(different, first) >= 1e-3


@pytest.mark.slow
def test_backward_noise_has_no_bias(key):
    device, x, target = engine(), draw(key, (8, 5, 5)), draw(key, (8, 8, 5, 5))
    w = draw(jax.random.fold_in(key, 1), (8, 1, 5, 5))
    gradients = jax.grad(lambda xw, key: jnp.vdot(target, rule(*xw, device, key)))
    draws = quick_jit(jax.vmap(gradients, (None, 0)))((x, w), jax.random.split(key, 400))
    expected = quick_jit(gradients)((x, w), None)
    draws = np.concatenate([np.reshape(each, (400, -1)) for each in draws], axis=1, dtype=float)
    expected = np.concatenate([np.ravel(each) for each in expected], dtype=float)
    error = (draws.mean(0) - expected) / (draws.std(0, ddof=1) / np.sqrt(400))
    # The mean square of N normal errors with correlations ρ is 1 ± √(2 Σ ρ²) / N. From 400 draws
    # ρ² is estimated 1/400 too large.
    correlated = np.mean(np.corrcoef(draws.T) ** 2) - 1 / 400
    assert abs(np.mean(error**2) - 1) <= 5 * np.sqrt(2 * correlated)
    # An error common to all numbers, such as a gain, shows in their projection on the expected derivative.
    gain = draws @ expected / (expected @ expected)
    assert abs(gain.mean() - 1) <= 5 * gain.std(ddof=1) / np.sqrt(400)


def test_backward_noise_is_not_the_forward_noise(key):
    # Kernels that are their own mirror image, and the planes themselves as slope:
    # forward and backward are the same convolution.
    device, w = engine(), jnp.zeros((256, 5, 5)).at[:, 0, 0].set(1.0)
    x = draw(key, (256, 5, 5))
    both = pulled_back(lambda key, x, w: rule(x, w, device, key))
    forward, (_, backward, _) = both((key, x, w), x)
    expected, (_, expected_backward, _) = both((None, x, w), x)
    np.testing.assert_allclose(expected, expected_backward, atol=1e-4)
    noises = np.stack([np.ravel(forward - expected), np.ravel(backward - expected)])
    assert np.abs(np.corrcoef(noises)[0, 1]) <= 5 / np.sqrt(noises.shape[1])
    assert noises.std() >= 1e-3


def test_the_value_is_the_device_s(key):
    device, x, w = engine(), draw(key, (2, 5, 5)), draw(key, (5, 5))
    values = quick_jit(lambda key: (rule(x, w, device, key), optics.convolve(x, w, device, key)))(key)
    np.testing.assert_array_equal(*values)
    np.testing.assert_array_equal(rule(x, w), optics.convolve(x, w))


def test_small_slopes_and_dark_planes(key):
    device, x, w = engine(), draw(key, (4, 5, 5)), draw(key, (5, 5))
    slope = draw(jax.random.fold_in(key, 1), (4, 5, 5)).at[1].set(0)
    back = pulled_back(lambda x, w: rule(x, w, device, key))
    full, tiny = back((x, w), slope)[1], back((x, w), 2.0**-40 * slope)[1]
    for result, expected in zip(tiny, full, strict=True):
        assert relative(result * 2.0**40, expected) <= 1e-6
    assert not np.any(full[0][1])
    # Nothing at all: the derivative with respect to it is still there.
    nothing = back((jnp.zeros_like(x), w), slope)[1]
    assert np.any(nothing[0]) and not np.any(nothing[1])


def test_under_transformations(key):
    device, x, w = engine(), draw(key, (4, 1, 5, 5)), draw(key, (3, 5, 5))

    def loss(x, w):
        return jnp.sum(rule(x, w, device, key) ** 2)

    expected = quick_jit(jax.grad(loss, 1))(x, w)
    assert relative(quick_jit(jax.grad(jax.checkpoint(loss), 1))(x, w), expected) <= 1e-3
    # Another order of sums may tip a converter to its next level.
    mapped = quick_jit(jax.vmap(jax.grad(loss, 1), (0, None)))(jnp.stack([x, 2 * x]), w)
    assert relative(mapped[0], expected) <= 1e-3
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    # The kernels are shared by the shards, so that their derivative is a sum over the mesh.
    total = jax.grad(lambda x, w: jax.lax.psum(loss(x, w), "data"), 1)
    sharded = quick_jit(jax.shard_map(total, mesh=mesh, in_specs=(spec("data"), spec()), out_specs=spec()))
    assert relative(sharded(x, w), expected) <= 1e-3
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(loss, (x, w), (x, w))


def test_device_and_key_have_no_derivative(key):
    x = draw(key, (5, 5))
    slopes = quick_jit(jax.grad(lambda device: jnp.sum(rule(x, x, device, key))))(engine())
    assert jax.tree.leaves(slopes) and not any(np.any(leaf) for leaf in jax.tree.leaves(slopes))


def test_a_compiled_convolution_has_the_rule_too(key):
    device, x = load("ideal", pixels=5), draw(key, (5, 5))
    result = quick_jit(
        jax.grad(lambda x: jnp.sum(optical_gradient(jax.jit(optics.convolve))(x, x, device) ** 2))
    )(x)
    assert relative(result, quick_jit(jax.grad(lambda x: jnp.sum(optics.convolve(x, x) ** 2)))(x)) <= 1e-4


@pytest.mark.usefixtures("x64")
def test_single_precision_on_a_double_precision_device():
    device, x = optics.presets.load("ideal", pixels=3), jnp.ones((3, 3), jnp.float32)
    slope = quick_jit(jax.grad(lambda x: jnp.sum(rule(x, x, device))))(x)
    # Σ (x ⊛ x) = (Σ x)².
    assert slope.dtype == jnp.float32 and relative(slope, np.full((3, 3), 18.0)) <= 1e-5


def test_rules_have_names():
    assert (
        gradient_rule(None)(optics.convolve) is gradient_rule("simulator")(optics.convolve) is optics.convolve
    )
    assert gradient_rule("ideal") is gradient_rule(optics.ideal_gradient) is optics.ideal_gradient
    assert gradient_rule("optical") is optical_gradient


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: optical_gradient(jnp.sin), "f"),
        (lambda: optical_gradient(lambda x, w, device, key: x * w), "f"),
        (lambda: gradient_rule("exact"), "gradient"),
        (lambda: gradient_rule(0.5), "gradient"),
    ],
)
def test_refusals(call, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        call()


def test_a_refusal_says_what_would_work():
    message = (
        "`gradient` must be one of simulator, ideal, optical, or a wrapper such as `optics.ideal_gradient`; "
        "got 'exact'."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        gradient_rule("exact")


@pytest.mark.parametrize("rule", [lambda f: f, optics.ideal_gradient, optics.optical_gradient])
def test_a_transform_detected_in_one_quadrature(rule, key):
    device = optics.presets.load("ideal", pixels=(3, 5))
    a = jax.random.normal(key, (2, 3, 5)) + 1j * jax.random.normal(jax.random.key(1), (2, 3, 5))
    f = rule(optics.transform)
    result = f(a, device, key, real=True)
    assert result.dtype == jnp.float32
    assert relative(result, np.fft.fft2(np.asarray(a, complex), norm="ortho").real) < 1e-5
    slope = jax.grad(lambda a: jnp.sum(f(a, device, key, real=True) ** 3))(a)
    exact = jax.grad(lambda a: jnp.sum(jnp.fft.fft2(a, norm="ortho").real ** 3))(a)
    assert relative(slope, exact) < 1e-5
    # One quadrature, half the frames.
    assert optics.accounting.count(lambda d, k: f(a, d, k, real=True), device).adc == 2 * 15
    assert optics.accounting.count(lambda d, k: f(a, d, k), device).adc == 2 * 2 * 15


PIXELS = {"pixels": 4}
SIZES = {
    "engine11": PIXELS,
    "slm-4f": PIXELS,
    "slm-fast": PIXELS,
    "dmd-4f": PIXELS,
    "jtc": {"waveguides": 21},
}


@pytest.mark.usefixtures("x64")
# Behind a compiled transfer the modulator of each is the same.
@pytest.mark.parametrize(
    "case",
    with_slow(
        [(name, level) for name in SIZES for level in ("ideal", "compiled")],
        [(name, "compiled") for name in SIZES] + [("slm-fast", "ideal")],
    ),
    ids="-".join,
)
@pytest.mark.every(2)
def test_presets_against_finite_differences(case):
    """The gradient holds what the scale of the numbers contributes: the brightest pixel sets it.

    A joint transform is quadratic: what its lens lets through of x with itself does not scale as the result
    does.
    """
    name, level = case
    device = optics.presets.load(name, level=level, **SIZES[name])
    rounding = (optics.effects.Quantize, optics.effects.PhaseQuantize)
    # Steps of converters have no finite differences.
    device = device.with_stages(
        **{
            stage.name: [effect for effect in stage.effects if not isinstance(effect, rounding)]
            for stage in device.stages()
        }
    )
    if name == "dmd-4f":
        device = eqx.tree_at(lambda d: d.encoder, device, optics.encode.Amplitude(4))
    x, w, direction = jax.random.normal(jax.random.key(0), (3, *device.shape))

    def loss(x):
        return jnp.sum(jnp.sin(device.convolve(x, w)))

    value_and_slope = jax.jit(jax.value_and_grad(loss))
    slope = value_and_slope(x)[1]
    brightest = jnp.zeros_like(x).at[jnp.unravel_index(jnp.argmax(jnp.abs(x)), x.shape)].set(1.0)
    for step in (direction, brightest):
        more, less = (value_and_slope(x + sign * 1e-6 * step)[0] for sign in (1, -1))
        leak = 1e-3 if (name, level) == ("jtc", "compiled") else 1e-6
        bound = leak * float(jnp.linalg.norm(slope) * jnp.linalg.norm(step))
        assert jnp.vdot(slope, step) == pytest.approx(float(more - less) / 2e-6, rel=1e-5, abs=bound)
