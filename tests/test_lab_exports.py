"""Patterns, calibrations and devices as files: opened by other programs, and what they show on a panel."""

import dataclasses

import imageio.v3
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import optics
from optics import effects, records
from tests.helpers_lab import slmsuite_calibration

h5py = pytest.importorskip("h5py")
RNG = np.random.default_rng(5)
ZEROS = np.zeros((2, 2), int)
RESPONSE = effects.PhaseLUT(2 * np.pi * 1.1 * np.linspace(0, 1, 257) ** 1.15)


def wrap(phase):
    return np.angle(np.exp(1j * np.asarray(phase)))


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (6, 8), (1080, 1920)])
def test_bitmaps_are_what_other_programs_read(shape, tmp_path):
    levels = RNG.integers(0, 256, shape)
    path = records.write_bitmap(tmp_path / "pattern.bmp", levels, panel=shape)
    with Image.open(path) as image:
        assert image.size == shape[::-1] and image.mode in ("L", "P")
        np.testing.assert_array_equal(np.asarray(image.convert("L")), levels)
    np.testing.assert_array_equal(imageio.v3.imread(path, mode="L"), levels)
    correction = records.read_correction(path, wavelength=633e-9, shape=shape)
    np.testing.assert_allclose(correction.phase, 2 * np.pi * levels / 256, rtol=1e-6)


@pytest.mark.parametrize("levels", [256, 1024, 4])
def test_levels_show_the_phase_to_half_a_level(levels):
    phase = RNG.uniform(-20, 20, (40, 50))
    chosen = records.as_levels(phase, levels)
    assert np.max(np.abs(wrap(2 * np.pi * chosen / levels - phase))) <= np.pi / levels * (1 + 1e-6)
    falling = records.as_levels(phase, levels, falling=True)
    np.testing.assert_array_equal(falling, levels - 1 - chosen)


def test_levels_of_a_measured_panel():
    """With the table of a panel that is neither straight nor a turn long, the phases are right again."""
    phase = RNG.uniform(0, 2 * np.pi, (60, 60))
    panel = 2 * np.pi * 1.1 * (np.arange(256) / 256) ** 1.15
    chosen = records.as_levels(phase, table=RESPONSE)
    # By brute force over all levels.
    nearest = np.min(np.abs(wrap(panel - phase[..., None])), axis=-1)
    np.testing.assert_allclose(np.abs(wrap(panel[chosen] - phase)), nearest, atol=1e-5)
    assert np.max(nearest) < 0.02
    straight = records.as_levels(phase)
    assert np.max(np.abs(wrap(panel[straight] - phase))) > 0.3
    # A panel that reaches 2π at level 217.
    chosen = records.as_levels(phase, full_turn=217)
    assert chosen.max() <= 217
    assert np.max(np.abs(wrap(2 * np.pi * chosen / 217 - phase))) <= np.pi / 217 * (1 + 1e-6)


