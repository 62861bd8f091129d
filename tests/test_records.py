"""Recordings: camera files and phase tables read as a laboratory writes them, and refusals of wrong ones."""

import os
import sys

import h5py
import imageio.v3
import jax.numpy as jnp
import numpy as np
import pytest
import tifffile

import optics
from optics import records

RNG = np.random.default_rng(0)
COUNTS = RNG.integers(1, 4095, (5, 6, 7), dtype=np.uint16)


def write_folder(path, pictures, names=None):
    path.mkdir()
    for i, picture in enumerate(pictures):
        imageio.v3.imwrite(path / (names[i] if names else f"img_{i:04d}.png"), picture)
    return path


def write_counts(tmp_path, kind, counts):
    """The same counts as every kind of file holds them."""
    path = tmp_path / f"frames.{kind}"
    if kind == "tif":
        tifffile.imwrite(path, counts)
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["run/frames"] = counts
    elif kind == "npy":
        np.save(path, counts)
    else:
        path = write_folder(tmp_path / "frames", counts)
    return path


@pytest.mark.parametrize("kind", ["tif", "h5", "npy", "folder"])
def test_every_kind_of_file_gives_the_same_frames(kind, tmp_path):
    frames = records.read_frames(write_counts(tmp_path, kind, COUNTS), bits=12)
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames, COUNTS / 4095, rtol=1e-6)


def test_bits_and_containers(tmp_path):
    np.testing.assert_allclose(records.as_frames(COUNTS, 12), COUNTS / 4095, rtol=1e-6)
    np.testing.assert_allclose(records.as_frames(COUNTS * 16, 12, "high"), COUNTS / 4095, rtol=1e-6)
    np.testing.assert_allclose(records.as_frames(np.array([[0, 255]], np.uint8)), [[0, 1]])
    np.testing.assert_allclose(records.as_frames(COUNTS, 16), COUNTS / 65535, rtol=1e-6)
    halves = RNG.random((2, 3, 3)).astype(np.float32)
    np.testing.assert_array_equal(records.as_frames(halves), halves)
    one = tmp_path / "one.tif"
    tifffile.imwrite(one, COUNTS[0])
    assert records.read_frames(one, 12).shape == (1, 6, 7)
    # Numbers at the end of the names order a folder, not the names.
    path = write_folder(tmp_path / "order", COUNTS[:3], ["a_9.png", "a_10.png", "a_11.png"])
    np.testing.assert_allclose(records.read_frames(path, 12), COUNTS[:3] / 4095, rtol=1e-6)


def test_a_dead_pixel_is_not_saturation():
    frames = np.asarray(records.as_frames(COUNTS, 12))
    frames[:, 2, 3] = 1.0
    np.testing.assert_array_equal(records.check_frames(frames), frames)


def test_recorded_files_lead_to_a_twin(tmp_path):
    device = optics.FourierProcessor(
        optics.dft(4), optics.PhaseShifting(4), (optics.effects.Gain(1.0),), (optics.effects.Quantize(12),)
    )
    numbers = RNG.standard_normal((10, 4, 4)) + 1j * RNG.standard_normal((10, 4, 4))
    frames = device.expose(device.prepare(jnp.asarray(numbers)))
    dimmed = 0.8**2 * np.asarray(frames).reshape(-1, 4, 4)
    noisy = dimmed + 1e-3 * RNG.standard_normal(dimmed.shape)
    counts = np.round(np.clip(noisy, 0, 1) * 4095).astype(np.uint16)
    path = write_folder(tmp_path / "run", counts)
    recording = optics.Recording.of(device, numbers, records.read_frames(path, bits=12))
    assert recording.frames.shape == (10, 1, 4, 4, 4) and recording.count == 40
    np.testing.assert_allclose(recording.frames.reshape(-1, 4, 4), counts / 4095, rtol=1e-6)


