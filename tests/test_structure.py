"""The shape of the house: imports run one way, private modules stay private, names are verbs or nouns."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each module may import those in groups before its own, and its own group.
ORDER = [
    # Shared by the whole project.
    {"optics._typing", "optics._check", "optics._files", "optics._keys", "optics._numerics"}
    | {"optics._phases"},
    {"optics._chunks", "optics._fusion", "optics._normal", "optics._program", "optics._warn"}
    | {"optics._assumptions", "optics._known_faults", "optics.metrics"},
    {"optics.expectation"},
    {"optics.wave", "optics.glass", "optics.polarisation"},
    {"optics.light"},
    {"optics.transfer", "optics.effects", "optics.detect", "optics.retrieve"},
    {"optics.encode"},
    {"optics.device", "optics.records"},
    {"optics.convolution", "optics.products", "optics.gradients", "optics.twin"},
    {"optics._half_spectra"},
    {"optics.calibration", "optics.mapping", "optics.refinement"},
    {"optics.presets"},
    {"optics.aging", "optics.accounting"},
    {"optics"},
    {"nets.config", "nets._batch_norm", "nets._check"},
    {"nets.data", "nets.layers"},
    {"nets.models"},
    {"nets.run"},
    {"nets.train", "nets.evaluate", "nets.export", "nets.generate"},
    {"nets"},
    {"bench.config"},
    {"bench.output"},
    {"bench.plots"},
    {"bench.simulator", "bench.training"},
    {"bench.report"},
    {"bench"},
    {"notebooks"},
]  # fmt: skip
FORBIDDEN = {
    "optics": {"flax", "matplotlib", "optax"},
    "nets": {"ipywidgets"},
    "bench": {"ipywidgets"},
    "notebooks": set(),
}
# Past participles, regular and irregular.
PARTICIPLE = re.compile(
    r"_?([a-z]+ed|shown|seen|drawn|told|lit|grown|found|given|thrown|made|held|kept|taken|done)"
)
# Names that look like participles and are not, or that a library or the mathematics gives.
NOT_PARTICIPLES = {
    "seed",
    "speed",
    "_speed",
    "feed",
    "embed",
    "undetermined",  # a property of a fit
    "expected",  # the expected value
}
COMMANDS = ("optics", "nets", "bench")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
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
            if ".".join(parts[:n]) in group and (n > 1 or len(parts) == 1 or parts[0] == "notebooks"):
                return i
    return None


def modules(*packages):
    for package in packages or ("optics", "nets", "bench", "notebooks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield path, name.removesuffix(".__init__")


def test_imports_run_one_way():
    checked = 0
    for path, name in modules():
        own = rank(name)
        if name.endswith("__main__") or path.name == "_typing.py":
            continue
        assert own is not None, f"{name} has no place in the order of imports; give it one"
        for imported in imports(path):
            theirs = rank(imported)
            # A package's door may import all of it; `from optics import wave` names both the package and the
            # module.
            if theirs is None or imported in ("optics", "nets", "bench") or imported.startswith(f"{name}."):
                continue
            checked += 1
            assert theirs <= own, f"{name} imports {imported}, which comes after it"
    assert checked > 300


def test_the_core_draws_no_pictures_and_knows_no_networks():
    for path, name in modules():
        package = name.split(".")[0]
        roots = {imported.split(".")[0] for imported in imports(path)}
        assert not roots & FORBIDDEN[package], f"{name} imports {roots & FORBIDDEN[package]}"


def test_private_modules_are_imported_by_their_own_package_alone():
    for path, name in modules():
        for imported in imports(path):
            package, private, _ = imported.partition("._")
            if not private or package == "optics" or package.split(".")[0] not in COMMANDS:
                continue
            assert name == package or name.startswith(f"{package}."), (
                f"{name} imports {imported}; take it from {package}"
            )


def test_functions_are_verbs_or_nouns():
    participles = [
        f"{name}.{node.name}"
        for path, name in modules(*COMMANDS)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and PARTICIPLE.fullmatch(node.name)
        and node.name not in NOT_PARTICIPLES
    ]
    assert not participles


def test_types_are_asked_for_by_isinstance():
    asked = [
        f"{name}: hasattr"
        for path, name in modules(*COMMANDS)
        if "hasattr(" in path.read_text(encoding="utf-8")
    ]
    assert len(asked) <= 5


@pytest.mark.parametrize("package", ["nets", "bench"])
def test_a_package_has_few_rooms(package):
    # py.typed is empty: it tells type checkers that the package has annotations.
    entries = [
        path
        for path in (ROOT / package).iterdir()
        if not path.name.startswith(("_", ".")) and path.name != "py.typed"
    ]
    assert len(entries) <= 10, sorted(path.name for path in entries)


def test_a_file_holds_one_idea():
    for path, name in modules(*COMMANDS):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 600, f"{name} is long; part it"


def test_no_test_imports_a_test():
    for path in sorted((ROOT / "tests").glob("*.py")):
        assert not any(imported.startswith("tests.test_") for imported in imports(path)), path
