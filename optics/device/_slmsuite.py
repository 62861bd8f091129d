"""The panel and the camera of slmsuite's `FourierSLM` as the hardware of `External`."""

import json
import math
import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Inexact, Int

from optics._check import check_positive_number, check_range, check_whole, describe, is_concrete
from optics._phases import TWO_PI
from optics._typing import CountLike, DeviceLike, ScalarLike
from optics.detect import Intensity
from optics.device._exposure import Exposure
from optics.device._fourier_processor import FourierProcessor
from optics.records import check_frames, panel_phase
from optics.transfer import FourierLens

LARGEST_AVERAGE = 10_000  # pictures
# How far a panel may differ from what its twin says of it, relative.
PANEL_TOLERANCE = 0.01
AMPLITUDE_TOLERANCE = 1e-3  # of light that a panel of phases leaves at 1
BRIGHTEST = 0.8  # pixel of the frame by which the shutter is matched, in units of full scale
SHUTTER_TOLERANCE = 0.01  # relative, of what a camera makes of the time it is asked for


class SlmsuiteBench:
    """A function of `drive` and `full_scale` that returns frames, as `External` takes it.

    Arguments, errors: those of `External.from_slmsuite`.
    """

    def __init__(
        self,
        fourier_slm: Any,
        twin: DeviceLike,
        group: CountLike = 1,
        averaging: CountLike = 1,
        window: CountLike = 1,
        settle: ScalarLike | None = None,
        shutter: ScalarLike | None = None,
    ):
        # By name: who has such an object has slmsuite, and nobody else needs it.
        if not any(base.__name__ == "FourierSLM" for base in type(fourier_slm).__mro__):
            raise ValueError(
                "`fourier_slm` must be a `FourierSLM` of slmsuite, such as `FourierSLM(cam, slm)`, got "
                f"{describe(fourier_slm)}."
            )
        if "fourier" not in fourier_slm.calibrations:
            raise ValueError(
                "`fourier_slm` must have a Fourier calibration, which says where the light lands; run "
                "`fourier_slm.fourier_calibrate()` or load one."
            )
        if not isinstance(twin, FourierProcessor):
            raise ValueError(f"`twin` must be a `FourierProcessor`, got {describe(twin)}.")
        if not isinstance(twin.measurement, Intensity):
            raise ValueError(
                "`twin` must have an `optics.Intensity` measurement, for the bench has no reference beam; "
                f"got {type(twin.measurement).__name__}."
            )
        check_whole("group", group, 1)
        check_whole("averaging", averaging, 1, LARGEST_AVERAGE)
        check_whole("window", window, 1)
        if settle is not None:
            check_range("settle", settle, 0.0, 3600.0, "s")
        if shutter is not None:
            check_positive_number("shutter", shutter, "s")
        self.fourier_slm, self.group = fourier_slm, int(group)
        self.averaging, self.window = int(averaging), int(window)
        self.settle = _settle_time(fourier_slm) if settle is None else float(settle)
        # JAX may call from several threads, and there is one panel.
        self._lock = threading.Lock()
        drive, frames = _shapes(twin)
        self.drive_shape, self.frame_shape = drive[-2:], frames[-2:]
        self._check_panel(twin)
        self.sines = _pixel_sines(twin, self.drive_shape, self._pixel_pitch(), self._wavelength())
        self._camera_pixels()
        self.shutter = self._match_shutter(twin) if shutter is None else float(shutter)

    def __call__(
        self,
        drive: Inexact[np.ndarray, "*lead slm_rows slm_cols"],
        full_scale: Float[np.ndarray, "*scales 1 1"],
    ) -> Float[np.ndarray, "*lead 1 rows cols"]:
        """Frames in units of full scale, one an exposure."""
        drive = np.asarray(drive)
        self._check_drive(drive)
        scales = np.broadcast_to(full_scale, (*drive.shape[:-2], 1, 1)).ravel()
        with self._lock:
            places = self._camera_pixels()
            frames = [
                self._take(np.angle(plane), float(scale), places)
                for plane, scale in zip(drive.reshape(-1, *drive.shape[-2:]), scales, strict=True)
            ]
        return np.reshape(frames, (*drive.shape[:-2], 1, *self.frame_shape))

    @property
    def settings(self) -> dict[str, Any]:
        """What the frames depend on, for `optics.records.record_frames`."""
        slm, camera = self.fourier_slm.slm, self.fourier_slm.cam
        affine = self.fourier_slm.calibrations["fourier"]
        return {
            "panel": {
                "name": str(slm.name),
                "shape": _numbers(slm.shape),
                "pitch_m": _numbers(np.asarray(slm.pitch_um) * 1e-6),
                "bits": int(slm.bitdepth),
                "wavelength_m": self._wavelength(),
                "corrects_phase": bool(slm.phase_correct),
                "has_table": slm.lut is not None,
            },
            "camera": {
                "name": str(camera.name),
                "shape": _numbers(camera.shape),
                "pitch_m": None if camera.pitch_um is None else _numbers(np.asarray(camera.pitch_um) * 1e-6),
                "bits": int(camera.bitdepth),
                "window": _numbers(camera.woi),
                "binning": _numbers(camera.binning),
            },
            "fourier": {name: _numbers(affine[name]) for name in ("M", "b")},
            "group": self.group,
            "averaging": self.averaging,
            "window": self.window,
            "settle_s": self.settle,
            "shutter_s": self.shutter,
        }

    def _take(
        self, phase: Float[np.ndarray, "slm_rows slm_cols"], full_scale: float, places: np.ndarray
    ) -> Float[np.ndarray, "rows cols"]:
        """The mean of the pictures of one drive."""
        if not 0 < full_scale < math.inf:
            raise ValueError(f"`full_scale` must be finite and above 0, got {full_scale:g}.")
        self._set_shutter(self.shutter / full_scale**2)
        self.fourier_slm.slm.set_phase(self.panel_phase(phase), settle=self.settle)
        return self._pictures(places)

    def panel_phase(
        self, phase: Float[np.ndarray, "slm_rows slm_cols"]
    ) -> Float[np.ndarray, "panel_rows panel_cols"]:
        """The phase of each panel pixel, rad: the drive in the middle of those that send their light past the
        camera.
        """
        return panel_phase(phase, _pair(self.fourier_slm.slm.shape), self.group)

    def _pictures(self, places: Int[np.ndarray, "2 rows cols window window"]) -> np.ndarray:
        """The mean of pictures at the device's pixels, each picture checked."""
        camera = self.fourier_slm.cam
        camera.flush()
        full = 2.0 ** int(camera.bitdepth) - 1
        total = np.zeros(self.frame_shape)
        for picture in np.asarray(camera.get_images(self.averaging)):
            values = picture[places[0], places[1]] / full
            # One at a time: in a stack, a pixel that never changes counts as dead.
            check_frames(values.swapaxes(1, 2).reshape(1, *(n * self.window for n in self.frame_shape)))
            total += values.mean(axis=(-2, -1))
        return total / self.averaging

    def _set_shutter(self, seconds: float) -> None:
        camera = self.fourier_slm.cam
        if not math.isclose(float(camera.get_exposure()), seconds, rel_tol=1e-9):
            camera.set_exposure(seconds)
        received = float(camera.get_exposure())
        if not math.isclose(received, seconds, rel_tol=SHUTTER_TOLERANCE):
            raise ValueError(
                f"`full_scale` asks for a shutter of {seconds:.3g} s, but the camera makes {received:.3g} s "
                "of it; change the power of the laser, or give the twin a `full_scale` of its own."
            )

    def _match_shutter(self, twin: FourierProcessor) -> float:
        """The shutter time at which the sum of a random drive's frame is that of the twin at a full scale of
        1.
        """
        phase = np.random.default_rng(0).uniform(0, TWO_PI, self.drive_shape)
        drive = jnp.asarray(np.exp(1j * phase), jnp.result_type(complex, jnp.float32))
        with jax.ensure_compile_time_eval():
            expected = twin.expose(Exposure(drive[None], jnp.ones((1, 1, 1)), jnp.ones((1, 1))))
        camera = self.fourier_slm.cam
        self.fourier_slm.slm.set_phase(self.panel_phase(phase), settle=self.settle)
        seconds = float(camera.get_exposure())
        try:
            frames = self._pictures(self._camera_pixels())
            # Once more, at a time at which rounding to counts does not matter.
            camera.set_exposure(seconds * BRIGHTEST / float(np.max(frames)))
            seconds = float(camera.get_exposure())
            frames = self._pictures(self._camera_pixels())
        except ValueError as error:
            raise ValueError(
                f"`shutter` cannot be found at the camera's {seconds:.3g} s ({error}); set it with "
                "`fourier_slm.cam.set_exposure`, or give `shutter`."
            ) from None
        return seconds * float(jnp.sum(expected)) / float(np.sum(frames))

    def _check_drive(self, drive: np.ndarray) -> None:
        if drive.shape[-2:] != self.drive_shape:
            raise ValueError(
                f"`drive` must have planes of {self.drive_shape}, as the encoder of the twin gives them, got "
                f"{drive.shape}."
            )
        off = np.abs(np.abs(drive) - 1)
        if not np.all(off < AMPLITUDE_TOLERANCE):
            raise ValueError(
                f"`drive` must have the amplitude 1 everywhere, for the panel sets phases alone, but one is "
                f"off by {np.max(off):.2g}; give the twin an encoder such as "
                "`optics.encode.SequentialPhase()`."
            )

    def _check_panel(self, twin: FourierProcessor) -> None:
        """Refuse a drive that the panel does not hold, and a lens for another panel."""
        panel = _pair(self.fourier_slm.slm.shape)
        needed = tuple(n * self.group for n in self.drive_shape)
        if any(n > side for n, side in zip(needed, panel, strict=True)):
            raise ValueError(
                f"`group` {self.group} makes {needed[0]}×{needed[1]} panel pixels of a drive of "
                f"{self.drive_shape[0]}×{self.drive_shape[1]}, but the panel has {panel[0]}×{panel[1]}."
            )
        lens = twin.transfer
        if not isinstance(lens, FourierLens) or not all(map(is_concrete, (lens.pitch, lens.wavelength))):
            return
        across = self.drive_shape[1] // twin.shape[1]
        for name, believed, real in (
            ("pitch", float(lens.pitch), self._pixel_pitch()[1] * across),
            ("wavelength", float(lens.wavelength), self._wavelength()),
        ):
            if not math.isclose(believed, real, rel_tol=PANEL_TOLERANCE):
                raise ValueError(
                    f"`twin` has a lens with a {name} of {believed:.4g} m, but the panel's is {real:.4g} m "
                    f"at a `group` of {self.group}; give both the same."
                )

    def _camera_pixels(self) -> Int[np.ndarray, "2 rows cols window window"]:
        """Row and column of the camera pixels that are read for each pixel of the device, in the picture as
        the camera gives it now.
        """
        x, y = self.fourier_slm.kxyslm_to_ijcam(self.sines.reshape(2, -1)).reshape(2, *self.frame_shape)
        steps = np.arange(self.window) - (self.window - 1) / 2
        rows = np.rint(y[..., None, None] + steps[:, None] + 0 * steps).astype(int)
        cols = np.rint(x[..., None, None] + steps + 0 * steps[:, None]).astype(int)
        height, width = (int(n) for n in self.fourier_slm.cam.shape)
        if min(rows.min(), cols.min()) < 0 or rows.max() >= height or cols.max() >= width:
            raise ValueError(
                f"`twin` has pixels that land outside of the camera's {height}×{width} pixels: rows "
                f"{rows.min()} to {rows.max()}, columns {cols.min()} to {cols.max()}; raise `group`, or move "
                "the camera."
            )
        return np.stack([rows, cols])

    def _pixel_pitch(self) -> tuple[float, float]:
        """Of the drive's pixels (down, across), m."""
        x, y = (float(pitch) * 1e-6 * self.group for pitch in self.fourier_slm.slm.pitch_um)
        return y, x

    def _wavelength(self) -> float:
        return float(self.fourier_slm.slm.wav_um) * 1e-6


