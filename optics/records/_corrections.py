"""The correction pattern of a phase panel, from the bitmap that its vendor sends with it."""

import math
import re
import struct
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from optics._check import as_counts, as_path, check_number, check_positive_number, describe
from optics._files import open_file
from optics._typing import PathLike, ScalarLike, ShapeLike
from optics.records._door import PNG_START, FileError, check_size, read_counts

MAX_BYTES = 2**26  # the largest bitmap that is read, and its largest count of pixels
NAMED_WAVELENGTH = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?) ?nm(?![a-z])", re.IGNORECASE)
SHORTEST, LONGEST = 100e-9, 100e-6  # wavelengths that a panel is for, m


class Correction(NamedTuple):
    """The correction pattern of a panel.

    Attributes:
        phase: to be added to every pattern, so minus the panel's own error, wrapped, shape (rows, columns),
            rad.
        wavelength: for which it holds, m.
    """

    phase: Float[np.ndarray, "rows columns"]
    wavelength: float


def read_correction(
    path: PathLike,
    wavelength: ScalarLike | None = None,
    shape: ShapeLike | None = None,
    full_turn: ScalarLike = 256.0,
) -> Correction:
    """The phase correction of a panel from a bitmap: BMP or PNG of 8 bits, as vendors send one for each
    wavelength.

        φ = 2π k / full_turn,   k the grey level

    The level at which the panel itself reaches 2π at this wavelength is not in the bitmap: vendors print it
    on the data sheet. It belongs to the panel (`effects.PhaseLUT`, or `read_table` with `full_turn`).

    Arguments:
        path: of the bitmap.
        wavelength: for which it holds, m; None where the name of the file says it, such as `_633nm`.
        shape: of the panel, (rows, columns); None takes any.
        full_turn: grey level that stands for 2π in the bitmap; 256 by default, as of one that spans 0 to 255.

    Returns:
        `Correction`: the phase to be added to every pattern, and its wavelength.

    Raises:
        FileNotFoundError: no such file.
        ImportError: imageio, which reads PNG, is missing; the extra `lab` brings it.
        ValueError: no regular file, one of more than 64 MiB, no BMP or PNG, a damaged one, one of other than
            8 bits, in colours or packed, a size that is not the panel's, grey levels above `full_turn`, or a
            wavelength that is neither given nor in the name, or both and different.

    Example:
        >>> import imageio.v3, numpy as np, tempfile, optics
        >>> path = tempfile.mkdtemp() + "/CAL_633nm.bmp"
        >>> imageio.v3.imwrite(path, np.full((4, 6), 128, np.uint8))
        >>> correction = optics.records.read_correction(path)
        >>> print(correction.phase.shape, correction.phase[0, 0] / np.pi, correction.wavelength)
        (4, 6) 1.0 6.33e-07
    """
    path = as_path("path", path)
    if wavelength is not None:
        check_number("wavelength", wavelength, SHORTEST, LONGEST, "m")
    if shape is not None:
        shape = as_counts("shape", shape, 2)
    check_positive_number("full_turn", full_turn, "levels")
    with open_file(path, MAX_BYTES, "path") as stream:
        start = stream.read(8)
        stream.seek(0)
        if start == PNG_START:
            levels = read_counts(path, MAX_BYTES)
        elif start.startswith(b"BM"):
            levels = _read_bmp(stream, path)
        else:
            raise ValueError(f"`path` must be a bitmap, .bmp or .png, got {path}, which is neither.")
    if levels.dtype != np.uint8 or levels.ndim != 2:
        raise ValueError(f"`path` {path} must have 8 bits a pixel, got {8 * levels.dtype.itemsize}.")
    if shape is not None and levels.shape != shape:
        raise ValueError(
            f"`path` {path} has {levels.shape[0]}×{levels.shape[1]} pixels, but the panel has "
            f"{shape[0]}×{shape[1]} (`shape`); take the bitmap of this panel."
        )
    if levels.max() > full_turn:
        raise ValueError(f"`full_turn` must be at least {levels.max()}, the highest level of {path}.")
    phase = levels.astype(np.float32)
    phase *= 2 * np.pi / float(full_turn)
    return Correction(phase, _wavelength(path, wavelength))


def _wavelength(path: Path, given: ScalarLike | None) -> float:
    """The wavelength of a bitmap, from its name or as it was given, m."""
    named = sorted({round(1e-9 * float(number), 14) for number in NAMED_WAVELENGTH.findall(path.name)})
    if given is not None:
        if len(named) == 1 and not math.isclose(named[0], float(given), rel_tol=1e-3):
            raise ValueError(
                f"`wavelength` must be that of the bitmap {path}, {1e9 * named[0]:g} nm by its name, got "
                f"{1e9 * float(given):g} nm; leave it out, or rename the file."
            )
        return float(given)
    if len(named) != 1:
        raise ValueError(
            f"`wavelength` must be given for {path}, such as 633e-9, got {describe(given)}: its name has "
            f"{'several' if named else 'none'}."
        )
    if not SHORTEST <= named[0] <= LONGEST:
        raise ValueError(
            f"`wavelength` must be given for {path}: {1e9 * named[0]:g} nm in its name is not that of light."
        )
    return named[0]


def _read_bmp(stream: BufferedIOBase, path: Path) -> UInt8[np.ndarray, "rows columns"]:
    """The grey levels of a bitmap of 8 bits that is not packed, rows from the top."""
    content = stream.read(MAX_BYTES)
    if len(content) < 54:
        raise FileError(f"`path` {path} is not a whole BMP file: it ends in its header; copy it again.")
    start, size, cols, rows, planes, bits, packing = struct.unpack_from("<IIiiHHI", content, 10)
    (colours,) = struct.unpack_from("<I", content, 46)
    if not 40 <= size <= 124 or planes != 1:
        raise FileError(f"`path` {path} is not a readable BMP file: its header is damaged, or very old.")
    if bits != 8:
        raise FileError(f"`path` {path} must have 8 bits a pixel, got {bits}; save it in grey levels.")
    if packing != 0:
        raise FileError(f"`path` {path} is packed (kind {packing}); save it as a BMP that is not.")
    from_top, rows = rows < 0, abs(rows)
    check_size(path, (rows, max(cols, 0)), 1, MAX_BYTES)
    colours = colours or 256
    stride = -(-cols // 4) * 4
    if colours > 256 or start < 14 + size + 4 * colours or len(content) < start + rows * stride:
        raise FileError(
            f"`path` {path} is not a whole BMP file: {rows}×{cols} pixels and {colours} colours do not fit "
            f"into its {len(content):,} bytes; copy it again."
        )
    palette = np.frombuffer(content, np.uint8, 4 * colours, 14 + size).reshape(colours, 4)[:, :3]
    if np.any(palette != palette[:, :1]):
        raise FileError(f"`path` {path} holds colours (palette); save grey values, not colours.")
    indices = np.frombuffer(content, np.uint8, rows * stride, start).reshape(rows, stride)[:, :cols]
    if indices.max() >= colours:
        raise FileError(f"`path` {path} is damaged: it uses colour {indices.max()} of {colours}.")
    levels = palette[:, 0][indices]
    return levels if from_top else levels[::-1]
