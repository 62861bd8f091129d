"""The compiled optics against full propagation, against the paraxial integral and against the exact transform."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.special

import optics
from optics import FourierLens, compile_transfer
from optics.transfer import pixel_shape
from tests.conftest import relative

ENGINE = dict(pixels=11, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
LENSES = {
    "engine": ENGINE,
    "full fill": ENGINE | dict(fill=1.0, detector_fill=1.0),
    "unlike fills, even pixels": ENGINE | dict(pixels=6, fill=0.4, detector_fill=0.8),
    "mismatched focal length": ENGINE | dict(pixels=5, focal_length=0.045, pupil_radius=1e-3),
    "small pupil": ENGINE | dict(pixels=7, pupil_radius=0.9e-3),
    "plane of odd size": ENGINE | dict(pixels=5, plane=333),
}


@pytest.mark.parametrize("name", LENSES)
def test_compiled_equals_wave(name, key):
    lens = FourierLens(**LENSES[name])
    transfer = compile_transfer(lens)
    light = jax.random.normal(key, (3, *lens.shape)) + 1j * jax.random.normal(jax.random.fold_in(key, 1), (3, *lens.shape))
    assert relative(transfer(light), lens(light)) <= 1e-5
    assert relative(transfer(light.real), lens(light.real)) <= 1e-5
    for map_ in (transfer, lens):
        assert relative(map_(light, in_phase=True), map_(light).real) <= 1e-6
        assert relative(map_(light.real, in_phase=True), map_(light.real).real) <= 1e-6


def test_against_the_paraxial_integral():
    # Without a pupil to speak of, an axis of the map is ∫∫ exp(−2πi x x' / λf) over an emitter and a receiver.
    lens = FourierLens(**ENGINE | dict(pixels=5, oversampling=16, pupil_radius=127e-6 * 5 * 6))
    open_ = 0.5 * 127e-6
    nodes, weights = np.polynomial.legendre.leggauss(40)
    centres = 127e-6 * (np.arange(5) - 2)
    x = centres[:, None] + open_ / 2 * nodes
    kernel = np.exp(-2j * np.pi * x[:, :, None, None] * x[None, None] / float(lens.wavelength * lens.focal_length))
    line = np.einsum("minj,i,j->mn", kernel, weights, weights) * open_ / 4 / np.sqrt(float(lens.wavelength * lens.focal_length))
    assert relative(compile_transfer(lens).matrix, np.kron(line, line)) <= 5e-3


def test_passive_and_reciprocal():
    transfer = compile_transfer(FourierLens(**ENGINE))
    assert np.linalg.norm(transfer.matrix, 2) <= 1
    np.testing.assert_allclose(transfer.matrix, transfer.matrix.T, atol=1e-7)
    assert np.isclose(float(FourierLens(**ENGINE).peak), float(transfer.peak), rtol=1e-2)


def test_dft_is_the_unitary_transform(key):
    for shape in ((11, 11), (8, 16), (1, 128), (5, 4)):
        a = np.asarray(jax.random.normal(key, shape), np.float64)
        wanted = scipy.fft.fftshift(scipy.fft.fft2(scipy.fft.ifftshift(a), norm="ortho"))
        assert relative(optics.dft(shape)(jnp.asarray(a)), wanted) <= 1e-6


@pytest.mark.usefixtures("x64")
def test_compilation_has_gradients():
    lens = FourierLens(4, pitch=100e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.7, pupil_radius=0.7e-3, oversampling=4)
    light = jax.random.normal(jax.random.key(0), (4, 4))

    def power(lens):
        return jnp.sum(jnp.abs(compile_transfer(lens)(light)[0]) ** 2)

    slope = jax.grad(power)(lens)
    for name in ("pitch", "wavelength", "focal_length", "fill", "detector_fill", "pupil_radius"):
        value = getattr(lens, name)
        up, down = (power(eqx.tree_at(lambda d: getattr(d, name), lens, value * (1 + e))) for e in (1e-6, -1e-6))  # noqa: B023
        # The pupil's edge is linear over a sample and has kinks.
        assert np.isclose(getattr(slope, name), (up - down) / (2e-6 * value), rtol=1e-3), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(pitch=-1e-6), "`pitch` must be finite and above 0 m"),
        (dict(wavelength=0.0), "`wavelength` must be finite and above 0 m"),
        (dict(pixels=0), "`pixels` must be a whole number of at least 1, got 0"),
        (dict(pixels=2.5), "`pixels` must be a whole number"),
        (dict(fill=0.0), "`fill` must be finite and above 0 and at most 1"),
        (dict(detector_fill=1.2), "`detector_fill` must be"),
        (dict(focal_length=-0.1), "`focal_length` must be finite and above 0 m"),
        (dict(focal_length=0.2), r"`plane` of 704 samples is too small .* set `plane=1231`"),
        (dict(pupil_radius=0.1), "`pupil_radius` 0.1 m is larger than the radius where the lens phase is sampled well"),
        (dict(plane=640, pupil_radius=5.3e-3), "larger than the computed plane's half width"),
        (dict(focal_length=0.02, pupil_radius=2e-3), "is larger than the radius where the lens phase is sampled well"),
        (dict(oversampling=1), "`oversampling` must be a whole number of at least 2"),
        (dict(plane=40), "`plane` must be a whole number of at least 88"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        FourierLens(**ENGINE | changes)


def test_refusals_of_maps():
    with pytest.raises(ValueError, match=r"`matrix` must have shape \(4, 4\) for 2×2 pixels, got \(3, 3\)"):
        optics.Dense(jnp.eye(3, dtype=complex), (2, 2))
    for shape in ((2, 3, 4), 0, (2, -1), 2.5, True):
        with pytest.raises(ValueError, match="`shape` must be"):
            pixel_shape(shape)
