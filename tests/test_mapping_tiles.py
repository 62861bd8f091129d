"""Planes and kernels of any size, in tiles of the size of a device."""

import functools

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings

import optics
from optics import _chunks as turns
from optics import effects
from optics.mapping import Plan, convolve_tiled, plan_tiles
from optics.mapping import _boundary as boundary
from tests.helpers import relative


@functools.cache
def ideal(shape):
    with jax.ensure_compile_time_eval():
        return optics.FourierProcessor(optics.dft(shape))


@functools.cache
def noisy():
    with jax.ensure_compile_time_eval():
        return optics.FourierProcessor(optics.dft(5), camera=(effects.Read(1e-3),))


@functools.partial(jax.jit, static_argnames=("boundary", "plan"))
def tiled(x, w, device=None, key=None, boundary="full", plan=None):
    return convolve_tiled(x, w, device, key, boundary=boundary, plan=plan)


def truth(x, w, boundary):
    """By scipy, and by wrapping its full convolution sample by sample."""
    if boundary in ("full", "same", "valid"):
        return scipy.signal.convolve2d(x, w, mode=boundary)
    full, wrapped = scipy.signal.convolve2d(x, w), np.zeros(x.shape, np.result_type(x, w))
    for i, j in np.ndindex(full.shape):
        sign = (-1) ** (i // x.shape[0] + j // x.shape[1]) if boundary == "negacyclic" else 1
        wrapped[i % x.shape[0], j % x.shape[1]] += sign * full[i, j]
    return wrapped


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
def test_equals_scipy(space, kernel, boundary, method, pixels):
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=space), rng.normal(size=kernel)
    device = ideal(pixels)
    plan = plan_tiles(space, kernel, device.shape, boundary, method=method)
    wanted = truth(x, w, boundary)
    assert relative(tiled(x, w, device, None, boundary, plan), wanted) <= 1e-6
    assert relative(tiled(x, w, boundary=boundary), wanted) <= 1e-6


@pytest.mark.parametrize("boundary", ["same", "circular"])
def test_a_large_image_on_a_small_device(boundary):
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(256, 256)), rng.normal(size=(11, 11))
    wanted = scipy.signal.fftconvolve(x, w, mode="same")
    if boundary == "circular":
        wanted = np.fft.ifft2(np.fft.fft2(x) * np.fft.fft2(w, s=x.shape)).real
    assert relative(tiled(x, w, optics.presets.load("ideal", pixels=11), None, boundary), wanted) <= 1e-6


def test_channels_against_jax():
    rng = np.random.default_rng(3)
    x, w = (
        rng.normal(size=(2, 3, 13, 9)).astype(np.float32),
        rng.normal(size=(4, 1, 3, 4, 3)).astype(np.float32),
    )
    found = np.moveaxis(np.sum(tiled(x, w, ideal(6), None, "valid"), axis=2), 0, 1)
    assert relative(found, jax.lax.conv(x, w[:, 0, :, ::-1, ::-1], (1, 1), "VALID")) <= 1e-6


def test_complex_numbers_in_double_precision(x64):
    rng = np.random.default_rng(3)
    x, w = (rng.normal(size=shape) + 1j * rng.normal(size=shape) for shape in ((9, 12), (4, 7)))
    found = tiled(x, w, optics.FourierProcessor(optics.dft(5)), None, "full")
    assert found.dtype == jnp.complex128 and relative(found, scipy.signal.convolve2d(x, w)) <= 1e-12


class Counter(eqx.Module):
    """A device that only counts: planes of x and w, and products, of each call that is traced."""

    shape: tuple[int, int] = eqx.field(static=True)
    calls: list = eqx.field(static=True)

    def convolve(self, x, w, key):
        y = x * w
        self.calls.append([int(np.prod(a.shape[:-2])) for a in (x, w, y)])
        return y


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
    # One output a tile, of which there are 246².
    assert (whole.method, whole.x_planes, whole.products) == ("save", 246**2, 246**2)
    assert best.transforms == 8824 and whole.transforms / best.transforms > 13


