"""What every test has: keys, and double precision or optimized code on request."""

import gc
import os
from collections import Counter

from tests.compiling import quick_flags

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Compilation is most of the time that tests take, and optimizing most of that; set them to 0 and "" to test
# what users run.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# Programs hold the lines of Python that they come from, ten for each operation.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
if "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = quick_flags()

import jax
import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave every n-th row of a table that is marked so, and mark the others as slow."""
    rows = Counter()
    for item in items:
        mark = item.get_closest_marker("every")
        if mark is None or item.get_closest_marker("slow") is not None:
            continue
        table = item.nodeid.partition("[")[0]
        if rows[table] % mark.args[0]:
            item.add_marker("slow")
        rows[table] += 1


@pytest.fixture(scope="module", autouse=True)
def collect_garbage_after_each_file():
    """Python's collector walks through all that JAX keeps, millions of objects, while JAX traces: four fifths
    of the time of tests. So it runs once a file.
    """
    gc.disable()
    yield
    gc.collect(0)
    gc.enable()


@pytest.fixture
def key():
    return jax.random.key(7)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def optimized():
    """Code optimized as users run it, but by the quick emitters: for what computes longer than it
    compiles.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
