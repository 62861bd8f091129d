"""The complex field against prysm and torchoptics, where they are installed: `pip install -e ".[peers]"`."""

import math

import numpy as np
import pytest

from optics import wave
from tests.helpers import relative

WAVELENGTH = 532e-9


def noise(shape):
    rng = np.random.default_rng(0)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def test_fresnel_against_prysm():
    # prysm: microns for the wavelength, millimetres for the rest. Its angular spectrum is the Fresnel form.
    propagation = pytest.importorskip("prysm.propagation")
    u, dx, z = noise((96, 96)), 12e-6, 0.02
    expected = propagation.angular_spectrum(u.astype(complex), WAVELENGTH * 1e6, dx * 1e3, z * 1e3, Q=1)
    assert relative(wave.fresnel(u, dx, WAVELENGTH, z), expected) <= 1e-6


def test_focus_against_prysm():
    propagation = pytest.importorskip("prysm.propagation")
    n, dx, f, m, dx_out = 64, 20e-6, 0.1, 50, 3e-6
    u = noise((n, n))
    expected = propagation.focus_fixed_sampling(
        u.astype(complex), dx * 1e3, f * 1e3, WAVELENGTH * 1e6, dx_out * 1e6, (m, m)
    )
    result = np.asarray(
        wave.zoom(u * wave.lens((n, n), dx, WAVELENGTH, f), dx, WAVELENGTH, f, dx_out, (m, m))
    )
    # prysm leaves out the curvature at the focal plane, and scales the sum to the grid.
    x = (np.arange(m) - m // 2) * dx_out
    flat = result * np.exp(-1j * np.pi * (x[:, None] ** 2 + x**2) / (WAVELENGTH * f))
    scale = np.vdot(expected, flat) / np.vdot(expected, expected)
    assert np.angle(scale) == pytest.approx(-math.pi / 2, abs=1e-6)
    assert relative(flat, scale * expected) <= 1e-6


def test_zernike_against_prysm():
    polynomials = pytest.importorskip("prysm.polynomials")
    rho, theta = np.meshgrid(np.linspace(0, 1, 20), np.linspace(-3, 3, 15))
    for index in (*range(1, 37), 66, 105):
        n, m = polynomials.noll_to_nm(index)
        np.testing.assert_allclose(
            wave.zernike(index, rho, theta), polynomials.zernike_nm(n, m, rho, theta), atol=2e-5
        )


def torch_field(u, dx):
    pytest.importorskip("torchoptics")
    import torch
    from torchoptics import Field

    return Field(
        torch.tensor(u, dtype=torch.complex128),
        wavelength=WAVELENGTH,
        spacing=torch.tensor([dx, dx], dtype=torch.float64),
    )


@pytest.mark.parametrize("method", ["ASM", "ASM_FRESNEL"])
def test_transfer_functions_against_torchoptics(method):
    u, dx, z = noise((64, 64)), 12e-6, 0.015
    expected = torch_field(u, dx).propagate_to_z(z, propagation_method=method, asm_pad=(0, 0)).data.numpy()
    call = wave.angular_spectrum if method == "ASM" else wave.fresnel
    result = np.asarray(call(u, dx, WAVELENGTH, z)) * np.exp(2j * math.pi * z / WAVELENGTH)
    assert relative(result, expected) <= 1e-6


def test_direct_integration_against_torchoptics():
    u, dx, z = noise((64, 64)), 12e-6, 0.1
    piston = np.exp(2j * math.pi * z / WAVELENGTH)
    field = torch_field(u, dx)
    paraxial = field.propagate_to_z(z, propagation_method="DIM_FRESNEL").data.numpy()
    assert relative(wave.fresnel_impulse_response(u, dx, WAVELENGTH, z) * piston, paraxial) <= 1e-6
    assert relative(wave.zoom(u, dx, WAVELENGTH, z, dx, (64, 64)) * piston, paraxial) <= 1e-6
    # Without the approximation, for light that stays where the grid can carry it.
    beam = np.asarray(wave.gaussian((64, 64), dx, 120e-6))
    exact = torch_field(beam, dx).propagate_to_z(0.05, propagation_method="DIM").data.numpy()
    result = wave.band_limited_angular_spectrum(beam, dx, WAVELENGTH, 0.05) * np.exp(
        2j * math.pi * 0.05 / WAVELENGTH
    )
    assert relative(result, exact) <= 1e-3


def test_2f_against_torchoptics():
    # With an odd number of samples both have a sample on the axis.
    pytest.importorskip("torchoptics")
    import torch
    from torchoptics.elements import Lens

    n, dx = 65, 10e-6
    f = n * dx**2 / WAVELENGTH * 0.99
    u = noise((n, n))
    spacing = torch.tensor([dx, dx], dtype=torch.float64)
    thin = Lens(n, torch.tensor(f, dtype=torch.float64), f, spacing=spacing)
    field = thin(torch_field(u, dx).propagate_to_z(f, propagation_method="ASM", asm_pad=(0, 0)))
    expected = field.propagate_to_z(2 * f, propagation_method="ASM", asm_pad=(0, 0)).data.numpy()
    x = (np.arange(n) - n // 2) * dx
    stop = np.hypot(x[:, None], x) <= n * dx / 2
    at_lens = wave.angular_spectrum(u, dx, WAVELENGTH, f)
    result = wave.angular_spectrum(at_lens * wave.lens((n, n), dx, WAVELENGTH, f) * stop, dx, WAVELENGTH, f)
    assert relative(np.asarray(result) * np.exp(4j * math.pi * f / WAVELENGTH), expected) <= 1e-5