def _shapes(twin: FourierProcessor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of the drive and of the frames of one plane of numbers."""

    def expose(a):
        exposure = twin.prepare(a)
        return exposure.drive, twin.expose(exposure)

    drive, frames = jax.eval_shape(expose, jnp.zeros(twin.shape))
    return drive.shape, frames.shape


def _pixel_sines(
    twin: FourierProcessor, drive_shape: tuple[int, int], pitch: tuple[float, float], wavelength: float
) -> Float[np.ndarray, "2 rows cols"]:
    """Sine of the angle at which light leaves the panel toward each pixel of the device, (x, y).

    The samples of the discrete Fourier transform lie λ / (drive pixels · pitch) apart; the pixels of a
    described lens where its detector has them.
    """
    lines = []
    for n, count, size, order in zip(twin.shape, drive_shape, pitch, twin.encoder.order, strict=True):
        spacing = wavelength / (count * size)
        if isinstance(twin.transfer, FourierLens):
            lens = twin.transfer
            spacing = float(lens.pitch) * max(twin.shape) / n / float(lens.focal_length)
        centre = order * wavelength / (size * count / n)
        lines.append((np.arange(n) - n // 2) * spacing + centre)
    y, x = np.meshgrid(*lines, indexing="ij")
    return np.stack([x, y])


def _pair(shape: Any) -> tuple[int, int]:
    rows, cols = shape
    return int(rows), int(cols)


def _settle_time(fourier_slm: Any) -> float:
    """Seconds: as measured, or as slmsuite was told."""
    measured = fourier_slm.calibrations.get("settle", {}).get("settle_time")
    return float(fourier_slm.slm.settle_time_s if measured is None else measured)


def _numbers(values: Any) -> list:
    """Numbers that JSON can hold."""
    return json.loads(json.dumps(np.asarray(values).tolist()))
