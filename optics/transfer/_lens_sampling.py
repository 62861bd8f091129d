"""The computed plane of a lens: the samples that it takes, whether they suffice, and doubts about units."""

import math
from functools import reduce

import jax.numpy as jnp
import numpy as np

from optics._check import is_concrete
from optics._numerics import fast_length
from optics._typing import ScalarLike
from optics._warn import warn_caller

# The default plane is exactly critical; numbers rounded to single precision must not exceed it.
ROUNDING_MARGIN = 1 + 1e-5

# The default pupil, in array widths, and its largest share of the radius that is sampled well: the edge of a
# pupil takes a few samples more.
PUPIL_WIDTHS = 2.5
LARGEST_PUPIL_SHARE = 0.85

# Bytes of a field beyond which a long distance is refused rather than given its plane by default.
LARGEST_FIELD = 4e9

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


def default_plane(
    pixels: tuple[int, int],
    pitch: ScalarLike,
    wavelength: ScalarLike,
    focal_length: ScalarLike,
    defocus: ScalarLike,
    oversampling: int,
) -> int:
    """Samples a side for the light of matched pixels and, where no number is traced, for the distance.

    Arguments: those of `FourierLens`.

    Raises:
        ValueError: the distance needs a plane that takes too much memory.
    """
    samples = max(pixels) * oversampling**2
    numbers = pitch, wavelength, focal_length, defocus
    if all(is_concrete(v) and np.ndim(v) == 0 for v in numbers):
        pitch, wavelength, focal_length, defocus = map(float, numbers)
        needed = _samples_of_distance(pitch, wavelength, focal_length, defocus, oversampling)
        if needed > samples and _field_bytes(needed, pixels) > LARGEST_FIELD:
            remedies = _matched_pitch(pixels, pitch, wavelength, focal_length)
            raise ValueError(
                f"`pitch` of {pitch:g} m needs a plane of λ z / dx² = {needed} samples to propagate over "
                f"{_name_distance(focal_length, defocus)}, and a field takes "
                f"{_as_memory(_field_bytes(needed, pixels))}; reduce `oversampling`, or set `plane` if "
                f"you have the memory{remedies}."
            )
        samples = max(samples, needed)
    return fast_length(samples)


def default_pupil_radius(
    count: int,
    pitch: ScalarLike,
    wavelength: ScalarLike,
    focal_length: ScalarLike,
    oversampling: int,
    plane: int,
    orders: int | None,
) -> ScalarLike:
    """Radius of the pupil for `count` pixels a side, m, as far as it is sampled well.

    Where some orders are followed alone, the samples hold their light behind the lens, whatever its phase.
    """
    if orders is not None:
        return PUPIL_WIDTHS * count * pitch
    limits = _radius_limits(pitch, wavelength, focal_length, oversampling, plane)
    radii = [PUPIL_WIDTHS * count * pitch, *(LARGEST_PUPIL_SHARE * limit for limit in limits)]
    is_number = all(is_concrete(radius) and np.ndim(radius) == 0 for radius in radii)
    return min(radii) if is_number else reduce(jnp.minimum, radii)


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
    half_width, lens_limit = _radius_limits(pitch, wavelength, focal_length, oversampling, plane)
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
    needed = _samples_of_distance(pitch, wavelength, focal_length, defocus, oversampling)
    if needed > plane:
        fast = fast_length(needed)
        raise ValueError(
            f"`plane` of {plane} samples is too small to propagate over "
            f"{_name_distance(focal_length, defocus)} without aliasing: it needs λ z / dx² = {needed} "
            f"samples; set `plane={fast}` (a field takes {_as_memory(_field_bytes(fast, pixels))}), "
            "or reduce `oversampling`"
            f"{_matched_pitch(pixels, pitch, wavelength, focal_length)}."
        )


def _radius_limits(
    pitch: ScalarLike, wavelength: ScalarLike, focal_length: ScalarLike, oversampling: int, plane: int
) -> tuple[ScalarLike, ScalarLike]:
    """Half the width of the plane, and the radius up to which the phase of the lens is sampled well, m."""
    dx = pitch / oversampling
    return plane * dx / 2, wavelength * focal_length / (2 * dx)


def _samples_of_distance(
    pitch: float, wavelength: float, focal_length: float, defocus: float, oversampling: int
) -> int:
    """Samples a side to propagate over the longer of both distances without aliasing."""
    distance = focal_length + max(defocus, 0.0)
    return math.ceil(wavelength * distance * (oversampling / pitch) ** 2 / ROUNDING_MARGIN)


def _name_distance(focal_length: float, defocus: float) -> str:
    lengths = "`focal_length` + `defocus`" if defocus > 0 else "`focal_length`"
    return f"{lengths} = {focal_length + max(defocus, 0.0):g} m"


def _matched_pitch(pixels: tuple[int, int], pitch: float, wavelength: float, focal_length: float) -> str:
    """The remedy for pixels that are finer than those that match, or nothing."""
    matched = math.sqrt(wavelength * focal_length / max(pixels))
    if matched <= pitch * 1.001:
        return ""
    return (
        f"; at the pitch that matches this `focal_length`, √(λ f / N) = {matched:.4g} m, "
        "the default plane is far smaller: group the pixels of a finer panel, or use `optics.wave`"
    )


def _field_bytes(samples: int, pixels: tuple[int, int]) -> int:
    return 8 * samples ** sum(n > 1 for n in pixels)


def _as_memory(size: int) -> str:
    prefix, unit = next(
        (p, u) for p, u in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1)) if size >= u or u == 1
    )
    return f"{size / unit:.3g} {prefix}B"
