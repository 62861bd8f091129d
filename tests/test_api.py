"""The API reference: every public name has a sentence, its arguments and its refusals."""

import html
import inspect
import re

import pytest

import nets
import optics
from bench import __main__ as bench
from bench.report import api

# Calls that refuse input, and refusals themselves.
REFUSES = re.compile(r"raise ValueError|(?<![.\w])(?:check_\w+|as_plane)\(")


@pytest.fixture(scope="module")
def names():
    return {name: value for package in api.PACKAGES for name, value in api.public_names(package).items()}


def own_source(value):
    """The source that a call runs: of a class, the constructors in its own file."""
    if not inspect.isclass(value):
        return inspect.getsource(inspect.unwrap(value))
    makers = [vars(value)[name] for name in ("__init__", "__check_init__") if name in vars(value)]
    # A dataclass has an `__init__` without a source.
    return "".join(
        inspect.getsource(m)
        for m in map(inspect.unwrap, makers)
        if m.__code__.co_filename == inspect.getfile(value)
    )


def arrays(value):
    """Arguments that are annotated as arrays, or as what may be one."""
    parameters = inspect.signature(value).parameters.values()
    return [
        p.name
        for p in parameters
        if re.search(r"jaxtyping|Array|Float|Inexact|Complex|typing\.Any", str(p.annotation))
    ]


def test_public_names(names):
    """Names that users import are found, and private ones are not."""
    public = "optics.convolve optics.FourierLens optics.wave.angular_spectrum optics.effects.Shot"
    public += " optics.retrieve.hio optics.metrics.relative_error nets.Block nets.convert"
    assert set(public.split()) <= set(names)
    assert not any(part.startswith("_") for name in names for part in name.split("."))
    assert "optics.presets.number" not in names and len(names) > 120


def test_first_sentence(names):
    bare = [
        name
        for name, value in names.items()
        if not re.match(r"\S[^\n]+(\n[^\n]+)*[.:;]|\S.*[^\n]$", inspect.cleandoc(value.__doc__ or ""))
    ]
    assert not bare


def test_arguments(names):
    """Arguments that are arrays are described; values that a function returns have attributes instead."""
    lacking = {}
    for name, value in names.items():
        if inspect.ismodule(value) or (inspect.isclass(value) and issubclass(value, Warning | tuple)):
            continue
        if arrays(value) and not re.search(
            r"^(Arguments|Attributes)\b", inspect.cleandoc(value.__doc__), re.MULTILINE
        ):
            lacking[name] = arrays(value)
    assert not lacking


def test_refusals_are_documented(names):
    lacking = []
    for name, value in names.items():
        if inspect.ismodule(value) or (inspect.isclass(value) and issubclass(value, Warning)):
            continue
        if REFUSES.search(own_source(value)) and not re.search(r"Raises:|[Ee]rrors\b", value.__doc__):
            lacking.append(name)
    assert not lacking


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    out = tmp_path_factory.mktemp("api")
    assert bench.main(["api", "--out", str(out), "--no-source"]) == 0
    return out


@pytest.mark.slow
def test_pages(pages):
    """One command; every public name is on a page, and formulas and arguments are set as such."""
    folder = pages / api.current_version()
    page = (folder / "optics" / "retrieve.html").read_text(encoding="utf-8")
    assert (
        "hio" in page
        and re.search(r"<h6[^>]*>Arguments:</h6>", page)
        and "<strong>amplitude:</strong>" in page
    )
    assert "Optik 61" in page
    # Exports of a package are on its page, as users import them, and the package is left as it was.
    for place, anchor in (
        ("optics", "convolve"),
        ("optics/effects", "Shot"),
        ("nets", "ConvSelfAttention"),
        ("nets/run", "load"),
    ):
        assert f'id="{anchor}"' in (folder / f"{place}.html").read_text(encoding="utf-8"), place
    assert not hasattr(optics, "__all__") and "train" not in nets.__all__


@pytest.mark.slow
def test_pages_bear_their_version(pages):
    version = api.current_version()
    assert f'href="{version}/index.html">{version}<' in (pages / "index.html").read_text(encoding="utf-8")
    folder = pages / version
    assert f"<h2>lensformer {version}</h2>" in (folder / "index.html").read_text(encoding="utf-8")
    for page in (*folder.glob("*/**/*.html"), folder / "optics.html", folder / "nets.html"):
        assert f"<footer>lensformer {version}" in page.read_text(encoding="utf-8"), page


@pytest.mark.slow
def test_pages_show_the_examples(pages, names):
    """Each line that a docstring has a reader type is on some page, with its prompt."""
    texts = (path.read_text(encoding="utf-8") for path in pages.rglob("*.html"))
    shown = {
        html.unescape(re.sub(r"<[^>]+>", "", line)).strip()
        for text in texts
        for line in text.splitlines()
        if '<span class="gp">' in line
    }
    documented = {
        line.strip()
        for value in names.values()
        for line in (value.__doc__ or "").splitlines()
        if line.strip().startswith(">>> ")
    }
    assert len(documented) > 200 and not documented - shown


def test_versions_are_listed_with_the_newest_first(tmp_path):
    for name in ("0.9.0", "0.10.0", "1.0.0rc1", "1.0.0", "notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").touch()
    (tmp_path / "2.0.0").mkdir()  # without pages
    shown = re.findall(r">([^<]+)</a>", api.list_versions(tmp_path))
    assert shown == ["1.0.0", "1.0.0rc1", "0.10.0", "0.9.0"]


def test_pdoc_is_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(api.importlib.util, "find_spec", lambda name: None)
    assert bench.main(["api", "--out", str(tmp_path / "none")]) == 2
    assert 'pip install -e ".[docs]"' in capsys.readouterr().err and not (tmp_path / "none").exists()
