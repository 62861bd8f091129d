"""Checks that a recording was taken on a device like the one that is fitted."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics.device import Exposure, FourierProcessor
from optics.twin._recording import Recording

# Shares of the correlation that noise allows with the frames that the device predicts: below the first the
# frames have nothing to do with the drives; another orientation must win by the second.
UNRELATED_SHARE = 0.1
ROTATED_MARGIN = 0.2
# Numbers at random correlate at one over the root of their count; a difference below this many times that is
# chance.
CHANCE_DEVIATIONS = 5.0


def check_recording(device: FourierProcessor, recording: Recording) -> None:
    """Refuse a recording whose drives or frames do not have the shape of the device's.

    Raises:
        ValueError: with the shape that the device has.
    """
    drive_shape = eqx.filter_eval_shape(device.encoder.encode, jnp.zeros(device.shape))[0].shape
    if recording.drive.shape[1:] != drive_shape:
        raise ValueError(
            f"`drive` must have {drive_shape} (exposures, rows, columns) a drive on this device, "
            f"got {recording.drive.shape[1:]}."
        )
    actual, expected = recording.frames.shape, _expected_shape(device, recording)
    if actual == expected:
        return
    remedy = "Crop, bin or register them to the pixels of the device."
    if actual[-2:] == expected[-2:][::-1]:
        remedy = "They look turned by 90°: `numpy.rot90(frames, axes=(-2, -1))`."
    raise ValueError(
        f"`frames` must have {expected[-3]} frames of {expected[-2]}×{expected[-1]} pixels an exposure, as "
        f"the device's camera gives, got {actual[-3]} of {actual[-2]}×{actual[-1]}. {remedy}"
    )


def check_orientation(
    recording: Recording, predicted: Float[Array, "*frames"], variance: Float[Array, "*frames"]
) -> None:
    """Refuse frames that are turned, mirrored or in another order than the drives.

    Arguments:
        predicted, variance: of the frames, by the device before the fit, shape of the recording's.

    Raises:
        ValueError: how the frames correlate with the prediction, and the call that would correct them.
    """
    measured, model = (
        _subtract_pattern(np.asarray(frames, float)) for frames in (recording.frames, predicted)
    )
    if not np.any(measured) or not np.any(model):
        return
    # Noise keeps a correct device from 1.
    power = np.mean(model**2)
    best_possible = float(np.sqrt(power / (power + np.mean(variance))))
    chance = CHANCE_DEVIATIONS / np.sqrt(measured.size)
    views = {"as they are": measured}
    for turns in range(4) if measured.shape[-1] == measured.shape[-2] else (0, 2):
        turned = np.rot90(measured, turns, (-2, -1))
        views[f"`numpy.rot90(frames, {turns}, axes=(-2, -1))`"] = turned
        views[f"`numpy.flip(numpy.rot90(frames, {turns}, axes=(-2, -1)), -1)`"] = np.flip(turned, -1)
    correlation = {
        name: float(np.sum(view * model) / np.sqrt(np.sum(view**2) * np.sum(model**2)))
        for name, view in views.items()
    }
    unchanged, best = correlation["as they are"], max(correlation, key=lambda name: correlation[name])
    if correlation[best] > max(
        unchanged + chance, unchanged + ROTATED_MARGIN * best_possible, best_possible / 2
    ):
        raise ValueError(
            "`frames` are turned or mirrored against the device: they correlate with its prediction at "
            f"{correlation[best]:.2f} as {best}, and at {unchanged:.2f} as they are."
        )
    if unchanged < UNRELATED_SHARE * best_possible and best_possible > chance:
        raise ValueError(
            "`frames` do not belong to the drives: they correlate with the prediction of the device at "
            f"{unchanged:.2f}. Look at their order, at the sign of the reference's steps, and at how far the "
            "device is from the bench."
        )


def _expected_shape(device: FourierProcessor, recording: Recording) -> tuple[int, ...]:
    """The shape of the frames that the device would give of the recording's drives."""

    def expose(device, recording):
        return device.expose(Exposure(recording.drive, recording.full_scale, jnp.ones((1, 1))))

    return eqx.filter_eval_shape(expose, device, recording).shape


def _subtract_pattern(frames: np.ndarray) -> np.ndarray:
    """Frames without the pattern common to all drives, which carries no sign of an orientation."""
    return frames - np.mean(frames, axis=0 if frames.shape[0] > 1 else None)
