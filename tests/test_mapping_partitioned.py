"""Lines whose parts and channels are added as spectra, on an engine."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

import optics
from optics.mapping import convolve_1d, convolve_partitioned, plan_1d, plan_partitioned
from tests.helpers import relative, with_slow
from tests.helpers_mapping import Counter, ideal, noisy


def sum_of_lines(x, w, boundary):
    """By scipy, channel by channel."""
    pairs = np.broadcast_shapes(x.shape[:-1], w.shape[:-1])
    x, w = (np.broadcast_to(a, (*pairs, a.shape[-1])).reshape(-1, a.shape[-1]) for a in (x, w))
    lines = np.array([scipy.signal.convolve(a, b, boundary, "direct") for a, b in zip(x, w, strict=True)])
    return lines.reshape(*pairs, -1).sum(-2)


OTHERS = [
    (130, 70, (4, 4)),
    (200, 5, (11, 11)),
    (9, 9, (5, 6)),
    (40, 1, (11, 11)),
    (7, 3, (1, 6)),
    (3, 2, (1, 1)),
]


@pytest.mark.parametrize("boundary", ["full", "same", "valid"])
@pytest.mark.parametrize(
    ("length", "taps", "shape"),
    [(255, 128, (11, 11)), *(pytest.param(*row, marks=pytest.mark.slow) for row in OTHERS)],
)
def test_lines_of_any_length(length, taps, shape, boundary):
    rng = np.random.default_rng(1)
    # Four kernels for each of three inputs, and an axis that both have.
    x, w = rng.normal(size=(2, 3, 1, 2, length)), rng.normal(size=(2, 1, 4, 2, taps))
    convolve = jax.jit(functools.partial(convolve_partitioned, boundary=boundary))
    assert relative(convolve(x, w, ideal(shape)), sum_of_lines(x, w, boundary)) <= 2e-6
    assert relative(convolve(x, w), sum_of_lines(x, w, boundary)) <= 2e-6


def test_complex_numbers_in_double_precision_and_the_gradient(x64):
    rng = np.random.default_rng(2)
    x, w = (rng.normal(size=(2, 1, n)) + 1j * rng.normal(size=(2, 1, n)) for n in (50, 20))
    device = optics.FourierProcessor(optics.dft((5, 6)))
    result = jax.jit(functools.partial(convolve_partitioned, boundary="valid"))(x, w, device)
    assert result.dtype == jnp.complex128 and relative(result, sum_of_lines(x, w, "valid")) <= 1e-12
    x, w, target = x[0].real, w[0].real, rng.normal(size=31)
    loss = jax.jit(jax.grad(lambda w: jnp.vdot(target, convolve_partitioned(x, w, device, boundary="valid"))))
    assert relative(loss(w)[0], np.correlate(x[0], target, "valid")[::-1]) <= 1e-12


def test_counts_are_those_of_a_device():
    planes = []

    def transform(a, device, key, real=False):
        planes.append(int(np.prod(a.shape[:-2])))
        return optics.transform(a, device, key, real=real)

    for x_shape, w_shape in (((4, 1, 2, 90), (3, 2, 40)), ((300, 2, 30), (2, 7)), ((1, 500), (6, 1, 300))):
        planes.clear()
        convolve = functools.partial(convolve_partitioned, device=ideal((11, 11)), transform=transform)
        jax.eval_shape(convolve, jnp.zeros(x_shape), jnp.zeros(w_shape))
        plan = plan_partitioned(x_shape, w_shape, (11, 11))
        assert planes == [plan.x_planes, plan.w_planes, plan.outputs] and plan.transforms == sum(planes)
    # Lambdas of 128 tokens: 16 values of each of 8 texts, 16 keys.
    shapes = ((8 * 16, 1, 1, 255), (16, 1, 128), (11, 11), "valid")
    assert plan_partitioned(*shapes).transforms == 6_592
    assert plan_1d((8 * 16, 1, 255), (16, 128), (11, 11), "valid").transforms == 88_982


@pytest.mark.parametrize("rule", with_slow(["simulator", "ideal", "optical"], ("ideal",)))
@pytest.mark.every(2)
def test_in_parts_and_with_the_noise_of_products(rule, monkeypatch, key):
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(3, 1, 1, 60)), rng.normal(size=(4, 1, 40))
    transform = optics.gradients.gradient_rule(rule)(optics.transform)

    def value_and_slope(device, key):
        def loss(w):
            y = convolve_partitioned(x, w, device, key, boundary="valid", transform=transform)
            return jnp.sum(y**2), y

        (_, y), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(w)
        return y, slope

    exact, exact_slope = value_and_slope(None, None)
    shot, slope = value_and_slope(noisy(), key)
    products = convolve_1d(x[..., 0, :], w[:, 0], noisy(), key, boundary="valid")
    assert 0 < relative(shot, exact) < 1.5 * relative(products, exact) < 0.05
    assert relative(slope, exact_slope) < 0.1
    # Kernels that share an input are computed in parts, and every part draws its own noise.
    monkeypatch.setattr("optics._chunks.MAX_ELEMENTS", 200)
    parts, slope_of_parts = value_and_slope(ideal((5, 5)), None)
    assert relative(parts, exact) <= 1e-5 and relative(slope_of_parts, exact_slope) <= 1e-5
    errors = np.asarray(value_and_slope(noisy(), key)[0] - exact)[:, 0]
    assert all(not np.allclose(errors[0], error) for error in errors[1:])


def test_dark_parts_are_not_exposed(key):
    x = np.zeros((1, 400))
    x[0, :20] = np.random.default_rng(4).normal(size=20)
    y = convolve_partitioned(x, np.ones((1, 3)), noisy(), key)
    assert np.all(y[60:] == 0) and np.all(y[:20] != 0)


LINE = np.ones((2, 12))


@pytest.mark.parametrize(
    ("x", "w", "options", "name"),
    [
        (LINE[0], LINE, {}, "x"),
        (LINE, LINE[0], {}, "w"),
        (LINE, LINE[:1], {}, "w"),
        (LINE, LINE[:, :0], {}, "w"),
        (LINE, LINE, {"boundary": "circular"}, "boundary"),
        (LINE, np.ones((2, 13)), {"boundary": "valid"}, "w"),
        (LINE, LINE, {"device": "ideal"}, "device"),
        (LINE, LINE, {"device": Counter((3, 4), [])}, "device"),
        (LINE, LINE, {"transform": "fft"}, "transform"),
        (LINE, LINE, {"plan": plan_partitioned((2, 12), (2, 12), (3, 5))}, "plan"),
        (LINE, LINE, {"plan": 1}, "plan"),
        (LINE, LINE, {"key": 1.5}, "key"),
    ],
)
def test_refusals(x, w, options, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        convolve_partitioned(x, w, **({"device": ideal((3, 4))} | options))


def test_a_refusal_says_what_would_work():
    message = "`boundary` must be one of full, same, valid; got 'circular'."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        plan_partitioned((1, 9), (1, 3), (11, 11), "circular")
