"""Figures of a long measurement, kept as they come, so that a stopped one goes on where it was."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nets.run import read_lines, write

Case = dict[str, Any]


def remember(
    folder: Path, command: str, about: Case
) -> tuple[Path, Callable[[Case, Callable[[], Case]], Case]]:
    """The file where figures are kept, and (case, measure) -> the case with its figures, measured now or by an earlier start.

    Each measurement has a file of its own, so that one of other options neither reads nor loses what this one found.

    Arguments:
        folder: where the file lies; the caller removes the file at the end.
        command: begins its name.
        about: what all cases share, such as the options; a checksum of it is in the name.
    """
    file = folder / f"{command}-{zlib.crc32(json.dumps(about, default=str).encode()):08x}.part.jsonl"
    lines = read_lines(file)
    # Whole lines alone, so that what is added starts a line of its own.
    write(file, "".join(json.dumps(line) + "\n" for line in lines))
    known = {json.dumps(line["case"]): line["found"] for line in lines}

    def row(case: Case, measure: Callable[[], Case]) -> Case:
        name = json.dumps(case)
        if name not in known:
            known[name] = measure()
            with file.open("a", encoding="utf-8") as kept:
                kept.write(json.dumps({"case": case, "found": known[name]}) + "\n")
        return case | known[name]

    return file, row
