"""Openings, lenses and light: their formulas in double precision, their areas, their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optics import wave
from tests.helpers import relative

WAVELENGTH, DX = 532e-9, 8e-6
SHAPE, CENTRE = (64, 48), (0.31e-3, -0.12e-3)
PI = np.longdouble("3.14159265358979323846264338327950288")


def axes(shape=SHAPE, dx=DX, centre=(0.0, 0.0)):
    """Extended precision y (rows, 1) and x (1, columns) from `centre`."""
    return (
        np.expand_dims((np.arange(n) - n // 2) * np.longdouble(dx) - np.longdouble(c), 1 - i)
        for i, (n, c) in enumerate(zip(shape, centre, strict=True))
    )


def turn(path):
    """exp(ik · path), whole waves taken out in extended precision."""
    waves = path / np.longdouble(WAVELENGTH)
    return np.exp(2j * PI * (waves - np.round(waves))).astype(complex)


def test_lens_in_single_precision():
    x = (np.arange(1024) - 512) * 2e-6
    r2 = x[:, None] ** 2 + x[None, :] ** 2
    exact = np.exp(-1j * np.pi * r2 / (WAVELENGTH * 0.005))
    assert np.max(np.abs(np.asarray(wave.lens((1024, 1024), 2e-6, WAVELENGTH, 0.005)) - exact)) <= 1e-6


def spherical(y, x, f):
    return -(np.sqrt(x**2 + y**2 + np.longdouble(f) ** 2) - abs(np.longdouble(f))) * np.sign(f)


def surface(y, x, f):
    """A plano-convex lens of index 1.5, sag as in ISO 10110-12: conic constant −0.6 and two more terms."""
    r2, radius = x**2 + y**2, np.longdouble(0.5 * f)
    sag = (
        r2 / radius / (1 + np.sqrt(1 - (1 - np.longdouble(0.6)) * r2 / radius**2)) + 3e3 * r2**2 - 4e8 * r2**3
    )
    return -0.5 * sag


ASPHERE = (4 * (1 - 0.6) - 1, (1.5e3, -2e8))
# Each: what is called with a focal length, and the optical path in extended precision.
LENSES = {
    "quadratic": (
        lambda f, c: wave.lens(SHAPE, DX, WAVELENGTH, f, c),
        lambda y, x, f: -(x**2 + y**2) / (2 * np.longdouble(f)),
    ),
    "spherical": (lambda f, c: wave.spherical_lens(SHAPE, DX, WAVELENGTH, f, c), spherical),
    "aspheric": (lambda f, c: wave.aspheric_lens(SHAPE, DX, WAVELENGTH, f, *ASPHERE, c), surface),
    "cylindrical": (
        lambda f, c: wave.cylindrical_lens(SHAPE, DX, WAVELENGTH, f, 0.0, c),
        lambda y, x, f: -(x**2) / (2 * np.longdouble(f)) + 0 * y,
    ),
    "cylindrical, y": (
        lambda f, c: wave.cylindrical_lens(SHAPE, DX, WAVELENGTH, f, np.pi / 2, c),
        lambda y, x, f: -(y**2) / (2 * np.longdouble(f)) + 0 * x,
    ),
    "cylindrical, turned": (
        lambda f, c: wave.cylindrical_lens(SHAPE, DX, WAVELENGTH, f, np.arctan2(3, 4), c),
        lambda y, x, f: -((4 * x + 3 * y) ** 2) / (50 * np.longdouble(f)),
    ),
}


@pytest.mark.parametrize("f", [0.01, -0.3])
@pytest.mark.parametrize("name", LENSES)
def test_lenses(name, f):
    call, path = LENSES[name]
    expected = turn(path(*axes(centre=CENTRE), f))
    result = call(f, CENTRE)
    assert result.dtype == jnp.complex64
    assert np.max(np.abs(np.asarray(result) - expected)) <= 1e-6
    with jax.enable_x64(True):
        assert np.max(np.abs(np.asarray(call(f, CENTRE)) - expected)) <= 1e-11


def test_a_spherical_lens_focuses_without_aberration():
    # On the axis the first Rayleigh-Sommerfeld integral of a converging spherical wave has a closed form.
    n, dx, radius, f = 256, 2e-6, 0.22e-3, 0.0019
    rim = np.hypot(radius, f)
    expected = f * abs(1 / f - 1 / rim - 2j * np.pi / WAVELENGTH * np.log(rim / f))

    @jax.jit
    def foci(*numbers):
        pupil = wave.aperture((n, n), dx, radius)
        return [
            abs(wave.angular_spectrum(pupil * lens((n, n), *numbers), dx, WAVELENGTH, f)[n // 2, n // 2])
            for lens in (wave.spherical_lens, wave.lens)
        ]

    spherical, paraxial = foci(dx, WAVELENGTH, f)
    assert spherical == pytest.approx(expected, rel=2e-3)
    # The paraxial lens is off by R⁴ / 8 f³ = 0.08 waves at the rim.
    assert paraxial < 0.99 * expected


def test_a_conic_of_its_own_name_is_the_other_lens():
    assert (
        relative(wave.aspheric_lens(SHAPE, DX, WAVELENGTH, 0.02), wave.lens(SHAPE, DX, WAVELENGTH, 0.02))
        <= 1e-6
    )
    # Beyond the edge of a steep surface there is still a number.
    steep = np.asarray(wave.aspheric_lens(SHAPE, DX, WAVELENGTH, 2e-4, 0.0))
    np.testing.assert_allclose(np.abs(steep), 1, rtol=1e-5)


def test_defocus_changes_the_focal_length():
    for distance in (2e-3, -1e-3, 0.0):
        moved = wave.lens(SHAPE, DX, WAVELENGTH, 0.05) * wave.defocus(SHAPE, DX, WAVELENGTH, 0.05, distance)
        assert relative(moved, wave.lens(SHAPE, DX, WAVELENGTH, 0.05 + distance)) <= 1e-6


def disc_area(shape, dx, radius, centre):
    """Share of each sample that lies in a disc, by 64 × 64 points a sample."""
    points = (np.arange(64) + 0.5) / 64 - 0.5
    y, x = ((np.arange(n)[:, None] - n // 2 + points) * dx - c for n, c in zip(shape, centre, strict=True))
    return np.mean(y[:, None, :, None] ** 2 + x[None, :, None, :] ** 2 <= radius**2, axis=(2, 3))


def test_aperture():
    for radius, centre in ((10.0, (0.0, 0.0)), (10.3, (0.4, -1.3)), (17.77, (-0.25, 3.1))):
        result = np.asarray(wave.aperture((64, 48), 0.5, radius / 2, (centre[0] / 2, centre[1] / 2)))
        np.testing.assert_allclose(result, disc_area((64, 48), 1.0, radius, centre), atol=1e-2)
        assert np.sum(result) == pytest.approx(np.pi * radius**2, rel=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_gradients_of_openings():
    # The slope of the area is the circumference; moving a disc moves its middle and no more.
    x = jnp.arange(48.0)[None, :] - 24

    def moments(radius, cy, cx):
        t = wave.aperture((64, 48), 1.0, radius, (cy, cx))
        return jnp.stack([jnp.sum(t), jnp.sum(x * t)])

    slopes = jax.jit(jax.jacrev(moments, (0, 1, 2)))
    for point in ((12.3, 0.2, -0.7), (12.0, 0.0, 0.0)):
        by_radius, by_y, by_x = slopes(*point)
        assert by_radius[0] == pytest.approx(2 * np.pi * point[0], rel=1e-2)
        np.testing.assert_allclose([by_y[0], by_x[0], by_y[1]], 0, atol=2)
        assert by_x[1] == pytest.approx(np.pi * point[0] ** 2, rel=2e-2)

    def slit(width, c):
        t = wave.rectangle((64, 48), 1.0, (7.3, width), (0.0, c))
        return jnp.stack([jnp.sum(t), jnp.sum(x * t)])

    by_width, by_x = jax.jacrev(slit, (0, 1))(20.4, 1.3)
    np.testing.assert_allclose([by_width[0], by_x[0]], [7.3, 0], atol=1e-12)
    assert by_x[1] == pytest.approx(20.4 * 7.3, rel=5e-2)  # an edge counts at the middle of its sample


def test_rectangle():
    t = np.asarray(wave.rectangle(SHAPE, 0.5, (10.3, 20.9), (0.2, -1.1)))
    y, x = (np.asarray(a, float) for a in axes(dx=0.5))
    assert t.sum() / 4 == pytest.approx(10.3 * 20.9, rel=1e-6)
    # A sample that is open in part counts at its middle.
    np.testing.assert_allclose([(t * y).sum() / t.sum(), (t * x).sum() / t.sum()], [0.2, -1.1], rtol=1e-2)
    assert set(np.unique(t[(np.abs(y - 0.2) < 4.6) & (np.abs(x + 1.1) < 9.9)])) == {1.0}


def test_pixels_cover_their_fill():
    line = wave.pixel_apertures(40, 5, 8, 0.55)
    np.testing.assert_allclose(line.sum(axis=0), 0.55 * 8, rtol=1e-6)
    np.testing.assert_allclose(
        (line * (np.arange(40) - 20)[:, None]).sum(axis=0) / line.sum(axis=0),
        8.0 * (np.arange(5) - 2),
        atol=1e-5,
    )


def test_gaussian():
    y, x = (np.asarray(a, float) for a in axes(centre=CENTRE))
    np.testing.assert_allclose(
        wave.gaussian(SHAPE, DX, 90e-6, CENTRE), np.exp(-(x**2 + y**2) / 90e-6**2), rtol=2e-5, atol=1e-30
    )


def test_tilt_moves_the_focus():
    # Goodman (2005), section 5.2: a plane wave at an angle is focused at f tan θ, paraxially f sin θ.
    f, angles = 0.1, (0.004, -0.011)
    u = wave.gaussian(SHAPE, DX, 50e-6) * wave.tilt(SHAPE, DX, WAVELENGTH, angles)
    spot = np.abs(np.asarray(wave.focus(u, DX, WAVELENGTH, f))) ** 2
    dy, dx = wave.fraunhofer_spacing(SHAPE, DX, WAVELENGTH, f)
    middle = [np.sum(spot * a) / np.sum(spot) * d for a, d in zip(axes(dx=1.0), (dy, dx), strict=True)]
    np.testing.assert_allclose(np.asarray(middle, float), f * np.sin(angles), rtol=1e-5)
    y, x = axes()
    assert (
        np.max(
            np.abs(
                wave.tilt(SHAPE, DX, WAVELENGTH, angles) - turn(x * np.sin(angles[1]) + y * np.sin(angles[0]))
            )
        )
        <= 1e-6
    )


def everything(p):
    """One plane that every number of every element acts on."""
    centre = p["centre"]
    numbers = (24, 24), p["dx"], p["wavelength"]
    t = wave.lens(*numbers, p["f"], centre) * wave.tilt(*numbers, p["angles"])
    t *= wave.aspheric_lens(*numbers, p["f"], p["conic"], p["terms"], centre) * wave.cylindrical_lens(
        *numbers, p["f"], p["angle"], centre
    )
    t *= wave.defocus(*numbers, p["f"], p["distance"], centre) * wave.gaussian(
        (24, 24), p["dx"], p["waist"], centre
    )
    t *= wave.aperture((24, 24), p["dx"], p["radius"], centre) * wave.rectangle(
        (24, 24), p["dx"], p["size"], centre
    )
    t *= wave.aberration((24, 24), p["dx"], p["radius"], p["waves"], centre)
    return jnp.abs(jnp.sum(t * jnp.exp(0.1j * jnp.arange(24)))) ** 2


POINT = dict(
    dx=DX, wavelength=WAVELENGTH, f=0.0413, centre=[3.1e-6, -5.2e-6], angles=[2e-3, -1e-3],
    conic=-0.7, terms=[3e3, -2e9], angle=0.4, distance=1.3e-3, waist=70e-6, radius=66.3e-6,
    size=[130.7e-6, 121.1e-6], waves={4: 0.3, 7: -0.2},
)  # fmt: skip


def test_every_number_has_a_gradient():
    # Single precision against differences in double precision; and in the middle, where r has no slope.
    point = jax.tree.map(np.float32, POINT)
    single = jax.jit(jax.value_and_grad(everything))
    value, slopes = single(point)
    with jax.enable_x64(True):
        loss = jax.jit(everything)
        leaves, structure = jax.tree.flatten(jax.tree.map(float, point))
        assert float(value) == pytest.approx(float(loss(jax.tree.unflatten(structure, leaves))), rel=1e-5)
        for i, (leaf, slope) in enumerate(zip(leaves, jax.tree.leaves(slopes), strict=True)):
            step = [1e-6 * leaf * (i == j) for j in range(len(leaves))]
            up, down = (
                float(
                    loss(
                        jax.tree.unflatten(structure, [a + s * b for a, b in zip(leaves, step, strict=True)])
                    )
                )
                for s in (1, -1)
            )
            assert abs(float(slope) * leaf - (up - down) / 2e-6) <= 1e-4 * float(value), (
                jax.tree.flatten_with_path(point)[0][i]
            )
    in_the_middle = single(point | dict(centre=[np.float32(0)] * 2))[1]
    assert all(np.isfinite(slope) for slope in jax.tree.leaves(in_the_middle))


def test_numbers_as_arrays_and_under_vmap():
    centres = jnp.float32([[0, 0], [1e-4, -2e-4]])
    swept = jax.jit(
        jax.vmap(lambda c: wave.aperture(SHAPE, DX, 2e-4, c) * wave.lens(SHAPE, DX, WAVELENGTH, 0.1, c))
    )(centres)
    for c, result in zip(np.asarray(centres), swept, strict=True):
        assert (
            relative(
                result,
                wave.aperture(SHAPE, DX, 2e-4, c)
                * wave.lens(SHAPE, DX, WAVELENGTH, 0.1, tuple(map(float, c))),
            )
            <= 1e-5
        )


A = (SHAPE, DX, WAVELENGTH)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wave.lens(*A, 0.0), "`focal_length`"),
        (lambda: wave.lens(*A, float("nan")), "`focal_length`"),
        (lambda: wave.lens(*A, 0.1, 3e-6), "`centre`"),
        (lambda: wave.lens(*A, 0.1, (0.0, np.nan)), "`centre`"),
        (lambda: wave.spherical_lens(*A, 0.0), "`focal_length`"),
        (lambda: wave.spherical_lens(SHAPE, 0.0, WAVELENGTH, 0.1), "`dx`"),
        (lambda: wave.aspheric_lens(*A, 0.1, np.inf), "`conic`"),
        (lambda: wave.aspheric_lens(*A, 0.1, 0.0, (np.nan,)), "`coefficients`"),
        (lambda: wave.aspheric_lens(*A, 0.1, 0.0, 3.0), "`coefficients`"),
        (lambda: wave.cylindrical_lens(*A, 0.1, np.nan), "`angle`"),
        (lambda: wave.cylindrical_lens(SHAPE, DX, 0.0, 0.1), "`wavelength`"),
        (lambda: wave.defocus(*A, 0.1, np.nan), "`distance`"),
        (lambda: wave.defocus(*A, 0.1, -0.1), r"`distance` must not be −`focal_length`, got -0.1 m"),
        (lambda: wave.aperture(SHAPE, DX, -1.0), "`radius`"),
        (lambda: wave.aperture(SHAPE, DX, "wide"), "`radius`"),
        (lambda: wave.aperture(SHAPE, DX, 1e-4, (0.0,)), "`centre`"),
        (lambda: wave.rectangle(SHAPE, DX, (1e-4, 0.0)), "`size`"),
        (lambda: wave.rectangle(SHAPE, DX, 1e-4), "`size`"),
        (lambda: wave.rectangle(SHAPE, -DX, (1e-4, 1e-4)), "`dx`"),
        (lambda: wave.pixel_apertures(8, 2, 4, 1.5), "`fill`"),
        (lambda: wave.gaussian(SHAPE, DX, 0.0), "`waist`"),
        (lambda: wave.gaussian(SHAPE, 0.0, 1e-4), "`dx`"),
        (lambda: wave.tilt(*A, 0.1), "`angles`"),
        (lambda: wave.tilt(SHAPE, DX, np.inf, (0.0, 0.1)), "`wavelength`"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
