"""Every preset trains: sizes that follow the device, refusals that name what works, gradients."""

import gzip
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from flax import nnx

import nets
import optics
from nets import data
from nets.config import Config, default_plane, overrides_for, preset_plane, resolve, size_parameter
from nets.run import build_device, build_model, choose_device, compile_steps
from tests.helpers import with_slow

CONVOLVES = optics.AbstractDevice.convolve
WITH_PLANES = [name for name in optics.presets.names() if size_parameter(name) and name != "ideal"]


@pytest.mark.parametrize("name", optics.presets.names())
@pytest.mark.every(2)
def test_sizes_are_those_of_the_devices(name):
    device = optics.presets.load(name, level="ideal")
    if not device.supports(CONVOLVES):
        assert size_parameter(name) is None and preset_plane(name, {}) is None
    elif name != "ideal":
        assert preset_plane(name, {}) == device.shape
        plane = (1, 3) if device.shape[0] == 1 else (5, 5)
        other = overrides_for(name, plane)
        assert preset_plane(name, other) == plane
        assert optics.presets.load(name, level="ideal", **other).shape == plane


@pytest.mark.parametrize("name", WITH_PLANES)
def test_an_embedding_has_the_size_of_its_device(name):
    config = resolve(Config(device=name))
    own = preset_plane(name, {})
    assert config.shape == default_plane(name, {}) == (own if own[0] > 1 else (1, 64))
    assert choose_device(resolve(Config(device="none", shape=config.shape)), name).shape == config.shape


def test_shapes_without_a_device_and_of_recorded_runs_are_as_they_were():
    assert resolve(Config()).shape == resolve(Config(device="none")).shape == (11, 11)
    assert resolve(Config(device="ideal")).shape == resolve(Config(device="engine12")).shape == (11, 11)
    for model in ("conv1d", "linear", "fourier", "lambda"):
        assert resolve(Config(model=model)).shape == (128,)
    assert resolve(Config(model="lambda", device="engine11")).shape == (128,)
    assert resolve(Config(model="lambda-resnet", device="slm-4f")).shape == (32, 64)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (dict(overrides=("pixels=8",)), (8, 8)),
        (dict(device="ideal", overrides=("pixels=7",)), (7, 7)),
        (dict(device="jtc", overrides=("waveguides=33",)), (1, 6)),
        (dict(device="jtc", model="conv1d"), (64,)),
        (dict(device="jtc", model="conv1d", shape=(8,)), (8,)),
        (dict(device="jtc", model="linear", feedforward_maps=2), (64,)),
        (dict(device="jtc", shape=(1, 8)), (1, 8)),
        (dict(device="engine11", model="fourier"), (11, 11)),
        (dict(device="engine11", shape=(5, 5)), (5, 5)),
        (dict(device="dmd-4f", shape=(4, 6), kernel=(3, 3)), (4, 6)),
        (dict(device="ideal", model="conv1d", shape=(12,)), (12,)),
    ],
)
def test_a_device_has_the_size_of_its_embedding(options, shape):
    config = resolve(Config(**options))
    assert config.shape == shape
    assert build_device(config).shape == (1,) * (2 - len(shape)) + shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(shape=(8, 16)), "`device` engine11 .* 8×16 .* Leave --shape out, which makes it 11×11"),
        (dict(shape=(20, 20)), "`device` engine11 .* at most 16 .* Leave --shape out, which makes it 11×11"),
        (dict(device="jtc", shape=(1, 99)), "`device` jtc .* `waveguides` .* which makes it 1×64"),
        (dict(device="jtc", shape=(8, 8)), "`device` jtc .* one row .* which makes it 1×64"),
        (dict(device="jtc", model="conv1d", shape=(99,)), "`device` jtc .* which makes it 64, or"),
        (dict(device="dmd-4f", shape=(500, 500)), "`device` dmd-4f .* use a smaller `group`"),
        (dict(overrides=("pixels=8",), shape=(9, 9)), "`overrides` set pixels to 8. Leave --shape out"),
        (dict(overrides=("pixels=8.5",)), "`pixels` must be a whole number"),
        (dict(model="conv1d", device="engine11"), "`device` engine11 .* 1×128 .* Set --model to conv2d"),
        (
            dict(model="linear", feedforward_maps=2, device="engine11"),
            "Set --model to conv2d, or --device to",
        ),
        (dict(device="crossbar"), "`device` crossbar has no convolution; .* --multiplier to crossbar"),
        (dict(model="lambda", device="crossbar"), "`device` crossbar has no convolution"),
        (dict(model="fourier", device="jtc"), "`device` jtc has no Fourier transform .* --model to conv2d"),
        (dict(spectral=True, device="jtc"), "`device` jtc has no Fourier transform .* leave --spectral out"),
        (dict(device="dmd-4f", overrides=("photons=1",)), "`photons` is not a field"),
        (dict(device="../presets/jtc"), "`device` must be none or a preset"),
    ],
)
def test_what_a_device_cannot_do_is_refused_with_what_works(options, message):
    with pytest.raises(ValueError, match=message):
        build_device(resolve(Config(**options)))


