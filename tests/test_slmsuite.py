"""slmsuite's simulated bench, whose table of phases, wavefront and camera placement nobody tells us: its
calibration files read back, its frames through `External`, recorded and replayed, a layer trained with it.
"""

import dataclasses
import json
import logging
import shutil
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_digits

import optics
from optics import effects, wave
from optics.records import (
    as_levels,
    panel_phase,
    read_recording,
    read_slmsuite,
    record_frames,
    replay_frames,
    write_bitmap,
    write_phase,
    write_slmsuite,
)
from tests.helpers import relative
from tests.slmsuite_bench import (
    TRUE_TABLE,
    believed_twin,
    drives,
    exposures,
    fit_to,
    make_bench,
    twin_of,
)

with warnings.catch_warnings():
    # It warns that there is no cupy.
    warnings.simplefilter("ignore")
    pytest.importorskip("slmsuite", reason='slmsuite is not installed: pip install "lensformer[slmsuite]"')
    from slmsuite.hardware.cameras.simulated import GaussianDetectorNoise
    from slmsuite.hardware.cameraslms import FourierSLM
    from slmsuite.holography.toolbox import convert_vector
    from slmsuite.holography.toolbox import phase as patterns
h5py = pytest.importorskip("h5py")


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        # Its own, of old names and of patterns that it finds unusual.
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """A bench that slmsuite calibrated, and the files that it wrote, by kind."""
    logging.disable(logging.WARNING)
    bench = make_bench(128, (140, 144), (71, 73))
    folder = str(tmp_path_factory.mktemp("calibrations"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bench.cam.set_exposure(0.6)
        bench.fs.settle_calibrate(vector=(0.005, 0.005), times=np.linspace(0, 0.004, 4), plot=-1)
        bench.fs.pixel_calibrate(levels=16, periods=[4], orders=1, plot=-1)
        bench.fs.pixel_calibration_process()
        bench.cam.set_exposure(100)
        bench.fs.wavefront_calibrate_superpixel(superpixel_size=16, plot=-1)
        spots = convert_vector([[91.0, 46.0], [91.0, 51.0]], "ij", "zernike", hardware=bench.fs)
        bench.fs.wavefront_calibrate_zernike(spots, [2, 1, 4, 3, 12], plot=-1)
        bench.files = {kind: bench.fs.save_calibration(kind, folder) for kind in bench.fs.calibrations}
        bench.whole = bench.fs.save(folder)
        bench.slm.set_gamma(None)
    return bench


def test_the_affine_map_is_read_as_slmsuite_has_it(calibrated):
    record = read_slmsuite(calibrated.files["fourier"])
    assert record.kinds == ("fourier",) and record.version == "0.5.0"
    assert np.array_equal(record.M, calibrated.M) and np.array_equal(record.b, calibrated.b)
    assert record.panel == (128, 128) and record.camera == (144, 140)
    assert (record.bits, record.camera_bits) == (8, 12)
    assert record.pitch == pytest.approx((8e-6, 8e-6)) and record.wavelength == pytest.approx(633e-9)
    assert record.focal_length == pytest.approx(calibrated.fs.get_effective_focal_length("m")[0])
    assert record.rotation == pytest.approx(-np.pi / 2) and not record.is_mirrored
    lens = record.lens(16, group=8)
    assert lens.shape == (16, 16) and float(lens.pitch) == pytest.approx(64e-6)
    assert float(lens.focal_length) == pytest.approx(record.focal_length)


def test_the_angle_and_the_mirror_are_those_that_slmsuite_was_built_with(tmp_path):
    bench = make_bench(16, (24, 26), (12, 13))
    for theta, flip in ((0.3, 1), (-2.0, 1), (0.3, -1)):
        M, b = bench.cam.build_affine(f_eff=9000.0, units="norm", theta=theta, offset=(11, 12))
        bench.fs.fourier_calibrate_analytic(M @ np.diag([1, flip]), b)
        record = read_slmsuite(bench.fs.save_calibration("fourier", str(tmp_path)))
        assert record.focal_length == pytest.approx(9000 * 633e-9, rel=1e-6)
        # slmsuite's angle turns the picture the other way where its y points down.
        assert abs(record.rotation) == pytest.approx(abs(theta), abs=1e-6)
        assert record.is_mirrored == (flip < 0)


def test_the_phase_table_is_the_hidden_one(calibrated):
    record = read_slmsuite(calibrated.files["pixel"])
    cal = calibrated.fs.calibrations["pixel"]
    assert np.array_equal(record.levels, cal["levels"])
    assert np.allclose(record.gamma, 2 * np.pi * cal["gamma"], rtol=1e-12)
    assert record.gamma_quality == pytest.approx(cal["gamma_r2"])
    table = np.asarray(record.phase_table().table)
    # Between the measured levels; at both ends slmsuite guesses.
    error = (table - TRUE_TABLE)[16:-16]
    assert np.std(error) < 0.01
    with pytest.raises(ValueError, match="`table` must be sorted"):
        dataclasses.replace(record, gamma=-record.gamma).phase_table()


def test_the_wavefront_is_the_hidden_one(calibrated):
    record = read_slmsuite(calibrated.files["wavefront_superpixel"])
    cal = calibrated.fs.calibrations["wavefront_superpixel"]
    assert np.array_equal(record.correction, cal["phase"], equal_nan=True)
    assert np.array_equal(record.slope[..., 0], cal["kx"], equal_nan=True)
    assert np.array_equal(record.quality, cal["r2_fit"], equal_nan=True)
    for pixels, group in ((128, 1), (16, 8)):
        plate, light = record.plate(pixels, group), calibrated.light
        light = light.reshape(pixels, group, pixels, group).mean((1, 3))
        overlap = abs(np.vdot(plate, light)) ** 2 / np.vdot(plate, plate).real / np.vdot(light, light).real
        conjugate = abs(np.vdot(plate.conj(), light)) ** 2
        assert overlap > 0.95 and conjugate < 0.8 * abs(np.vdot(plate, light)) ** 2


def test_zernike_coefficients_are_those_of_our_polynomials(calibrated):
    record = read_slmsuite(calibrated.files["wavefront_zernike"])
    cal = calibrated.fs.calibrations["wavefront_zernike"]
    slm = calibrated.slm
    x, y = (np.asarray(g) * s for g, s in zip(slm.grid, slm.zernike_scaling, strict=True))
    for point in (0, 1):
        theirs = patterns.zernike_sum(slm, cal["zernike_indices"], cal["corrected_spots"][:, point])
        ours = sum(
            float(c) * np.asarray(wave.zernike_xy(int(j), x, y))
            for j, c in zip(record.zernike_index, record.zernike_correction[:, point], strict=True)
        )
        assert np.allclose(2 * np.pi * ours, theirs, atol=2e-3)
        aberrations = record.aberrations(point)
        assert np.all(aberrations[:3] == 0)
        assert aberrations[10] == pytest.approx(
            -record.zernike_correction[list(record.zernike_index).index(11), point]
        )


def test_the_settling_time_and_a_whole_bench(calibrated):
    measured = calibrated.fs.calibrations["settle"]["settle_time"]
    assert read_slmsuite(calibrated.files["settle"]).settle_time == pytest.approx(measured)
    assert read_slmsuite(calibrated.files["fourier"]).settle_time == 0
    whole = read_slmsuite(calibrated.whole)
    assert set(whole.kinds) == set(calibrated.files)
    assert np.array_equal(whole.M, calibrated.M) and whole.settle_time == pytest.approx(measured)
    with pytest.raises(ValueError, match=r"`gamma` needs a pixel calibration, but .* holds fourier"):
        read_slmsuite(calibrated.files["fourier"]).phase_table()
    with pytest.raises(ValueError, match="do not fit on the panel"):
        whole.lens(17, group=8)


def test_slmsuite_reads_what_we_write(calibrated, tmp_path):
    """On another `FourierSLM` of the same bench, whose calibrations are ours alone."""
    cam, slm, theirs = calibrated.cam, calibrated.slm, calibrated.fs
    ours = FourierSLM(cam, slm)
    for kind in calibrated.files:
        record = read_slmsuite(calibrated.files[kind])
        path = write_slmsuite(tmp_path / f"{kind}.h5", record)
        assert ours.load_calibration(kind, str(path)) == str(path)
        again = read_slmsuite(path)
        for field in dataclasses.fields(record):
            value = getattr(record, field.name)
            if isinstance(value, np.ndarray | float):
                np.testing.assert_allclose(getattr(again, field.name), value, rtol=1e-9, atol=1e-12)
            elif field.name != "path":
                assert getattr(again, field.name) == value
    vectors = np.random.default_rng(0).uniform(-0.02, 0.02, (2, 7))
    np.testing.assert_allclose(
        ours.kxyslm_to_ijcam(vectors), theirs.kxyslm_to_ijcam(vectors), rtol=1e-12, atol=1e-9
    )
    # It has set the table of the panel on loading; ours is the same as from its own measurement.
    table = np.array(slm.lut)
    theirs.load_calibration("pixel", calibrated.files["pixel"])
    try:
        np.testing.assert_array_equal(slm.lut, table)
        sources = [fs.wavefront_calibration_superpixel_process(apply=False, plot=-1) for fs in (ours, theirs)]
    finally:
        slm.set_gamma(None)
    for part in ("phase", "amplitude"):
        np.testing.assert_allclose(sources[0][part], sources[1][part], rtol=1e-3, atol=1e-3)
    for name in ("zernike_indices", "corrected_spots"):
        np.testing.assert_allclose(
            ours.calibrations["wavefront_zernike"][name], theirs.calibrations["wavefront_zernike"][name]
        )


def test_slmsuite_corrects_the_panel_by_a_table_of_ours(small, tmp_path):
    """The phases that it then realizes are those that it is asked for, to the largest step of the panel."""
    record = read_slmsuite(small.fs.save_calibration("fourier", str(tmp_path)))
    fitted = record.with_phase_table(effects.PhaseLUT(TRUE_TABLE - TRUE_TABLE[0]))
    path = write_slmsuite(tmp_path / "pixel.h5", fitted, "pixel")
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (16, 16))

    def error():
        small.slm.set_phase(phase)
        shown = TRUE_TABLE[255 - np.asarray(small.slm.display, int)]
        turns = np.exp(1j * (shown - phase))
        return np.max(np.abs(np.angle(turns / np.exp(1j * np.angle(turns.mean())))))

    try:
        before = error()
        small.fs.load_calibration("pixel", str(path))
        assert error() < 0.03 < 0.5 < before
    finally:
        small.slm.set_gamma(None)
        del small.fs.calibrations["pixel"]


def test_slmsuite_shows_a_pattern_of_ours(small, tmp_path):
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (6, 5))
    path = write_phase(tmp_path / "pattern.h5", phase, small.slm.shape, group=2)
    small.slm.load_phase(str(path))
    shown = np.array(small.slm.display)
    small.slm.set_phase(panel_phase(phase, small.slm.shape, group=2))
    assert np.array_equal(shown, small.slm.display) and shown.dtype == np.uint8
    # A vendor's correction: slmsuite counts the levels of a bitmap the other way.
    levels = as_levels(panel_phase(phase, small.slm.shape, group=2), falling=True)
    small.slm.load_vendor_phase_correction(str(write_bitmap(tmp_path / "p.bmp", levels, small.slm.shape)))
    error = small.slm.source.pop("phase") - panel_phase(phase, small.slm.shape, group=2)
    assert np.max(np.abs(np.angle(np.exp(1j * error)))) < np.pi / 256 + 1e-6


