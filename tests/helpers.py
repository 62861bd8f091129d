"""What tests of all packages share: figures of error that the project does not compute itself, a count of
programs, and the cases of a product that only -m slow runs.
"""

from contextlib import contextmanager

import jax
import numpy as np
import pytest


def with_slow(cases, slow):
    """Cases for `parametrize`; those of `slow` take the same way as one of the rest, and run with -m slow."""
    return [pytest.param(case, marks=pytest.mark.slow) if case in slow else case for case in cases]


@contextmanager
def compiled_programs():
    """A list that holds an entry for each program compiled in the block."""
    durations = []

    def listen(name, duration, **_):
        if name == "/jax/core/compile/backend_compile_duration":
            durations.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield durations
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def relative(result, exact):
    """Relative error in the 2-norm, by NumPy."""
    result, exact = np.asarray(result), np.asarray(exact)
    assert result.shape == exact.shape
    return np.linalg.norm(result - exact) / np.linalg.norm(exact)
