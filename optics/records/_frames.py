"""Camera counts as frames in units of full scale, and what makes frames useless."""

from typing import Any

import numpy as np

from optics._check import check_whole

# A live pixel at full scale tells nothing; a camera has a few that always are. Above this share of a frame it is overexposed.
SATURATED_SHARE = 0.01


def full_scale(counts: Any, bits: int | None = None, aligned: str = "low") -> np.ndarray:
    """Counts of a converter in units of full scale.

        frame = counts / (2^bits − 1)

    Arguments:
        counts: shape (..., rows, columns); whole numbers, or floating-point ones that are in units of full scale already.
        bits: of the converter, 1 to 16: a camera of 12 bits stores them in 16. May be left out for `uint8` and for floating-point frames.
        aligned: where the counts lie in a container of more bits: "low", 0 to 2^bits − 1, or "high", multiples of
            2^(container − bits), as some cameras store them.

    Returns:
        float32, shape of `counts`, in [0, 1] where counts were whole.

    Raises:
        ValueError: `bits` missing, or too few or too many for the counts; frames that are not finite or go beyond full scale.
    """
    counts = np.asarray(counts)
    if counts.dtype.kind == "f":
        if bits is not None:
            raise ValueError(
                f"`bits` must be left out for {counts.dtype} frames, which are in units of full scale, got {bits!r}."
            )
        _finite(counts)
        if counts.size and np.max(np.abs(counts)) > 1 + 1e-6:
            raise ValueError(
                f"`counts` of {counts.dtype} must be in units of full scale, at most 1, but {_where(counts, np.abs(counts) > 1 + 1e-6)}; "
                "divide them by the camera's largest count."
            )
        return counts.astype(np.float32)
    if counts.dtype.kind not in "ui":
        raise ValueError(f"`counts` must be whole or floating-point numbers, got {counts.dtype}.")
    if bits is None:
        if counts.dtype != np.uint8:
            raise ValueError(
                f"`bits` must be given for {counts.dtype} counts, such as 12: the file does not tell what the camera's converter has."
            )
        bits = 8
    check_whole("bits", bits, 1, 16)
    if aligned not in ("low", "high"):
        raise ValueError(f'`aligned` must be "low" or "high", got {aligned!r}.')
    if counts.size and np.min(counts) < 0:
        raise ValueError(f"`counts` must not be negative, but {_where(counts, counts < 0)}.")
    last = 2**bits - 1
    step = 2 ** (8 * counts.dtype.itemsize - bits) if aligned == "high" else 1
    if aligned == "high" and np.any(counts % step):
        raise ValueError(
            f'`aligned="high"` must give multiples of {step} at {bits} bits, but {_where(counts, counts % step > 0)}; try "low".'
        )
    if counts.size and np.max(counts) > last * step:
        spare = 2 ** max(8 * counts.dtype.itemsize - bits, 0)
        hint = (
            'they are multiples of it, so try `aligned="high"`'
            if not np.any(counts % spare)
            else "give the bits of the camera"
        )
        raise ValueError(f"`bits={bits}` ends at {last}, but {_where(counts, counts > last)}; {hint}.")
    return (counts // step / last).astype(np.float32)


def check_frames(frames: Any) -> np.ndarray:
    """Frames in units of full scale, or what is wrong with them and where.

    A pixel that has the same value in every frame is taken for dead and is not looked at.

    Arguments:
        frames: shape (..., rows, columns), at least one of them.

    Returns:
        the same numbers in single or double precision.

    Raises:
        ValueError: counts instead of units of full scale, no frames, frames that are not finite, dark all over, or saturated.
    """
    frames = np.asarray(frames)
    if frames.dtype.kind in "ui":
        raise ValueError(
            f"`frames` must be in units of full scale, got {frames.dtype}; `optics.records.full_scale(counts, bits)` makes them so."
        )
    if frames.dtype.kind != "f" or frames.ndim < 2:
        raise ValueError(
            f"`frames` must be real and have the shape (..., rows, columns), got {frames.dtype} of shape {frames.shape}."
        )
    if not frames.size:
        raise ValueError(
            f"`frames` must hold at least one frame, got shape {frames.shape}; look at the path and at the trigger."
        )
    frames = frames if frames.dtype.itemsize >= 4 else frames.astype(np.float32)
    _finite(frames)
    stack = frames.reshape(-1, *frames.shape[-2:])
    dark = ~np.any(stack, axis=(1, 2))
    if np.any(dark):
        raise ValueError(
            f"`frames` must have light in each, but frame {int(np.argmax(dark))} is 0 all over ({np.sum(dark)} of {dark.size} are); "
            "look at the shutter and the trigger."
        )
    if np.max(np.abs(stack)) > 1 + 1e-6:
        raise ValueError(
            f"`frames` must be in units of full scale, at most 1, but {_where(stack, np.abs(stack) > 1 + 1e-6)}; divide them by it."
        )
    live = np.ptp(stack, axis=0) > 0 if len(stack) > 2 else np.ones(stack.shape[1:], bool)
    full = np.sum((np.abs(stack) >= 1 - 1e-6) & live, axis=(1, 2))
    if np.any(full > max(1, SATURATED_SHARE * stack[0].size)):
        worst = int(np.argmax(full))
        over = int(np.sum(full > max(1, SATURATED_SHARE * stack[0].size)))
        raise ValueError(
            f"`frames` must not be saturated, but frame {worst} has {full[worst]} of {stack[0].size} pixels at full scale, and {over} of "
            f"{len(stack)} frames have more than {SATURATED_SHARE:.0%}; shorten the exposure or lower the gain."
        )
    return frames


def _finite(frames: np.ndarray) -> None:
    bad = ~np.isfinite(frames)
    if np.any(bad):
        raise ValueError(
            f"`frames` must be finite, but {_where(frames, bad)}; look at the camera's file or at what was done to it."
        )


def _where(frames: np.ndarray, bad: np.ndarray) -> str:
    """The first place that is bad, in words."""
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    frame = place[0] if len(place) == 3 else place[:-2]
    return f"frame {frame} has {frames[place]:g} at row {place[-2]}, column {place[-1]}"
