"""Test a trained network on a device: python -m nets.evaluate RUN"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

import nets
from nets.config import print_everywhere, run_command, show_paragraphs


@show_paragraphs
@dataclass(frozen=True)
class Options:
    """Test a trained network on a device: print its accuracy, and of a language model its perplexity, and
    write RUN/evaluate.json with the predicted class of every row, or the loss of every document.

    The network is that of the best epoch of the run.
    """

    run: tyro.conf.Positional[Path]
    """Folder that python -m nets.train wrote."""
    device: str | None = None
    """Preset of the device that computes the convolutions, or "none" for an exact network; that of the run by
    default."""
    multiplier: str | None = None
    """Preset of the device that multiplies the matrices of the blocks, "convolutions" for those of the
    device, or "none" for electronic products; that of the run by default."""
    split: Literal["test", "validation"] = "test"
    """Rows to test on: the test set, or the rows that were held out of training."""
    units: int | None = None
    """Test on this number of physical units of the device, drawn from --seed on, instead of the nominal
    device."""
    sweep: Annotated[str | None, tyro.conf.arg(metavar="NAME=V1,V2,…")] = None
    """Test at these values of a parameter of the preset, such as photons=10,100,1000, or of the multiplier,
    such as multiplier.photons=1e2,1e4; compiled once for all of them."""
    seed: int = 0
    """Seed of the noise of the device."""
    progress: Annotated[bool, tyro.conf.arg(help="Show a progress bar.")] = True


def parse_sweep(sweep: str | None) -> tuple[str | None, list[float]]:
    """Parameter and values of "name=v1,v2".

    Raises:
        ValueError: another form.
    """
    if sweep is None:
        return None, []
    field, _, values = sweep.partition("=")
    try:
        return field, [float(value) for value in values.split(",")]
    except ValueError:
        raise ValueError(
            f"`sweep` must be NAME=V1,V2,… with numbers, got {sweep!r}; write --sweep photons=10,100, for "
            "example."
        ) from None


def main(arguments: list[str] | None = None) -> int:
    """Parse, test, print a table.

    Returns:
        the exit status: 2 after an error, with one line on standard error.
    """
    options = tyro.cli(Options, args=arguments, prog="python -m nets.evaluate")
    return run_command(lambda: print_table(options))


def print_table(options: Options) -> None:
    """Test, and print a line for each value."""
    field, values = parse_sweep(options.sweep)
    rows = nets.run.evaluate(
        options.run,
        options.device,
        field,
        values,
        seed=options.seed,
        progress=options.progress,
        split=options.split,
        units=options.units,
        save=True,
        multiplier=options.multiplier,
    )
    measures = [name for name in ("accuracy", "loss", "perplexity", "bits_per_byte") if name in rows[0]]
    print(
        f"{'device':<24} {field or '':>24} " + " ".join(f"{name.replace('_', ' '):>13}" for name in measures)
    )
    for row in rows:
        value = "" if row["value"] is None else f"{row['value']:g}"
        names = [row["device"]] + [row["multiplier"]] * (row["multiplier"] is not None)
        print(
            f"{' and '.join(names):<24} {value:>24} " + " ".join(f"{row[name]:>13.4f}" for name in measures)
        )


if __name__ == "__main__":
    print_everywhere()
    sys.exit(main())
