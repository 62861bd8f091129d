"""Examples in docstrings run, and give what they say."""

import doctest
import inspect
import re

import pytest

import nets
import optics

ROOMS = ["accounting", "aging", "detect", "device", "effects", "encode", "mapping", "metrics", "presets"]
ROOMS += ["records", "retrieve", "transfer", "twin", "wave"]
PACKAGES = {"optics": optics} | {f"optics.{room}": getattr(optics, room) for room in ROOMS}


def public_objects():
    """Public functions and classes by name, each once."""
    seen = {}
    for package, module in PACKAGES.items():
        for name, value in vars(module).items():
            if not name.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value)):
                seen.setdefault(id(value), (f"{package}.{name}", value))
    for name in nets.__all__:
        value = getattr(nets, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            seen.setdefault(id(value), (f"nets.{name}", value))
    return dict(seen.values())


EXAMPLES = {name: value for name, value in public_objects().items() if ">>>" in (value.__doc__ or "")}


def test_what_people_start_with_has_an_example():
    assert len(EXAMPLES) >= 30, sorted(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.every(3)
def test_example(name):
    value = EXAMPLES[name]
    test = doctest.DocTestParser().get_doctest(value.__doc__, {}, name, None, None)
    assert len(test.examples) <= 6, "an example is about three lines"
    report = []
    results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
    assert results.attempted and not results.failed, re.sub(r"\n+", "\n", "".join(report))
