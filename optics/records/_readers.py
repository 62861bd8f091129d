"""Camera frames from the files that cameras write."""

import importlib
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np

from optics.records._frames import full_scale

PICTURES = ".png", ".tif", ".tiff"


def read_frames(
    path: str | Path, bits: int | None = None, dataset: str | None = None, aligned: str = "low"
) -> np.ndarray:
    """Frames of a file or a folder, in units of full scale.

        .tif, .tiff     one picture or a stack
        .h5, .hdf5      a data set (count, rows, columns)
        .npy            an array (count, rows, columns)
        folder          pictures (PNG or TIFF) with a number at the end of their names, without gaps, in the order of the numbers

    Arguments:
        path: of the file or the folder.
        bits: of the camera's converter, as of `full_scale`.
        dataset: of an HDF5 file, by its name; may be left out where it holds only one.
        aligned: as of `full_scale`.

    Returns:
        float32, shape (count, rows, columns).

    Raises:
        FileNotFoundError: no such path.
        ImportError: the library for such files is missing; the extra `lab` brings it.
        ValueError: files of another kind, none at all, colours, pictures of different sizes, a gap in the numbers, or
            counts that `full_scale` refuses.
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
        counts = _folder(path)
    elif kind in PICTURES:
        counts = _picture(path)
    elif kind in (".h5", ".hdf5"):
        counts = _hdf5(path, dataset)
    elif kind == ".npy":
        counts = np.load(path, allow_pickle=False)
    else:
        raise ValueError(f"`path` must be a folder of pictures, .tif, .png, .h5 or .npy, got {path.name}.")
    counts = counts[None] if counts.ndim == 2 else counts
    if counts.ndim != 3:
        raise ValueError(
            f"`path` {path.name} must hold frames of shape (count, rows, columns), got {counts.shape}; save grey values, not colours."
        )
    if not counts.size:
        raise ValueError(f"`path` {path.name} holds no frames, its array has the shape {counts.shape}.")
    return full_scale(counts, bits, aligned)


def _folder(folder: Path) -> np.ndarray:
    """The pictures of a folder by their numbers."""
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in PICTURES)
    if not files:
        raise ValueError(f"`path` {folder} holds no frames: no file in it ends in {', '.join(PICTURES)}.")
    numbered: dict[int, Path] = {}
    for file in files:
        digits = re.search(r"(\d+)$", file.stem)
        if digits is None:
            raise ValueError(
                f"`path` {folder} must hold pictures with a number at the end of their names, got {file.name}."
            )
        number = int(digits[1])
        if number in numbered:
            raise ValueError(
                f"frame {number} is there twice in {folder}: {numbered[number].name} and {file.name}; remove one."
            )
        numbered[number] = file
    numbers = sorted(numbered)
    for before, after in itertools.pairwise(numbers):
        if after != before + 1:
            raise ValueError(
                f"frame {before + 1} is missing in {folder}: {numbered[before].name} is followed by {numbered[after].name}; "
                "copy the folder again, or record again."
            )
    pictures = [_picture(numbered[number]) for number in numbers]
    for number, picture in zip(numbers, pictures, strict=True):
        if picture.ndim != 2 or picture.shape != pictures[0].shape or picture.dtype != pictures[0].dtype:
            raise ValueError(
                f"frame {number} ({numbered[number].name}) has the shape {picture.shape} and {picture.dtype}, but all must be grey and like "
                f"the first, {pictures[0].shape} and {pictures[0].dtype}."
            )
    return np.stack(pictures)


def _picture(path: Path) -> np.ndarray:
    """One picture, or a stack of them."""
    if path.suffix.lower() == ".png":
        return np.asarray(_library("imageio.v3", "PNG").imread(path))
    return np.asarray(_library("tifffile", "TIFF").imread(path))


def _hdf5(path: Path, dataset: str | None) -> np.ndarray:
    """A data set of an HDF5 file."""
    h5py = _library("h5py", "HDF5")
    with h5py.File(path, "r") as file:
        there: list[str] = []
        file.visititems(lambda name, thing: there.append(name) if isinstance(thing, h5py.Dataset) else None)
        if dataset is None and len(there) != 1:
            raise ValueError(
                f"`dataset` must be one of {', '.join(there) or 'none at all'} in {path.name}; name it."
            )
        name = there[0] if dataset is None else dataset
        if name not in there:
            raise ValueError(f"`dataset` must be one of {', '.join(there)} in {path.name}, got {name!r}.")
        return np.asarray(file[name])


def _library(name: str, kind: str) -> Any:
    """A library of the extra `lab`, imported when it is needed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(
            f'{kind} files are read by {name.split(".")[0]}, which is not installed: `pip install "lensformer[lab]"`.'
        ) from None
