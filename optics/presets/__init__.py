"""Named devices. Each is a data file beside this one in which every number has its unit, source and range."""

import tomllib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from optics._check import check_range, check_whole, is_concrete
from optics.presets._build import BUILDERS

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names that `load` knows, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str, unit: Any = None, level: str = "compiled", **overrides: Any) -> Any:
    """Build a device by name.

    Arguments:
        name: one of `names()`.
        unit: `jax.random.key` of one physical unit: its fixed patterns (response of pixels, residue of phase tables,
            aberrations, decentring) are drawn with the deviations that `describe(name)` lists, and numbers with a
            `spread` around their values, within their ranges. `vmap` over keys is a population. None is the nominal device.
        level: "compiled" runs the wave optics once and keeps the linear map; "wave" propagates every transform in
            full; "ideal" puts the exact transform in place of the lens and keeps converters and noise.
        overrides: fields of the preset to set otherwise, as `describe(name)` lists them, in the same units.

    Returns:
        the device, calibrated.

    Raises:
        ValueError: unknown name, level or field, a value that is not finite or outside the field's range, or a `unit`
            that is no key.
    """
    data = _read(name)
    fields = {key: field for key, field in data.items() if isinstance(field, dict)}
    if level not in ("ideal", "compiled", "wave"):
        raise ValueError(f'`level` must be "ideal", "compiled" or "wave", got {level!r}.')
    if unit is not None and not (hasattr(unit, "dtype") and jnp.issubdtype(unit.dtype, jax.dtypes.prng_key)):
        raise ValueError(f"`unit` must be a key, such as `jax.random.key(3)`, got {unit!r}.")
    values = {key: field["value"] for key, field in fields.items()}
    for key, value in overrides.items():
        if key not in fields:
            raise ValueError(f"`{key}` is not a field of preset {name!r}; it has {', '.join(fields)}.")
        check_range(key, value, fields[key]["low"], fields[key]["high"], fields[key]["unit"])
        # A preset is one device: a sweep is a vmap over one of its numbers.
        if np.ndim(value) and not (key == "pixels" and data["kind"] == "ideal"):
            raise ValueError(f"`{key}` must be one number, got {value!r}.")
        # Bits of converters are leaves, which may be traced; other whole numbers are structure.
        if (
            isinstance(values[key], int)
            and not np.ndim(value)
            and (is_concrete(value) or not key.endswith("bits"))
        ):
            check_whole(key, int(value) if is_concrete(value) and float(value).is_integer() else value, 0)
            value = int(value)
        values[key] = value
    of_numbers, of_patterns = (None, None) if unit is None else jax.random.split(unit)
    if unit is not None:
        for i, (key, field) in enumerate(fields.items()):
            if "spread" in field and key not in overrides:
                drawn = values[key] + field["spread"] * jax.random.normal(jax.random.fold_in(of_numbers, i))
                values[key] = jnp.clip(drawn, field["low"], field["high"])
    return BUILDERS[data["kind"]](level, of_patterns, **values)


def describe(name: str) -> str:
    """A table of the preset's fields: value, deviation between units, unit, range and source; guesses are listed apart.

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
            spread = f" ± {field['spread']:g}" if "spread" in field else ""
            lines.append(
                f"    {key} = {field['value']:g}{spread} {field['unit']}  [{field['low']:g} … {field['high']:g}]"
            )
            lines.append(f"        {field['source']}")
    return "\n".join(lines)


def hardware(name: str) -> str:
    """The kind of hardware that the preset is built of, by the name that `optics.accounting.hardware` knows it.

    Raises:
        ValueError: unknown name.
    """
    return _read(name)["hardware"]


def _read(name: str) -> dict:
    if name not in names():
        raise ValueError(f"`name` must be a preset, one of {', '.join(names())}; got {name!r}.")
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
