"""The figure of a recorded measurement."""

import json
from pathlib import Path

from matplotlib.figure import Figure

from bench.plots._accuracy import accuracy
from bench.plots._design import design
from bench.plots._devices import devices
from bench.plots._fidelity import fidelity
from bench.plots._language import language
from bench.plots._ledger import ledger
from bench.plots._memory import memory
from bench.plots._panels import panels
from bench.plots._pattern import pattern
from bench.plots._populations import populations
from bench.plots._products import products
from bench.plots._roofline import roofline
from bench.plots._speed import speed
from bench.plots._studies import studies
from bench.plots._tuning import tuning

FIGURES = {
    "accuracy": accuracy,
    "design": design,
    "devices": devices,
    "fidelity": fidelity,
    "language": language,
    "ledger": ledger,
    "memory": memory,
    "panels": panels,
    "pattern": pattern,
    "populations": populations,
    "products": products,
    "roofline": roofline,
    "speed": speed,
    "studies": studies,
    "tuning": tuning,
}


def draw_recorded(file: Path | str, title: str = "") -> Figure:
    """Draw a recorded measurement again.

    Arguments:
        file: COMMAND.json, as `python -m bench COMMAND` writes it.
        title: of the figure; by default the device, where the measurement has one.

    Returns:
        the figure.

    Raises:
        ValueError: a file that is no record of a command.
    """
    file = Path(file)
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        figure, rows, options = FIGURES[record["command"]], record["rows"], record["config"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"`file` {file} must be a COMMAND.json of `python -m bench` ({type(error).__name__}: {error})."
        ) from None
    return figure(rows, title or options.get("device", ""))
