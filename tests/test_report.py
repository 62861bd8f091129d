"""The page of everything recorded: a summary first, each number on it, nothing loaded from elsewhere."""

import json
import re
import shutil

import pytest

from bench.__main__ import main
from bench.config import Report
from bench.report import build
from bench.report.summary import summarize_runs
from tests.helpers_bench import RESULTS, Page, write_measurement, write_run


@pytest.fixture
def recorded(tmp_path):
    """Two measurements, a run that has ended and one that has not."""
    folder = tmp_path / "results"
    common = {"device": "engine11", "operation": "convolution"}
    errors = [
        common | {"condition": "optics alone", "relative_rms_error": 0.0026986078, "effective_bits": -1.5},
        common
        | {"condition": 'one <b>shot</b> & "more"', "relative_rms_error": 1 / 14, "systematic": 8.140118e-7},
        common
        | {"condition": "one shot", "sweep": "photons", "value": 316.2277, "relative_rms_error": 0.91576},
        common | {"condition": "one shot", "sweep": "photons", "value": 1e9, "relative_rms_error": None},
    ]
    write_measurement(folder, "fidelity", errors)
    long = [{"what": f"row {i}", "bytes": 9_717_904 + i, "length": 16384, "exact": i > 0} for i in range(21)]
    nested = {"table": "terms", "unit": "J", "source": 30 * "x", "joules": {"dac": [1e-12, 2.5], "adc": 0.25}}
    other = {"table": "frames", "unit": "J", "source": "y"}
    write_measurement(folder / "jtc", "ledger", [*long, nested | {"none": None}, other], "jtc")
    facts = {"data": "digits", "model": "conv2d", "device": "engine11", "gradient": "simulator", "epochs": 15}
    facts |= {
        "batch_size": 32,
        "learning_rate": 0.005,
        "seed": 4,
        "shape": [11, 11],
        "kernel": None,
        "out": "x",
    }
    facts |= {"progress": True, "commit": "0123abcd"}
    step = {"step": 12, "train_loss": 2.6, "train_accuracy": 0.1}
    epoch = step | {"epoch": 1, "validation_loss": 1.9, "validation_accuracy": 0.3}
    final = {"test_loss": 0.067494, "test_accuracy": 0.972145, "seconds": 95.942}
    write_run(folder / "ended", facts, [step, epoch, final])
    write_run(folder / "running", facts | {"device": "none"}, [step])
    # Other files are no sections.
    (folder / "ended" / "tokenizer.json").write_text('{"model": {"vocab": {}}}')
    return folder


def make(folder, out):
    rows = build.main(Report(results=folder, out=out))
    return rows, (out / "report.html").read_text(encoding="utf-8")


def test_records_of_one_title_are_disambiguated(recorded, tmp_path):
    shutil.copytree(recorded / "ended", recorded / "plan" / "again")
    shutil.copy(recorded / "fidelity.json", recorded / "plan" / "fidelity.json")
    shutil.copy(recorded / "fidelity.png", recorded / "plan" / "fidelity.png")
    titles = [row["section"] for row in make(recorded, tmp_path / "out")[0]]
    assert len(set(titles)) == len(titles) == 6
    again = {"Fidelity of engine11 (plan)", "digits, conv2d, engine11 (plan/again)"}
    assert {"Fidelity of engine11", *again} <= set(titles)


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
    # The summary links to each measurement, and once to the training runs; every link has its target.
    links = [attributes["href"] for attributes in page.all("a")]
    targets = {f"#{attributes['id']}" for _, attributes in page.tags if "id" in attributes}
    assert {"#measurement-1", "#measurement-2", "#training", "#summary"} == set(links) == targets
    assert all(row["section"] in page.text and row["file"] in page.text for row in rows)
    # Options, and when and with what it was measured.
    written = json.loads((recorded / "fidelity.json").read_text())
    facts = ["engine11", "20260101", written["machine"], written["python"], "quickyes"]
    facts += [f"jax {written['versions']['jax']}", "learning rate0.005", "0123abcd", "shape11, 11"]
    facts += ["Test accuracy 0.9721, test loss 0.06749, seconds 95.94.", "The run has not ended."]
    facts += ["There is no curves.png beside it.", "Table of 21 rows"]
    assert not [fact for fact in facts if fact not in page.text] and "kernel" not in page.text
    # Folded: each run and its other options, the circumstances of a measurement, and the long table.
    assert len(page.all("details")) == 2 * 2 + 2 + 1
    # Written again, it is the same page, and nothing else is left.
    assert make(recorded, tmp_path / "out")[1] == text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]


