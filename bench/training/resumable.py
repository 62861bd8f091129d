"""Cases of a long measurement, stored as they come, so that a stopped one can be continued."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nets.run import read_lines, write

Case = dict[str, Any]


def resumable(
    folder: Path, command: str, settings: Case
) -> tuple[Path, Callable[[Case, Callable[[], Case]], Case]]:
    """A file of results, and (case, measure) -> the case with its result, measured now or earlier.

    Each set of settings has a file of its own, so that measurements neither read nor overwrite one another.

    Arguments:
        folder: of the file; the caller removes the file at the end.
        command: beginning of its name.
        settings: what all cases share, such as the options; their checksum is in the name of the file.
    """
    file = folder / f"{command}-{zlib.crc32(json.dumps(settings, default=str).encode()):08x}.part.jsonl"
    lines = read_lines(file)
    if any(line.keys() != {"case", "found"} for line in lines):
        raise ValueError(f"{file} must have lines of a case and what was found; remove it to measure anew.")
    # Whole lines alone, so that the next result starts a line of its own.
    write(file, "".join(json.dumps(line) + "\n" for line in lines))
    results = {json.dumps(line["case"]): line["found"] for line in lines}

    def result_of(case: Case, measure: Callable[[], Case]) -> Case:
        name = json.dumps(case)
        if name not in results:
            results[name] = measure()
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"case": case, "found": results[name]}) + "\n")
        return case | results[name]

    return file, result_of