def edit(name, value=None):
    """What puts another value in the place of a part, or takes it out."""

    def damage(path):
        with h5py.File(path, "r+") as file:
            del file[name]
            if value is not None:
                file[name] = value

    return damage


def cut(share):
    def damage(path):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return damage


def write(content):
    return lambda path: path.write_bytes(content)


def link(path):
    other = path.with_name("other.h5")
    shutil.copy(path, other)
    with h5py.File(path, "r+") as file:
        del file["M"]
        file["M"] = h5py.ExternalLink(other.name, "M")


def inflate(path):
    """4 TiB of zeros in some hundred bytes."""
    with h5py.File(path, "r+") as file:
        del file["phase"]
        file.create_dataset(
            "phase", (2**33, 8, 8), float, chunks=(2**10, 8, 8), compression="gzip", fillvalue=0
        )


def swap_bytes(path):
    content = bytearray(path.read_bytes())
    for start in range(0, len(content), 97):
        content[start] ^= 0xFF
    path.write_bytes(bytes(content))


def leave_only(path):
    with h5py.File(path, "r+") as file:
        for name in ("M", "b", "a"):
            del file[name]


DAMAGE = {
    "truncated": ("fourier", cut(0.5), "not a readable HDF5 file, or not a whole one"),
    "its first bytes alone": ("fourier", cut(0.01), "not a readable HDF5 file, or not a whole one"),
    "changed bytes": ("fourier", swap_bytes, "not a readable HDF5 file, or not a whole one"),
    "empty": ("fourier", write(b""), "not a readable HDF5 file"),
    "text": ("fourier", write(b"M = 1, 2, 3, 4\n" * 99), "not a readable HDF5 file"),
    "without M": ("fourier", edit("M"), "M is missing"),
    "without b": ("fourier", edit("b"), "b is missing"),
    "M of another shape": ("fourier", edit("M", np.eye(3)), r"M must have the shape \(2, 2\), got \(3, 3\)"),
    "b of another shape": ("fourier", edit("b", np.ones(2)), r"b must have the shape \(2, 1\)"),
    "M with NaN": ("fourier", edit("M", [[1.0, np.nan], [0, 1]]), "M must be finite"),
    "M without an inverse": ("fourier", edit("M", np.ones((2, 2))), "M must have an inverse"),
    "M of text": ("fourier", edit("M", "unknown"), "M must hold real numbers"),
    "M of complex numbers": ("fourier", edit("M", 1j * np.eye(2)), "M must hold real numbers"),
    "M in another file": ("fourier", link, "M is a link to somewhere else"),
    "no calibration": ("fourier", leave_only, "holds no calibration that is known"),
    "without the panel": ("fourier", edit("__meta__/slm"), "__meta__/slm is missing"),
    "without a version": ("fourier", edit("__version__"), "__version__ is missing"),
    "a negative wavelength": ("fourier", edit("__meta__/slm/wav_um", -0.633), "slm/wav_um must be 0.01 to"),
    "a pitch of 0": ("fourier", edit("__meta__/slm/pitch_um", [8.0, 0.0]), "slm/pitch_um must be above 0"),
    "a panel of half pixels": (
        "fourier",
        edit("__meta__/slm/shape", [2.5, 4]),
        "must be whole numbers from 1",
    ),
    "an endless panel": ("fourier", edit("__meta__/slm/shape", [2**40, 4]), "must be whole numbers from 1"),
    "gamma that was not fitted": ("pixel", edit("gamma"), "run `fourier_slm.pixel_calibration_process"),
    "fewer gamma than levels": ("pixel", edit("gamma", np.ones(3)), r"gamma must have the shape \(16\)"),
    "infinite gamma": ("pixel", edit("gamma", np.full(16, np.inf)), "gamma must be finite"),
    "levels beyond the panel": ("pixel", edit("levels", np.arange(16) + 250), "levels must be whole numbers"),
    "one level": ("pixel", edit("levels", np.zeros(16, int)), "levels must be at least 2 that differ"),
    "a settling time of NaN": ("settle", edit("settle_time", np.nan), "settle_time must be finite"),
    "a settling time below 0": ("settle", edit("settle_time", -1.0), "settle_time must be 0 to 3600"),
    "a wavefront of NaN": (
        "wavefront_superpixel",
        edit("phase", np.full((1, 8, 8), np.nan)),
        "phase must be finite",
    ),
    "a huge wavefront": ("wavefront_superpixel", inflate, "of `max_bytes`; raise it"),
    "superpixels of another panel": (
        "wavefront_superpixel",
        edit("superpixel_size", 4),
        "slm_supershape must cover the panel, 128×128, by areas of 4 pixels, got 8×8",
    ),
    "slopes of another shape": (
        "wavefront_superpixel",
        edit("kx", np.ones((1, 4, 4))),
        r"kx must have the shape \(3, 8, 8\), got \(1, 4, 4\)",
    ),
    "a polynomial twice": (
        "wavefront_zernike",
        edit("zernike_indices", np.array([2, 1, 4, 4, 12])),
        "zernike_indices must differ",
    ),
    "fewer coefficients than polynomials": (
        "wavefront_zernike",
        edit("corrected_spots", np.ones((4, 2))),
        r"corrected_spots must have the shape \(5, any\)",
    ),
}


