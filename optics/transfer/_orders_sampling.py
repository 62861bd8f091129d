"""Samples of a panel whose light is followed in some orders: how many it takes, and whether they suffice."""

import math

import jax
import numpy as np

from optics import wave
from optics._check import check_memory, check_whole, is_concrete
from optics._typing import CountLike, ScalarLike
from optics._warn import warn_caller
from optics.transfer._orders import band_edge, guard_pixels, round_plane

# Fields of the computed plane that a propagation and its gradient hold at once, rounded up; measured, see
# `python -m bench panels`.
FIELDS_AT_ONCE = 6
# A side of the grid on which the slope of an aberration is looked for.
SLOPE_SAMPLES = 65
# Orders beside the zero order that reach the detector over the edge of a pupil, as far as they matter.
MOST_ORDERS_NEEDED = 3
# Numbers rounded to single precision must not ask for a sample more.
ROUNDING_SHARE = 1e-5


def panel_oversampling(
    pixels: tuple[int, int],
    orders: int,
    subpixels: int,
    pitch: ScalarLike,
    wavelength: ScalarLike,
    focal_length: ScalarLike,
    given: CountLike | None,
) -> int:
    """Samples a pixel that hold the band: those given, or as few as do, a multiple of `subpixels`.

    Raises:
        ValueError: those given do not hold it, or are no multiple of `subpixels`.
    """
    cycles = 2 * band_edge(pixels, orders) / max(pixels)
    if all(map(is_concrete, (pitch, wavelength, focal_length))):
        cycles *= max(pixels) * float(pitch) ** 2 / (float(wavelength) * float(focal_length))
    count = max(2, math.ceil(cycles * (1 - ROUNDING_SHARE)))
    fewest = subpixels * math.ceil(count / subpixels)
    if given is None:
        return fewest
    if given % subpixels:
        raise ValueError(
            f"`oversampling` must be a multiple of {subpixels} for {subpixels} `subpixels`, got {given}."
        )
    if given < fewest:
        raise ValueError(
            f"`oversampling` of {given} samples a pixel does not hold `orders` of {orders}; it takes "
            f"{fewest}."
        )
    return int(given)


def default_panel_plane(
    pixels: tuple[int, int],
    orders: int,
    oversampling: int,
    focal_length: ScalarLike,
    defocus: ScalarLike,
    given: CountLike | None,
) -> int:
    """Samples a side that hold the light of the band on the plane of the lens, or those given, rounded up so
    that pixels lie on samples.

    Raises:
        ValueError: it takes more memory than there is; names the panel that would fit.
    """
    name, samples = "plane", given
    if given is None:
        name, samples = "pixels", _needed_samples(pixels, orders, oversampling, focal_length, defocus)
    else:
        check_whole("plane", given, max(pixels) * oversampling)
    plane = round_plane(samples, pixels, oversampling)
    per_pixel = (plane / max(pixels)) ** 2 * FIELDS_AT_ONCE
    check_memory(
        name, given or pixels, FIELDS_AT_ONCE * plane**2, f"{FIELDS_AT_ONCE} planes of light", per_pixel
    )
    return plane


def check_panel_sampling(
    pixels: tuple[int, int],
    orders: int,
    oversampling: int,
    plane: int,
    pitch: float,
    wavelength: float,
    focal_length: float,
    pupil_radius: float,
    defocus: float,
    aberrations: np.ndarray,
) -> None:
    """Refuse a plane that does not hold the light, and warn of light that comes from beyond the guard or over
    the edge of a pupil.

    Arguments: those of `FourierLens`, as Python numbers.

    Raises:
        ValueError: `plane` too small.
    """
    needed = _needed_samples(pixels, orders, oversampling, focal_length, defocus)
    if plane < needed:
        raise ValueError(
            f"`plane` of {plane} samples is too small for the light of `orders` {orders}, which needs "
            f"{needed}; set `plane={round_plane(needed, pixels, oversampling)}`."
        )
    _warn_of_edge(pixels, orders, pitch, pupil_radius)
    half_width = min(pupil_radius, plane * pitch / oversampling / 2)
    slope = _steepest(aberrations, half_width / pupil_radius) / pupil_radius
    shift = focal_length * wavelength * slope + abs(defocus) * half_width / focal_length
    guard = guard_pixels(pixels) / 2
    if shift > guard * pitch:
        more = math.ceil(orders + 2 * (shift / pitch - guard) / max(pixels))
        warn_caller(
            f"`aberrations` and `defocus` move light by up to {shift / pitch:.3g} pixels at the detector, "
            f"and only {guard:g} beyond its edge are followed with `orders` of {orders}: the pixels near the "
            f"edge miss light. Set `orders={more}`, or reduce the errors.",
            wave.SamplingWarning,
        )


def _warn_of_edge(pixels: tuple[int, int], orders: int, pitch: float, pupil_radius: float) -> None:
    """Warn of a pupil that cuts the light, over whose edge light of orders comes that are not followed."""
    count = max(pixels)
    corner = math.hypot(*((n + count) / 2 for n in pixels)) * pitch
    # From one edge of the panel to the other edge of the pupil.
    needed = math.ceil((1 + 2 * pupil_radius / (count * pitch)) * (1 - ROUNDING_SHARE))
    needed = min(MOST_ORDERS_NEEDED, needed)
    if pupil_radius < corner * (1 - ROUNDING_SHARE) and orders < needed:
        warn_caller(
            f"`pupil_radius` of {pupil_radius:.4g} m cuts the light, which reaches {corner:.4g} m. Its edge "
            f"scatters light of other orders, and `orders` of {orders} leaves some of it out. Set "
            f"`orders={needed}`.",
            wave.SamplingWarning,
        )


def _needed_samples(
    pixels: tuple[int, int],
    orders: int,
    oversampling: int,
    focal_length: ScalarLike,
    defocus: ScalarLike,
) -> int:
    """Samples a side that the light of the band lights on the plane of the lens."""
    stretch = 1.0
    if is_concrete(defocus) and is_concrete(focal_length):
        stretch += max(float(defocus), 0.0) / float(focal_length)
    return math.ceil(oversampling * (max(pixels) + 2 * stretch * band_edge(pixels, orders)))


def _steepest(aberrations: np.ndarray, share: float) -> float:
    """The steepest slope of the aberrations over this share of the pupil, waves a pupil radius."""
    if not aberrations.size or not np.any(aberrations):
        return 0.0
    places = np.linspace(-share, share, SLOPE_SAMPLES)
    y, x = np.meshgrid(places, places, indexing="ij")
    with jax.ensure_compile_time_eval():
        waves = sum(
            float(c) * np.asarray(wave.zernike_xy(j, x, y)) for j, c in enumerate(aberrations, 1) if c
        )
    slopes = np.gradient(waves, places[1] - places[0])
    return float(np.max(np.hypot(*slopes)[np.hypot(y, x) <= share]))
