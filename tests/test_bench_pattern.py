"""`python -m bench pattern`: what its files make a modulator show."""

import functools
import json

import h5py
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

import nets
import optics
from bench import output
from bench.__main__ import parse
from bench.config import Pattern
from bench.plots import draw_recorded
from bench.report.summary import headline
from bench.simulator import pattern
from optics import records
from tests.helpers import relative

RNG = np.random.default_rng(3)
LOAD = functools.cache(output.load_device)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pattern") / "run"
    nets.fit(
        nets.Config(
            data="digits", model="conv2d", shape=(4, 4), heads=1, epochs=1, max_examples=60, device="none",
            out=folder, cache=None,
        )
    )  # fmt: skip
    return folder


@pytest.fixture(autouse=True)
def load_once(monkeypatch):
    """The lens of a preset is compiled once for all tests."""
    monkeypatch.setattr(pattern.output, "load_device", LOAD)


def learnt_kernels(run):
    weights = nets.run.named_arrays(nnx.state(nets.run.load(run).model, nnx.Param))
    return next(values for name, values in weights.items() if "kernels" in name)


def levels(path):
    return np.asarray(Image.open(path).convert("L"), int)


def test_a_learnt_kernel_on_the_panel_is_the_kernel(run, tmp_path):
    """The bitmaps, read by another program, make the light that the device would make of the kernel."""
    rows = pattern.main(Pattern(run=run, out=tmp_path, most=4, group=2, panel=(80, 100)))
    kernels = learnt_kernels(run)
    device = LOAD("slm-4f")
    # Two exposures of each, of phases alone.
    assert [row["part"] for row in rows] == ["phase"] * 4
    for i, kernel in enumerate(kernels[:2]):
        exposure = device.prepare(jnp.zeros(device.shape).at[6:10, 6:10].set(kernel))
        height, width = exposure.drive.shape[-2:]
        drive = []
        for row in rows[2 * i : 2 * i + 2]:
            picture = levels(tmp_path / row["file"])
            assert picture.shape == (80, 100) and row["panel"] == "80×100"
            middle = picture[40 - height : 40 + height : 2, 50 - width : 50 + width : 2]
            drive.append(np.exp(2j * np.pi * middle / 256))
            assert row["rms_error"] < 2 * np.pi / 256 / np.sqrt(12) * 1.1
        shown = device.expose(exposure._replace(drive=jnp.asarray(drive, jnp.complex64)))
        assert relative(shown, device.expose(exposure)) < 0.01


def test_an_array_sets_amplitudes_and_phases(tmp_path):
    numbers = RNG.normal(size=(2, 11, 11)) + 1j * RNG.normal(size=(2, 11, 11))
    np.save(tmp_path / "numbers.npy", numbers)
    rows = pattern.main(Pattern(device="engine11", array=tmp_path / "numbers.npy", out=tmp_path))
    assert [row["file"] for row in rows] == [
        f"numbers-{i}-{part}.bmp" for i in (0, 1) for part in ("amplitude", "phase")
    ]
    for i, plane in enumerate(numbers):
        amplitude = levels(tmp_path / f"numbers-{i}-amplitude.bmp") / 255
        phase = levels(tmp_path / f"numbers-{i}-phase.bmp") * 2 * np.pi / 256
        light = amplitude * np.exp(1j * phase)
        drive = np.asarray(LOAD("engine11").prepare(jnp.asarray(plane, jnp.complex64)).drive)[0]
        assert relative(light, drive) < 0.01 and np.max(np.abs(light - drive)) < 0.015
    again = records.read_device(tmp_path / "device.h5", optics.presets.load("engine11"))
    assert again.shape == (11, 11)
    record = json.loads((tmp_path / "pattern.json").read_text())
    assert "4 patterns of 11×11" in headline("pattern", record["rows"])
    draw_recorded(tmp_path / "pattern.json")


def test_mirrors_and_filters(tmp_path):
    np.save(tmp_path / "image.npy", np.abs(RNG.normal(size=(16, 16))))
    rows = pattern.main(Pattern(device="dmd-4f", array=tmp_path / "image.npy", out=tmp_path))
    # Bit planes, each on or off.
    assert len(rows) == 8 and {row["part"] for row in rows} == {"amplitude"}
    assert all(set(np.unique(levels(tmp_path / row["file"]))) <= {0, 255} for row in rows)


