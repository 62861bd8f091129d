"""Hardware in the loop: a second simulator, with errors that the twin does not know, stands in for the
hardware.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from tests.helpers import relative

# The hardware: noisy, its receivers unlike one another and its emitters too; the twin knows the nominal
# device.
TWIN = optics.FourierProcessor(optics.dft(5), slm=(optics.effects.Quantize(8, signed=True),))
GAINS = 1 + 0.2 * jax.random.normal(jax.random.key(1), (5, 5))
HARDWARE = optics.FourierProcessor(
    optics.dft(5),
    slm=(
        optics.effects.Quantize(8, signed=True),
        optics.effects.Gain(1 + 0.1 * jax.random.normal(jax.random.key(2), (5, 5))),
    ),
    camera=(optics.effects.Gain(GAINS), optics.effects.Read(1e-3)),
)


def laboratory(hardware, calls=None, seed=0):
    """A function of numpy arrays, with noise of its own, as a driver of modulator and camera would be."""
    state = {"key": jax.random.key(seed)}

    def forward(drive, full_scale):
        if calls is not None:
            calls.append(drive.shape)
        state["key"], key = jax.random.split(state["key"])
        with jax.ensure_compile_time_eval():
            exposure = optics.Exposure(jnp.asarray(drive), jnp.asarray(full_scale), jnp.ones((1, 1)))
            return np.asarray(hardware.expose(exposure, key))

    return forward


def test_a_perfect_twin_changes_nothing(key):
    device = optics.External(laboratory(TWIN), TWIN)
    x, w = jax.random.normal(key, (2, 3, 5, 5))
    transform = jax.jit(optics.transform)
    assert relative(optics.convolve(x, w, device), jax.jit(optics.convolve)(x, w, TWIN)) < 1e-6
    assert relative(transform(x, device), transform(x, TWIN)) < 1e-6

    def loss(device):
        return lambda x: jnp.sum(optics.convolve(x, w, device) ** 3)

    assert relative(jax.jit(jax.grad(loss(device)))(x), jax.jit(jax.grad(loss(TWIN)))(x)) < 1e-5
    # In forward mode, and for a batch made by vmap.
    tangent = jax.jvp(loss(device), (x,), (w,))[1]
    assert tangent == pytest.approx(
        float(jax.jit(lambda x, w: jax.jvp(loss(TWIN), (x,), (w,))[1])(x, w)), rel=1e-4
    )
    calls = []
    mapped = optics.External(laboratory(TWIN, calls), TWIN)
    assert relative(jax.vmap(lambda x: optics.transform(x, mapped))(x), transform(x, TWIN)) < 1e-6
    assert calls == [(3, 1, 5, 5)]  # one call for the batch


def test_the_forward_pass_is_the_hardware_and_the_gradient_the_twin(key):
    device = optics.External(laboratory(HARDWARE), TWIN)
    x = jax.random.normal(key, (5, 5))
    light = optics.transform(x, device)
    assert relative(light, optics.transform(x, HARDWARE)) < 0.05 < relative(light, optics.transform(x, TWIN))
    direction = jax.random.normal(jax.random.key(3), (5, 5))
    slope = jax.jvp(lambda x: optics.transform(x, device), (x,), (direction,))[1]
    assert relative(slope, optics.transform(direction)) < 1e-5


def test_training_through_the_twin_learns_what_the_hardware_does(key):
    device = optics.External(laboratory(HARDWARE), TWIN)
    x = jax.random.normal(key, (16, 5, 5))
    wanted = optics.convolve(x, jax.random.normal(jax.random.key(4), (5, 5)))

    def loss(w, device):
        return jnp.mean((optics.convolve(x, w, device) - wanted) ** 2) / jnp.mean(wanted**2)

    def trained(device):
        step = jax.jit(lambda w: w - 0.6 * jax.grad(loss)(w, device))
        w = jnp.zeros((5, 5)).at[0, 0].set(0.1)
        for _ in range(60):
            w = step(w)
        return w

    alone, in_the_loop = (float(loss(trained(one), device)) for one in (TWIN, device))
    # What a kernel can mend of gains that it does not see pixel by pixel.
    assert in_the_loop < 0.8 * alone


def test_shots_are_measured_one_by_one(key):
    calls = []
    device = optics.External(laboratory(HARDWARE, calls), TWIN)
    x, keys = jax.random.normal(key, (5, 5)), jax.random.split(key, 4)
    shots = jax.vmap(lambda key: optics.transform(x, device, key))(keys)
    assert calls == [(4, 1, 5, 5)] or len(calls) == 4
    calls.clear()
    loop = jax.jit(lambda keys: jax.lax.map(lambda key: optics.transform(x, device, key), keys))(keys)
    assert len(calls) == 4
    for found in (shots, loop):
        assert float(jnp.std(found, axis=0).mean()) > 1e-4


@pytest.mark.parametrize("device", [TWIN, optics.External(laboratory(TWIN), TWIN)], ids=["twin", "external"])
def test_a_method_is_compiled_by_equinox_alone(device, key):
    x = jax.random.normal(key, (5, 5))
    exposure = device.prepare(x)
    for name, argument in (("expose", exposure), ("transform", x)):
        method = getattr(device, name)
        expected = method(argument)
        assert relative(eqx.filter_jit(method)(argument), expected) < 1e-6
        compiled = jax.jit(lambda device, argument, name=name: getattr(device, name)(argument))
        assert relative(compiled(device, argument), expected) < 1e-6
        with pytest.raises(TypeError, match=f"`{type(device).__name__}` has no hash: .*equinox.filter_jit"):
            jax.jit(method)(argument)


@pytest.mark.slow
def test_gradient_of_the_twin_itself(key):
    device = optics.External(laboratory(TWIN), TWIN)
    x = jax.random.normal(key, (5, 5))
    slope = eqx.filter_grad(lambda device: jnp.sum(jnp.abs(optics.transform(x, device)) ** 2))(
        device
    ).twin.transfer.matrix
    exact = eqx.filter_grad(lambda device: jnp.sum(jnp.abs(optics.transform(x, device)) ** 2))(
        TWIN
    ).transfer.matrix
    assert relative(slope, exact) < 1e-5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optics.External(3, TWIN), "`forward` must be a function of `drive` and `full_scale`"),
        (
            lambda: optics.transform(jnp.ones((4, 4)), optics.External(laboratory(TWIN), TWIN)),
            "`a` has planes of 4×4",
        ),
        (
            lambda: optics.transform(
                jnp.ones((5, 5)), optics.External(lambda drive, full_scale: drive.real, TWIN)
            ),
            r"`forward` must return frames of shape \(1, 2, 5, 5\), got \(1, 5, 5\)",
        ),
        (
            lambda: optics.transform(
                jnp.ones((5, 5)),
                optics.External(lambda drive, full_scale: np.full((1, 2, 5, 5), np.nan), TWIN),
            ),
            "frames that are not finite",
        ),
        (
            lambda: optics.transform(
                jnp.ones((5, 5)),
                optics.External(lambda drive, full_scale: np.ones((1, 2, 5, 5), np.int16), TWIN),
            ),
            "frames in units of full scale, got int16",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match=message):
        jax.block_until_ready(call())
