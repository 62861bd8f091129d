"""Training over physical units: which units a step meets, what it minimises, and gains fitted on a device."""

import json
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import nets
import optics
from nets import data
from nets.config import Config, resolve
from nets.run import (
    Objective,
    build_device,
    build_model,
    build_population,
    compile_steps,
    loss_sums,
    named_arrays,
)
from nets.run._distribute import make_layout
from nets.run._population import HELD_OUT, choose_units, draw_units, next_units
from nets.run._recalibrate import outputs_of
from tests.helpers import with_slow

SMALL = dict(
    model="conv2d",
    shape=(3, 3),
    overrides=("pixels=3", "gain_error=0.2"),
    heads=1,
    dropout=0.0,
    distortion=0.0,
    max_examples=64,
    epochs=2,
    batch_size=16,
    progress=False,
    out=Path("unused"),
)
UNITS = dict(units=6, units_per_step=2)


def make_parts(**changes):
    """A configuration, its network with an optimizer that adds the gradient, and a batch."""
    config = resolve(Config(**SMALL | changes))
    dataset = data.load(config)
    model = build_model(config, dataset, nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(1.0), wrt=nnx.Param)
    return config, model, optimizer, data.make_batch(dataset.train, np.arange(16), 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(units=4, unit=1), "`unit` 1 is one unit and `units` 4 are many"),
        (dict(units=4, device="none"), "`units` 4 of `device` none are all alike"),
        (dict(units=4, device="ideal"), "`units` 4 of `device` ideal are all alike"),
        (dict(units=0), "`units` must be a whole number from 1"),
        (dict(units_per_step=2), "`units_per_step` has no effect without `units`"),
        (dict(units=2, units_per_step=4), "`units_per_step` must be at most the 2 of `units`"),
        (dict(units=8, units_per_step=3), "`batch_size` must be a multiple of the 3 parts"),
        (dict(objective="quantile"), "`objective` has no effect without `units`"),
        (dict(units=8, objective="chance"), "`objective` chance compares units"),
        (dict(units=8, level=0.5), "`level` has no effect with `objective` mean"),
        (dict(units=8, units_per_step=2, objective="quantile", level=1.0), "`level` must be at least 0"),
        (
            dict(units=8, units_per_step=2, objective="quantile", loss_bound=0.1),
            "`loss_bound` has no effect with `objective` quantile",
        ),
        (dict(layer_scale="measured"), "`layer_scale` has no effect with `norm` post"),
        (dict(layer_scale="measured", norm="pre", device="none"), "`layer_scale` measured has no effect"),
        (dict(layer_scale=0.0, norm="pre"), "`layer_scale` must be finite and above zero, or measured"),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match="^" + message):
        resolve(Config(**dict(data="digits", model="conv2d", out=Path("unused")) | options))


def test_units_share_the_devices_of_a_mesh(monkeypatch):
    monkeypatch.setattr(jax, "local_device_count", lambda: 2)
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(process_index=0)] * 2)
    config = resolve(Config(**SMALL | dict(units=8, units_per_step=8, devices=2, batch_size=8)))
    with pytest.raises(
        ValueError, match=r"^`batch_size` must be a multiple of the 2 devices, shared by 8 units"
    ):
        make_layout(config)


def test_units_are_those_of_the_preset_and_others_are_held_out():
    config = resolve(Config(**SMALL | dict(units=2)))
    keys = jax.random.split(jax.random.key(7), 2)
    units = build_population(config, keys)
    for i, key in enumerate(keys):
        alone = optics.presets.load("engine11", unit=key, pixels=3, gain_error=0.2)
        for a, b in zip(jax.tree.leaves(units), jax.tree.leaves(alone), strict=True):
            assert np.allclose(a[i], b, rtol=1e-4, atol=1e-6)
    trained, held_out = draw_units(config)
    gains = np.asarray(jnp.concatenate([trained.camera[0].gain, held_out.camera[0].gain]))
    assert gains.shape == (2 + HELD_OUT, 3, 3)
    assert len(np.unique(gains[:, 0, 0])) == 2 + HELD_OUT


def test_a_step_chooses_units_by_its_key():
    units = {"number": jnp.arange(5)}
    draws = [choose_units(units, jax.random.key(i), 3)["number"].tolist() for i in range(50)]
    assert all(len(set(draw)) == 3 for draw in draws)
    # Each of 5 units is in 3 of 5 draws: 30 of 50, standard deviation 3.5.
    assert all(15 < sum(unit in draw for draw in draws) < 45 for unit in range(5))
    assert draws[0] == choose_units(units, jax.random.key(0), 3)["number"].tolist()
    assert [next_units(units, i, 2)["number"].tolist() for i in range(3)] == [[0, 1], [2, 3], [4, 0]]


