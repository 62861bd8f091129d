"""What exposures, conversions and arithmetic cost; data files beside this one hold the numbers."""

from pathlib import Path

import numpy as np

from optics._assumptions import Assumption, as_assumptions, read_toml
from optics._check import check_range, describe
from optics._typing import ArrayLike, TextLike

FOLDER = Path(__file__).parent


def hardware_names() -> list[str]:
    """The kinds of hardware that `hardware` knows.

    Returns:
        names, sorted.
    """
    return sorted(path.stem for path in (FOLDER / "hardware").glob("*.toml"))


def hardware(
    name: TextLike = "integrated", converters: TextLike | None = None, **overrides: ArrayLike
) -> dict[str, Assumption]:
    """What one exposure and one conversion cost on a kind of hardware.

    Arguments:
        name: one of `hardware_names()`.
        converters: one of the sets of `converters()`, in place of the hardware's own.
        overrides: other values of the costs, in their units: a number, or (value, low, high).

    Returns:
        assumptions by name: `exposure_time` (s), `engines` (devices side by side), `dac_energy`,
        `modulator_energy`, `adc_energy`, `receiver_energy`, `memory_energy` (J a number), `laser_power` (W of
        light), `oscillator_power` (W of light for each number that is read at a time), `wall_plug`
        (efficiency of the laser), `static_power` (W).

    Raises:
        ValueError: unknown name, set or cost, or an override that is negative, not finite or not in order.

    Example:
        >>> from optics import accounting
        >>> costs = accounting.hardware("integrated", dac_energy=10e-12)
        >>> costs["dac_energy"].value, costs["dac_energy"].unit
        (1e-11, 'J a conversion')
    """
    if not isinstance(name, str) or name not in hardware_names():
        raise ValueError(
            f"`name` must be a kind of hardware, one of {', '.join(hardware_names())}; got {describe(name)}."
        )
    costs = as_assumptions(read_toml(FOLDER / "hardware" / f"{name}.toml"))
    if converters is not None:
        sets = _read_converters()
        if not isinstance(converters, str) or converters not in sets:
            raise ValueError(f"`converters` must be one of {', '.join(sets)}; got {describe(converters)}.")
        costs |= {f"{part}_energy": assumption for part, assumption in sets[converters].items()}
    for key, value in overrides.items():
        if key not in costs:
            raise ValueError(f"`{key}` is not a figure of hardware {name!r}; it has {', '.join(costs)}.")
        most = 1.0 if key == "wall_plug" else float("inf")
        check_range(key, value, 0.0, most, costs[key].unit, open_low=key in ("wall_plug", "engines"))
        three = np.broadcast_to(np.asarray(value, float), 3) if np.shape(value) in ((), (3,)) else (0, 1, 0)
        middle, low, high = (float(bound) for bound in three)
        if not low <= middle <= high:
            raise ValueError(
                f"`{key}` must be one number or (value, low, high) in that order, got {value!r}."
            )
        costs[key] = Assumption(middle, low, high, costs[key].unit, "set by the caller")
    return costs


def converters() -> dict[str, dict[str, Assumption]]:
    """Published sets of converters.

    Returns:
        by the name of the set `dac`, `modulator`, `adc` and `receiver`, J a conversion.
    """
    return _read_converters()


def _read_converters() -> dict[str, dict[str, Assumption]]:
    return {name: as_assumptions(table) for name, table in read_toml(FOLDER / "converters.toml").items()}


def electronics() -> dict[str, Assumption]:
    """What arithmetic costs in electronics.

    Returns:
        J a floating-point operation, by the name of the processor.
    """
    return as_assumptions(read_toml(FOLDER / "electronics.toml"))
