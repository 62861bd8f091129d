"""Wavefronts as interferometers record them, and the Zernike coefficients in them."""

import math
import struct
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics import wave
from optics._check import as_numpy, as_path, check_positive_number, check_whole
from optics._files import open_file
from optics._typing import ArrayLike, CountLike, PathLike, ScalarLike
from optics.records._door import FileError, import_library

MAX_BYTES = 2**28  # the largest file, and the most that its heights may take in memory
HDF5_START = b"\x89HDF\r\n\x1a\n"
# Of MetroPro's formats 1 to 3: their first bytes and the length of their headers.
METROPRO = {b"\x88\x1b\x03\x6f": 834, b"\x88\x1b\x03\x70": 834, b"\x88\x1b\x03\x71": 4096}
SHORTEST, LONGEST = 100e-9, 100e-6  # wavelengths of interferometers, m
CHUNK = 2**14  # samples whose polynomials are in memory at once
LARGEST_FIT = 500  # polynomials
# Least share of the strongest combination of polynomials that the weakest must have in the pupil.
WEAKEST = 1e-6


class Wavefront(NamedTuple):
    """A wavefront as an interferometer recorded it.

    Attributes:
        opd: optical path difference as the instrument scales it, NaN outside of the pupil, shape (rows,
            columns), m.
        pitch: of its samples, m.
        wavelength: of the instrument, m.
        scale: the instrument's factor from measured to recorded heights: 0.5 where light passed twice, so
            that `opd` is the surface of a mirror, whose reflected light has twice its path, or the path
            through a lens once; 1 where it passed once.
    """

    opd: Float[np.ndarray, "rows columns"]
    pitch: float
    wavelength: float
    scale: float


class ZernikeFit(NamedTuple):
    """Zernike coefficients of a wavefront, and the pupil that they are over.

    Attributes:
        coefficients: in Noll's order from piston, waves of unit root mean square.
        radius: of the pupil, m.
        centre: of the pupil from sample n//2, (y, x), m.
        residual: root mean square of what the polynomials leave, waves.
    """

    coefficients: Float[np.ndarray, " count"]
    radius: float
    centre: tuple[float, float]
    residual: float


def read_wavefront(path: PathLike) -> Wavefront:
    """The wavefront in a file of a Zygo interferometer: `.dat` of MetroPro, `.datx` of Mx; prysm reads them.

    Rows stay in the order of the file, so y grows with them, as everywhere here. The sign is the
    instrument's.

    Arguments:
        path: of the file.

    Returns:
        `Wavefront`: optical path difference, m, NaN outside of the pupil; pitch, m; wavelength, m; scale.

    Raises:
        FileNotFoundError: no such file.
        ImportError: prysm, or h5py for `.datx`, is missing; the extra `lab` brings them.
        ValueError: no regular file, one of more than 256 MiB, another kind, a damaged one, no heights at all,
            or a pitch or a wavelength that is none.

    Example:
        >>> import optics
        >>> optics.records.read_wavefront("flat.dat")
        Traceback (most recent call last):
        FileNotFoundError: `path` flat.dat does not exist.
    """
    path = as_path("path", path)
    with open_file(path, MAX_BYTES, "path") as stream:
        start = stream.read(16)
        if not start.startswith((HDF5_START, *METROPRO)):
            raise ValueError(f"`path` must be a .dat or .datx file of Zygo, got {path}, which is neither.")
        try:
            # Numbers that overflow are looked for below.
            with np.errstate(all="ignore"):
                wavefront = _read_datx(path) if start.startswith(HDF5_START) else _read_dat(path, start)
        except (FileError, ImportError):
            raise
        # Damaged bytes can raise anything: the libraries promise no kind of error.
        except Exception as error:
            first = (str(error).splitlines() or [""])[0][:200]
            raise FileError(
                f"`path` {path} is not a readable file of Zygo, or not a whole one "
                f"({type(error).__name__}: {first}); copy it again."
            ) from None
    _check_wavefront(path, wavefront)
    return wavefront


