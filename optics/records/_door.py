"""The door for files of frames: what a file is, is read from its bytes, and its size is known before it is
read.
"""

import importlib
import io
import logging
import math
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from optics._files import open_file

PNG_START = b"\x89PNG\r\n\x1a\n"
# The first bytes of each kind of file. HDF5 may begin after a block of the user.
STARTS = {
    PNG_START: "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\x93NUMPY": "npy",
    b"\x89HDF\r\n\x1a\n": "HDF5",
}
USER_BLOCKS = (0, 512, 1024, 2048)  # bytes
# Of TIFF, as tags hold them: white is 0, black is 0.
GREY_PHOTOMETRICS = (0, 1)
PNG_COLOURS = {2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGBA"}


class FileError(ValueError):
    """A refusal in the words of this module, as opposed to those of a library."""


def read_counts(path: Path, max_bytes: int, dataset: str | None = None) -> np.ndarray:
    """The counts in a file of frames, as they are stored.

    Arguments:
        path: of the file.
        max_bytes: the most that the counts may take in memory.
        dataset: of an HDF5 file; None where it holds only one.

    Raises:
        FileNotFoundError: no such file.
        ImportError: the library for such files is missing.
        ValueError: a file of another kind or no regular one, a damaged one, colours, numbers of another kind,
            more bytes than allowed, or an HDF5 file whose frames are in other files.
    """
    with open_file(path, name="path") as stream:
        kind = _kind(stream)
        if kind is None:
            raise FileError(f"`path` must be a folder of pictures, .tif, .png, .h5 or .npy, got {path.name}.")
        if dataset is not None and kind != "HDF5":
            raise FileError(
                f"`dataset` names a data set of an HDF5 file, but `path` is {path.name}; leave it out."
            )
        library = {"PNG": "imageio.v3", "TIFF": "tifffile", "HDF5": "h5py"}.get(kind)
        module = np if library is None else import_library(library, kind)
        try:
            if kind == "HDF5":
                return _read_hdf5(module, path, max_bytes, dataset)
            return {"PNG": _read_png, "TIFF": _read_tiff, "npy": _read_npy}[kind](
                module, stream, path, max_bytes
            )
        except FileError:
            raise
        # Damaged bytes can raise anything: the libraries promise no kind of error.
        except Exception as error:
            first = (str(error).splitlines() or [""])[0][:200]
            raise FileError(
                f"`path` {path} is not a readable {kind} file, or not a whole one "
                f"({type(error).__name__}: {first}); copy it again, or record again."
            ) from None


def check_size(path: Path, shape: tuple[int, ...], itemsize: int, max_bytes: int) -> int:
    """The bytes of an array of this shape.

    Raises:
        FileError: it has another number of axes than 2 or 3, is empty, or too large.
    """
    if len(shape) not in (2, 3):
        raise FileError(
            f"`path` {path} must hold frames of shape (count, rows, columns), got {tuple(shape)}; "
            "save grey values, not colours."
        )
    size = math.prod(shape) * itemsize
    if size <= 0 or min(shape) <= 0:
        raise FileError(f"`path` {path} holds no frames, its array has the shape {tuple(shape)}.")
    if size > max_bytes:
        raise FileError(
            f"`path` {path} holds frames of shape {tuple(shape)}, {size:,} bytes, more than the "
            f"{max_bytes:,} of `max_bytes`; raise it if there is as much memory, or part the file."
        )
    return size


def _check_numbers(path: Path, dtype: np.dtype) -> None:
    if dtype.kind not in "uif":
        raise FileError(f"`path` {path} must hold whole or real numbers, got {dtype}.")


def _check_grey(path: Path, is_grey: bool, colours: str) -> None:
    if not is_grey:
        raise FileError(f"`path` {path} holds colours ({colours}); save grey values, not colours.")


def _kind(stream: BufferedIOBase) -> str | None:
    for offset in USER_BLOCKS:
        stream.seek(offset)
        start = stream.read(8)
        kind = next((kind for magic, kind in STARTS.items() if start.startswith(magic)), None)
        if kind is not None and (offset == 0 or kind == "HDF5"):
            stream.seek(0)
            return kind
    return None


def _read_npy(numpy: ModuleType, stream: BufferedIOBase, path: Path, max_bytes: int) -> np.ndarray:
    """An array in NumPy's format, whose header and length agree."""
    version = numpy.lib.format.read_magic(stream)
    # A third version is for names of fields, which frames do not have.
    readers = {
        (1, 0): numpy.lib.format.read_array_header_1_0,
        (2, 0): numpy.lib.format.read_array_header_2_0,
    }
    shape, fortran_order, dtype = readers[version](stream)
    _check_numbers(path, dtype)
    size = check_size(path, shape, dtype.itemsize, max_bytes)
    content = stream.read(size + 1)
    if len(content) != size:
        raise FileError(
            f"`path` {path} is not a whole npy file: {size:,} bytes should follow its header; copy it again."
        )
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran_order else "C")