@given(
    sizes=st.tuples(*[st.integers(1, 30)] * 4, st.integers(1, 12), st.integers(1, 12)),
    boundary=st.sampled_from(boundary.BOUNDARIES),
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


def test_turns_change_nothing_but_memory(monkeypatch):
    rng = np.random.default_rng(4)
    x, w = rng.normal(size=(9, 14)), rng.normal(size=(3, 4, 5))
    monkeypatch.setattr(turns, "MAX_ELEMENTS", 500)
    plan, device = plan_tiles(x.shape, w.shape, (5, 5), "full"), Counter((5, 5), [])
    jax.eval_shape(functools.partial(convolve_tiled, device=device), x, w)
    planes, kernels, products = device.calls[0]
    assert products * 25 <= 500 and planes < plan.x_planes and kernels < plan.w_planes
    wanted = np.stack([scipy.signal.convolve2d(x, k) for k in w])
    y, slope = jax.jit(lambda x: loss(x, w, ideal(5), wanted, "full"))(x)
    assert relative(y, wanted) <= 1e-6
    # The transpose of a convolution is a correlation.
    assert (
        relative(
            slope, sum(scipy.signal.correlate2d(y, k, mode="valid") for y, k in zip(wanted, w, strict=True))
        )
        <= 1e-5
    )


def loss(x, w, device, target, boundary, key=None, convolve=optics.convolve, of=0):
    """The convolution, and the derivative of its product with `target`."""

    def product(x, w):
        y = convolve_tiled(x, w, device, key, boundary=boundary, convolve=convolve)
        return jnp.vdot(target, y), y

    (_, y), slope = jax.value_and_grad(product, of, has_aux=True)(x, w)
    return y, slope


@pytest.mark.parametrize("largest", [2**22, 200])
def test_noise_of_every_tile(largest, monkeypatch, key):
    monkeypatch.setattr(turns, "MAX_ELEMENTS", largest)
    fn = jax.jit(
        lambda key: convolve_tiled(np.ones((20, 20)), np.ones((1, 1)), noisy(), key, boundary="same")
    )
    found = fn(key)
    np.testing.assert_array_equal(found, fn(key))
    assert not np.array_equal(found, fn(jax.random.key(8)))
    parts = (np.asarray(found) - 1).reshape(4, 5, 4, 5).swapaxes(1, 2).reshape(16, 25)
    alike = np.corrcoef(parts)[np.triu_indices(16, 1)]
    # 120 pairs of 25 samples, 1/5 each when they are independent.
    assert np.abs(alike).max() < 0.9 and np.std(alike) < 0.3 and np.std(found) > 0


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
    y, found = jax.jit(lambda x, w: loss(x, w, device, target, "valid", key, convolve, (0, 1)))(x, w)
    assert (relative(y, scipy.signal.convolve2d(x, w, mode="valid")) <= 1e-6) == (rule == "simulator")
    wanted = (
        scipy.signal.correlate2d(target, w, mode="full"),
        scipy.signal.correlate2d(x, target, mode="valid")[::-1, ::-1],
    )
    assert relative(found[0], wanted[0]) <= 1e-5 and relative(found[1], wanted[1]) <= 1e-5


def test_vmap_is_a_batch():
    x, w = np.random.default_rng(6).normal(size=(2, 3, 7, 7))
    found = jax.jit(jax.vmap(lambda x, w: convolve_tiled(x, w, ideal(5), boundary="same")))(x, w)
    assert (
        relative(found, np.stack([scipy.signal.convolve2d(a, b, "same") for a, b in zip(x, w, strict=True)]))
        <= 1e-6
    )


X, W = np.ones((6, 6)), np.ones((3, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[0]}, "`x` must have at least two axes"),
        ({"w": W[0]}, "`w` must have at least two axes"),
        ({"x": X[:0]}, "`x` must have at least 2 axes, none of them empty"),
        ({"w": W[:, :0]}, "`w` must have at least 2 axes, none of them empty"),
        ({"x": np.ones((2, 6, 6)), "w": np.ones((3, 3, 3))}, "`x` and `w` must broadcast"),
        (
            {"boundary": "wrap"},
            "`boundary` must be one of full, same, valid, circular, negacyclic; got 'wrap'",
        ),
        ({"w": np.ones((7, 2)), "boundary": "valid"}, "`w` must fit in `x`"),
        ({"device": "engine11"}, "`device` must be None or a device"),
        ({"convolve": None}, "`convolve` must be a function"),
        ({"plan": 3}, "`plan` must be that of `plan_tiles"),
        ({"plan": plan_tiles((6, 6), (3, 3), (5, 5), "same")}, "`plan` must be that of `plan_tiles"),
        ({"plan": plan_tiles((6, 6), (3, 3), (6, 5))}, "`plan` must be that of `plan_tiles"),
    ],
)
def test_refusals(change, message):
    arguments = {"x": X, "w": W, "device": ideal(5)} | change
    with pytest.raises(ValueError, match=message):
        convolve_tiled(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block": 0}, "`block` must be a whole number of at least 1 and at most 3"),
        ({"block": (2, 4)}, "`block` must be a whole number of at least 1 and at most 3"),
        ({"block": (1, 2, 3)}, "`block` must be one whole number or a pair"),
        ({"method": "mix"}, "`method` must be 'add' or 'save' or None"),
        ({"method": "save", "boundary": "circular"}, "`method` must be 'add' or None"),
        ({"x_shape": (6,)}, "`x` must have at least 2 axes"),
        ({"w_shape": (6, 7), "boundary": "valid"}, "`w` must fit in `x`"),
    ],
)
def test_refusals_of_a_plan(change, message):
    arguments = {"x_shape": (6, 6), "w_shape": (3, 3), "shape": (5, 5)} | change
    with pytest.raises(ValueError, match=message):
        plan_tiles(**arguments)
