"""Files of laboratory instruments, laid out as their makers' manuals say, for tests of the readers."""

import struct
from pathlib import Path

import h5py
import numpy as np

from optics.records import SlmsuiteCalibration

# Formulas as Zemax prints them behind the coefficients, by index.
STANDARD = {
    1: "1",
    2: "4^(1/2) (p) * COS (A)",
    3: "4^(1/2) (p) * SIN (A)",
    4: "3^(1/2) (2p^2 - 1)",
    5: "6^(1/2) (p^2) * SIN (2A)",
    6: "6^(1/2) (p^2) * COS (2A)",
    7: "8^(1/2) (3p^3 - 2p) * SIN (A)",
    8: "8^(1/2) (3p^3 - 2p) * COS (A)",
    9: "8^(1/2) (p^3) * SIN (3A)",
    10: "8^(1/2) (p^3) * COS (3A)",
    11: "5^(1/2) (6p^4 - 6p^2 + 1)",
}
FRINGE = {
    1: "1",
    2: "(p) * COS (A)",
    3: "(p) * SIN (A)",
    4: "(2p^2 - 1)",
    5: "(p^2) * COS (2A)",
    6: "(p^2) * SIN (2A)",
    7: "(3p^2 - 2) p * COS (A)",
    8: "(3p^3 - 2p) * SIN (A)",
    9: "(6p^4 - 6p^2 + 1)",
}
INVALID = 2147483640  # of MetroPro: no height here
RESOLUTION = 32768  # of MetroPro: levels a fringe, at its high resolution


def listing(coefficients, kind="Standard", wavelength="0.6328", formulas=None, unit="µm"):
    """The text that Zemax saves of its Zernike coefficients."""
    formulas = {"Standard": STANDARD, "Fringe": FRINGE}[kind] if formulas is None else formulas
    terms = "\n".join(
        f"Z {j:>3} {value:>15.8f}" + (f" :   {formulas[j]}" if j in formulas else "")
        for j, value in enumerate(coefficients, 1)
    )
    return (
        f"Listing of Zernike {kind} Coefficient Data\n\nFile : C:\\lens.zmx\nTitle: \nDate : 6/7/2019\n\n\n"
        f"Using Zernike {kind} polynomials.\nOPD referenced to chief ray.\n\n"
        "Surface                      : Image\nField                        : 0.0000, 0.0000 (deg)\n"
        f"Wavelength                   : {wavelength} {unit}\n"
        "Peak to Valley (to chief)    :      0.10000000 waves\n\nFrom integration of the rays:\n"
        "RMS (to chief)               :      0.02000000 waves\n\n"
        f"RMS fit error                :      0.00000001 waves\n\n{terms}\n"
    )


def metropro(levels, pitch=1e-4, wavelength=632.8e-9, scale=0.5, obliquity=1.0, **header):
    """The bytes of a MetroPro file of format 1, big-endian: an intensity frame of 3×2 and the heights.

    Arguments:
        levels: raw heights, whole numbers, shape (rows, columns).
        header: replacements of bytes by their place, such as `at_68=b"\\0\\5"`.
    """
    rows, cols = levels.shape
    content = bytearray(834)
    struct.pack_into(">4sHI", content, 0, b"\x88\x1b\x03\x6f", 1, 834)
    struct.pack_into(">HHHHHHI", content, 48, 0, 0, 2, 3, 1, 255, 12)
    struct.pack_into(">HHHHI", content, 64, 0, 0, cols, rows, 4 * rows * cols)
    struct.pack_into(">ff", content, 164, scale, wavelength)
    struct.pack_into(">f", content, 176, obliquity)
    struct.pack_into(">f", content, 184, pitch)
    struct.pack_into(">H", content, 218, 1)
    for place, value in header.items():
        start = int(place.removeprefix("at_"))
        content[start : start + len(value)] = value
    return bytes(content) + bytes(12) + levels.astype(">i4").tobytes()


def write_datx(path, heights, pitch=1e-4, wavelength=632.8e-9, scale=0.5, **changes):
    """A file of Zygo's Mx, by h5py: heights in nm, with NaN stored as the number for no data.

    Arguments:
        changes: attributes of the surface to replace, or to leave out (None), and `meta` of the whole.
    """
    no_data = 1.7976931348623157e308
    attributes = {
        "No Data": np.array([no_data]),
        "Wavelength": np.array([wavelength]),
        "Unit": np.array([b"NanoMeters"], dtype="S10"),
        "Interferometric Scale Factor": np.array([scale]),
        "Obliquity Factor": np.array([1.0]),
    }
    meta = {"Data Context.Lateral Resolution:Value": np.array([pitch])} | changes.pop("meta", {})
    attributes |= {name.replace("_", " "): value for name, value in changes.items()}
    with h5py.File(path, "w") as file:
        node = file.create_dataset("Data/Surface/{A1}", data=np.where(np.isnan(heights), no_data, heights))
        for name, value in attributes.items():
            if value is not None:
                node.attrs[name] = value
        group = file.create_group("Attributes/{B2}")
        for name, value in meta.items():
            if value is not None:
                group.attrs[name] = value


def slmsuite_calibration(**changes):
    """A Fourier calibration of a small bench."""
    values = dict(
        path=Path("fourier.h5"),
        kinds=("fourier",),
        version="0.5.0",
        panel=(16, 20),
        pitch=(8e-6, 8e-6),
        wavelength=633e-9,
        bits=8,
        camera=(30, 40),
        camera_pitch=(5e-6, 5e-6),
        camera_bits=12,
        settle_time=0.0,
        M=np.array([[0.0, 200.0], [-200.0, 0.0]]),
        b=np.array([12.0, 13.0]),
    )
    return SlmsuiteCalibration(**values | changes)
