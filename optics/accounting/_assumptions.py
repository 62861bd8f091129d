"""Assumed numbers, each with its range, unit and source; data files beside this one hold them."""

import dataclasses
import functools
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from optics._check import check_range

FOLDER = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Figure:
    """An assumed number.

    Attributes:
        value, low, high: best estimate and range, in `unit`.
        unit: of the three.
        source: where the value is from.
        guess: it is our choice.
    """

    value: float
    low: float
    high: float
    unit: str
    source: str
    guess: bool = False


def hardware_names() -> list[str]:
    """The kinds of hardware that `hardware` knows, sorted."""
    return sorted(path.stem for path in (FOLDER / "hardware").glob("*.toml"))


def hardware(name: str = "integrated", **overrides: Any) -> dict[str, Figure]:
    """What one exposure and one conversion cost on a kind of hardware.

    Arguments:
        name: one of `hardware_names()`.
        overrides: figures to set otherwise, in their units: a number, or (value, low, high).

    Returns:
        figures by name: `exposure_time` (s), `engines` (that work side by side), `dac_energy`, `modulator_energy`,
        `adc_energy`, `receiver_energy`, `memory_energy` (J a number), `laser_power` (W of light), `oscillator_power` (W of light
        for each number that is read at a time), `wall_plug` (efficiency of the laser), `static_power` (W).

    Raises:
        ValueError: unknown name or figure, or an override that is negative, not finite or not in order.
    """
    if name not in hardware_names():
        raise ValueError(
            f"`name` must be a kind of hardware, one of {', '.join(hardware_names())}; got {name!r}."
        )
    figures = _read(f"hardware/{name}.toml")
    for key, value in overrides.items():
        if key not in figures:
            raise ValueError(f"`{key}` is not a figure of hardware {name!r}; it has {', '.join(figures)}.")
        most = 1.0 if key == "wall_plug" else float("inf")
        check_range(key, value, 0.0, most, figures[key].unit, open_low=key in ("wall_plug", "engines"))
        three = np.broadcast_to(np.asarray(value, float), 3) if np.shape(value) in ((), (3,)) else (0, 1, 0)
        middle, low, high = (float(one) for one in three)
        if not low <= middle <= high:
            raise ValueError(
                f"`{key}` must be one number or (value, low, high) in that order, got {value!r}."
            )
        figures[key] = Figure(middle, low, high, figures[key].unit, "set by the caller")
    return figures


def converters() -> dict[str, dict[str, Figure]]:
    """Published sets of converters, J a conversion: `dac`, `modulator`, `adc`, `receiver`, by name."""
    return {name: dict(_figures(table)) for name, table in _data("converters.toml").items()}


def electronics() -> dict[str, Figure]:
    """What arithmetic costs in electronics, by name: J a floating-point operation."""
    return _read("electronics.toml")


def _read(file: str) -> dict[str, Figure]:
    return dict(_figures(_data(file)))


def _figures(table: dict[str, Any]) -> Iterator[tuple[str, Figure]]:
    for key, field in table.items():
        if isinstance(field, dict):
            yield key, Figure(**field)


@functools.cache
def _data(file: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / file).read_text(encoding="utf-8"))
