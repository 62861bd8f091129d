"""Compiled transfers on disk: a file each, whose name is that of everything that determines what is in it."""

import dataclasses
import functools
import hashlib
import json
import os
import sys
import uuid
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from optics._check import is_concrete
from optics._files import open_file
from optics.transfer._dense import Dense
from optics.transfer._fourier_lens import FourierLens
from optics.transfer._masked_fft import MaskedFFT
from optics.transfer._propagation import Propagation
from optics.transfer._separable import Separable

FORMAT = "lensformer transfer 1"
# The arrays of each kind, as its class takes them.
_ARRAYS = {
    Dense: ("matrix",),
    Separable: ("rows", "cols", "peak", "residual"),
    MaskedFFT: ("masks_in", "masks_out", "peak", "residual"),
    Propagation: ("before", "lens", "after", "illumination", "peak"),
}
_KINDS = {kind.__name__: kind for kind in _ARRAYS}
# Axes of the first of them, of one lens.
_AXES = {Dense: 2, Separable: 3, MaskedFFT: 3, Propagation: 2}
# Packages whose versions say what a compiled lens holds.
_PACKAGES = ("lensformer", "jax", "jaxlib")


def identify_lens(lens: FourierLens, terms: int | None, tolerance: float | None) -> str:
    """Everything that a compiled lens depends on, as text: its numbers to the last bit, the options, the
    precision, the kind of device that computes, and the code.

    Arguments:
        lens: one, or several along a first axis of all their numbers.
        terms, tolerance: as `compile_transfer` takes them.

    Raises:
        ValueError: a lens whose numbers are traced, or whose `profile` is a function that only a program
            knows.
    """
    return json.dumps(
        {
            "format": FORMAT,
            "packages": {name: _version(name) for name in _PACKAGES},
            "code": _code(),
            "platform": jax.default_backend(),
            "precision": [jnp.result_type(float).name, jax.config.jax_default_matmul_precision],
            "terms": terms,
            "tolerance": tolerance,
            "class": f"{type(lens).__module__}.{type(lens).__qualname__}",
            "lens": {
                field.name: _as_text(field.name, getattr(lens, field.name))
                for field in dataclasses.fields(lens)
            },
        },
        sort_keys=True,
    )


def read_transfer(folder: Path, identity: str) -> Dense | Separable | MaskedFFT | Propagation | None:
    """The transfer that `write_transfer` wrote; None if there is none.

    Arguments:
        folder: of the files.
        identity: of the lens.

    Raises:
        ValueError: no folder, or a file that is damaged or may not be read.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise ValueError(f"`folder` must be a folder, or the name of a new one, and {folder} is a file.")
    path = _path(folder, identity)
    try:
        with open_file(path, name="folder") as file:
            return _read(path, file, identity)
    except FileNotFoundError:
        return None


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written, before minutes of compilation.

    Raises:
        ValueError: as it says.
    """
    part = folder / f"{uuid.uuid4().hex}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.touch(exist_ok=False)
        part.unlink()
    except OSError as error:
        raise ValueError(f"`folder` {folder} cannot be written: {error.strerror}.") from None


def write_transfer(
    folder: Path, identity: str, transfer: Dense | Separable | MaskedFFT | Propagation
) -> None:
    """A file in the place of any other of the same identity, whole or not at all.

    Arguments:
        folder: made if it is missing.
        identity: of the lens.
        transfer: of one lens, or of several along a first axis of all their numbers.

    Raises:
        ValueError: a folder that cannot be written.
    """
    kind = type(transfer)
    arrays = {name: np.asarray(getattr(transfer, name)) for name in _ARRAYS[kind]}
    texts = {"identity": identity, "sizes": json.dumps({"kind": kind.__name__, **_sizes(transfer)})}
    part = folder / f"{uuid.uuid4().hex}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as file:
                np.savez(file, **arrays, **texts)
                file.flush()
                os.fsync(file.fileno())
            part.replace(_path(folder, identity))
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(f"`folder` {folder} cannot be written: {error.strerror}.") from None


def _read(path: Path, file: Any, identity: str) -> Dense | Separable | MaskedFFT | Propagation:
    try:
        with np.load(file, allow_pickle=False) as content:
            # The archive has a checksum of each array.
            values = {name: content[name] for name in content.files}
        if str(values.pop("identity")) != identity:
            raise ValueError("it is of another lens")
        sizes = json.loads(str(values.pop("sizes")))
        return _make(_KINDS[sizes.pop("kind")], values, sizes)
    # A damaged archive makes numpy and zipfile raise errors of many types.
    except Exception as error:
        reason = str(error).partition("\n")[0][:120] or type(error).__name__
        raise ValueError(
            f"`folder` holds {path}, which is damaged ({reason}); delete the file, and the lens is compiled "
            "anew."
        ) from None


def _make(kind: Callable, values: dict[str, np.ndarray], sizes: dict[str, Any]) -> Any:
    arrays = [jnp.asarray(values[name]) for name in _ARRAYS[kind]]
    if arrays[0].ndim == _AXES[kind]:
        return kind(*arrays, **sizes)
    return jax.vmap(lambda *arrays: kind(*arrays, **sizes))(*arrays)


def _sizes(transfer: Dense | Separable | MaskedFFT | Propagation) -> dict[str, Any]:
    """The arguments of its class that are no arrays."""
    of_kind = {"shape": transfer.shape} if isinstance(transfer, Dense | Propagation) else {}
    of_kind |= {"strides": transfer.strides} if isinstance(transfer, Propagation) else {}
    return {"subpixels": transfer.subpixels, **of_kind}


def _path(folder: Path, identity: str) -> Path:
    return folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.npz"


def _as_text(name: str, value: Any) -> Any:
    """A number of a lens to the last bit, the name of a function, or what JSON holds as it is."""
    if eqx.is_array(value):
        if not is_concrete(value):
            raise ValueError(
                f"`folder` must be None under jit or grad: the `{name}` of a traced lens is not known."
            )
        array = np.asarray(value)
        return [array.dtype.name, array.shape, array.tobytes().hex()]
    if not callable(value):
        return value
    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", "<")
    named = getattr(sys.modules.get(str(module)), qualname, None)
    if not str(module).startswith("optics.") or named is not value:
        raise ValueError(
            f"`folder` must be None with a `{name}` of your own, whose name does not tell what it computes."
        )
    return f"{module}.{qualname}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        # Run from a folder that was not installed: the code says which it is.
        return ""


@functools.cache
def _code() -> str:
    """A digest of the modules that compile a lens: between two versions they may change."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted([*root.glob("_*.py"), *root.glob("transfer/*.py"), *root.glob("wave/*.py")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
