"""Camera in the loop: drives refined on a bench that its twin does not know, against NumPy in double."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics import effects, encode
from tests import slmsuite_bench
from tests.helpers import compiled_programs, relative

N = 8
TABLE = 2 * np.pi * 0.9 * np.linspace(0, 1, 33) ** 1.3
Y, X = (np.indices((N, N)) - (N - 1) / 2) / (N / 2)
WAVEFRONT = np.exp(1j * (1.2 * X * Y + 0.8 * X**2))
READ = optics.Intensity(lambda amplitude: amplitude)
TWIN = optics.FourierProcessor(optics.dft(N), READ, (effects.PhaseQuantize(8),), full_scale=12.0)
UNIT = optics.FourierProcessor(
    optics.dft(N),
    READ,
    (effects.PhaseQuantize(8), effects.PhaseLUT(TABLE), effects.Gain(jnp.asarray(WAVEFRONT, jnp.complex64))),
    (effects.Read(1e-4),),
    full_scale=12.0,
)
# A picture in the middle of the camera; the light around it is free.
WEIGHT = np.pad(np.ones((4, 4), np.float32), 2)
WANTED = WEIGHT * np.random.default_rng(0).uniform(0.3, 1, (N, N)).astype(np.float32)
START = TWIN.prepare(jnp.exp(1j * jax.random.normal(jax.random.key(1), (N, N))))


def refine(device=UNIT, wanted=WANTED, start=START, twin=TWIN, rounds=10, **options):
    options = {"brightness": "free", "weight": WEIGHT, **options}
    return optics.refine_pattern(device, wanted, start, twin, rounds, **options)


def amplitudes(drive):
    """What the unit sends to its camera, in double precision, without rounding of phases."""
    phase = np.mod(np.angle(np.asarray(drive, complex)), 2 * np.pi)
    light = np.exp(1j * np.interp(phase / (2 * np.pi), np.linspace(0, 1, 33), TABLE)) * WAVEFRONT
    return np.abs(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(light), norm="ortho")))


def error_up_to_a_factor(result, wanted=WANTED):
    """Where light is wanted, in double precision."""
    result = result * (wanted > 0)
    return relative(np.vdot(result, wanted) / np.vdot(result, result) * result, wanted)


def test_the_camera_mends_what_the_twin_does_not_know(key):
    alone = refine(TWIN, rounds=15)
    mended = refine(start=alone.exposure, key=key)
    believed, lost, kept = alone.errors.min(), mended.errors[0], mended.errors.min()
    assert believed < 0.02 and lost > 0.12 and kept < 0.05
    assert mended.exposures == 11 and mended.errors.shape == (11,)
    for exposure, stated in ((alone.exposure, lost), (mended.exposure, kept)):
        assert error_up_to_a_factor(amplitudes(exposure.drive[0])) == pytest.approx(float(stated), abs=0.01)
    # Settings stay, and so do amplitudes.
    assert mended.exposure.full_scale is START.full_scale
    np.testing.assert_allclose(np.abs(mended.exposure.drive), 1, atol=1e-5)
    # One step on the twin after each exposure takes more of them.
    slow = refine(start=alone.exposure, steps=1, key=key)
    assert 1.5 * kept < slow.errors.min() < lost


def test_a_key_a_program_and_a_population(key):
    run = lambda unit, key: refine(unit, rounds=3, key=key)  # noqa: E731
    first, again, other = run(UNIT, key), run(UNIT, key), run(UNIT, jax.random.key(8))
    np.testing.assert_array_equal(first.errors, again.errors)
    assert np.any(first.errors != other.errors)
    with compiled_programs() as programs:
        brighter = eqx.tree_at(lambda d: d.slm[1].table, UNIT, UNIT.slm[1].table * 1.01)
        refine(brighter, rounds=9, rate=0.06, key=key)
        assert not [p for p in programs if p > 0.3]
    # In one program, for a population.
    tables = jnp.stack([UNIT.slm[1].table, brighter.slm[1].table])
    units = jax.jit(
        jax.vmap(lambda table: run(eqx.tree_at(lambda d: d.slm[1].table, UNIT, table), key).errors)
    )(tables)
    np.testing.assert_allclose(units[0], first.errors, rtol=1e-3)
    assert relative(units[1], units[0]) > 1e-3


def test_planes_are_refined_each_on_its_own(key):
    start = TWIN.prepare(jnp.exp(1j * jax.random.normal(key, (2, N, N))))
    refined = refine(start=start, wanted=np.stack([WANTED, WANTED.T]), rounds=6)
    assert refined.errors.shape == (7, 2) and refined.exposures == 14
    smallest = refined.errors.min(axis=0)
    assert np.all(smallest < 0.2 * refined.errors[0])
    for drive, wanted, stated in zip(refined.exposure.drive, (WANTED, WANTED.T), smallest, strict=True):
        assert error_up_to_a_factor(amplitudes(drive[0]), wanted) == pytest.approx(float(stated), abs=0.02)


@pytest.mark.parametrize("vary", ["amplitude", "both"])
def test_fields_of_an_interferometer(vary, key):
    """Emitters that are wrong by 20 %: what is free mends what it can."""
    twin = optics.FourierProcessor(optics.dft(5), optics.PhaseShifting(4))
    gain = jnp.exp(0.2 * jax.random.normal(key, (5, 5)) + 0.2j * jax.random.normal(jax.random.key(3), (5, 5)))
    unit = twin.with_stages(slm=(effects.Gain(gain),))
    numbers = 0.6 * jnp.exp(2j * jax.random.normal(jax.random.key(4), (5, 5))).at[0, 0].mul(1.6)
    start, wanted = twin.prepare(numbers), twin.transform(numbers)
    refined = optics.refine_pattern(unit, wanted, start, twin, 10, vary=vary)
    share = float(refined.errors.min() / refined.errors[0])
    assert share < {"amplitude": 0.8, "both": 0.1}[vary]
    # Four frames each.
    assert refined.exposures == 11 * 4
    drive = np.asarray(refined.exposure.drive)
    assert np.max(np.abs(drive)) <= 1 + 1e-6
    if vary == "amplitude":
        kept = np.abs(drive) > 0
        np.testing.assert_allclose(np.angle(drive)[kept], np.angle(start.drive)[kept], atol=1e-5)
    if vary == "both":
        # What undoes the gain, by hand.
        free = np.abs(drive) < 0.99
        np.testing.assert_allclose(drive[free], np.asarray(start.drive / gain)[free], atol=0.1)


def test_hardware_is_called_once_a_round(key):
    calls = []

    def forward(drive, full_scale):
        calls.append(drive.shape)
        return amplitudes(drive[0])[None, None].astype(np.float32) ** 2 / full_scale[..., None] ** 2

    bench = optics.External(forward, TWIN)
    refined = optics.refine_pattern(bench, WANTED, START, rounds=10, weight=WEIGHT, brightness="free")
    assert calls == [(1, N, N)] * 11 and refined.exposures == 11
    assert refined.errors.min() < 0.3 * refined.errors[0]


def test_on_the_bench_of_others():
    """slmsuite's simulated panel hides a table of phases: its truth, and what its camera sees."""
    hidden = slmsuite_bench.make_bench(16, (24, 26), (12, 13))
    hidden.cam.set_exposure(5.0)
    light = effects.Gain(jnp.asarray(hidden.light, jnp.complex64))
    twin = slmsuite_bench.twin_of(16, effects.PhaseQuantize(8), light, full_scale=4.0)
    bench = optics.External.from_slmsuite(hidden.fs, twin)
    weight = np.pad(np.ones((8, 8), np.float32), 4)
    wanted = weight * np.random.default_rng(0).uniform(0.3, 1, (16, 16)).astype(np.float32)
    start = twin.prepare(jnp.exp(1j * jax.random.normal(jax.random.key(0), (16, 16))))
    refined = optics.refine_pattern(bench, wanted, start, rounds=12, weight=weight, brightness="free")
    # A drive of the twin alone, which believes 0.02 at most of it, has 0.2 here.
    assert refined.errors.min() < 0.02 and refined.errors[0] > 0.6
    phase = np.mod(np.angle(np.asarray(refined.exposure.drive[0], complex)), 2 * np.pi)
    table = np.interp(phase, np.linspace(0, 2 * np.pi, 257), slmsuite_bench.TRUE_TABLE)
    field = np.fft.fft2(np.fft.ifftshift(hidden.light * np.exp(1j * table)))
    truth = error_up_to_a_factor(np.abs(np.fft.fftshift(field)), wanted)
    assert truth == pytest.approx(float(refined.errors.min()), abs=0.01)


