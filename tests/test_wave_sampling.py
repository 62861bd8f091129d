"""The limits of a grid: warnings and their advice, the limit of the band, and shifted planes."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optics import wave
from tests.helpers import relative, with_slow

WAVELENGTH, N, DX = 532e-9, 64, 4e-6
CRITICAL = N * DX**2 / WAVELENGTH  # 1.92 mm


def rayleigh_sommerfeld(u, dx, z, points):
    """The first Rayleigh-Sommerfeld integral at points (y, x), no piston; Goodman (2005), eq. 3-43."""
    n = u.shape[0]
    x = (np.arange(n) - n // 2) * dx
    k = 2 * np.pi / WAVELENGTH
    across = (points[:, 0, None, None] - x[:, None]) ** 2 + (points[:, 1, None, None] - x) ** 2
    r = np.sqrt(across + z**2)
    return (
        np.sum(
            u * z / r * (1 / r - 1j * k) * np.exp(1j * k * across / (r + z)) / (2 * np.pi * r), axis=(1, 2)
        )
        * dx**2
    )


def row(shift=(0.0, 0.0)):
    """The points of the middle row of an N × N plane."""
    return np.stack([np.full(N, shift[0]), (np.arange(N) - N // 2) * DX + shift[1]], axis=1)


def off(result, expected):
    return np.max(np.abs(np.asarray(result)[N // 2] - expected)) / np.max(np.abs(expected))


SQUARE = wave.rectangle((N, N), DX, (128e-6, 128e-6))
BEAM = wave.gaussian((N, N), DX, 50e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optics.wave.SamplingWarning")
@pytest.mark.usefixtures("x64")
def test_the_band_limit_removes_what_comes_back():
    # At 5 critical distances the plain form is wrong by 1 % (a narrow beam) to 20 % (a square) of the peak.
    z = 5 * CRITICAL
    for u, close in ((np.asarray(BEAM, float), 1e-4), (np.asarray(SQUARE, float), 2e-2)):
        expected = rayleigh_sommerfeld(u, DX, z, row())
        plain, limited = (
            off(f(u, DX, WAVELENGTH, z), expected)
            for f in (wave.angular_spectrum, wave.band_limited_angular_spectrum)
        )
        assert limited <= close
        assert plain > 10 * limited


@pytest.mark.usefixtures("x64")
def test_a_shifted_plane_is_a_crop_of_a_large_one():
    z, shift = 3 * CRITICAL, (30, -80)  # samples; the window lies beyond the plane's edge
    beam = np.asarray(wave.gaussian((N, N), DX, 50e-6) * wave.tilt((N, N), DX, WAVELENGTH, (0.02, -0.05)))
    wide = np.zeros((512, 512), complex)
    wide[256 - N // 2 : 256 + N // 2, 256 - N // 2 : 256 + N // 2] = beam
    large = np.asarray(wave.angular_spectrum(wide, DX, WAVELENGTH, z))
    crop = large[256 + shift[0] - N // 2 :, 256 + shift[1] - N // 2 :][:N, :N]
    result = wave.band_limited_angular_spectrum(beam, DX, WAVELENGTH, z, (shift[0] * DX, shift[1] * DX))
    assert np.max(np.abs(crop)) > 0.1
    assert np.max(np.abs(result - crop)) <= 2e-4 * np.max(np.abs(large))
    # And by a part of a sample, against the integral.
    shift = (0.3 * DX, -80.6 * DX)
    result = wave.band_limited_angular_spectrum(beam, DX, WAVELENGTH, z, shift)
    expected = rayleigh_sommerfeld(beam, DX, z, row(shift))
    assert np.max(np.abs(result[N // 2] - expected)) <= 2e-4 * np.max(np.abs(large))


def test_zero_distance_changes_nothing():
    # Evanescent waves are on this grid, and stay.
    u = np.random.default_rng(0).normal(size=(N, N)).astype(np.complex64)
    for f in (wave.angular_spectrum, wave.band_limited_angular_spectrum, wave.fresnel):
        assert relative(f(u, WAVELENGTH / 4, WAVELENGTH, 0.0), u) <= 1e-6


def padded(u, n):
    before = n // 2 - N // 2
    return jnp.pad(u, (before, n - N - before))


# Each: a call beyond its sampling, its message, and the call that the message advises.
BROKEN = {
    "angular spectrum": (
        lambda: wave.angular_spectrum(SQUARE, DX, WAVELENGTH, 0.004),
        r"`z` of 0.004 m is beyond the critical distance .* = 0.0019.* of 64×64 samples, and .*e-0. of the "
        r"power .* pad `u` to 133 samples a side at this `dx`, or use `band_limited_angular_spectrum`",
        lambda: (
            wave.angular_spectrum(padded(SQUARE, 133), DX, WAVELENGTH, 0.004),
            wave.band_limited_angular_spectrum(SQUARE, DX, WAVELENGTH, 0.004),
        ),
    ),
    "angular spectrum, backwards": (
        lambda: wave.angular_spectrum(SQUARE, DX, WAVELENGTH, -0.004),
        "`z` of -0.004 m is beyond",
        lambda: wave.angular_spectrum(padded(SQUARE, 133), DX, WAVELENGTH, -0.004),
    ),
    "fresnel": (
        lambda: wave.fresnel(SQUARE, DX, WAVELENGTH, 0.004),
        "pad `u` to 133 samples a side at this `dx`, or use `fresnel_impulse_response`",
        lambda: (
            wave.fresnel(padded(SQUARE, 133), DX, WAVELENGTH, 0.004),
            wave.fresnel_impulse_response(SQUARE, DX, WAVELENGTH, 0.004),
        ),
    ),
    "impulse response": (
        lambda: wave.fresnel_impulse_response(SQUARE, DX, WAVELENGTH, 0.001),
        r"`z` of 0.001 m is below the critical distance .* use `fresnel`, crop `u` to 33 samples a side, "
        "or keep its width with `dx` of at most 2.07813e-06",
        lambda: (
            wave.fresnel(SQUARE, DX, WAVELENGTH, 0.001),
            wave.fresnel_impulse_response(SQUARE[16:49, 16:49], DX, WAVELENGTH, 0.001),
        ),
    ),
    "band limited, far": (
        lambda: wave.band_limited_angular_spectrum(SQUARE, DX, WAVELENGTH, 0.02),
        r"`z` of 0.02 m is beyond \(n dx\)² / \(10 λ\) = 0.0123188 m of 64 samples.* "
        "pad `u` to 82 samples a side at this `dx`, or use `zoom`",
        lambda: (
            wave.band_limited_angular_spectrum(padded(SQUARE, 82), DX, WAVELENGTH, 0.02),
            wave.zoom(SQUARE, DX, WAVELENGTH, 0.02, DX, (N, N)),
        ),
    ),
    "band limited, off the axis": (
        lambda: wave.band_limited_angular_spectrum(SQUARE, DX, WAVELENGTH, 0.004, (0.0, 0.001)),
        r"`shift` of 0.001 m at `z` of 0.004 m needs waves of 455\d+ cycles/m, "
        r"but `dx` of 4e-06 m holds 125000 cycles/m.*`dx` of at most 1.09\d+e-06 m",
        lambda: wave.band_limited_angular_spectrum(
            jnp.ones((256, 256)), 1.09e-6, WAVELENGTH, 0.004, (0.0, 0.001)
        ),
    ),
    "fraunhofer": (
        lambda: wave.fraunhofer(SQUARE, DX, WAVELENGTH, 0.05),
        r"`z` of 0.05 m is not in the far field of light 0.00013\d* m wide, which begins at "
        "2 D² / λ = 0.06.* use `zoom`.* or `focus`",
        lambda: (
            wave.zoom(SQUARE, DX, WAVELENGTH, 0.05, 30e-6, (N, N)),
            wave.focus(SQUARE, DX, WAVELENGTH, 0.05),
        ),
    ),
    "zoom": (
        lambda: wave.zoom(SQUARE, DX, WAVELENGTH, 0.005, 8e-6, (N, 2 * N), (0.0, 1e-5)),
        r"`shape` of 128 samples at `dx_out` of 8e-06 m reaches 0.000522 m .* "
        r"λ \|z\| / \(2 dx\) = 0.0003325 m .* `dx` of at most 2.547\d+e-06 m, or ask for 80 samples",
        lambda: wave.zoom(SQUARE, 2.547e-6, WAVELENGTH, 0.005, 8e-6, (N, 2 * N), (0.0, 1e-5)),
    ),
}


@pytest.mark.parametrize(
    "name", with_slow(BROKEN, ("angular spectrum, backwards", "band limited, off the axis", "zoom"))
)
@pytest.mark.every(2)
def test_a_broken_condition_warns_and_its_advice_works(name):
    call, message, advised = BROKEN[name]
    with pytest.warns(wave.SamplingWarning, match=message) as caught:
        call()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    advised()  # a warning is an error here


def test_no_false_alarm():
    # Exactly at the critical distance, in single precision too.
    for cast in (float, np.float32, jnp.float32):
        numbers = cast(DX), cast(WAVELENGTH), cast(CRITICAL)
        wave.angular_spectrum(SQUARE, *numbers)
        wave.fresnel(SQUARE, *numbers)
        wave.fresnel_impulse_response(SQUARE, *numbers)
        wave.zoom(SQUARE, *numbers, cast(DX), (N, N))
    # Beyond it, with light whose band the grid carries.
    wave.angular_spectrum(wave.gaussian((N, N), DX, 40e-6), DX, WAVELENGTH, 2.2 * CRITICAL)
    # Light that fills little of the plane, none at all, and a line.
    wave.fraunhofer(jnp.zeros((N, N)).at[20, 30].set(1.0), DX, WAVELENGTH, 0.01)
    wave.fraunhofer(jnp.zeros((N, N)), DX, WAVELENGTH, 0.01)
    wave.angular_spectrum(jnp.zeros((N, N)), DX, WAVELENGTH, 1.0)
    wave.angular_spectrum(SQUARE[:1], DX, WAVELENGTH, CRITICAL)


def test_traced_numbers_are_not_looked_at():
    def everything(u, z):
        near = wave.angular_spectrum(u, DX, WAVELENGTH, z) + wave.fresnel(u, DX, WAVELENGTH, z)
        far = wave.fraunhofer(u, DX, WAVELENGTH, z) + wave.fresnel_impulse_response(u, DX, WAVELENGTH, z)
        zoomed = wave.zoom(u, DX, WAVELENGTH, z, DX, (N, N))
        return near, far, zoomed, wave.band_limited_angular_spectrum(u, DX, WAVELENGTH, z, (1.0, 0.0))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.eval_shape(everything, SQUARE, 0.001)
        jax.eval_shape(lambda u: wave.angular_spectrum(u, DX, WAVELENGTH, 1.0), SQUARE)


def test_critical_distance():
    assert wave.critical_distance((100, 200), 1e-5, 5e-7) == pytest.approx(0.02)
    assert wave.critical_distance((1, 200), 1e-5, 5e-7) == pytest.approx(0.04)
    assert wave.critical_distance((1, 1), 1e-5, 5e-7) == np.inf


GOOD = dict(u=SQUARE, dx=DX, wavelength=WAVELENGTH, z=0.004)
BAD = [
    (dict(u=jnp.ones(8)), "`u`"),
    (dict(dx=-1e-6), r"`dx` must be finite and above 0 m, got -1e-06"),
    (dict(wavelength=0.0), "`wavelength`"),
    (dict(z=float("nan")), "`z`"),
]


@pytest.mark.parametrize(
    "f", [wave.band_limited_angular_spectrum, wave.fresnel, wave.fresnel_impulse_response, wave.fraunhofer]
)
@pytest.mark.parametrize(("changes", "message"), BAD)
def test_refusals_of_all(f, changes, message):
    with pytest.raises(ValueError, match=message):
        f(**GOOD | changes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: wave.fresnel_impulse_response(**GOOD | dict(z=0.0)),
            r"`z` must not be zero, got 0 m; over short distances use",
        ),
        (lambda: wave.zoom(**GOOD | dict(z=0), dx_out=DX, shape=(8, 8)), "`z`"),
        (
            lambda: wave.zoom(**GOOD | dict(z="far"), dx_out=DX, shape=(8, 8)),
            "`z`",
        ),
        (lambda: wave.zoom(**GOOD, dx_out=0.0, shape=(8, 8)), "`dx_out`"),
        (
            lambda: wave.zoom(**GOOD, dx_out=DX, shape=(8, 0)),
            "`shape`",
        ),
        (
            lambda: wave.zoom(**GOOD, dx_out=DX, shape=[8.5, 8]),
            "`shape`",
        ),
        (
            lambda: wave.zoom(**GOOD, dx_out=DX, shape=[8]),
            "`shape`",
        ),
        (
            lambda: wave.zoom(**GOOD, dx_out=DX, shape=(8, 8), shift=1e-3),
            "`shift`",
        ),
        (
            lambda: wave.band_limited_angular_spectrum(**GOOD, shift=(0.0, np.inf)),
            "`shift`",
        ),
        (lambda: wave.band_limited_angular_spectrum(**GOOD, shift=np.zeros(3)), "`shift`"),
        (lambda: wave.fraunhofer(**GOOD | dict(z=-0.1)), "`z`"),
        (lambda: wave.focus(SQUARE, DX, WAVELENGTH, 0.0), "`focal_length`"),
        (lambda: wave.focus(SQUARE, DX, -1.0, 0.1), "`wavelength`"),
        (lambda: wave.fraunhofer_spacing((8, 8), DX, WAVELENGTH, 0.0), "`z`"),
        (
            lambda: wave.fraunhofer_spacing((8, -8), DX, WAVELENGTH, 0.1),
            "`shape`",
        ),
        (lambda: wave.critical_distance((8, 8), 0.0, WAVELENGTH), "`dx`"),
        (lambda: wave.critical_distance([8, True], DX, WAVELENGTH), "`shape`"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
