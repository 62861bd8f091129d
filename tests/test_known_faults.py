"""Faults of other libraries: told where they are, and looked for."""

import os
import subprocess
import sys
import warnings

import pytest

from optics import _known_faults

# Eight transforms that do not wait for each other, each of planes that are made on the way.
INDEPENDENT = """
import jax, jax.numpy as jnp
@jax.jit
def f(a):
    planes = [jnp.zeros((16, 512, 512)).at[:, ::k, ::k].add(a[k]) for k in range(1, 9)]
    return sum(jnp.abs(jnp.fft.fft2(plane)).sum() for plane in planes)
for turn in range(5):
    f(jnp.arange(9.0)).block_until_ready()
"""


@pytest.mark.parametrize(
    ("jaxlib", "cores", "flags", "told"),
    [
        ("0.11.1", 4, "", True),
        ("0.11.1", 4, "--xla_cpu_multi_thread_eigen=false", False),
        ("0.11.1", 2, "", False),
        ("0.12.0.1", 8, "", False),
    ],
)
def test_a_version_whose_transforms_hang_is_told(jaxlib, cores, flags, told, monkeypatch):
    monkeypatch.setattr(_known_faults, "version", lambda name: jaxlib)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)), raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XLA_FLAGS", flags)
    if told:
        with pytest.warns(RuntimeWarning, match=f"jaxlib {jaxlib}.*--xla_cpu_multi_thread_eigen=false"):
            _known_faults.warn_of_hanging_transforms()
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _known_faults.warn_of_hanging_transforms()


@pytest.mark.slow
@pytest.mark.skipif((os.cpu_count() or 1) < 4, reason="independent transforms hang on four cores or more")
def test_independent_transforms_end():
    if _known_faults.version("jaxlib") in _known_faults.HANGING_JAXLIB:
        pytest.skip("known to hang, and told")
    subprocess.run([sys.executable, "-c", INDEPENDENT], check=True, timeout=120)
