"""What a modulator is given, as files for the bench: a learnt kernel, an array, or a test pattern.

Numbers become a drive by the preset's encoder, and a kernel of a correlator its filter; the phases and, where
the modulator sets them, the amplitudes of each exposure are files of their own. Test patterns are phases of
the modulator itself.
"""

from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Inexact

import optics
from bench import output, plots
from bench.config import Pattern
from bench.output import Rows
from nets.run import load, named_arrays
from optics import AbstractDevice, records

LEVELS = 256
AMPLITUDE_TOLERANCE = 1e-3  # within which a modulator counts as one of phases alone
LARGEST_THUMBNAIL = 64  # pixels a side, of what the JSON and the figure hold
COLUMNS = {
    "file": "",
    "part": "",
    "panel": "",
    "lowest": "d",
    "highest": "d",
    "rms_error": ".4f",
}
# Phases of the modulator, rad, as functions of the coordinates x, y of a pixel from the middle and the side.
TESTS = {
    "grating": lambda x, y, side: 2 * np.pi * x / 8,
    "checkerboard": lambda x, y, side: np.pi * ((x + y) % 2),
    "vortex": lambda x, y, side: np.arctan2(y + 0.5, x + 0.5),
    "lens": lambda x, y, side: 2 * np.pi * (x**2 + y**2) / side,
}


def main(options: Pattern) -> Rows:
    """Make the drives, write a file for each, and the numbers of the device; returns a row for each file.

    Raises:
        ValueError: an unknown preset, or one that neither transforms nor correlates; several patterns at
            once; a run without kernels, kernels or an array of another shape than the device; a panel that
            is too small; a table that is none; HDF5 for a modulator of amplitudes; or a folder that cannot
            be written to.
    """
    device = output.load_device(options.device)
    if not isinstance(device, optics.FourierProcessor | optics.Correlator):
        raise ValueError(
            f"`device` must have a modulator of numbers in its encoder, as slm-4f, got {options.device}, a "
            f"{type(device).__name__}."
        )
    if options.run is not None and options.array is not None:
        raise ValueError("`array` and `run` are two patterns; give one of them.")
    table = None if options.table is None else records.read_table(options.table, LEVELS)
    planes = list(_drives(device, options))
    output.check_folder(options.out)
    rows = [row for name, drive in planes for row in _write(name, drive, options, table)]
    path = records.write_device(options.out / "device.h5", device)
    print(output.table(rows, COLUMNS))
    print(f"wrote {len(rows)} patterns to {options.out}, and the numbers of the device to {path}")
    output.write(options.out, "pattern", rows, options, plots.pattern(rows))
    return rows


