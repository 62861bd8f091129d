"""The numbers of a device as an HDF5 file, which any program for HDF5 opens."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from optics._check import as_path, check_whole, describe
from optics._typing import CountLike, DeviceLike, PathLike
from optics.records._door import FileError, import_library
from optics.records._hdf5 import Group, open_group

FORMAT = "lensformer device 1"
MAX_BYTES = 2**32
LONGEST_STRUCTURE = 2**15  # characters


def write_device(path: PathLike, device: DeviceLike) -> Path:
    """All numbers of a device, or of a part of one, as an HDF5 file: an array for each, by the path of its
    name, such as `slm/1/table`, and what the device is, in words, as the attribute `structure`.

    Functions of a device are not numbers: `read_device` puts the numbers into a device that has the same
    ones.

    Arguments:
        path: of the file, which ends in .h5; one that exists is written over.
        device: the device, a transfer, an effect or a chain of effects.

    Returns:
        the path.

    Raises:
        ImportError: h5py is missing; the extra `lab` brings it.
        ValueError: another ending, a `device` without numbers, or a path that cannot be written.

    Example:
        >>> import tempfile, optics
        >>> device = optics.presets.load("engine11", photons=1000)
        >>> path = optics.records.write_device(tempfile.mkdtemp() + "/device.h5", device)
        >>> again = optics.records.read_device(path, optics.presets.load("engine11"))
        >>> bool((again.camera[0].photons == device.camera[0].photons).all())
        True
    """
    path = as_path("path", path)
    if path.suffix.lower() != ".h5":
        raise ValueError(f"`path` must be a file that ends in .h5, got {str(path)[:200]!r}.")
    numbers = {name: _as_plain(leaf) for name, leaf in _numbers(device).items()}
    h5py = import_library("h5py", "HDF5")
    try:
        with h5py.File(path, "w") as file:
            file.attrs["format"], file.attrs["kind"] = FORMAT, type(device).__name__
            file.attrs["structure"] = eqx.tree_pformat(device)[:LONGEST_STRUCTURE]
            for name, values in numbers.items():
                file[name] = values
    except OSError as error:
        raise ValueError(f"`path` {path} cannot be written ({str(error)[:120]}).") from None
    return path


def read_device(path: PathLike, device: DeviceLike, max_bytes: CountLike = MAX_BYTES) -> DeviceLike:
    """A device with the numbers of a file.

    Arguments:
        path: of the file that `write_device` wrote.
        device: one of the same structure, whose functions the result has.
        max_bytes: the most that the numbers may take in memory, 4 GiB by default.

    Returns:
        like `device`.

    Raises:
        FileNotFoundError: no such file.
        ImportError: h5py is missing; the extra `lab` brings it.
        ValueError: no HDF5 file or not a whole one, none that `write_device` wrote, one of a device with
            other numbers or of other shapes, NaN, or more than `max_bytes`.
    """
    path = as_path("path", path)
    check_whole("max_bytes", max_bytes, 1, 2**63 - 1)
    expected = _numbers(device)
    with open_group(path, max_bytes) as file:
        if file.group.attrs.get("format") != FORMAT:
            raise FileError(f"`path` {path} is no device that `optics.records.write_device` wrote.")
        names = _names(file)
        if different := sorted(names ^ set(expected)):
            owner = "the file" if different[0] in names else "the device"
            raise FileError(
                f"`device` must have the numbers of {path}, a {file.group.attrs['kind']}, but {different[0]} "
                f"is in {owner} alone."
            )
        values = {name: _read(file, name, leaf) for name, leaf in expected.items()}
    leaves, structure = jax.tree_util.tree_flatten_with_path(device)
    return jax.tree_util.tree_unflatten(
        structure, [values.get(_name(place), leaf) if eqx.is_array(leaf) else leaf for place, leaf in leaves]
    )


def _numbers(device: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(device)
    numbers = {_name(place): leaf for place, leaf in leaves if eqx.is_array(leaf)}
    if not numbers or "" in numbers:
        raise ValueError(f"`device` must be a device or a part of one, with numbers, got {describe(device)}.")
    return numbers


def _name(place: tuple[Any, ...]) -> str:
    keys = (getattr(entry, "name", getattr(entry, "idx", getattr(entry, "key", entry))) for entry in place)
    return "/".join(map(str, keys))


def _as_plain(leaf: Any) -> np.ndarray:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    array = np.asarray(leaf)
    if array.dtype == bool:
        return array.astype(np.uint8)
    # HDF5 has no bfloat16 of its own.
    return array if array.dtype.kind in "uifc" else array.astype(float)


def _names(file: Group) -> set[str]:
    names: set[str] = set()
    file.group.visititems(lambda name, node: names.add(name) if isinstance(node, file.h5py.Dataset) else None)
    return names


def _read(file: Group, name: str, like: Any) -> jax.Array:
    plain = jax.eval_shape(jax.random.key_data, like) if _is_key(like) else like
    node = file.group[name]
    if node.shape != plain.shape or node.dtype.kind not in "uifc":
        raise file.fail(name, f"must be numbers of shape {plain.shape}, got {node.dtype} of {node.shape}")
    if node.is_virtual or node.external:
        raise file.fail(name, "is stored in another file; copy its numbers into this one")
    file.budget.left -= node.size * node.dtype.itemsize
    if file.budget.left < 0:
        raise file.fail(name, f"takes more than the {file.budget.size:,} bytes of `max_bytes`; raise it")
    values = np.asarray(node[()])
    if np.any(np.isnan(values)):
        raise file.fail(name, "must be numbers, but it holds NaN")
    if np.iscomplexobj(values) and not jnp.issubdtype(plain.dtype, jnp.complexfloating):
        raise file.fail(name, f"must be real numbers, got {node.dtype}")
    array = jnp.asarray(values, plain.dtype)
    return jax.random.wrap_key_data(array, impl=jax.random.key_impl(like)) if _is_key(like) else array


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
