"""Faults of the libraries below that a program does not survive, so that its user has to be told before."""

import os
import sys
import warnings
from importlib.metadata import version

# Several independent FFTs of 512² and more wait for each other for ever, where there are four cores or more.
HANGING_JAXLIB = ("0.11.1",)
HANGING_CORES = 4
REMEDY = "--xla_cpu_multi_thread_eigen=false"


def warn_of_hanging_transforms() -> None:
    """Say how to avoid that Fourier transforms on CPUs hang, where this version of jaxlib can do so.

    Source: PyAutoFit, issue 1530 (2026): 8 of 8 runs hang with four cores, none with the flag.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    jaxlib = version("jaxlib")
    if jaxlib in HANGING_JAXLIB and cores >= HANGING_CORES and REMEDY not in os.environ.get("XLA_FLAGS", ""):
        warnings.warn(
            f"Fourier transforms of jaxlib {jaxlib} can hang on CPUs with {HANGING_CORES} cores or more; "
            f"install another version, or set XLA_FLAGS={REMEDY} before Python starts.",
            RuntimeWarning,
            stacklevel=3,
        )