def put(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def test_tables(tmp_path):
    level = np.arange(256)
    phase = 2 * np.pi * (1.02 * level / 256 + 0.02 * np.sin(2 * np.pi * level / 256))
    drive = 2 * np.pi * level / 256
    for text in (
        "level,phase\n" + "\n".join(f"{k},{p:.9f}" for k, p in zip(level, phase, strict=True)),
        "# measured at 633 nm\n" + "\n".join(f"{k} {p + 0.3:.9f}" for k, p in zip(level, phase, strict=True)),
        "\n".join(f"{p:.9f}" for p in phase),
        "\n".join(f"{k};{-p:.9f}" for k, p in zip(level, phase, strict=True)),
    ):
        table = records.read_table(put(tmp_path, text))
        np.testing.assert_allclose(table.curve(jnp.asarray(drive)), phase, atol=1e-5)
    # Every 15th level: between them a straight line.
    table = records.read_table(put(tmp_path, "\n".join(f"{k}\t{phase[k]:.9f}" for k in level[::15])))
    np.testing.assert_allclose(
        table.curve(jnp.asarray(drive)), np.interp(level, level[::15], phase[::15]), atol=1e-5
    )
    # A vendor's table of a driver undoes the panel's: 256 lines of level.
    inverse = np.interp(2 * np.pi * level / 256, phase, level).round().astype(int)
    driver = records.read_table(put(tmp_path, "\n".join(map(str, inverse))), unit="level")
    panel = records.read_table(put(tmp_path, "\n".join(f"{p:.9f}" for p in phase)))
    light = jnp.exp(1j * jnp.asarray(2 * np.pi * level[:-8] / 256))
    np.testing.assert_allclose(panel(driver(light, None), None), light, atol=0.02)


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("", {}, "holds no numbers"),
        ("0 0\n1 x\n2 1", {}, "line 2 of .* must hold numbers, got '1 x'"),
        ("0 0\n1 nan", {}, "line 2 of .* must hold finite numbers"),
        ("0 0\n1 1 1", {}, "line 2 of .* must hold 2 numbers, got 3"),
        ("0 0\n300 6", {}, "whole levels from 0 to 255, got 0 to 300"),
        ("0 0\n0.5 6", {}, "whole levels from 0 to 255"),
        ("0 0\n9 1\n9 2", {}, "holds level 9 twice"),
        ("0 0", {}, "at least 2 levels, got 1"),
        ("1 0\n9 1", {}, "must begin at level 0, got 1"),
        ("0 0\n1 3\n2 2\n3 6", {}, "never fall with the level, but level 2 is below level 1"),
        ("0\n1\n2", {}, "`levels`"),
        ("0 0\n255 250", {}, "must hold phases in rad"),
        ("0 0\n255 300", {"unit": "level"}, "must hold values from 0 to 255, got 0 to 300"),
        ("0 0\n1 1", {"unit": "degree"}, "`unit`"),
        ("0 0\n1 1", {"levels": 1}, "`levels`"),
        ("0 0\n1 1", {"full_turn": 0}, "`full_turn`"),
    ],
)
def test_refused_tables(text, more, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        records.read_table(put(tmp_path, text), **more)


def check_changed(change, dtype=float):
    frames = (COUNTS / 4095).astype(dtype)
    change(frames)
    return lambda: records.check_frames(frames)


def set_to(value, *place):
    def change(frames):
        frames[place] = value

    return change


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: records.check_frames(COUNTS),
            r"`frames` .* got uint16; `optics.records.as_frames\(counts, bits\)`",
        ),
        (lambda: records.check_frames(np.ones(3)), "`frames`"),
        (lambda: records.check_frames(np.ones((0, 3, 3))), "`frames`"),
        (check_changed(set_to(0.0, 3)), r"frame 3 is 0 all over \(1 of 5 are\)"),
        (
            check_changed(set_to(1.0, 2, slice(0, 2))),
            "frame 2 has 14 of 42 pixels at full scale, and 1 of 5 frames",
        ),
        (
            check_changed(set_to(np.nan, 1, 2, 3)),
            "`frames` must be finite, but frame 1 has nan at row 2, column 3",
        ),
        (check_changed(set_to(2.0, 4, 5, 6)), "at most 1, but frame 4 has 2 at row 5, column 6"),
        (lambda: records.as_frames(COUNTS), "`bits`"),
        (
            lambda: records.as_frames(COUNTS, 10),
            "`bits=10` ends at 1023, but frame 0 has .*; give the bits of the camera",
        ),
        (
            lambda: records.as_frames(COUNTS * 16, 12),
            '`bits=12` ends at 4095, but frame 0 has .*; .* try `aligned="high"`',
        ),
        (lambda: records.as_frames(COUNTS, 12, "high"), '`aligned="high"`'),
        (lambda: records.as_frames(COUNTS, 12, "middle"), "`aligned`"),
        (lambda: records.as_frames(COUNTS, 17), "`bits`"),
        (lambda: records.as_frames(COUNTS.astype(np.int16) - 100, 12), "`counts`"),
        (lambda: records.as_frames(COUNTS / 4095, 12), "`bits`"),
        (lambda: records.as_frames(COUNTS * 1.0), "must be in units of full scale, at most 1, but frame 0"),
        (
            lambda: records.as_frames(np.full((1, 2, 2), np.inf)),
            "must be finite, but frame 0 has inf at row 0, column 0",
        ),
        (lambda: records.as_frames(np.ones((2, 2), bool)), "`counts`"),
    ],
)
def test_refused_frames(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_refused_files(tmp_path):
    read = records.read_frames

    def refuses(path, message, **more):
        with pytest.raises(ValueError, match=message):
            read(path, 12, **more)

    with pytest.raises(FileNotFoundError, match=r"nowhere\.tif does not exist"):
        read(tmp_path / "nowhere.tif")
    (tmp_path / "frames.txt").write_text("1")
    refuses(
        tmp_path / "frames.txt",
        r"`path` must be a folder of pictures, .tif, .png, .h5 or .npy, got frames.txt",
    )
    (tmp_path / "nothing").mkdir()
    refuses(tmp_path / "nothing", "holds no frames: no file in it ends in .png, .tif, .tiff")
    refuses(
        write_folder(tmp_path / "gap", COUNTS[:3], ["f1.png", "f2.png", "f4.png"]),
        "frame 3 is missing in .*: f2.png is followed by f4.png",
    )
    refuses(
        write_folder(tmp_path / "twice", COUNTS[:2], ["f1.png", "f01.png"]),
        "frame 1 is there twice in .*: f01.png and f1.png",
    )
    refuses(
        write_folder(tmp_path / "dark", COUNTS[:2], ["f1.png", "dark.png"]),
        "a number at the end of their names, got dark.png",
    )
    refuses(
        write_folder(tmp_path / "sizes", [COUNTS[0], COUNTS[1, 1:]]),
        r"frame 1 \(img_0001.png\) has the shape \(5, 7\)",
    )
    refuses(
        write_folder(tmp_path / "colour", [np.zeros((4, 4, 3), np.uint8)]),
        r"img_0000.png holds colours \(RGB\); save grey values",
    )
    np.save(tmp_path / "colours.npy", np.zeros((2, 4, 4, 3), np.uint8))
    refuses(
        tmp_path / "colours.npy", r"must hold frames of shape \(count, rows, columns\), got \(2, 4, 4, 3\)"
    )
    np.save(tmp_path / "none.npy", np.zeros((0, 4, 4), np.uint16))
    refuses(tmp_path / "none.npy", "holds no frames")
    refuses(tmp_path / "none.npy", "`dataset` names a data set of an HDF5 file", dataset="a")
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["dark"], file["run/frames"] = COUNTS, COUNTS
    refuses(tmp_path / "two.h5", "`dataset` must be one of dark, run/frames in two.h5; name it")
    refuses(
        tmp_path / "two.h5",
        "`dataset` must be one of dark, run/frames in two.h5, got 'light'",
        dataset="light",
    )
    assert read(tmp_path / "two.h5", 12, "run/frames").shape == (5, 6, 7)


def test_colours_are_no_frames(tmp_path):
    for axes, kind in (((6, 8, 3), "RGB"), ((6, 8, 4), "RGBA"), ((6, 8, 2), "grey and alpha")):
        path = tmp_path / "picture.png"
        imageio.v3.imwrite(path, np.full(axes, 99, np.uint8))
        with pytest.raises(ValueError, match=rf"`path` {path} holds colours \({kind}\); save grey values"):
            records.read_frames(path)
    for axes, more in (
        ((6, 8, 3), dict(photometric="rgb")),
        ((6, 8, 4), dict(photometric="rgb")),
        ((3, 6, 8), dict(photometric="rgb", planarconfig="separate")),
        ((5, 6, 8, 2), dict(photometric="minisblack", planarconfig="contig")),
    ):
        path = tmp_path / "picture.tif"
        tifffile.imwrite(path, np.full(axes, 99, np.uint8), **more)
        with pytest.raises(
            ValueError, match=rf"`path` {path} holds colours \([234] samples.*save grey values"
        ):
            records.read_frames(path)


def test_the_content_says_what_a_file_is(tmp_path):
    for kind in ("tif", "h5", "npy"):
        path = write_counts(tmp_path, kind, COUNTS)
        other = path.rename(tmp_path / f"{kind}.dat")
        np.testing.assert_allclose(records.read_frames(other, 12), COUNTS / 4095, rtol=1e-6)
    imageio.v3.imwrite(tmp_path / "one.png", COUNTS[0])
    (tmp_path / "one.png").rename(tmp_path / "one.tif")
    np.testing.assert_allclose(records.read_frames(tmp_path / "one.tif", 12)[0], COUNTS[0] / 4095, rtol=1e-6)


def test_sizes_are_known_before_anything_is_allocated(tmp_path):
    sizes = []
    for kind in ("tif", "h5", "npy", "folder"):
        path = write_counts(tmp_path, kind, COUNTS)
        assert records.read_frames(path, 12, max_bytes=COUNTS.nbytes).shape == COUNTS.shape
        with pytest.raises(ValueError, match=r"`path` .* bytes, more than the .* of `max_bytes`"):
            records.read_frames(path, 12, max_bytes=COUNTS.nbytes - 1)
    with h5py.File(tmp_path / "absurd.h5", "w") as file:
        file.create_dataset("frames", (10**5, 10**5, 10**4), np.uint16, chunks=(1, 10, 10))
    sizes.append(tmp_path / "absurd.h5")
    with open(tmp_path / "absurd.npy", "wb") as file:
        header = {"descr": "<u2", "fortran_order": False, "shape": (10**5, 10**5, 10**4)}
        np.lib.format.write_array_header_1_0(file, header)
    sizes.append(tmp_path / "absurd.npy")
    tifffile.imwrite(tmp_path / "absurd.tif", np.zeros((3, 4), np.uint16), compression="zlib")
    content = (tmp_path / "absurd.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "absurd.tif") as file:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            place = file.pages[0].tags[tag]
            value = np.array([10**6], "<u4" if place.dtype == 4 else "<u2").tobytes()
            content = content[: place.valueoffset] + value + content[place.valueoffset + len(value) :]
    (tmp_path / "absurd.tif").write_bytes(content)
    sizes.append(tmp_path / "absurd.tif")
    for path in sizes:
        with pytest.raises(ValueError, match=rf"{path}"):
            records.read_frames(path, 12)


def test_frames_in_other_files_are_not_read(tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"not for the eyes of others" * 4)
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["frames"] = COUNTS
    path = tmp_path / "frames.h5"

    def refused(message, dataset=None):
        with pytest.raises(ValueError, match=message):
            records.read_frames(path, 8, dataset)

    with h5py.File(path, "w") as file:
        file.create_dataset("frames", (5, 5), np.uint8, external=[(str(secret), 0, 25)])
    refused(r"frames.h5: the frames of frames are in other files; copy them into this one")
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout(COUNTS.shape, np.uint16)
        layout[:] = h5py.VirtualSource(tmp_path / "source.h5", "frames", COUNTS.shape)
        file.create_virtual_dataset("frames", layout)
    refused(r"the frames of frames are in other files")
    with h5py.File(path, "w") as file:
        file["frames"] = h5py.ExternalLink(tmp_path / "source.h5", "frames")
    refused(r"`dataset` must be one of none at all")
    refused(r"`dataset` must be one of  in frames.h5, got 'frames'", "frames")
    # A TIFF file of a microscope may name others; it is read as if it did not.
    tifffile.imwrite(tmp_path / "other.ome.tif", COUNTS[:1], metadata={"axes": "TYX"})
    ome = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" '
        'DimensionOrder="XYZCT" Type="uint16" SizeX="7" SizeY="6" SizeC="1" SizeZ="1" SizeT="2">'
        '<TiffData IFD="0" FirstT="0"><UUID FileName="frames.ome.tif">urn:uuid:1</UUID></TiffData>'
        '<TiffData IFD="0" FirstT="1"><UUID FileName="other.ome.tif">urn:uuid:2</UUID></TiffData>'
        "</Pixels></Image></OME>"
    )
    tifffile.imwrite(tmp_path / "frames.ome.tif", COUNTS[1], description=ome, metadata=None)
    frames = records.read_frames(tmp_path / "frames.ome.tif", 12)
    np.testing.assert_allclose(frames, COUNTS[1:2] / 4095, rtol=1e-6)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    os.mkfifo(tmp_path / "table.csv")
    for read, name in ((records.read_frames, "x.png"), (records.read_table, "table.csv")):
        with pytest.raises(ValueError, match=rf"`path` .*{name} is no regular file"):
            read(tmp_path / name)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/f_0.png").symlink_to(tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"`path` .*f_0.png is no regular file"):
        records.read_frames(tmp_path / "run")
    (tmp_path / "latin.csv").write_bytes(b"0 0\n1 \xe9\n")
    with pytest.raises(ValueError, match=r"`path`: .*latin.csv is not UTF-8 text"):
        records.read_table(tmp_path / "latin.csv")
    with open(tmp_path / "large.csv", "wb") as file:
        file.truncate(2**30)
    with pytest.raises(ValueError, match=r"`path` .*large.csv has 1,073,741,824 bytes, more than"):
        records.read_table(tmp_path / "large.csv")
    with pytest.raises(ValueError, match=r"`path` .*run is no regular file"):
        records.read_table(tmp_path / "run")


def test_a_missing_library_names_the_extra(tmp_path, monkeypatch):
    path = write_counts(tmp_path, "h5", COUNTS)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r'HDF5 files are read by h5py.*pip install "lensformer\[lab\]"'):
        records.read_frames(path, 12)
