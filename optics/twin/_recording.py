"""What a bench was told to show, and what its camera saw."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import as_plane, check_shape
from optics.device import Exposure, FourierProcessor
from optics.records._frames import check_frames

# Of the correlation with what the device predicts that noise allows: what is as good as none, and what another orientation must
# win by. Chance alone gives one over the root of the numbers; less than this many of it says nothing.
NO_MATCH, CLEARLY, CHANCE = 0.1, 0.2, 5.0


class Recording(eqx.Module):
    """Drives that were shown, the exposures they were shown with, and the frames that the camera gave.

    Drives and exposures are settings of the electronics: they stay as they were set, whatever is learnt of the device later.

    Arguments:
        drive: amplitudes of modulator pixels in units of the brightest, shape (count, exposures, rows, columns), real or
            complex; a count of one exposure each may have three axes.
        full_scale: the field that full scale stood for, in units of a modulator pixel's amplitude, shape (count, exposures, 1, 1),
            or anything that broadcasts to it; gain and exposure time went in proportion to 1/reach².
        frames: in units of full scale, shape (count, exposures, shots, rows, columns), where shots are the frames of one
            measurement; or the same frames in the same order with fewer leading axes, as a camera's file holds them.
        shots: frames of one measurement, such as `measurement.steps`.

    Raises:
        ValueError: no drives, frames whose number is not that of the drives, or frames that `check_frames` refuses.
    """

    drive: Inexact[Array, "count exposures driverows drivecols"]
    full_scale: Float[Array, "count exposures 1 1"]
    frames: Float[Array, "count exposures shots rows cols"]

    def __init__(self, drive: Any, full_scale: Any, frames: Any, shots: int = 1):
        drive = as_plane("drive", drive)
        drive = drive[:, None] if drive.ndim == 3 else drive
        if drive.ndim != 4 or not drive.size:
            raise ValueError(
                f"`drive` must have the shape (count, exposures, rows, columns), got {drive.shape}."
            )
        if not bool(jnp.all(jnp.isfinite(jnp.abs(drive)))):
            bad = int(jnp.argmin(jnp.all(jnp.isfinite(jnp.abs(drive)), axis=(1, 2, 3))))
            raise ValueError(f"`drive` must be finite; drive {bad} is not.")
        frames = check_frames(frames)
        wanted = drive.shape[0] * drive.shape[1] * shots
        stack = frames.reshape(-1, *frames.shape[-2:])
        if stack.shape[0] != wanted:
            raise ValueError(
                f"`frames` must be {wanted}: {drive.shape[0]} drives of {drive.shape[1]} exposures, {shots} frames each; got {stack.shape[0]}. "
                "Give all of them, in the order that they were shown, and no dark frames among them."
            )
        self.drive = drive
        self.full_scale = jnp.broadcast_to(
            jnp.asarray(full_scale, drive.real.dtype), (*drive.shape[:2], 1, 1)
        )
        self.frames = jnp.asarray(stack.reshape(*drive.shape[:2], shots, *stack.shape[-2:]), drive.real.dtype)

    @classmethod
    def of(cls, device: FourierProcessor, numbers: Any, frames: Any) -> "Recording":
        """The recording of numbers that were shown with the settings of `device`, as `FourierProcessor.transform` sets them.

        Arguments:
            device: as it was known when the frames were taken.
            numbers: shape (count, rows, columns).
            frames: as of the class.

        Raises:
            ValueError: as the class, or `numbers` of another shape.
        """
        a = as_plane("numbers", numbers)
        check_shape("numbers", a, device)
        exposure = device.prepare(a.reshape(-1, *a.shape[-2:]))
        return cls(exposure.drive, exposure.full_scale, frames, shots_of(device))

    @property
    def count(self) -> int:
        """Camera frames in all."""
        return int(np.prod(self.frames.shape[:-2]))


def shots_of(device: FourierProcessor) -> int:
    """Frames of one measurement of the device, of a field that is not known to be real."""
    field = jnp.zeros(device.shape, jnp.result_type(complex))
    return eqx.filter_eval_shape(device.measurement.frames, field).shape[-3]


def check_recording(device: FourierProcessor, recording: Recording) -> None:
    """Refuse a recording whose drives or frames the device's modulator and camera do not have.

    Raises:
        ValueError: saying what the recording looks like instead.
    """
    drive = eqx.filter_eval_shape(device.encoder.encode, jnp.zeros(device.shape))[0].shape
    if recording.drive.shape[1:] != drive:
        raise ValueError(
            f"`drive` must have {drive} (exposures, rows, columns) a drive on this device, got {recording.drive.shape[1:]}."
        )
    have, want = (
        recording.frames.shape,
        _frames_shape(device, recording),
    )
    if have == want:
        return
    turned = (
        " They look turned by 90°: `numpy.rot90(frames, axes=(-2, -1))`."
        if have[-2:] == want[-2:][::-1]
        else ""
    )
    raise ValueError(
        f"`frames` must have {want[-3]} shots of {want[-2]}×{want[-1]} pixels a drive, as the device's camera gives, got {have[-3]} of "
        f"{have[-2]}×{have[-1]}.{turned or ' Crop, bin or register them to the pixels of the device.'}"
    )


def _frames_shape(device: FourierProcessor, recording: Recording) -> tuple[int, ...]:
    """The shape of the frames that the device would give of the recording's drives."""

    def expose(device, recording):
        return device.expose(Exposure(recording.drive, recording.full_scale, jnp.ones((1, 1))))

    return eqx.filter_eval_shape(expose, device, recording).shape


