"""Everything recorded in a folder as one page: plots and numbers in a single file that loads nothing from anywhere."""

import json
from collections import Counter
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from bench import config
from bench import output as results
from bench.config import Report
from bench.report.html import PAGE, listing, plot, shown, tables, words
from nets.run import write

# What tells training runs apart, and what every record says of its making.
BRIEF = ("data", "model", "device", "gradient", "epochs", "batch_size", "learning_rate")
RECORD = ("seed", "commit", "machine", "python", "versions")


class Section(NamedTuple):
    """What one record becomes on the page; `file` is its path within the folder, `rows` how many it holds, `body` its HTML."""

    title: str
    file: str
    rows: int
    body: str


def main(options: Report) -> results.Rows:
    """Gather, write report.html, say where; returns a row for each section.

    Raises:
        ValueError: nothing to gather, a file that cannot be read, or a folder that cannot be written to.
    """
    text, sections = page(options.results)
    results.check_folder(options.out)
    target = options.out / "report.html"
    # Whoever opens the page meanwhile finds the old one, not half of the new.
    try:
        write(target, text)
    except OSError as error:
        raise ValueError(
            f"`out` {target} cannot be written ({error.strerror}); name another folder."
        ) from None
    print(f"wrote {target}")
    return [{"section": section.title, "file": section.file, "rows": section.rows} for section in sections]


def page(folder: Path) -> tuple[str, list[Section]]:
    """The page of a folder of results, and its sections: measurements, then training runs, those nearest to the folder first.

    Raises:
        ValueError: no such folder, nothing to gather in it, or a file that cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(
            f"`results` {folder} is not a folder; name one that `python -m bench` or `python -m nets.train` wrote to."
        )
    measurements, runs, finals = [], [], []
    for path in sorted(folder.rglob("*.json"), key=lambda path: (len(path.parts), path)):
        found, file, metrics = (
            read(path),
            path.relative_to(folder).as_posix(),
            path.with_name("metrics.jsonl"),
        )
        if path.name == "config.json" and metrics.exists():
            about, lines = objects(path, [found])[0], objects(metrics, read(metrics))
            # The last line of a run that has ended is its test.
            final = (
                {"test_accuracy": lines[-1]["test_accuracy"]} | lines[-1]
                if lines and "test_accuracy" in lines[-1]
                else {}
            )
            runs.append(training(path, file, about, len(lines), final))
            finals.append(
                {key: about[key] for key in ("data", "model", "device", "gradient", "seed") if key in about}
                | final
            )
        elif isinstance(found, dict) and {"command", "rows"} <= found.keys():
            measurements.append(measurement(path, file, found))
    measurements, runs = told_apart(measurements), told_apart(runs)
    sections = measurements + runs
    if not sections:
        raise ValueError(
            f"`results` {folder} holds no COMMAND.json of `python -m bench` and no run of `python -m nets.train`."
        )
    contents, body = [], []
    for title, some, overview in (
        ("Measurements", measurements, []),
        ("Training runs", runs, tables(finals)),
    ):
        if some:
            named = [(f"{title.split()[0].lower()}-{i}", section) for i, section in enumerate(some, 1)]
            contents += [f"<li>{title}", "<ul>"]
            contents += [f'<li><a href="#{name}">{escape(section.title)}</a></li>' for name, section in named]
            contents += ["</ul>", "</li>"]
            body += ["<section>", f"<h2>{title}</h2>", *overview]
            for name, section in named:
                body += [
                    f'<section aria-labelledby="{name}">',
                    f'<h3 id="{name}">{escape(section.title)}</h3>',
                    section.body,
                ]
                body += ['<p><a href="#contents">Contents</a></p>', "</section>"]
            body.append("</section>")
    summary = f"measurements: {len(measurements)}, training runs: {len(runs)}"
    text = PAGE.substitute(
        folder=escape(str(folder)), summary=summary, contents="\n".join(contents), body="\n".join(body)
    )
    return text, sections


def told_apart(sections: list[Section]) -> list[Section]:
    """Sections of one title with the folder that each is of, where it is not the folder of all."""
    titles = Counter(section.title for section in sections)

    def named(section: Section) -> str:
        folder = Path(section.file).parent.as_posix()
        return section.title if titles[section.title] == 1 or folder == "." else f"{section.title} ({folder})"

    return [section._replace(title=named(section)) for section in sections]


def read(path: Path) -> Any:
    """The value of a JSON file, or the values of a file of JSON lines.

    Raises:
        ValueError: it is neither.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # Lines are read as one list, so that an error tells which.
        return json.loads("[" + ",\n".join(text.splitlines()) + "]" if path.suffix == ".jsonl" else text)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`results` holds {path}, which cannot be read ({error}); mend or remove it."
        ) from None


def objects(path: Path, rows: Any) -> results.Rows:
    """The rows of a file, if that is what they are.

    Raises:
        ValueError: anything but a list of objects.
    """
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(
            f"`results` holds {path}, in which something is not the JSON object that it should be; mend or remove it."
        )
    return rows


def measurement(path: Path, file: str, about: dict[str, Any]) -> Section:
    """What `bench.output.write` left: the question, what was asked for, how and where, the plot, the rows."""
    rows, options = objects(path, about["rows"]), objects(path, [about.get("config", {})])[0]
    command = str(about["command"])
    title = " of ".join([command.capitalize(), *([str(options["device"])] if "device" in options else [])])
    question = getattr(config, command.capitalize(), None)
    asked = {key: value for key, value in options.items() if key not in ("out", "seed")}
    body = [
        f"<p>{escape(question.__doc__)}</p>" if question else "",
        listing(asked | {"file": file} | {key: about[key] for key in RECORD if key in about}),
        plot(path.with_suffix(".png"), f"Plot: {title}. Its numbers are in the tables that follow."),
        *tables(rows),
    ]
    return Section(title, file, len(rows), "\n".join(filter(None, body)))


def training(path: Path, file: str, about: dict[str, Any], lines: int, final: dict[str, Any]) -> Section:
    """What `nets.run.RunWriter` left: how it ended, the options, how and where, the curves."""
    title = (
        ", ".join(str(about[key]) for key in ("data", "model", "device") if key in about) or path.parent.name
    )
    ending = (
        ", ".join(f"{words(key)} {shown(value)}" for key, value in final.items()) or "the run has not ended"
    )
    rest = {key: value for key, value in about.items() if key not in {*BRIEF, *RECORD, "out", "progress"}}
    body = [
        f"<p>{escape(ending[0].upper() + ending[1:])}.</p>",
        listing({"file": file} | {key: about[key] for key in (*BRIEF, *RECORD) if key in about}),
        f"<details><summary>All other options</summary>\n{listing(rest)}\n</details>" if rest else "",
        plot(
            path.with_name("curves.png"),
            f"Loss and accuracy against the step of training, {title}: {ending}.",
        ),
    ]
    return Section(title, file, lines, "\n".join(filter(None, body)))