def test_the_objective_is_that_of_numpy():
    losses = np.random.default_rng(0).exponential(size=8)
    worst = np.sort(losses)
    for level, count in ((0.0, 8), (0.5, 4), (0.75, 2), (0.8, 2), (0.9, 1), (0.99, 1)):
        found = Objective(8, "quantile", level)(jnp.asarray(losses))
        assert np.isclose(found, worst[-count:].mean(), rtol=1e-6)
    bound = 0.3
    expected = losses.mean() + max(0, np.quantile(losses, 0.75) - bound)
    assert np.isclose(Objective(8, "chance", 0.75, bound)(jnp.asarray(losses)), expected, rtol=1e-6)
    met = Objective(8, "chance", 0.75, 1e3)(jnp.asarray(losses))
    assert np.isclose(met, Objective(8, "mean")(jnp.asarray(losses)), rtol=1e-6)


def with_gains(count):
    """Units without noise that differ in the response of their receivers, as one pytree."""
    gains = 1 + 0.3 * np.random.default_rng(0).normal(size=(count, 3, 3)).astype(np.float32)
    make = lambda gain: optics.FourierProcessor(optics.dft(3), camera=(optics.effects.Gain(gain),))  # noqa: E731
    return jax.vmap(make)(gains)


@pytest.mark.parametrize("kind", with_slow(["mean", "quantile", "chance"], ["mean", "quantile"]))
def test_the_gradient_of_a_step_is_that_of_the_objective(kind):
    _, model, optimizer, batch = make_parts(**UNITS)
    over_units = Objective(2, kind, 0.5, 0.1)
    state, key = nnx.state((model, optimizer)), jax.random.key(5)
    units = with_gains(3)
    after, sums = compile_steps(model, optimizer, None, 1, over_units)[0](state, batch, units, key)
    chosen = choose_units(units, key, 2)

    def loss(model):
        losses = []
        for i in range(2):
            part = tuple(a[8 * i : 8 * i + 8] for a in batch) if kind == "mean" else batch
            unit = jax.tree.map(lambda leaf, i=i: leaf[i], chosen)
            found = loss_sums(model, part, unit, key)[0]
            losses.append(found[0] / found[2])
        return over_units(jnp.stack(losses))

    expected = named_arrays(nnx.state(nnx.grad(loss)(model)))
    before, after = named_arrays(state[0]), named_arrays(after[0])
    assert sums[2] == 16
    for name, slope in expected.items():
        assert np.allclose(before[name] - after[name], slope, rtol=2e-3, atol=2e-5), name


def test_all_units_are_one_program_and_each_has_its_result():
    _, model, optimizer, batch = make_parts(units=3)
    state, key, units = nnx.state((model, optimizer)), jax.random.key(5), with_gains(3)
    step, _ = compile_steps(model, optimizer, None, 1, Objective())
    losses = {}
    for number in range(12):
        unit = choose_units({"index": jnp.arange(3)}, jax.random.fold_in(key, number), 1)["index"].item()
        losses.setdefault(unit, set()).add(float(step(state, batch, units, key, np.uint32(number))[1][0]))
    assert step._cache_size() == 1
    assert len(losses) == 3 and all(len(found) == 1 for found in losses.values())
    assert len(set.union(*losses.values())) == 3


def test_statistics_of_batches_are_means_over_the_units():
    _, model, optimizer, batch = make_parts(
        model="lambda", device="slm-4f", shape=(4,), heads=1, overrides=(), key_depth=2
    )
    device = optics.presets.load("ideal", pixels=3)
    units = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), device)
    state = nnx.state((model, optimizer))
    after, _ = compile_steps(model, optimizer, None, 1, Objective(2))[0](
        state, batch, units, jax.random.key(0)
    )
    q = np.asarray(model.blocks[0].attention.query(model.embedding(jnp.asarray(batch[0]))[0]), np.float64)
    # Halves of equal size: the mean of their means is that of all rows.
    expected = q.reshape(-1, q.shape[-1]).mean(0)
    found = np.asarray(after[0]["blocks"][0]["attention"]["query_norm"]["mean"][...])
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_run_over_units_goes_on_to_the_last_bit_and_is_evaluated(tmp_path):
    options = SMALL | UNITS | dict(objective="chance", norm="pre", layer_scale="measured")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    result = nets.fit(Config(**options | dict(out=whole)))
    with pytest.raises(KeyboardInterrupt):
        nets.fit(Config(**options | dict(out=parts)), observe=lambda line: line.get("step") == 3)
    assert nets.fit(Config(**options | dict(out=parts))) == result
    a, b = (nets.run.RunFolder(folder).weights() for folder in (whole, parts))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert json.loads((whole / "config.json").read_text())["units"] == 6
    rows = nets.run.evaluate(whole, units=2)
    assert [row["unit"] for row in rows] == [0, 1]
    assert nets.run.evaluate(whole, "none")[0]["accuracy"] == pytest.approx(result["exact_test_accuracy"])