def fit_zernikes(
    opd: ArrayLike,
    pitch: ScalarLike,
    wavelength: ScalarLike,
    count: CountLike = 37,
    radius: ScalarLike | None = None,
    centre: ArrayLike | None = None,
) -> ZernikeFit:
    """Zernike coefficients of a wavefront, by least squares over the samples in its pupil.

        min Σ (opd / λ − Σ_j c_j Z_j(x/R, y/R))²

    Arguments:
        opd: optical path difference, NaN outside of the pupil, shape (rows, columns), m.
        pitch: of the samples, m.
        wavelength: of the light whose waves the coefficients are, m.
        count: of polynomials, from piston.
        radius: R of the pupil, m; by default half of the longer side of the samples that are not NaN. Samples
            beyond it are left out.
        centre: of the pupil from sample n//2, (y, x), m; by default the middle of the same samples.

    Returns:
        `ZernikeFit`: coefficients as `FourierLens(aberrations=...)` takes them, the pupil and the residual.

    Raises:
        ValueError: `opd` not a plane of real numbers or infinite, other arguments that are not positive and
            finite, or a pupil that has too few samples for so many polynomials, or not its whole area.

    Example:
        >>> import numpy as np, optics
        >>> y, x = np.mgrid[-1:1:65j, -1:1:65j]
        >>> opd = np.where(x**2 + y**2 <= 1, 50e-9 * np.sqrt(3) * (2 * (x**2 + y**2) - 1), np.nan)
        >>> fit = optics.records.fit_zernikes(opd, 1 / 32, 500e-9, count=6, radius=1.0)
        >>> abs(fit.coefficients.round(3)).tolist()
        [0.0, 0.0, 0.0, 0.1, 0.0, 0.0]

    Source: V. N. Mahajan, Optical Imaging and Aberrations II (2001), section 2.4.
    """
    array = as_numpy("opd", opd)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        raise ValueError(
            f"`opd` must be real and have the shape (rows, columns), got {array.dtype} {array.shape}."
        )
    if np.any(np.isinf(array)):
        raise ValueError("`opd` must be finite, or NaN outside of the pupil, got infinite numbers.")
    check_positive_number("pitch", pitch, "m")
    check_positive_number("wavelength", wavelength, "m")
    check_whole("count", count, 1, LARGEST_FIT)
    inside = np.argwhere(~np.isnan(array))
    if len(inside) < count:
        raise ValueError(
            f"`opd` must have at least {count} samples (`count`) in its pupil, got {len(inside)}."
        )
    low, high = inside.min(0), inside.max(0)
    half = np.array(array.shape) // 2
    middle = (low + high) / 2 - half if centre is None else _as_centre(centre) / float(pitch)
    if radius is None:
        reach = float((high - low + 1).max() / 2)
    else:
        check_positive_number("radius", radius, "m")
        reach = float(radius) / float(pitch)
    places = (inside - half - middle) / reach
    within = np.sum(places**2, axis=1) <= 1
    values = array[tuple(inside[within].T)].astype(float) / float(wavelength)
    coefficients, residual = _fit(places[within], values, int(count))
    pitch = float(pitch)
    return ZernikeFit(
        coefficients, reach * pitch, (float(middle[0] * pitch), float(middle[1] * pitch)), residual
    )


def _as_centre(centre: Any) -> np.ndarray:
    pair = as_numpy("centre", centre)
    if pair.shape != (2,) or pair.dtype.kind not in "fiu" or not np.all(np.isfinite(pair)):
        raise ValueError(f"`centre` must be two finite numbers (y, x) in m, got {centre!r}.")
    return pair.astype(float)


def _fit(
    places: Float[np.ndarray, "samples 2"], values: Float[np.ndarray, " samples"], count: int
) -> tuple[Float[np.ndarray, " count"], float]:
    """Coefficients and root mean square of the residual, from places (y, x) in the unit disc."""
    samples = len(values)
    if samples < count:
        raise ValueError(f"`radius` must leave at least {count} samples (`count`) inside, got {samples}.")
    gram, moment = np.zeros((count, count)), np.zeros(count)
    with jax.enable_x64(True):
        for start in range(0, samples, CHUNK):
            part = slice(start, start + CHUNK)
            basis = _basis(places[part], count)
            gram += basis @ basis.T
            moment += basis @ values[part]
        strengths = np.linalg.eigvalsh(gram)
        if strengths[0] < WEAKEST * strengths[-1]:
            raise ValueError(
                f"`count` must be smaller than {count}: the {samples} samples in the pupil, or the part of "
                "the disc that they cover, do not tell so many polynomials apart."
            )
        coefficients = np.linalg.solve(gram, moment)
        left = 0.0
        for start in range(0, samples, CHUNK):
            part = slice(start, start + CHUNK)
            left += float(np.sum((values[part] - coefficients @ _basis(places[part], count)) ** 2))
    return coefficients, math.sqrt(left / samples)


