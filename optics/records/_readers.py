"""Camera frames from the files that cameras write."""

import itertools
import re
from pathlib import Path

import numpy as np

from optics._check import as_path, check_choice, check_whole, describe
from optics._typing import CountLike, PathLike, TextLike
from optics.records._door import read_counts
from optics.records._frames import as_frames

PICTURES = ".png", ".tif", ".tiff"
MAX_BYTES = 2**31


def read_frames(
    path: PathLike,
    bits: CountLike | None = None,
    dataset: TextLike | None = None,
    aligned: TextLike = "low",
    max_bytes: CountLike = MAX_BYTES,
) -> np.ndarray:
    """Frames of a file or a folder, in units of full scale; pictures in the order of their numbers.

        PNG, TIFF       one grey picture, or a stack of them
        HDF5            a data set (count, rows, columns) that is stored in the file itself
        npy             an array (count, rows, columns)
        folder          pictures .png, .tif or .tiff with a number at the end of their names, without gaps

    What a file is, is read from its first bytes. PNG files have sums, which are compared; of the others a
    changed pixel cannot be known.

    Arguments:
        path: of the file or the folder.
        bits: of the camera's converter, as of `as_frames`.
        dataset: of an HDF5 file, by its name; may be left out where the file holds only one.
        aligned: as of `as_frames`.
        max_bytes: the most that the counts may take in memory, 2 GiB by default; more is refused before
            anything is allocated.

    Returns:
        float32, shape (count, rows, columns).

    Raises:
        FileNotFoundError: no such path.
        ImportError: the library for such files is missing; the extra `lab` brings it.
        ValueError: files of another kind, none at all, damaged ones, colours, pictures of different sizes, a
            gap in the numbers, more than `max_bytes`, frames that an HDF5 file only refers to, or counts
            that `as_frames` refuses.

    Example:
        >>> import tempfile, numpy as np, optics
        >>> path = tempfile.mkdtemp() + "/frames.npy"
        >>> np.save(path, np.full((4, 6, 7), 512, np.uint16))
        >>> optics.records.read_frames(path, bits=12).shape
        (4, 6, 7)
    """
    path = as_path("path", path)
    if bits is not None:
        check_whole("bits", bits, 1, 16)
    if dataset is not None and not isinstance(dataset, str):
        raise ValueError(f"`dataset` must be the name of a data set or None, got {describe(dataset)}.")
    check_choice("aligned", aligned, ("low", "high"))
    check_whole("max_bytes", max_bytes, 1, 2**63 - 1)
    if not path.exists():
        raise FileNotFoundError(f"`path` {path} does not exist.")
    if not path.is_dir():
        counts = read_counts(path, max_bytes, dataset)
    elif dataset is None:
        counts = _read_folder(path, max_bytes)
    else:
        raise ValueError(
            f"`dataset` names a data set of an HDF5 file, but `path` is {path.name}; leave it out."
        )
    try:
        return as_frames(counts[None] if counts.ndim == 2 else counts, bits, aligned)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _read_folder(folder: Path, max_bytes: int) -> np.ndarray:
    """The pictures of a folder in the order of their numbers."""
    numbered = _numbered_files(folder)
    pictures: list[np.ndarray] = []
    for number, file in numbered.items():
        # All of them are as large as the first.
        picture = read_counts(file, max_bytes // len(numbered))
        pictures.append(picture)
        if picture.ndim != 2 or picture.shape != pictures[0].shape or picture.dtype != pictures[0].dtype:
            raise ValueError(
                f"`path` {folder}: frame {number} ({file.name}) has the shape {picture.shape} and "
                f"{picture.dtype}, but all must be like the first, {pictures[0].shape} and "
                f"{pictures[0].dtype}."
            )
    return np.stack(pictures)


def _numbered_files(folder: Path) -> dict[int, Path]:
    """The pictures of a folder by the number at the end of their names, in order and without gaps."""
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in PICTURES)
    if not files:
        raise ValueError(f"`path` {folder} holds no frames: no file in it ends in {', '.join(PICTURES)}.")
    numbered: dict[int, Path] = {}
    for file in files:
        digits = re.search(r"(\d+)$", file.stem)
        if digits is None:
            raise ValueError(
                f"`path` {folder} must hold pictures with a number at the end of their names, got "
                f"{file.name}."
            )
        number = int(digits[1])
        if number in numbered:
            raise ValueError(
                f"`path`: frame {number} is there twice in {folder}: {numbered[number].name} and "
                f"{file.name}; remove one."
            )
        numbered[number] = file
    for before, after in itertools.pairwise(sorted(numbered)):
        if after != before + 1:
            raise ValueError(
                f"`path`: frame {before + 1} is missing in {folder}: {numbered[before].name} is followed by "
                f"{numbered[after].name}; copy the folder again, or record again."
            )
    return dict(sorted(numbered.items()))
