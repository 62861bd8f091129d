"""Calibrations that slmsuite measured on a bench, and the parts of a device that they stand for."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Complex, Float, Int

from optics._check import as_path, as_pixels, check_number, check_whole
from optics._typing import CountLike, EffectLike, PathLike, ScalarLike, ShapeLike
from optics.effects import PhaseLUT
from optics.records._door import FileError
from optics.records._hdf5 import MICROMETRE, Group, first_numbers, open_group
from optics.records._panel import level_phases
from optics.transfer import FourierLens
from optics.wave import noll_index, osa

MAX_BYTES = 2**28
# What tells the data of each kind of calibration from the others.
KINDS: dict[str, tuple[str, ...]] = {
    "fourier": ("M", "b"),
    "pixel": ("levels", "periods", "gamma"),
    "settle": ("times", "settle_time"),
    "wavefront_superpixel": ("superpixel_size", "slm_supershape", "phase", "kx", "ky"),
    "wavefront_zernike": ("zernike_indices", "corrected_spots"),
}
LARGEST_PANEL = 2**14  # pixels a side
LARGEST_BITS = 16
LARGEST_ZERNIKE = 5150  # the last in OSA/ANSI order that `wave.osa` knows
CONDITION_LIMIT = 1e6  # of M, beyond which it has no inverse to speak of


@dataclass(frozen=True, eq=False)
class SlmsuiteCalibration:
    """What a calibration file of slmsuite holds; parts that the file does not have are None.

    Two-dimensional vectors are (x, y), as slmsuite writes them; shapes are (rows, columns).

    Attributes:
        path: of the file.
        kinds: of calibration in it: "fourier", "pixel", "settle", "wavefront_superpixel",
            "wavefront_zernike".
        version: of slmsuite.
        panel: pixels of the modulator.
        pitch: of the panel's pixels, m.
        wavelength: m.
        bits: of the panel.
        camera: pixels of a picture.
        camera_pitch: m; None where slmsuite was not told.
        camera_bits: of the converter.
        M: camera pixels per sine of the angle of a beam, shape (2, 2): pixel = M · (sin θx, sin θy) + b.
        b: camera pixel of the axis on the whole sensor, shape (2,).
        levels: of the panel that were measured, shape (count,).
        gamma: magnitude of the phase at `levels`, rad, shape (count,); in most panels it is a lag.
        gamma_quality: R² of the fit of `gamma`.
        settle_time: of the panel, s: as measured, or as slmsuite was told where the file has no such
            measurement.
        superpixel: panel pixels a side of an area whose wavefront was measured.
        correction: phase to add to the light of an area for a flat wavefront, as a plane of the panel
            whose origin is its middle, rad, shape (points, rows, columns); NaN where it was not measured.
        slope: of that plane, sine of its angle, shape (points, rows, columns, 2).
        amplitude: of the light of each area over the brightest, shape (points, rows, columns), or None.
        quality: R² of the fit of each area, shape (points, rows, columns), or None.
        zernike_index: Noll's index of each polynomial, shape (count,).
        zernike_correction: coefficients to add for a flat wavefront, waves of unit RMS over slmsuite's
            aperture of the panel, shape (count, spots); tilts and defocus place the spot too.
    """

    path: Path
    kinds: tuple[str, ...]
    version: str
    panel: tuple[int, int]
    pitch: tuple[float, float]
    wavelength: float
    bits: int
    camera: tuple[int, int]
    camera_pitch: tuple[float, float] | None
    camera_bits: int
    settle_time: float
    M: Float[np.ndarray, "2 2"] | None = None
    b: Float[np.ndarray, "2"] | None = None
    levels: Int[np.ndarray, " levels"] | None = None
    gamma: Float[np.ndarray, " levels"] | None = None
    gamma_quality: float | None = None
    superpixel: int | None = None
    correction: Float[np.ndarray, "points rows cols"] | None = None
    slope: Float[np.ndarray, "points rows cols 2"] | None = None
    amplitude: Float[np.ndarray, "points rows cols"] | None = None
    quality: Float[np.ndarray, "points rows cols"] | None = None
    zernike_index: Int[np.ndarray, " polynomials"] | None = None
    zernike_correction: Float[np.ndarray, "polynomials spots"] | None = None

    @property
    def focal_length(self) -> float:
        """Effective focal length between panel and camera, m: √(|det M| · area of a camera pixel).

        Raises:
            ValueError: the file holds no Fourier calibration, or no pitch of the camera.
        """
        M = self._of("M", "fourier")
        if self.camera_pitch is None:
            raise ValueError(
                f"`focal_length` needs the pitch of the camera, which {self.path} does not hold; set "
                "`cam.pitch_um` before the calibration is saved."
            )
        return math.sqrt(abs(np.linalg.det(M)) * math.prod(self.camera_pitch))

    @property
    def is_mirrored(self) -> bool:
        """Whether the camera sees the far field of the panel mirrored: det M < 0."""
        return bool(np.linalg.det(self._of("M", "fourier")) < 0)

    @property
    def rotation(self) -> float:
        """Angle from the x of the panel to that of the camera, toward y, rad; of a mirrored picture after its
        y was turned over.
        """
        M = self._of("M", "fourier") @ np.diag([1.0, -1.0 if self.is_mirrored else 1.0])
        return math.atan2(M[1, 0] - M[0, 1], M[0, 0] + M[1, 1])

    def lens(self, pixels: ShapeLike, group: CountLike = 1, **arguments: Any) -> FourierLens:
        """The 2f system between panel and camera, with pixels of `group` × `group` panel pixels.

        It has the wavelength, the panel's pitch and the effective focal length. What does not map: a shear or
        unlike magnifications along x and y (the mean counts), and the rotation and offset of the camera,
        which choose the camera pixels that are read (`optics.External.from_slmsuite`).

        Arguments:
            pixels: of the device, as of `FourierLens`.
            group: panel pixels a side of a pixel.
            arguments: others of `FourierLens`, such as `fill`.

        Returns:
            `FourierLens`.

        Raises:
            ValueError: `pixels` that the panel does not have, pixels that are not square, no Fourier
                calibration or no pitch of the camera, or what `FourierLens` refuses.
        """
        check_whole("group", group, 1, LARGEST_PANEL)
        shape = as_pixels("pixels", pixels)
        self._check_area(shape, group)
        if not math.isclose(*self.pitch, rel_tol=1e-6):
            raise ValueError(f"`lens` needs square pixels of the panel, but {self.path} has {self.pitch} m.")
        return FourierLens(shape, group * self.pitch[0], self.wavelength, self.focal_length, **arguments)

    def phase_table(self, rising: bool = False) -> PhaseLUT:
        """The phase that the panel gives for the phase asked of it, without slmsuite's correction.

        slmsuite asks for the phase 2π k / 2^bits by the level 2^bits − 1 − k, for the phase of most panels
        lags more with the level. Levels between those measured are interpolated, and the ends are continued
        with the mean slope, as slmsuite does. The common phase is taken off. `effects.PhaseQuantize(bits)`
        goes before it. A bench whose slmsuite has the calibration loaded corrects the table itself: what is
        left there is the rounding to levels alone.

        Arguments:
            rising: the phase advances with the level, as of mirrors (slmsuite's `PLM`): level k − 1 stands
                for the phase then. The file does not say which.

        Returns:
            `effects.PhaseLUT` with 2^bits + 1 entries.

        Raises:
            ValueError: the file holds no pixel calibration, or a table that falls, as of a noisy measurement.
        """
        gamma, levels = self._of("gamma", "pixel"), self._of("levels", "pixel")
        count = 2**self.bits
        slope = (gamma[-1] - gamma[0]) / (levels[-1] - levels[0])
        # One turn of levels before and behind those measured.
        at = np.concatenate([levels[-1:] - count, levels, levels[:1] + count])
        phases = np.concatenate([gamma[-1:] - slope * count, gamma, gamma[:1] + slope * count])
        response = np.interp(np.arange(-1, count), at, phases)
        return PhaseLUT(response - response[0] if rising else (response[-1] - response)[::-1])

    def with_phase_table(self, table: EffectLike) -> "SlmsuiteCalibration":
        """The calibration with the response of a panel that a twin was fitted to, in the place of its pixel
        calibration: the inverse of `phase_table`.

        `write_slmsuite(path, calibration, "pixel")` gives it to slmsuite, which corrects the panel by it.

        Arguments:
            table: `effects.PhaseLUT`, the same for all pixels.

        Returns:
            `SlmsuiteCalibration` with `levels` and `gamma` of all levels.

        Raises:
            ValueError: a `table` that is no `PhaseLUT`, differs from pixel to pixel, or turns the phase by
                less than three quarters of a turn.
        """
        response = level_phases(table, 2**self.bits)
        kinds = self.kinds if "pixel" in self.kinds else (*self.kinds, "pixel")
        return dataclasses.replace(
            self,
            kinds=kinds,
            levels=np.arange(2**self.bits),
            gamma=response[-1] - response[::-1],
            gamma_quality=None,
        )

    def plate(
        self,
        pixels: ShapeLike,
        group: CountLike = 1,
        point: CountLike = 0,
        quality: ScalarLike = 0.9,
    ) -> Complex[np.ndarray, "rows cols"]:
        """The light of each pixel before it is modulated, as superpixels measured it: for `effects.Gain`.

            amplitude · exp(−i correction)

        Every pixel has the plane of the superpixel in which its middle lies. Superpixels whose fit is worse
        than `quality`, and that of the reference, have the mean phase of their neighbours. slmsuite smooths
        its correction across borders, which this does not. The aberration is one of the panel's plane: it is
        no aberration of the lens, whose pupil lies a focal length away.

        Arguments:
            pixels: of the device, one number or (rows, columns), in the middle of the panel.
            group: panel pixels a side of a pixel.
            point: which of the points of the camera that were calibrated.
            quality: smallest R² that counts, 0 to 1.

        Returns:
            shape (rows, columns), dimensionless; amplitude at most 1.

        Raises:
            ValueError: the file holds no superpixel calibration, `pixels` that the panel does not have, a
                `point` that was not measured, or no superpixel that is good enough.
        """
        correction, slope = self._of("correction", "wavefront_superpixel"), self.slope
        check_whole("group", group, 1, LARGEST_PANEL)
        check_whole("point", point, 0, len(correction) - 1)
        check_number("quality", quality, 0.0, 1.0)
        shape = as_pixels("pixels", pixels)
        self._check_area(shape, group)
        good = np.isfinite(correction[point])
        if self.quality is not None:
            good &= np.nan_to_num(self.quality[point]) >= quality
        if not np.any(good):
            raise ValueError(f"`quality` {quality:g} leaves no superpixel of point {point} of {self.path}.")
        middles = [
            (np.arange(n) - (n - 1) / 2) * group + (side - 1) / 2
            for n, side in zip(shape, self.panel, strict=True)
        ]
        areas = np.ix_(*[(middle // self.superpixel).astype(int) for middle in middles])
        y, x = np.ix_(
            *[
                (middle - (side - 1) / 2) * pitch
                for middle, side, pitch in zip(middles, self.panel, self.pitch[::-1], strict=True)
            ]
        )
        kx, ky = (_fill_gaps(np.where(good, slope[point, :, :, i], np.nan))[areas] for i in (0, 1))
        phasor = _fill_gaps(np.where(good, np.exp(1j * correction[point]), np.nan))[areas]
        phase = np.angle(phasor) + 2 * np.pi / self.wavelength * (kx * x + ky * y)
        amplitude = 1.0
        if self.amplitude is not None:
            amplitude = _fill_gaps(self.amplitude[point])[areas]
            amplitude = amplitude / np.max(amplitude)
        return amplitude * np.exp(-1j * phase)

    def aberrations(self, point: CountLike | None = None) -> Float[np.ndarray, " count"]:
        """The wavefront error that Zernike polynomials measured, for `wave.aberration` over slmsuite's
        aperture of the panel: minus `zernike_correction`.

        Piston and tilts are left at 0, for they place the spot. It lies in the plane of the panel; as
        `aberrations` of `FourierLens`, whose pupil is a focal length away, it is right on the axis alone.

        Arguments:
            point: which spot; None for the mean of all.

        Returns:
            waves of unit RMS, Noll order from 1, shape (count,).

        Raises:
            ValueError: the file holds no Zernike calibration, or a `point` that was not measured.
        """
        values, index = self._of("zernike_correction", "wavefront_zernike"), self.zernike_index
        if point is not None:
            check_whole("point", point, 0, values.shape[1] - 1)
        result = np.zeros(int(np.max(index)))
        result[index - 1] = -(values.mean(axis=1) if point is None else values[:, point])
        result[:3] = 0
        return result

    def _of(self, name: str, kind: str) -> Any:
        value = getattr(self, name)
        if value is None:
            raise ValueError(
                f"`{name}` needs a {kind} calibration, but {self.path} holds {', '.join(self.kinds)}; save "
                f'it with `fourier_slm.save_calibration("{kind}")`.'
            )
        return value

    def _check_area(self, shape: tuple[int, int], group: int) -> None:
        if any(n * group > side for n, side in zip(shape, self.panel, strict=True)):
            raise ValueError(
                f"`pixels` {shape} of {group}×{group} panel pixels do not fit on the panel of {self.path}, "
                f"{self.panel[0]}×{self.panel[1]}; reduce one of them."
            )


def read_slmsuite(path: PathLike, max_bytes: CountLike = MAX_BYTES) -> SlmsuiteCalibration:
    """A calibration that slmsuite's `FourierSLM.save_calibration` wrote, or all that `FourierSLM.save` did,
    in SI units.

    Data of slmsuite that stand for no part of a device (movies, schedules, weights of spots) are left where
    they are. Nothing is read before its size is known.

    Arguments:
        path: of the `.h5` file.
        max_bytes: the most that the arrays of the file may take in memory, 256 MiB by default.

    Returns:
        `SlmsuiteCalibration`.

    Raises:
        FileNotFoundError: no such file.
        ImportError: h5py is missing; the extra `lab` brings it.
        ValueError: no HDF5 file or not a whole one, none that slmsuite wrote, a calibration without its
            data, data of another shape or kind, not finite, out of range, in other files, or more than
            `max_bytes`.

    Source: slmsuite 0.5.0, MIT licence, `slmsuite.hardware.cameraslms`.
    """
    path = as_path("path", path)
    check_whole("max_bytes", max_bytes, 1, 2**63 - 1)
    with open_group(path, max_bytes) as file:
        values = _read(file)
    return SlmsuiteCalibration(**values)


def _read(file: Group) -> dict[str, Any]:
    version = file.text("__version__")
    meta = file.require("__meta__")
    panel, camera = meta.require("slm"), meta.require("cam")
    parts = _calibrations(file, meta)
    if not parts:
        raise FileError(
            f"`path` {file.path} holds no calibration that is known: {', '.join(KINDS)}; save one with "
            "`fourier_slm.save_calibration`."
        )
    rows, cols = panel.whole("shape", (2,), 1, LARGEST_PANEL)
    camera_rows, camera_cols = camera.whole("shape", (2,), 1, LARGEST_PANEL)
    bits = int(panel.whole("bitdepth", (), 1, LARGEST_BITS))
    pitch = panel.lengths("pitch_um")
    values: dict[str, Any] = {"settle_time": panel.number("settle_time_s", 0.0, 3600.0)}
    for kind, part in parts.items():
        values |= {
            "fourier": _read_fourier,
            "pixel": lambda part: _read_pixel(part, bits),
            "settle": lambda part: {"settle_time": part.number("settle_time", 0.0, 3600.0)},
            "wavefront_superpixel": lambda part: _read_superpixel(part, (int(rows), int(cols))),
            "wavefront_zernike": _read_zernike,
        }[kind](part)
    return dict(
        path=file.path,
        kinds=tuple(parts),
        version=version,
        panel=(int(rows), int(cols)),
        pitch=pitch,
        wavelength=panel.number("wav_um", 0.01, 1000.0) * MICROMETRE,
        bits=bits,
        camera=(int(camera_rows), int(camera_cols)),
        camera_pitch=None if camera.is_none("pitch_um") else camera.lengths("pitch_um"),
        camera_bits=int(camera.whole("bitdepth", (), 1, 32)),
        **values,
    )


def _calibrations(file: Group, meta: Group) -> Mapping[str, Group]:
    """The groups of the calibrations by kind: that of the file, or those that a whole bench has."""
    saved = meta.part("calibrations")
    if saved is not None:
        return {kind: saved.require(kind) for kind in KINDS if kind in saved.names()}
    names = set(file.names())
    # By what there is of it, so that a part that was lost is missed by its name.
    kind = max(KINDS, key=lambda kind: len(names & set(KINDS[kind])))
    return {kind: file} if names & set(KINDS[kind]) else {}


def _read_fourier(part: Group) -> dict[str, Any]:
    M = part.array("M", (2, 2))
    # slmsuite writes a column.
    b = part.array("b", (2, 1))[:, 0]
    if not np.linalg.cond(M) < CONDITION_LIMIT:
        raise part.fail("M", f"must have an inverse, got {first_numbers(M)}")
    return {"M": M, "b": b}


def _read_pixel(part: Group, bits: int) -> dict[str, Any]:
    levels = part.whole("levels", (None,), 0, 2**bits - 1)
    if part.is_none("gamma"):
        raise part.fail(
            "gamma", "is missing; run `fourier_slm.pixel_calibration_process()` before it is saved"
        )
    gamma = part.array("gamma", (len(levels),)) * 2 * np.pi
    order = np.argsort(levels)
    levels, gamma = levels[order], gamma[order]
    if len(levels) < 2 or np.any(np.diff(levels) == 0):
        raise part.fail("levels", f"must be at least 2 that differ, got {first_numbers(levels)}")
    quality = None if part.is_none("gamma_r2") else float(part.array("gamma_r2", ()))
    return {"levels": levels, "gamma": gamma, "gamma_quality": quality}


def _read_superpixel(part: Group, panel: tuple[int, int]) -> dict[str, Any]:
    size = int(part.whole("superpixel_size", (), 1, LARGEST_PANEL))
    rows, cols = (int(n) for n in part.whole("slm_supershape", (2,), 1, LARGEST_PANEL))
    if (rows, cols) != tuple(-(-side // size) for side in panel):
        raise part.fail(
            "slm_supershape",
            f"must cover the panel, {panel[0]}×{panel[1]}, by areas of {size} pixels, got {rows}×{cols}",
        )
    shape = (None, rows, cols)
    correction = part.array("phase", shape, gaps=True)
    shape = correction.shape
    slope = np.stack([part.array(name, shape, gaps=True) for name in ("kx", "ky")], axis=-1)
    values = {"superpixel": size, "correction": correction, "slope": slope}
    if not part.is_none("r2_fit"):
        values["quality"] = part.array("r2_fit", shape, gaps=True)
    if not (part.is_none("power") or part.is_none("normalization")):
        power, full = (part.array(name, shape, gaps=True) for name in ("power", "normalization"))
        dark = np.zeros(shape)
        if not part.is_none("background") and not np.all(np.isnan(part.group["background"][()])):
            dark = np.nan_to_num(part.array("background", shape, gaps=True))
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (power - dark) / (full - dark)
        amplitude = np.sqrt(np.where(np.isfinite(share), np.maximum(share, 0), np.nan))
        if np.nanmax(amplitude, initial=0) > 0:
            values["amplitude"] = amplitude / np.nanmax(amplitude)
    return values


def _read_zernike(part: Group) -> dict[str, Any]:
    index = part.whole("zernike_indices", (None,), 0, LARGEST_ZERNIKE)
    spots = part.array("corrected_spots", (len(index), None))
    orders = [osa(int(j)) for j in index]
    if len(set(orders)) < len(orders):
        raise part.fail("zernike_indices", f"must differ, got {first_numbers(index)}")
    # slmsuite's polynomials are 1 at the rim, ours have a mean square of 1 over the disc.
    norms = np.array([math.sqrt((n + 1) * (2 if m else 1)) for n, m in orders])
    return {
        "zernike_index": np.array([noll_index(*order) for order in orders]),
        "zernike_correction": spots / (2 * np.pi * norms[:, None]),
    }


def _fill_gaps(values: np.ndarray) -> np.ndarray:
    """NaN as the mean of the neighbours that are known, from the known ones outwards."""
    values = values.copy()
    while np.any(gaps := np.isnan(values)):
        padded = np.pad(values, 1, constant_values=np.nan)
        beside = np.stack(
            [padded[1 + i : padded.shape[0] - 1 + i, 1 + j : padded.shape[1] - 1 + j] for i, j in _SIDES]
        )
        known = ~np.isnan(beside)
        count = known.sum(axis=0)
        mean = np.where(known, beside, 0).sum(axis=0) / np.maximum(count, 1)
        values = np.where(gaps & (count > 0), mean, values)
    return values


_SIDES = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