def _basis(places: Float[np.ndarray, "samples 2"], count: int) -> Float[np.ndarray, "count samples"]:
    """The first polynomials at places (y, x); each call has as many samples, so nothing compiles twice."""
    padded = np.zeros((CHUNK, 2))
    padded[: len(places)] = places
    return np.asarray(_polynomials(padded, count))[:, : len(places)]


@partial(jax.jit, static_argnames="count")
def _polynomials(places: Float[Array, "samples 2"], count: int) -> Float[Array, "count samples"]:
    y, x = places.T
    return jnp.stack([wave.zernike_xy(j, x, y) for j in range(1, count + 1)])


def _check_wavefront(path: Path, wavefront: Wavefront) -> None:
    if wavefront.opd.ndim != 2 or np.all(np.isnan(wavefront.opd)):
        raise FileError(f"`path` {path} holds no heights, its array has the shape {wavefront.opd.shape}.")
    if not np.nanmax(np.abs(wavefront.opd)) <= 1:
        raise FileError(f"`path` {path} holds heights that are not finite or above 1 m; it is damaged.")
    for name, value, low, high in (
        ("pitch", wavefront.pitch, 1e-9, 1.0),
        ("wavelength", wavefront.wavelength, SHORTEST, LONGEST),
        ("scale factor", wavefront.scale, 1e-3, 1e3),
    ):
        if not low <= value <= high:
            raise FileError(
                f"`path` {path} must have a {name} from {low:g} to {high:g} (SI units), got {value:g}; the "
                "instrument was not calibrated, or the file is damaged."
            )


def _read_dat(path: Path, start: bytes) -> Wavefront:
    reader = import_library("prysm.io", "dat")
    header = METROPRO[start[:4]]
    kind, size = struct.unpack_from(">HI", start, 4)
    if size != header or kind != 1 + list(METROPRO).index(start[:4]):
        raise FileError(f"`path` {path} has a header of {size:,} bytes in format {kind}; it is damaged.")
    data = reader.read_zygo_dat(path)
    meta = data["meta"]
    frame = meta["cn"]
    if frame["n_bytes"] != 4 * frame["width"] * frame["height"]:
        raise FileError(
            f"`path` {path} is damaged: {frame['height']}×{frame['width']} heights of 4 bytes are not "
            f"{frame['n_bytes']:,} bytes."
        )
    opd = 1e-9 * np.asarray(data["phase"], float)
    return Wavefront(
        opd, float(meta["lateral_resolution"]), float(meta["wavelength"]), float(meta["scale_factor"])
    )


def _read_datx(path: Path) -> Wavefront:
    reader, h5py = import_library("prysm.io", "datx"), import_library("h5py", "datx")
    with h5py.File(path, "r") as file:
        sizes: list[int] = []
        for place in ("Data/Surface", "Data/Intensity"):
            _check_datx(h5py, path, file, place, sizes)
        if not sizes:
            raise FileError(f"`path` {path} holds no surface; save the surface with the data.")
        node = next(iter(file["Data/Surface"].values()))
        wavelength = float(np.ravel(node.attrs["Wavelength"])[0])
        scale = float(np.ravel(node.attrs["Interferometric Scale Factor"])[0])
    data = reader.read_zygo_datx(path)
    pitch = data["meta"].get("Lateral Resolution")
    if pitch is None:
        raise FileError(f"`path` {path} has no lateral resolution; calibrate the instrument's image.")
    return Wavefront(1e-9 * np.asarray(data["phase"], float), float(pitch), wavelength, scale)


def _check_datx(h5py: ModuleType, path: Path, file: Any, place: str, sizes: list[int]) -> None:
    """Refuse arrays that are elsewhere, no planes of numbers, or too large, before they are read."""
    group = file.get(place)
    if group is None:
        return
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise FileError(f"`path` {path}: {place}/{name} is a link; copy what it leads to into this file.")
        node = group[name]
        if not isinstance(node, h5py.Dataset) or node.is_virtual or node.external:
            raise FileError(f"`path` {path}: {place}/{name} is in other files; copy it into this one.")
        if node.dtype.kind not in "fiu" or len(node.shape or ()) != 2:
            raise FileError(
                f"`path` {path}: {place}/{name} must be a plane of numbers, got {node.dtype} {node.shape}."
            )
        sizes.append(8 * math.prod(node.shape))
        if sum(sizes) > MAX_BYTES:
            raise FileError(
                f"`path` {path}: {place}/{name} has the shape {node.shape}; {sum(sizes):,} bytes are more "
                f"than the {MAX_BYTES:,} that are read of such a file."
            )
