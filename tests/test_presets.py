"""Presets: every number has its source, and only good ones get in."""

import tomllib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics import presets


@pytest.mark.parametrize("name", presets.names())
def test_every_field_is_documented(name):
    data = tomllib.loads((presets.FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    text = presets.describe(name)
    assert (
        data.pop("about") in text
        and data.pop("kind")
        and data.pop("hardware") in optics.accounting.hardware_names()
    )
    for key, field in data.items():
        assert {"value", "unit", "source", "low", "high"} <= field.keys(), key
        assert field["low"] <= field["value"] <= field["high"], key
        assert field.get("guess", False) or "our choice" not in field["source"] or name == "ideal", key
        assert key in text and field["source"] in text


@pytest.mark.parametrize("name", presets.names())
def test_load(name):
    device = presets.load(name, level="ideal")
    x, w = (jax.random.normal(jax.random.key(i), device.shape) for i in range(2))
    y = jax.jit(optics.convolve)(x, w, device, jax.random.key(2))
    exact = optics.convolve(x, w)
    assert np.linalg.norm(y - exact) < 0.6 * np.linalg.norm(exact)


def test_a_small_bench_of_mirrors_at_every_level():
    x, w = (jax.random.normal(jax.random.key(i), (3, 3)) for i in range(2))
    exact = optics.convolve(x, w)
    for level in ("ideal", "compiled", "wave"):
        device = presets.load("dmd-4f", level=level, pixels=3)
        y = jax.jit(optics.convolve)(x, w, device, jax.random.key(2))
        assert np.linalg.norm(y - exact) < 0.2 * np.linalg.norm(exact), level


def test_units_differ_within_their_ranges_and_a_population_is_a_vmap():
    nominal = presets.load("engine11", pixels=3)
    first, again, second = (presets.load("engine11", unit=jax.random.key(i), pixels=3) for i in (1, 1, 2))
    x = jax.random.normal(jax.random.key(0), (3, 3))
    seen = [np.asarray(optics.transform(x, device)) for device in (nominal, first, again, second)]
    np.testing.assert_array_equal(seen[1], seen[2])
    assert np.linalg.norm(seen[1] - seen[0]) > 1e-3 and np.linalg.norm(seen[1] - seen[3]) > 1e-3
    keys = jax.random.split(jax.random.key(3), 4)
    population = jax.jit(
        jax.vmap(lambda k: optics.transform(x, presets.load("engine11", unit=k, level="ideal", pixels=3)))
    )(keys)
    assert population.shape == (4, 3, 3) and np.all(np.std(np.asarray(population), axis=0) > 0)
    gains = np.abs(
        jax.jit(jax.vmap(lambda k: presets.load("engine11", unit=k, level="ideal").slm[1].gain))(keys)
    )
    assert abs(np.std(gains) - 0.03) < 5 * 0.03 / np.sqrt(2 * gains.size)

    def stretch(key):
        return presets.load("slm-fast", unit=key, level="ideal", pixels=2).slm[2].response.stretch

    stretches = np.asarray(jax.jit(jax.vmap(stretch))(jax.random.split(jax.random.key(4), 8)))
    assert len(set(stretches.tolist())) == 8 and np.max(np.abs(stretches)) < 0.05


def test_engine_has_matched_pitches():
    lens = presets.load("engine11", level="wave").optics
    pitch_out = lens.wavelength * lens.focal_length / (11 * lens.pitch)
    assert np.isclose(pitch_out, lens.pitch, rtol=1e-6)


def test_overrides():
    device = presets.load("engine11", photons=5e3, adc_bits=6)
    assert device.camera[0].photons == 5e3 and device.camera[-1].bits == 6
    assert presets.load("ideal", pixels=(2, 5)).shape == (2, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: presets.load("engine12"),
            "`name` must be a preset, one of dmd-4f, engine11, ideal, jtc, slm-4f, slm-fast; got 'engine12'",
        ),
        (lambda: presets.describe("engine12"), "`name` must be a preset"),
        (lambda: presets.load("../engine11"), "`name` must be a preset"),
        (
            lambda: presets.load("engine11", photon=3),
            "`photon` is not a field of preset 'engine11'; it has pixels, wavelength",
        ),
        (lambda: presets.load("engine11", photons=jnp.nan), "`photons` must be finite and at least 1"),
        (
            lambda: presets.load("engine11", pitch=-1e-6),
            "`pitch` must be finite and at least 2e-05 and at most 0.0005 m, got -1e-06",
        ),
        (lambda: presets.load("engine11", dac_bits=0), "`dac_bits` must be finite and at least 2"),
        (
            lambda: presets.load("engine11", level="full"),
            '`level` must be "ideal", "compiled" or "wave", got \'full\'',
        ),
        (
            lambda: presets.load("engine11", photons=[1e3, 1e4]),
            r"`photons` must be one number, got \[1000.0, 10000.0\]",
        ),
        (lambda: presets.load("engine11", pixels=(3, 4)), r"`pixels` must be one number, got \(3, 4\)"),
        (
            lambda: presets.load("engine11", unit=3),
            "`unit` must be a key, such as `jax.random.key\\(3\\)`, got 3",
        ),
        (lambda: presets.load("engine11", adc_bits=8.5), "`adc_bits` must be a whole number"),
        (lambda: presets.load("ideal", pixels=(2, 3, 4)), "`pixels` must be one whole number or a pair"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
