"""Compiled transfers against full propagation, the paraxial integral and the exact transform."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.special

import optics
from bench.simulator.rayleigh_sommerfeld import map_entries
from optics import FourierLens, compile_transfer
from optics.transfer import _kronecker as kronecker
from optics.transfer import light_shape
from tests.helpers import relative, with_slow

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


SIMILAR = ("mismatched focal length", "small pupil", "plane of odd size", "2 sub-pixels, even", "one column")
SIMILAR += ("unlike fills, even pixels", "defocus", "spherical lens, aberrations", "3 sub-pixels")


@pytest.mark.parametrize("name", with_slow(LENSES, SIMILAR))
@pytest.mark.every(2)
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


# From pixel to pixel: the axis, a corner, and two others.
PLACES = [(2, 2), (0, 0), (1, 2), (4, 3)]
BENCHES = {
    "default": {},
    "small fill": dict(fill=0.3, detector_fill=0.3),
    "full fill": dict(fill=1.0, detector_fill=1.0),
    "small pupil": dict(pupil_radius=5 * 127e-6),
    "defocus that the default plane holds": dict(defocus=2e-3, detector_fill=0.8),
    "tilt by a wave a pixel": dict(tilt=(0.0, 1.55e-6 / 127e-6)),
    "tilt, decentre, coma": dict(
        tilt=(4e-3, -3e-3), decentre=(50e-6, -80e-6), defocus=-1e-3, aberrations=[0, 0, 0, 0, 0, 0, 0, 0.05]
    ),
    "4 sub-pixels": dict(subpixels=2, fill=1.0, tilt=(0.0, 5e-3), pupil_radius=7.5 * 127e-6),
}


@pytest.mark.parametrize("name", BENCHES)
@pytest.mark.every(2)
def test_default_sampling_against_the_rayleigh_sommerfeld_integral(name):
    lens = FourierLens(**ENGINE | dict(pixels=5) | BENCHES[name])

    def coma(y, x):
        return 0.05 * np.sqrt(8) * (3 * (x**2 + y**2) - 2) * x if lens.aberrations.size else 0.0

    emitters = [(lens.subpixels * y, lens.subpixels * x + lens.subpixels - 1) for y, x in PLACES]
    result = _entries(lens, emitters, PLACES)
    # Without a common factor: the power is right too.
    assert relative(result, map_entries(lens, emitters, PLACES, coma)) <= 3e-4


@pytest.mark.parametrize("oversampling", [6, 12])
def test_the_sampling_error_falls_fast(oversampling):
    lens = FourierLens(**ENGINE | dict(pixels=5, oversampling=oversampling))
    error = relative(_entries(lens, PLACES, PLACES), map_entries(lens, PLACES, PLACES))
    assert error <= {6: 1.5e-3, 12: 3e-6}[oversampling]


@pytest.mark.parametrize(
    "numbers",
    [
        ENGINE,  # of engine11
        dict(pixels=16, pitch=112e-6, wavelength=633e-9, pupil_radius=24 * 112e-6, subpixels=2),  # of slm-4f
    ],
)
def test_larger_lenses_against_the_rayleigh_sommerfeld_integral(numbers):
    lens = FourierLens(**numbers)
    emitters, receivers = [(5, 6), (0, 1)], [(6, 5)]
    expected = map_entries(lens, emitters, receivers)
    assert relative(_entries(lens, emitters, receivers), expected) <= 3e-4


def test_a_line_against_the_rayleigh_sommerfeld_integral():
    lens = FourierLens(
        **ENGINE | dict(pixels=(1, 8), subpixels=2, tilt=(0.0, 5e-3), decentre=(0.0, 30e-6), defocus=1e-3)
    )
    emitters, receivers = [(0, 3), (0, 15)], [(0, 0), (0, 5)]
    expected = map_entries(lens, emitters, receivers)
    assert relative(_entries(lens, emitters, receivers), expected) <= 3e-4


def _entries(lens, emitters, receivers):
    """The map from some pixels of light to some receivers, by full propagation."""
    light = np.zeros((len(emitters), *light_shape(lens.shape, lens.subpixels)), np.float32)
    for plane, pixel in zip(light, emitters, strict=True):
        plane[pixel] = 1.0
    out = np.asarray(jax.jit(_call)(lens, light))
    return np.stack([out[:, row, col] for row, col in receivers])


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


@pytest.mark.slow
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

    # A beam tilted by one detector pixel over the focal length moves the picture, shading too, by one pixel.
    lens = FourierLens(**parts)
    moved = intensity(tilt=(0.0, float(lens.pitch / lens.focal_length)))
    even = intensity()
    assert relative(moved[:, 1:], even[:, :-1]) <= 2e-2 < 0.5 < relative(moved, even)
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
def test_every_number_of_a_lens_has_its_gradient():
    lens = FourierLens(
        (4, 4),
        pitch=100e-6,
        wavelength=1.55e-6,
        fill=0.5,
        detector_fill=0.7,
        pupil_radius=0.6e-3,
        aberrations=[0, 0, 0, 0.1, 0.05],
        defocus=-1e-4,
        decentre=(10e-6, -20e-6),
        tilt=(2e-3, -1e-3),
        waist=0.3e-3,
        oversampling=4,
    )
    light = jax.random.normal(jax.random.key(0), (4, 4))
    leaves, structure = jax.tree.flatten(lens)
    sizes = np.cumsum([leaf.size for leaf in leaves])[:-1]
    # In units of what each number changes by.
    units = jnp.concatenate([jnp.ravel(jnp.where(leaf == 0, 0.1, jnp.abs(leaf))) for leaf in leaves])

    @jax.jit
    def power(changes):
        parts = jnp.split(changes * units, sizes)
        numbers = [leaf + part.reshape(leaf.shape) for leaf, part in zip(leaves, parts, strict=True)]
        return jnp.sum(jnp.abs(compile_transfer(structure.unflatten(numbers))(light)[0]) ** 2)

    step = 1e-5 * jnp.eye(units.size)
    slopes = jax.jit(jax.grad(power))(jnp.zeros(units.size))
    expected = np.array([(power(e) - power(-e)) / 2e-5 for e in step])
    np.testing.assert_allclose(slopes, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


def test_gradients_are_finite_where_nothing_is_wrong_with_a_lens():
    # Every error of the lens is zero, the beam is even, and the middle of the pupil lies on a sample.
    lens = FourierLens(**ENGINE | dict(pixels=3, oversampling=4, aberrations=[0.0] * 4))

    @jax.jit
    @jax.grad
    def slope(lens):
        return jnp.sum(compile_transfer(lens).matrix.real ** 2)

    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(slope(lens)))


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
            dict(focal_length=0.2, plane=704),
            r"`plane` of 704 samples is too small to propagate over `focal_length` = 0.2 m .* λ z / dx² = "
            r"1231 samples; set `plane=1232` \(a field takes 12.1 MB\), .* √\(λ f / N\) = 0.0001679 m",
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
        (dict(pixels=(3, 0)), "`pixels`"),
        (dict(subpixels=3), "`oversampling`"),
        (dict(subpixels=0), "`subpixels`"),
        (dict(waist=0.0), "`waist`"),
        (dict(decentre=1e-6), "`decentre`"),
        (dict(tilt=(0.0, np.nan)), "`tilt`"),
        (dict(aberrations=[[0.1]]), "`aberrations`"),
        (dict(defocus=np.inf), "`defocus`"),
        (dict(defocus=5e-3, plane=704), r"`focal_length` \+ `defocus` = .* set `plane=\d+`"),
        (
            # A panel as it is bought.
            dict(pixels=16, pitch=8e-6, wavelength=633e-9, focal_length=0.2),
            r"`pitch` of 8e-06 m needs a plane of .* = 126599 samples .* takes 128 GB; reduce .* "
            r"√\(λ f / N\) = 8.895e-05 m, .* group the pixels",
        ),
        (dict(profile="spherical"), "`profile`"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        FourierLens(**ENGINE | changes)


def test_a_suggested_plane_works():
    with pytest.raises(ValueError, match="set `plane=768`"):
        FourierLens(**ENGINE | dict(defocus=1e-2, plane=704))
    FourierLens(**ENGINE | dict(defocus=1e-2, plane=768))


def test_the_default_plane_and_pupil_hold_what_is_asked_for():
    matched = FourierLens(**ENGINE)
    assert matched.plane == 704 and np.isclose(matched.pupil_radius, 2.5 * 11 * 127e-6)
    assert FourierLens(**ENGINE | dict(defocus=-1e-2)).plane == 704
    # λ z / dx² = 765.5, 1230.5; a length without large factors.
    assert FourierLens(**ENGINE | dict(defocus=1e-2)).plane == 768
    assert FourierLens(**ENGINE | dict(focal_length=0.2)).plane == 1232
    assert FourierLens(**ENGINE | dict(pixels=29, oversampling=8)).plane == 1875
    for oversampling, widths in ((4, 1.7), (6, 2.5)):
        lens = FourierLens(**ENGINE | dict(oversampling=oversampling))
        assert np.isclose(lens.pupil_radius, widths * 11 * 127e-6)

    # Where numbers are traced, the plane is that of matched pixels.
    def radius(focal_length):
        lens = FourierLens(**ENGINE | dict(focal_length=focal_length))
        assert lens.plane == 704
        return lens.pupil_radius

    # 2.5 array widths; 0.85 of the radius up to which the phase of a short lens is sampled well.
    radii = jax.vmap(radius)(jnp.array([0.1, 0.04]))
    assert np.allclose(radii, [2.5 * 11 * 127e-6, 0.85 * 1.55e-6 * 0.04 * 8 / (2 * 127e-6)])


def test_lengths_that_are_hardly_metres():
    for changes, name in ((dict(pitch=8.0), "`pitch`"), (dict(wavelength=633.0), "`wavelength`")):
        with pytest.warns(UserWarning, match=f"{name} of .* lengths are in metres") as caught:
            FourierLens(**dict(pixels=8, pitch=0.08, wavelength=1e-4) | changes)
        assert len(caught) == 1 and caught[0].filename == __file__


def test_every_transfer_is_one():
    lens = FourierLens(3, pitch=127e-6, wavelength=1.55e-6)
    separable = optics.Separable(jnp.ones((1, 3, 3), complex), jnp.ones((1, 3, 3), complex), 1.0)
    masked = optics.MaskedFFT(jnp.ones((1, 3, 3)), jnp.ones((1, 3, 3)))
    for transfer in (lens, compile_transfer(lens), optics.dft(3), separable, masked):
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
            optics.dft(shape)
