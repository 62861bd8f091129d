"""Loading and describing presets."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from optics._check import as_path, check_choice, check_key, check_range, check_whole, is_concrete
from optics._typing import KeyLike, PathLike, ScalarLike, ShapeLike, TextLike
from optics.device import AbstractDevice
from optics.presets._build import BUILDERS
from optics.presets._file import Parameter, Preset, preset_names, read_preset

# Kinds whose panels may be rectangles.
PANELS = (
    *("ideal", "liquid crystal", "phase panel, intensity", "mirrors"),
    *("correlator", "phase correlator", "incoherent correlator"),
)


def names() -> list[str]:
    """The presets.

    Returns:
        the names that `load` knows, sorted.
    """
    return preset_names()


def load(
    name: TextLike,
    unit: KeyLike = None,
    level: TextLike = "compiled",
    folder: PathLike | None = None,
    **overrides: ScalarLike | ShapeLike,
) -> AbstractDevice:
    """Build a device by name.

    Arguments:
        name: one of `names()`.
        unit: `jax.random.key` of one physical unit. Its fixed patterns (response of pixels, residue of phase
            tables, aberrations) are drawn with the deviations that `describe(name)` lists, and numbers with a
            `spread` around their values, within their ranges. `jax.jit` of a `vmap` over keys is a
            population, in one compilation. None is the nominal device.
        level: "compiled" runs the wave optics once and keeps the linear map; "wave" propagates every
            transform in full; "ideal" puts the exact transform in place of the lens and keeps converters and
            noise.
        folder: of compiled transfers, as `compile_transfer` takes it: a lens that was compiled before is read
            from it, which makes the next start faster. The optics of multipliers of matrices are not kept.
        overrides: other values of the parameters of the preset, as `describe(name)` lists them, in the same
            units.

    Returns:
        the device, calibrated.

    Raises:
        ValueError: unknown name, level or parameter, a value that is not finite or outside the parameter's
            range, a `unit` that is no key, a `folder` that cannot be written or holds a damaged file, where a
            lens is compiled, or a `folder` for a traced `unit` or override.

    Example:
        >>> import optics
        >>> device = optics.presets.load("engine11", level="ideal", photons=1000)
        >>> device.shape, float(device.camera[0].photons)
        ((11, 11), 1000.0)
    """
    preset = read_preset(name)
    check_choice("level", level, ("ideal", "compiled", "wave"))
    check_key("unit", unit)
    folder = None if folder is None else as_path("folder", folder)
    values = {key: parameter.value for key, parameter in preset.parameters.items()}
    values |= {key: _as_value(preset, key, value) for key, value in overrides.items()}
    of_patterns = None
    if unit is not None:
        of_values, of_patterns = jax.random.split(unit)
        for i, (key, parameter) in enumerate(preset.parameters.items()):
            if parameter.spread is not None and key not in overrides:
                values[key] = _draw(jax.random.fold_in(of_values, i), parameter)
    tables: dict[str, dict] = {"": {}}
    for key, parameter in preset.parameters.items():
        tables.setdefault(parameter.table, {})[key] = values[key]
    return BUILDERS[preset.kind](level, of_patterns, folder, **tables.pop(""), **tables)


def describe(name: TextLike) -> str:
    """A table of the preset's parameters, with guesses apart.

    Arguments:
        name: one of `names()`.

    Returns:
        a line a parameter, `name = value ± deviation between units  unit  [range]`, and its source below it.

    Raises:
        ValueError: unknown name.

    Example:
        >>> import optics
        >>> print(optics.presets.describe("engine11")[:81])
        engine11: 11×11 Fourier engine: complex emitters, a lens, coherent receivers, at
    """
    preset = read_preset(name)
    lines = [f"{name}: {preset.about}"]
    lines += [f"  {preset.note}"] if preset.note else []
    for heading, guess in (("sourced", False), ("our choice", True)):
        parameters = {key: p for key, p in preset.parameters.items() if p.guess == guess}
        lines += [f"  {heading}"] if parameters else []
        for key, p in parameters.items():
            spread = "" if p.spread is None else f" ± {p.spread:g}"
            lines += [
                f"    {key} = {p.value:g}{spread} {p.unit}  [{p.low:g} … {p.high:g}]",
                f"        {p.source}",
            ]
    return "\n".join(lines)


def hardware(name: TextLike) -> str:
    """The kind of hardware that the preset is built of.

    Arguments:
        name: one of `names()`.

    Returns:
        its name, as `optics.accounting.hardware` takes it.

    Raises:
        ValueError: unknown name.

    Example:
        >>> import optics
        >>> print(optics.presets.hardware("dmd-4f"))
        mirrors
    """
    return read_preset(name).hardware


def _as_value(preset: Preset, key: str, value: ScalarLike | ShapeLike) -> ScalarLike | ShapeLike:
    """An override as the value of a parameter, refused when it does not fit."""
    if key not in preset.parameters:
        raise ValueError(
            f"`{key}` is not a field of preset {preset.name!r}; it has {', '.join(preset.parameters)}."
        )
    parameter = preset.parameters[key]
    check_range(key, value, parameter.low, parameter.high, parameter.unit)
    if np.ndim(value):
        # A preset is one device: a sweep is a vmap over one of its numbers. Panels may be rectangles.
        if not (key == "pixels" and preset.kind in PANELS):
            raise ValueError(f"`{key}` must be one number, got {value!r}.")
        return value
    # Bits of converters are leaves, which may be traced; other whole numbers are structure.
    if isinstance(parameter.value, int) and (is_concrete(value) or not key.endswith("bits")):
        check_whole(key, int(value) if is_concrete(value) and float(value).is_integer() else value, 0)
        return int(value)
    return value


def _draw(key: Array, parameter: Parameter) -> Array:
    """The value of one unit."""
    value = parameter.value + parameter.spread * jax.random.normal(key)
    return jnp.clip(value, parameter.low, parameter.high)
