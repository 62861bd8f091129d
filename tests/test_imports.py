"""Imports run one way: wave -> transfer / effects / encode / detect -> device -> convolution -> nets -> bench -> notebooks."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Each module may import those in groups before its own, and its own group.
ORDER = [
    {
        "optics._typing",
        "optics._check",
        "optics._numerics",
        "optics._chunks",
        "optics._fusion",
        "optics._warn",
        "optics.metrics",
        "optics._assumptions",
    },
    {"optics.wave"},
    {"optics.transfer", "optics.effects", "optics.encode", "optics.detect", "optics.retrieve"},
    {"optics.device", "optics.records"},
    {"optics.twin"},
    {"optics.calibration"},
    {"optics.presets"},
    {"optics.convolution", "optics.gradients"},
    {"optics.mapping", "optics.aging"},
    {"optics.accounting"},
    {"optics"},
    {"nets"},
    {"bench"},
    {"notebooks"},
]
FORBIDDEN = {
    "optics": {"flax", "matplotlib", "optax"},
    "nets": {"ipywidgets"},
    "bench": {"ipywidgets"},
    "notebooks": set(),
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rank(module):
    """The last group that the module, or a package it is in, belongs to; None outside the project."""
    parts = module.split(".")
    for n in range(len(parts), 0, -1):
        for i, group in enumerate(ORDER):
            if ".".join(parts[:n]) in group and (n > 1 or len(parts) == 1 or parts[0] != "optics"):
                return i
    return None


def modules():
    for package in ("optics", "nets", "bench", "notebooks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield path, name.removesuffix(".__init__")


def test_direction():
    checked = 0
    for path, name in modules():
        own = rank(name)
        assert own is not None, f"{name} has no place in the order of imports; give it one"
        for imported in imports(path):
            theirs = rank(imported)
            if theirs is None or (name == "optics" and imported.startswith("optics")):
                continue
            checked += 1
            # `from optics import wave` names both the package and the module; the module is what counts.
            if imported == "optics" and name.startswith("optics."):
                continue
            assert theirs <= own, f"{name} imports {imported}, which comes after it"
    assert checked > 50


def test_the_core_draws_no_pictures_and_knows_no_networks():
    for path, name in modules():
        package = name.split(".")[0]
        roots = {imported.split(".")[0] for imported in imports(path)}
        assert not roots & FORBIDDEN[package], f"{name} imports {roots & FORBIDDEN[package]}"


def test_files_are_small_and_not_named_after_what_the_package_exports():
    import nets
    import optics
    from bench import plots

    exported = {
        "optics": {name for name in dir(optics) if callable(getattr(optics, name))},
        "nets": set(nets.__all__),
    }
    assert not {path.stem for path in (ROOT / "bench/plots").glob("*.py")} & {
        name for name in dir(plots) if callable(getattr(plots, name))
    }
    for path, name in modules():
        # A notebook is read from its beginning to its end, text and all.
        assert path.parent.name == "notebooks" or len(path.read_text(encoding="utf-8").splitlines()) <= 300, (
            path
        )
        assert path.stem not in exported.get(name.split(".")[0], ()), path