@pytest.mark.parametrize("label", DAMAGE)
def test_damaged_files_are_refused_by_file_and_fault(label, calibrated, tmp_path):
    kind, damage, fault = DAMAGE[label]
    path = tmp_path / "damaged.h5"
    shutil.copy(calibrated.files[kind], path)
    damage(path)
    with pytest.raises(ValueError, match=fault) as refusal:
        read_slmsuite(path)
    assert "damaged.h5" in str(refusal.value) and "\n" not in str(refusal.value)


def test_files_of_others_are_refused(tmp_path, calibrated):
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        file["frames"] = np.ones((3, 4, 4))
    with pytest.raises(ValueError, match="slmsuite did not write this file"):
        read_slmsuite(tmp_path / "frames.h5")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_slmsuite(tmp_path / "nowhere.h5")
    with pytest.raises(ValueError, match="of `max_bytes`; raise it"):
        read_slmsuite(calibrated.files["wavefront_superpixel"], max_bytes=1000)
    record = read_slmsuite(calibrated.files["wavefront_superpixel"])
    with pytest.raises(ValueError, match="`quality` 1 leaves no superpixel"):
        record.plate(16, 8, quality=1.0)
    with pytest.raises(ValueError, match="`point` must be a whole number"):
        record.plate(16, 8, point=3)


