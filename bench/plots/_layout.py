"""The optical layout, drawn to scale."""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import optics
from bench.plots._scale import BLUE, GREEN, ORANGE, quantity, with_prefix


def layout(part: Any, title: str = "") -> Figure:
    """Draw modulator, lenses with their pupils and detector to scale, along the axis and across it.

    Rays leave the edges and the middle of the modulator at 0 and ±λ / (2 pitch), the directions that its
    pixels can send light to. They are traced paraxially; those that miss the pupil end there. Rays of one
    direction meet in one point.

    Arguments:
        part: `FourierLens`, `CrossedLenses` (along the rows), or a device whose optics is one of them, such
            as `optics.presets.load(name, level="wave")`.
        title: of the figure.

    Returns:
        the figure; lines that are lenses, modulators and detectors have the `gid` "lens", "modulator" and
        "detector".

    Raises:
        ValueError: a part without a lens, or with a compiled transfer, which has no lengths.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    draw_layout(figure, part, title)
    return figure


def lenses_of(part: Any) -> list[optics.FourierLens]:
    """The lenses of a part in the order that light meets them; none where it has been compiled."""
    match part:
        case optics.External():
            return lenses_of(part.twin)
        case optics.VectorMatrixMultiplier() | optics.MatrixMatrixMultiplier():
            return lenses_of(part.lenses)
        case optics.CrossedLenses():
            # Along the rows: an image by two lenses, and a Fourier transform by the third.
            return [part.first_image.lens, part.first_image.lens, part.focus]
        case optics.Correlator():
            transfers = [part.first, part.second]
        case optics.FourierProcessor() | optics.JointTransform():
            transfers = [part.transfer]
        case _:
            transfers = [part]
    return [transfer for transfer in transfers if isinstance(transfer, optics.FourierLens)]


def draw_layout(figure: Any, part: Any, title: str = "") -> None:
    """`layout` on a figure or a part of one."""
    chain = lenses_of(part)
    if not chain:
        raise ValueError(
            f"`part` must have a `FourierLens`, got {type(part).__name__}; a compiled transfer has no "
            'lengths: load the preset with `level="wave"`.'
        )
    axes = figure.subplots()
    # Along the axis: the planes of the pixels and, between them, the lenses.
    planes, middles = [0.0], []
    for lens in chain:
        middles.append(planes[-1] + float(lens.focal_length))
        planes.append(middles[-1] + float(lens.focal_length) + float(lens.defocus))
    pupil = max(float(lens.pupil_radius) + abs(float(lens.decentre[_across(lens)])) for lens in chain)
    along, unit_z = with_prefix(planes[-1], "m")
    across, unit_y = with_prefix(pupil, "m")
    first = chain[0]
    n, pitch = max(first.pixels), float(first.pitch)
    low, high = (-(n // 2) - 0.5) * pitch, (n - n // 2 - 0.5) * pitch
    band = float(first.wavelength) / (2 * pitch)
    for angle, colour in ((0.0, BLUE), (band, ORANGE), (-band, GREEN)):
        for height in (low, (low + high) / 2, high):
            z, y = trace_ray(chain, height, angle + float(first.tilt[_across(first)]))
            axes.plot(np.array(z) * along, np.array(y) * across, color=colour, linewidth=1.1)
    names = _plane_names(part, len(chain) - 1)
    pixels = f"{first.pixels[0]}×{first.pixels[1]} × {quantity(pitch, 'm')}"
    for z, name in zip(planes, names, strict=True):
        axes.plot(
            [z * along] * 2,
            [low * across, high * across],
            color="black",
            linewidth=5,
            solid_capstyle="butt",
            gid=name,
        )
        axes.annotate(
            "slit" if name == "slit" else f"{name}\n{pixels}",
            (z * along, high * across),
            (0, 6),
            textcoords="offset points",
            ha="left" if z == 0 else "right" if z == planes[-1] else "center",
            va="bottom",
            fontsize=9,
        )
    for i, (lens, z) in enumerate(zip(chain, middles, strict=True)):
        radius, centre = float(lens.pupil_radius), float(lens.decentre[_across(lens)])
        edges = np.array([centre - radius, centre + radius]) * across
        axes.plot([z * along] * 2, edges, color="0.35", linewidth=2, marker="d", markersize=5, gid="lens")
        for edge, sign in zip(edges, (-1, 1), strict=True):
            axes.plot(
                [z * along] * 2,
                [edge, edge + sign * 0.25 * radius * across],
                color="black",
                linewidth=4,
                solid_capstyle="butt",
            )
        where = (z * along, edges[1] + 0.25 * radius * across)
        text = f"lens, pupil radius {quantity(radius, 'm')}"
        axes.annotate(text, where, (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=9)
        for start, stop, shift in ((planes[i], z, 0.0), (z, planes[i + 1], float(lens.defocus))):
            _distance(axes, start * along, stop * along, -1.45 * pupil * across, stop - start, shift)
    axes.set(xlabel=f"along the axis, z ({unit_z})", ylabel=f"across ({unit_y})")
    axes.set_ylim(-1.85 * pupil * across, 1.55 * pupil * across)
    margin = 0.06 * planes[-1] * along
    axes.set_xlim(-margin, planes[-1] * along + margin)
    wavelength = quantity(float(first.wavelength), "m")
    default = f"λ = {wavelength}, each axis to its own scale; {sample_spacing(first)}"
    figure.suptitle(title or default, fontsize=11)


def _plane_names(part: Any, between: int) -> list[str]:
    """What stands in the planes of the pixels, of which some are between the first and the last."""
    match part:
        case optics.VectorMatrixMultiplier() | optics.MatrixMatrixMultiplier() | optics.CrossedLenses():
            return ["modulator a", "slit", "modulator b", "detector"]
        case _:
            return ["modulator", *["filter"] * between, "detector"]


def trace_ray(
    chain: list[optics.FourierLens], height: float, angle: float
) -> tuple[list[float], list[float]]:
    """Places (z, y) of a paraxial ray through the lenses, until it is stopped by a pupil."""
    z, y = [0.0], [height]
    for lens in chain:
        focal, centre = float(lens.focal_length), float(lens.decentre[_across(lens)])
        z.append(z[-1] + focal)
        y.append(y[-1] + focal * angle)
        if abs(y[-1] - centre) > float(lens.pupil_radius):
            break
        angle -= (y[-1] - centre) / focal
        z.append(z[-1] + focal + float(lens.defocus))
        y.append(y[-1] + (focal + float(lens.defocus)) * angle)
    return z, y


def sample_spacing(lens: optics.FourierLens) -> str:
    """The spacing of the transform's samples, in pixels of the detector."""
    ratio = float(lens.wavelength * lens.focal_length / (max(lens.pixels) * lens.pitch**2))
    if math.isclose(ratio, 1.0, rel_tol=1e-3):
        return "λ f / (N · pitch) = pitch: samples of the transform fall on the pixels"
    return f"λ f / (N · pitch) = {ratio:.3g} pitch: samples of the transform fall beside the pixels"


def _across(lens: optics.FourierLens) -> int:
    return 0 if lens.pixels[1] == 1 and lens.pixels[0] > 1 else 1


def _distance(axes: Any, start: float, stop: float, y: float, metres: float, defocus: float) -> None:
    axes.annotate("", (start, y), (stop, y), arrowprops={"arrowstyle": "<->", "color": "0.3", "linewidth": 1})
    text = f"f = {quantity(metres, 'm', 4)}" if not defocus else f"f + defocus = {quantity(metres, 'm', 4)}"
    axes.annotate(
        text, ((start + stop) / 2, y), (0, -3), textcoords="offset points", ha="center", va="top", fontsize=9
    )
