"""How a command ends: with its result, or with one line that says what is wrong."""

import os
import sys
from collections.abc import Callable
from typing import Any

STATUS_ERROR, STATUS_STOPPED = 2, 130
NO_DEVICE = "`JAX_PLATFORMS` {} names no device of this machine; unset it, or set it to cpu."


def run_command(command: Callable[[], Any]) -> int:
    """Run a command whose errors are one line on standard error.

    Arguments:
        command: prints its result.

    Returns:
        the exit status: 0, 2 after an error, 130 after a request to stop. Errors of the program itself are
        raised.
    """
    try:
        command()
    except (ValueError, FloatingPointError, OSError) as error:
        return _end(f"error: {_in_one_line(error)}")
    except KeyboardInterrupt as stop:
        reason = stop.args[0] if stop.args else "nothing was saved since the last checkpoint"
        return _end(f"stopped: {reason}", STATUS_STOPPED)
    except (MemoryError, OverflowError, RuntimeError, AssertionError) as error:
        reason = _reason(error)
        if reason is None:
            raise
        return _end(f"error: {reason}")
    return 0


def print_everywhere() -> None:
    """Let standard output replace letters that the terminal does not have, instead of ending there."""
    sys.stdout.reconfigure(errors="replace")


def _end(line: str, status: int = STATUS_ERROR) -> int:
    print(line, file=sys.stderr)
    return status


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split("\n")) or type(error).__name__


def _reason(error: BaseException) -> str | None:
    """What the user can put right, in words; None if it is the program that is wrong."""
    text = _in_one_line(error)[:200]
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or "Out of memory" in text:
        return f"there is not enough memory for these options ({text}); choose smaller sizes."
    if isinstance(error, OverflowError):
        return f"a number among the options is too large ({text}); choose a smaller one."
    if os.environ.get("JAX_PLATFORMS") and not _has_device():
        return NO_DEVICE.format(os.environ["JAX_PLATFORMS"])
    return None


def _has_device() -> bool:
    import jax

    try:
        return bool(jax.devices())
    # JAX asserts that it has one.
    except (RuntimeError, AssertionError):
        return False
