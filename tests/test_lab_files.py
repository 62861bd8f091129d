"""Files that laboratories have: Zernike coefficients, tables of drivers, correction bitmaps and wavefronts,
written by other programs or as their makers' manuals lay them out.
"""

import math

import imageio.v3
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import optics
from optics import records, wave
from tests.helpers import relative
from tests.helpers_lab import INVALID, RESOLUTION, listing, metropro, write_datx

RNG = np.random.default_rng(23)
RHO, THETA = np.meshgrid(np.linspace(0, 1, 13), np.linspace(-3, 3, 17), indexing="ij")
X, Y = RHO * np.cos(THETA), RHO * np.sin(THETA)
# ANSI Z80.28, table 1 (Thibos et al. 2002): n and m of j = 0, 1, …
OSA = [(0, 0), (1, -1), (1, 1), (2, -2), (2, 0), (2, 2), (3, -3), (3, -1), (3, 1), (3, 3)]
OSA += [(4, -4), (4, -2), (4, 0), (4, 2), (4, 4), (5, -5), (5, -3), (5, -1), (5, 1), (5, 3), (5, 5)]
# Wyant and Creath (1992), table III, counted from 1.
WYANT = [
    lambda r, t: 1 + 0 * r,
    lambda r, t: r * np.cos(t),
    lambda r, t: r * np.sin(t),
    lambda r, t: 2 * r**2 - 1,
    lambda r, t: r**2 * np.cos(2 * t),
    lambda r, t: r**2 * np.sin(2 * t),
    lambda r, t: (3 * r**2 - 2) * r * np.cos(t),
    lambda r, t: (3 * r**2 - 2) * r * np.sin(t),
    lambda r, t: 6 * r**4 - 6 * r**2 + 1,
    lambda r, t: r**3 * np.cos(3 * t),
    lambda r, t: r**3 * np.sin(3 * t),
    lambda r, t: (4 * r**2 - 3) * r**2 * np.cos(2 * t),
    lambda r, t: (4 * r**2 - 3) * r**2 * np.sin(2 * t),
    lambda r, t: (10 * r**4 - 12 * r**2 + 3) * r * np.cos(t),
    lambda r, t: (10 * r**4 - 12 * r**2 + 3) * r * np.sin(t),
    lambda r, t: 20 * r**6 - 30 * r**4 + 12 * r**2 - 1,
]


def total(coefficients):
    """Σ c_j Z_j on the grid, in Noll's order."""
    return sum(c * np.asarray(wave.zernike(j, RHO, THETA)) for j, c in enumerate(coefficients, 1))


def test_indices_against_the_published_tables():
    assert [wave.osa(j) for j in range(len(OSA))] == OSA
    fringe = {1: (0, 0), 9: (4, 0), 10: (3, 3), 16: (6, 0), 17: (4, 4), 18: (4, -4), 25: (8, 0), 36: (10, 0)}
    assert {j: wave.fringe(j) for j in fringe} == fringe
    # Every polynomial has one place in each order.
    for order, first in ((wave.noll, 1), (wave.osa, 0)):
        assert sorted(wave.noll_index(*order(first + i)) for i in range(5151)) == list(range(1, 5152))
    assert len({wave.fringe(j) for j in range(1, 2602)}) == 2601


def test_indices_against_prysm():
    polynomials = pytest.importorskip("prysm.polynomials")
    assert all(wave.osa(j) == polynomials.ansi_j_to_nm(j) for j in range(500))
    assert all(wave.fringe(j) == polynomials.fringe_to_nm(j) for j in range(1, 500))
    assert all(wave.noll_index(*polynomials.noll_to_nm(j)) == j for j in range(1, 500))


