"""What hardware saw, kept in a file: drives, full scales and frames, and the hardware replayed from it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Inexact

from optics._check import as_path, check_function, check_number, check_whole, describe
from optics._typing import CountLike, FunctionLike, PathLike, ScalarLike
from optics.records._door import FileError, import_library
from optics.records._hdf5 import open_group

MAX_BYTES = 2**32
FORMAT = "lensformer recording 1"
LONGEST_SETTINGS = 2**16  # characters, what an attribute of HDF5 holds
PARTS = {"drive": 3, "full_scale": 1, "frames": 4}


class HardwareRecording(NamedTuple):
    """Exposures of a bench in the order in which they were taken.

    Attributes:
        drive: amplitudes of modulator pixels, shape (count, rows, columns), real or complex.
        full_scale: the field that full scale stands for, in units of a modulator pixel's amplitude, shape
            (count, 1, 1, 1), as `optics.Recording` takes it.
        frames: in units of full scale, shape (count, frames, rows, columns).
        settings: of the bench, as `record_frames` was given them.
    """

    drive: Inexact[np.ndarray, "count slm_rows slm_cols"]
    full_scale: Float[np.ndarray, "count 1 1 1"]
    frames: Float[np.ndarray, "count frames camera_rows camera_cols"]
    settings: dict[str, Any]


def record_frames(
    forward: FunctionLike, path: PathLike, settings: Mapping[str, Any] | None = None
) -> Callable:
    """The hardware, with all that it is asked and all that it sees written to an HDF5 file.

    Each call is on disk when it returns. `replay_frames` makes the hardware of the file, and
    `optics.Recording(*read_recording(path)[:3])` is what `optics.fit_twin` takes, where an exposure has one
    frame.

    Arguments:
        forward: as of `optics.External`: a function of `drive` and `full_scale` that returns frames.
        path: of a file that does not exist yet.
        settings: of the bench, any numbers and text that JSON can hold, such as
            `external.forward.settings` of `External.from_slmsuite`.

    Returns:
        a function like `forward`, for `optics.External`.

    Raises:
        ImportError: h5py is missing; the extra `lab` brings it.
        ValueError: a `forward` that cannot be called, a `path` that exists or cannot be written, `settings`
            that JSON cannot hold; when called, frames that are not as many as the exposures.

    Example:
        >>> import tempfile, numpy as np, optics
        >>> path = tempfile.mkdtemp() + "/run.h5"
        >>> camera = optics.records.record_frames(lambda drive, full_scale: np.abs(drive)[:, None] ** 2, path)
        >>> _ = camera(np.ones((2, 4, 4)), np.ones((2, 1, 1)))
        >>> optics.records.read_recording(path).frames.shape
        (2, 1, 4, 4)
    """
    check_function("forward", forward, "`external.forward`")
    path = as_path("path", path)
    text = _as_text(settings)
    h5py = import_library("h5py", "HDF5")
    try:
        # "x": a run of hardware is never written over.
        with h5py.File(path, "x") as file:
            file.attrs["format"], file.attrs["settings"] = FORMAT, text
    except OSError as error:
        raise ValueError(
            f"`path` {path} must be a new file in a folder that can be written ({str(error)[:120]})."
        ) from None

    def record(drive: np.ndarray, full_scale: np.ndarray) -> np.ndarray:
        frames = np.asarray(forward(drive, full_scale))
        parts = _as_exposures(np.asarray(drive), np.asarray(full_scale), frames)
        with h5py.File(path, "r+") as file:
            for name, values in parts.items():
                _append(file, name, values)
        return frames

    return record


def read_recording(path: PathLike, max_bytes: CountLike = MAX_BYTES) -> HardwareRecording:
    """What `record_frames` wrote.

    Arguments:
        path: of the file.
        max_bytes: the most that the arrays may take in memory, 4 GiB by default.

    Returns:
        `HardwareRecording`.

    Raises:
        FileNotFoundError: no such file.
        ImportError: h5py is missing; the extra `lab` brings it.
        ValueError: no HDF5 file or not a whole one, none that `record_frames` wrote, one without exposures,
            numbers that are not finite, or more than `max_bytes`.
    """
    path = as_path("path", path)
    check_whole("max_bytes", max_bytes, 1, 2**63 - 1)
    with open_group(path, max_bytes) as file:
        if file.group.attrs.get("format") != FORMAT:
            raise FileError(f"`path` {path} is no recording that `optics.records.record_frames` wrote.")
        settings = json.loads(file.group.attrs["settings"])
        drive, full_scale, frames = (
            file.array(name, (None,) * axes, like=True) for name, axes in PARTS.items()
        )
    if not len(drive) == len(full_scale) == len(frames):
        counts = f"{len(drive)} drives, {len(full_scale)} full scales and {len(frames)} frames"
        raise FileError(f"`path` {path} holds {counts}, which must be as many; record again.")
    return HardwareRecording(drive, full_scale[:, None, None, None], frames, settings)


def replay_frames(path: PathLike, tolerance: ScalarLike = 1e-5, max_bytes: CountLike = MAX_BYTES) -> Callable:
    """The hardware of a recording: the frames that it gave of a drive, and a refusal of drives that it was
    not given.

    An exposure that was recorded several times gives its frames in the order of the recording, and then
    begins again.

    Arguments:
        path: of the file that `record_frames` wrote.
        tolerance: largest difference of an amplitude, and relative one of full scale, at which a drive
            counts as recorded: another compilation may round the last digit in another way.
        max_bytes: as of `read_recording`.

    Returns:
        a function of `drive` and `full_scale` that returns frames, for `optics.External`.

    Raises:
        ValueError: as `read_recording`, or a `tolerance` that is negative; when called, a drive that was not
            recorded.

    Example:
        >>> import tempfile, numpy as np, optics
        >>> path = tempfile.mkdtemp() + "/run.h5"
        >>> camera = optics.records.record_frames(lambda drive, full_scale: np.abs(drive)[:, None] ** 2, path)
        >>> seen = camera(np.ones((2, 4, 4)), np.ones((2, 1, 1)))
        >>> bool(np.all(optics.records.replay_frames(path)(np.ones((2, 4, 4)), np.ones((2, 1, 1))) == seen))
        True
    """
    check_number("tolerance", tolerance, 0.0)
    recording = read_recording(path, max_bytes)
    places: dict[bytes, list[int]] = {}
    for i, (drive, full_scale) in enumerate(zip(recording.drive, recording.full_scale.ravel(), strict=True)):
        places.setdefault(_key(drive, full_scale), []).append(i)
    turns = dict.fromkeys(places, 0)

    def replay(drive: np.ndarray, full_scale: np.ndarray) -> np.ndarray:
        drive = np.asarray(drive)
        scales = np.broadcast_to(full_scale, (*drive.shape[:-2], 1, 1)).ravel()
        frames = []
        for plane, scale in zip(drive.reshape(-1, *drive.shape[-2:]), scales, strict=True):
            key = _key(plane.astype(recording.drive.dtype), scale.astype(recording.full_scale.dtype))
            if key not in places:
                key = _nearest(recording, plane, scale, tolerance, path)
            frames.append(recording.frames[places[key][turns[key] % len(places[key])]])
            turns[key] += 1
        return np.reshape(frames, (*drive.shape[:-2], *recording.frames.shape[1:]))

    return replay


def _nearest(
    recording: HardwareRecording,
    drive: np.ndarray,
    full_scale: ScalarLike,
    tolerance: ScalarLike,
    path: PathLike,
) -> bytes:
    """The key of the exposure that differs by no more than `tolerance`."""
    if drive.shape != recording.drive.shape[1:]:
        raise ValueError(
            f"`drive` must have planes of {recording.drive.shape[1:]}, as {Path(path)} holds them, got "
            f"{drive.shape}."
        )
    distance = np.max(np.abs(recording.drive - drive), axis=(1, 2))
    distance = np.maximum(distance, np.abs(recording.full_scale.ravel() / full_scale - 1))
    place = int(np.argmin(distance))
    if not distance[place] <= tolerance:
        raise ValueError(
            f"`drive` must be one of the {len(recording.drive)} that {Path(path)} holds, but the nearest "
            f"differs by {distance[place]:.2g}; record it with the hardware."
        )
    return _key(recording.drive[place], recording.full_scale.ravel()[place])


def _key(drive: np.ndarray, full_scale: ScalarLike) -> bytes:
    # Without the sign of zeros.
    return (drive + 0).tobytes() + np.asarray(full_scale).tobytes()


def _as_text(settings: Mapping[str, Any] | None) -> str:
    if settings is not None and not isinstance(settings, Mapping):
        raise ValueError(f"`settings` must be a dictionary or None, got {describe(settings)}.")
    try:
        text = json.dumps(dict(settings or {}), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`settings` must hold finite numbers, text, lists and dictionaries alone ({str(error)[:120]})."
        ) from None
    if len(text) >= LONGEST_SETTINGS:
        raise ValueError(
            f"`settings` must be shorter than {LONGEST_SETTINGS:,} characters, got {len(text):,}."
        )
    return text


def _as_exposures(drive: np.ndarray, full_scale: np.ndarray, frames: np.ndarray) -> dict[str, np.ndarray]:
    """One row an exposure."""
    if frames.ndim != drive.ndim + 1 or frames.shape[:-3] != drive.shape[:-2]:
        raise ValueError(
            f"`forward` must return frames of shape {(*drive.shape[:-2], 'frames', 'rows', 'columns')}, got "
            f"{frames.shape}."
        )
    return {
        "drive": drive.reshape(-1, *drive.shape[-2:]),
        "full_scale": np.broadcast_to(full_scale, (*drive.shape[:-2], 1, 1)).ravel(),
        "frames": frames.reshape(-1, *frames.shape[-3:]),
    }


def _append(file: Any, name: str, values: np.ndarray) -> None:
    if name not in file:
        file.create_dataset(
            name, data=values, maxshape=(None, *values.shape[1:]), chunks=(1, *values.shape[1:])
        )
        return
    node = file[name]
    if node.shape[1:] != values.shape[1:] or node.dtype != values.dtype:
        raise ValueError(
            f"`{name}` must be {node.dtype} of shape {node.shape[1:]}, as in the calls before, got "
            f"{values.dtype} of shape {values.shape[1:]}; record another device in a file of its own."
        )
    node.resize(node.shape[0] + len(values), axis=0)
    node[-len(values) :] = values
