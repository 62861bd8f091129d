"""Train a network: python -m nets.train"""

import json
import os
import sys

import tyro

from nets.config import DEFAULT_CACHE, Config


def main(arguments: list[str] | None = None) -> int:
    """Parse, train, print the result.

    Returns:
        the exit status: 2 after an error, 130 after a request to stop, each with one line on standard error.
    """
    config = tyro.cli(
        Config, args=arguments, default=Config(cache=DEFAULT_CACHE), prog="python -m nets.train"
    )
    from nets.run import fit  # loads JAX, which `--help` does not wait for

    try:
        final = fit(config)
    except (ValueError, FloatingPointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        reason = stop.args[0] if stop.args else "nothing was saved since the last checkpoint"
        print(f"stopped: {reason}", file=sys.stderr)
        return 130
    print(json.dumps(final))
    return 0


if __name__ == "__main__":
    status = main()
    if status and "jax" in sys.modules and sys.modules["jax"].process_count() > 1:
        # An orderly end would wait for the other processes, which may be waiting for this one.
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
