"""Damaged files of a laboratory: each is refused by one line that names the file and its fault, in bounded
memory; and whatever bits change, nothing but such a refusal is raised.
"""

import importlib.util
import io
import os
import re
import struct
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest
from PIL import Image

from optics import records
from tests.helpers_lab import INVALID, STANDARD, listing, metropro, write_datx

RNG = np.random.default_rng(1)
MOST_BYTES = 2**27  # of NumPy and Python, for any refusal
NEEDS_PRYSM = pytest.mark.skipif(importlib.util.find_spec("prysm") is None, reason="needs the extra lab")


def refuse(read, path, fault, **options):
    """The refusal of a file, one line with its path and the fault."""
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            read(path, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert "\n" not in message and str(path) in message, message
    assert re.search(fault, message), message
    assert peak < MOST_BYTES, f"{peak:,} bytes for: {message}"


# Files that are none.
def place(path, kind):
    """Put something else in the place of a file."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind != "missing":
        path.symlink_to({"link to a device": "/dev/zero", "dangling link": "nowhere"}[kind])


OTHERS = {
    "pipe": "no regular file",
    "folder": "no regular file",
    "link to a device": "no regular file",
    "loop": "cannot be read",
    "dangling link": "does not exist",
    "missing": "does not exist",
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", ["read_zernikes", "read_table", "read_correction", "read_wavefront"])
def test_no_files(name, kind, tmp_path):
    path = tmp_path / "file_633nm"
    place(path, kind)
    refuse(getattr(records, name), path, OTHERS[kind])


@pytest.mark.parametrize("name", ["read_zernikes", "read_table", "read_correction", "read_wavefront"])
def test_larger_than_any_such_file(name, tmp_path):
    path = tmp_path / "file_633nm"
    with path.open("wb") as file:
        file.truncate(2**40)
    refuse(getattr(records, name), path, "bytes, more than")


# Zernike coefficients.
VALUES = [0.0, 0.1, -0.2, 0.3, 0.05, -0.01, 0.02, 0.03, 0.0, 0.01, 0.04]
NOLL = "# Noll\n"
LINES = listing(VALUES).splitlines(keepends=True)
SHIFTED = {j + 1: formula for j, formula in STANDARD.items()}
ZERNIKES = {
    "empty": ("", {}, "`index` must be given"),
    "empty, order given": ("", {"index": "noll"}, "holds no numbers"),
    "no order": ("1 0.1\n2 0.2", {}, "`index` must be given"),
    "two orders": ("# Noll or OSA\n1 0.1", {}, "names noll and osa"),
    "another order": (NOLL + "1 0.1", {"index": "fringe"}, '`index` is "fringe", but .* says "noll"'),
    "index 0 of Noll": (NOLL + "0 0.1\n1 0.2", {}, 'index 0, but "noll" counts from 1; "osa" counts from 0'),
    "index 0 of Fringe": ("# Fringe\n0 0.1", {}, "Wyant's table counts from 0"),
    "negative index": ("# OSA\n-1 0.1", {}, 'index -1, but "osa" counts from 0'),
    "fraction": (NOLL + "1.5 0.1", {}, "whole indices .* got 1.5"),
    "twice": (NOLL + "4 0.1\n4 0.2", {}, "index 4 twice"),
    "vast index": (NOLL + "1e18 0.1", {}, "index 1000000000000000000"),
    "beyond order 100": (NOLL + "5152 0.1", {}, "index 5152"),
    "NaN": (NOLL + "4 nan", {}, "line 2 .* finite numbers"),
    "infinite": (NOLL + "4 1e999", {}, "line 2 .* finite numbers"),
    "text": (NOLL + "1 0.1\n4 x", {}, "line 3 .* must hold numbers, got '4 x'"),
    "three columns": (NOLL + "4 0.1 0.2", {}, "line 2 .* 1 or 2 numbers, got 3"),
    "decimal commas": (NOLL + "4;0,123", {}, "line 2 .* got 3"),
    "column lost": (NOLL + "4 0.1\n0.2", {}, "line 3 .* must hold 2 numbers, got 1"),
    "binary": (bytes(range(256)), {"index": "noll"}, "UTF-8|zero bytes|must hold numbers"),
    "binary in text": (b"# Noll\n4 0.1\0\n", {}, "zero bytes"),
    "latin-1": ("# Noll, µm\n4 0.1".encode("latin-1"), {}, "not UTF-8"),
    "no wavelength": (NOLL + "4 100", {"unit": "nm"}, "`wavelength` must be given"),
    "wavelength of no use": (NOLL + "4 0.1", {"wavelength": 633e-9}, "`wavelength` is of no use"),
    "too many lines": (NOLL + "0.1\n" * 5152, {}, "index 5152"),
    "listing without lines": ("".join(LINES[:20]), {}, "lists no coefficients"),
    "listing cut in a number": (
        "".join(LINES)[:-50],
        {},
        "line 31 .* must hold Z, an index and a finite coefficient",
    ),
    "listing cut before a formula": ("".join(LINES)[:-30], {}, "no formula at coefficient 11"),
    "listing without a line": ("".join(LINES[:-5] + LINES[-4:]), {}, "must hold coefficient 7, got 8"),
    "two listings": ("".join(LINES) * 2, {}, "must hold coefficient 12, got 1"),
    "listing with NaN": (listing([0.0, np.nan]), {}, "finite coefficient, got"),
    "listing with text": ("".join(LINES).replace("0.30000000", "-.-"), {}, "finite coefficient, got"),
    "formulas of another order": (listing(VALUES, formulas=SHIFTED), {}, "formula|no formula"),
    "Fringe as Standard": (
        listing(VALUES[:9], "Fringe", formulas=STANDARD),
        {},
        "coefficient 5 has n = 2, m = 2 in this order, but its formula",
    ),
    "annular": (listing(VALUES).replace("Standard", "Annular"), {}, "annular"),
    "order of a listing": (listing(VALUES), {"index": "osa"}, '`index` is "osa", but the listing'),
    "unit of a listing": (listing(VALUES), {"unit": "nm", "wavelength": 1e-6}, '`unit` must be "waves"'),
    "negative wavelength": (
        listing(VALUES, wavelength="-0.6328"),
        {"wavelength": 633e-9},
        "positive wavelength in µm, got '-0.6328'",
    ),
    "no wavelength in a listing": (
        re.sub("Wavelength.*\n", "", listing(VALUES)),
        {"wavelength": 633e-9},
        "does not say its own",
    ),
    "UTF-16 cut off": (listing(VALUES).encode("utf-16")[:-1], {}, "no whole text in UTF-16"),
}


@pytest.mark.parametrize("name", ZERNIKES)
def test_damaged_coefficients(name, tmp_path):
    content, options, fault = ZERNIKES[name]
    path = tmp_path / "zernikes.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    refuse(records.read_zernikes, path, fault, **options)


# Tables of drivers.
LUT = "\n".join(f"{k} {700 + 13 * k}" for k in range(256))
LEVEL = {"unit": "level", "dac_levels": 4096}
TABLES = {
    "10 bits": (LUT, {"unit": "level", "dac_levels": 1024}, "from 0 to 1023, got 700 to 4015.*`dac_levels`"),
    "without its depth": (LUT, {"unit": "level"}, "from 0 to 255, got 700 to 4015.*`levels`"),
    "one level too high": (LUT.replace("255 4015", "255 4096"), LEVEL, "from 0 to 4095, got 700 to 4096"),
    "more levels than the panel": (LUT, LEVEL | {"levels": 128}, "levels from 0 to 127"),
    "of 16 bits": (LUT.replace("255 4015", "255 65535"), LEVEL, "got 700 to 65535"),
    "negative": (LUT.replace("0 700\n", "0 -700\n", 1), LEVEL, "from 0 to 4095, got -700"),
    "falls": (LUT.replace("100 2000", "100 9"), LEVEL, "never fall"),
    "twice": (LUT.replace("\n100 ", "\n101 "), LEVEL, "level 101 twice"),
    "without level 0": (LUT[6:], LEVEL, "begin at level 0"),
    "NaN": (LUT.replace("2000", "nan"), LEVEL, "line 101 .* finite"),
    "cut in a line": (LUT[: LUT.index("2000") - 1], LEVEL, "line 101 .* must hold 2 numbers, got 1"),
    "empty": ("", LEVEL, "holds no numbers"),
    "in radians": (LUT, {"dac_levels": None}, "phases in rad, got up to 4015"),
}


@pytest.mark.parametrize("name", TABLES)
def test_damaged_tables(name, tmp_path):
    content, options, fault = TABLES[name]
    path = tmp_path / "slm.lut"
    path.write_text(content)
    refuse(records.read_table, path, fault, **options)


# Correction bitmaps.
def saved(kind, image):
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


LEVELS = RNG.integers(0, 256, (9, 11), dtype=np.uint8)
GREY = Image.fromarray(LEVELS)
BMP, PNG = saved("bmp", GREY), saved("png", GREY)
RED = Image.fromarray(LEVELS)
RED.putpalette([value for k in range(256) for value in (k, 0, 0)])


def patched(content, place, layout, *values):
    new = bytearray(content)
    struct.pack_into(layout, new, place, *values)
    return bytes(new)


def png_claiming(width, height):
    header = b"IHDR" + struct.pack(">II", width, height) + PNG[24:29]
    return PNG[:12] + header + struct.pack(">I", zlib.crc32(header)) + PNG[33:]


CORRECTIONS = {
    "empty": (b"", "CAL_633nm.bmp", {}, "neither"),
    "binary": (bytes(range(256)), "CAL_633nm.bmp", {}, "neither"),
    "JPEG": (saved("jpeg", GREY), "CAL_633nm.bmp", {}, "neither"),
    "GIF": (saved("gif", GREY), "CAL_633nm.bmp", {}, "neither"),
    "cut in the header": (BMP[:40], "CAL_633nm.bmp", {}, "ends in its header"),
    "cut in the palette": (BMP[:300], "CAL_633nm.bmp", {}, "not a whole BMP"),
    "cut in the pixels": (BMP[:-1], "CAL_633nm.bmp", {}, "not a whole BMP"),
    "24 bits": (saved("bmp", GREY.convert("RGB")), "CAL_633nm.bmp", {}, "8 bits a pixel, got 24"),
    "32 bits": (patched(BMP, 28, "<H", 32), "CAL_633nm.bmp", {}, "8 bits a pixel, got 32"),
    "1 bit": (saved("bmp", GREY.convert("1")), "CAL_633nm.bmp", {}, "8 bits a pixel, got 1"),
    "colours": (saved("bmp", RED), "CAL_633nm.bmp", {}, "colours"),
    "packed": (patched(BMP, 30, "<I", 1), "CAL_633nm.bmp", {}, "packed"),
    "huge": (patched(BMP, 18, "<ii", 2**31 - 1, 2**31 - 1), "CAL_633nm.bmp", {}, "`max_bytes`|bytes"),
    "more than it holds": (patched(BMP, 18, "<ii", 4000, 4000), "CAL_633nm.bmp", {}, "not a whole BMP"),
    "no rows": (patched(BMP, 18, "<ii", 11, 0), "CAL_633nm.bmp", {}, "holds no frames"),
    "negative columns": (patched(BMP, 18, "<ii", -11, 9), "CAL_633nm.bmp", {}, "holds no frames"),
    "pixels in the header": (patched(BMP, 10, "<I", 10), "CAL_633nm.bmp", {}, "not a whole BMP"),
    "pixels elsewhere": (patched(BMP, 10, "<I", 2**32 - 1), "CAL_633nm.bmp", {}, "not a whole BMP"),
    "header of another size": (patched(BMP, 14, "<I", 12), "CAL_633nm.bmp", {}, "header is damaged"),
    "too many colours": (patched(BMP, 46, "<I", 2**31), "CAL_633nm.bmp", {}, "not a whole BMP"),
    "too few colours": (patched(BMP, 46, "<I", 2), "CAL_633nm.bmp", {}, "it uses colour"),
    "PNG cut off": (PNG[:60], "CAL_633nm.png", {}, "not a readable PNG"),
    "PNG with a changed bit": (patched(PNG, 50, "B", PNG[50] ^ 1), "CAL_633nm.png", {}, "does not match"),
    "PNG of 16 bits": (
        saved("png", Image.fromarray(LEVELS.astype(np.uint16))),
        "a_9um_633nm.png",
        {},
        "8 bits",
    ),
    "PNG in colours": (saved("png", GREY.convert("RGB")), "CAL_633nm.png", {}, "colours"),
    "PNG bomb": (png_claiming(2**31 - 1, 2**31 - 1), "CAL_633nm.png", {}, "`max_bytes`"),
    "wavelength nowhere": (BMP, "CAL.bmp", {}, "`wavelength` must be given.*none"),
    "two wavelengths": (BMP, "633nm_532nm.bmp", {}, "`wavelength` must be given.*several"),
    "another wavelength": (BMP, "CAL_633nm.bmp", {"wavelength": 532e-9}, "633 nm by its name, got 532 nm"),
    "no light": (BMP, "CAL_0nm.bmp", {}, "0 nm in its name is not that of light"),
    "another panel": (
        BMP,
        "CAL_633nm.bmp",
        {"shape": (1024, 1272)},
        "9×11 pixels, but the panel has 1024×1272",
    ),
    "turned panel": (BMP, "CAL_633nm.bmp", {"shape": (11, 9)}, "the panel has 11×9"),
    "above 2π": (BMP, "CAL_633nm.bmp", {"full_turn": 100}, "`full_turn` must be at least"),
}


@pytest.mark.parametrize("name", CORRECTIONS)
def test_damaged_corrections(name, tmp_path):
    content, file, options, fault = CORRECTIONS[name]
    path = tmp_path / file
    path.write_bytes(content)
    refuse(records.read_correction, path, fault, **options)


@pytest.mark.parametrize("value", [-633e-9, 0.0, 633.0, np.nan, "red"])
def test_wavelengths_that_are_none(value, tmp_path):
    path = tmp_path / "CAL.bmp"
    path.write_bytes(BMP)
    with pytest.raises(ValueError, match="`wavelength` must be"):
        records.read_correction(path, wavelength=value)


# Wavefronts.
RAW = RNG.integers(-9000, 9000, (8, 9))
DAT = metropro(RAW)
DATS = {
    "empty": (b"", "neither"),
    "text": (b"Zygo ASCII Data File - Format 2\n", "neither"),
    "cut in the header": (DAT[:500], "not a readable file of Zygo"),
    "cut in the heights": (DAT[:-1], "not a readable file of Zygo"),
    "another size of header": (patched(DAT, 6, ">I", 2**31), "header of 2,147,483,648 bytes"),
    "another format": (patched(DAT, 4, ">H", 3), "in format 3"),
    "huge": (patched(DAT, 68, ">HH", 65535, 65535), "not a readable file of Zygo"),
    "huge intensity": (patched(DAT, 52, ">HHH", 65535, 65535, 65535), "not a readable file of Zygo"),
    "another frame": (patched(DAT, 68, ">HH", 4, 8), "8×4 heights of 4 bytes"),
    "no heights": (metropro(np.full((8, 9), INVALID)), "holds no heights"),
    "no rows": (patched(patched(DAT, 68, ">HH", 9, 0), 72, ">I", 0), "holds no heights"),
    "negative wavelength": (metropro(RAW, wavelength=-632.8e-9), "wavelength from 1e-07"),
    "wavelength in nm": (metropro(RAW, wavelength=632.8), "wavelength from 1e-07|above 1 m"),
    "NaN": (metropro(RAW, wavelength=np.nan), "holds no heights|wavelength"),
    "infinite scale": (metropro(RAW, scale=np.inf), "not finite"),
    "no scale": (metropro(RAW, scale=0.0), "scale factor"),
    "not calibrated": (metropro(RAW, pitch=0.0), "pitch .* was not calibrated"),
    "NaN as pitch": (metropro(RAW, pitch=np.nan), "pitch"),
    "unknown resolution": (patched(DAT, 218, ">H", 9), "not a readable file of Zygo"),
}


@NEEDS_PRYSM
@pytest.mark.parametrize("name", DATS)
def test_damaged_metropro(name, tmp_path):
    content, fault = DATS[name]
    path = tmp_path / "mirror.dat"
    path.write_bytes(content)
    refuse(records.read_wavefront, path, fault)


SURFACE = RNG.standard_normal((8, 9))


def no_surface(file):
    del file["Data"]


def no_attributes(file):
    del file["Attributes"]


def bomb(file):
    """A plane of 10¹² samples that takes a few bytes in the file."""
    file.create_dataset("Data/Intensity/{C}", (10**6, 10**6), "u2", chunks=(1000, 1000), compression=9)


def replace(file, **options):
    attributes = dict(file["Data/Surface/{A1}"].attrs)
    del file["Data/Surface/{A1}"]
    node = file["Data/Surface"].create_dataset("{A1}", **options)
    node.attrs.update(attributes)


def link_elsewhere(file):
    del file["Data/Surface/{A1}"]
    file["Data/Surface/{A1}"] = h5py.ExternalLink("/etc/passwd", "/")


def link_within(file):
    file["Data/Surface/{0}"] = h5py.SoftLink("/Data/Surface/{A1}")


DATXS = {
    "no surface": (dict(), no_surface, "holds no surface"),
    "no attributes": (dict(), no_attributes, "not a readable file of Zygo"),
    "bomb": (dict(), bomb, "bytes are more than"),
    "link to another file": (dict(), link_elsewhere, "is a link"),
    "link in the file": (dict(), link_within, "is a link"),
    "text": (dict(), lambda f: replace(f, data=np.full((8, 9), b"x")), "plane of numbers"),
    "complex": (dict(), lambda f: replace(f, data=SURFACE + 0j), "plane of numbers"),
    "a cube": (dict(), lambda f: replace(f, data=np.zeros((2, 3, 4))), "plane of numbers"),
    "a line": (dict(), lambda f: replace(f, data=np.zeros(7)), "plane of numbers"),
    "nothing": (dict(), lambda f: replace(f, data=np.zeros((0, 9))), "holds no heights"),
    "in other files": (
        dict(),
        lambda f: replace(f, shape=(8, 9), dtype="f8", external=[("/dev/zero", 0, 8 * 72)]),
        "in other files",
    ),
    "all NaN": (dict(), lambda f: replace(f, data=np.full((8, 9), np.nan)), "holds no heights"),
    "infinite": (dict(), lambda f: replace(f, data=np.full((8, 9), -np.inf)), "not finite"),
    "negative wavelength": (dict(wavelength=-1e-6), None, "wavelength from"),
    "wavelength lost": (dict(Wavelength=None), None, "not a readable file of Zygo"),
    "unit unknown": (dict(Unit=np.array([b"Inches"], dtype="S6")), None, "not a readable file of Zygo"),
    "no pitch": (dict(meta={"Data Context.Lateral Resolution:Value": None}), None, "no lateral resolution"),
    "pitch 0": (dict(pitch=0.0), None, "pitch from"),
    "pitch negative": (dict(pitch=-1e-4), None, "pitch from"),
    "scale NaN": (dict(scale=np.nan), None, "scale factor"),
}


@NEEDS_PRYSM
@pytest.mark.parametrize("name", DATXS)
def test_damaged_datx(name, tmp_path):
    changes, damage, fault = DATXS[name]
    path = tmp_path / "mirror.datx"
    write_datx(path, SURFACE, **changes)
    if damage is not None:
        with h5py.File(path, "a") as file:
            damage(file)
    refuse(records.read_wavefront, path, fault)


# Whatever bits change and wherever a file ends: a refusal that names it, or numbers.
def damages(content, count):
    for bit in RNG.choice(8 * len(content), min(count, 8 * len(content)), replace=False):
        yield content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]
    for length in np.linspace(0, len(content) - 1, count // 4).astype(int):
        yield content[:length]


def datx(tmp_path):
    write_datx(tmp_path / "whole.datx", SURFACE)
    return (tmp_path / "whole.datx").read_bytes()


@pytest.mark.parametrize(
    ("read", "file", "whole"),
    [
        (records.read_zernikes, "zernike.txt", lambda _: listing(VALUES).encode()),
        (records.read_zernikes, "zernike.txt", lambda _: listing(VALUES).encode("utf-16")),
        (lambda p: records.read_table(p, **LEVEL), "slm.lut", lambda _: LUT.encode()),
        (records.read_correction, "CAL_633nm.bmp", lambda _: BMP),
        (records.read_correction, "CAL_633nm.png", lambda _: PNG),
        pytest.param(records.read_wavefront, "m.dat", lambda _: DAT, marks=NEEDS_PRYSM),
        pytest.param(records.read_wavefront, "m.datx", datx, marks=NEEDS_PRYSM),
    ],
)
def test_changed_bits(read, file, whole, tmp_path):
    path = tmp_path / file
    refusals = 0
    for content in damages(whole(tmp_path), 120):
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        try:
            result = read(path)
        except ValueError as error:
            refusals += 1
            assert "\n" not in str(error) and (str(path) in str(error) or "`levels`" in str(error))
        else:
            assert result is not None
    assert refusals >= 15


def test_the_table_is_large():
    kinds = ZERNIKES, TABLES, CORRECTIONS, DATS, DATXS
    assert sum(map(len, kinds)) + 4 * (len(OTHERS) + 1) >= 140
