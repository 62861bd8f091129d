"""The bench as a person runs it."""

import json

import numpy as np
import pytest

from bench import fidelity, results
from bench.__main__ import main


@pytest.mark.parametrize("command", ["fidelity", "speed", "networks"])
def test_quick(command, tmp_path, capsys):
    assert main([command, "--quick", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"wrote {tmp_path / command}.json" in printed and "operation" in printed
    written = json.loads((tmp_path / f"{command}.json").read_text())
    assert {"rows", "versions", "machine", "seed", "commit", "config"} <= written.keys()
    assert (tmp_path / f"{command}.png").stat().st_size > 10_000
    if command == "fidelity":
        shot = next(r for r in written["rows"] if r["operation"] == "convolution" and r["condition"] == "one shot")
        assert 0.03 < shot["relative_rms_error"] < 0.1
        # Systematic and random parts add in quadrature.
        assert np.hypot(shot["systematic"], shot["random"]) == pytest.approx(shot["relative_rms_error"], rel=0.05)
        errors = [r["relative_rms_error"] for r in written["rows"] if r.get("sweep") == "photons"]
        # Where shot noise rules, the error goes with the root of the photons.
        costs = {r["condition"]: r for r in written["rows"] if r.get("sweep") == "budget"}
        assert list(costs) == [
            "optics alone",
            "slm Quantize",
            *(f"camera {n}" for n in ("BalancedShot", "Read", "Saturate", "Quantize")),
            "all",
        ]
        # Independent errors add in quadrature.
        assert costs["all"]["explained"] == pytest.approx(costs["all"]["relative_rms_error"], rel=0.1)
        assert costs["camera BalancedShot"]["without"] < costs["all"]["relative_rms_error"]
        assert errors[2] / errors[4] == pytest.approx(np.sqrt(10), rel=0.15) and errors[-1] > 0.01
    elif command == "networks":
        timed = [row for row in written["rows"] if "ratio" in row]
        assert [row["against"] for row in timed] == ["linear wide", "literal, exact FFT", "linear wide"]
        attention, attention_longer, lambdas, lambdas_longer = (row["bytes"] for row in written["rows"] if "bytes" in row)
        assert attention_longer > 3 * attention > 3 * lambdas and lambdas_longer < 2.3 * lambdas
    else:
        assert [row["against"] for row in written["rows"]] == 2 * ["compiled, Dense"] + 3 * ["exact FFT"]
        assert all(row["relative_difference"] < 1e-5 for row in written["rows"][:2])
        for row in written["rows"]:
            assert row["ratio"] == pytest.approx(row["milliseconds"] / row["against_milliseconds"])


def test_an_ideal_device_has_only_rounding_errors(tmp_path):
    assert main(["fidelity", "--quick", "--device", "ideal", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "fidelity.json").read_text())["rows"]
    assert all(row["relative_rms_error"] < 1e-5 for row in rows)


def test_effective_bits():
    # A perfect 8-bit converter: step 1/255 of the range, full-scale sine.
    sine = np.sin(np.linspace(0, 200 * np.pi, 100_001))
    error = np.round((sine + 1) * 127.5) / 127.5 - 1 - sine
    assert fidelity.bits(fidelity.rms(error) / fidelity.rms(sine)) == pytest.approx(8, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["fidelity", "--device", "engine12"],
            "`device` must be a preset, one of dmd-4f, engine11, ideal, jtc, slm-4f, slm-fast; got 'engine12'",
        ),
        (["networks", "--device", "jtc"], "`device` must have the 11×11 pixels of the embedding, got jtc with (1, 21)"),
        (["speed", "--out", "/dev/null/results"], "`out` /dev/null/results cannot be written to"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_table():
    text = results.table([{"a": 1.5, "b": "x"}, {"a": None, "b": "long"}], {"a": ".2f", "b": ""})
    assert text.splitlines() == ["a     b", "1.50  x", "      long"]
