"""Everything recorded in a folder as one page: plots and numbers in a single file that requests nothing."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench import output, plots
from bench.config import Report
from bench.output import Rows
from bench.report.records import (
    Record,
    disambiguate,
    list_records,
    measurement_files,
    read_measurement,
    read_training,
)
from bench.report.summary import summarize_runs
from bench.report.tables import make_table
from bench.training.runs import run_folders
from nets.run import write

OPEN_ROWS = 20  # a longer table is folded


def main(options: Report) -> Rows:
    """Gather, write report.html, print where it is; returns a row for each section.

    Raises:
        ValueError: nothing to gather, a file that cannot be read, or a folder that cannot be written to.
    """
    if options.redraw:
        redraw(options.results)
    text, records = render(options.results)
    output.check_folder(options.out)
    target = options.out / "report.html"
    # Readers see the old page or the new one, never half of it.
    try:
        write(target, text)
    except OSError as error:
        raise ValueError(
            f"`out` {target} cannot be written ({error.strerror}); name another folder."
        ) from None
    print(f"wrote {target}")
    return list_records(records)


def redraw(folder: Path) -> None:
    """Draw every COMMAND.png of a folder again from the COMMAND.json beside it.

    Raises:
        ValueError: a file that cannot be read.
    """
    for path in measurement_files(folder):
        target = path.with_suffix(".png")
        plots.draw_recorded(path).savefig(target, dpi=output.DPI)
        print(f"drew {target}")


def render(folder: Path) -> tuple[str, list[Record]]:
    """The page of a folder of results, and its sections: measurements, then training runs.

    Raises:
        ValueError: no such folder, nothing to gather in it, or a file that cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(
            f"`results` {folder} is not a folder; name one that `python -m bench` or `python -m nets.train` "
            "wrote to."
        )
    measurements = disambiguate([read_measurement(path, folder) for path in measurement_files(folder)])
    folders = sorted(run_folders(folder), key=lambda path: (len(path.parts), path))
    runs = [read_training(path, folder) for path in folders]
    trained = disambiguate([run.record for run in runs])
    if not measurements and not runs:
        raise ValueError(
            f"`results` {folder} holds no COMMAND.json of `python -m bench` and no run of "
            "`python -m nets.train`."
        )
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    text = environment.get_template("page.html").render(
        folder=folder,
        measurements=measurements,
        runs=trained,
        data_sets=[make_table(summarize_runs([run.line for run in runs]))] if runs else [],
        all_runs=[make_table([run.line for run in runs])] if runs else [],
        open_rows=OPEN_ROWS,
    )
    return text, [*measurements, *trained]
