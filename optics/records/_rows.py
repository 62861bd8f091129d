"""Numbers in lines of text, with the line that is wrong in each refusal."""

from pathlib import Path

import numpy as np


def read_rows(path: Path, text: str, content: str) -> list[list[float]]:
    """The numbers of each line, one or two, as many in each.

    Commas, semicolons, tabs or blanks separate them. What follows a `#` and one line of headings are skipped.

    Arguments:
        path: of the file, for messages.
        text: of the file.
        content: of a line, for the message where there is none.

    Raises:
        ValueError: no numbers, text that is none, numbers that are not finite, or too many in a line.
    """
    rows: list[list[float]] = []
    heading = False
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        words = line.split("#")[0].strip()
        if not words:
            continue
        shown = repr(line.strip()[:80])
        try:
            row = [float(word) for word in words.replace(",", " ").replace(";", " ").split()]
        except ValueError:
            if rows or heading:
                raise ValueError(f"line {number} of {path} must hold numbers, got {shown}.") from None
            heading = True
            continue
        if not np.all(np.isfinite(row)):
            raise ValueError(f"line {number} of {path} must hold finite numbers, got {shown}.")
        if len(row) not in (1, 2) or (rows and len(row) != len(rows[0])):
            columns = len(rows[0]) if rows else "1 or 2"
            raise ValueError(f"line {number} of {path} must hold {columns} numbers, got {len(row)}: {shown}.")
        rows.append(row)
    if not rows:
        raise ValueError(f"{path} holds no numbers; {content}.")
    return rows