@pytest.fixture(scope="module")
def small():
    logging.disable(logging.WARNING)
    return make_bench(16, (24, 26), (12, 13))


def pictures(bench, drive, shutter):
    """What slmsuite's own camera sees, at the pixels of the twin: the camera is turned by a quarter."""
    bench.cam.set_exposure(shutter)
    rows, cols = np.arange(16)[:, None] - 8, np.arange(16)[None] - 8
    frames = []
    for plane in np.asarray(drive).reshape(-1, 16, 16):
        bench.slm.set_phase(np.mod(np.angle(plane), 2 * np.pi))
        frames.append(bench.cam.get_image()[13 - cols, 12 + rows] / 4095)
    return np.asarray(frames, np.float32).reshape(*drive.shape[:-2], 1, 16, 16)


def test_frames_are_those_that_the_camera_gives(small):
    twin = twin_of(16)
    small.cam.set_exposure(5.0)
    device = optics.External.from_slmsuite(small.fs, twin, shutter=200.0)
    exposure = exposures(twin, drives(3, 16))
    frames = device.expose(exposure)
    full_scale = float(exposure.full_scale[0, 0, 0, 0])
    assert np.array_equal(frames, pictures(small, exposure.drive, 200.0 / full_scale**2))
    # A frame of twice the full scale has a quarter of the light.
    dim = device.expose(exposure._replace(full_scale=2 * exposure.full_scale))
    assert np.max(np.abs(4 * dim - frames)) < 4 / 4095
    # In a compiled program, and many at once.
    assert np.array_equal(jax.jit(lambda exposure: device.expose(exposure))(exposure), frames)
    assert np.array_equal(jax.vmap(lambda exposure: device.expose(exposure))(exposure), frames)


