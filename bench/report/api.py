"""The API reference: HTML made from the docstrings with their examples, which works without a network. Each
version has a folder of its own.
"""

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import re
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import output
from bench.config import Api
from nets import run

NAME, PACKAGES = "lensformer", ("optics", "nets")
# A folder of pages, such as 1.0.0 or 1.0.0rc1.
VERSION = re.compile(r"(\d+(?:\.\d+)*)([a-z]\w*)?")
INDEX = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{name}: API reference</title></head>
<body><h1>{name}: API reference</h1><ul>
{links}
</ul></body>
</html>
"""


def main(options: Api) -> Path:
    """Write one page a module and an index with a search to a folder of the version, and a page that lists
    the versions that are there.

    Returns:
        the page of versions.

    Raises:
        ValueError: pdoc is not installed, or the folder cannot be written to.
    """
    if importlib.util.find_spec("pdoc") is None:
        raise ValueError('the reference is built by pdoc, which is not installed; pip install -e ".[docs]".')
    output.check_folder(options.out)
    import pdoc
    import pdoc.render

    version = current_version()
    folder, commit = options.out / version, run.provenance(())["commit"]
    footer = f"{NAME} {version}" + (f", commit {commit}" if commit else "")
    # Sections "Arguments:", "Returns:", "Raises:" are in the style of Google.
    pdoc.render.configure(docformat="google", show_source=options.source, footer_text=footer)
    with warnings.catch_warnings():
        # Annotations of shapes, such as "*lead rows cols", are not Python expressions.
        warnings.simplefilter("ignore", UserWarning)
        with list_exports(*PACKAGES):
            pdoc.pdoc(*PACKAGES, output_directory=folder)
    _name_version(folder / "index.html", version)
    run.write(options.out / "index.html", list_versions(options.out))
    pages = sum(1 for _ in folder.rglob("*.html"))
    print(f"wrote {pages} pages to {folder}; begin with {options.out / 'index.html'}")
    return options.out / "index.html"


def current_version() -> str:
    """The version of the source beside this package, or else of the installation."""
    file = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"] if file.exists() else {}
    return project["version"] if project.get("name") == NAME else importlib.metadata.version(NAME)


def list_versions(folder: Path) -> str:
    """A page with a link to the pages of each version in a folder, the newest first."""
    names = (VERSION.fullmatch(index.parent.name) for index in folder.glob("*/index.html"))
    versions = sorted(filter(None, names), key=_order, reverse=True)
    links = (f'<li><a href="{match[0]}/index.html">{match[0]}</a></li>' for match in versions)
    return INDEX.format(name=NAME, links="\n".join(links))


def _order(version: re.Match) -> tuple:
    """By the numbers; 1.0.0rc1 comes before 1.0.0."""
    return [int(number) for number in version[1].split(".")], version[2] is None, version[2] or ""


def _name_version(index: Path, version: str) -> None:
    """Put the version over the list of modules, where pdoc has no footer."""
    text = index.read_text(encoding="utf-8")
    text = text.replace("<title>Module List</title>", f"<title>{NAME} {version}</title>")
    run.write(index, text.replace("<h2>Available Modules</h2>", f"<h2>{NAME} {version}</h2>"))


@contextmanager
def list_exports(*roots: str) -> Iterator[None]:
    """Set `__all__` of every package to its exports and modules, which is what pdoc shows on its page."""
    before: list[tuple[ModuleType, Any]] = []
    try:
        for root in roots:
            inner = pkgutil.walk_packages(importlib.import_module(root).__path__, f"{root}.")
            for package in map(importlib.import_module, [root, *(m.name for m in inner if m.ispkg)]):
                modules = [m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_"]
                before.append((package, vars(package).get("__all__")))
                package.__all__ = list(dict.fromkeys([*exports(package), *modules]))
        yield
    finally:
        for package, names in before:
            if names is None:
                del package.__all__
            else:
                package.__all__ = names


def exports(module: ModuleType) -> list[str]:
    """Names that a module exports: `__all__`, else imports `x as x` of a package, else its own."""
    if "__all__" in vars(module):
        return list(module.__all__)
    file = Path(module.__file__ or "")
    if file.name == "__init__.py":
        source = file.read_text(encoding="utf-8")
        return re.findall(r"^(?:from \S+ )?import (\w+) as \1$", source, re.MULTILINE)
    return [
        name
        for name, value in vars(module).items()
        if name[0] != "_" and getattr(value, "__module__", None) == module.__name__
    ]


def public_names(package: str) -> dict[str, object]:
    """Every public name of a package and of the modules that it exports, by the path of its import."""
    names: dict[str, object] = {}

    def add(module: ModuleType, path: str) -> None:
        for name in exports(module):
            value = getattr(module, name)
            names[f"{path}.{name}"] = value
            if isinstance(value, ModuleType):
                add(value, f"{path}.{name}")

    add(importlib.import_module(package), package)
    return names