@pytest.mark.usefixtures("x64")
def test_fringe_coefficients_give_the_wavefront_of_fringe_polynomials(tmp_path):
    values = RNG.standard_normal(len(WYANT))
    path = tmp_path / "fringe.txt"
    np.savetxt(path, np.c_[np.arange(1, 17), values], fmt=["%d", "%.17g"], header="Fringe, waves")
    expected = sum(a * polynomial(RHO, THETA) for a, polynomial in zip(values, WYANT, strict=True))
    np.testing.assert_allclose(total(records.read_zernikes(path)), expected, atol=1e-13)


@pytest.mark.parametrize("delimiter", [" ", "\t", ",", ";"])
@pytest.mark.parametrize("order", ["noll", "osa"])
def test_orders_of_unit_root_mean_square(order, delimiter, tmp_path):
    values = RNG.standard_normal(15)
    first = {"noll": 1, "osa": 0}[order]
    places = [j - 1 if order == "noll" else wave.noll_index(*OSA[j]) - 1 for j in range(first, first + 15)]
    expected = np.zeros(15)
    expected[places] = values
    one, two = tmp_path / "one.txt", tmp_path / "two.csv"
    np.savetxt(one, values)
    shuffled = RNG.permutation(np.c_[np.arange(first, first + 15), values])
    np.savetxt(two, shuffled, delimiter=delimiter, header=f"index coefficient_{order}", comments="")
    np.testing.assert_allclose(records.read_zernikes(one, index=order), expected, rtol=1e-15)
    np.testing.assert_allclose(records.read_zernikes(two, index=order), expected, rtol=1e-15)


