"""Write text with a trained language model: python -m nets.generate RUN"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

import nets
from nets.config import print_everywhere, run_command, show_paragraphs


@show_paragraphs
@dataclass(frozen=True)
class Options:
    """Write text with a trained language model, on any device: what its noise does to language can be read.

    The network is that of the best epoch of the run. The text ends where the network ends it, or after
    --tokens.
    """

    run: tyro.conf.Positional[Path]
    """Folder that python -m nets.train --data reviews, or --data text, wrote."""
    prompt: str = ""
    """The beginning of the text; by default the network begins."""
    tokens: int = 200
    """The most tokens to write."""
    device: str | None = None
    """Preset of the device that computes the convolutions, or "none" for an exact network; that of the run by
    default."""
    multiplier: str | None = None
    """Preset of the device that multiplies the matrices of the blocks, "convolutions" for those of the
    device, or "none" for electronic products; that of the run by default."""
    overrides: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="NAME=VALUE …")] = ()
    """Values for parameters of the presets, such as photons=100."""
    temperature: float = 1.0
    """Above 1 the choice of tokens becomes more even, below 1 less; 0 always takes the most probable one."""
    top_k: int | None = None
    """Choose among this number of the most probable tokens only."""
    top_p: float = 1.0
    """Choose among the most probable tokens that reach this probability together."""
    seed: int = 0
    """Seed of the choices and of the noise of the device."""
    compare: Annotated[
        bool,
        tyro.conf.arg(
            help="Print a table of the tokens instead: the probability that the network on its device and "
            "the exact network gave to each, and what the exact one would have chosen."
        ),
    ] = False


def main(arguments: list[str] | None = None) -> int:
    """Parse, write the text to standard output as it comes.

    Returns:
        the exit status: 2 after an error, with one line on standard error.
    """
    options = tyro.cli(Options, args=arguments, prog="python -m nets.generate")
    return run_command(lambda: print_text(options))


def print_text(options: Options) -> None:
    """Write the text, or the table of its tokens."""
    values = vars(options)
    tokens = nets.run.generate(**values)
    if options.compare:
        print(f"{'token':<24} {'p device':>9} {'p exact':>9}   exact choice")
        for token in tokens:
            print(
                f"{token.text!r:<24} {token.probability:>9.4f} {token.exact:>9.4f}   {token.exact_text!r} "
                f"({token.exact_choice:.4f})",
                flush=True,
            )
        return
    print(options.prompt, end="", flush=True)
    for token in tokens:
        print(token.text, end="", flush=True)
    print()


if __name__ == "__main__":
    print_everywhere()
    sys.exit(main())
