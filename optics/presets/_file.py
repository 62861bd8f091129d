"""The data file of a preset, as a record."""

import dataclasses
from pathlib import Path

from optics._assumptions import Assumption, read_toml
from optics._check import describe
from optics._typing import TextLike

FOLDER = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Parameter(Assumption):
    """A number of a device.

    Attributes:
        spread: standard deviation from unit to unit, in `unit`; None where units do not differ.
        table: part of the device that has the number: lens, slm or camera; empty for the device as a whole.
    """

    spread: float | None = None
    table: str = ""


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named device.

    Attributes:
        name: as `load` takes it.
        about: one line of description.
        note: a sentence that the description needs, or nothing.
        kind: of device, which has a builder.
        hardware: that it is built of, as `optics.accounting.hardware` names it.
        parameters: by name, in the order of the file.
    """

    name: str
    about: str
    note: str
    kind: str
    hardware: str
    parameters: dict[str, Parameter]


def preset_names() -> list[str]:
    """The names of the data files, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_preset(name: TextLike) -> Preset:
    """The preset of a name.

    Raises:
        ValueError: unknown name.
    """
    if not isinstance(name, str) or name not in preset_names():
        raise ValueError(
            f"`name` must be a preset, one of {', '.join(preset_names())}; got {describe(name)}."
        )
    data = read_toml(FOLDER / f"{name}.toml")
    parameters = {}
    for key, entry in data.items():
        if not isinstance(entry, dict):
            continue
        if "value" in entry:
            parameters[key] = Parameter(**entry)
        else:
            parameters |= {inner: Parameter(**fields, table=key) for inner, fields in entry.items()}
    about, note, kind, hardware = (data.get(key, "") for key in ("about", "note", "kind", "hardware"))
    return Preset(name, about, note, kind, hardware, parameters)
