"""Planes and kernels of any size, in tiles of the size of a device."""

import functools
import re

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings

import optics
from optics import _chunks
from optics.mapping import Plan, convolve_tiled, plan_tiles
from tests.helpers import relative
from tests.helpers_mapping import Counter, ideal, noisy, truth

BOUNDARIES = ("full", "same", "valid", "circular", "negacyclic")


@functools.partial(jax.jit, static_argnames=("boundary", "plan"))
def tiled(x, w, device=None, key=None, boundary="full", plan=None):
    return convolve_tiled(x, w, device, key, boundary=boundary, plan=plan)


@pytest.mark.parametrize(
    ("space", "kernel", "boundary", "method", "pixels"),
    [
        ((23, 17), (5, 3), "full", "add", 11),
        ((23, 17), (11, 11), "same", "save", 11),
        ((23, 17), (11, 4), "valid", "save", 11),
        ((20, 31), (14, 25), "valid", "save", (11, 8)),
        ((20, 31), (14, 25), "negacyclic", "add", (11, 8)),
        ((23, 17), (14, 25), "circular", "add", (8, 11)),
        ((7, 11), (3, 11), "circular", "add", (7, 11)),
    ],
)
@pytest.mark.every(2)
def test_equals_scipy(space, kernel, boundary, method, pixels):
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=space), rng.normal(size=kernel)
    device = ideal(pixels)
    plan = plan_tiles(space, kernel, device.shape, boundary, method=method)
    expected = truth(x, w, boundary)
    assert relative(tiled(x, w, device, None, boundary, plan), expected) <= 1e-6
    assert relative(tiled(x, w, boundary=boundary), expected) <= 1e-6


@pytest.mark.parametrize("boundary", ["same", "circular"])
def test_a_large_image_on_a_small_device(boundary):
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(256, 256)), rng.normal(size=(11, 11))
    expected = scipy.signal.fftconvolve(x, w, mode="same")
    if boundary == "circular":
        expected = np.fft.ifft2(np.fft.fft2(x) * np.fft.fft2(w, s=x.shape)).real
    assert relative(tiled(x, w, optics.presets.load("ideal", pixels=11), None, boundary), expected) <= 1e-6


def test_channels_against_jax():
    rng = np.random.default_rng(3)
    x, w = (
        rng.normal(size=(2, 3, 13, 9)).astype(np.float32),
        rng.normal(size=(4, 1, 3, 4, 3)).astype(np.float32),
    )
    result = np.moveaxis(np.sum(tiled(x, w, ideal(6), None, "valid"), axis=2), 0, 1)
    assert relative(result, jax.lax.conv(x, w[:, 0, :, ::-1, ::-1], (1, 1), "VALID")) <= 1e-6


def test_complex_numbers_in_double_precision(x64):
    rng = np.random.default_rng(3)
    x, w = (rng.normal(size=shape) + 1j * rng.normal(size=shape) for shape in ((9, 12), (4, 7)))
    result = tiled(x, w, optics.FourierProcessor(optics.dft(5)), None, "full")
    assert result.dtype == jnp.complex128 and relative(result, scipy.signal.convolve2d(x, w)) <= 1e-12


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "boundary", "counts"),
    [
        # A tile of 9: ⌈256/9⌉² tiles.
        ((256, 256), (3, 3), "same", (841, 1, 841)),
        # Blocks of 6 and tiles of 6: ⌈256/6⌉² tiles and 4 blocks.
        ((256, 256), (11, 11), "full", (1849, 4, 7396)),
        # Overlap-save: ⌈(246 + 6)/6⌉² tiles.
        ((256, 256), (11, 11), "valid", (1764, 4, 7056)),
        ((8, 1, 20, 20), (5, 3, 3), "full", (72, 5, 360)),
        ((11, 11), (11, 11), "circular", (1, 1, 1)),
    ],
)
def test_counts_are_those_of_a_device(x_shape, w_shape, boundary, counts):
    plan = plan_tiles(x_shape, w_shape, (11, 11), boundary)
    assert (plan.x_planes, plan.w_planes, plan.products) == counts
    device = Counter((11, 11), [])
    jax.eval_shape(
        functools.partial(convolve_tiled, device=device, boundary=boundary),
        jnp.zeros(x_shape),
        jnp.zeros(w_shape),
    )
    assert device.calls == [list(counts)]


