"""The map of a lens by the first Rayleigh–Sommerfeld integral in double precision, without a grid.

Nothing of the simulator is used. Gauss–Legendre nodes lie over the open part of each pixel and over the
radius of the pupil, even nodes around it, so that every edge is exact. The nodes are enough for 1e-10. Each
pixel takes about half a second at 11×11.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.special

from optics import FourierLens

Pixels = list[tuple[int, int]]  # (row, column)
Nodes = tuple[np.ndarray, np.ndarray]  # places and weights


def map_entries(
    lens: FourierLens,
    emitters: Pixels,
    receivers: Pixels,
    aberration: Callable = lambda y, x: np.zeros_like(x),
) -> np.ndarray:
    """Entries of the map from modulator pixels to detector pixels.

        matrix[m, n] = i ∫ g(r − r_m) exp(−iπ r² / (λ f)) h(r − r_n) dr over the pupil,
        h(r) = ∫ K(r − s) ds over the pixel, in units of its width,   K = z (1 / ρ − ik) exp(ikρ) / (2π ρ²)

    exp(ikz) and −i are left out, as everywhere in the project. The light of one row of pixels is that of line
    sources, with K = ikz H₁(kρ) / (2ρ).

    Arguments:
        lens: a panel or one row, with the paraxial profile; its `aberrations` are not read. The detector of a
            panel that is not square has a larger pitch along the shorter side, so that it covers a square.
        emitters: pixels of light (row, column).
        receivers: pixels of the detector.
        aberration: waves at y and x in radii of the pupil.

    Returns:
        complex128, shape (receivers, emitters).

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed. (2005), eq. 3-40.
    """
    wavelength, f, radius, decentre = _double(lens, "wavelength", "focal_length", "pupil_radius", "decentre")
    defocus, tilt, pitch = _double(lens, "defocus", "tilt", "pitch")
    fill, detector_fill = _double(lens, "fill", "detector_fill")
    axes = sum(n > 1 for n in lens.shape)
    y, x, weights = (_slit_nodes if axes == 1 else _disc_nodes)(lens)
    phase = 2 * np.pi * aberration(y / radius, x / radius) - np.pi * (x**2 + y**2) / (wavelength * f)
    passing = weights * np.exp(1j * phase)
    y, x = y + decentre[0], x + decentre[1]
    cast = _cast_by_line if axes == 1 else _cast_by_rectangle

    def fields(pixels, parts, pitches, fill, z, tilt):
        widths = fill * pitches / parts
        nodes = [_nodes(0.0, w, 2 * np.pi * w * _largest_angle(lens) / wavelength) for w in widths]
        middles = [_middle(lens, pixel, parts, pitches) for pixel in pixels]
        # numpy lets other threads run while it computes.
        with ThreadPoolExecutor() as pool:
            light = np.stack(
                [*pool.map(lambda middle: cast(y, x, middle, nodes, z, wavelength, tilt), middles)]
            )
        # Power 1 through a pixel, which its sub-pixels share.
        return light / np.sqrt(np.prod(widths[2 - axes :] * parts))

    pitches = pitch * np.ones(2)
    h = fields(emitters, lens.subpixels, pitches, fill, f, np.sin(tilt))
    stretched = pitches if axes == 1 else pitch * max(lens.shape) / np.asarray(lens.shape)
    g = fields(receivers, 1, stretched, detector_fill, f + defocus, np.zeros(2))
    return np.exp(0.25j * np.pi * axes) * (g * passing) @ h.T


def _cast_by_rectangle(
    y: np.ndarray,
    x: np.ndarray,
    middle: np.ndarray,
    nodes: list[Nodes],
    z: float,
    wavelength: float,
    slope: np.ndarray,
) -> np.ndarray:
    """The field of an open rectangle at the points (y, x) of a plane `z` away."""
    field = np.zeros(y.shape, complex)
    for py, wy in zip(middle[0] + nodes[0][0], nodes[0][1], strict=True):
        for px, wx in zip(middle[1] + nodes[1][0], nodes[1][1], strict=True):
            across = (y - py) ** 2 + (x - px) ** 2
            distance = np.sqrt(across + z**2)
            path = across / (distance + z) + slope[0] * py + slope[1] * px
            kernel = z / distance**2 * (1 / distance - 2j * np.pi / wavelength) / (2 * np.pi)
            field += wy * wx * kernel * np.exp(2j * np.pi / wavelength * path)
    return field


def _cast_by_line(
    _y: np.ndarray,
    x: np.ndarray,
    middle: np.ndarray,
    nodes: list[Nodes],
    z: float,
    wavelength: float,
    slope: np.ndarray,
) -> np.ndarray:
    """The field of a line source as wide as a pixel at the points x of a plane `z` away."""
    k = 2 * np.pi / wavelength
    (places, weights) = nodes[1]
    px = middle[1] + places[:, None]
    distance = np.hypot(x - px, z)
    kernel = 0.5j * k * z / distance * scipy.special.hankel1e(1, k * distance)
    return weights @ (kernel * np.exp(1j * k * (distance - z + slope[1] * px)))


def _middle(lens: FourierLens, pixel: tuple[int, int], parts: int, pitches: np.ndarray) -> np.ndarray:
    """Place (y, x) of the middle of a pixel of light, m; a pixel of the detector is divided into `parts`."""
    number, part = np.divmod(pixel, parts)
    return pitches * (number - np.asarray(lens.shape) // 2 + (part - (parts - 1) / 2) / parts)


def _disc_nodes(lens: FourierLens) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    radius, *_ = _double(lens, "pupil_radius")
    curvature, crossing = _phases(lens)
    r, weights = _nodes(radius / 2, radius, curvature + crossing)
    count = 30 + int(crossing)
    angles = 2 * np.pi * np.arange(count) / count
    y, x = (np.outer(r, turn(angles)).ravel() for turn in (np.sin, np.cos))
    return y, x, np.repeat(weights * r * 2 * np.pi / count, count)


def _slit_nodes(lens: FourierLens) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    radius, *_ = _double(lens, "pupil_radius")
    x, weights = _nodes(0.0, 2 * radius, 2 * sum(_phases(lens)))
    return np.zeros_like(x), x, weights


def _phases(lens: FourierLens) -> tuple[float, float]:
    """How far the phase runs along the radius of the pupil, rad: what the lens leaves, and the directions."""
    pitch, wavelength, f, radius, tilt = _double(
        lens, "pitch", "wavelength", "focal_length", "pupil_radius", "tilt"
    )
    angle = 1.5 * max(lens.shape) * pitch / f + np.abs(tilt).max()
    return np.pi * radius**2 / (wavelength * f), 2 * np.pi * radius * angle / wavelength


def _largest_angle(lens: FourierLens) -> float:
    f, radius, tilt = _double(lens, "focal_length", "pupil_radius", "tilt")
    return 1.2 * radius / f + np.abs(tilt).max()


def _nodes(middle: float, width: float, phase: float) -> Nodes:
    """Gauss–Legendre nodes and weights for light whose phase runs over `phase` rad."""
    nodes, weights = np.polynomial.legendre.leggauss(8 + int(0.3 * phase))
    return middle + width / 2 * nodes, width / 2 * weights


def _double(lens: FourierLens, *names: str) -> list[np.ndarray]:
    return [np.asarray(getattr(lens, name), np.float64) for name in names]
