"""Whether the computed plane of a lens is fine and wide enough, and doubts about units."""

import math

import numpy as np
from scipy.fft import next_fast_len

from optics._check import is_concrete
from optics._typing import ScalarLike
from optics._warn import warn_caller

# The default plane is exactly critical; numbers rounded to single precision must not exceed it.
ROUNDING_MARGIN = 1 + 1e-5

# Beyond these, m, a number was hardly meant in metres.
LONGEST_WAVELENGTH = 1e-3
LARGEST_PITCH = 0.1


def warn_unless_metres(pitch: ScalarLike, wavelength: ScalarLike) -> None:
    """Warn of a pitch or a wavelength that is too large for optics, such as 633 for 633 nm."""
    for name, value, largest in (
        ("pitch", pitch, LARGEST_PITCH),
        ("wavelength", wavelength, LONGEST_WAVELENGTH),
    ):
        if is_concrete(value) and np.any(np.asarray(value) > largest):
            warn_caller(
                f"`{name}` of {value} m is above {largest:g} m; lengths are in metres (SI units), such as "
                "633e-9 for 633 nm."
            )


def check_lens_sampling(
    pixels: tuple[int, int],
    pitch: float,
    wavelength: float,
    focal_length: float,
    pupil_radius: float,
    defocus: float,
    oversampling: int,
    plane: int,
) -> None:
    """Refuse a pupil or a distance that the computed plane does not sample.

    Arguments: those of `FourierLens`, as Python numbers.

    Raises:
        ValueError: `pupil_radius` too large, or `plane` too small for the distance.
    """
    dx = pitch / oversampling
    half_width = plane * dx / 2
    lens_limit = wavelength * focal_length / (2 * dx)
    if pupil_radius > min(half_width, lens_limit) * ROUNDING_MARGIN:
        limit = (
            "the computed plane's half width"
            if half_width <= lens_limit
            else "the radius where the lens phase is sampled well"
        )
        raise ValueError(
            f"`pupil_radius` {pupil_radius:g} m is larger than {limit}, {min(half_width, lens_limit):g} m; "
            f"reduce it, or raise `oversampling` (now {oversampling})."
        )
    distance = focal_length + max(defocus, 0.0)
    samples = wavelength * distance / dx**2
    if samples > plane * ROUNDING_MARGIN:
        lengths = "`focal_length` + `defocus`" if defocus > 0 else "`focal_length`"
        raise ValueError(
            f"`plane` of {plane} samples is too small to propagate over {lengths} = {distance:g} m without "
            f"aliasing: it needs λ z / dx² = {math.ceil(samples)} samples; "
            + _suggest_plane(math.ceil(samples), pixels, pitch, wavelength, focal_length)
        )


def _suggest_plane(
    samples: int, pixels: tuple[int, int], pitch: float, wavelength: float, focal_length: float
) -> str:
    """The remedies for a plane that is too small: its size and memory, and the pitch that matches."""
    # A length without large prime factors, where an FFT is fast.
    samples = next_fast_len(samples, real=True)
    axes = sum(n > 1 for n in pixels)
    size = 8 * samples**axes
    prefix, unit = next(
        (p, u) for p, u in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1)) if size >= u or u == 1
    )
    memory = f"{size / unit:.3g} {prefix}B"
    remedy = f"set `plane={samples}` (a field takes {memory}), or reduce `oversampling`"
    matched = math.sqrt(wavelength * focal_length / max(pixels))
    if matched > pitch * 1.001:
        remedy += (
            f"; at the pitch that matches this `focal_length`, √(λ f / N) = {matched:.4g} m, "
            "the default plane is large enough: group the pixels of a finer panel, or use `optics.wave`"
        )
    return remedy + "."