def test_a_whole_kernel_as_large_as_the_device_is_the_slow_way():
    best, whole = (plan_tiles((256, 256), (11, 11), (11, 11), "valid", block) for block in (None, 11))
    # One output a tile: 246² tiles.
    assert (whole.method, whole.x_planes, whole.products) == ("save", 246**2, 246**2)
    assert best.transforms == 8824 and whole.transforms / best.transforms > 13


@given(
    sizes=st.tuples(*[st.integers(1, 30)] * 4, st.integers(1, 12), st.integers(1, 12)),
    boundary=st.sampled_from(BOUNDARIES),
)
@settings(max_examples=40, deadline=None)
def test_no_other_division_is_better(sizes, boundary):
    x_shape, w_shape, shape = sizes[:2], sizes[2:4], sizes[4:]
    if boundary == "valid" and (w_shape[0] > x_shape[0] or w_shape[1] > x_shape[1]):
        return
    best = plan_tiles(x_shape, w_shape, shape, boundary)
    for n, (step, block) in zip(shape, zip(best.step, best.block, strict=True), strict=True):
        assert step + block - 1 == n or (boundary == "circular" and step == n)
    assert isinstance(best, Plan) and best.transforms == best.x_planes + best.w_planes + best.products
    space = [
        min(k, n) if boundary in ("circular", "negacyclic") else k
        for n, k in zip(x_shape, w_shape, strict=True)
    ]
    for down in range(1, min(space[0], shape[0]) + 1):
        for across in range(1, min(space[1], shape[1]) + 1):
            assert best.transforms <= plan_tiles(x_shape, w_shape, shape, boundary, (down, across)).transforms
    if boundary in ("full", "same", "valid"):
        add, save = (
            plan_tiles(x_shape, w_shape, shape, boundary, method=m).transforms for m in ("add", "save")
        )
        assert save <= add if boundary == "valid" else add <= save


def test_chunks_change_nothing_but_memory(monkeypatch):
    rng = np.random.default_rng(4)
    x, w = rng.normal(size=(9, 14)), rng.normal(size=(3, 4, 5))
    monkeypatch.setattr(_chunks, "MAX_ELEMENTS", 500)
    plan, device = plan_tiles(x.shape, w.shape, (5, 5), "full"), Counter((5, 5), [])
    jax.eval_shape(functools.partial(convolve_tiled, device=device), x, w)
    planes, kernels, products = device.calls[0]
    assert products * 25 <= 500 and planes < plan.x_planes and kernels < plan.w_planes
    expected = np.stack([scipy.signal.convolve2d(x, k) for k in w])
    y, slope = jax.jit(lambda x: loss(x, w, ideal(5), expected, "full"))(x)
    assert relative(y, expected) <= 1e-6
    # The transpose of a convolution is a correlation.
    assert (
        relative(
            slope, sum(scipy.signal.correlate2d(y, k, mode="valid") for y, k in zip(expected, w, strict=True))
        )
        <= 1e-5
    )


def loss(x, w, device, target, boundary, key=None, convolve=optics.convolve, argnums=0):
    """The convolution, and the derivative of its product with `target`."""

    def product(x, w):
        y = convolve_tiled(x, w, device, key, boundary=boundary, convolve=convolve)
        return jnp.vdot(target, y), y

    (_, y), slope = jax.value_and_grad(product, argnums, has_aux=True)(x, w)
    return y, slope


@pytest.mark.parametrize("largest", [2**22, 200])
def test_noise_of_every_tile(largest, monkeypatch, key):
    monkeypatch.setattr(_chunks, "MAX_ELEMENTS", largest)
    fn = jax.jit(
        lambda key: convolve_tiled(np.ones((20, 20)), np.ones((1, 1)), noisy(), key, boundary="same")
    )
    result = fn(key)
    np.testing.assert_array_equal(result, fn(key))
    assert not np.array_equal(result, fn(jax.random.key(8)))
    parts = (np.asarray(result) - 1).reshape(4, 5, 4, 5).swapaxes(1, 2).reshape(16, 25)
    alike = np.corrcoef(parts)[np.triu_indices(16, 1)]
    # 120 pairs of 25 samples, 1/5 each when they are independent.
    assert np.abs(alike).max() < 0.9 and np.std(alike) < 0.3 and np.std(result) > 0


