"""What tests of mappings and gradients share: devices, results by SciPy, and a quick compiler."""

import functools

import equinox as eqx
import jax
import numpy as np
import scipy.signal

import optics
from optics import effects
from optics.device import AbstractDevice

QUICK = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}


@functools.cache
def compiler_options():
    """Those that compile small programs in a third of the time; none if the compiler refuses one of them."""
    try:
        jax.jit(lambda: 0, compiler_options=QUICK)()
    except jax.errors.JaxRuntimeError:
        return {}
    return QUICK


def quick_jit(f):
    return jax.jit(f, compiler_options=compiler_options())


@functools.cache
def ideal(shape):
    with jax.ensure_compile_time_eval():
        return optics.FourierProcessor(optics.dft(shape))


@functools.cache
def noisy(pixels=5):
    """A device whose camera has read noise of 1e-3 of full scale."""
    with jax.ensure_compile_time_eval():
        return optics.FourierProcessor(optics.dft(pixels), camera=(effects.Read(1e-3),))


class Counter(AbstractDevice):
    """A device that only counts: planes of x and w, and products, of each call that is traced."""

    shape: tuple[int, int] = eqx.field(static=True)
    calls: list = eqx.field(static=True)

    def convolve(self, x, w, key):
        y = x * w
        self.calls.append([int(np.prod(a.shape[:-2])) for a in (x, w, y)])
        return y

    def stages(self):
        return ()


def truth(x, w, boundary):
    """By scipy, and by wrapping its full convolution sample by sample."""
    if boundary in ("full", "same", "valid"):
        return scipy.signal.convolve2d(x, w, mode=boundary)
    full, wrapped = scipy.signal.convolve2d(x, w), np.zeros(x.shape, np.result_type(x, w))
    for i, j in np.ndindex(full.shape):
        sign = (-1) ** (i // x.shape[0] + j // x.shape[1]) if boundary == "negacyclic" else 1
        wrapped[i % x.shape[0], j % x.shape[1]] += sign * full[i, j]
    return wrapped