def test_the_shutter_is_matched_to_the_twin(small):
    twin = twin_of(16, effects.PhaseQuantize(8), effects.PhaseLUT(TRUE_TABLE), effects.Gain(small.light))
    small.cam.set_exposure(5.0)
    device = optics.External.from_slmsuite(small.fs, twin)
    exposure = exposures(twin, drives(4, 16))
    frames, expected = device.expose(exposure), twin.expose(exposure)
    # slmsuite's camera sees half of the pixels at the edge of its transform.
    inner = (..., slice(1, -1), slice(1, -1))
    scale = float(jnp.sum(frames[inner] * expected[inner]) / jnp.sum(expected[inner] ** 2))
    assert scale == pytest.approx(1, abs=0.2)
    # With the light of that scale, to less than a count of 12 bits: slmsuite cuts off its fractions.
    device.forward.shutter /= scale
    error = (device.expose(exposure) - expected)[inner]
    assert float(jnp.sqrt(jnp.mean(error**2))) * 4095 < 1


def test_the_simulation_from_its_calibration_is_within_a_grey_level(calibrated):
    table = read_slmsuite(calibrated.files["pixel"]).phase_table()
    plate = read_slmsuite(calibrated.files["wavefront_superpixel"]).plate(128)
    twin = twin_of(128, effects.PhaseQuantize(8), table, effects.Gain(plate))
    calibrated.cam.set_exposure(20.0)
    device = optics.External.from_slmsuite(calibrated.fs, twin)
    exposure = exposures(twin, drives(3, 128))
    inner = (..., slice(1, -1), slice(1, -1))

    def grey_levels(twin):
        error = (device.expose(exposure) - twin.expose(exposure))[inner]
        return 255 * float(jnp.sqrt(jnp.mean(error**2)))

    assert grey_levels(twin) < 0.5 < 2 < grey_levels(twin_of(128))