def test_tables(recorded, tmp_path):
    _, text = make(recorded, tmp_path)
    summary, data_sets, first, sweep, long, nested, other, runs = Page(text).tables

    def row(*cells):
        return [(cell.removesuffix(">"), cell.endswith(">")) for cell in cells]

    # ">" marks cells to the right. Rows of the same words share a table; a sweep has its own.
    assert [cells[0][0] for cells in summary] == ["measurement", "Fidelity of engine11", "Ledger of jtc"]
    assert data_sets[1] == row("digits", "2>", "97.2%", "97.2%")
    assert first == [
        row("condition", "relative rms error>", "effective bits>", "systematic>"),
        row("optics alone", "0.002699>", "-1.5>", ">"),
        row('one <b>shot</b> & "more"', "0.07143>", ">", "8.14e-7>"),
    ]
    assert sweep == [row("value>", "relative rms error>"), row("316.2>", "0.9158>"), row("1e9>", ">")]
    assert "operation convolution, condition one shot, sweep photons</figcaption>" in text
    assert long[0] == row("what", "bytes>", "length>", "exact") and len(long) == 22
    assert long[1] == row("row 0", "9.718e6>", "16,384>", "no")
    assert long[2] == row("row 1", "9.718e6>", "16,384>", "yes")
    assert nested == [
        row("table", "unit", "source", "joules dac>", "joules adc>"),
        row("terms", "J", 30 * "x", "1e-12, 2.5>", "0.25>"),
    ]
    assert other == [row("table", "unit", "source"), row("frames", "J", "y")]
    assert [cell for cell, _ in runs[1]] == ["engine11", "4", "0.9721", "0.06749", "95.94"]


@pytest.mark.parametrize("folder", [None, RESULTS], ids=["small", "recorded"])
def test_nothing_comes_from_elsewhere_or_is_wider_than_a_phone(folder, request, tmp_path):
    folder = folder or request.getfixturevalue("recorded")
    rows, text = make(folder, tmp_path)
    page = Page(text)
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "base", "form") and "style" not in attributes
        for name in attributes.keys() & {"src", "href", "srcset", "data", "poster", "action", "background"}:
            assert attributes[name].startswith(("data:", "#"))
    assert "url(" not in text and "@import" not in text
    assert page.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    images = page.all("img")
    assert images and all(len(image["alt"]) > 20 for image in images)
    assert len(rows) == len(images) + text.count("There is no ")
    # Images shrink to the page, and tables scroll within it, apart from the summary, which breaks its lines.
    assert "img { display: block; max-width: 100%; height: auto;" in text
    scrolls = text.count('<div class="scroll"')
    assert scrolls == len(page.tables) - text.count('<table class="summary">')


def test_the_recorded_results_have_a_summary(tmp_path):
    rows, text = make(RESULTS, tmp_path)
    results = {cells[0][0]: cells[1][0] for cells in Page(text).tables[0][1:]}
    assert all(results.values()) and len(results) < 26 < len(rows)
    # As in the README.
    readme = (RESULTS.parents[1] / "README.md").read_text(encoding="utf-8")
    times = re.search(r"Simulating a noisy convolution takes ([\d.]+) times", readme)[1]
    assert f"1,024 tokens × 24 kernels of 11×11 takes {times} times" in results["Speed of engine11"]
    assert results["Fidelity of engine11"] == "One convolution is off by 7.0e-02, 3.5 bits."
    # Before the summary ends there is neither an image nor one of the runs.
    assert not any(mark in text[: text.index("</header>")] for mark in ("<img", "<details"))


def test_plots_are_drawn_again(recorded, capsys):
    folder = recorded.parent / "again"
    folder.mkdir()
    for name in ("memory", "ledger"):
        shutil.copy(RESULTS / f"{name}.json", folder)
    assert main(["report", "--results", str(folder), "--redraw", "--out", str(recorded.parent / "out")]) == 0
    assert capsys.readouterr().out.count("drew ") == 2
    assert {path.name for path in folder.glob("*.png")} == {"memory.png", "ledger.png"}


def spoil(name, content):
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, "is not a folder; name one that"),
        (lambda folder: [path.unlink() for path in folder.rglob("*.json")], "holds no COMMAND.json"),
        (spoil("fidelity.json", b'{"command": '), "cannot be read (Expecting value: line 1 column 13"),
        (spoil("fidelity.json", b"\xff"), "fidelity.json, which cannot be read ('utf-8' codec"),
        (spoil("fidelity.json", b'{"command": "fidelity", "rows": [1]}'), "is not the JSON object"),
        (spoil("fidelity.json", b'{"command": "x", "rows": [], "config": 1}'), "is not the JSON object"),
        (spoil("ended/config.json", b"{"), "config.json cannot be read"),
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
    assert "`out` /dev/null/out" in error and error.count("\n") == 1
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"`out` .*report\.html cannot be written \(Is a directory\)"):
        make(recorded, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]


def test_language_models_are_summed_up_by_their_perplexity():
    results = [{"data": "reviews", "test_accuracy": 0.2, "test_perplexity": value} for value in (35.3, 31.3)]
    results += [{"data": "digits", "test_accuracy": 0.5}, {"data": "digits"}]
    digits, reviews = summarize_runs(results)
    assert digits == {"data": "digits", "runs": 2, "lowest": "50.0%", "highest": "50.0%"}
    assert reviews["lowest"] == "perplexity 31.3" and reviews["highest"] == "perplexity 35.3"
