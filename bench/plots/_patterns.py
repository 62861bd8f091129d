"""Planes that the figures of parts are drawn with."""

import jax
import jax.numpy as jnp
import numpy as np


def complex_plane(shape: tuple[int, int]) -> jax.Array:
    """Complex numbers: amplitudes from 0 to 1 down, phases from −π to π across."""
    rows, cols = shape
    amplitude = (np.arange(rows) + 1) / rows
    phase = np.pi * (2 * np.arange(cols) + 1 - cols) / cols
    return jnp.asarray(amplitude[:, None] * np.exp(1j * phase), jnp.result_type(complex))


def grating(shape: tuple[int, int]) -> np.ndarray:
    """Light of amplitude 1: a blazed grating of 4 pixels beside a checkerboard of phases 0 and 3π/2."""
    y, x = np.indices(shape)
    phase = np.where(x < shape[1] // 2, np.pi / 2 * (x % 4), 1.5 * np.pi * ((x + y) % 2))
    return np.exp(1j * phase)


def smooth_image(shape: tuple[int, int]) -> np.ndarray:
    """A smooth image in [0, 1] without symmetry: two spots on a slope."""
    y, x = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape)
    y, x = y[:, None], x[None, :]
    left = np.exp(-8 * ((x + 0.4) ** 2 + (y + 0.3) ** 2))
    right = np.exp(-12 * ((x - 0.5) ** 2 + (y - 0.4) ** 2))
    return np.clip(0.15 + 0.1 * x + 0.75 * (left + 0.6 * right), 0, 1)