def test_shapes_are_known_without_jax():
    code = """
import sys
from nets.config import Config, resolve
assert resolve(Config(device="slm-4f")).shape == (16, 16)
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Options that make a step of a device short: few numbers, few frames.
SHORT = {
    "wdm4": dict(shape=(5, 5)),
    "dmd-4f": dict(shape=(4, 4), overrides=("bits=3",)),
    "jtc": dict(shape=(1, 8)),
    "engine11": dict(shape=(5, 5)),
}


@pytest.mark.parametrize("name", with_slow(WITH_PLANES, {"slm-4f", "slm-fast", "slm-misaligned"}))
@pytest.mark.every(2)
def test_two_steps_through_a_device_move_every_kernel(name):
    options = SHORT.get(name, dict(shape=(4, 4)))
    config = resolve(Config(device=name, heads=1, patch=4, batch_size=4, dropout=0.0, **options))
    dataset, device = data.load(config), build_device(config)
    model = build_model(config, dataset, nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    step, _ = compile_steps(model, optimizer)
    state = nnx.state((model, optimizer))
    before = np.asarray(state[0]["blocks"][0]["attention"]["kernels"][...])
    for number, batch in zip(range(2), data.batches(data.head(dataset.train, 8), 4), strict=True):
        state, metrics = step(state, batch, device, jax.random.key(number))
        loss, _, rows, norm = np.asarray(metrics)
        assert np.isfinite(loss) and rows == 4 and 0 < norm < np.inf
    after = np.asarray(state[0]["blocks"][0]["attention"]["kernels"][...])
    # Adam moves each weight by about its rate, unless its gradient is zero.
    assert np.all(np.isfinite(after)) and np.mean(np.abs(after - before) > 1e-4) > 0.95


@pytest.mark.parametrize("name", ["jtc", "correlator", "phase-correlator"])
@pytest.mark.every(3)
def test_clothes_pass_through_devices_of_their_own_size(name, tmp_path):
    """The path of Fashion-MNIST with made images: training, test, and the exact network beside."""
    rng = np.random.default_rng(0)
    for stem, count in (("train", 30), ("t10k", 8)):
        images, labels = rng.integers(0, 256, (count, 4, 4), np.uint8), np.arange(count, dtype=np.uint8) % 10
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
            (tmp_path / f"{stem}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
    options = SHORT.get(name, dict(shape=(4, 4)))
    config = Config(data="fashion-mnist", data_path=tmp_path, device=name, heads=1, patch=2, **options)
    result = nets.fit(replace(config, epochs=1, batch_size=16, progress=False, out=tmp_path / "run"))
    assert {"test_accuracy", "exact_test_accuracy"} <= result.keys() and np.isfinite(result["test_loss"])
