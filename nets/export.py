"""Write a trained network for use without this package: python -m nets.export RUN"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

import nets
from nets.config import print_everywhere, run_command, show_paragraphs


@show_paragraphs
@dataclass(frozen=True)
class Options:
    """Write the network of a run's best epoch as RUN/export/model.safetensors and RUN/export/model.stablehlo.

    The weights have the names of the layers; the program computes logits from any number of rows.
    """

    run: tyro.conf.Positional[Path]
    """Folder that python -m nets.train wrote."""
    device: str | None = None
    """Preset that the program computes, without noise, or "none"; that of the run by
    default."""
    multiplier: str | None = None
    """Preset that multiplies the matrices of the blocks, "convolutions" for those of the device, or "none"
    for electronic products; that of the run by default."""


def main(arguments: list[str] | None = None) -> int:
    """Parse, write, print the paths.

    Returns:
        the exit status: 2 after an error, with one line on standard error.
    """
    options = tyro.cli(Options, args=arguments, prog="python -m nets.export")
    return run_command(
        lambda: print(*nets.run.export(options.run, options.device, options.multiplier), sep="\n")
    )


if __name__ == "__main__":
    print_everywhere()
    sys.exit(main())
