"""Refractive indices against data sheets and other measurements, and the focus of a singlet by colour."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from optics import glass, wave

# Fraunhofer lines: yellow helium, blue and red hydrogen, m.
D, F, C = 587.5618e-9, 486.1327e-9, 656.2725e-9


def test_the_data_sheet_of_n_bk7(x64):
    n_d, n_f, n_c = (float(glass.index("N-BK7", line)) for line in (D, F, C))
    assert (round(n_d, 5), round(n_f, 5), round(n_c, 5)) == (1.51680, 1.52238, 1.51432)
    assert round((n_d - 1) / (n_f - n_c), 2) == 64.17
    # Other lines of the same sheet: mercury i, e and g, cadmium C', caesium s, a laser.
    sheet = {365.0e-9: 1.53627, 546.07e-9: 1.51872, 435.83e-9: 1.52668, 643.85e-9: 1.51472}
    sheet |= {852.11e-9: 1.50980, 1060.0e-9: 1.50669}
    for line, n in sheet.items():
        assert glass.index("N-BK7", line) == pytest.approx(n, abs=1.1e-5)


def test_fused_silica(x64):
    """Catalogues; the group index at 1.55 µm is 1.4626, and dispersion vanishes at 1.273 µm."""
    for line, n in ((D, 1.45846), (F, 1.46313), (C, 1.45637)):
        assert glass.index("fused silica", line) == pytest.approx(n, abs=1e-5)
    assert glass.group_index("fused silica", 1.55e-6) == pytest.approx(1.4626, abs=5e-5)
    wavelength = np.linspace(1.1e-6, 1.5e-6, 4001)
    lowest = wavelength[np.argmin(glass.group_index("fused silica", wavelength))]
    assert lowest == pytest.approx(1.273e-6, abs=1e-9)


def test_silicon(x64):
    """Against other measurements at 26 °C: Edwards and Ochoa, Appl. Opt. 19, 4130 (1980); and at 20 °C, where
    it is 1.1e-3 lower: Li, J. Phys. Chem. Ref. Data 9, 561 (1980).
    """
    microns = np.linspace(2.44, 11, 50)
    near = 1 / (microns**2 - 0.028)
    measured = (
        3.41983 + 0.159906 * near - 0.123109 * near**2 + 1.26878e-6 * microns**2 - 1.95104e-9 * microns**4
    )
    np.testing.assert_allclose(glass.index("silicon", microns * 1e-6), measured, atol=5e-3)
    table = {1.36: 3.4941, 1.55: 3.4757, 2.0: 3.4510, 3.0: 3.4302, 5.0: 3.4195, 10.0: 3.4150}
    colder = [float(glass.index("silicon", w * 1e-6)) - n for w, n in table.items()]
    assert min(colder) > 1e-3 and max(colder) < 3.5e-3
    # Handbook of Optics, 3rd edition, volume 4 (2009).
    assert glass.index("silicon", 6.18e-6) == pytest.approx(3.42009, abs=1e-5)


def test_liquid_crystals(x64):
    """Against other measurements: of E7, Li et al., J. Disp. Technol. 1, 51 (2005); of 5CB at 25.1 °C, Wu et
    al., Opt. Eng. 32, 1775 (1993).
    """
    microns = np.linspace(0.54, 0.65, 20)
    for name, (a, b, c) in (
        ("ordinary", (1.4990, 0.0072, 0.0003)),
        ("extraordinary", (1.6933, 0.0078, 0.0028)),
    ):
        measured = a + b / microns**2 + c / microns**4
        np.testing.assert_allclose(glass.index(f"E7 {name}", microns * 1e-6), measured, atol=3e-3)
    for name, (a, b, c) in (
        ("ordinary", (0.4136, 1.3515, 0.4699)),
        ("extraordinary", (0.4552, 2.325, 1.397)),
    ):
        measured = 1 + a + b / (22.6757 - microns**-2) + c / (12.5748 - microns**-2)
        np.testing.assert_allclose(glass.index(f"5CB {name}", microns * 1e-6), measured, atol=7e-3)
    # Birefringence falls from blue to red, as in all nematics.
    for name in ("E7", "5CB"):
        slow, fast = (glass.index(f"{name} {ray}", microns * 1e-6) for ray in ("extraordinary", "ordinary"))
        assert np.all(np.diff(slow - fast) < 0)


def test_ranges_and_names():
    ranges = {"N-BK7": (0.3, 2.5), "fused silica": (0.21, 3.71), "silicon": (1.357, 11.04)}
    ranges |= {f"5CB {ray}": (0.45, 0.656) for ray in ("ordinary", "extraordinary")}
    ranges |= {f"E7 {ray}": (0.532, 1.7) for ray in ("ordinary", "extraordinary")}
    assert glass.names() == list(ranges)
    for name, (shortest, longest) in ranges.items():
        # In single precision too.
        ends = np.array([shortest, longest]) * 1e-6
        assert np.all(np.isfinite(glass.index(name, ends.astype(np.float32))))
        for outside in (0.999 * ends[0], 1.001 * ends[1]):
            for call in (glass.index, glass.group_index):
                with pytest.raises(
                    ValueError, match=f"`wavelength` must be from {shortest:g} to {longest:g} µm"
                ):
                    call(name, [ends[0], outside])
            with pytest.raises(ValueError, match="`design_wavelength` must be from"):
                glass.focal_length(name, 0.1, outside, ends[0])
    with pytest.raises(ValueError, match="`name` must be"):
        glass.index("BK7", D)
    with pytest.raises(ValueError, match="`focal_length` must not be 0 m"):
        glass.focal_length("N-BK7", 0.0, D, F)


@pytest.mark.parametrize("name", glass.names())
def test_slopes(name, x64):
    low, high = (0.54, 0.65) if "ordinary" in name else (1.4, 2.4)
    wavelength = np.linspace(low, high, 7) * 1e-6
    step = 1e-4 * wavelength
    slope = (glass.index(name, wavelength + step) - glass.index(name, wavelength - step)) / (2 * step)
    group = glass.index(name, wavelength) - wavelength * slope
    np.testing.assert_allclose(glass.group_index(name, wavelength), group, rtol=1e-7)

    def focal(f, design, seen):
        return glass.focal_length(name, f, design * 1e-6, seen * 1e-6)

    check_grads(jax.jit(focal), (0.1, low, high), order=1, modes=["fwd", "rev"])


def test_single_precision_and_transformations():
    wavelength = np.linspace(0.4e-6, 0.7e-6, 20)
    low = jax.jit(lambda w: glass.index("N-BK7", w))(wavelength)
    with jax.enable_x64(True):
        high = np.asarray(glass.index("N-BK7", wavelength))
    assert low.dtype == jnp.float32
    # Numbers that are known, in a program that is traced.
    shift = jax.jit(lambda w: glass.focal_length("N-BK7", jnp.float32(0.1), jnp.float32(D), w))(F)
    assert shift == pytest.approx(float(glass.focal_length("N-BK7", 0.1, D, F)), rel=1e-6)
    np.testing.assert_allclose(low, high, rtol=3e-7)
    np.testing.assert_allclose(jax.vmap(lambda w: glass.index("N-BK7", w))(jnp.asarray(wavelength)), low)
    assert np.all(
        np.isfinite(jax.vmap(jax.grad(lambda w: glass.group_index("N-BK7", w)))(jnp.asarray(wavelength)))
    )


def test_chromatic_focal_shift_against_the_lensmaker(x64):
    """f of a plano-convex singlet of radius R is R / (n − 1)."""
    radius = 0.1 * (float(glass.index("N-BK7", D)) - 1)
    indices = {F: 1.52238, C: 1.51432, 1060.0e-9: 1.50669}  # of the data sheet
    for wavelength, n in indices.items():
        assert glass.focal_length("N-BK7", 0.1, D, wavelength) == pytest.approx(radius / (n - 1), rel=1e-4)
    # Its spread from blue to red is f / V.
    spread = glass.focal_length("N-BK7", 0.1, D, C) - glass.focal_length("N-BK7", 0.1, D, F)
    assert spread == pytest.approx(0.1 / 64.17, rel=1e-2)
    assert glass.focal_length("N-BK7", -0.1, D, D) == pytest.approx(-0.1, rel=1e-12)


@pytest.mark.parametrize("name, colours", [("N-BK7", (F, D, C)), ("silicon", (1.4e-6, 1.55e-6, 2e-6))])
def test_light_through_the_glass_is_focused_there(name, colours, x64):
    """A wave through the paraxial sag of a plano-convex lens, and where it is brightest on the axis.

    Fresnel diffraction puts |U|² z² on the axis symmetric about 1/z = 1/f (Li and Wolf, 1981).
    """
    f, design, n, stop = 0.02, colours[1], 256, 0.6e-3
    dx = 2.2 * stop / n
    radius = f * (float(glass.index(name, design)) - 1)
    r2 = np.add.outer(*[(dx * (np.arange(n) - n // 2)) ** 2] * 2)
    thinner, opening = -r2 / (2 * radius), np.asarray(wave.aperture((n, n), dx, stop))

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(None, None, 0))
    def bright(field, wavelength, power):
        on_axis = wave.zoom(field, dx, wavelength, 1 / power, 1e-6, (1, 1))[0, 0]
        return jnp.abs(on_axis) ** 2 / power**2

    for wavelength in colours:
        lens = np.exp(2j * np.pi / wavelength * (float(glass.index(name, wavelength)) - 1) * thinner)
        expected = float(glass.focal_length(name, f, design, wavelength))
        # Half the depth of focus around the place, off its middle so that nothing cancels.
        powers = 1 / expected + 0.5 * wavelength / stop**2 * np.linspace(-1.1, 0.9, 9)
        fit = np.polynomial.Polynomial.fit(powers, bright(lens * opening, wavelength, powers), 6)
        extrema = fit.deriv().roots()
        peak = min(extrema[abs(extrema.imag) < 1e-9].real, key=lambda p: abs(p - 1 / expected))
        assert 1 / peak == pytest.approx(expected, rel=1e-6)
