"""Calibrations as files that slmsuite's `FourierSLM.load_calibration` reads."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from optics._check import as_path, check_choice, check_instance
from optics._phases import TWO_PI
from optics._typing import PartLike, PathLike, TextLike
from optics.records._bitmaps import LAYOUT
from optics.records._door import import_library
from optics.records._hdf5 import MICROMETRE
from optics.records._slmsuite import SlmsuiteCalibration
from optics.wave import noll


def write_slmsuite(path: PathLike, calibration: PartLike, kind: TextLike | None = None) -> Path:
    """A calibration as an HDF5 file in slmsuite's layout, in its units.

    slmsuite loads it with `fourier_slm.load_calibration(kind, path)`, and `read_slmsuite` reads it back. It
    holds what `SlmsuiteCalibration` does: the raw measurements of slmsuite are not in it, and where slmsuite
    would process them (`wavefront_calibration_superpixel_process`) what is unknown is NaN.

    Arguments:
        path: of the file, which ends in .h5; one that exists is written over.
        calibration: `SlmsuiteCalibration`, as `read_slmsuite` gives it, or with parts that a fit has found
            (`with_phase_table`, `dataclasses.replace`).
        kind: which of `calibration.kinds`; may be left out where there is only one.

    Returns:
        the path.

    Raises:
        ImportError: h5py is missing; the extra `lab` brings it.
        ValueError: no `SlmsuiteCalibration`, a `kind` that it does not hold, another ending, or a path that
            cannot be written.

    Source: slmsuite 0.5.0, MIT licence, `slmsuite.hardware.cameraslms`.
    """
    path = as_path("path", path)
    if path.suffix.lower() != ".h5":
        raise ValueError(f"`path` must be a file that ends in .h5, got {str(path)[:200]!r}.")
    check_instance(
        "calibration", calibration, SlmsuiteCalibration, "what `optics.records.read_slmsuite` gives"
    )
    if kind is None and len(calibration.kinds) == 1:
        kind = calibration.kinds[0]
    check_choice("kind", kind, calibration.kinds)
    parts = {"__version__": LAYOUT, "__meta__": _meta(calibration), **LAYOUTS[kind](calibration)}
    h5py = import_library("h5py", "HDF5")
    try:
        with h5py.File(path, "w") as file:
            _write(file, parts)
    except OSError as error:
        raise ValueError(f"`path` {path} cannot be written ({str(error)[:120]}).") from None
    return path


def _write(group: Any, parts: dict[str, Any]) -> None:
    for name, value in parts.items():
        if isinstance(value, dict):
            _write(group.create_group(name), value)
        elif value is None:
            # As slmsuite writes it.
            group[name] = False
            group[name].attrs["__none__"] = True
        else:
            group[name] = value


def _meta(calibration: SlmsuiteCalibration) -> dict[str, Any]:
    camera_pitch = calibration.camera_pitch
    return {
        "slm": {
            "shape": np.array(calibration.panel),
            "pitch_um": np.array(calibration.pitch) / MICROMETRE,
            "wav_um": calibration.wavelength / MICROMETRE,
            "bitdepth": calibration.bits,
            "bitresolution": 2**calibration.bits,
            "settle_time_s": calibration.settle_time,
        },
        "cam": {
            "shape": np.array(calibration.camera),
            "pitch_um": None if camera_pitch is None else np.array(camera_pitch) / MICROMETRE,
            "bitdepth": calibration.camera_bits,
            "bitresolution": 2**calibration.camera_bits,
        },
    }


def _fourier(calibration: SlmsuiteCalibration) -> dict[str, Any]:
    return {"M": calibration.M, "b": calibration.b[:, None], "a": np.zeros((2, 1))}


def _pixel(calibration: SlmsuiteCalibration) -> dict[str, Any]:
    return {
        "levels": calibration.levels,
        "gamma": calibration.gamma / TWO_PI,
        "gamma_r2": calibration.gamma_quality,
    }


def _superpixel(calibration: SlmsuiteCalibration) -> dict[str, Any]:
    correction = calibration.correction
    count, rows, cols = correction.shape
    unknown = np.full(correction.shape, np.nan)
    gaps = np.isnan(correction).reshape(count, -1)
    # slmsuite leaves out the reference alone, and fills it in from its neighbours.
    reference = np.where(gaps.any(axis=1), gaps.argmax(axis=1), rows // 2 * cols + cols // 2)
    amplitude = calibration.amplitude
    return {
        "slm_supershape": np.array([rows, cols]),
        "superpixel_size": calibration.superpixel,
        "reference_superpixels": reference,
        "calibration_points": np.full((2, count), np.nan),
        "interference_size": np.full(2, np.nan),
        "phase": correction,
        "kx": calibration.slope[..., 0],
        "ky": calibration.slope[..., 1],
        "r2_fit": np.where(np.isnan(correction), np.nan, 1.0)
        if calibration.quality is None
        else calibration.quality,
        "power": np.ones(correction.shape) if amplitude is None else amplitude**2,
        "normalization": np.ones(correction.shape),
        "background": unknown,
        "amp_fit": unknown,
        "contrast_fit": unknown,
        "previous_phase_correction": False,
    }


def _zernike(calibration: SlmsuiteCalibration) -> dict[str, Any]:
    orders = [noll(int(j)) for j in calibration.zernike_index]
    # slmsuite's polynomials are 1 at the rim, ours have a mean square of 1 over the disc.
    norms = np.array([math.sqrt((n + 1) * (2 if m else 1)) for n, m in orders])
    return {
        "zernike_indices": np.array([(n * (n + 2) + m) // 2 for n, m in orders]),
        "corrected_spots": calibration.zernike_correction * (TWO_PI * norms[:, None]),
    }


LAYOUTS: dict[str, Callable[[SlmsuiteCalibration], dict[str, Any]]] = {
    "fourier": _fourier,
    "pixel": _pixel,
    "settle": lambda calibration: {
        "times": np.array([calibration.settle_time]),
        "settle_time": calibration.settle_time,
    },
    "wavefront_superpixel": _superpixel,
    "wavefront_zernike": _zernike,
}
