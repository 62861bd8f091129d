"""The map of a 2f system by the first Rayleigh–Sommerfeld integral in double precision, as an oracle.

Nothing lies on a grid: Gauss–Legendre nodes over the open part of each pixel and over the radius of the
pupil, even nodes around it, so that every edge is exact. The nodes are enough for 1e-10.
"""

import numpy as np
import scipy.special


def square_map(lens, emitters, receivers, aberration=lambda y, x: 0.0):
    """matrix[m, n] from pixel of light n to receiver m, pairs (row, column), through a paraxial lens.

    `lens` has the numbers of an `optics.FourierLens`; `aberration` gives waves at (y, x) in radii of the
    pupil.
    """
    wavelength, f, radius = _double(lens, "wavelength", "focal_length", "pupil_radius")
    (decentre,) = _double(lens, "decentre")
    curvature, crossing = _phases(lens)
    r, weights = _nodes(radius / 2, radius, curvature + crossing)
    count = 30 + int(crossing)
    angles = 2 * np.pi * np.arange(count) / count
    y, x = (np.outer(r, turn(angles)).ravel() for turn in (np.sin, np.cos))
    passing = np.repeat(weights * r * 2 * np.pi / count, count)
    passing = passing * np.exp(
        1j * np.pi * (2 * aberration(y / radius, x / radius) - (x**2 + y**2) / (wavelength * f))
    )

    def cast(centre, width, z, tilt):
        s, weights = _pixel_nodes(lens, width)
        field = 0.0
        for py, wy in zip(centre[0] + s, weights, strict=True):
            for px, wx in zip(centre[1] + s, weights, strict=True):
                path = (y + decentre[0] - py) ** 2 + (x + decentre[1] - px) ** 2
                distance = np.sqrt(path + z**2)
                # Of the phase k·distance the piston k·z is left out, as everywhere in the project.
                phase = path / (distance + z) + np.sin(tilt[0]) * py + np.sin(tilt[1]) * px
                kernel = z / distance**2 * (1 / distance - 2j * np.pi / wavelength) / (2 * np.pi)
                field = field + wy * wx / width * kernel * np.exp(2j * np.pi / wavelength * phase)
        return field

    h, g = _casts(lens, cast, emitters, receivers)
    return 1j * (g * passing) @ h.T


def line_map(lens, emitters, receivers):
    """The same for one row of pixels, whose light is that of line sources: Hankel functions."""
    wavelength, f, radius, decentre = _double(lens, "wavelength", "focal_length", "pupil_radius", "decentre")
    k = 2 * np.pi / wavelength
    x, passing = _nodes(0.0, 2 * radius, 2 * sum(_phases(lens)))
    passing = passing * np.exp(-1j * np.pi * x**2 / (wavelength * f))

    def cast(centre, width, z, tilt):
        s, weights = _pixel_nodes(lens, width)
        px = centre[1] + s[:, None]
        distance = np.hypot(x + decentre[1] - px, z)
        phase = (distance - z) + np.sin(tilt[1]) * px
        kernel = 0.5j * k * z / distance * scipy.special.hankel1e(1, k * distance) * np.exp(1j * k * phase)
        return weights / np.sqrt(width) @ kernel

    h, g = _casts(lens, cast, emitters, receivers)
    return np.exp(0.25j * np.pi) * (g * passing) @ h.T


def _casts(lens, cast, emitters, receivers):
    """The fields of emitters and of receivers on the pupil, each of power 1 a pixel."""
    pitch, f, fill, detector_fill = _double(lens, "pitch", "focal_length", "fill", "detector_fill")
    defocus, tilt = _double(lens, "defocus", "tilt")
    parts = lens.subpixels

    def middle(pixel, parts):
        number = np.asarray(pixel) // parts - np.asarray(lens.shape) // 2
        return pitch * (number + (np.asarray(pixel) % parts - (parts - 1) / 2) / parts)

    axes = sum(n > 1 for n in lens.shape)
    h = [cast(middle(p, parts), fill * pitch / parts, f, tilt) / parts ** (axes / 2) for p in emitters]
    g = [cast(middle(p, 1), detector_fill * pitch, f + defocus, np.zeros(2)) for p in receivers]
    return np.stack(h), np.stack(g)


def _phases(lens):
    """How far the phase runs along the radius of the pupil, rad: what the lens leaves, and two directions."""
    pitch, wavelength, f, radius = _double(lens, "pitch", "wavelength", "focal_length", "pupil_radius")
    angle = 1.5 * max(lens.shape) * pitch / f + np.abs(_double(lens, "tilt")[0]).max()
    return np.pi * radius**2 / (wavelength * f), 2 * np.pi * radius * angle / wavelength


def _pixel_nodes(lens, width):
    wavelength, f, radius = _double(lens, "wavelength", "focal_length", "pupil_radius")
    angle = 1.2 * radius / f + np.abs(_double(lens, "tilt")[0]).max()
    return _nodes(0.0, width, 2 * np.pi * width * angle / wavelength)


def _nodes(middle, width, phase):
    """Gauss–Legendre nodes and weights for light whose phase runs over `phase` rad."""
    nodes, weights = np.polynomial.legendre.leggauss(8 + int(0.3 * phase))
    return middle + width / 2 * nodes, width / 2 * weights


def _double(lens, *names):
    return [np.asarray(getattr(lens, name), np.float64) for name in names]
