"""The 4f chain that libraries are compared on: amplitudes, two lenses, a phase mask between them, intensity.

    a -> free space f -> lens -> free space f -> exp(iφ) -> free space f -> lens -> free space f -> |u|²

On N samples of spacing dx the focal length is N dx²/λ: there the transfer function and the lens are both
sampled exactly at their critical rate. The loss is the mean square of the difference from a target, its
gradient that by φ.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bench.output import Rows
from bench.simulator.timing import time_ratio
from optics import wave
from optics.metrics import relative_error

WAVELENGTH, DX = 532e-9, 8e-6


class Work(NamedTuple):
    """Amplitudes (batch, n, n), phases of the mask (n, n) in rad and target intensities (batch, n, n)."""

    amplitude: np.ndarray
    phase: np.ndarray
    target: np.ndarray

    @property
    def focal_length(self) -> float:
        return self.phase.shape[0] * DX**2 / WAVELENGTH


def make_work(batch: int, n: int, seed: int) -> Work:
    """Random numbers in single precision, the same for every library."""
    rng = np.random.default_rng(seed)
    draws = rng.uniform(size=(batch, n, n)), rng.normal(size=(n, n)), rng.uniform(size=(batch, n, n))
    return Work(*(draw.astype(np.float32) for draw in draws))


def field(phase: jax.Array, amplitude: jax.Array) -> jax.Array:
    """The field at the end of the chain, by `optics.wave`."""
    n = phase.shape[0]
    f = n * DX**2 / WAVELENGTH
    lens = wave.lens(phase.shape, DX, WAVELENGTH, f)
    u = wave.angular_spectrum(amplitude, DX, WAVELENGTH, f) * lens
    u = wave.angular_spectrum(u, DX, WAVELENGTH, f) * jnp.exp(1j * phase)
    u = wave.angular_spectrum(u, DX, WAVELENGTH, f) * lens
    return wave.angular_spectrum(u, DX, WAVELENGTH, f)


def bare_field(n: int, dtype: type = np.complex64, centre: float = 0.0, stop: bool = False) -> Callable:
    """The chain in bare `jnp.fft`, its factors computed in double precision: (phase, amplitude) -> field.

    Arguments:
        n: samples a side.
        dtype: of the field.
        centre: of the lens, from sample n//2, in samples; libraries differ in it.
        stop: close the lens outside of the circle that touches the sides of the plane.
    """
    f = n * DX**2 / WAVELENGTH
    frequency = np.fft.fftfreq(n, DX)
    cosine = np.sqrt(1 - WAVELENGTH**2 * (frequency[:, None] ** 2 + frequency**2))
    transfer = np.exp(2j * np.pi * f / WAVELENGTH * (cosine - 1)).astype(dtype)
    squared = ((np.arange(n) - n // 2 - centre) * DX) ** 2
    squared = squared[:, None] + squared
    lens = np.exp(-1j * np.pi / (WAVELENGTH * f) * squared) * ((squared <= (n * DX / 2) ** 2) if stop else 1)
    lens = lens.astype(dtype)

    def propagate(u):
        return jnp.fft.ifft2(jnp.fft.fft2(u) * transfer)

    def chain(phase, amplitude):
        u = propagate(propagate(amplitude) * lens) * jnp.exp(1j * phase)
        return propagate(propagate(u) * lens)

    return chain


def make_loss(field: Callable) -> Callable:
    """(phase, amplitude, target) -> mean square difference of the intensity from the target."""

    def loss(phase, amplitude, target):
        u = field(phase, amplitude)
        return jnp.mean((u.real**2 + u.imag**2 - target) ** 2)

    return loss


def reference(work: Work, centre: float = 0.0, stop: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Field and gradient of the chain in double precision, with the conventions of a library."""
    with jax.enable_x64(True):
        chain = bare_field(work.phase.shape[0], np.complex128, centre, stop)
        double = [jnp.asarray(a, jnp.float64) for a in (work.phase, work.amplitude, work.target)]
        return np.asarray(chain(*double[:2])), np.asarray(jax.grad(make_loss(chain))(*double))


def errors(result: tuple, exact: tuple) -> dict[str, float]:
    """Largest error of the field over its largest modulus, and relative error of the gradient in the 2-norm.

    The piston exp(4ikf), which a library may keep, is taken out.

    Arguments:
        result, exact: field and gradient.
    """
    (field, gradient), (exact_field, exact_gradient) = (map(np.asarray, pair) for pair in (result, exact))
    overlap = np.vdot(exact_field, field)
    field = field * np.conj(overlap) / np.abs(overlap)
    return {
        "field_error": float(np.max(np.abs(field - exact_field)) / np.max(np.abs(exact_field))),
        "gradient_error": float(relative_error(gradient, exact_gradient)),
    }


def measure_chains(quick: bool, seed: int) -> Rows:
    """The chain by `optics.wave` against bare `jnp.fft`, forward and with gradient, and its errors."""
    rows = []
    for batch, n in [(2, 64)] if quick else [(16, 128), (16, 256)]:
        work = make_work(batch, n, seed)
        arguments = tuple(jnp.asarray(a) for a in (work.phase, work.amplitude, work.target))
        chains = field, bare_field(n)
        forward = [jax.jit(chain) for chain in chains]
        gradient = [jax.jit(jax.grad(make_loss(chain))) for chain in chains]
        figures = errors((forward[0](*arguments[:2]), gradient[0](*arguments)), reference(work))
        for name, (ours, theirs), inputs in (
            ("4f chain", forward, arguments[:2]),
            ("4f chain and gradient", gradient, arguments),
        ):
            rows.append(
                {
                    "operation": f"{name}, {batch} fields of {n}×{n}",
                    "what": "optics.wave",
                    "against": "bare jnp.fft",
                    **time_ratio(ours, inputs, theirs, inputs, 5 if quick else 21),
                    **figures,
                }
            )
    return rows