def test_groups_windows_and_averages(calibrated):
    twin = twin_of(8)
    calibrated.cam.set_exposure(20.0)
    bench = optics.External.from_slmsuite(
        calibrated.fs, twin, group=4, window=3, averaging=2, shutter=1.0
    ).forward
    phase = np.random.default_rng(0).uniform(0, 6, (8, 8))
    panel = bench.panel_phase(phase)
    assert np.allclose(panel[48:80, 48:80].reshape(8, 4, 8, 4), phase[:, None, :, None])
    # Around it light goes to the corner of what the panel reaches.
    assert np.allclose(panel[:2, :2], [[0, np.pi], [np.pi, 0]])
    places = bench._camera_pixels()
    assert places.shape == (2, 8, 8, 3, 3)
    # One pixel of the device further to the right is 4 samples further, which the camera sees upward.
    assert np.all(np.diff(places[0], axis=1) == -4) and np.all(np.diff(places[1], axis=0) == 4)
    assert places[0, 4, 4, 1, 1] == 73 and places[1, 4, 4, 1, 1] == 71
    frames = bench(np.exp(1j * phase)[None], np.full((1, 1, 1), 0.1))
    picture = calibrated.cam.get_image() / 4095
    rows, cols = places[0, 2, 5], places[1, 2, 5]
    assert frames[0, 0, 2, 5] == pytest.approx(picture[rows, cols].mean())


def test_the_gradient_is_the_twins(small):
    twin = twin_of(16, effects.Gain(jnp.ones((16, 16))))
    device = optics.External.from_slmsuite(small.fs, twin, shutter=200.0)
    phases = jnp.asarray(np.random.default_rng(0).uniform(0, 6, (16, 16)))
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(16, 16)))

    def signal(phases, device):
        drive = jax.lax.complex(jnp.cos(phases), jnp.sin(phases))[None]
        exposure = optics.Exposure(drive, jnp.full((1, 1, 1), 1.5), jnp.ones((1, 1)))
        return jnp.sum(weights * device.expose(exposure)[0, 0])

    value, slope = jax.jit(jax.value_and_grad(signal))(phases, device)
    believed, expected = jax.value_and_grad(signal)(phases, twin)
    assert relative(slope, expected) < 1e-5
    assert abs(value / believed - 1) > 0.01


def test_recorded_hardware_is_replayed_bit_for_bit(small, tmp_path):
    twin = twin_of(16)
    hardware = optics.External.from_slmsuite(small.fs, twin, shutter=200.0)
    path = tmp_path / "run.h5"
    small.cam.noise = GaussianDetectorNoise(0, 0.01)
    try:
        recorder = optics.External(record_frames(hardware.forward, path, hardware.forward.settings), twin)
        exposure = exposures(twin, drives(3, 16))
        first, again = recorder.expose(exposure), recorder.expose(exposure, jax.random.key(1))
    finally:
        small.cam.noise = None
    assert not np.array_equal(first, again)
    replayed = optics.External(replay_frames(path), twin)
    assert np.array_equal(replayed.expose(exposure), first)
    assert np.array_equal(jax.jit(lambda *args: replayed.expose(*args))(exposure, jax.random.key(1)), again)
    # From the first one again, and the single ones.
    one = optics.Exposure(*(part[1:2] for part in exposure))
    assert np.array_equal(replayed.expose(one)[0], first[1])
    recording = read_recording(path)
    assert recording.drive.shape == (6, 16, 16) and recording.frames.dtype == np.float64
    assert recording.settings == json.loads(json.dumps(hardware.forward.settings))
    assert recording.settings["shutter_s"] == 200 and recording.settings["fourier"]["b"] == [[12.0], [13.0]]
    fitted = optics.Recording(*recording[:3])
    assert fitted.count == 6
    nearly = optics.Exposure(exposure.drive[:1] * (1 + 1e-6), *(part[:1] for part in exposure[1:]))
    assert np.array_equal(replayed.expose(nearly)[0], first[0])
    with pytest.raises(jax.errors.JaxRuntimeError, match="the nearest differs by"):
        jax.block_until_ready(replayed.expose(exposure._replace(drive=drives(3, 16, seed=9))))
    with pytest.raises(jax.errors.JaxRuntimeError, match="the nearest differs by 1"):
        jax.block_until_ready(replayed.expose(exposure._replace(full_scale=exposure.full_scale / 2)))


