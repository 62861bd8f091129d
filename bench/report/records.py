"""Records of measurements and of training runs, as the page shows them."""

import base64
import json
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from bench import config
from bench.output import Rows
from bench.report.summary import headline
from bench.report.tables import Table, as_text, as_words, make_tables
from bench.training.runs import run_folders
from nets.run import RunFolder

# Options that distinguish training runs, and facts of every record.
MAIN_OPTIONS = ("data", "model", "device", "multiplier", "gradient", "epochs", "batch_size", "learning_rate")
FACTS = ("seed", "commit", "machine", "accelerator", "python", "versions")


class Image(NamedTuple):
    """A PNG within the page, with its size in pixels."""

    source: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class Record:
    """A section of the page.

    Attributes:
        title: of the section.
        file: its path within the folder of results.
        rows: number of rows that it holds.
        result: the main result as a sentence.
        question: the question that was measured.
        facts: options, and the circumstances of the record.
        options: less important options.
        image: its figure; None where there is no file `image_name`.
        image_name: name of that file.
        tables: its rows.
    """

    title: str
    file: str
    rows: int
    result: str
    facts: dict[str, str]
    image: Image | None
    image_name: str
    question: str = ""
    options: dict[str, str] | None = None
    tables: Sequence[Table] = ()


class Run(NamedTuple):
    """The section of a training run, and its line in the table of all runs."""

    record: Record
    line: dict[str, Any]


def measurement_files(folder: Path) -> list[Path]:
    """Every COMMAND.json of `python -m bench` in a folder, those nearest to it first.

    Raises:
        ValueError: a JSON file that cannot be read.
    """
    files = sorted(folder.rglob("*.json"), key=lambda path: (len(path.parts), path))
    runs = set(run_folders(folder))
    return [
        path
        for path in files
        if path.parent not in runs
        and isinstance(record := read_json(path), dict)
        and {"command", "rows"} <= record.keys()
    ]


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`results` holds {path}, which cannot be read ({error}); mend or remove it."
        ) from None


def read_measurement(path: Path, folder: Path) -> Record:
    """A COMMAND.json with its figure.

    Raises:
        ValueError: its rows or options are no JSON objects, or the figure is not a whole PNG.
    """
    record = read_json(path)
    rows, options = record["rows"], record.get("config", {})
    check_objects(path, rows)
    check_objects(path, [options])
    command = str(record["command"])
    title = " of ".join([command.capitalize(), *([str(options["device"])] if "device" in options else [])])
    # A record may be of a command that this version does not have.
    question = vars(config).get(command.capitalize())
    options = {key: value for key, value in options.items() if key not in ("out", "seed")}
    file = path.relative_to(folder).as_posix()
    image = path.with_suffix(".png")
    return Record(
        title,
        file,
        len(rows),
        headline(command, rows),
        as_facts(options | {"file": file} | {key: record[key] for key in FACTS if key in record}),
        read_image(image, f"Plot: {title}. Its numbers are in the tables that follow."),
        image.name,
        question=question.__doc__ if question else "",
        tables=make_tables(rows),
    )


def read_training(path: Path, folder: Path) -> Run:
    """The folder of a run with its curves.

    Raises:
        ValueError: a file that cannot be read, or curves that are not a whole PNG.
    """
    run = RunFolder(path)
    facts, lines = run.facts(), run.lines()
    last = lines[-1] if lines and "test_accuracy" in lines[-1] else {}
    final = {"test_accuracy": last["test_accuracy"]} | last if last else {}
    names = [str(facts[key]) for key in ("data", "model", "device") if key in facts]
    title = ", ".join(names) or path.name
    result = ", ".join(f"{as_words(key)} {as_text(value)}" for key, value in final.items())
    result = result or "the run has not ended"
    file = (path / "config.json").relative_to(folder).as_posix()
    hidden = {*MAIN_OPTIONS, *FACTS, "out", "progress"}
    record = Record(
        title,
        file,
        len(lines),
        f"{result[0].upper()}{result[1:]}.",
        as_facts({"file": file} | {key: facts[key] for key in (*MAIN_OPTIONS, *FACTS) if key in facts}),
        read_image(
            path / "curves.png", f"Loss and accuracy against the step of training, {title}: {result}."
        ),
        "curves.png",
        options=as_facts({key: value for key, value in facts.items() if key not in hidden}),
    )
    line = {key: facts[key] for key in ("data", "model", "device", "gradient", "seed") if key in facts}
    return Run(record, line | final)


def check_objects(path: Path, rows: Any) -> None:
    """Refuse rows that are not a list of JSON objects.

    Raises:
        ValueError: they are something else.
    """
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(
            f"`results` holds {path}, in which something is not the JSON object that it should be; mend or "
            "remove it."
        )


def as_facts(values: dict[str, Any]) -> dict[str, str]:
    """Names and values as text, without those that are empty."""
    return {as_words(key): as_text(value) for key, value in values.items() if value not in ("", [], None)}


def read_image(path: Path, alt: str) -> Image | None:
    """A PNG as a data URI; None where there is no file.

    Raises:
        ValueError: a file that is not a whole PNG.
    """
    if not path.exists():
        return None
    data = path.read_bytes()
    # The signature, and the chunk that ends every PNG before its checksum.
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[-8:-4] != b"IEND":
        raise ValueError(f"`results` holds {path}, which is not a whole PNG; mend or remove it.")
    width, height = struct.unpack(">II", data[16:24])
    return Image("data:image/png;base64," + base64.b64encode(data).decode(), width, height, alt)


def disambiguate(records: list[Record]) -> list[Record]:
    """Records of one title with their folders, where they are not in the folder of all."""
    counts = Counter(record.title for record in records)

    def rename(record: Record) -> Record:
        folder = Path(record.file).parent.as_posix()
        if counts[record.title] == 1 or folder == ".":
            return record
        return replace(record, title=f"{record.title} ({folder})")

    return [rename(record) for record in records]


def list_records(records: list[Record]) -> Rows:
    """A row for each record."""
    return [{"section": record.title, "file": record.file, "rows": record.rows} for record in records]
