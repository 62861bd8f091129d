"""Records as HTML: the page around them, facts as lists, rows as tables, pictures within the text."""

import base64
import struct
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from bench import output as results

# Rows of a table that is open from the start.
OPEN = 20

# The policy forbids every request, whatever the recorded files hold.
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Measurements of simulated optics</title>
<link rel="icon" href="data:,">
<style>
:root { --paper: #ffffff; --ink: #1b1f24; --quiet: #57606a; --line: #d0d7de; --link: #0b5cad; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --ink: #e6e8ea; --quiet: #a3abb3; --line: #363c43; --link: #7ab8ff; }
  img { filter: brightness(0.9); }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
header, main { max-width: 72rem; margin: auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; text-wrap: balance; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
h3 { margin-top: 2.5rem; }
a { color: var(--link); }
p { max-width: 44rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 0.25rem 1.5rem; }
dl div { display: flex; gap: 0.5rem; }
dl div:last-child { grid-column: 1 / -1; }
dt, figcaption { color: var(--quiet); }
dt { flex: none; max-width: 50%; }
dd { margin: 0; }
figure { margin: 1.25rem 0; }
.scroll { overflow-x: auto; }
img { display: block; width: 100%; height: auto; background: #ffffff; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: 0.25rem clamp(0.75rem, 2vw, 1.5rem) 0.25rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { vertical-align: bottom; }
td { white-space: nowrap; }
td.long { min-width: 14rem; white-space: normal; }
.number { text-align: right; }
summary { cursor: pointer; }
</style>
</head>
<body>
<header>
<h1>Measurements of simulated optics</h1>
<p>What <code>python -m bench</code> measured and <code>python -m nets.train</code> trained, gathered from <code>$folder</code>:
$summary. Numbers are rounded here; the file that each section names has them in full.</p>
<nav aria-labelledby="contents">
<h2 id="contents">Contents</h2>
<ul>
$contents
</ul>
</nav>
</header>
<main>
$body
</main>
</body>
</html>
""")


def listing(facts: dict[str, Any]) -> str:
    """Names and values as a description list."""
    said = {words(key): shown(value) for key, value in facts.items() if value not in ("", [], None)}
    pairs = [f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in said.items()]
    return "\n".join(["<dl>", *pairs, "</dl>"])


def plot(path: Path, alt: str) -> str:
    """A picture within the page, which scrolls where it would be too small to read.

    Raises:
        ValueError: a file that is not a whole PNG.
    """
    if not path.exists():
        return f"<p>There is no {escape(path.name)} beside it.</p>"
    data = path.read_bytes()
    # The signature, and the chunk that ends every PNG before its checksum.
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[-8:-4] != b"IEND":
        raise ValueError(f"`results` holds {path}, which is not a whole PNG; mend or remove it.")
    width, height = struct.unpack(">II", data[16:24])
    source = "data:image/png;base64," + base64.b64encode(data).decode()
    # Labels are hard to read below half of the size, and blurred above the whole.
    sizes = f"min-width: {width // 2}px; max-width: {width}px"
    image = f'<img src="{source}" width="{width}" height="{height}" style="{sizes}" alt="{escape(alt)}">'
    return (
        f'<figure>\n<div class="scroll" role="group" aria-label="plot" tabindex="0">{image}</div>\n</figure>'
    )


def tables(rows: results.Rows) -> list[str]:
    """Rows as tables: those in sequence go together while `table` and `sweep` stay and four keys in five are the same."""
    groups: list[results.Rows] = []
    keys: set[str] = set()
    for row in rows:
        alike = groups and all(row.get(key) == groups[-1][0].get(key) for key in ("table", "sweep"))
        if not alike or len(keys & row.keys()) < 0.8 * min(len(keys), len(row)):
            groups.append([])
            keys = set()
        groups[-1].append(row)
        keys |= row.keys()
    return [table(group) for group in groups]


def table(rows: results.Rows) -> str:
    """One table: words that all its rows share stand above it, numbers to the right; a long one opens on request."""
    rows = [flat(row) for row in rows]
    found = {key: [row[key] for row in rows if row.get(key) is not None] for row in rows for key in row}
    shared = [
        key
        for key, some in found.items()
        if 1 < len(rows) == len(some) == some.count(some[0]) and isinstance(some[0], str)
    ]
    columns = [key for key, some in found.items() if some and key not in shared] or [*found]
    kind = {key: style(found[key]) for key in columns}
    head = "".join(f'<th scope="col"{kind[key]}>{escape(words(key))}</th>' for key in columns)
    body = ["".join(f"<td{kind[key]}>{escape(cell(row.get(key)))}</td>" for key in columns) for row in rows]
    title = escape(", ".join(f"{words(key)} {rows[0][key]}" for key in shared))
    lines = [
        "<figure>",
        f"<figcaption>{title}</figcaption>" if title else "",
        f'<div class="scroll" role="group" aria-label="{title or "table"}" tabindex="0">',
        f"<table>\n<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>",
        *(f"<tr>{line}</tr>" for line in body),
        "</tbody>\n</table>\n</div>\n</figure>",
    ]
    if len(rows) > OPEN:
        lines = [f"<details><summary>Table of {len(rows)} rows</summary>", *lines, "</details>"]
    return "\n".join(filter(None, lines))


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """The row with a column for each entry of what has entries of its own."""
    parts = [
        {f"{key} {name}": item for name, item in value.items()} if isinstance(value, dict) else {key: value}
        for key, value in row.items()
    ]
    return {key: value for part in parts for key, value in part.items()}


def style(values: list[Any]) -> str:
    """The class of a column: numbers, which True and False are not here, or long words, which may go over several lines."""
    every = [item for value in values for item in (value if isinstance(value, list) else [value])]
    if all(type(item) in (int, float) for item in every):
        return ' class="number"'
    return ' class="long"' if any(len(shown(value)) > 24 for value in values) else ""


def cell(value: Any) -> str:
    """A value in a table: nothing where there is none, whole numbers up to six digits in full, any other number to four digits."""
    if type(value) is int:
        return f"{value:,}" if abs(value) < 1_000_000 else shown(float(value))
    return "" if value is None else shown(value)


def shown(value: Any) -> str:
    """A value as text, real numbers to four digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        digits, _, power = f"{value:.4g}".partition("e")
        return f"{digits}e{int(power)}" if power else digits
    if isinstance(value, dict):
        return "; ".join(f"{words(key)} {shown(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return str(value)


def words(key: str) -> str:
    """A name of the code as text."""
    return key.replace("_", " ")