def _read_png(imageio: ModuleType, stream: BufferedIOBase, path: Path, max_bytes: int) -> np.ndarray:
    """A grey picture whose chunks have the right sums; the library compares only some of them."""
    content = stream.read(max_bytes + 2**20)
    place, kind, width, height, bits, colour = len(PNG_START), b"", 0, 0, 0, 0
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, place)
        data = content[place + 8 : place + 8 + length]
        (expected,) = struct.unpack_from(">I", content, place + 8 + length)
        if zlib.crc32(kind + data) != expected:
            raise ValueError(f"the sum of its chunk {kind.decode('latin-1')} does not match")
        if place == len(PNG_START):
            width, height, bits, colour = struct.unpack_from(">IIBB", data)
            _check_grey(path, colour == 0, PNG_COLOURS.get(colour, "unknown"))
            if bits not in (8, 16):
                raise FileError(f"`path` {path} must have 8 or 16 bits a pixel, got {bits}.")
            check_size(path, (height, width), bits // 8, max_bytes)
        if kind == b"acTL":
            raise FileError(f"`path` {path} is a film; save its pictures one by one.")
        place += 12 + length
    return np.asarray(imageio.imread(io.BytesIO(content), plugin="pillow"))


class _Errors(logging.Handler):
    """What tifffile logs as an error and goes on from, such as an offset that leads out of the file."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _read_tiff(tifffile: ModuleType, stream: BufferedIOBase, path: Path, max_bytes: int) -> np.ndarray:
    """One grey picture or a stack of them, from this file alone."""
    errors, logger = _Errors(), logging.getLogger("tifffile")
    logger.addHandler(errors)
    propagates, logger.propagate = logger.propagate, False
    try:
        # These kinds may name other files.
        with tifffile.TiffFile(stream, is_ome=False, is_mmstack=False, is_ndtiff=False) as file:
            if len(file.series) != 1:
                raise FileError(
                    f"`path` {path} must hold one stack of pictures of one size, got {len(file.series)}."
                )
            (series,) = file.series
            page = series.keyframe
            is_grey = page.samplesperpixel == 1 and page.photometric in GREY_PHOTOMETRICS
            _check_grey(path, is_grey, f"{page.samplesperpixel} samples, {page.photometric!s}")
            _check_numbers(path, series.dtype)
            check_size(path, series.shape, series.dtype.itemsize, max_bytes)
            _check_segments(file)
            counts = series.asarray()
    finally:
        logger.removeHandler(errors)
        logger.propagate = propagates
    if errors.texts:
        raise ValueError(errors.texts[0])
    return np.asarray(counts)


def _check_segments(file: Any) -> None:
    """Refuse a TIFF file that ends before its pixels: they would be read as 0."""
    for page in file.pages:
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if offset <= 0 or count <= 0 or offset + count > file.filehandle.size:
                raise ValueError(f"{count} bytes at {offset} are not in the file")


def _read_hdf5(h5py: ModuleType, path: Path, max_bytes: int, dataset: str | None) -> np.ndarray:
    """A data set of an HDF5 file, stored in the file itself."""
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
        if dataset is None and len(names) != 1:
            raise FileError(
                f"`dataset` must be one of {', '.join(names) or 'none at all'} in {path.name}; name it."
            )
        name = names[0] if dataset is None else dataset
        if name not in names:
            raise FileError(f"`dataset` must be one of {', '.join(names)} in {path.name}, got {name!r}.")
        node = file[name]
        if node.is_virtual or node.external:
            raise FileError(
                f"`path` {path}: the frames of {name} are in other files; copy them into this one."
            )
        _check_numbers(path, node.dtype)
        check_size(path, node.shape or (), node.dtype.itemsize, max_bytes)
        return np.asarray(node)


def import_library(name: str, kind: str) -> ModuleType:
    """A library of the extra `lab`, imported when it is needed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(
            f"{kind} files are read by {name.split('.')[0]}, which is not installed: "
            '`pip install "lensformer[lab]"`.'
        ) from None
