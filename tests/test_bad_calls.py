"""A campaign of calls that must be refused: every public callable, each argument, everything that is wrong.

A refusal is a `ValueError` that has the argument in backticks. The table is in `tests/bad_calls.py`.
"""

import collections
import inspect
import resource
import signal
import time
import warnings

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import optics
from bench.report import api
from tests.bad_calls import WITHOUT_ARGUMENTS, Call, calls

# Seconds after which a call hangs, and bytes that the campaign may take beyond what the process has.
LONGEST_CALL = 20
MOST_MEMORY = 4 * 2**30

OUTCOMES = ("named", "another named", "vague", "deep", "silent", "memory", "hang")
NAMED, OTHER, VAGUE, DEEP, SILENT, MEMORY, HANG = OUTCOMES

# Rooms of `nets` whose callables are in the table; those of runs and data sets have campaigns of their own.
LAYERS = ("nets.layers", "nets.models")
# Parameters without a line: handed on as they are, or of the traced program alone.
HANDED_ON = {"options", "overrides", "args", "kwargs", "axes", "free", "out_sharding", "dimension_numbers"}
HANDED_ON |= {"precision", "preferred_element_type"}


class Hang(BaseException):
    """A call took too long."""


def outcome(call: Call, name: str, value: object) -> tuple[str, str]:
    """What becomes of a call with one wrong argument, and its message."""

    def stop(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_CALL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call.function(**{**call.good, name: value})
    except Exception as error:
        kind, message = type(error), str(error)
    except Hang:
        return HANG, ""
    else:
        return SILENT, f"returned a {type(result).__name__}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if issubclass(kind, MemoryError) or "RESOURCE_EXHAUSTED" in message or "Out of memory" in message:
        return MEMORY, message
    if kind not in (ValueError, FileNotFoundError):
        return VAGUE if issubclass(kind, TypeError) else DEEP, f"{kind.__name__}: {message}"
    if f"`{name}`" in message or f"`{name}[" in message:
        return NAMED, message
    return OTHER if any(f"`{other}`" in message for other in call.good) else VAGUE, message


def campaign() -> dict[tuple[str, str, str], tuple[str, str, float]]:
    """The outcome, message and seconds of every call."""
    results = {}
    for call in calls():
        for name, wrong in call.wrong.items():
            for label, value in wrong.items():
                begin = time.perf_counter()
                results[call.path, name, label] = (*outcome(call, name, value), time.perf_counter() - begin)
    return results


@pytest.fixture(scope="module")
def results():
    calls()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, hard))
    try:
        yield campaign()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def public_callables() -> dict[str, object]:
    """Every callable that users import from `optics`, and from the layers and models of `nets`."""
    return {
        path: value
        for package in ("optics", *LAYERS)
        for path, value in api.public_names(package).items()
        if callable(value)
    } | {
        path: value
        for path, value in api.public_names("nets").items()
        if getattr(value, "__module__", "").startswith(LAYERS)
    }


def test_every_public_name_has_a_line():
    """A callable is in the table by any path that it is imported by, a layer also as it is called."""
    in_table = {call.path.partition("(")[0] for call in calls()} | WITHOUT_ARGUMENTS
    called = {call.path for call in calls()}
    everything = public_callables()
    listed = {id(everything[path]) for path in in_table if path in everything}
    lacking = [path for path, value in everything.items() if id(value) not in listed]
    lacking += [
        f"{path}()"
        for path, value in everything.items()
        if inspect.isclass(value)
        and issubclass(value, nnx.Module)
        and path in in_table
        and f"{path}()" not in called
    ]
    assert not lacking
    assert in_table <= set(everything), in_table - set(everything)


def test_every_argument_has_a_kind():
    """The lines of a callable have all of its arguments between them."""
    arguments = collections.defaultdict(set)
    functions = {}
    for call in calls():
        if "()" not in call.path:
            path = call.path.partition("(")[0]
            functions.setdefault(path, call.function)
            arguments[path] |= set(call.wrong)
    lacking = {}
    for path, function in functions.items():
        maker = function.__init__ if inspect.isclass(function) else function
        names = set(inspect.signature(maker).parameters) - {"self"} - HANDED_ON
        if names - arguments[path]:
            lacking[path] = names - arguments[path]
    assert not lacking


def test_bad_calls_are_refused_by_name(results):
    counts = collections.Counter(result for result, _, _ in results.values())
    shares = {name: counts[name] / len(results) for name in OUTCOMES}
    print(f"\n{len(results):,} calls: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()))
    others = {
        f"{path} {name} [{label}]": (result, message[:200])
        for (path, name, label), (result, message, _) in results.items()
        if result != NAMED
    }
    for place, (result, message) in others.items():
        print(f"{result}: {place}: {message}")
    worst = {place for place, (result, _) in others.items() if result in (DEEP, SILENT, MEMORY, HANG)}
    assert len(results) >= 3000
    assert not worst
    assert shares[NAMED] >= 0.95


def test_refusals_are_quick(results):
    """Nothing is compiled or allocated before a wrong argument is refused."""
    slow = {
        f"{path} {name} [{label}]": round(seconds, 2)
        for (path, name, label), (_, _, seconds) in results.items()
        if seconds > 5
    }
    assert not slow


@pytest.mark.slow
def test_good_calls_return():
    """What the table calls good is: a refusal of everything would be named too."""
    for call in calls():
        call.function(**call.good)


@pytest.mark.parametrize("lead", [(0,), (3, 0)])
def test_no_planes_give_no_planes(lead):
    """Nothing to compute is nothing computed, exactly and on a device."""
    device = optics.FourierProcessor(optics.dft(4), camera=(optics.effects.Read(0.01),))
    x, w = jnp.ones((*lead, 4, 4)), jnp.ones((4, 4))
    for key in (None, jax.random.key(0)):
        for engine in (None, device):
            for y in (optics.convolve(x, w, engine, key), optics.transform(x, engine, key, real=True)):
                assert y.shape == x.shape and y.dtype == x.dtype
            assert optics.transform(x, engine, key).dtype == jnp.complex64
            assert optics.convolve(x, 1j * w, engine, key).dtype == jnp.complex64
