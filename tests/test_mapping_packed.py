"""Many small planes, and many short sequences, on each plane of a device."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from optics import _chunks
from optics.mapping import convolve_packed, convolve_rows, plan_packed, plan_rows
from tests.helpers import relative
from tests.helpers_mapping import Counter, ideal, noisy, truth


@functools.partial(jax.jit, static_argnames=("boundary",))
def packed(x, w, device=None, key=None, boundary="circular"):
    return convolve_packed(x, w, device, key, boundary=boundary)


@functools.partial(jax.jit, static_argnames=("boundary",))
def rows(x, w, device=None, key=None, boundary="circular"):
    return convolve_rows(x, w, device, key, boundary=boundary)


def of_lines(x, w, boundary):
    return np.stack([truth(a[None], w[None], boundary)[0] for a in x])


@pytest.mark.parametrize("boundary", ["full", "same", "valid", "circular", "negacyclic"])
@pytest.mark.every(2)
def test_planes_side_by_side(boundary):
    rng = np.random.default_rng(1)
    # Tokens and examples share planes, each of the two heads has its kernel.
    x, w = rng.normal(size=(3, 1, 5, 4, 3)), rng.normal(size=(2, 1, 4, 2))
    device = ideal((13, 10))
    expected = np.stack([[[truth(a, b, boundary) for a in example[0]] for b in w[:, 0]] for example in x])
    assert relative(packed(x, w, device, None, boundary), expected) <= 1e-6
    assert relative(packed(x, w, boundary=boundary), expected) <= 1e-6


def test_a_kernel_larger_than_the_plane_reaches_no_other():
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(6, 3, 3)), rng.normal(size=(9, 8))
    assert relative(packed(x, w, ideal((15, 16)), None, "same"), [truth(a, w, "same") for a in x]) <= 1e-6


@pytest.mark.parametrize(
    ("boundary", "pixels", "grid"),
    [
        # 11 + 11 − 1 = 21 pixels a cell: 48² tokens in a megapixel.
        ("circular", 1024, 48),
        ("full", 1024, 48),
        # 11 + 5.
        ("same", 1024, 64),
        ("valid", 1024, 93),
        ("circular", 11, 1),
    ],
)
def test_tokens_on_a_device(boundary, pixels, grid):
    plan = plan_packed((8, 1, 5000, 11, 11), (3, 1, 11, 11), (pixels, pixels), boundary)
    assert plan.grid == (grid, grid)
    planes = -(-40000 // grid**2)
    assert (plan.planes, plan.x_planes, plan.products) == (planes, planes, 3 * planes)


@pytest.mark.parametrize("boundary", ["same", "negacyclic"])
def test_sequences_in_rows(boundary):
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(25, 5)), rng.normal(size=3)
    assert relative(rows(x, w, ideal((13, 10)), None, boundary), of_lines(x, w, boundary)) <= 1e-6


def test_a_row_is_a_period():
    rng = np.random.default_rng(4)
    x, w = rng.normal(size=(20, 10)), rng.normal(size=10)
    expected = np.stack([scipy.ndimage.convolve1d(a, w, mode="wrap", origin=-5) for a in x])
    assert relative(rows(x, w, ideal((13, 10))), expected) <= 1e-6
    assert plan_rows(x.shape, w.shape, (13, 10)).planes == 2


def test_counts_are_those_of_a_device():
    for x_shape, w_shape, boundary in (((4, 1, 30, 3, 3), (2, 1, 3, 3), "same"), ((7, 3, 4), (3, 5), "full")):
        device = Counter((12, 17), [])
        jax.eval_shape(
            functools.partial(convolve_packed, device=device, boundary=boundary),
            jnp.zeros(x_shape),
            jnp.zeros(w_shape),
        )
        plan = plan_packed(x_shape, w_shape, (12, 17), boundary)
        assert device.calls == [[plan.x_planes, plan.w_planes, plan.products]]


def test_planes_in_chunks_have_noise_of_their_own(monkeypatch, key):
    x = np.ones((20, 3, 3))
    monkeypatch.setattr(_chunks, "MAX_ELEMENTS", 2 * 36)
    assert plan_packed(x.shape, (1, 1), (6, 6)).w_planes == 3
    fn = jax.jit(lambda key: convolve_packed(x, np.ones((1, 1)), noisy(6), key))
    result = np.asarray(fn(key))
    np.testing.assert_array_equal(result, fn(key))
    assert len(np.unique(result.reshape(20, 9), axis=0)) == 20
    assert 0 < np.std(result) < 0.1 and abs(np.mean(result) - 1) < 0.05


PLANE, ONE = np.ones((3, 3)), np.ones((1, 1))


@pytest.mark.parametrize(
    ("fn", "x", "w", "options", "name"),
    [
        (convolve_packed, np.ones(3), ONE, {}, "x"),
        (convolve_packed, PLANE, np.ones(3), {}, "w"),
        (convolve_packed, np.ones((3, 0)), ONE, {}, "x"),
        (convolve_packed, np.ones((2, 3, 3)), np.ones((3, 1, 1)), {}, "w"),
        (convolve_packed, PLANE, ONE, {"boundary": "wrap"}, "boundary"),
        (convolve_packed, PLANE, np.ones((4, 1)), {"boundary": "valid"}, "w"),
        (convolve_packed, np.ones((9, 3)), ONE, {}, "x"),
        (convolve_packed, PLANE, np.ones((5, 1)), {"boundary": "full"}, "w"),
        (convolve_packed, PLANE, ONE, {"device": "ideal"}, "device"),
        (convolve_packed, PLANE, ONE, {"convolve": 1}, "convolve"),
        (convolve_rows, 1.0, np.ones(1), {}, "x"),
        (convolve_rows, np.ones(7), np.ones(1), {}, "x"),
    ],
)
def test_refusals(fn, x, w, options, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        fn(x, w, **({"device": ideal((6, 6))} | options))


def test_refusals_of_a_plan():
    with pytest.raises(ValueError, match="`x_shape`"):
        plan_rows((), (3,), (6, 6))


def test_a_refusal_says_what_would_work():
    message = (
        "`x` and `w` do not fit on the device: planes of (9, 3) with a kernel of (1, 1) take (9, 3) pixels "
        'each for boundary "circular", the device has (6, 6); use `convolve_tiled`.'
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        convolve_packed(np.ones((9, 3)), ONE, ideal((6, 6)))
