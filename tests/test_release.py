"""What a release holds: the wheel without records and plans, links, the citation, one version everywhere."""

import importlib.util
import re
import sys
import tomllib
import types
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_one_version_and_one_description():
    assert str(CITATION["version"]) == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert CITATION["license"] == PROJECT["license"] and CITATION["title"] == PROJECT["name"]
    assert CITATION["abstract"].rstrip(".") == PROJECT["description"]
    assert CITATION["keywords"] == PROJECT["keywords"]
    assert [author["name"] for author in CITATION["authors"]] == [a["name"] for a in PROJECT["authors"]]
    try:
        current = metadata.version(PROJECT["name"])
    except metadata.PackageNotFoundError:
        return  # run from the source, without an installation
    assert current == PROJECT["version"]


def test_citation_keeps_to_its_format():
    """The parts of the schema of Citation File Format 1.2.0 that this file uses."""
    assert CITATION.keys() >= {"cff-version", "message", "title", "authors"}
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] in ("software", "dataset")
    for reference in CITATION["references"]:
        assert reference.keys() >= {"type", "title", "authors"}
        assert reference["type"] in ("article", "book", "standard", "report", "software")
        assert isinstance(reference.get("year", 2000), int) and isinstance(reference.get("version", ""), str)
        assert all({"name"} == author.keys() or "family-names" in author for author in reference["authors"])
    if importlib.util.find_spec("cffconvert"):
        from cffconvert.cli.create_citation import create_citation

        create_citation(str(ROOT / "CITATION.cff"), None).validate()


def test_sources_of_the_citation_are_those_of_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("Contributing, licence, sources")[1]
    text = " ".join(text.split())
    for reference in CITATION["references"]:
        assert reference["title"].split(":")[0] in text
        assert str(reference.get("year") or reference["version"].split(".")[0]) in text


def test_python_versions_are_named_once():
    named = {c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if "Python :: 3." in c}
    assert named == {"3.11", "3.12", "3.13"} and PROJECT["requires-python"] == ">=3.11"
    versions = (ROOT / ".ci" / "versions").read_text(encoding="utf-8")
    assert set(re.findall(r"^test_on python(\S+)", versions, re.MULTILINE)) == {min(named), max(named)}


def set_root(hook, root, config):
    hook.root = root


@pytest.fixture
def hook(monkeypatch):
    """.ci/metadata.py, also where hatchling is not installed."""
    if importlib.util.find_spec("hatchling") is None:
        name = "hatchling.metadata.plugin.interface"
        module = types.ModuleType(name)
        module.MetadataHookInterface = type("Hook", (), {"__init__": set_root})
        for part in ("hatchling", "hatchling.metadata", "hatchling.metadata.plugin", name):
            monkeypatch.setitem(sys.modules, part, module)
    spec = importlib.util.spec_from_file_location("project_metadata", ROOT / ".ci" / "metadata.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_lead_to_where_the_project_is_kept(hook, monkeypatch):
    links = hook.ProjectLinks(str(ROOT), {})
    monkeypatch.delenv("PROJECT_URL", raising=False)
    links.update(bare := {})
    assert bare["urls"] == {} and bare["readme"]["text"] == (ROOT / "README.md").read_text(encoding="utf-8")
    monkeypatch.setenv("PROJECT_URL", "https://host.example/owner/project/")
    links.update(full := {})
    text = full["readme"]["text"]
    assert full["urls"]["Source"] == "https://host.example/owner/project"
    assert "](https://host.example/owner/project/raw/HEAD/bench/results/overview.png)" in text
    assert "](https://host.example/owner/project/blob/HEAD/CONTRIBUTING.md)" in text
    assert all(target.startswith("http") for target in re.findall(r"\]\(([^)#][^)]*)\)", text))
    # Every page that is linked is there.
    for target in [*full["urls"].values(), *re.findall(r"\]\((https://host\.example[^)]*)\)", text)]:
        assert (ROOT / re.sub(r".*/HEAD/|^https://host.*project$", "", target)).exists(), target


def test_wheel(tmp_path):
    """The files that the commands read are in it; records, plans and tests are not."""
    pytest.importorskip("hatchling", reason='hatchling is not installed: pip install "lensformer[dev]"')
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert sum(info.file_size for info in archive.infolist()) < 4_000_000
    packages = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert packages == {"bench", "nets", "optics"}
    for package in packages:
        files = [path for path in (ROOT / package).rglob("*.py") if "__pycache__" not in path.parts]
        assert {path.relative_to(ROOT).as_posix() for path in files} <= names
        assert f"{package}/py.typed" in names
    data = [path for path in (ROOT / "optics").rglob("*.toml")]
    assert len(data) > 15 and {path.relative_to(ROOT).as_posix() for path in data} <= names
    assert "bench/report/page.html" in names
    assert not [
        name for name in names if re.match(r"bench/(results|configs)/|tests/|notebooks/|.*\.md$", name)
    ]
