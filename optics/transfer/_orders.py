"""Propagation of a whole panel: of the light of its pixels, only the orders that the detector can see.

A plane that holds everything that pixels scatter has (pixels · oversampling²) samples a side. What an ideal
lens sends to the detector is the zero order: the frequencies up to half a cycle a pixel. Without the others
a plane of twice the panel's width and two samples a pixel is enough, and no light wraps around its border.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._numerics import fast_length
from optics._typing import ScalarLike

# Detector pixels beyond its edge whose light is followed too, in √N: light that ends so softly over several
# widths of a Fresnel zone, √(λ f) = √N pitches, leaves no ripples within the detector.
GUARD_ZONES = 3
# Half the guard, in widths of the band's soft edge: erfc(2.75) is 1e-4.
EDGE_WIDTHS = 2.75
# Panels of more pixels a side are followed in their zero order by default.
LARGEST_FOLLOWED_WHOLE = 16
# Planes of more samples are propagated one after another.
LARGEST_BATCHED_PLANE = 2**22


class Panel(NamedTuple):
    """What propagates light from a panel to a detector, a pytree.

    Attributes:
        emitters: spectrum of the emitter on the axis along each axis, in the band that is followed.
        receivers: spectrum of the receiver on the axis along each axis.
        to_lens: factor of free space from the panel to the lens, on the spectrum.
        lens: the lens in its pupil.
        to_detector: factor of free space from the lens to the detector.
    """

    emitters: tuple[Complex[Array, " samples"], Complex[Array, " samples"]]
    receivers: tuple[Complex[Array, " samples"], Complex[Array, " samples"]]
    to_lens: Complex[Array, "samples samples"]
    lens: Complex[Array, "samples samples"]
    to_detector: Complex[Array, "samples samples"]


def detector_ratio(pixels: tuple[int, int], axis: int) -> float:
    """Pitch of the detector over that of the panel along an axis: both cover the same angles."""
    return max(pixels) / pixels[axis]


def guard_pixels(pixels: tuple[int, int]) -> int:
    """Pixels beyond each edge of the detector whose light is followed."""
    return math.ceil(GUARD_ZONES * math.sqrt(max(pixels)))


def band_edge(pixels: tuple[int, int], orders: int) -> float:
    """The farthest place at the detector whose light is followed, in pitches of the panel."""
    return orders * max(pixels) / 2 + guard_pixels(pixels)


def default_orders(pixels: tuple[int, int], oversampling: int | None) -> int | None:
    """The zero order of a large panel whose samples are not given, and of one that is not square."""
    rows, cols = pixels
    is_line, is_square = min(rows, cols) == 1, rows == cols
    if is_line or (is_square and (oversampling is not None or rows <= LARGEST_FOLLOWED_WHOLE)):
        return None
    return 1


def round_plane(samples: int, pixels: tuple[int, int], oversampling: int) -> int:
    """The next number of samples whose Fourier transforms are fast, of which a shorter transform gives one a
    pixel of the panel, and another one a pixel of the detector.
    """
    line = oversampling * max(pixels)
    unit = math.lcm(oversampling, *(line // math.gcd(line, n) for n in pixels))
    return unit * fast_length(math.ceil(samples / unit))


def band(
    pixels: tuple[int, int],
    orders: int,
    samples: int,
    dx: ScalarLike,
    wavelength: ScalarLike,
    focal_length: ScalarLike,
    pitch: ScalarLike,
) -> Float[Array, " samples"]:
    """The band along an axis: 1 for light that an ideal lens sends to the detector, 0 beyond its guard.

        B(ν) = ½ erfc((|ν| − ν₀) / w)

    ν₀ belongs to the middle of the guard.
    """
    # Cycles a sample per place at the detector, in pitches.
    turn = pitch * dx / (wavelength * focal_length)
    guard = guard_pixels(pixels)
    middle, width = band_edge(pixels, orders) - guard / 2, guard / 2 / EDGE_WIDTHS
    frequency = jnp.abs(jnp.fft.fftfreq(samples))
    return 0.5 * jax.scipy.special.erfc((frequency / turn - middle) / width)


def centred_line(samples: int) -> Complex[Array, " samples"]:
    """The spectrum of sample n//2 of a line, where its origin lies."""
    turns = np.fft.fftfreq(samples, 1 / samples).astype(np.int64) * (samples // 2) % samples / samples
    return jnp.asarray(np.exp(-2j * np.pi * turns), jnp.result_type(complex))


def propagate_panel(
    panel: Panel,
    light: Inexact[Array, "*lead rows cols"],
    shape: tuple[int, int],
    strides: tuple[int, tuple[int, int]],
) -> Complex[Array, "*lead rows_out cols_out"]:
    """The field at the detector, by two propagations and the lens between them.

    Arguments:
        panel: as of `FourierLens`.
        light: on the panel, its pixels around the axis.
        shape: pixels of the detector.
        strides: samples from pixel to pixel of the panel, and the lengths of the transforms that give one
            sample a detector pixel.
    """

    def propagate_plane(light):
        field = _spread(light, panel.lens.shape[0], strides[0])
        field = field * _outer(panel.emitters) * panel.to_lens
        spectrum = jnp.fft.fft2(jnp.fft.ifft2(field) * panel.lens)
        spectrum = spectrum * panel.to_detector * _outer(panel.receivers)
        return _gather(spectrum, shape, strides[1])

    return _map_planes(propagate_plane, light, shape, panel.lens.size)


def join_factors(panel: Panel) -> tuple[Array, Array, Array]:
    """The factors of a propagation that is done often: before the lens, of it, and behind it."""
    before = _outer(panel.emitters) * panel.to_lens
    return before, panel.lens, panel.to_detector * _outer(panel.receivers)


def propagate_factors(
    factors: tuple[Array, Array, Array],
    light: Inexact[Array, "*lead rows cols"],
    shape: tuple[int, int],
    strides: tuple[int, tuple[int, int]],
) -> Complex[Array, "*lead rows_out cols_out"]:
    """As `propagate_panel`, by the factors of `join_factors`."""
    before, lens, after = factors

    def propagate_plane(light):
        field = _spread(light, lens.shape[0], strides[0]) * before
        return _gather(jnp.fft.fft2(jnp.fft.ifft2(field) * lens) * after, shape, strides[1])

    return _map_planes(propagate_plane, light, shape, lens.size)


def _map_planes(propagate_plane: Callable, light: Array, shape: tuple[int, int], size: int) -> Array:
    """Planes of light at once, or one after another where they take `size` samples of a large plane."""
    if light.ndim == 2:
        return propagate_plane(light)
    planes = light.reshape(-1, *light.shape[-2:])
    is_large = size > LARGEST_BATCHED_PLANE
    out = jax.lax.map(propagate_plane, planes) if is_large else jax.vmap(propagate_plane)(planes)
    return out.reshape(*light.shape[:-2], *shape)


def _outer(lines: tuple[Array, Array]) -> Array:
    return lines[0][:, None] * lines[1][None, :]


def _spread(light: Array, samples: int, stride: int) -> Array:
    """Spectrum of pixels that lie `stride` samples apart around sample 0: that of the pixels, repeated."""
    short = samples // stride
    padded = jnp.pad(light, [(0, short - n) for n in light.shape])
    at_origin = jnp.roll(padded, [-(n // 2) for n in light.shape], (0, 1))
    return jnp.tile(jnp.fft.fft2(at_origin), (stride, stride))


def _gather(spectrum: Array, shape: tuple[int, int], lengths: tuple[int, int]) -> Array:
    """The field at pixels around sample 0 that a transform of `lengths` has as its samples."""
    samples = spectrum.shape[0]
    for axis, length in enumerate(lengths):
        spectrum = _fold(spectrum, length, axis)
    field = jnp.fft.ifft2(spectrum) * (math.prod(lengths) / samples**2)
    field = jnp.roll(field, [n // 2 for n in shape], (0, 1))
    return field[: shape[0], : shape[1]]


def _fold(spectrum: Array, length: int, axis: int) -> Array:
    """Frequencies that differ by `length` added up: they are one frequency to samples so far apart."""
    spectrum = jnp.moveaxis(spectrum, axis, 0)
    samples = spectrum.shape[0]
    if samples % length:
        # From the lowest frequency, −(samples // 2), at its place among the frequencies of the short line.
        before = -(samples // 2) % length
        after = -(before + samples) % length
        spectrum = jnp.pad(jnp.fft.fftshift(spectrum, 0), [(before, after), (0, 0)])
    folded = spectrum.reshape(-1, length, spectrum.shape[1]).sum(0)
    return jnp.moveaxis(folded, 0, axis)
