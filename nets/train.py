"""Train a network: python -m nets.train"""

import json
import os
import sys

import tyro

import nets
from nets.config import DEFAULT_CACHE, Config, print_everywhere, run_command

# Flags that have another form now.
MOVED = {"--tensorboard": "--log-to tensorboard", "--no-tensorboard": "no flag at all, its default"}


def main(arguments: list[str] | None = None) -> int:
    """Parse, train, print the result.

    Returns:
        the exit status: 2 after an error, 130 after a request to stop, each with one line on standard error.
    """
    for flag in MOVED.keys() & set(sys.argv[1:] if arguments is None else arguments):
        print(f"error: {flag} has another form now: {MOVED[flag]}.", file=sys.stderr)
        return 2
    config = tyro.cli(
        Config, args=arguments, default=Config(cache=DEFAULT_CACHE), prog="python -m nets.train"
    )
    return run_command(lambda: print(json.dumps(nets.fit(config))))


if __name__ == "__main__":
    print_everywhere()
    status = main()
    if status and "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized():
        # An orderly end would wait for the other processes, which may be waiting for this one.
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