def test_a_dark_tile_is_not_exposed_but_has_a_gradient(key):
    x, w = np.zeros((20, 20)), np.ones((1, 1))
    x[7, 7] = 1e-6
    y, slope = jax.jit(lambda x: loss(x, w, noisy(), np.ones((20, 20)), "same", key))(x)
    assert not np.any(y[:5]) and not np.any(y[10:]) and 0 < np.max(np.abs(y[5:10, 5:10])) < 1e-5
    assert relative(slope, np.ones((20, 20))) <= 0.1


@pytest.mark.parametrize("rule", ["simulator", "ideal"])
def test_gradients(rule, key):
    rng = np.random.default_rng(5)
    x, w, target = rng.normal(size=(9, 12)), rng.normal(size=(6, 4)), rng.normal(size=(4, 9))
    convolve, device = (
        (optics.convolve, ideal(5))
        if rule == "simulator"
        else (optics.ideal_gradient(optics.convolve), noisy())
    )
    y, result = jax.jit(lambda x, w: loss(x, w, device, target, "valid", key, convolve, (0, 1)))(x, w)
    assert (relative(y, scipy.signal.convolve2d(x, w, mode="valid")) <= 1e-6) == (rule == "simulator")
    expected = (
        scipy.signal.correlate2d(target, w, mode="full"),
        scipy.signal.correlate2d(x, target, mode="valid")[::-1, ::-1],
    )
    assert relative(result[0], expected[0]) <= 1e-5 and relative(result[1], expected[1]) <= 1e-5


def test_vmap_is_a_batch():
    x, w = np.random.default_rng(6).normal(size=(2, 3, 7, 7))
    result = jax.jit(jax.vmap(lambda x, w: convolve_tiled(x, w, ideal(5), boundary="same")))(x, w)
    assert (
        relative(result, np.stack([scipy.signal.convolve2d(a, b, "same") for a, b in zip(x, w, strict=True)]))
        <= 1e-6
    )


X, W = np.ones((6, 6)), np.ones((3, 3))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"x": X[0]}, "x"),
        ({"w": W[0]}, "w"),
        ({"x": X[:0]}, "x"),
        ({"w": W[:, :0]}, "w"),
        ({"x": np.ones((2, 6, 6)), "w": np.ones((3, 3, 3))}, "w"),
        ({"boundary": "wrap"}, "boundary"),
        ({"w": np.ones((7, 2)), "boundary": "valid"}, "w"),
        ({"device": "engine11"}, "device"),
        ({"convolve": None}, "convolve"),
        ({"plan": 3}, "plan"),
        ({"plan": plan_tiles((6, 6), (3, 3), (5, 5), "same")}, "plan"),
        ({"plan": plan_tiles((6, 6), (3, 3), (6, 5))}, "plan"),
    ],
)
def test_refusals(change, name):
    arguments = {"x": X, "w": W, "device": ideal(5)} | change
    with pytest.raises(ValueError, match=f"`{name}`"):
        convolve_tiled(**arguments)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"block": 0}, "block"),
        ({"block": (2, 4)}, "block"),
        ({"block": (1, 2, 3)}, "block"),
        ({"method": "mix"}, "method"),
        ({"method": "save", "boundary": "circular"}, "method"),
        ({"x_shape": (6,)}, "x_shape"),
        ({"w_shape": (6, 7), "boundary": "valid"}, "w"),
    ],
)
def test_refusals_of_a_plan(change, name):
    arguments = {"x_shape": (6, 6), "w_shape": (3, 3), "shape": (5, 5)} | change
    with pytest.raises(ValueError, match=f"`{name}`"):
        plan_tiles(**arguments)


def test_a_refusal_says_what_would_work():
    message = "`boundary` must be one of full, same, valid, circular, negacyclic; got 'wrap'."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        convolve_tiled(X, W, ideal(5), boundary="wrap")
