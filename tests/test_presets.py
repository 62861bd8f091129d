"""Presets: every number has its source, and only good ones get in."""

import tomllib

import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics import presets


@pytest.mark.parametrize("name", presets.names())
def test_every_field_is_documented(name):
    data = tomllib.loads((presets.FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    text = presets.describe(name)
    assert data.pop("about") in text and data.pop("kind")
    for key, field in data.items():
        assert {"value", "unit", "source", "low", "high"} <= field.keys(), key
        assert field["low"] <= field["value"] <= field["high"], key
        assert field.get("guess", False) or "our choice" not in field["source"] or name == "ideal", key
        assert key in text and field["source"] in text


@pytest.mark.parametrize("name", presets.names())
def test_load(name):
    assert presets.load(name).shape == (11, 11)


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
        (lambda: presets.load("engine12"), "`name` must be a preset, one of engine11, ideal; got 'engine12'"),
        (lambda: presets.describe("engine12"), "`name` must be a preset"),
        (lambda: presets.load("../engine11"), "`name` must be a preset"),
        (lambda: presets.load("engine11", photon=3), "`photon` is not a field of preset 'engine11'; it has pixels, wavelength"),
        (lambda: presets.load("engine11", photons=jnp.nan), "`photons` must be finite and at least 1"),
        (lambda: presets.load("engine11", pitch=-1e-6), "`pitch` must be finite and at least 2e-05 and at most 0.0005 m, got -1e-06"),
        (lambda: presets.load("engine11", dac_bits=0), "`dac_bits` must be finite and at least 2"),
        (lambda: presets.load("engine11", level="full"), '`level` must be "ideal", "compiled" or "wave", got \'full\''),
        (lambda: presets.load("engine11", photons=[1e3, 1e4]), r"`photons` must be one number, got \[1000.0, 10000.0\]"),
        (lambda: presets.load("engine11", pixels=(3, 4)), r"`pixels` must be one number, got \(3, 4\)"),
        (lambda: presets.load("engine11", adc_bits=8.5), "`adc_bits` must be a whole number"),
        (lambda: presets.load("ideal", pixels=(2, 3, 4)), "`pixels` must be one whole number or a pair"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_equalize_keeps_what_is_ideal():
    device = optics.equalize(presets.load("ideal"))
    np.testing.assert_allclose(device.pre, 1, atol=1e-4)
    np.testing.assert_allclose(device.post, 1, atol=1e-4)
