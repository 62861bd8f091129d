"""Patterns as files that the software of panels opens: bitmaps of 8 bits, and slmsuite's HDF5."""

import struct
from pathlib import Path

import numpy as np

from optics._check import as_counts, as_numpy, as_path, check_whole
from optics._typing import ArrayLike, CountLike, PathLike, ShapeLike
from optics.records._door import import_library
from optics.records._panel import as_levels, panel_phase

LARGEST_SIDE = 2**15 - 1  # pixels
LAYOUT = b"0.5.0"  # of slmsuite, whose files these are laid out as


def write_bitmap(path: PathLike, levels: ArrayLike, panel: ShapeLike | None = None) -> Path:
    """A pattern as a BMP of 8 bits in grey, one pixel a panel pixel, as vendors' software opens it.

    It is not packed, and its palette is that of greys, so that no program changes a level. `read_correction`
    reads it back.

    Arguments:
        path: of the file, which ends in .bmp; one that exists is written over.
        levels: whole numbers from 0 to 255, shape (rows, columns), as `as_levels` gives them.
        panel: pixels of the panel, (rows, columns); None takes any.

    Returns:
        the path.

    Raises:
        ValueError: another ending, levels that are no plane of whole numbers from 0 to 255, or not of the
            panel's shape, or a path that cannot be written.

    Example:
        >>> import numpy as np, tempfile, optics
        >>> levels = optics.records.as_levels(np.pi * np.indices((4, 6)).sum(axis=0))
        >>> path = optics.records.write_bitmap(tempfile.mkdtemp() + "/checks_633nm.bmp", levels, panel=(4, 6))
        >>> print(optics.records.read_correction(path).phase[0, :2].round(4))
        [0.     3.1416]
    """
    path = _as_file(path, ".bmp")
    array = _as_grey(levels, 256)
    rows, cols = array.shape
    if panel is not None and array.shape != (shape := as_counts("panel", panel, 2)):
        raise ValueError(
            f"`levels` must have the panel's {shape[0]}×{shape[1]} pixels (`panel`), got {rows}×{cols}; "
            "`optics.records.panel_phase` places a pattern on it."
        )
    stride = -(-cols // 4) * 4
    pixels = np.zeros((rows, stride), np.uint8)
    # Rows from the bottom, as every program reads them.
    pixels[:, :cols] = array[::-1]
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
    palette[:, 3] = 0
    start = 14 + 40 + palette.size
    header = struct.pack("<2sIHHI", b"BM", start + pixels.size, 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", 40, cols, rows, 1, 8, 0, pixels.size, 0, 0, 256, 0)
    _write(path, header + palette.tobytes() + pixels.tobytes())
    return path


def write_phase(
    path: PathLike, phase: ArrayLike, panel: ShapeLike, group: CountLike = 1, bits: CountLike = 8
) -> Path:
    """A pattern as the HDF5 file that slmsuite's `SLM.load_phase` opens: the phase of each panel pixel, and
    the grey level that slmsuite gives it where no table is loaded.

    Arguments:
        path: of the file, which ends in .h5; one that exists is written over.
        phase: shape (rows, columns), rad.
        panel: pixels of the panel, (rows, columns).
        group: panel pixels a side of a pixel of the pattern.
        bits: of the panel.

    Returns:
        the path.

    Raises:
        ImportError: h5py is missing; the extra `lab` brings it.
        ValueError: another ending, what `panel_phase` refuses, or a path that cannot be written.

    Source: slmsuite 0.5.0, MIT licence, `slmsuite.hardware.slms.slm.SLM.save_phase`.

    Example:
        >>> import numpy as np, tempfile, optics
        >>> path = tempfile.mkdtemp() + "/pattern.h5"
        >>> optics.records.write_phase(path, np.zeros((4, 4)), panel=(8, 10), group=2).name
        'pattern.h5'
    """
    path = _as_file(path, ".h5")
    check_whole("bits", bits, 1, 16)
    whole = panel_phase(phase, panel, group)
    levels = as_levels(whole, 2**bits, falling=True)
    h5py = import_library("h5py", "HDF5")
    try:
        with h5py.File(path, "w") as file:
            file["__version__"] = LAYOUT
            # Most of a panel is often a checkerboard.
            for name, values in (
                ("phase", whole),
                ("display", levels.astype(np.uint8 if bits <= 8 else np.uint16)),
            ):
                file.create_dataset(name, data=values, compression="gzip")
    except OSError as error:
        raise ValueError(f"`path` {path} cannot be written ({str(error)[:120]}).") from None
    return path


def _as_grey(levels: ArrayLike, count: int) -> np.ndarray:
    array = as_numpy("levels", levels)
    fits = array.ndim == 2 and array.size and array.dtype.kind in "ui" and max(array.shape) <= LARGEST_SIDE
    if not fits or array.min() < 0 or array.max() >= count:
        raise ValueError(
            f"`levels` must be a plane of whole numbers from 0 to {count - 1}, as `optics.records.as_levels` "
            f"gives them, got an array of {array.dtype} with shape {array.shape}."
        )
    return array.astype(np.uint8)


def _as_file(path: PathLike, ending: str) -> Path:
    path = as_path("path", path)
    if path.suffix.lower() != ending:
        raise ValueError(f"`path` must be a file that ends in {ending}, got {str(path)[:200]!r}.")
    return path


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ValueError(f"`path` {str(path)[:200]} cannot be written: {error.strerror}.") from None
