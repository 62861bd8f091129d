"""What every test has: keys, double precision on request, and figures of error."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import jax
import numpy as np
import pytest


@pytest.fixture
def key():
    return jax.random.key(7)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def relative(found, wanted):
    """Relative error in the 2-norm."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