def test_weights_leave_pixels_free():
    everywhere, inside = refine(TWIN, weight=None), refine(TWIN)
    assert inside.errors[-1] < 0.5 * everywhere.errors[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": optics.Correlator(optics.dft(N))}, "`device` must be an `External` or a"),
        ({"twin": None}, "`twin` must be a `FourierProcessor`"),
        ({"twin": optics.FourierProcessor(optics.dft(4))}, r"`twin` must have the shape \(8, 8\)"),
        ({"start": jnp.ones((N, N))}, "`start` must be a `Exposure`"),
        ({"start": START._replace(drive=jnp.ones((1, 4, 4)))}, "`start` must hold a drive of shape"),
        (
            {"twin": optics.FourierProcessor(optics.dft(N), optics.Coherent())},
            "`twin` must have the measurement of `device`",
        ),
        ({"wanted": WANTED[:4]}, r"`wanted` must have the shape \(8, 8\)"),
        ({"wanted": 1j * WANTED}, "`wanted` must be real"),
        ({"wanted": np.full((N, N), np.nan)}, "`wanted` must be finite"),
        ({"wanted": 0 * WANTED}, "`wanted` must hold light"),
        ({"weight": -WANTED}, "`weight`"),
        ({"weight": 1 - WEIGHT}, "`weight` must be above 0 somewhere"),
        ({"weight": np.ones((4, 4))}, "`weight` must have the shape"),
        ({"rounds": 0}, "`rounds`"),
        ({"steps": 0}, "`steps`"),
        ({"rate": 0.0}, "`rate`"),
        ({"vary": "drive"}, "`vary`"),
        ({"brightness": "any"}, "`brightness`"),
        ({"key": 3}, "`key`"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        refine(**options)


def test_what_a_modulator_cannot_set_is_not_varied():
    twin = optics.FourierProcessor(optics.dft(4), encoder=encode.DoublePhase())
    numbers = jnp.full((4, 4), 0.5)
    with pytest.raises(ValueError, match="`vary` must be 'phase', which is all that the modulator of Double"):
        optics.refine_pattern(twin, numbers, twin.prepare(numbers), twin, 1, vary="both")
    twin = optics.FourierProcessor(optics.dft(4), encoder=encode.BitPlanes(2))
    with pytest.raises(ValueError, match="the mirrors of BitPlanes are on or off"):
        optics.refine_pattern(twin, numbers, twin.prepare(numbers), twin, 1, vary="amplitude")
    twin = optics.FourierProcessor(optics.dft(4), encoder=encode.Amplitude(4))
    with pytest.raises(ValueError, match="`vary` must be 'amplitude'"):
        optics.refine_pattern(twin, numbers, twin.prepare(numbers), twin, 1)
