"""Long sequences on planes: folded, by coprime sides, and with a sign at the wrap."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from numpy.polynomial import polynomial

import optics
from optics.mapping import (
    convolve_1d,
    convolve_coprime,
    convolve_negacyclic,
    convolve_tiled,
    plan_1d,
    plan_coprime,
)
from tests.helpers import relative
from tests.helpers_mapping import Counter, ideal, truth


@functools.partial(jax.jit, static_argnames=("boundary", "plan"))
def line(x, w, device=None, key=None, boundary="full", plan=None):
    return convolve_1d(x, w, device, key, boundary=boundary, plan=plan)


@pytest.mark.parametrize(
    ("length", "taps", "boundary", "shape", "layout"),
    [
        (200, 5, "full", (11, 11), "fold"),
        (200, 40, "same", (11, 11), "fold"),
        (50, 80, "negacyclic", (11, 11), "fold"),
        (97, 33, "valid", (5, 6), "coprime"),
        (50, 80, "circular", (5, 6), "coprime"),
        (7, 3, "full", (1, 6), "fold"),
    ],
)
@pytest.mark.every(2)
def test_sequences_of_any_length(length, taps, boundary, shape, layout):
    rng = np.random.default_rng(1)
    # Three sequences share planes for each of two kernels.
    x, w = rng.normal(size=(2, 3, length)), rng.normal(size=(2, 1, taps))
    plan = plan_1d(x.shape, w.shape, shape, boundary, layout)
    expected = np.stack(
        [[truth(a[None], k[None], boundary)[0] for a in group] for group, k in zip(x, w[:, 0], strict=True)]
    )
    assert relative(line(x, w, ideal(shape), None, boundary, plan), expected) <= 1e-6
    assert relative(line(x, w, boundary=boundary), expected) <= 1e-6


def test_against_scipy_and_the_gradient():
    rng = np.random.default_rng(2)
    x, w, target = rng.normal(size=1000), rng.normal(size=30), rng.normal(size=971)

    def loss(w):
        y = convolve_1d(x, w, ideal((11, 11)), boundary="valid")
        return jnp.vdot(target, y), y

    (_, result), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(w)
    assert relative(result, scipy.signal.oaconvolve(x, w, mode="valid")) <= 1e-6
    assert relative(slope, np.correlate(x, target, mode="valid")[::-1]) <= 1e-5


def test_counts_are_those_of_a_device():
    for x_shape, w_shape, shape in (
        ((4, 1, 90), (2, 40), (11, 11)),
        ((300,), (7,), (11, 11)),
        ((300,), (7,), (11, 12)),
    ):
        device = Counter(shape, [])
        jax.eval_shape(functools.partial(convolve_1d, device=device), jnp.zeros(x_shape), jnp.zeros(w_shape))
        plan = plan_1d(x_shape, w_shape, shape)
        assert device.calls == [[plan.x_planes, plan.w_planes, plan.products]]
    # 5 samples in each of 60 rows, 11 rows a plane; and ⌈300 / 126⌉ tiles of the line of 132 pixels.
    assert (plan_1d((300,), (7,), (11, 11)).products, plan.layout, plan.products) == (6, "coprime", 3)


def test_a_period_on_coprime_sides():
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(2, 3, 132)), rng.normal(size=132)
    expected = np.fft.ifft(np.fft.fft(x) * np.fft.fft(w)).real
    device = optics.presets.load("ideal", pixels=(11, 12))
    assert relative(jax.jit(convolve_coprime)(x, w, device), expected) <= 1e-6
    assert relative(jax.jit(convolve_coprime)(x, w), expected) <= 1e-6
    assert plan_coprime(x.shape, w.shape, (11, 12)).transforms == 13
    # A kernel of a period and a half wraps onto one.
    kernel = rng.normal(size=198)
    expected = np.fft.ifft(np.fft.fft(x) * np.fft.fft(kernel[:132] + np.pad(kernel[132:], (0, 66)))).real
    assert relative(jax.jit(convolve_coprime)(x, kernel, device), expected) <= 1e-6


def modulo(a, b, n):
    """The product of two polynomials of whole coefficients modulo Xⁿ + 1."""
    remainder = polynomial.polydiv(polynomial.polymul(a, b), [1] + [0] * (n - 1) + [1])[1]
    return np.pad(remainder, (0, n - len(remainder)))


def test_products_of_polynomials():
    rng = np.random.default_rng(2)
    # A line of coprime sides, and planes of one and of many rows; and a degree far above the device's.
    x, w = rng.integers(-50, 50, size=(2, 12))
    expected = modulo(x, w, 12)
    on_line = functools.partial(convolve_negacyclic, axes=(-1,), convolve=convolve_coprime)
    np.testing.assert_allclose(jax.jit(on_line)(x, w, ideal((3, 4))), expected, atol=0.05)
    np.testing.assert_allclose(
        jax.jit(convolve_negacyclic)(x[None], w[None], ideal((1, 12)))[0], expected, atol=0.05
    )
    x, w = rng.integers(-3, 4, size=(2, 512))
    np.testing.assert_array_equal(
        np.round(line(x, w, ideal((11, 11)), None, "negacyclic")), modulo(x, w, 512)
    )


def test_a_sign_on_one_axis_or_both():
    rng = np.random.default_rng(3)
    x, w = rng.integers(-9, 9, size=(2, 5, 4))
    full = scipy.signal.convolve2d(x, w)
    for axes in ((-2, -1), (-2,), (-1,)):
        expected = np.zeros((5, 4))
        for i, j in np.ndindex(full.shape):
            expected[i % 5, j % 4] += (-1) ** ((i // 5) * (-2 in axes) + (j // 4) * (-1 in axes)) * full[i, j]
        result = jax.jit(functools.partial(convolve_negacyclic, axes=axes))(x, w, ideal((5, 4)))
        assert result.dtype == jnp.float32 and relative(result, expected) <= 1e-6
    # Both axes, as a larger plane in tiles has it.
    assert relative(convolve_tiled(x, w, boundary="negacyclic"), truth(x, w, "negacyclic")) <= 1e-6


def test_complex_numbers_in_double_precision(x64):
    rng = np.random.default_rng(4)
    x, w = rng.normal(size=(2, 3, 4)) + 1j * rng.normal(size=(2, 3, 4))
    result = jax.jit(convolve_negacyclic)(x, w, optics.FourierProcessor(optics.dft((3, 4))))
    assert result.dtype == jnp.complex128 and relative(result, truth(x, w, "negacyclic")) <= 1e-12


ROW, PLANE = np.ones(12), np.ones((3, 4))


@pytest.mark.parametrize(
    ("fn", "x", "w", "options", "name"),
    [
        (convolve_1d, 1.0, ROW, {}, "x"),
        (convolve_1d, ROW, ROW[:0], {}, "w"),
        (convolve_1d, np.ones((2, 9)), np.ones((3, 9)), {}, "w"),
        (convolve_1d, ROW, ROW, {"boundary": "wrap"}, "boundary"),
        (convolve_1d, ROW, np.ones(13), {"boundary": "valid"}, "w"),
        (convolve_1d, ROW, ROW, {"device": "ideal"}, "device"),
        (convolve_1d, ROW, ROW, {"convolve": "fft"}, "convolve"),
        (convolve_1d, ROW, ROW, {"plan": plan_1d((12,), (12,), (3, 5))}, "plan"),
        (convolve_1d, ROW, ROW, {"plan": 1}, "plan"),
        (convolve_coprime, 1.0, ROW, {}, "x"),
        (convolve_coprime, ROW, ROW, {"device": ideal((6, 4))}, "device"),
        (convolve_coprime, ROW[:11], ROW, {}, "x"),
        (convolve_coprime, ROW, ROW, {"device": "ideal"}, "device"),
        (convolve_coprime, ROW, ROW, {"convolve": 2}, "convolve"),
        (convolve_coprime, np.ones((2, 12)), np.ones((3, 12)), {}, "w"),
        (convolve_negacyclic, PLANE, PLANE, {"axes": (0, 1)}, "axes"),
        (convolve_negacyclic, PLANE, PLANE, {"axes": "-1"}, "axes"),
        (convolve_negacyclic, PLANE, PLANE, {"axes": -1}, "axes"),
        (convolve_negacyclic, PLANE, PLANE[:2], {}, "w"),
        (convolve_negacyclic, ROW, ROW, {}, "x"),
        (convolve_negacyclic, PLANE.T, PLANE.T, {}, "x"),
        (convolve_negacyclic, PLANE, PLANE, {"convolve": 2}, "convolve"),
    ],
)
def test_refusals(fn, x, w, options, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        fn(x, w, **({"device": ideal((3, 4))} | options))


def test_refusals_of_a_plan():
    with pytest.raises(ValueError, match="`layout`"):
        plan_1d((9,), (3,), (11, 11), layout="coprime")
    with pytest.raises(ValueError, match="`x_shape`"):
        plan_1d((), (3,), (11, 11))


def test_a_refusal_says_what_would_work():
    message = (
        "`device` must have coprime sides, got 6×4, which share the divisor 2; "
        "load one of another shape, or use `convolve_1d`."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        convolve_coprime(ROW, ROW, ideal((6, 4)))
