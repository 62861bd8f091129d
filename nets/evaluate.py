"""A trained network on another device, or over a swept number of one: python -m nets.evaluate RUN"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from nets.config import Config


@dataclass(frozen=True)
class Options:
    """Test a trained network on a device: accuracy, and RUN/evaluate.json with the class of every test row.

    The network is that of the best epoch of the run.
    """

    run: tyro.conf.Positional[Path]
    """Folder that python -m nets.train wrote."""
    device: str | None = None
    """Preset that computes the convolutions, or "none" for the exact FFT; that of the run unless given."""
    split: Literal["test", "validation"] = "test"
    """Rows to be read: those of the test, or those that were held out of training to choose by."""
    units: int | None = None
    """Test on so many physical units of the device, drawn from --seed on, instead of the device without deviations."""
    sweep: Annotated[str | None, tyro.conf.arg(metavar="FIELD=V1,V2,…")] = None
    """A number of the preset and the values it is to take; the network is compiled once for all of them."""
    seed: int = 0
    """Of the device's noise."""
    progress: Annotated[bool, tyro.conf.arg(help="Show a progress bar.")] = True


def evaluate(
    run: Path | str,
    device: str | None = None,
    field: str | None = None,
    values: Sequence[float] = (),
    seed: int = 0,
    progress: bool = False,
    split: str = "test",
    units: int | None = None,
) -> list[dict[str, Any]]:
    """Test the network of a run on a device, at every value of one of its numbers, or on many units of it.

    Arguments:
        run: folder of the run.
        device: preset, or "none"; that of the run unless given.
        field: a field of the preset, as `optics.presets.describe` lists them; None for the device as it is.
        values: of the field, in its unit. A value that changes the structure of the device (pixels, bits) compiles again.
        seed: of the device's noise, which is the same for every value.
        progress: show a bar.
        split: "test" or "validation".
        units: test on so many physical units, seed, seed + 1, …; at the first of `values` if there are any.

    Returns:
        for each value or unit a row: device, field, value, unit, accuracy, loss, and `predicted`, the class of each row, in
        order.

    Raises:
        ValueError: no run or no checkpoint in the folder, other data than it was trained on, an unknown device or field, or
            a value outside the field's range.
    """
    return _rows(run, device, field, values, seed, progress, split, units)[0]


def _rows(run, device, field, values, seed, progress, split, units) -> tuple[list[dict[str, Any]], list[int]]:
    from tqdm.auto import tqdm

    from nets.run._trained import Trained

    config = read_config(Path(run))
    name = device or config.device
    devices = _devices(config, name, field, values, seed, units)  # refused before anything is read
    trained = Trained(Path(run), config)
    rows = []
    with tqdm(
        total=len(devices) * len(trained.plan(split)),
        desc="evaluating",
        unit=" batches",
        disable=not progress,
    ) as bar:
        for value, unit, built in devices:
            found, predicted = trained.on(built, seed, split, bar.update)
            rows.append(
                {
                    "device": name,
                    "field": field,
                    "value": value,
                    "unit": unit,
                    "split": split,
                    **found,
                    "predicted": predicted.tolist(),
                }
            )
    return rows, trained.split(split).labels.tolist()


def read_config(run: Path) -> Config:
    """The configuration of a run.

    Raises:
        ValueError: there is none in the folder.
    """
    path = run / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`run` {run} must be the folder of a run, but its config.json cannot be read ({error})."
        ) from None
    known = {field.name: values[field.name] for field in fields(Config) if field.name in values}
    for name in ("shape", "kernel", "numbers"):
        if known.get(name) is not None:
            known[name] = tuple(known[name])
    for name in ("data_path", "start"):
        known[name] = None if known.get(name) is None else Path(known[name])
    return Config(**known | {"out": run})


def _devices(
    config: Config, name: str, field: str | None, values: Sequence[float], seed: int, units: int | None
) -> list[tuple[float | None, int | None, Any]]:
    """(value, unit, device) of the sweep; the devices differ in numbers alone, where the field is a number."""
    from dataclasses import replace

    from nets.run._build import build_device

    if name != config.device:
        config = replace(config, device=name, numbers=(), unit=None)
    if units is not None:
        if name == "none" or not isinstance(units, int) or units < 1:
            raise ValueError(f"`units` must be at least 1, of a device; got {units!r} of {name}.")
        own = {} if field is None else {field: values[0]}
        drawn = range(seed, seed + units)
        return [(own.get(field), unit, build_device(replace(config, unit=unit), **own)) for unit in drawn]
    if field is None:
        return [(None, config.unit, build_device(config))]
    if name == "none":
        raise ValueError(f"`sweep` {field} needs a device; set `device` to a preset.")
    if not values:
        raise ValueError(f"`sweep` {field} needs values; write {field}=1,2,3.")
    return [(value, config.unit, build_device(config, **{field: value})) for value in values]


def parse(sweep: str | None) -> tuple[str | None, list[float]]:
    """Field and values of "field=v1,v2".

    Raises:
        ValueError: it is not of that form.
    """
    if sweep is None:
        return None, []
    field, _, values = sweep.partition("=")
    try:
        return field, [float(value) for value in values.split(",")]
    except ValueError:
        raise ValueError(f"`sweep` must be FIELD=V1,V2,… with numbers, got {sweep!r}.") from None


def main(arguments: list[str] | None = None) -> int:
    """The command line; bad input is one line on standard error and exit status 2."""
    options = tyro.cli(Options, args=arguments, prog="python -m nets.evaluate")
    try:
        field, values = parse(options.sweep)
        rows, labels = _rows(
            options.run,
            options.device,
            field,
            values,
            options.seed,
            options.progress,
            options.split,
            options.units,
        )

        from nets.run._folder import provenance, write

        about = {"seed": options.seed, **provenance()}
        write(options.run / "evaluate.json", json.dumps({"rows": rows, "labels": labels} | about) + "\n")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{'device':<12} {field or '':>24} {'accuracy':>9} {'loss':>9}")
    for row in rows:
        value = "" if row["value"] is None else f"{row['value']:g}"
        print(f"{row['device']:<12} {value:>24} {row['accuracy']:>9.4f} {row['loss']:>9.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
