"""Named devices. Each is a data file beside this one in which every number has its unit, source and range."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from optics._check import concrete, number, whole
from optics.device import FourierProcessor
from optics.presets.build import BUILDERS

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names that `load` knows, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str, level: str = "compiled", **overrides: Any) -> FourierProcessor:
    """Build a device by name.

    Arguments:
        name: one of `names()`.
        level: "compiled" runs the wave optics once and keeps the linear map; "wave" propagates every transform in
            full; "ideal" puts the exact transform in place of the lens and keeps converters and noise.
        overrides: fields of the preset to set otherwise, as `describe(name)` lists them, in the same units.

    Returns:
        the device, calibrated.

    Raises:
        ValueError: unknown name, level or field, or a value that is not finite or outside the field's range.
    """
    data = _read(name)
    fields = {key: field for key, field in data.items() if isinstance(field, dict)}
    if level not in ("ideal", "compiled", "wave"):
        raise ValueError(f'`level` must be "ideal", "compiled" or "wave", got {level!r}.')
    values = {key: field["value"] for key, field in fields.items()}
    for key, value in overrides.items():
        if key not in fields:
            raise ValueError(f"`{key}` is not a field of preset {name!r}; it has {', '.join(fields)}.")
        number(key, value, fields[key]["low"], fields[key]["high"], fields[key]["unit"])
        # A preset is one device: a sweep is a vmap over one of its numbers.
        if np.ndim(value) and not (key == "pixels" and data["kind"] == "ideal"):
            raise ValueError(f"`{key}` must be one number, got {value!r}.")
        if isinstance(values[key], int) and not np.ndim(value):
            whole(key, int(value) if concrete(value) and float(value).is_integer() else value, 0)
            value = int(value)
        values[key] = value
    return BUILDERS[data["kind"]](level=level, **values)


def describe(name: str) -> str:
    """A table of the preset's fields: value, unit, range and source; guesses are marked and listed apart.

    Raises:
        ValueError: unknown name.
    """
    data = _read(name)
    fields = {key: field for key, field in data.items() if isinstance(field, dict)}
    lines = [f"{name}: {data['about']}"]
    for heading, guess in (("sourced", False), ("our choice", True)):
        chosen = {key: field for key, field in fields.items() if field.get("guess", False) == guess}
        lines += [f"  {heading}"] if chosen else []
        for key, field in chosen.items():
            lines.append(f"    {key} = {field['value']:g} {field['unit']}  [{field['low']:g} … {field['high']:g}]")
            lines.append(f"        {field['source']}")
    return "\n".join(lines)


def _read(name: str) -> dict:
    if name not in names():
        raise ValueError(f"`name` must be a preset, one of {', '.join(names())}; got {name!r}.")
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