def test_recordings_that_are_refused(tmp_path):
    def camera(drive, full_scale):
        return np.abs(drive)[..., None, :, :] ** 2 / np.asarray(full_scale)[..., None] ** 2

    path = tmp_path / "run.h5"
    recorder = record_frames(camera, path)
    with pytest.raises(ValueError, match="drive is missing"):
        read_recording(path)
    recorder(np.ones((2, 4, 4), np.complex64), np.ones((2, 1, 1), np.float32))
    with pytest.raises(ValueError, match="`drive` must be complex64 of shape"):
        recorder(np.ones((2, 5, 5), np.complex64), np.ones((2, 1, 1), np.float32))
    with pytest.raises(ValueError, match=r"`path` .* must be a new file"):
        record_frames(camera, path)
    with pytest.raises(ValueError, match="`forward` must return frames of shape"):
        record_frames(lambda drive, full_scale: drive.real, tmp_path / "b.h5")(
            np.ones((2, 4, 4)), np.ones((2, 1, 1))
        )
    with pytest.raises(ValueError, match="`settings` must hold finite numbers"):
        record_frames(camera, tmp_path / "c.h5", {"bench": object()})
    with pytest.raises(ValueError, match="`settings` must hold finite numbers"):
        record_frames(camera, tmp_path / "c.h5", {"power": float("nan")})
    with pytest.raises(ValueError, match="`settings` must be shorter"):
        record_frames(camera, tmp_path / "c.h5", {"log": "x" * 100_000})
    with pytest.raises(ValueError, match="of `max_bytes`; raise it"):
        replay_frames(path, max_bytes=100)
    with pytest.raises(ValueError, match="`drive` must have planes of"):
        replay_frames(path)(np.ones((2, 5, 5)), np.ones((2, 1, 1)))
    with h5py.File(path, "r+") as file:
        file["frames"].resize(1, axis=0)
    with pytest.raises(ValueError, match="holds 2 drives, 2 full scales and 1 frames"):
        read_recording(path)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["drive"] = np.ones(3)
    with pytest.raises(ValueError, match="is no recording that"):
        read_recording(tmp_path / "other.h5")


def test_benches_that_are_refused(small):
    def refuse(match, fs=None, twin=None, **arguments):
        with pytest.raises(ValueError, match=match):
            optics.External.from_slmsuite(small.fs if fs is None else fs, twin or twin_of(16), **arguments)

    refuse("`fourier_slm` must be a `FourierSLM` of slmsuite", fs=small.cam)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bare = FourierSLM(small.cam, small.slm)
    refuse("`fourier_slm` must have a Fourier calibration", fs=bare)
    refuse("`twin` must be a `FourierProcessor`", twin=3)
    refuse("`twin` must have an `optics.Intensity`", twin=optics.FourierProcessor(optics.dft(16)))
    refuse("`group` must be a whole number", group=0)
    refuse("`group` 2 makes 32×32 panel pixels", group=2)
    refuse("`averaging` must be a whole number", averaging=0)
    refuse("`window` must be a whole number", window=1.5)
    refuse("`settle` must be finite and at least 0", settle=-1.0)
    refuse("`shutter` must be finite and above 0", shutter=0.0)
    lens = optics.FourierLens(16, 8e-6, 532e-9)
    described = optics.FourierProcessor(lens, optics.Intensity(lambda a: a))
    refuse("`twin` has a lens with a wavelength of 5.32e-07 m, but the panel's is 6.33e-07", twin=described)
    refuse("`twin` has pixels that land outside of the camera's", twin=twin_of(4), window=12)
    small.cam.set_exposure(1e9)
    refuse("`shutter` cannot be found at the camera's 1e.09 s .*must not be saturated")
    small.cam.set_exposure(1e-9)
    refuse("`shutter` cannot be found at the camera's 1e-09 s .*must have light")


def test_exposures_that_are_refused(small):
    twin = twin_of(16)
    device = optics.External.from_slmsuite(small.fs, twin, shutter=200.0)
    exposure = exposures(twin, drives(1, 16))

    def refuse(match, **parts):
        with pytest.raises(jax.errors.JaxRuntimeError, match=match):
            jax.block_until_ready(device.expose(exposure._replace(**parts)))

    refuse("must not be saturated", full_scale=exposure.full_scale / 30)
    refuse("must have light in each", full_scale=exposure.full_scale * 3000)
    refuse("`drive` must have the amplitude 1 everywhere", drive=exposure.drive / 2)
    with pytest.raises(ValueError, match="`drive` must have planes of"):
        device.forward(np.ones((1, 8, 8)), np.ones((1, 1, 1)))
    with pytest.raises(ValueError, match="`full_scale` must be finite and above 0"):
        device.forward(np.ones((1, 16, 16)), np.zeros((1, 1, 1)))
    clipped = make_bench(16, (24, 26), (12, 13))
    clipped.cam.set_exposure(5.0)
    device = optics.External.from_slmsuite(clipped.fs, twin, shutter=200.0)
    clipped.cam._set_exposure_hw = lambda seconds: None
    with pytest.raises(
        ValueError, match="`full_scale` asks for a shutter of 200 s, but the camera makes 5 s"
    ):
        device.forward(np.asarray(exposure.drive[0]), np.ones((1, 1, 1)))


