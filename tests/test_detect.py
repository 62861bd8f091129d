"""Every measurement: what it detects it gives back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from tests.conftest import relative
from tests.parts import MEASUREMENTS


def disc(key, shape):
    """Fields all over the unit disc."""
    turn, radius = jax.random.uniform(key, (2, *shape))
    return jnp.sqrt(radius) * jnp.exp(2j * jnp.pi * turn)


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_round_trip(name, key):
    field = disc(key, (4, 5, 6))
    measurement = MEASUREMENTS[name]
    frames = measurement.frames(field)
    assert frames.shape[:1] == (4,) and frames.shape[-2:] == (5, 6) and not jnp.iscomplexobj(frames)
    assert np.max(np.abs(frames)) <= 1 + 1e-6
    assert relative(measurement.field(frames), field) <= 1e-5
    real = measurement.field(measurement.frames(field.real))
    assert relative(real.real, field.real) <= 1e-5


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_no_nan_gradient_at_zero(name):
    measurement = MEASUREMENTS[name]

    def power(a):
        found = measurement.field(measurement.frames(a.astype(complex)))
        return jnp.sum(measurement.frames(found) ** 2)

    value, slope = jax.value_and_grad(power)(jnp.zeros((2, 2)))
    assert np.isfinite(value) and np.all(np.isfinite(slope))


def test_phase_shifting_frames_are_intensities():
    z, r = 0.3 - 0.4j, 0.5
    frames = optics.PhaseShifting(4, reference=r).frames(jnp.full((1, 1), z))
    wanted = [abs(z + r * 1j**d) ** 2 / (1 + r) ** 2 for d in range(4)]
    np.testing.assert_allclose(frames[:, 0, 0], wanted, rtol=1e-5)


@pytest.mark.parametrize("field", [0.7, -0.7])
def test_four_steps_against_the_textbook(field):
    # Bruning (1974): Re z = (I0 − I2)/(4 r) for intensities in units of the field's.
    r = 0.8
    frames = optics.PhaseShifting(4, reference=r).frames(jnp.full((1, 1), field)) * (1 + r) ** 2
    assert (frames[0] - frames[2])[0, 0] / (4 * r) == pytest.approx(field, abs=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="`steps` must be a whole number of at least 3, got 2"):
        optics.PhaseShifting(2)
    with pytest.raises(ValueError, match="`reference` must be finite and above 0"):
        optics.PhaseShifting(4, reference=0.0)
