"""The compiled optics against full propagation, against the paraxial integral and against the exact transform."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.special

import optics
from optics import FourierLens, compile_transfer
from optics.transfer import _kronecker as kronecker
from optics.transfer import light_shape, pixel_shape
from tests.helpers import relative

ENGINE = dict(pixels=11, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
ABERRATIONS = [0, 0, 0, 0, 0, 0, 0.1, 0.05, 0, 0, 0.08]
LENSES = {
    "engine": ENGINE,
    "full fill": ENGINE | dict(fill=1.0, detector_fill=1.0),
    "unlike fills, even pixels": ENGINE | dict(pixels=6, fill=0.4, detector_fill=0.8),
    "mismatched focal length": ENGINE | dict(pixels=5, focal_length=0.045, pupil_radius=1e-3),
    "small pupil": ENGINE | dict(pixels=7, pupil_radius=0.9e-3),
    "plane of odd size": ENGINE | dict(pixels=5, plane=333),
    "spherical lens, aberrations": ENGINE
    | dict(
        pixels=6, profile=optics.wave.spherical_lens, aberrations=[0, 0, 0, 0.1, 0, 0, 0.05, 0, 0, 0, 0.08]
    ),
    "decentre, tilt, beam": ENGINE
    | dict(pixels=6, decentre=(50e-6, -80e-6), tilt=(1e-3, -2e-3), waist=0.6e-3),
    "defocus": ENGINE | dict(pixels=6, plane=400, defocus=2e-3),
    "3 sub-pixels": ENGINE | dict(pixels=5, fill=0.9, subpixels=3, oversampling=9),
    "2 sub-pixels, even": ENGINE | dict(pixels=4, fill=1.0, subpixels=2),
    "one row": ENGINE | dict(pixels=(1, 16), aberrations=[0, 0, 0, 0.1]),
    "one column": ENGINE | dict(pixels=(12, 1), subpixels=2),
}


def _call(optics_, light, real=False):
    return optics_(light, real=real)


@pytest.mark.parametrize("name", LENSES)
def test_compiled_equals_wave(name, key):
    lens = FourierLens(**LENSES[name])
    transfer = compile_transfer(lens)
    shape = (3, *light_shape(lens.shape, lens.subpixels))
    light = jax.random.normal(key, shape) + 1j * jax.random.normal(jax.random.fold_in(key, 1), shape)
    transfer, lens = (jax.jit(partial(_call, m), static_argnames="real") for m in (transfer, lens))
    assert relative(transfer(light), lens(light)) <= 1e-5
    assert relative(transfer(light.real), lens(light.real)) <= 1e-5
    for map_ in (transfer, lens):
        assert relative(map_(light, real=True), map_(light).real) <= 1e-6
        assert relative(map_(light.real, real=True), map_(light.real).real) <= 1e-6


def test_against_the_paraxial_integral():
    # Without a pupil to speak of, an axis of the map is ∫∫ exp(−2πi x x' / λf) over an emitter and a receiver.
    lens = FourierLens(**ENGINE | dict(pixels=5, oversampling=16, pupil_radius=127e-6 * 5 * 6))
    open_ = 0.5 * 127e-6
    nodes, weights = np.polynomial.legendre.leggauss(40)
    centres = 127e-6 * (np.arange(5) - 2)
    x = centres[:, None] + open_ / 2 * nodes
    kernel = np.exp(
        -2j * np.pi * x[:, :, None, None] * x[None, None] / float(lens.wavelength * lens.focal_length)
    )
    line = (
        np.einsum("minj,i,j->mn", kernel, weights, weights)
        * open_
        / 4
        / np.sqrt(float(lens.wavelength * lens.focal_length))
    )
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


def test_separable_equals_wave(key):
    # Coma, spherical aberration and a round pupil that cuts: what does not separate.
    lens = FourierLens(
        **ENGINE | dict(pixels=18, oversampling=4, pupil_radius=1.2 * 18 * 127e-6, aberrations=ABERRATIONS)
    )
    transfer = compile_transfer(lens, tolerance=5e-5)
    assert (
        isinstance(transfer, optics.Separable) and transfer.shape == (18, 18) and transfer.rows.shape[0] < 60
    )
    light = jax.random.normal(key, (2, 18, 18)) + 1j * jax.random.normal(
        jax.random.fold_in(key, 1), (2, 18, 18)
    )
    wanted = jax.jit(_call)(lens, light)
    assert relative(transfer(light), wanted) <= 1e-4
    assert relative(transfer(light, real=True), wanted.real) <= 1e-4
    assert float(transfer.residual) <= 5e-5
    assert np.isclose(transfer.residual, relative(transfer(light), wanted), rtol=0.5)
    # Fewer terms, and what they are said to leave out; what is left out of a number of terms given.
    short = compile_transfer(lens, terms=4)
    assert short.rows.shape[0] == 4
    assert np.isclose(short.residual, relative(short(light), wanted), rtol=0.5)


def test_separable_on_subpixels_and_with_a_tilted_beam(key):
    lens = FourierLens(
        **ENGINE
        | dict(pixels=6, subpixels=2, oversampling=4, pupil_radius=1e-3, tilt=(1e-3, -2e-3), waist=0.6e-3)
    )
    transfer = kronecker.decompose(lens, lens.plane // 2, None, 3e-5)
    light = jax.random.normal(key, (12, 12))
    assert relative(transfer(light), jax.jit(_call)(lens, light)) <= 1e-4


@pytest.mark.usefixtures("x64")
def test_separable_has_the_gradients_of_the_full_matrix():
    lens = FourierLens(
        **ENGINE | dict(pixels=4, oversampling=4, pupil_radius=0.8e-3, aberrations=[0, 0, 0, 0.1, 0, 0, 0.05])
    )
    light = jax.random.normal(jax.random.key(0), (4, 4))

    def power(lens, compile_):
        return jnp.sum(jnp.abs(compile_(lens)(light)[1]) ** 2)

    found = jax.jit(
        jax.grad(lambda lens: power(lens, lambda d: kronecker.decompose(d, d.plane // 2, 12, 0.0)))
    )(lens)
    wanted = jax.jit(jax.grad(lambda lens: power(lens, compile_transfer)))(lens)
    for name in ("pitch", "wavelength", "focal_length", "defocus", "pupil_radius"):
        assert np.isclose(getattr(found, name), getattr(wanted, name), rtol=1e-3), name
    # Defocus and coma have a place among the terms. Astigmatism at 45° is odd in both axes, which nothing here is.
    assert relative(found.aberrations[jnp.array([3, 6])], wanted.aberrations[jnp.array([3, 6])]) <= 1e-3


def test_errors_of_the_lens_do_what_they_are_called(key):
    light = jnp.zeros((6, 6)).at[2, 3].set(1.0) + 0.3 * jax.random.normal(key, (6, 6))
    parts = ENGINE | dict(pixels=6)

    def intensity(**changes):
        return np.abs(compile_transfer(FourierLens(**parts | changes))(light)) ** 2

    # A beam tilted by one detector pixel over the focal length moves the picture by one pixel, shading aside.
    lens = FourierLens(**parts)
    moved = intensity(tilt=(0.0, float(lens.pitch / lens.focal_length)))
    even = intensity()
    assert (
        np.corrcoef(moved[:, 1:].ravel(), even[:, :-1].ravel())[0, 1]
        > 0.95
        > np.corrcoef(moved.ravel(), even.ravel())[0, 1]
    )
    # A narrow beam lights the middle of the modulator alone.
    narrow = compile_transfer(FourierLens(**parts | dict(waist=60e-6)))
    strength = np.linalg.norm(narrow.matrix, axis=0).reshape(6, 6)
    assert strength[3, 3] == strength.max() and np.isclose(
        strength[3, 4] / strength[3, 3], np.exp(-((127 / 60) ** 2)), rtol=2e-2
    )
    # Defocus of the detector and defocus of the lens are one thing to first order.
    wider = FourierLens(**parts | dict(plane=500, defocus=1e-3))
    assert relative(compile_transfer(wider).matrix, compile_transfer(lens).matrix) > 0.01


def test_one_dimensional_optics_is_the_transform_of_a_line():
    for pixels in ((1, 16), (12, 1)):
        lens = FourierLens(**ENGINE | dict(pixels=pixels))
        matrix, wanted = compile_transfer(lens).matrix, optics.dft(pixels).matrix
        calibrated = optics.calibrate(optics.FourierProcessor(compile_transfer(lens)))
        n = max(pixels)
        found = calibrated.transform(jnp.eye(n).reshape(n, *pixels)).reshape(n, n).T
        assert relative(found, wanted) <= 5e-3
        assert abs(np.angle(np.vdot(wanted, matrix))) <= 0.05
        assert np.isclose(lens.peak, np.max(np.abs(matrix)), rtol=1e-2)


@pytest.mark.usefixtures("x64")
def test_compilation_has_gradients():
    lens = FourierLens(
        4, pitch=100e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.7, pupil_radius=0.7e-3, oversampling=4
    )
    light = jax.random.normal(jax.random.key(0), (4, 4))

    @jax.jit
    def power(lens):
        return jnp.sum(jnp.abs(compile_transfer(lens)(light)[0]) ** 2)

    slope = jax.jit(jax.grad(power))(lens)
    for name in ("pitch", "wavelength", "focal_length", "fill", "detector_fill", "pupil_radius"):
        value = getattr(lens, name)
        up, down = (
            power(eqx.tree_at(lambda d: getattr(d, name), lens, value * (1 + e))) for e in (1e-6, -1e-6)
        )
        # The pupil's edge is linear over a sample and has kinks.
        assert np.isclose(getattr(slope, name), (up - down) / (2e-6 * value), rtol=1e-3), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(pitch=-1e-6), "`pitch` must be finite and above 0 m"),
        (dict(wavelength=0.0), "`wavelength` must be finite and above 0 m"),
        (dict(pixels=0), "`pixels` must be a whole number of at least 1, got 0"),
        (dict(pixels=2.5), "`pixels` must be one whole number or a pair"),
        (dict(fill=0.0), "`fill` must be finite and above 0 and at most 1"),
        (dict(detector_fill=1.2), "`detector_fill` must be"),
        (dict(focal_length=-0.1), "`focal_length` must be finite and above 0 m"),
        (dict(focal_length=0.2), r"`plane` of 704 samples is too small .* set `plane=1231`"),
        (
            dict(pupil_radius=0.1),
            "`pupil_radius` 0.1 m is larger than the radius where the lens phase is sampled well",
        ),
        (dict(plane=640, pupil_radius=5.3e-3), "larger than the computed plane's half width"),
        (
            dict(focal_length=0.02, pupil_radius=2e-3),
            "is larger than the radius where the lens phase is sampled well",
        ),
        (dict(oversampling=1), "`oversampling` must be a whole number of at least 2"),
        (dict(plane=40), "`plane` must be a whole number of at least 88"),
        (dict(pixels=(3, 4)), r"`pixels` must be one number, \(1, N\) or \(N, 1\), got \(3, 4\)"),
        (dict(subpixels=3), "`oversampling` must be a multiple of 3 for 3 `subpixels`"),
        (dict(subpixels=0), "`subpixels` must be a whole number of at least 1"),
        (dict(waist=0.0), "`waist` must be above 0 m, or infinite for even light"),
        (dict(decentre=1e-6), r"`decentre` must be a pair \(y, x\)"),
        (dict(tilt=(0.0, np.nan)), "`tilt` must be finite"),
        (dict(aberrations=[[0.1]]), "`aberrations` must be a vector"),
        (dict(defocus=np.inf), "`defocus` must be finite m"),
        (dict(defocus=5e-3), "`plane` of 704 samples is too small"),
        (dict(profile="spherical"), "`profile` must be a function such as"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        FourierLens(**ENGINE | changes)


def test_refusals_of_maps():
    with pytest.raises(ValueError, match=r"`matrix` must have shape \(4, 4\) for 2×2 pixels, got \(3, 3\)"):
        optics.Dense(jnp.eye(3, dtype=complex), (2, 2))
    with pytest.raises(ValueError, match="`rows` and `cols` must have the same number of terms, got 2 and 3"):
        optics.Separable(jnp.ones((2, 4, 4), complex), jnp.ones((3, 4, 4), complex), 1.0)
    with pytest.raises(ValueError, match="must take 4×4 pixels of light to 4×4 of the detector, got 8×4"):
        optics.Separable(jnp.ones((2, 4, 8), complex), jnp.ones((2, 4, 4), complex), 1.0)
    lens = FourierLens(**ENGINE | dict(pixels=18, oversampling=4, pupil_radius=2e-3))
    for changes, message in (
        (dict(tolerance=0.0), "`tolerance` must be"),
        (dict(terms=0), "`terms` must be a whole number"),
    ):
        with pytest.raises(ValueError, match=message):
            compile_transfer(lens, **changes)
    with pytest.raises(ValueError, match="`terms` must be given under jit or grad"):
        jax.jit(compile_transfer)(lens)
    for shape in ((2, 3, 4), 0, (2, -1), 2.5, True):
        with pytest.raises(ValueError, match="`shape` must be"):
            pixel_shape(shape)
