"""Light that does not interfere, on planes whose pairs of pixels would not fit in memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics import effects
from optics.device import _incoherent_correlator, _propagate_powers


def masked(shape, terms, seed):
    """Some terms, of which the first is the brightest."""
    rng = np.random.default_rng(seed)
    parts = rng.standard_normal((4, terms, *shape)) * (0.5 ** np.arange(terms))[:, None, None]
    return optics.MaskedFFT(1 + parts[0] + 1j * parts[1], parts[2] + 1j * parts[3])


@pytest.mark.parametrize("by", ["masks", "points"])
def test_powers_without_a_matrix_against_float64(by, monkeypatch):
    shape, pixels = (6, 7), 42
    monkeypatch.setattr(_propagate_powers, "TRANSFORMS_OF_PAIR", 0.0 if by == "masks" else 1e9)
    # Chunks that do not divide the points.
    monkeypatch.setattr(_propagate_powers, "MAX_ELEMENTS", 5 * pixels * _propagate_powers.MODES)
    first, second = masked(shape, 2, 0), masked(shape, 3, 1)
    lights, passing = jax.random.uniform(jax.random.key(0), (2, *shape)), masked(shape, 1, 2).masks_out[0]
    axes = [
        np.exp(-2j * np.pi * np.outer(k, k) / n) / np.sqrt(n) for n in shape for k in [np.arange(n) - n // 2]
    ]

    def matrix(transfer):
        masks = (np.asarray(m, complex).reshape(-1, pixels) for m in (transfer.masks_in, transfer.masks_out))
        return sum(out[:, None] * np.kron(*axes) * into for into, out in zip(*masks, strict=True))

    field = matrix(second) @ (np.asarray(passing, complex).reshape(-1, 1) * matrix(first))
    expected = np.asarray(lights, float).reshape(2, pixels) @ (np.abs(field) ** 2).T
    powers = _propagate_powers.propagate_powers(first, passing, second, lights)
    np.testing.assert_allclose(powers.reshape(2, pixels), expected, atol=2e-6 * expected.max())


@pytest.mark.slow
@pytest.mark.parametrize("modes", [1, 2])
def test_a_device_without_a_matrix_is_the_device(modes, monkeypatch):
    shape = (5, 6)
    first = masked(shape, 2, 0)
    if modes > 1:
        stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.9 * leaf]), first)
        first = optics.Modal(stacked, [2.0, 1.0], [0.0, 0.3])
    device = optics.IncoherentCorrelator(
        first,
        None if modes > 1 else masked(shape, 1, 1),
        slm=(effects.Quantize(8),),
        filter=(effects.LaserNoise(0.05),),
        camera=(effects.Read(1e-3),),
        output_gain=1.2,
    )
    x, w = jax.random.normal(jax.random.key(0), (2, 3, *shape))
    expected = device.convolve(x, w[0], jax.random.key(1))
    # One plane after another, and at once.
    monkeypatch.setattr(_incoherent_correlator, "LARGEST_MATRIX", 0)
    for largest_batch in (0, 2**16)[:modes]:
        monkeypatch.setattr(_incoherent_correlator, "LARGEST_BATCH", largest_batch)
        jax.clear_caches()
        result = device.convolve(x, w[0], jax.random.key(1))
        assert optics.metrics.relative_error(result, expected) < 1e-5


def test_planes_of_a_panel():
    """Against the exact convolution, with the gradient of it, in the memory of some planes."""
    shape = 64, 48
    device = optics.IncoherentCorrelator(optics.dft(shape))
    x, w = jax.random.normal(jax.random.key(0), (2, *shape))

    @jax.jit
    def slope(x, device):
        result = optics.convolve(x, w, device)
        return jnp.sum(result * jax.lax.stop_gradient(result)), result

    gradient = jax.jit(jax.grad(slope, has_aux=True))
    exact_slope, exact = gradient(x, None)
    got_slope, got = gradient(x, device)
    assert optics.metrics.relative_error(got, exact) < 1e-5
    assert optics.metrics.relative_error(got_slope, exact_slope) < 1e-4
    pixels = shape[0] * shape[1]
    temporary = gradient.lower(x, device).compile().memory_analysis().temp_size_in_bytes
    assert temporary < 100 * 8 * pixels < 8 * pixels**2


def test_modes_of_a_panel_have_its_shape():
    transfers = masked((4, 5), 2, 0), optics.Separable(np.ones((3, 4, 4)), np.ones((3, 5, 5)), 1.0)
    for transfer in transfers:
        modal = optics.Modal(jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), transfer), [1.0, 1.0])
        assert modal.shape == transfer.shape == (4, 5)
        light = jax.random.normal(jax.random.key(0), (4, 5))
        np.testing.assert_allclose(modal(light), transfer(light), rtol=1e-4, atol=1e-6)
