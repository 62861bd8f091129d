"""The public data set of frames: a run on slmsuite's simulated bench, fitted without slmsuite."""

import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics.records import read_recording
from tests.slmsuite_bench import (
    DATA,
    DRIVES,
    NOISE,
    REPEATS,
    SIDE,
    TRUE_TABLE,
    UNSEEN,
    believed_twin,
    fit_to,
    light_of,
    record,
)

h5py = pytest.importorskip("h5py")
FITTED = slice(0, DRIVES + REPEATS)
LATER = slice(DRIVES + REPEATS, None)


def test_the_file_says_what_it_is():
    assert DATA.stat().st_size < 1_000_000
    with h5py.File(DATA) as file:
        assert "slmsuite 0.5.0" in file.attrs["source"] and "Apache-2.0" in file.attrs["licence"]
        assert file.attrs["made_by"] == "python -m tests.slmsuite_bench"
    recording = read_recording(DATA)
    assert recording.drive.shape == (DRIVES + REPEATS + UNSEEN, SIDE, SIDE)
    assert recording.frames.shape == (DRIVES + REPEATS + UNSEEN, 1, SIDE, SIDE)
    # 12 bits, and the same drives again with other noise.
    counts = recording.frames * 4095
    assert np.allclose(counts, np.round(counts), atol=1e-6) and counts.max() < 4095
    assert np.array_equal(recording.drive[:REPEATS], recording.drive[DRIVES : DRIVES + REPEATS])
    scatter = recording.frames[:REPEATS] - recording.frames[DRIVES : DRIVES + REPEATS]
    assert np.std(scatter) / np.sqrt(2) == pytest.approx(NOISE, rel=0.05)
    assert len(recording.settings["hidden"]["gamma"]) == 256


def test_a_fit_explains_the_frames_of_another_code():
    """χ² per degree of freedom, what was hidden, and frames that the fit has not seen."""
    recording, believed = read_recording(DATA), believed_twin()
    seen = optics.Recording(*(part[FITTED] for part in recording[:3]))
    fit = fit_to(seen, believed)
    assert fit.chi2 / fit.freedom == pytest.approx(1, abs=0.05)
    assert fit.is_good
    table = np.interp(np.arange(32) * 8, np.arange(257), TRUE_TABLE)
    assert np.max(np.abs(np.asarray(fit.device.slm[1].table)[:-1] - table)) < 0.02
    light, hidden = np.asarray(fit.device.slm[2](jnp.ones((SIDE, SIDE)), None)), light_of(SIDE)
    overlap = abs(np.vdot(light, hidden)) ** 2 / np.vdot(light, light).real / np.vdot(hidden, hidden).real
    assert overlap > 0.9999
    later = optics.Recording(*(part[LATER] for part in recording[:3]))

    def grey_levels(twin):
        expected = twin.expose(optics.Exposure(later.drive, later.full_scale, jnp.ones((UNSEEN, 1, 1))))
        return 255 * float(np.sqrt(np.mean((np.asarray(expected) - np.asarray(later.frames)) ** 2)))

    # The noise alone is 0.77 of them.
    assert grey_levels(fit.device) < 0.85 < 10 < grey_levels(believed)


def test_the_panel_table_cannot_be_left_out():
    """A model that is wrong is told by its χ²."""
    recording, believed = read_recording(DATA), believed_twin()
    seen = optics.Recording(*(part[FITTED] for part in recording[:3]))
    fit = optics.fit_twin(believed, seen, lambda d: (d.slm[2].waist, d.slm[2].aberrations))
    assert fit.chi2 / fit.freedom > 2 and not fit.is_good


def test_the_script_makes_the_file_again(tmp_path):
    pytest.importorskip("slmsuite", reason='slmsuite is not installed: pip install "lensformer[slmsuite]"')
    record(tmp_path / "frames.h5")
    again, data = read_recording(tmp_path / "frames.h5"), read_recording(DATA)
    assert np.allclose(again.drive, data.drive, atol=1e-6)
    assert np.allclose(again.full_scale, data.full_scale, rtol=1e-5)
    # A pixel at the border of two counts or of two levels may fall to the other side elsewhere.
    assert np.quantile(np.abs(again.frames - data.frames), 0.99) < 1.5 / 4095
