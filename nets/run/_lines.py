"""The lines of a run's measurements: JSON objects, one a line, and their checksum."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nets.config import shorten
from optics._files import read_text

LINES_BYTES = 2**28  # the most that is read


def whole_lines(file: Path) -> list[str]:
    """The lines of a file with their ends, without one that was cut off; none without a file.

    Raises:
        ValueError: it is no regular file, too large, or not UTF-8.
    """
    lines = read_text(file, LINES_BYTES).split("\n") if file.exists() else [""]
    return [f"{line}\n" for line in lines[:-1]]


def lines_checksum(lines: Sequence[str], before: int = 0) -> int:
    """CRC-32 of lines that follow others with the CRC-32 `before`."""
    return zlib.crc32("".join(lines).encode(), before)


def parse_line(file: Path, number: int, line: str) -> dict[str, Any]:
    """The object in a line.

    Raises:
        ValueError: there is none.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"line {number} of {file} must be a JSON object, got {shorten(line.strip())}.")
    return value


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The lines of a file of JSON lines, without one that was cut off, as a killed process leaves it; none
    without a file.

    Raises:
        ValueError: a line that is no JSON object, or a file that cannot be read.
    """
    return [parse_line(file, number, line) for number, line in enumerate(whole_lines(file), 1)]
