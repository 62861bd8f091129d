"""The page of everything recorded: each number on it, nothing loaded from elsewhere, no wider than a phone."""

import json
import shutil
import subprocess
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from bench import output as results
from bench.__main__ import main
from bench.config import Report
from bench.report import build as report
from nets.run._curves import drawn

RECORDED = Path(__file__).parents[1] / "bench" / "results"
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chromium-headless-shell",
)
VOID = {"meta", "link", "img"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and the cells of each table; every element must be closed in its place."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.tables, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert len(attributes) == len(dict(attributes))
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
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
        if self.open and self.open[-1] in ("th", "td"):
            text, right = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = text + data, right
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def train(folder, about, lines):
    """A folder as a training run leaves it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if "test_accuracy" in lines[-1]:
        drawn([(folder.name, lines)], "digits").savefig(folder / "curves.png")


def write(folder, command, rows, device="engine11"):
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    folder.mkdir(parents=True, exist_ok=True)
    results.write(
        folder, command, rows, {"device": device, "quick": True, "seed": 20260101, "out": folder}, figure
    )


@pytest.fixture
def recorded(tmp_path):
    """Two measurements, a run that has ended and one that has not."""
    folder = tmp_path / "results"
    common = {"device": "engine11", "operation": "convolution"}
    write(
        folder,
        "fidelity",
        [
            common
            | {"condition": "optics alone", "relative_rms_error": 0.0026986078, "effective_bits": -1.5},
            common
            | {
                "condition": 'one <b>shot</b> & "more"',
                "relative_rms_error": 1 / 14,
                "systematic": 8.140118e-7,
            },
            common
            | {"condition": "one shot", "sweep": "photons", "value": 316.2277, "relative_rms_error": 0.91576},
            common | {"condition": "one shot", "sweep": "photons", "value": 1e9, "relative_rms_error": None},
        ],
    )
    long = [{"what": f"row {i}", "bytes": 9_717_904 + i, "length": 16384, "exact": i > 0} for i in range(21)]
    nested = [
        {
            "table": "terms",
            "unit": "J",
            "source": 30 * "x",
            "joules": {"dac": [1e-12, 2.5], "adc": 0.25},
            "none": None,
        }
    ]
    other = [{"table": "frames", "unit": "J", "source": "y"}]
    write(folder / "jtc", "ledger", long + nested + other, "jtc")
    about = {
        "data": "digits",
        "model": "conv2d",
        "device": "engine11",
        "gradient": "simulator",
        "epochs": 15,
        "batch_size": 32,
    }
    about |= {
        "learning_rate": 0.005,
        "seed": 4,
        "shape": [11, 11],
        "kernel": None,
        "out": "x",
        "progress": True,
        "commit": "0123abcd",
    }
    step, epoch = (
        {"step": 12, "train_loss": 2.6, "train_accuracy": 0.1},
        {"epoch": 1, "validation_loss": 1.9, "validation_accuracy": 0.3},
    )
    train(
        folder / "ended",
        about,
        [step, step | epoch, {"test_loss": 0.067494, "test_accuracy": 0.972145, "seconds": 95.942}],
    )
    train(folder / "running", about | {"device": "none"}, [step])
    # What is no record is no section.
    (folder / "ended" / "tokenizer.json").write_text('{"model": {"vocab": {}}}')
    return folder


def make(folder, out):
    rows = report.main(Report(results=folder, out=out))
    return rows, (out / "report.html").read_text(encoding="utf-8")


def test_records_of_one_title_are_told_apart(recorded, tmp_path):
    shutil.copytree(recorded / "ended", recorded / "plan" / "again")
    shutil.copy(recorded / "fidelity.json", recorded / "plan" / "fidelity.json")
    shutil.copy(recorded / "fidelity.png", recorded / "plan" / "fidelity.png")
    titles = [row["section"] for row in make(recorded, tmp_path / "out")[0]]
    assert len(set(titles)) == len(titles) == 6
    assert {
        "Fidelity of engine11",
        "Fidelity of engine11 (plan)",
        "digits, conv2d, engine11 (plan/again)",
    } <= set(titles)


def test_page(recorded, tmp_path, capsys):
    rows, text = make(recorded, tmp_path / "out")
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {tmp_path / 'out' / 'report.html'}"
    assert rows == [
        {"section": "Fidelity of engine11", "file": "fidelity.json", "rows": 4},
        {"section": "Ledger of jtc", "file": "jtc/ledger.json", "rows": 23},
        {"section": "digits, conv2d, engine11", "file": "ended/config.json", "rows": 3},
        {"section": "digits, conv2d, none", "file": "running/config.json", "rows": 1},
    ]
    page = Page(text)
    said = "".join(page.texts)
    # Each section is a heading, and a line of the contents that leads to it.
    headings = {attributes["id"] for attributes in page.all("h3")}
    links = [attributes["href"] for attributes in page.all("a")]
    assert len(headings) == 4 and {f"#{name}" for name in headings} | {"#contents"} == set(links)
    assert len({attributes["id"] for _, attributes in page.tags if "id" in attributes}) == 5
    for row in rows:
        assert said.count(row["section"]) == 2 and row["file"] in said
    # What was asked for, and how, where and with what it was measured.
    written = json.loads((recorded / "fidelity.json").read_text())
    for fact in (
        "engine11",
        "20260101",
        written["machine"],
        written["python"],
        f"jax {written['versions']['jax']}",
        "quickyes",
    ):
        assert fact in said
    assert (
        "Test accuracy 0.9721, test loss 0.06749, seconds 95.94." in said
        and "learning rate0.005" in said
        and "0123abcd" in said
    )
    assert "The run has not ended." in said and "There is no curves.png beside it." in said
    assert "shape11, 11" in said and "kernel" not in said
    # Long tables open on request: that of 21 rows, and the options of the two runs.
    assert len(page.all("details")) == 3 and "Table of 21 rows" in said
    # Written again, it is the same page, and nothing else is left.
    assert make(recorded, tmp_path / "out")[1] == text and [
        path.name for path in (tmp_path / "out").iterdir()
    ] == ["report.html"]


def test_tables(recorded, tmp_path):
    _, text = make(recorded, tmp_path)
    first, sweep, long, nested, other, runs, *none = Page(text).tables
    assert not none

    def row(*cells):
        return [(cell.removesuffix(">"), cell.endswith(">")) for cell in cells]

    # ">" marks what is to the right. Rows of the same words share a table; a sweep has its own, its words above it.
    assert first == [
        row("condition", "relative rms error>", "effective bits>", "systematic>"),
        row("optics alone", "0.002699>", "-1.5>", ">"),
        row('one <b>shot</b> & "more"', "0.07143>", ">", "8.14e-7>"),
    ]
    assert sweep == [row("value>", "relative rms error>"), row("316.2>", "0.9158>"), row("1e9>", ">")]
    assert "device engine11, operation convolution, condition one shot, sweep photons</figcaption>" in text
    assert long[0] == row("what", "bytes>", "length>", "exact") and len(long) == 22
    assert long[1] == row("row 0", "9.718e6>", "16,384>", "no") and long[2] == row(
        "row 1", "9.718e6>", "16,384>", "yes"
    )
    assert nested == [
        row("table", "unit", "source", "joules dac>", "joules adc>"),
        row("terms", "J", 30 * "x", "1e-12, 2.5>", "0.25>"),
    ]
    assert other == [row("table", "unit", "source"), row("frames", "J", "y")]
    assert [cell for cell, _ in runs[1]] == ["engine11", "4", "0.9721", "0.06749", "95.94"]


@pytest.mark.parametrize("folder", [None, RECORDED], ids=["small", "recorded"])
def test_nothing_comes_from_elsewhere(folder, request, tmp_path):
    folder = folder or request.getfixturevalue("recorded")
    rows, text = make(folder, tmp_path)
    page = Page(text)
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "base", "form")
        for name in attributes.keys() & {"src", "href", "srcset", "data", "poster", "action", "background"}:
            assert attributes[name].startswith(("data:", "#"))
        assert "url(" not in attributes.get("style", "")
    assert "url(" not in text and "@import" not in text
    assert page.all("html") == [{"lang": "en"}] and {
        "name": "viewport",
        "content": "width=device-width, initial-scale=1",
    } in page.all("meta")
    pictures = page.all("img")
    assert pictures and all(len(picture["alt"]) > 20 for picture in pictures)
    assert len(rows) == len(page.all("h3")) == len(pictures) + text.count("There is no ")


def spoil(name, content):
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, "is not a folder; name one that"),
        (
            lambda folder: [path.unlink() for path in folder.rglob("*.json")],
            "holds no COMMAND.json of `python -m bench` and no run",
        ),
        (
            spoil("fidelity.json", b'{"command": '),
            "fidelity.json, which cannot be read (Expecting value: line 1 column 13",
        ),
        (spoil("fidelity.json", b"\xff"), "fidelity.json, which cannot be read ('utf-8' codec"),
        (
            spoil("fidelity.json", b'{"command": "fidelity", "rows": [1]}'),
            "fidelity.json, in which something is not the JSON object",
        ),
        (
            spoil("fidelity.json", b'{"command": "fidelity", "rows": [], "config": 1}'),
            "fidelity.json, in which something is not the JSON object",
        ),
        (spoil("ended/config.json", b"[]"), "config.json, in which something is not the JSON object"),
        (
            spoil("ended/metrics.jsonl", b'{"step": 1}\n{"step"'),
            "metrics.jsonl, which cannot be read (Expecting ':' delimiter: line 2",
        ),
        (spoil("fidelity.png", b"\x89PNG\r\n\x1a\n"), "fidelity.png, which is not a whole PNG"),
    ],
)
def test_refusals(change, message, recorded, tmp_path):
    change(recorded)
    with pytest.raises(ValueError) as error:
        make(recorded, tmp_path / "out")
    assert message in str(error.value) and str(recorded) in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_page_that_cannot_be_written(recorded, tmp_path, capsys):
    assert main(["report", "--results", str(recorded), "--out", "/dev/null/out"]) == 2
    error = capsys.readouterr().err
    assert "`out` /dev/null/out cannot be written to" in error and error.count("\n") == 1
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"`out` .*report\.html cannot be written \(Is a directory\)"):
        make(recorded, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]


# Each page tells the one around it its name, its width, how wide its content is, how many pictures it has and shows, and what it asked for.
TELL = """<script>
addEventListener("load", () => parent.postMessage([window.name, innerWidth, document.scrollingElement.scrollWidth, document.images.length,
  [...document.images].filter(image => image.naturalWidth > 0).length,
  performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith("data:"))], "*"));
