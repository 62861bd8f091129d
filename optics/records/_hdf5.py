"""Groups of HDF5 files that someone else wrote: every part is checked before it is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from optics._files import open_file
from optics._typing import ArrayLike
from optics.records._door import FileError, import_library

MICROMETRE = 1e-6


@contextmanager
def open_group(path: Path, max_bytes: int) -> Iterator["Group"]:
    """The root of a file, whose arrays may take `max_bytes` in memory; whatever its damage raises is refused
    in one line that names the file.

    Raises:
        FileNotFoundError: no such file.
        ImportError: h5py is missing.
        ValueError: no regular file, no HDF5 file, or not a whole one.
    """
    with open_file(path, name="path"):
        h5py = import_library("h5py", "HDF5")
        try:
            with h5py.File(path, "r") as file:
                yield Group(h5py, path, file, Budget(max_bytes))
        except FileError:
            raise
        # Damaged bytes can raise anything: the library promises no kind of error.
        except Exception as error:
            first = (str(error).splitlines() or [""])[0][:200]
            raise FileError(
                f"`path` {path} is not a readable HDF5 file, or not a whole one "
                f"({type(error).__name__}: {first}); copy it again, or save it again."
            ) from None


class Budget:
    """Bytes that may still be read."""

    def __init__(self, size: int):
        self.size = size
        self.left = size


class Group:
    """A group of the file, whose parts are read with their shape and their numbers checked."""

    def __init__(self, h5py: Any, path: Path, group: Any, budget: Budget, prefix: str = ""):
        self.h5py, self.path, self.group, self.budget, self.prefix = h5py, path, group, budget, prefix

    def names(self) -> list[str]:
        return list(self.group)

    def fail(self, name: str, fault: str) -> FileError:
        return FileError(f"`path` {self.path}: {self.prefix}{name} {fault}.")

    def node(self, name: str) -> Any:
        """A part that is stored in the group itself, or None."""
        if name not in self.group:
            return None
        if not isinstance(self.group.get(name, getlink=True), self.h5py.HardLink):
            raise self.fail(name, "is a link to somewhere else; save the calibration again")
        return self.group[name]

    def part(self, name: str) -> "Group | None":
        node = self.node(name)
        if node is None:
            return None
        if not isinstance(node, self.h5py.Group):
            raise self.fail(name, "must be a group")
        return Group(self.h5py, self.path, node, self.budget, f"{self.prefix}{name}/")

    def require(self, name: str) -> "Group":
        part = self.part(name)
        if part is None:
            raise self.fail(name, "is missing: slmsuite did not write this file, or not the whole of it")
        return part

    def is_none(self, name: str) -> bool:
        """Whether slmsuite wrote None there, or nothing."""
        node = self.node(name)
        return node is None or bool(node.attrs.get("__none__", False))

    def array(
        self, name: str, shape: tuple[int | None, ...], gaps: bool = False, like: bool = False
    ) -> np.ndarray:
        """Real numbers of this shape, where None is any count above 0; `gaps` lets some be NaN, and `like`
        keeps their dtype, which may be complex then.
        """
        if self.is_none(name):
            raise self.fail(name, "is missing")
        node = self.group[name]
        if not isinstance(node, self.h5py.Dataset) or node.dtype.kind not in ("fc" if like else "uif"):
            raise self.fail(name, "must hold real numbers")
        if node.is_virtual or node.external:
            raise self.fail(name, "is stored in another file; copy its numbers into this one")
        fits = len(node.shape or ()) == len(shape) and all(
            have > 0 and want in (None, have) for have, want in zip(node.shape or (), shape, strict=False)
        )
        if not fits or node.shape is None:
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise self.fail(name, f"must have the shape ({wanted}), got {node.shape}")
        size = node.size * max(node.dtype.itemsize, 8)
        if size > self.budget.left:
            raise self.fail(
                name,
                f"has the shape {node.shape}, with which the file takes more than the {self.budget.size:,} "
                "bytes of `max_bytes`; raise it if there is as much memory",
            )
        self.budget.left -= size
        values = np.asarray(node[()]) if like else np.asarray(node[()], float)
        finite = np.isfinite(values)
        if not np.any(finite) if gaps else not np.all(finite):
            raise self.fail(name, "must be finite, but it holds NaN or infinity")
        return values if like else np.where(finite, values, np.nan)

    def number(self, name: str, low: float, high: float) -> float:
        """One number in [low, high]."""
        value = float(self.array(name, ()))
        if not low <= value <= high:
            raise self.fail(name, f"must be {low:g} to {high:g}, got {value:g}")
        return value

    def whole(self, name: str, shape: tuple[int | None, ...], low: int, high: int) -> np.ndarray:
        """Whole numbers in [low, high]."""
        values = self.array(name, shape)
        if np.any(values % 1) or np.any(values < low) or np.any(values > high):
            raise self.fail(name, f"must be whole numbers from {low} to {high}, got {first_numbers(values)}")
        return values.astype(int)

    def lengths(self, name: str) -> tuple[float, float]:
        """A pair of lengths, from micrometres to m."""
        values = self.array(name, (2,)) * MICROMETRE
        if np.any(values <= 0):
            raise self.fail(name, f"must be above 0, got {first_numbers(values / MICROMETRE)} µm")
        return float(values[0]), float(values[1])

    def text(self, name: str) -> str:
        node = self.node(name)
        if node is None or not isinstance(node, self.h5py.Dataset) or node.shape != ():
            raise self.fail(name, "is missing: slmsuite did not write this file, or not the whole of it")
        value = node[()]
        return value.decode("utf-8", "replace")[:100] if isinstance(value, bytes) else str(value)[:100]


def first_numbers(values: ArrayLike) -> str:
    """The first of some numbers, in words."""
    flat = np.ravel(np.asarray(values))
    return ", ".join(f"{v:g}" for v in flat[:4]) + ("…" if flat.size > 4 else "")
