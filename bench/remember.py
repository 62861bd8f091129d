"""Figures of a long measurement, kept as they come, so that a stopped one goes on where it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Case = dict[str, Any]


def remember(file: Path, about: Case) -> Callable[[Case, Callable[[], Case]], Case]:
    """(case, measure) -> the case with its figures: measured now, or read from the file where an earlier start left them.

    A file of another measurement is begun anew, and a line that was cut short is measured again.

    Arguments:
        file: where figures are kept, one line of JSON a case; the caller removes it at the end.
        about: what all cases share, such as the options; figures are of this measurement alone.
    """
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    about = json.loads(json.dumps(about, default=str))
    if lines[:1] != [about]:
        lines = [about]
    # Whole lines alone, so that what is added starts a line of its own.
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    known = {json.dumps(line["case"]): line["found"] for line in lines[1:]}

    def row(case: Case, measure: Callable[[], Case]) -> Case:
        name = json.dumps(case)
        if name not in known:
            known[name] = measure()
            with file.open("a", encoding="utf-8") as kept:
                kept.write(json.dumps({"case": case, "found": known[name]}) + "\n")
        return case | known[name]

    return row
