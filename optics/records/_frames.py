"""Camera counts as frames in units of full scale, and refusals of frames that are of no use."""

import numpy as np

from optics._check import as_numpy, check_choice, check_whole
from optics._typing import ArrayLike, CountLike, TextLike

# A camera has a few live pixels that are always at full scale; above this share of a frame it is overexposed.
SATURATED_SHARE = 0.01


def as_frames(counts: ArrayLike, bits: CountLike | None = None, aligned: TextLike = "low") -> np.ndarray:
    """Counts of a converter as frames in units of full scale.

        frame = counts / (2^bits − 1)

    Arguments:
        counts: shape (..., rows, columns); whole numbers, or floating-point ones in units of full scale
            already.
        bits: of the converter, 1 to 16: a camera of 12 bits stores them in 16. May be left out for `uint8`
            and for floating-point frames.
        aligned: where the counts lie in a container of more bits: "low", 0 to 2^bits − 1, or "high",
            multiples of 2^(container − bits), as some cameras store them.

    Returns:
        float32, shape of `counts`, in [0, 1] where counts were whole.

    Raises:
        ValueError: `counts` that are no numbers or have fewer than two axes; `bits` missing, or too few or
            too many for the counts; frames that are not finite or go beyond full scale.

    Example:
        >>> import numpy as np, optics
        >>> frames = optics.records.as_frames(np.array([[0, 4095]], np.uint16), bits=12)
        >>> print(frames)
        [[0. 1.]]
    """
    counts = as_numpy("counts", counts)
    if counts.ndim < 2:
        raise ValueError(f"`counts` must have the shape (..., rows, columns), got shape {counts.shape}.")
    check_choice("aligned", aligned, ("low", "high"))
    if bits is not None:
        check_whole("bits", bits, 1, 16)
    if counts.dtype.kind == "f":
        _check_floats(counts, bits)
        return counts.astype(np.float32)
    if counts.dtype.kind not in "ui":
        raise ValueError(f"`counts` must be whole or floating-point numbers, got {counts.dtype}.")
    if bits is None:
        if counts.dtype != np.uint8:
            raise ValueError(
                f"`bits` must be given for {counts.dtype} counts, such as 12: "
                "the file does not say how many the camera's converter has."
            )
        bits = 8
    last = 2**bits - 1
    step = 2 ** (8 * counts.dtype.itemsize - bits) if aligned == "high" else 1
    _check_counts(counts, bits, last, step)
    frames = np.empty(counts.shape, np.float32)
    # Rounded once, from double precision, without a copy of all frames in it.
    np.divide(counts if step == 1 else counts // step, last, out=frames, dtype=float, casting="same_kind")
    return frames


def check_frames(frames: ArrayLike) -> np.ndarray:
    """Refuse frames that are of no use, and say where they are wrong.

    A pixel that has the same value in every frame counts as dead and is not looked at.

    Arguments:
        frames: in units of full scale, shape (..., rows, columns), at least one of them.

    Returns:
        the same numbers in single or double precision.

    Raises:
        ValueError: counts instead of units of full scale, no frames, frames that are not finite, completely
            dark, or saturated.

    Example:
        >>> import numpy as np, optics
        >>> frames = optics.records.check_frames(np.full((3, 4, 5), 0.25))
        >>> frames.shape
        (3, 4, 5)
    """
    frames = as_numpy("frames", frames)
    if frames.dtype.kind in "ui":
        raise ValueError(
            f"`frames` must be in units of full scale, got {frames.dtype}; "
            "`optics.records.as_frames(counts, bits)` makes them so."
        )
    if frames.dtype.kind != "f" or frames.ndim < 2:
        raise ValueError(
            f"`frames` must be real and have the shape (..., rows, columns), got {frames.dtype} "
            f"of shape {frames.shape}."
        )
    if not frames.size:
        raise ValueError(
            f"`frames` must hold at least one frame, got shape {frames.shape}; "
            "look at the path and at the trigger."
        )
    frames = frames if frames.dtype.itemsize >= 4 else frames.astype(np.float32)
    _check_finite(frames)
    stack = frames.reshape(-1, *frames.shape[-2:])
    _check_dark(stack)
    beyond = np.abs(stack) > 1 + 1e-6
    if np.any(beyond):
        raise ValueError(
            f"`frames` must be in units of full scale, at most 1, but {_first_place(stack, beyond)}; "
            "divide them by it."
        )
    _check_saturation(stack)
    return frames


def _check_floats(frames: np.ndarray, bits: int | None) -> None:
    """Refuse floating-point frames that are not in units of full scale."""
    if bits is not None:
        raise ValueError(
            f"`bits` must be left out for {frames.dtype} frames, which are in units of full scale, got "
            f"{bits!r}."
        )
    _check_finite(frames)
    beyond = np.abs(frames) > 1 + 1e-6
    if np.any(beyond):
        raise ValueError(
            f"`counts` of {frames.dtype} must be in units of full scale, at most 1, "
            f"but {_first_place(frames, beyond)}; divide them by the camera's largest count."
        )


def _check_counts(counts: np.ndarray, bits: int, last: int, step: int) -> None:
    """Refuse counts that are negative, above `last` or not multiples of `step`."""
    if counts.size and np.min(counts) < 0:
        raise ValueError(f"`counts` must not be negative, but {_first_place(counts, counts < 0)}.")
    if step > 1 and np.any(counts % step):
        raise ValueError(
            f'`aligned="high"` must give multiples of {step} at {bits} bits, '
            f'but {_first_place(counts, counts % step > 0)}; try "low".'
        )
    if counts.size and np.max(counts) > last * step:
        spare = 2 ** max(8 * counts.dtype.itemsize - bits, 0)
        multiples = not np.any(counts % spare)
        remedy = (
            'they are multiples of it, so try `aligned="high"`'
            if multiples
            else "give the bits of the camera"
        )
        raise ValueError(
            f"`bits={bits}` ends at {last}, but {_first_place(counts, counts > last)}; {remedy}."
        )


def _check_finite(frames: np.ndarray) -> None:
    bad = ~np.isfinite(frames)
    if np.any(bad):
        raise ValueError(
            f"`frames` must be finite, but {_first_place(frames, bad)}; "
            "look at the camera's file or at what was done to it."
        )


def _check_dark(stack: np.ndarray) -> None:
    dark = ~np.any(stack, axis=(1, 2))
    if np.any(dark):
        raise ValueError(
            f"`frames` must have light in each, but frame {int(np.argmax(dark))} is 0 all over "
            f"({np.sum(dark)} of {dark.size} are); look at the shutter and the trigger."
        )


def _check_saturation(stack: np.ndarray) -> None:
    live = np.ptp(stack, axis=0) > 0 if len(stack) > 2 else np.ones(stack.shape[1:], bool)
    full = np.sum((np.abs(stack) >= 1 - 1e-6) & live, axis=(1, 2))
    overexposed = full > max(1, SATURATED_SHARE * stack[0].size)
    if np.any(overexposed):
        worst = int(np.argmax(full))
        raise ValueError(
            f"`frames` must not be saturated, but frame {worst} has {full[worst]} of {stack[0].size} "
            "pixels at full "
            f"scale, and {int(np.sum(overexposed))} of {len(stack)} frames have more than "
            f"{SATURATED_SHARE:.0%}; "
            "shorten the exposure or lower the gain."
        )


def _first_place(frames: np.ndarray, bad: np.ndarray) -> str:
    """The first bad pixel, in words."""
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    frame = place[0] if len(place) == 3 else place[:-2]
    return f"frame {frame} has {frames[place]:g} at row {place[-2]}, column {place[-1]}"
