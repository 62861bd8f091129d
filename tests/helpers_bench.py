"""Commands of the bench, and folders as they leave them."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench import config, output
from bench.__main__ import main
from nets.run import plot_curves

RESULTS = Path(__file__).parents[1] / "bench" / "results"
VOID_TAGS = {"meta", "link", "img"}  # that are never closed


def run_quickly(command: str, out: Path, *arguments: str) -> list[dict]:
    """The rows of a command with --quick, after the record and the plot were checked."""
    assert main([command, "--quick", "--out", str(out), *arguments]) == 0
    text = (out / f"{command}.json").read_text()
    record = json.loads(text)
    assert {"rows", "versions", "machine", "seed", "commit", "config"} <= record.keys()
    assert (out / f"{command}.png").stat().st_size > 10_000
    # Records hold no folder of one machine.
    assert str(out) not in text
    return record["rows"]


def refuse(arguments: list[str], capsys) -> str:
    """The one line that a command prints when it refuses its arguments."""
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def write_run(folder: Path, facts: dict[str, Any], lines: list[dict]) -> None:
    """The folder of a run; a finished one has curves."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(facts))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if "test_accuracy" in lines[-1] and any("step" in line for line in lines):
        plot_curves([(folder.name, lines)]).savefig(folder / "curves.png")


def write_tested_run(folder, is_correct, *, labels=None, kept=True, final=None, **facts):
    """The folder of a network that is right on those rows."""
    labels = np.arange(len(is_correct)) % 2 if labels is None else labels
    common = {
        "data": "imdb",
        "model": "conv2d",
        "device": "none",
        "gradient": "simulator",
        "epochs": 2,
        "seed": 0,
    }
    common |= {"out": str(folder), "machine": "x86_64", "commit": "abc"}
    result = {"test_accuracy": float(np.mean(is_correct)), "seconds": 60.0} | (final or {})
    write_run(folder, common | facts, [{"epoch": 1, "validation_accuracy": 0.5}, result])
    if kept:
        predicted = np.where(is_correct, labels, labels + 1)
        np.savez(folder / "predictions.npz", labels=labels, predicted=predicted)


def write_measurement(folder: Path, command: str, rows: list[dict], device: str = "engine11") -> None:
    """COMMAND.json and COMMAND.png."""
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    folder.mkdir(parents=True, exist_ok=True)
    options = config.Options(device=device, quick=True, seed=20260101, out=folder)
    output.write(folder, command, rows, options, figure)


class Page(HTMLParser):
    """Tags with their attributes, the text, and the cells of each table; every element must be closed."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.open, self.tables, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open
        self.text = "".join(self.texts)

    def handle_starttag(self, tag, attributes):
        assert len(attributes) == len(dict(attributes))
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID_TAGS:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append(("", "number" in dict(attributes).get("class", "")))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"th", "td"} & {*self.open}:
            text, right = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = text + data, right
        self.texts.append(data)

    def all(self, tag: str) -> list[dict]:
        """Attributes of every element of that name."""
        return [attributes for name, attributes in self.tags if name == tag]
