"""python -m bench COMMAND: each command is a module with `main(options)`, imported when it is chosen."""

import importlib
import sys

import tyro

from bench import config
from nets.config import check_values, print_everywhere, run_command

# Options and module of each command.
COMMANDS = {
    "fidelity": (config.Fidelity, "bench.simulator.fidelity"),
    "speed": (config.Speed, "bench.simulator.speed"),
    "roofline": (config.Roofline, "bench.simulator.roofline"),
    "panels": (config.Panels, "bench.simulator.panels"),
    "products": (config.Products, "bench.simulator.products"),
    "memory": (config.Memory, "bench.simulator.memory"),
    "pattern": (config.Pattern, "bench.simulator.pattern"),
    "ledger": (config.Ledger, "bench.simulator.ledger"),
    "tuning": (config.Tuning, "bench.training.tuning"),
    "experiments": (config.Experiments, "bench.training.experiments"),
    "photons": (config.Photons, "bench.training.photons"),
    "populations": (config.Populations, "bench.training.populations"),
    "studies": (config.Studies, "bench.training.studies"),
    "design": (config.Design, "bench.training.design"),
    "devices": (config.Devices, "bench.training.devices"),
    "language": (config.Language, "bench.training.language"),
    "accuracy": (config.Accuracy, "bench.training.accuracy"),
    "report": (config.Report, "bench.report.build"),
    "api": (config.Api, "bench.report.api"),
}


def parse(arguments: list[str] | None = None) -> object:
    """The options of the command that the arguments name."""
    kinds = {name: kind for name, (kind, _) in COMMANDS.items()}
    return tyro.extras.subcommand_cli_from_dict(
        kinds, args=arguments, prog="python -m bench", description=__doc__
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line; bad input is one line on standard error and exit status 2."""
    options = parse(arguments)
    module = next(module for kind, module in COMMANDS.values() if type(options) is kind)
    return run_command(lambda: run(module, options))


def run(module: str, options: object) -> None:
    """Run the command of a module."""
    from nets.run import usual_promotion  # loads JAX, which `--help` does not wait for

    check_values(type(options), vars(options))
    with usual_promotion():
        importlib.import_module(module).main(options)


if __name__ == "__main__":
    print_everywhere()
    sys.exit(main())
