"""The pages of the project and of its packages: snippets run, commands parse, links exist."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

import bench.__main__ as bench
from nets import config, evaluate, export, generate

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "nets/README.md", "bench/results/README.md", "CONTRIBUTING.md"]
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
CONTRACT = ROOT.parent / "shared/contract.py"
COMMANDS = {"nets.train": config.Config, "nets.evaluate": evaluate.Options, "nets.export": export.Options}
COMMANDS["nets.generate"] = generate.Options


def code_blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def package_pages():
    """The docstring of each package, by its path."""
    for package in ("optics", "nets", "bench"):
        for path in sorted((ROOT / package).rglob("__init__.py")):
            yield (
                str(path.relative_to(ROOT)),
                ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "",
            )


SNIPPETS = [
    pytest.param(snippet, id=f"{name} {i}")
    for name, text in (TEXTS | dict(package_pages())).items()
    for i, snippet in enumerate(code_blocks(text, "python"))
]
COMMAND_LINES = sorted(
    {
        line
        for text in TEXTS.values()
        for block in code_blocks(text, "bash")
        for line in re.findall(r"python -m ((?:nets\.\w+|bench)\b[^\n&]*)", block)
    }
)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippet(snippet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "snippet", "exec"), {})


def test_there_are_snippets():
    assert len(SNIPPETS) >= 8


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_command_line(line):
    """Options are parsed and no command is run."""
    module, *arguments = shlex.split(line)
    if arguments == ["--help"]:
        return
    if module == "bench":
        assert isinstance(bench.parse(arguments), bench.COMMANDS[arguments[0]][0])
    else:
        assert isinstance(tyro.cli(COMMANDS[module], args=arguments), COMMANDS[module])


def test_there_are_command_lines():
    assert len(COMMAND_LINES) >= 15


def test_readme_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_short(page):
    assert [line for line in TEXTS[page].splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_links_exist(page):
    """Files, and headings where a link names one."""
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [*re.findall(r"\]\(([^)]+)\)", text), *re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)]
    for link in links:
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def anchors(text):
    """The names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.skipif(not CONTRACT.exists(), reason="the contract of public names is not on this machine")
def test_contract():
    check = subprocess.run(
        [sys.executable, str(CONTRACT), "first", "house"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert check.returncode == 0, check.stdout + check.stderr