def test_the_settling_time_is_waited_for(small, monkeypatch):
    waits = []
    show = small.slm.set_phase
    monkeypatch.setattr(small.slm, "set_phase", lambda phase, settle: (waits.append(settle), show(phase))[1])
    exposure = exposures(twin_of(16), drives(1, 16))
    for settle in (None, 0.25):
        device = optics.External.from_slmsuite(small.fs, twin_of(16), settle=settle, shutter=200.0)
        device.forward(np.asarray(exposure.drive), np.asarray(exposure.full_scale))
    monkeypatch.setitem(small.fs.calibrations, "settle", {"settle_time": 0.5})
    device = optics.External.from_slmsuite(small.fs, twin_of(16), shutter=200.0)
    device.forward(np.asarray(exposure.drive), np.asarray(exposure.full_scale))
    assert waits == [0.0, 0.25, 0.5]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_training_with_the_bench_in_the_loop_recovers_what_a_wrong_twin_loses():
    """A layer of phases before ten areas of the camera reads digits; the twin knows nothing of the panel's
    table of phases, until it is fitted.
    """
    digits, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))  # writers of the last ones differ
    digits, labels = digits[order], labels[order]
    digits = np.pi * np.kron(digits.reshape(-1, 8, 8) / 16, np.ones((2, 2), np.float32))
    areas = np.zeros((10, 16, 16), np.float32)
    for i in range(10):
        areas[i, 1 + 4 * (i // 4) + min(i // 4, 1) : 5 + 4 * (i // 4), 4 * (i % 4) : 4 * (i % 4) + 4] = 1
    bench = make_bench(16, (24, 26), (12, 13))
    bench.cam.set_exposure(5.0)
    twin = twin_of(16, effects.PhaseQuantize(8), effects.Gain(bench.light))
    device = optics.External.from_slmsuite(bench.fs, twin)

    def scores(layer, x, device):
        phase = x + layer["phase"]
        drive = jax.lax.complex(jnp.cos(phase), jnp.sin(phase))[:, None]
        one = jnp.ones((len(x), 1, 1, 1))
        frames = device.expose(optics.Exposure(drive, 10 * one, one[:, 0]))[:, 0, 0]
        light = jnp.einsum("krc,nrc->nk", areas, frames)
        return layer["contrast"] * light / (jnp.sum(light, 1, keepdims=True) + 1e-3)

    def train(device, epochs=30):
        def loss(layer, x, y):
            return optax.softmax_cross_entropy_with_integer_labels(scores(layer, x, device), y).mean()

        @jax.jit
        def step(layer, state, x, y):
            updates, state = optimizer.update(jax.grad(loss)(layer, x, y), state)
            return optax.apply_updates(layer, updates), state

        rng = np.random.default_rng(0)
        layer = {
            "phase": jnp.asarray(rng.normal(0, 0.3, (16, 16)), jnp.float32),
            "contrast": jnp.asarray(10.0),
        }
        optimizer = optax.adam(optax.cosine_decay_schedule(0.05, 28 * epochs))
        state = optimizer.init(layer)
        for _ in range(epochs):
            for rows in rng.permutation(1400).reshape(-1, 50):
                layer, state = step(layer, state, digits[rows], labels[rows])
        return layer

    def accuracy(layer, device):
        return float(np.mean(np.argmax(scores(layer, digits[1400:], device), 1) == labels[1400:]))

    alone = train(twin)
    believed, lost = accuracy(alone, twin), accuracy(alone, device)
    recovered = accuracy(train(device), device)
    assert believed - lost > 0.05
    assert recovered - lost > 0.03, (believed, lost, recovered)
    drive, nominal = drives(30, 16), believed_twin()
    exposure = exposures(nominal, drive, 0.7)
    fit = fit_to(optics.Recording(drive, exposure.full_scale, device.expose(exposure)), nominal)
    fitted = optics.External(device.forward, fit.device)
    recovered = accuracy(train(fitted), fitted)
    assert recovered - lost > 0.8 * (believed - lost), (believed, lost, recovered)
