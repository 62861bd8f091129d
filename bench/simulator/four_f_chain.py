"""The 4f chain that libraries are compared on: a batch of amplitudes, two lenses, a phase mask between them, intensity.

    a -> free space f -> lens -> free space f -> exp(iφ) -> free space f -> lens -> free space f -> |u|²

On N samples of spacing dx the focal length is N dx²/λ: there the transfer function and the lens are both sampled exactly
at their critical rate. The loss is the mean square of the difference from a target, its gradient that by φ.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bench import output as results
from bench.simulator.timing import compared
from optics import wave

WAVELENGTH, DX = 532e-9, 8e-6


class Work(NamedTuple):
    """Amplitudes (batch, n, n), phases of the mask (n, n) in rad and target intensities (batch, n, n)."""

    amplitude: np.ndarray
    phase: np.ndarray
    target: np.ndarray

    @property
    def focal_length(self) -> float:
        return self.phase.shape[0] * DX**2 / WAVELENGTH


def work(batch: int, n: int, seed: int) -> Work:
    """The same numbers for every library, single precision."""
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
    """The same chain in bare `jnp.fft`, its factors ready-made in double precision: (phase, amplitude) -> field.

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

    def through(phase, amplitude):
        u = propagate(propagate(amplitude) * lens) * jnp.exp(1j * phase)
        return propagate(propagate(u) * lens)

    return through


def loss_of(field: Callable) -> Callable:
    """(phase, amplitude, target) -> mean square difference of the intensity from the target."""

    def loss(phase, amplitude, target):
        u = field(phase, amplitude)
        return jnp.mean((u.real**2 + u.imag**2 - target) ** 2)

    return loss


def reference(given: Work, centre: float = 0.0, stop: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Field and gradient of the chain in double precision, with the conventions of a library."""
    with jax.enable_x64(True):
        chain = bare_field(given.phase.shape[0], np.complex128, centre, stop)
        double = [jnp.asarray(a, jnp.float64) for a in (given.phase, given.amplitude, given.target)]
        return np.asarray(chain(*double[:2])), np.asarray(jax.grad(loss_of(chain))(*double))


def errors(found: tuple, wanted: tuple) -> dict[str, float]:
    """Largest error of the field over its largest modulus, and relative error of the gradient in the 2-norm.

    The piston exp(4ikf), which a library may keep, is taken out.
    """
    (u, gradient), (exact, slope) = (tuple(np.asarray(a) for a in pair) for pair in (found, wanted))
    turn = np.vdot(exact, u)
    u = u * np.conj(turn) / np.abs(turn)
    return {
        "field_error": float(np.max(np.abs(u - exact)) / np.max(np.abs(exact))),
        "gradient_error": float(np.linalg.norm(gradient - slope) / np.linalg.norm(slope)),
    }


def chains(quick: bool, seed: int) -> results.Rows:
    """The chain by `optics.wave` against bare `jnp.fft`, forward and with gradient, and its errors against double precision."""
    rows = []
    for batch, n in [(2, 64)] if quick else [(16, 128), (16, 256)]:
        given = work(batch, n, seed)
        arguments = tuple(jnp.asarray(a) for a in (given.phase, given.amplitude, given.target))
        bare = bare_field(n)
        calls = [jax.jit(f) for f in (field, bare)], [jax.jit(jax.grad(loss_of(f))) for f in (field, bare)]
        wanted = reference(given)
        accurate = errors((calls[0][0](*arguments[:2]), calls[1][0](*arguments)), wanted)
        for what, (ours, theirs), some in (
            ("4f chain", calls[0], arguments[:2]),
            ("4f chain and gradient", calls[1], arguments),
        ):
            rows.append(
                {
                    "operation": f"{what}, {batch} fields of {n}×{n}",
                    "what": "optics.wave",
                    "against": "bare jnp.fft",
                    **compared(ours, some, theirs, some, 5 if quick else 21),
                    **accurate,
                }
            )
    return rows
