"""Test a trained network on a device, over a swept parameter, or on many units."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from nets.config import UNITS, Config, check_values, resolve
from nets.run._build import build_device, choose_device
from nets.run._environment import provenance, usual_promotion
from nets.run._folder import RunFolder
from nets.run._tokens import sum_by_document
from nets.run._trained import load
from nets.run._writer import write


@usual_promotion()
def evaluate(
    run: Path | str,
    device: str | None = None,
    field: str | None = None,
    values: Sequence[float] = (),
    seed: int = 0,
    progress: bool = False,
    split: str = "test",
    units: int | None = None,
    save: bool = False,
    multiplier: str | None = None,
) -> list[dict[str, Any]]:
    """Test the network of a run on a device, at every value of one of its parameters, or on many units of it.

    Arguments:
        run: folder of the run.
        device: preset, or "none" for an exact network; None is that of the run.
        field: a parameter of the preset, as `optics.presets.describe` lists them, or of the multiplier, as
            "multiplier.photons"; None changes nothing.
        values: of the parameter, in its unit. A value that changes the structure of the device (pixels, bits)
            compiles again.
        seed: of the noise of the device, which is the same for every value.
        progress: show a bar.
        split: "test" or "validation".
        units: test on this number of physical units, seed, seed + 1, …; at the first of `values` if there are
            any.
        save: also write the rows to evaluate.json of the run.
        multiplier: preset that multiplies the matrices of the blocks, also of a network whose products were
            electronic in training; "convolutions" of the device, or "none" for electronic ones; None is that
            of the run.

    Returns:
        a row for each value or unit: device, multiplier, field, value, unit, split, accuracy, loss, and
        `predicted`, the class of each row of the split, in order; of a language model also perplexity and
        bits_per_byte, and instead of classes `nats`, the loss of each document, or of each row where the
        split has none.

    Raises:
        ValueError: no run or no checkpoint in the folder, other data than it was trained on, an unknown
            device or parameter, or a value outside its range.
    """
    check_values(Config, {"seed": seed})
    config = choose_device(resolve(RunFolder(Path(run)).config()), device, multiplier)
    devices = _devices(config, field, values, seed, units)  # refused before the data are read
    network = load(run, config.products)
    batches, labels, rows = len(network.plan(split)), network.split(split).labels, []
    with tqdm(total=len(devices) * batches, desc="evaluating", unit=" batches", disable=not progress) as bar:
        for value, unit, built in devices:
            metrics, of_rows = network.evaluate(built, seed, split, bar.update)
            case = {"device": config.device, "multiplier": config.multiplier, "field": field}
            case |= {"value": value, "unit": unit, "split": split}
            if labels.ndim == 1:
                rows.append(case | metrics | {"predicted": of_rows.tolist()})
            else:
                nats = sum_by_document(network.split(split), of_rows)["nats"]
                rows.append(case | metrics | {"nats": np.round(nats, 3).tolist()})
    if save:
        record = {"rows": rows, "seed": seed, **provenance()}
        if labels.ndim == 1:
            record["labels"] = labels.tolist()
        write(Path(run) / "evaluate.json", json.dumps(record) + "\n")
    return rows


def _devices(
    config: Config, field: str | None, values: Sequence[float], seed: int, units: int | None
) -> list[tuple[float | None, int | None, Any]]:
    """(value, unit, device) of each row. Devices that differ in a number share one compilation."""
    is_exact = config.device == "none" and config.products == "electronic"
    if field is not None and is_exact:
        raise ValueError(f"`sweep` {field} needs a device; set --device to a preset.")
    if field is not None and not values:
        raise ValueError(f"`sweep` {field} needs values; write --sweep {field}=1,2,3.")
    if units is not None:
        if is_exact or not isinstance(units, int) or not UNITS.contains(units):
            raise ValueError(
                f"`units` must be {UNITS.words}, of a device; got {units!r} of "
                f"{config.device}. Set --device to a preset and --units to 32, for example."
            )
        check_values(Config, {"unit": seed + units - 1})
        overrides = {} if field is None else {field: values[0]}
        return [
            (overrides.get(field), unit, build_device(replace(config, unit=unit), **overrides))
            for unit in range(seed, seed + units)
        ]
    if field is None:
        return [(None, config.unit, build_device(config))]
    return [(value, config.unit, build_device(config, **{field: value})) for value in values]