def test_a_pattern_in_the_middle_of_a_panel():
    phase = RNG.uniform(0, 2 * np.pi, (3, 4))
    panel = records.panel_phase(phase, (12, 13), group=2)
    np.testing.assert_allclose(panel[3:9:2, 2:10:2], phase, rtol=1e-6)
    assert set(panel[0].round(4)) == {0, np.float32(np.pi).round(4)}
    # Around it, all light leaves for the corner: nothing along the axis.
    around = np.exp(1j * records.panel_phase(np.zeros((2, 2)), (64, 64)))
    around[31:33, 31:33] = 0
    assert abs(around.sum()) < 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda p: records.write_bitmap(p / "a.png", ZEROS),
            "must be a file that ends in .bmp",
        ),
        (
            lambda p: records.write_bitmap(p / "a.bmp", np.full((2, 2), 256)),
            "must be a plane of whole numbers",
        ),
        (
            lambda p: records.write_bitmap(p / "a.bmp", np.zeros((2, 2))),
            "must be a plane of whole numbers",
        ),
        (
            lambda p: records.write_bitmap(p / "a.bmp", ZEROS, panel=(2, 3)),
            "`levels` must have the panel's 2×3 pixels",
        ),
        (lambda p: records.write_bitmap(p / "no/a.bmp", ZEROS), "cannot be written"),
        (lambda p: records.write_phase(p / "no/a.h5", np.zeros((2, 2)), (2, 2)), "cannot be written"),
        (lambda p: records.write_phase(p / "a.h5", np.zeros((2, 3)), (2, 2)), "but the panel has 2×2"),
        (lambda p: records.as_levels(np.exp(1j * np.ones((2, 2)))), "such as `numpy.angle"),
        (lambda p: records.as_levels(np.ones((2, 2)), full_turn=300), "`full_turn` must be at most `levels`"),
        (lambda p: records.as_levels(np.ones((2, 2)), full_turn=200, table=RESPONSE), "leave it out"),
        (
            lambda p: records.as_levels(np.ones((2, 2)), table=effects.PhaseLUT([0.0, 3.1])),
            "`table` turns the phase by 3.1 rad",
        ),
        (
            lambda p: records.as_levels(np.ones((2, 2)), table=effects.PhaseLUT(gain=np.ones((2, 2)))),
            "`table` must be the response of the whole panel",
        ),
        (lambda p: records.write_device(p / "a.h5", jnp.sin), "`device` must be a device or a part of one"),
        (lambda p: records.write_device(p / "a.txt", optics.dft(4)), "ends in .h5"),
        (lambda p: records.write_device(p / "no/a.h5", optics.dft(4)), "cannot be written"),
        (lambda p: records.write_slmsuite(p / "a.h5", 3), "`calibration` must be a `SlmsuiteCalibration`"),
        (lambda p: records.write_slmsuite(p / "a.txt", slmsuite_calibration()), "ends in .h5"),
        (lambda p: records.write_slmsuite(p / "no/a.h5", slmsuite_calibration()), "cannot be written"),
        (
            lambda p: records.write_slmsuite(p / "a.h5", slmsuite_calibration(), "pixel"),
            '`kind` must be "fourier"',
        ),
        (
            lambda p: slmsuite_calibration().with_phase_table(effects.PhaseLUT([0.0, 3.0])),
            "less than three quarters of a turn",
        ),
    ],
)
def test_what_cannot_be_written_is_refused(call, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["engine11", "dmd-4f", pytest.param("slm-4f", marks=pytest.mark.slow)])
def test_devices_come_back_number_by_number(name, tmp_path):
    unit = optics.presets.load(name, unit=jax.random.key(3))
    path = records.write_device(tmp_path / "device.h5", unit)
    again = records.read_device(path, optics.presets.load(name, unit=jax.random.key(4)))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), again, unit))
    with h5py.File(path) as file:
        assert file.attrs["kind"] == type(unit).__name__
        assert "transfer" in file and "slm" in file
    x = RNG.normal(size=unit.shape)
    assert np.array_equal(optics.transform(x, again), optics.transform(x, unit))


def test_files_of_other_devices_are_refused(tmp_path):
    device = optics.FourierProcessor(optics.dft(4), slm=(effects.Gain(jnp.ones((4, 4))),))
    path = records.write_device(tmp_path / "device.h5", device)

    def refuse(match, device=device, path=path, **arguments):
        with pytest.raises(ValueError, match=match) as refusal:
            records.read_device(path, device, **arguments)
        assert "\n" not in str(refusal.value)

    refuse("slm/0/gain is in the file alone", device=optics.FourierProcessor(optics.dft(4)))
    larger = optics.FourierProcessor(optics.dft(5), slm=(effects.Gain(jnp.ones((5, 5))),))
    refuse("must be numbers of shape", device=larger)
    refuse("bytes of `max_bytes`", max_bytes=100)
    refuse("`device` must be a device", device=3)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        records.read_device(tmp_path / "nowhere.h5", device)
    with h5py.File(path, "r+") as file:
        file["slm/0/gain"][0, 0] = np.nan
    refuse("slm/0/gain must be numbers, but it holds NaN")
    with h5py.File(path, "r+") as file:
        del file.attrs["format"]
    refuse("is no device that")
    path.write_bytes(path.read_bytes()[:400])
    refuse("is not a readable HDF5 file")


def test_a_calibration_comes_back_as_it_was(tmp_path):
    calibration = slmsuite_calibration().with_phase_table(RESPONSE)
    assert calibration.kinds == ("fourier", "pixel")
    # Of all levels, without the entry for 2π, which is continued with the mean slope.
    np.testing.assert_allclose(
        calibration.phase_table().table[:-1], RESPONSE.table[:-1] - RESPONSE.table[0], atol=1e-5
    )
    for kind in calibration.kinds:
        again = records.read_slmsuite(records.write_slmsuite(tmp_path / f"{kind}.h5", calibration, kind))
        assert again.kinds == (kind,)
        for field in dataclasses.fields(again):
            value = getattr(again, field.name)
            if field.name not in ("path", "kinds", "version") and value is not None:
                np.testing.assert_allclose(value, getattr(calibration, field.name), rtol=1e-12)
