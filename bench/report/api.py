"""The API reference: HTML made from the docstrings, which works without a network."""

import importlib
import importlib.util
import pkgutil
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import output
from bench.config import Api

PACKAGES = ("optics", "nets")


def main(options: Api) -> Path:
    """Write one page a module, and an index with a search.

    Returns:
        the first page.

    Raises:
        ValueError: pdoc is not installed, or the folder cannot be written to.
    """
    if importlib.util.find_spec("pdoc") is None:
        raise ValueError('the reference is built by pdoc, which is not installed; pip install -e ".[docs]".')
    output.check_folder(options.out)
    import pdoc
    import pdoc.render

    # Sections "Arguments:", "Returns:", "Raises:" are in the style of Google.
    pdoc.render.configure(docformat="google", show_source=options.source, footer_text="lensformer")
    with warnings.catch_warnings():
        # Annotations of shapes, such as "*lead rows cols", are not Python expressions.
        warnings.simplefilter("ignore", UserWarning)
        with list_exports(*PACKAGES):
            pdoc.pdoc(*PACKAGES, output_directory=options.out)
    pages = sum(1 for _ in options.out.rglob("*.html"))
    print(f"wrote {pages} pages to {options.out}; begin with {options.out / 'index.html'}")
    return options.out / "index.html"


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