</script></body>"""
FRAMES = """<!doctype html><pre></pre><script>
addEventListener("message", event => document.querySelector("pre").append(JSON.stringify(event.data) + "\\n"));
</script>"""


def test_in_a_browser(tmp_path):
    """In frames, since a window of Chromium is at least 500 pixels wide, and served, since files do not count as requests."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the path")
    _, text = make(RECORDED, tmp_path)
    policy = next(line for line in text.splitlines() if "Content-Security-Policy" in line)
    # Without the policy what the page asks for is seen, not stopped. The last page shows that all of this is noticed.
    watched = text.replace(policy, "").replace("</body>", TELL)
    broken = watched.replace(
        "<main>", '<main><img src="http://absent.invalid/a.png" alt=""><p style="width: 400px">wide</p>'
    )
    frames = ""
    for name, width, page in (("phone", 360, watched), ("desktop", 1280, watched), ("broken", 360, broken)):
        (tmp_path / f"{name}.html").write_text(page, encoding="utf-8")
        frames += f'<iframe name="{name}" src="{name}.html" style="width: {width}px; height: 800px; border: 0"></iframe>'
    (tmp_path / "frames.html").write_text(FRAMES + frames, encoding="utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=10000",
    ]
    options += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--dump-dom"]
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/frames.html"
        done = subprocess.run([browser, *options, address], capture_output=True, text=True, timeout=120)
        server.shutdown()
    lines = done.stdout.partition("<pre>")[2].partition("</pre>")[0].splitlines()
    told = {name: figures for name, *figures in map(json.loads, lines)}
    pictures = text.count("<img ")
    assert pictures > 0 and told["broken"] == [
        360,
        416,
        pictures + 1,
        pictures,
        ["http://absent.invalid/a.png"],
    ]
    for name, width in (("phone", 360), ("desktop", 1280)):
        inner, content, count, shown, requests = told[name]
        assert (inner, count, shown, requests) == (width, pictures, pictures, []) and content <= width
