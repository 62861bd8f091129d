"""Warnings that point at the line of the user."""

import sys
import warnings

# Frames of these packages are inside of the call: equinox makes modules, the type checkers wrap functions.
_INSIDE = {"optics", "equinox", "jaxtyping", "beartype"}


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn from the line outside the package that made the call, so that Python shows it once a line."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
