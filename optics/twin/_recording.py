"""Drives of a bench, and the frames that its camera took of them."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import as_array, as_plane, check_positive, check_shape, check_whole
from optics._typing import ArrayLike, CountLike
from optics.device import FourierProcessor
from optics.records import check_frames


class Recording(eqx.Module):
    """Drives of a modulator, the full scale of their exposures, and the frames that the camera took.

    Drive and full scale are settings of the electronics: a fit does not change them. Their names are those of
    `Exposure`. Drives that are equal, with equal full scales, are repeats: the scatter of their frames is
    noise alone, and tells it from an error of the model.

    Arguments:
        drive: amplitudes of modulator pixels in units of the brightest, shape (count, exposures, rows,
            columns), real or complex; with one exposure each it may have three axes.
        full_scale: the field that full scale stands for, in units of a modulator pixel's amplitude, shape
            (count, exposures, 1, 1), or anything that broadcasts to it; gain and exposure time were set in
            proportion to 1/full_scale².
        frames: in units of full scale, shape (count, exposures, frames, rows, columns); or the same frames in
            the same order with fewer leading axes, as a camera's file holds them.
        frames_per_exposure: frames of one exposure, such as `measurement.steps`.

    Raises:
        ValueError: no drives, a number of frames that does not match the drives, or frames that
            `optics.records.check_frames` refuses.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> frames = jnp.full((8, 3, 3), 0.5)
        >>> print(optics.Recording(jnp.ones((2, 3, 3)), 1.0, frames, frames_per_exposure=4).frames.shape)
        (2, 1, 4, 3, 3)
    """

    drive: Inexact[Array, "count exposures slm_rows slm_cols"]
    full_scale: Float[Array, "count exposures 1 1"]
    frames: Float[Array, "count exposures frames camera_rows camera_cols"]

    def __init__(
        self,
        drive: ArrayLike,
        full_scale: ArrayLike,
        frames: ArrayLike,
        frames_per_exposure: CountLike = 1,
    ):
        drive = as_plane("drive", drive)
        drive = drive[:, None] if drive.ndim == 3 else drive
        if drive.ndim != 4 or not drive.size:
            raise ValueError(
                f"`drive` must have the shape (count, exposures, rows, columns), got {drive.shape}."
            )
        finite = jnp.all(jnp.isfinite(jnp.abs(drive)), axis=(1, 2, 3))
        if not bool(jnp.all(finite)):
            raise ValueError(f"`drive` must be finite; drive {int(jnp.argmin(finite))} is not.")
        count, exposures = drive.shape[:2]
        check_whole("frames_per_exposure", frames_per_exposure, 1)
        full_scale = _as_full_scale(full_scale, (count, exposures))
        frames = check_frames(frames)
        frames = frames.reshape(-1, *frames.shape[-2:])
        expected = count * exposures * frames_per_exposure
        if frames.shape[0] != expected:
            raise ValueError(
                f"`frames` must be {expected}: {count} drives of {exposures} exposures, "
                f"{frames_per_exposure} frames each; got {frames.shape[0]}. Give all of them, in the order "
                "of the drives, and no dark frames among them."
            )
        dtype = drive.real.dtype
        self.drive = drive
        self.full_scale = jnp.broadcast_to(full_scale.astype(dtype), (count, exposures, 1, 1))
        self.frames = jnp.asarray(
            frames.reshape(count, exposures, frames_per_exposure, *frames.shape[-2:]), dtype
        )

    @classmethod
    def of(cls, device: FourierProcessor, numbers: ArrayLike, frames: ArrayLike) -> "Recording":
        """The recording of numbers that were set as `device.prepare` sets them.

        Arguments:
            device: as it was known when the frames were taken.
            numbers: shape (count, rows, columns); planes that are equal are repeats.
            frames: as of the class.

        Returns:
            `Recording`.

        Raises:
            ValueError: as the class, or `numbers` of another shape.
        """
        a = as_plane("numbers", numbers)
        check_shape("numbers", a, device)
        # Equal numbers are prepared once, so that their drives are equal to the last bit.
        distinct, place = np.unique(a.reshape(-1, *a.shape[-2:]), axis=0, return_inverse=True)
        exposure = device.prepare(jnp.asarray(distinct))
        # A field that is not known to be real.
        field = jnp.zeros(device.shape, jnp.result_type(complex))
        frames_per_exposure = eqx.filter_eval_shape(device.measurement.frames, field).shape[-3]
        place = place.ravel()
        return cls(exposure.drive[place], exposure.full_scale[place], frames, frames_per_exposure)

    @property
    def count(self) -> int:
        """Camera frames in all."""
        return int(np.prod(self.frames.shape[:-2]))


def _as_full_scale(value: ArrayLike, shape: tuple[int, int]) -> Array:
    """Full scales of exposures as an array; refuse those that are not above 0 or do not broadcast."""
    check_positive("full_scale", value)
    array = as_array("full_scale", value)
    try:
        fits = jnp.broadcast_shapes(array.shape, (*shape, 1, 1)) == (*shape, 1, 1)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"`full_scale` must broadcast to the shape {(*shape, 1, 1)}, got {array.shape}.")
    return array
