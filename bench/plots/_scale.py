"""Colours, lengths with units, scale bars, and images of planes."""

import math
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from optics._check import check_positive

PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}
# Colour maps: perceptually uniform, cyclic, around zero, grey. None needs red and green to be distinguished.
MAGNITUDE, CYCLIC, SIGNED, GREY = "viridis", "twilight", "PuOr_r", "gray"
# Colours that colour-blind readers can distinguish: M. Okabe and K. Ito (2008).
BLUE, ORANGE, GREEN, PURPLE, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"


def with_prefix(largest: float | int, unit: str) -> tuple[float, str]:
    """The factor from SI units to a unit with a sensible prefix, and that unit: 2e-3, "m" -> 1e3, "mm"."""
    if not largest or not math.isfinite(largest):
        return 1.0, unit
    # Rounding must not take 0.9999999 mm for micrometres.
    power = 3 * math.floor(math.log10(abs(largest) * (1 + 1e-6)) / 3)
    power = min(max(power, min(PREFIXES)), max(PREFIXES))
    return 10.0**-power, PREFIXES[power] + unit


def quantity(value: float | int, unit: str, digits: int = 3) -> str:
    """A value with its unit, as text: 0.1145, "m" -> "114 mm"."""
    factor, name = with_prefix(value, unit)
    return f"{value * factor:.{digits}g} {name}"


def round_length(longest: float | int) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `longest`."""
    power = 10.0 ** math.floor(math.log10(longest * (1 + 1e-9)))
    return max(m * power for m in (1, 2, 5) if m * power <= longest * (1 + 1e-9))


def scale_bar(axes: Any, width: float | int) -> None:
    """Draw a bar of a round length, at most 0.35 of the width of the plane, in the lower left corner.

    Arguments:
        axes: with an image of a plane in lengths, as `image` leaves them.
        width: of the plane, m.
    """
    length = round_length(0.35 * width)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    factor = (right - left) / width
    x, y = left + 0.05 * (right - left), bottom + 0.06 * (top - bottom)
    bar = Rectangle(
        (x, y),
        length * factor,
        0.025 * (top - bottom),
        facecolor="white",
        edgecolor="black",
        linewidth=0.8,
        gid="scale bar",
    )
    axes.add_patch(bar)
    axes.text(
        x,
        y + 0.04 * (top - bottom),
        quantity(length, "m"),
        color="white",
        ha="left",
        va="bottom",
        fontsize=9,
        path_effects=[withStroke(linewidth=2, foreground="black")],
        gid="scale bar length",
    )


def image(
    axes: Any,
    values: Any,
    label: str,
    dx: Any = None,
    cmap: str = MAGNITUDE,
    limits: tuple[Any, Any] = (None, None),
    title: str = "",
) -> Any:
    """Draw one plane with its axis at pixel n//2, a colour bar, and a scale bar where it has lengths.

    Arguments:
        axes: to draw on.
        values: real, shape (rows, columns).
        label: of the colour bar, with unit.
        dx: pixel spacing, m; None counts pixels.
        cmap: colour map.
        limits: lowest and highest value of the colours; None takes those of the values.
        title: of the panel.

    Returns:
        the image.
    """
    values = np.asarray(values)
    rows, cols = values.shape
    factor, unit, spacing = 1.0, "pixel", 1.0
    if dx is not None:
        check_positive("dx", dx, "m")
        spacing = float(dx)
        factor, unit = with_prefix(max(rows, cols) * spacing / 2, "m")
    left, top = (-(n // 2) - 0.5 for n in (cols, rows))
    scaled = spacing * factor
    extent = (left * scaled, (left + cols) * scaled, (top + rows) * scaled, top * scaled)
    picture = axes.imshow(
        values, extent=extent, cmap=cmap, vmin=limits[0], vmax=limits[1], interpolation="nearest"
    )
    # A line of pixels would be no more than a hair.
    axes.set_aspect("auto" if max(rows, cols) > 3 * min(rows, cols) else "equal")
    if dx is None:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})")
    axes.set_title(title, fontsize=10)
    bar = axes.figure.colorbar(picture, ax=axes, label=label, shrink=0.85)
    if cmap == CYCLIC:
        bar.set_ticks([-np.pi, 0, np.pi], labels=["−π", "0", "π"])
    if dx is not None:
        scale_bar(axes, cols * spacing)
    return picture


def amplitude_and_phase(
    left: Any, right: Any, u: Any, dx: Any = None, title: str = "", unit: str = "1"
) -> None:
    """Draw a complex plane on two axes; the phase is grey where the amplitude is below 1/1000 of its peak."""
    u = np.asarray(u)
    amplitude = np.abs(u)
    image(left, amplitude, f"amplitude ({unit})", dx, limits=(0, None), title=title)
    phase = np.ma.masked_where(amplitude < 1e-3 * max(amplitude.max(), 1e-30), np.angle(u))
    right.set_facecolor("0.6")
    image(right, np.ma.filled(phase, np.nan), "phase (rad)", dx, CYCLIC, (-np.pi, np.pi), title)


def frame_colours(frames: Any, signed: bool) -> tuple[str, tuple[float, float]]:
    """Colour map and limits of camera frames: grey, or two colours around zero for signed frames."""
    largest = max(float(np.abs(frames).max()), 1e-30)
    return (SIGNED, (-largest, largest)) if signed else (GREY, (0.0, largest))


def error_label(error: Any, exact: str = "the exact result") -> str:
    """A relative error as text; one above 1 as a multiple, so that it is not read as a small number."""
    return f"{error:.1e}" if error <= 1 else f"{error:.2g} times {exact}"
