"""Camera frames from the files that cameras write."""

import importlib
import itertools
import re
from pathlib import Path
from types import ModuleType

import numpy as np

from optics.records._frames import as_frames

PICTURES = ".png", ".tif", ".tiff"


def read_frames(
    path: str | Path, bits: int | None = None, dataset: str | None = None, aligned: str = "low"
) -> np.ndarray:
    """Frames of a file or a folder, in units of full scale; pictures in the order of their numbers.

        .tif, .tiff     one picture or a stack
        .h5, .hdf5      a data set (count, rows, columns)
        .npy            an array (count, rows, columns)
        folder          pictures (PNG or TIFF) with a number at the end of their names, without gaps

    Arguments:
        path: of the file or the folder.
        bits: of the camera's converter, as of `as_frames`.
        dataset: of an HDF5 file, by its name; may be left out where the file holds only one.
        aligned: as of `as_frames`.

    Returns:
        float32, shape (count, rows, columns).

    Raises:
        FileNotFoundError: no such path.
        ImportError: the library for such files is missing; the extra `lab` brings it.
        ValueError: files of another kind, none at all, colours, pictures of different sizes, a gap in the
            numbers, or counts that `as_frames` refuses.

    Example:
        >>> import tempfile, numpy as np, optics
        >>> path = tempfile.mkdtemp() + "/frames.npy"
        >>> np.save(path, np.full((4, 6, 7), 512, np.uint16))
        >>> optics.records.read_frames(path, bits=12).shape
        (4, 6, 7)
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"`path` {path} does not exist.")
    kind = path.suffix.lower()
    if dataset is not None and kind not in (".h5", ".hdf5"):
        raise ValueError(
            f"`dataset` names a data set of an HDF5 file, but `path` is {path.name}; leave it out."
        )
    if path.is_dir():
        counts = _read_folder(path)
    elif kind in PICTURES:
        counts = _read_picture(path)
    elif kind in (".h5", ".hdf5"):
        counts = _read_hdf5(path, dataset)
    elif kind == ".npy":
        counts = np.load(path, allow_pickle=False)
    else:
        raise ValueError(f"`path` must be a folder of pictures, .tif, .png, .h5 or .npy, got {path.name}.")
    counts = counts[None] if counts.ndim == 2 else counts
    if counts.ndim != 3:
        raise ValueError(
            f"`path` {path.name} must hold frames of shape (count, rows, columns), got {counts.shape}; "
            "save grey values, not colours."
        )
    if not counts.size:
        raise ValueError(f"`path` {path.name} holds no frames, its array has the shape {counts.shape}.")
    return as_frames(counts, bits, aligned)


def _read_folder(folder: Path) -> np.ndarray:
    """The pictures of a folder in the order of their numbers."""
    numbered = _numbered_files(folder)
    pictures = {number: _read_picture(file) for number, file in numbered.items()}
    first = next(iter(pictures.values()))
    for number, picture in pictures.items():
        if picture.ndim != 2 or picture.shape != first.shape or picture.dtype != first.dtype:
            raise ValueError(
                f"frame {number} ({numbered[number].name}) has the shape {picture.shape} and "
                f"{picture.dtype}, "
                f"but all must be grey and like the first, {first.shape} and {first.dtype}."
            )
    return np.stack(list(pictures.values()))


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
                f"frame {number} is there twice in {folder}: {numbered[number].name} and {file.name}; "
                "remove one."
            )
        numbered[number] = file
    for before, after in itertools.pairwise(sorted(numbered)):
        if after != before + 1:
            raise ValueError(
                f"frame {before + 1} is missing in {folder}: {numbered[before].name} is followed by "
                f"{numbered[after].name}; copy the folder again, or record again."
            )
    return dict(sorted(numbered.items()))


def _read_picture(path: Path) -> np.ndarray:
    """One picture, or a stack of them."""
    if path.suffix.lower() == ".png":
        return np.asarray(_import_library("imageio.v3", "PNG").imread(path))
    return np.asarray(_import_library("tifffile", "TIFF").imread(path))


def _read_hdf5(path: Path, dataset: str | None) -> np.ndarray:
    """A data set of an HDF5 file."""
    h5py = _import_library("h5py", "HDF5")
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
        if dataset is None and len(names) != 1:
            raise ValueError(
                f"`dataset` must be one of {', '.join(names) or 'none at all'} in {path.name}; name it."
            )
        name = names[0] if dataset is None else dataset
        if name not in names:
            raise ValueError(f"`dataset` must be one of {', '.join(names)} in {path.name}, got {name!r}.")
        return np.asarray(file[name])


def _import_library(name: str, kind: str) -> ModuleType:
    """A library of the extra `lab`, imported when it is needed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(
            f"{kind} files are read by {name.split('.')[0]}, which is not installed: "
            '`pip install "lensformer[lab]"`.'
        ) from None
