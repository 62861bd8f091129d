"""The API reference: HTML made from the docstrings, to be read without a network."""

import importlib
import importlib.util
import pkgutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import output as results
from bench.config import Api

PACKAGES = ("optics", "nets")


def main(options: Api) -> Path:
    """Write one page a module, and an index with a search.

    Returns:
        the page to begin with.

    Raises:
        ValueError: pdoc is not installed, or the folder cannot be written to.
    """
    if importlib.util.find_spec("pdoc") is None:
        raise ValueError('the reference is built by pdoc, which is not installed; pip install -e ".[docs]".')
    results.check_folder(options.out)
    import pdoc
    import pdoc.render

    # Sections "Arguments:", "Returns:", "Raises:" are written as Google does.
    pdoc.render.configure(docformat="google", show_source=options.source, footer_text="lensformer")
    with warnings.catch_warnings():
        # Annotations of shapes, such as "*lead rows cols", are no Python expressions.
        warnings.simplefilter("ignore", UserWarning)
        with exporting(*PACKAGES):
            pdoc.pdoc(*PACKAGES, output_directory=options.out)
    pages = sum(1 for _ in options.out.rglob("*.html"))
    print(f"wrote {pages} pages to {options.out}; begin with {options.out / 'index.html'}")
    return options.out / "index.html"


@contextmanager
def exporting(*roots: str) -> Iterator[None]:
    """Let every package name what it re-exports, and its modules: pdoc shows on a page what `__all__` names, or else what is defined there."""
    before: list[tuple[ModuleType, Any]] = []
    try:
        for root in roots:
            names = [
                root,
                *(
                    m.name
                    for m in pkgutil.walk_packages(importlib.import_module(root).__path__, f"{root}.")
                    if m.ispkg
                ),
            ]
            for package in map(importlib.import_module, names):
                inside = [
                    m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")
                ]
                shown = [
                    name
                    for name in getattr(package, "__all__", sorted(vars(package)))
                    if _exported(package, name)
                ]
                before.append((package, vars(package).get("__all__")))
                package.__all__ = list(dict.fromkeys([*shown, *inside]))
        yield
    finally:
        for package, names in before:
            if names is None:
                del package.__all__
            else:
                package.__all__ = names


def _exported(package: ModuleType, name: str) -> bool:
    """Whether a name of a package is a function or class from within it."""
    where = "" if name.startswith("_") else getattr(getattr(package, name), "__module__", None) or ""
    return where.startswith(f"{package.__name__}.")


def public(package: str) -> dict[str, object]:
    """Every public name of a package: those that it and its public modules export, by the path that a user imports them by."""
    root = importlib.import_module(package)
    found: dict[str, object] = {}
    _walk(root, package, found)
    return found


def _walk(module: ModuleType, path: str, found: dict[str, object]) -> None:
    for name in getattr(module, "__all__", None) or sorted(vars(module)):
        if name.startswith("_"):
            continue
        value = getattr(module, name)
        inside = getattr(value, "__name__" if isinstance(value, ModuleType) else "__module__", None) or ""
        # Not what comes from elsewhere, nor the helpers of a module that is private.
        if not inside.startswith(module.__name__.split(".")[0] + ".") or "._" in inside:
            continue
        if not isinstance(value, ModuleType):
            found[f"{path}.{name}"] = value
        # A package re-exports what is public; what else lies in its files is for the package itself.
        elif hasattr(value, "__path__") and _chosen(module, name):
            found[f"{path}.{name}"] = value
            _walk(value, f"{path}.{name}", found)


def _chosen(module: ModuleType, name: str) -> bool:
    """Whether a package imports a module by name, `from optics import wave as wave`, as public."""
    source = Path(module.__file__ or "").read_text(encoding="utf-8")
    return f"import {name} as {name}" in source
