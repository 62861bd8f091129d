"""python -m bench COMMAND: each command is a module with `main(options)`, imported when it is chosen."""

import importlib
import sys

import tyro

from bench.config import Accuracy, Api, Experiments, Fidelity, Ledger, Memory, Report, Speed, Studies, Tuning

ROOMS = {
    "simulator": ("fidelity", "speed", "memory", "ledger"),
    "training": ("tuning", "experiments", "studies", "accuracy"),
}
MODULES = {name: f"bench.{room}.{name}" for room, names in ROOMS.items() for name in names}
MODULES |= {"report": "bench.report.build", "api": "bench.report.api"}
COMMANDS = {
    "fidelity": Fidelity,
    "speed": Speed,
    "memory": Memory,
    "ledger": Ledger,
    "tuning": Tuning,
    "experiments": Experiments,
    "studies": Studies,
    "accuracy": Accuracy,
    "report": Report,
    "api": Api,
}


def main(arguments: list[str] | None = None) -> int:
    """The command line; bad input is one line on standard error and exit status 2."""
    options = tyro.extras.subcommand_cli_from_dict(
        COMMANDS, args=arguments, prog="python -m bench", description=__doc__
    )
    command = next(name for name, kind in COMMANDS.items() if isinstance(options, kind))
    try:
        importlib.import_module(MODULES[command]).main(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