def test_headings_and_units(tmp_path):
    path = tmp_path / "sensor.txt"
    for heading in ("# OSA", "# ANSI Z80.28 order, nm", "index,OSA coefficient"):
        path.write_text(f"{heading}\n4,63.3\n")
        np.testing.assert_allclose(records.read_zernikes(path, unit="nm", wavelength=633e-9), [0, 0, 0, 0.1])
    path.write_text("4 0.1\n")
    np.testing.assert_allclose(records.read_zernikes(path, "noll", "um", 1e-6)[3], 0.1)
    np.testing.assert_allclose(records.read_zernikes(path, "noll", "m", 1e-6)[3], 1e5)
    np.testing.assert_allclose(records.read_zernikes(path, "noll", "rad")[3], 0.1 / (2 * math.pi))
    # The set of 37 of lens programs, and the order without its end.
    path.write_text("# Fringe\n37 1\n")
    assert np.flatnonzero(records.read_zernikes(path)).tolist() == [wave.noll_index(12, 0) - 1]
    path.write_text("# Fringe\n37 1\n38 0\n")
    assert np.flatnonzero(records.read_zernikes(path)).tolist() == [wave.noll_index(6, 6) - 1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_listings_of_zemax(encoding, tmp_path):
    path = tmp_path / "zernike.txt"
    values = RNG.standard_normal(11).round(8)
    path.write_text(listing(values), encoding=encoding)
    np.testing.assert_array_equal(records.read_zernikes(path), values)
    # The same path in waves of other light.
    np.testing.assert_allclose(records.read_zernikes(path, wavelength=316.4e-9), 2 * values)
    path.write_text(listing(values[:9], "Fringe"), encoding=encoding)
    expected = sum(a * polynomial(RHO, THETA) for a, polynomial in zip(values[:9], WYANT[:9], strict=True))
    np.testing.assert_allclose(total(records.read_zernikes(path)), expected, atol=1e-5)
    values = RNG.standard_normal(37).round(8)
    path.write_text(listing(values, "Fringe", formulas={}), encoding=encoding)
    assert records.read_zernikes(path)[wave.noll_index(12, 0) - 1] == pytest.approx(
        values[36] / math.sqrt(13)
    )


def test_coefficients_go_into_a_lens(tmp_path):
    path = tmp_path / "lens.txt"
    path.write_text(listing([0, 0, 0, 0.1], formulas={}))
    coefficients = records.read_zernikes(path)
    options = dict(pitch=9e-5, wavelength=633e-9, focal_length=0.1, pupil_radius=1e-3)
    lens = optics.FourierLens(8, **options, aberrations=coefficients)
    np.testing.assert_allclose(lens.aberrations, [0, 0, 0, 0.1], rtol=1e-6)


@pytest.mark.parametrize(("levels", "dac_levels"), [(256, 256), (256, 1024), (256, 4096), (1024, 4096)])
@pytest.mark.parametrize("delimiter", [" ", "\t"])
def test_tables_of_a_driver_with_more_bits(levels, dac_levels, delimiter, tmp_path):
    """Meadowlark's layout: grey level, level of the converter. The table undoes a panel's response."""
    grey = np.arange(levels)
    response = np.linspace(0, 1, dac_levels) ** 1.5  # in turns
    table = np.searchsorted(response, grey / levels).clip(0, dac_levels - 1)
    path = tmp_path / "slm5953_at785.lut"
    np.savetxt(path, np.c_[grey, table], fmt="%d", delimiter=delimiter)
    driver = records.read_table(path, levels, unit="level", dac_levels=dac_levels)
    read = np.asarray(driver.table[:-1], float) * dac_levels / (2 * np.pi)
    np.testing.assert_allclose(read, table, atol=1e-3)
    panel = optics.effects.PhaseLUT(2 * np.pi * np.append(response, response[-1]))
    light = jnp.exp(2j * jnp.pi * grey[1:-1] / levels)
    step = 2 * np.pi * np.diff(response).max()
    # Rounded up to the converter's next level.
    np.testing.assert_allclose(panel(driver(light, None), None), light, atol=1.5 * step + 1e-3)


def write_bitmap(path, levels, palette=None):
    image = Image.fromarray(levels)
    if palette is not None:
        image.putpalette(palette)
    image.save(path)
    return path


@pytest.mark.parametrize("shape", [(6, 8), (5, 7), (7, 5), (1, 1), (1024, 1272)])
@pytest.mark.parametrize("kind", ["bmp", "png"])
def test_corrections(kind, shape, tmp_path):
    levels = RNG.integers(0, 256, shape, dtype=np.uint8)
    path = write_bitmap(tmp_path / f"CAL_LSH0801531_690nm.{kind}", levels)
    correction = records.read_correction(path, shape=shape)
    assert correction.wavelength == pytest.approx(690e-9) and correction.phase.dtype == np.float32
    np.testing.assert_allclose(correction.phase, 2 * np.pi * levels / 256, rtol=1e-6)
    # Back to levels, as the vendor wrote them and as another library reads them.
    again = np.round(correction.phase * 256 / (2 * np.pi)).astype(np.uint8)
    np.testing.assert_array_equal(again, imageio.v3.imread(path))


def test_corrections_of_other_kinds(tmp_path):
    levels = RNG.integers(0, 217, (5, 7), dtype=np.uint8)
    path = write_bitmap(tmp_path / "correction.bmp", levels)
    correction = records.read_correction(path, wavelength=1064e-9, full_turn=217)
    assert correction.wavelength == 1064e-9
    np.testing.assert_allclose(correction.phase, 2 * np.pi * levels / 217, rtol=1e-6)
    # Rows from the top: a negative height.
    content = bytearray(path.read_bytes())
    content[22:26] = (-5).to_bytes(4, "little", signed=True)
    path.write_bytes(content)
    assert np.array_equal(imageio.v3.imread(path), levels[::-1])
    flipped = records.read_correction(path, wavelength=1064e-9, full_turn=217)
    np.testing.assert_array_equal(flipped.phase, correction.phase[::-1])
    # A palette of other greys.
    ramp = np.repeat(255 - np.arange(256), 3).tolist()
    write_bitmap(tmp_path / "CAL_633.5nm.bmp", levels, ramp)
    inverse = records.read_correction(tmp_path / "CAL_633.5nm.bmp")
    assert inverse.wavelength == pytest.approx(633.5e-9)
    np.testing.assert_allclose(inverse.phase, 2 * np.pi * (255.0 - levels) / 256, rtol=1e-6)


def test_a_correction_undoes_the_panel(tmp_path):
    """A panel with the opposite error shows a flat wavefront, to half a level."""
    error = 6 * X[:, :16] + 3 * Y[:, :16] ** 2
    levels = np.round(np.mod(-error, 2 * np.pi) * 256 / (2 * np.pi)).astype(int) % 256
    path = write_bitmap(tmp_path / "CAL_633nm.bmp", levels.astype(np.uint8))
    light = np.exp(1j * (error + records.read_correction(path).phase))
    assert np.abs(np.angle(light)).max() <= np.pi / 256 + 1e-6


def heights(shape=(40, 50)):
    """Raw heights of a round pupil, and where they are."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    pupil = (y - shape[0] / 2 + 0.5) ** 2 + (x - shape[1] / 2 + 0.5) ** 2 <= (min(shape) / 2) ** 2
    return np.where(pupil, RNG.integers(-9000, 9000, shape), INVALID), pupil


def test_metropro(tmp_path):
    pytest.importorskip("prysm.io")
    levels, pupil = heights()
    path = tmp_path / "flat.dat"
    for scale, obliquity in ((0.5, 1.0), (1.0, 0.75)):
        path.write_bytes(metropro(levels, pitch=1.2e-4, scale=scale, obliquity=obliquity))
        wavefront = records.read_wavefront(path)
        # MetroPro reference guide: W = z S O λ / R.
        expected = levels * scale * obliquity * 632.8e-9 / RESOLUTION
        np.testing.assert_array_equal(np.isnan(wavefront.opd), ~pupil)
        np.testing.assert_allclose(wavefront.opd[pupil], expected[pupil], rtol=1e-6)
        assert wavefront.pitch == pytest.approx(1.2e-4) and wavefront.wavelength == pytest.approx(632.8e-9)
        assert wavefront.scale == scale


def test_datx(tmp_path):
    pytest.importorskip("prysm.io")
    levels, pupil = heights()
    surface = np.where(pupil, levels / 100, np.nan)
    path = tmp_path / "flat.datx"
    write_datx(path, surface, pitch=5e-5)
    wavefront = records.read_wavefront(path)
    np.testing.assert_allclose(wavefront.opd, 1e-9 * surface, rtol=1e-12)
    assert wavefront[1:] == (5e-5, 632.8e-9, 0.5)
    write_datx(path, surface, Unit=np.array([b"Fringes"], dtype="S10"))
    np.testing.assert_allclose(records.read_wavefront(path).opd, surface * 0.5 * 632.8e-9, rtol=1e-12)


def test_coefficients_of_a_wavefront():
    """Known polynomials over a pupil that is neither round nor in the middle come back, with their pupil."""
    wavelength, pitch, radius, centre = 500e-9, 1e-4, 2.2e-3, (3e-4, -2e-4)
    y, x = (np.mgrid[:60, :64] - np.array([30, 32])[:, None, None]) * pitch
    x, y = (x - centre[1]) / radius, (y - centre[0]) / radius
    r, t = np.hypot(x, y), np.arctan2(y, x)
    values = RNG.standard_normal(16)
    opd = wavelength * sum(a * polynomial(r, t) for a, polynomial in zip(values, WYANT, strict=True))
    # A stop in the middle, a cut at a side, and samples beyond the pupil.
    opd[(r < 0.2) | (x > 0.8)] = np.nan
    fit = records.fit_zernikes(opd, pitch, wavelength, count=22, radius=radius, centre=centre)
    assert fit.radius == pytest.approx(radius) and fit.centre == pytest.approx(centre)
    assert fit.residual <= 1e-12
    expected = np.zeros(22)
    for k, a in enumerate(values, 1):
        n, m = wave.fringe(k)
        if wave.noll_index(n, m) <= 22:
            expected[wave.noll_index(n, m) - 1] += a / math.sqrt((n + 1) * (1 if m == 0 else 2))
    np.testing.assert_allclose(fit.coefficients, expected, atol=1e-11)
    # The pupil of light that a lens with them has.
    light = wave.aberration(opd.shape, pitch, fit.radius, fit.coefficients, fit.centre)
    inside = (r <= 1) & ~np.isnan(opd)
    assert relative(np.asarray(light)[inside], np.exp(2j * np.pi * opd[inside] / wavelength)) <= 1e-5


def test_the_pupil_is_found():
    opd = np.full((41, 51), np.nan)
    y, x = np.mgrid[:41, :51]
    inside = (y - 20) ** 2 + (x - 30) ** 2 <= 12.5**2
    opd[inside] = 1e-9 * RNG.standard_normal(inside.sum())
    fit = records.fit_zernikes(opd, 2e-5, 633e-9, count=4)
    assert fit.radius == pytest.approx(12.5 * 2e-5) and fit.centre == pytest.approx((0.0, 5 * 2e-5))
    # Against numpy's own least squares, in double precision.
    r, t = np.hypot(y - 20, x - 30)[inside] / 12.5, np.arctan2(y - 20, x - 30)[inside]
    basis = np.stack([f(r, t) for f in WYANT[:4]], axis=1) * [1, 2, 2, math.sqrt(3)]
    expected, left, *_ = np.linalg.lstsq(basis, opd[inside] / 633e-9, rcond=None)
    np.testing.assert_allclose(fit.coefficients, expected, rtol=1e-9)
    assert fit.residual == pytest.approx(math.sqrt(left[0] / inside.sum()))


def test_wavefronts_against_prysm(tmp_path):
    polynomials = pytest.importorskip("prysm.polynomials")
    y, x = np.mgrid[-1:1:61j, -1:1:61j]
    r, t = np.hypot(x, y), np.arctan2(y, x)
    values = RNG.standard_normal(11)
    opd = sum(c * polynomials.zernike_nm(*polynomials.noll_to_nm(j), r, t) for j, c in enumerate(values, 1))
    surface = np.where(r <= 1, 632.8 * opd, np.nan)
    path = tmp_path / "mirror.datx"
    write_datx(path, surface, pitch=1 / 30)
    wavefront = records.read_wavefront(path)
    fit = records.fit_zernikes(wavefront.opd, wavefront.pitch, wavefront.wavelength, count=11, radius=1.0)
    np.testing.assert_allclose(fit.coefficients, values, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(opd=np.zeros(5)), r"`opd` must be real and have the shape \(rows, columns\)"),
        (dict(opd=np.full((4, 4), np.inf)), "`opd` must be finite, or NaN"),
        (dict(opd=np.full((4, 4), np.nan)), "`opd` must have at least 3 samples"),
        (dict(pitch=-1.0), "`pitch` must be finite and above 0"),
        (dict(wavelength=0.0), "`wavelength` must be finite and above 0"),
        (dict(count=501), "`count` must be a whole number .* at most 500"),
        (dict(radius=1e-9), "`radius` must leave at least 3 samples"),
        (dict(centre=(0.0, np.nan)), "`centre` must be two finite numbers"),
        (dict(opd=np.where(np.eye(9) > 0, 1.0, np.nan)), "`count` must be smaller than 3"),
    ],
)
def test_fits_that_are_refused(changes, message):
    good = dict(opd=np.zeros((9, 9)), pitch=1e-3, wavelength=633e-9, count=3)
    with pytest.raises(ValueError, match=message):
        records.fit_zernikes(**(good | changes))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wave.osa(-1), "`index`"),
        (lambda: wave.fringe(0), "`index`"),
        (lambda: wave.fringe(2602), "`index`"),
        (lambda: wave.noll_index(2, 3), "`m`"),
        (lambda: wave.noll_index(2, 1), "`m` must be even where n is"),
        (lambda: wave.noll_index(101, 1), "`n`"),
    ],
)
def test_indices_that_do_not_exist(call, message):
    with pytest.raises(ValueError, match=message):
        call()