def _drives(
    device: AbstractDevice, options: Pattern
) -> Iterator[tuple[str, Inexact[np.ndarray, "slm_rows slm_cols"]]]:
    """The name and the drive of each exposure, at most `options.most` of them."""
    if options.run is not None:
        name, kernels = _kernels(options.run, options.layer, device.shape)
        batches = ((f"{name}-{i}", kernel, True) for i, kernel in enumerate(kernels))
    elif options.array is not None:
        numbers = _array(options.array, device.shape)
        batches = ((f"{options.array.stem}-{i}", plane, False) for i, plane in enumerate(numbers))
    else:
        rows, cols = (n * side for n, side in zip(device.shape, _pixels_of_a_number(device), strict=True))
        y, x = np.indices((rows, cols)) - np.reshape([rows // 2, cols // 2], (2, 1, 1))
        if options.test == "random":
            phase = np.random.default_rng(options.seed).uniform(0, 2 * np.pi, (rows, cols))
        else:
            phase = TESTS[options.test](x, y, max(rows, cols))
        yield options.test, np.exp(1j * phase)
        return
    count = 0
    for name, plane, is_kernel in batches:
        exposures = _encode(device, plane, is_kernel)
        for i, drive in enumerate(exposures):
            if count == options.most:
                return
            yield (name if len(exposures) == 1 else f"{name}-exposure{i}"), drive
            count += 1


def _encode(
    device: AbstractDevice, plane: np.ndarray, is_kernel: bool
) -> Inexact[np.ndarray, "exposures slm_rows slm_cols"]:
    """What the electronics set for a plane of numbers; for a kernel of a correlator that of the filter."""
    plane = jnp.asarray(plane)
    if isinstance(device, optics.FourierProcessor):
        drive = device.prepare(plane).drive
    elif is_kernel:
        spectrum = jnp.fft.fftshift(jnp.fft.fft2(jnp.fft.ifftshift(plane), norm="ortho"))
        drive = device.encode_filter(spectrum)[0]
    else:
        drive = device.encoder.encode(plane)[0]
    drive = np.asarray(drive)
    return drive.reshape(-1, *drive.shape[-2:])


def _pixels_of_a_number(device: AbstractDevice) -> tuple[int, int]:
    shape = jax.eval_shape(lambda a: device.encoder.encode(a)[0], jnp.ones(device.shape)).shape
    return shape[-2] // device.shape[0], shape[-1] // device.shape[1]


def _array(path: Path, shape: tuple[int, int]) -> Inexact[np.ndarray, "count rows cols"]:
    try:
        # No objects: a file of numbers runs no code.
        numbers = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"`array` {path} must be a .npy file of numbers ({str(error)[:120]}).") from None
    if not isinstance(numbers, np.ndarray) or numbers.dtype.kind not in "uifc":
        raise ValueError(f"`array` {path} must be a .npy file of one array of numbers.")
    if numbers.shape[-2:] != shape or not numbers.size or not np.all(np.isfinite(numbers)):
        raise ValueError(
            f"`array` {path} must hold finite planes of {shape[0]}×{shape[1]}, as the device takes them, got "
            f"{numbers.dtype} of shape {numbers.shape}."
        )
    dtype = np.complex64 if np.iscomplexobj(numbers) else np.float32
    return numbers.astype(dtype).reshape(-1, *shape)


def _kernels(
    folder: Path, layer: str, shape: tuple[int, int]
) -> tuple[str, Float[np.ndarray, "count rows cols"]]:
    """The name of a layer of a run, and its kernels around pixel n//2 of the device."""
    weights = named_arrays(nnx.state(load(folder).model, nnx.Param))
    names = [name for name, kernels in weights.items() if _as_planes(name, kernels) is not None]
    chosen = [name for name in names if layer in name]
    if not chosen:
        raise ValueError(
            f"`layer` must be part of the name of a layer with kernels in {folder}, one of "
            f"{', '.join(names) or 'none at all'}; got {layer!r}."
        )
    taps = _as_planes(chosen[0], weights[chosen[0]])
    if any(n > side for n, side in zip(taps.shape[1:], shape, strict=True)):
        raise ValueError(
            f"`device` has {shape[0]}×{shape[1]} pixels, but the kernels of {chosen[0]} have "
            f"{taps.shape[1]}×{taps.shape[2]} taps; load a larger one."
        )
    planes = np.zeros((len(taps), *shape), np.float32)
    if taps.shape[1:] == shape:
        # A full kernel has its origin at index 0.
        planes[:] = np.fft.fftshift(taps, axes=(-2, -1))
    else:
        top, left = (n // 2 - k // 2 for n, k in zip(shape, taps.shape[1:], strict=True))
        planes[:, top : top + taps.shape[1], left : left + taps.shape[2]] = taps
    return chosen[0].removesuffix(".value").replace(".", "-"), planes


def _as_planes(name: str, kernels: np.ndarray) -> np.ndarray | None:
    """The kernels of a layer of convolutions, shape (count, rows, columns); None for other weights."""
    last = name.removesuffix(".value").rsplit(".", 1)[-1]
    if last == "kernels" and kernels.ndim == 3:
        return kernels
    if last == "kernel" and kernels.ndim == 4:
        # Of flax: rows, columns, inputs, outputs.
        return kernels.reshape(*kernels.shape[:2], -1).transpose(2, 0, 1)
    return None


def _write(
    name: str, drive: Inexact[np.ndarray, "slm_rows slm_cols"], options: Pattern, table: object
) -> Iterator[dict]:
    """The files of a drive: of its phases, of its amplitudes, or both."""
    amplitude, phase = np.abs(drive), np.angle(drive)
    sets_amplitudes = bool(np.any(np.abs(amplitude - 1) > AMPLITUDE_TOLERANCE))
    if sets_amplitudes and options.format == "h5":
        raise ValueError(
            f"`format` must be bmp for {options.device}, whose modulator sets amplitudes, which slmsuite's "
            "files of phases do not hold."
        )
    panel = options.panel or tuple(n * options.group for n in drive.shape)
    if sets_amplitudes:
        levels = np.rint(np.clip(amplitude, 0, 1) * (LEVELS - 1)).astype(int)
        error = float(np.sqrt(np.mean((levels / (LEVELS - 1) - amplitude) ** 2)))
        yield _row(name, "amplitude", _place(levels, panel, options.group), levels, error, options)
    is_light = amplitude > AMPLITUDE_TOLERANCE
    if not sets_amplitudes or np.any(np.abs(phase[is_light]) > AMPLITUDE_TOLERANCE):
        of_panel = LEVELS, table, options.full_turn, options.falling
        levels = records.as_levels(phase, *of_panel)
        whole = records.as_levels(records.panel_phase(phase, panel, options.group), *of_panel)
        error = float(np.sqrt(np.mean(_error_of_levels(levels, phase, options, table) ** 2)))
        if options.format == "h5":
            records.write_phase(options.out / f"{name}-phase.h5", phase, panel, options.group)
        yield _row(name, "phase", whole, levels, error, options)


def _error_of_levels(levels: np.ndarray, phase: np.ndarray, options: Pattern, table: object) -> np.ndarray:
    """The phase that the panel then gives, without that which was asked for, rad."""
    drive = (LEVELS - 1 - levels.astype(int) if options.falling else levels) * 2 * np.pi
    if table is None:
        shown = drive / (options.full_turn or LEVELS)
    else:
        shown = np.asarray(table.curve(jnp.asarray(drive / LEVELS, jnp.float32)))
    return np.angle(np.exp(1j * (shown - phase)))


def _place(levels: np.ndarray, panel: tuple[int, int], group: int) -> np.ndarray:
    """Amplitudes in the middle of a dark panel."""
    pixels = np.kron(levels, np.ones((group, group), int))
    if any(n > side for n, side in zip(pixels.shape, panel, strict=True)):
        raise ValueError(
            f"`group` {group} makes {pixels.shape[0]}×{pixels.shape[1]} panel pixels, but the panel has "
            f"{panel[0]}×{panel[1]}."
        )
    whole = np.zeros(panel, int)
    top, left = ((side - n) // 2 for n, side in zip(pixels.shape, panel, strict=True))
    whole[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return whole


def _row(name: str, part: str, whole: np.ndarray, levels: np.ndarray, error: float, options: Pattern) -> dict:
    """Write a bitmap, unless slmsuite's file is there; what it holds, with its levels in hexadecimal."""
    file = f"{name}-{part}.{options.format}"
    if options.format == "bmp":
        records.write_bitmap(options.out / file, whole, whole.shape)
    top, left = (max(n - LARGEST_THUMBNAIL, 0) // 2 for n in levels.shape)
    middle = levels[top : top + LARGEST_THUMBNAIL, left : left + LARGEST_THUMBNAIL].astype(np.uint8)
    return {
        "file": file,
        "part": part,
        "panel": f"{whole.shape[0]}×{whole.shape[1]}",
        "lowest": int(levels.min()),
        "highest": int(levels.max()),
        "unit": "rad" if part == "phase" else "1",
        "rms_error": error,
        "levels": [line.tobytes().hex() for line in middle],
    }