def noisy(photons):
    camera = (optics.effects.BalancedShot(photons),)
    return optics.FourierProcessor(optics.dft(3), camera=camera)


def without_noise(gain):
    return optics.FourierProcessor(optics.dft(3), output_gain=gain)


def test_a_measured_layer_scale_is_near_1_in_light_and_near_0_in_noise():
    _, model, _, batch = make_parts(norm="pre", layer_scale="measured")
    rows = jnp.asarray(batch[0])
    scales = []
    for device in (without_noise(1.0), noisy(1.1)):
        nets.run.measure_layer_scales(model, rows, device, jax.random.key(0))
        block = model.blocks[0]
        scales.append(float(block.scale1[...].mean()))
        block.scale1[...], block.scale2[...] = jnp.ones(9), jnp.ones(9)
    assert scales[0] == pytest.approx(1, abs=1e-4)
    model.eval()
    attention, x = model.blocks[0].attention, model.blocks[0].norm1(model.embedding(rows)[0])
    exact = np.asarray(attention(x), np.float64)
    draws = [np.asarray(attention(x, noisy(1.1), jax.random.key(i)), np.float64) for i in range(64)]
    expected = np.mean([np.sum(d * exact) for d in draws]) / np.mean([np.sum(d * d) for d in draws])
    assert 0 < expected < 0.5
    assert scales[1] == pytest.approx(expected, abs=0.1)


def test_recalibration_is_a_least_squares_fit_and_recovers_a_gain():
    _, model, _, batch = make_parts(norm="pre", layer_scale=1.0)
    model.eval()
    rows, key = jnp.asarray(batch[0]), jax.random.key(0)
    faded = without_noise(0.8)
    fitted = nets.run.recalibrate(model, rows, faded, key)
    block, again = model.blocks[0], fitted.blocks[0]
    x = block.norm1(model.embedding(rows)[0])
    d, e = (
        np.asarray(block.attention(x, *on), np.float64).reshape(-1, 9) for on in ((faded, key), (None, None))
    )
    gains = [np.linalg.lstsq(d[:, i : i + 1], e[:, i], rcond=None)[0][0] for i in range(9)]
    assert np.allclose(again.scale1[...], gains, rtol=1e-2)
    final = (
        np.asarray(outputs_of(network, {"norm"}, rows, *on)["norm"], np.float64).reshape(-1, 9)
        for network, on in ((fitted, (faded, key)), (model, (None, None)))
    )
    d, e = final
    # A least-squares fit leaves a rest whose mean is 0, without correlation with what was fitted.
    assert np.allclose((e - d).mean(0), 0, atol=1e-2) and np.allclose(((e - d) * d).mean(0), 0, atol=1e-2)
    before, after = (np.linalg.norm(network(rows, faded, key) - model(rows)) for network in (model, fitted))
    assert after < 0.5 * before
    assert jnp.array_equal(block.scale1[...], jnp.ones(9))


@pytest.mark.parametrize(
    ("change", "message"),
    [(dict(model=3), "`model` must be a"), (dict(key=None), "`key` must be a key")],
)
def test_recalibration_refuses(change, message):
    _, model, _, batch = make_parts()
    arguments = dict(model=model, rows=batch[0], device=noisy(10), key=jax.random.key(0)) | change
    with pytest.raises(ValueError, match="^" + message):
        nets.run.recalibrate(**arguments)


def test_a_fit_is_the_same_for_a_device_that_builds_by_seed_or_by_key():
    config = resolve(Config(**SMALL | dict(unit=3)))
    by_seed, by_key = build_device(config), build_device(resolve(Config(**SMALL)), jax.random.key(3))
    assert all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(by_seed), jax.tree.leaves(by_key), strict=True)
    )
