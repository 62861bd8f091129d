"""The notebooks run, match their sources, and hold the figures that a reader sees without running them."""

import ast
import functools
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import jupytext
import matplotlib
import nbformat
import pytest
from nbclient import NotebookClient

from tests import parts

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
IN_THE_LOOP = ROOT / "notebooks/12_your_bench_in_the_loop.py"
NONIDEALITY = ROOT / "notebooks/02_one_nonideality_at_a_time.py"
LINE = re.compile(r"^effect = .*$", re.MULTILINE)


def code_cells(notebook):
    # Blank lines around a cell belong to the layout of the source.
    return [cell.source.strip() for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.notebooks
@pytest.mark.timeout(900)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_runs(source, tmp_path, monkeypatch):
    """In a kernel of its own, as a reader would run it, in the short version."""
    if "from slmsuite" in source.read_text(encoding="utf-8"):
        pytest.importorskip(
            "slmsuite", reason='slmsuite is not installed: pip install "lensformer[slmsuite]"'
        )
    monkeypatch.setenv("LENSFORMER_FAST", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = jupytext.read(source)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert has_figure(notebook) and not errors(notebook)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_pair(source):
    """The notebook has the cells of its source and their output."""
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert code_cells(notebook) == code_cells(jupytext.read(source)), (
        f"run `jupytext --to ipynb --execute {source.relative_to(ROOT)}`"
    )
    assert has_figure(notebook) and not errors(notebook)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    assert source.with_suffix(".ipynb").stat().st_size < 1_000_000
    first, last = notebook.cells[0], notebook.cells[-1]
    # It opens with its question and ends with numbers that were computed.
    assert first.cell_type == "markdown" and re.search(r"\*\*.*\?\*\*", first.source, re.DOTALL)
    assert last.cell_type == "code" and any(output.output_type == "stream" for output in last.outputs)


def has_figure(notebook):
    return any(
        "image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])
    )


def errors(notebook):
    return [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


@functools.cache
def nonideality():
    """The notebook of one effect, up to the budget of a whole device, which does not depend on it."""
    cells = code_cells(jupytext.read(NONIDEALITY))
    cut = next(i for i, cell in enumerate(cells) if "budget.budget(" in cell)
    text = "\n\n".join(cells[:cut])
    return "\n".join(line for line in text.splitlines() if not line.startswith("%"))


def test_one_line_defines_the_effect():
    assert len(LINE.findall(nonideality())) == 1


@pytest.mark.parametrize(
    "name", [n if n == "saturate" else pytest.param(n, marks=pytest.mark.notebooks) for n in parts.EFFECTS]
)
def test_any_effect(name, monkeypatch, capsys):
    """Changing that one line studies another effect."""
    monkeypatch.setenv("LENSFORMER_FAST", "1")
    matplotlib.use("Agg")
    effect = parts.EFFECTS[name].make()
    values = {"replacement": effect}
    exec(
        compile(ast.parse(LINE.sub("effect = replacement", nonideality())), NONIDEALITY.name, "exec"), values
    )
    assert values["effect"] is effect
    assert values["total"] >= 0 and values["compared"]
    assert "d(mean square error)" in capsys.readouterr().out


COLAB = """\
# Colab lacks the package: there this cell installs it, and anywhere else it does nothing.
import importlib.util
import subprocess
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("optics") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "lensformer[EXTRAS]"], check=True)"""


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_begins_with_the_cell_for_colab(source):
    """The first cell of code, in the source and in the notebook, whose extras the package has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for path in (source, source.with_suffix(".ipynb")):
        first = code_cells(jupytext.read(path))[0]
        names = re.search(r"lensformer\[([a-z,]+)\]", first)[1]
        assert first == COLAB.replace("EXTRAS", names)
        assert set(names.split(",")) <= project["optional-dependencies"].keys()


@pytest.mark.parametrize(
    ("in_colab", "is_there", "count"),
    [(False, False, 0), (False, True, 0), (True, True, 0), (True, False, 1)],
)
def test_the_cell_for_colab_installs_what_is_missing_there_alone(in_colab, is_there, count, monkeypatch):
    calls = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    if in_colab:
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    if not is_there:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(compile(COLAB.replace("EXTRAS", "lab"), "cell", "exec"), {})
    command = [sys.executable, "-m", "pip", "install", "--quiet", "lensformer[lab]"]
    assert calls == [command] * count


def test_ten_lines_take_a_script_of_slmsuite_to_training():
    """What is added to the script, with its two imports, is no more than ten lines."""
    cells = code_cells(jupytext.read(IN_THE_LOOP))
    (place,) = [i for i, cell in enumerate(cells) if "External.from_slmsuite(" in cell]
    lines = [line for line in cells[place].splitlines() if line.strip() and not line.strip().startswith("#")]
    imports = ["import jax", "import optics"]
    assert all(any(line in cell.splitlines() for cell in cells[:place]) for line in imports)
    assert len(imports + lines) <= 10


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_only_public_names(source):
    """A notebook uses what a reader may use: no private module and no private attribute."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom | ast.Import)]
    modules = [getattr(node, "module", None) or "" for node in imports]
    modules += [alias.name for node in imports for alias in node.names]
    attributes = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    private = [name for name in modules + attributes if re.search(r"(^|\.)_[a-z]", name)]
    assert private == []