def check_orientation(recording: Recording, predicted: Array, variance: Array) -> None:
    """Refuse frames that are turned, mirrored or in another order than the drives.

    Arguments:
        predicted, variance: of the frames, for the device as it is known, shape of the recording's.

    Raises:
        ValueError: saying how the frames correlate with the prediction, and what would bring them in place.
    """
    found, told = (_changes(np.asarray(frames, float)) for frames in (recording.frames, predicted))
    if not np.any(found) or not np.any(told):
        return
    # What a right device reaches: noise keeps it from 1.
    power = np.mean(told**2)
    best_possible = float(np.sqrt(power / (power + np.mean(variance))))
    chance = CHANCE / np.sqrt(found.size)
    views = {"as they are": found}
    for turns in range(4) if found.shape[-1] == found.shape[-2] else (0, 2):
        turned = np.rot90(found, turns, (-2, -1))
        views[f"`numpy.rot90(frames, {turns}, axes=(-2, -1))`"] = turned
        views[f"`numpy.flip(numpy.rot90(frames, {turns}, axes=(-2, -1)), -1)`"] = np.flip(turned, -1)
    match = {
        name: float(np.sum(view * told) / np.sqrt(np.sum(view**2) * np.sum(told**2)))
        for name, view in views.items()
    }
    straight, best = match["as they are"], max(match, key=lambda name: match[name])
    if match[best] > max(straight + chance, straight + CLEARLY * best_possible, best_possible / 2):
        raise ValueError(
            f"`frames` are turned or mirrored against the device: they correlate with what it predicts at {match[best]:.2f} as {best}, "
            f"and at {straight:.2f} as they are."
        )
    if straight < NO_MATCH * best_possible and best_possible > chance:
        raise ValueError(
            f"`frames` do not belong to the drives: they correlate with what the device predicts at {straight:.2f}. "
            "Look at their order, at the sign of the reference's steps, and at how far the device is from the bench."
        )


def _changes(frames: np.ndarray) -> np.ndarray:
    """What the drives change, as patterns that stay the same tell nothing of an orientation."""
    return frames - np.mean(frames, axis=0 if frames.shape[0] > 1 else None)
