"""Compiled transfers against full propagation, the paraxial integral and the exact transform."""

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


def _call(transfer, light, real=False):
    return transfer(light, real=real)


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
    # With a very wide pupil, an axis of the map is ∫∫ exp(−2πi x x' / λf) over an emitter and a receiver.
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
        expected = scipy.fft.fftshift(scipy.fft.fft2(scipy.fft.ifftshift(a), norm="ortho"))
        assert relative(optics.dft(shape)(jnp.asarray(a)), expected) <= 1e-6


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
    expected = jax.jit(_call)(lens, light)
    assert relative(transfer(light), expected) <= 1e-4
    assert relative(transfer(light, real=True), expected.real) <= 1e-4
    assert float(transfer.residual) <= 5e-5
    assert np.isclose(transfer.residual, relative(transfer(light), expected), rtol=0.1)
    # Fewer terms, and what they are said to leave out; what is left out of a number of terms given.
    short = compile_transfer(lens, terms=4)
    assert short.rows.shape[0] == 4
    assert np.isclose(short.residual, relative(short(light), expected), rtol=0.1)


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

    result = jax.jit(
        jax.grad(lambda lens: power(lens, lambda d: kronecker.decompose(d, d.plane // 2, 12, 0.0)))
    )(lens)
    expected = jax.jit(jax.grad(lambda lens: power(lens, compile_transfer)))(lens)
    for name in ("pitch", "wavelength", "focal_length", "defocus", "pupil_radius"):
        assert np.isclose(getattr(result, name), getattr(expected, name), rtol=1e-3), name
    # Defocus and coma have a place among the terms. Astigmatism at 45° is odd in both axes, and no term is.
    assert relative(result.aberrations[jnp.array([3, 6])], expected.aberrations[jnp.array([3, 6])]) <= 1e-3


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
        matrix, expected = compile_transfer(lens).matrix, optics.dft(pixels).matrix
        calibrated = optics.calibrate(optics.FourierProcessor(compile_transfer(lens)))
        n = max(pixels)
        result = calibrated.transform(jnp.eye(n).reshape(n, *pixels)).reshape(n, n).T
        assert relative(result, expected) <= 5e-3
        assert abs(np.angle(np.vdot(expected, matrix))) <= 0.05
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
        (dict(pitch=-1e-6), "`pitch`"),
        (dict(wavelength=0.0), "`wavelength`"),
        (dict(pixels=0), "`pixels`"),
        (dict(pixels=2.5), "`pixels`"),
        (dict(fill=0.0), "`fill`"),
        (dict(detector_fill=1.2), "`detector_fill`"),
        (dict(focal_length=-0.1), "`focal_length`"),
        (
            dict(focal_length=0.2),
            r"`plane` of 704 samples is too small to propagate over `focal_length` = 0.2 m .* λ z / dx² = "
            r"1231 samples; set `plane=1250` \(a field takes 12.5 MB\), .* √\(λ f / N\) = 0.0001679 m",
        ),
        (
            dict(pupil_radius=0.1),
            "`pupil_radius` 0.1 m .* lens phase",
        ),
        (dict(plane=640, pupil_radius=5.3e-3), "`pupil_radius` .* half width"),
        (
            dict(focal_length=0.02, pupil_radius=2e-3),
            "is larger than the radius where the lens phase is sampled well",
        ),
        (dict(oversampling=1), "`oversampling`"),
        (dict(plane=40), "`plane`"),
        (dict(pixels=(3, 4)), "`pixels`"),
        (dict(subpixels=3), "`oversampling`"),
        (dict(subpixels=0), "`subpixels`"),
        (dict(waist=0.0), "`waist`"),
        (dict(decentre=1e-6), "`decentre`"),
        (dict(tilt=(0.0, np.nan)), "`tilt`"),
        (dict(aberrations=[[0.1]]), "`aberrations`"),
        (dict(defocus=np.inf), "`defocus`"),
        (dict(defocus=5e-3), r"`focal_length` \+ `defocus` = .* set `plane=\d+`"),
        (dict(profile="spherical"), "`profile`"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        FourierLens(**ENGINE | changes)


def test_a_suggested_plane_works():
    with pytest.raises(ValueError, match="set `plane=768`"):
        FourierLens(**ENGINE | dict(defocus=1e-2))
    FourierLens(**ENGINE | dict(defocus=1e-2, plane=768))


def test_lengths_that_are_hardly_metres():
    for changes, name in ((dict(pitch=8.0), "`pitch`"), (dict(wavelength=633.0), "`wavelength`")):
        with pytest.warns(UserWarning, match=f"{name} of .* lengths are in metres") as caught:
            FourierLens(**dict(pixels=8, pitch=0.08, wavelength=1e-4) | changes)
        assert len(caught) == 1 and caught[0].filename == __file__


def test_every_transfer_is_one():
    lens = FourierLens(3, pitch=127e-6, wavelength=1.55e-6)
    separable = optics.Separable(jnp.ones((1, 3, 3), complex), jnp.ones((1, 3, 3), complex), 1.0)
    for transfer in (lens, compile_transfer(lens), optics.dft(3), separable):
        assert isinstance(transfer, optics.AbstractTransfer)
        assert transfer.shape == (3, 3) and transfer.subpixels == 1 and transfer.peak.shape == ()
    with pytest.raises(TypeError):
        optics.AbstractTransfer()


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
