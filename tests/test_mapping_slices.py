"""More bits than a modulator has, in several exposures."""

import functools
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

import optics
from optics import effects
from optics.device import AbstractDevice
from optics.mapping import bit_slices, convolve_sliced, convolve_tiled, plan_sliced
from tests.helpers import relative


def engine(dac, adc=None, shape=8):
    camera = () if adc is None else (effects.Quantize(adc, signed=True),)
    return optics.FourierProcessor(
        optics.dft(shape), slm=(effects.Quantize(dac, signed=True),), camera=camera
    )


class Kernel(AbstractDevice):
    """A device without transforms: quantised inputs and their exact convolution, around the middle."""

    bits: int = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)

    def convolve(self, x, w, key):
        quantize = effects.Quantize(self.bits, signed=True)
        x, w = (quantize(a / (s := jnp.max(jnp.abs(a), (-2, -1), keepdims=True)), None) * s for a in (x, w))
        return optics.convolve(x, jnp.roll(w, [-(n // 2) for n in self.shape], (-2, -1)))

    def stages(self):
        return ()


@functools.partial(jax.jit, static_argnames=("bits", "slices"))
def sliced(x, w, device, key=None, bits=6, slices=2):
    return convolve_sliced(x, w, device, key, bits=bits, slices=slices)


@pytest.mark.parametrize(("kind", "bits"), [(float, 2), (float, 6), (complex, 6)])
def test_slices_are_levels_and_add_up(kind, bits):
    rng = np.random.default_rng(1)
    a = rng.normal(size=(5, 7, 7)) * 10.0 ** np.arange(-10, 15, 5)[:, None, None]
    a = a + 1j * np.roll(a, 1, -1) if kind is complex else a
    a = a.astype(np.complex64 if kind is complex else np.float32)
    result, weights = jax.jit(lambda a: bit_slices(a, bits, 3))(a)
    largest = 2 ** (bits - 1) - 1
    # An encoder makes the brightest pixel full scale, and all pixels are then levels of the converter.
    brightest = np.max(np.abs(result), (-2, -1))
    np.testing.assert_allclose(brightest, largest, rtol=1e-6)
    levels = effects.Quantize(bits, signed=True)(result / brightest[..., None, None], None)
    np.testing.assert_allclose(levels * largest, result, atol=1e-4)
    left = np.abs(a - np.cumsum(np.asarray(weights * result), 0)).max((-2, -1)) / np.abs(a).max((-2, -1))
    # A step is 1/M, a residue at most half of one; of a complex number cut short, up to √2 steps.
    most = (np.sqrt(2) if kind is complex else 0.5) / largest
    for slices in (1, 2, 3):
        assert np.all(left[slices - 1] <= most**slices + 1e-6)


def test_precision_rises_with_slices():
    x, w = np.random.default_rng(2).normal(size=(2, 30, 8, 8))
    expected, device = np.fft.ifft2(np.fft.fft2(x) * np.fft.fft2(w)).real, engine(6, 16)
    plain = relative(jax.jit(optics.convolve)(x, w, device), expected)
    one, two, three = (relative(sliced(x, w, device, slices=slices), expected) for slices in (1, 2, 3))
    # A converter of 6 bits costs some per cent. Another slice adds 5 bits and more. Then the camera's 16 bits
    # are the limit.
    assert plain > 0.02 and 0.5 < one / plain < 1.5 and two < one / 2**5 and three < two / 3
    assert three < 4e-4


def test_a_device_without_transforms():
    x, w = np.random.default_rng(3).normal(size=(2, 4, 6, 6))
    device, expected = Kernel(5, (6, 6)), optics.convolve(x, w[:, None])
    errors = [
        relative(sliced(x, w[:, None], device, bits=5, slices=slices), expected) for slices in (1, 2, 4)
    ]
    assert errors[0] > 0.02 and errors[1] < errors[0] / 2**4 and errors[2] < 1e-5


def test_noise_and_dark_planes(key):
    device = optics.FourierProcessor(optics.dft(8), camera=(effects.Read(1e-3),))
    x, w = np.random.default_rng(4).normal(size=(2, 2, 8, 8))
    x[1] = 0
    result, again, other = (np.asarray(sliced(x, w, device, k)) for k in (key, key, jax.random.key(1)))
    np.testing.assert_array_equal(result, again)
    assert np.any(result[0] != other[0]) and not np.any(result[1])
    assert relative(result[0], np.fft.ifft2(np.fft.fft2(x[0]) * np.fft.fft2(w[0])).real) < 0.1


def test_gradients_are_straight_through():
    x, w, target = np.random.default_rng(5).normal(size=(3, 8, 8))

    def slope(f):
        return jax.jit(jax.grad(lambda x, w: jnp.vdot(target, f(x, w)), (0, 1)))(x, w)

    result = slope(lambda x, w: convolve_sliced(x, w, engine(8), bits=8, slices=3))
    for f, expected in zip(result, slope(optics.convolve), strict=True):
        assert relative(f, expected) <= 1e-3


def test_in_tiles():
    x, w = np.random.default_rng(6).normal(size=(20, 20)), np.random.default_rng(7).normal(size=(5, 3))
    fine = functools.partial(convolve_sliced, bits=6, slices=2)
    result = jax.jit(lambda x, w: convolve_tiled(x, w, engine(6), convolve=fine))(x, w)
    assert relative(result, scipy.signal.convolve2d(x, w)) < 2e-3


def test_counts():
    plan = plan_sliced((7, 1, 8, 8), (3, 8, 8), (8, 8), slices=3)
    assert (plan.x_planes, plan.w_planes, plan.products, plan.transforms) == (21, 9, 63, 93)
    assert plan_sliced((7, 1, 8, 8), (3, 8, 8), (8, 8), slices=3, transforms=False).products == 189


A = np.ones((8, 8))


@pytest.mark.parametrize(
    ("fn", "name"),
    [
        (lambda: bit_slices(A[0], 4, 2), "a"),
        (lambda: bit_slices(A, 1, 2), "bits"),
        (lambda: bit_slices(A, 4, 0), "slices"),
        (lambda: convolve_sliced(A[0], A, bits=4), "x"),
        (lambda: convolve_sliced(A, A, bits=17), "bits"),
        (lambda: convolve_sliced(A, A, bits=4, slices=0), "slices"),
        (lambda: convolve_sliced(A, A, "ideal", bits=4), "device"),
        (lambda: convolve_sliced(A, A, bits=4, convolve=3), "convolve"),
        (lambda: convolve_sliced(A, A, engine(4, shape=5), bits=4), "x"),
        (lambda: convolve_sliced(A, A[:5], engine(4), bits=4), "w"),
        (lambda: plan_sliced((8, 8), (8, 8), (8, 8), slices=0), "slices"),
        (lambda: plan_sliced((8,), (8, 8), (8, 8)), "x_shape"),
    ],
)
def test_refusals(fn, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        fn()


def test_a_refusal_says_what_would_work():
    message = "`bits` must be a whole number of at least 2 and at most 16, got 1."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        bit_slices(A, 1, 2)