def test_a_filter_of_phases_is_the_spectrum_of_the_kernel(run, tmp_path):
    rows = pattern.main(Pattern(device="phase-correlator", run=run, out=tmp_path, most=1))
    device = LOAD("phase-correlator")
    (row,) = rows
    picture = levels(tmp_path / row["file"])
    assert picture.shape == device.shape
    kernel = learnt_kernels(run)[0]
    plane = np.zeros(device.shape)
    plane[6:10, 6:10] = kernel
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(plane)))
    error = np.angle(np.exp(2j * np.pi * picture / 256) / spectrum)
    # A real spectrum's sign may be either of ±π.
    assert np.sqrt(np.mean(error**2)) < 0.02


@pytest.mark.parametrize("test", ["grating", "checkerboard", "vortex", "lens", "random"])
def test_patterns_of_the_modulator_itself(test, tmp_path):
    (tmp_path / "table.csv").write_text("0,0.0\n128,2.9\n255,6.4\n")
    row = pattern.main(Pattern(test=test, table=tmp_path / "table.csv", out=tmp_path))[0]
    picture = levels(tmp_path / row["file"])
    table = np.interp(np.arange(256), [0, 128, 255], [0, 2.9, 6.4])
    if test == "grating":
        # Eight pixels a turn, whatever the table.
        steps = np.angle(np.exp(1j * np.diff(table[picture][0])))
        np.testing.assert_allclose(steps, np.pi / 4, atol=0.06)
        power = np.abs(np.fft.fft(np.exp(1j * table[picture][0]))) ** 2
        assert power.max() / power.sum() > 0.94
    assert row["rms_error"] < 0.02 and picture.shape == (16, 16)


def test_slmsuites_files(tmp_path):
    rows = pattern.main(Pattern(test="vortex", format="h5", panel=(40, 50), out=tmp_path))
    with h5py.File(tmp_path / rows[0]["file"]) as file:
        assert file["phase"].shape == file["display"].shape == (40, 50)
        y, x = np.indices((16, 16)) - 8
        assert np.allclose(
            np.exp(1j * file["phase"][12:28, 17:33]), np.exp(1j * np.arctan2(y + 0.5, x + 0.5)), atol=1e-5
        )


def test_options_that_are_refused(run, tmp_path):
    def refuse(match, **options):
        with pytest.raises(ValueError, match=match):
            pattern.main(Pattern(**{"out": tmp_path, **options}))

    np.save(tmp_path / "small.npy", np.ones((4, 4)))
    np.save(tmp_path / "nan.npy", np.full((16, 16), np.nan))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("text")
    refuse("`device` must be a preset", device="engine12")
    refuse("`device` must have a modulator of numbers in its encoder", device="crossbar")
    refuse("`array` and `run` are two patterns", array=tmp_path / "small.npy", run=run)
    refuse("`array` .* must hold finite planes of 16×16", array=tmp_path / "small.npy")
    refuse("`array` .* must hold finite planes", array=tmp_path / "nan.npy")
    for name in ("objects.npy", "text.npy", "nowhere.npy"):
        refuse("`array` .* must be a .npy file of numbers", array=tmp_path / name)
    refuse("`layer` must be part of the name of a layer with kernels", run=run, layer="nowhere")
    refuse("`group` 3 makes 48×48 panel pixels", group=3, panel=(32, 32))
    refuse("`format` must be bmp for engine11", device="engine11", array=_plane(tmp_path, 11), format="h5")
    refuse(
        "`group` 2 makes 22×22 panel pixels",
        device="engine11",
        array=_plane(tmp_path, 11),
        group=2,
        panel=(9, 9),
    )
    refuse("`out` .* cannot be written to", out=tmp_path / "small.npy")


def _plane(folder, side):
    np.save(folder / "plane.npy", RNG.normal(size=(side, side)))
    return folder / "plane.npy"


def test_the_command_line():
    options = parse(
        ["pattern", "--panel", "1080", "1920", "--group", "20", "--format", "h5", "--test", "lens"]
    )
    assert options == Pattern(panel=(1080, 1920), group=20, format="h5", test="lens")
