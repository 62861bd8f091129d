"""Figures: every part has one, every axis a name, and lengths are those of the device."""

import json
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

import optics
from bench import plots
from bench.plots._scale import error_label, quantity, round_length, with_prefix
from bench.plots._transfer_matrix import matrices
from optics import encode
from tests import parts
from tests.helpers_bench import RESULTS

ENCODERS = [
    encode.Amplitude(1),
    encode.Amplitude(),
    encode.Amplitude(4),
    encode.BitPlanes(4),
    encode.Blazed(),
    encode.ComplexAmplitude(),
    encode.DoublePhase(),
    encode.Superpixel(),
]


def labelled(figure):
    """Every axis that is drawn has a name, and every colour bar what it shows."""
    assert isinstance(figure, Figure) and figure.axes
    for axes in figure.axes:
        if axes.get_label() == "<colorbar>":
            assert axes.get_ylabel()
        elif axes.axison:
            assert axes.get_xlabel() and axes.get_ylabel()
    return figure


def labelled_where_named(figure):
    """Rows that bear names need no name for their axis."""
    for axes in figure.axes:
        assert not axes.axison or axes.get_xlabel() or axes.get_ylabel()
    return figure


def unit_of(label):
    return {"m": 1.0, "mm": 1e-3, "µm": 1e-6}[re.search(r"\((\w+)\)", label)[1]]


@pytest.mark.parametrize("name", parts.EFFECTS)
def test_effects(name):
    labelled(plots.show(parts.EFFECTS[name].make()))


@pytest.mark.parametrize("name", parts.MEASUREMENTS)
def test_measurements(name):
    labelled(plots.show(parts.MEASUREMENTS[name].make()))


# Its lens takes seconds to compile; the rest of it is in "engine11, exact transform".
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.notebooks) if n == "engine11" else n for n in parts.DEVICES]
)
def test_devices(name):
    labelled(plots.show(parts.DEVICES[name].make()))


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda e: type(e).__name__)
def test_encoders(encoder):
    labelled(plots.show(encoder))


def test_other_kinds(tmp_path):
    external = optics.External(
        lambda drive, full_scale: np.zeros((*drive.shape[:-2], 2, 5, 5), np.float32),
        parts.DEVICES["wave 5×5"].make(),
    )
    resolved = optics.effects.Crosstalk(optics.effects.SuperGaussian(), subpixels=2, keep_subpixels=True)
    intensity = optics.Intensity(lambda amplitude: amplitude)
    run = "bench/results/digits-conv2d-engine11"
    for part in (external, resolved, intensity, "ideal", run, optics.compile_transfer(parts._lens)):
        labelled(plots.show(part))


def test_chains_planes_and_retrieved_objects():
    plane = np.outer(np.hanning(6), np.hanning(8))
    retrieved = optics.retrieve.Retrieved(jnp.asarray(plane), jnp.fft.fft2(plane), jnp.asarray(0.02))
    tries = optics.retrieve.Retrieved(
        jnp.stack([0 * plane, plane]), jnp.zeros((2, 6, 8), complex), jnp.asarray([0.5, 0.02])
    )
    for part in (retrieved, tries):
        figure = labelled(plots.show(part))
        assert figure.get_suptitle() == "retrieved object, residual 2.0e-02"
        np.testing.assert_allclose(figure.axes[0].images[0].get_array(), plane, atol=1e-6)
    # Complex numbers are a field, real ones frames.
    assert (
        len(labelled(plots.show(1j * plane)).axes) == 4
        and len(labelled(plots.show(jnp.asarray(plane))).axes) == 2
    )
    camera = optics.effects.camera(full_well=1e4, read_noise=2.5, bits=12)
    assert labelled(plots.show(camera)).get_suptitle().count(",") == len(camera) - 1


def test_titles_say_the_error_and_the_share_of_full_scale():
    assert error_label(0.0213) == "2.1e-02" and error_label(5.71) == "5.7 times the exact result"
    correlator = parts.DEVICES["correlator 3×4"].make()
    titles = [axes.get_title() for axes in plots.show(correlator).axes]
    assert any(
        title.startswith("by the device; frames use ") and "% of full scale" in title for title in titles
    )
    # Ten times the reference level leaves a tenth of full scale.
    dimmer = eqx.tree_at(lambda device: device.headroom, correlator, 10 * correlator.headroom)
    shares = [
        float(re.search(r"use ([\d.]+) %", axes.get_title())[1])
        for device in (correlator, dimmer)
        for axes in plots.show(device).axes
        if "frames use" in axes.get_title()
    ]
    assert shares[0] == pytest.approx(10 * shares[1], rel=0.1)


@pytest.mark.slow
def test_recorded_measurements():
    files = [file for file in RESULTS.rglob("*.json") if file.name != "config.json"]
    assert len(files) > 10
    for file in files:
        labelled_where_named(plots.draw_recorded(file)).draw_without_rendering()


def test_spreads_and_standard_errors_are_drawn():
    speed = json.loads((RESULTS / "speed.json").read_text())["rows"]
    texts = [text.get_text() for axes in plots.speed(speed).axes for text in axes.texts]
    assert texts == [f"{row['ratio']:.3g} (spread {row['spread']:.2f})" for row in speed]
    rows = json.loads((RESULTS / "studies.json").read_text())["rows"]
    accuracy = plots.studies(rows).axes[0].containers[0]
    (point,) = [
        row
        for row in rows
        if row.get("field") == "photons" and row["value"] == 1 and "exactly" in row["network"]
    ]
    low, high = accuracy.lines[2][0].get_segments()[0][:, 1]
    p = point["accuracy"]
    assert (high - low) / 200 == pytest.approx(np.sqrt(p * (1 - p) / 2500))


def test_drawn_without_complaint():
    """Drawing computes the layout: a title that does not fit or a sign without a glyph warns there."""
    one_dimensional = optics.FourierLens(
        (1, 8), 10e-6, 1e-6, aberrations=(0.0, 0.1), defocus=1e-5, plane=520, tilt=(0.0, 0.01)
    )
    rows = [
        {"condition": "optics alone", "relative_rms_error": 1e-3},
        {"condition": "Shot", "relative_rms_error": 2e-2, "without": 1e-2},
    ]
    figures = [
        plots.show(parts.EFFECTS["crosstalk"].make()),
        plots.show(parts.EFFECTS["shot"].make()),
        plots.show(parts.MEASUREMENTS["4 steps"].make()),
        plots.show(parts.DEVICES["correlator 3×4"].make()),
        plots.show(one_dimensional),
        plots.layout(optics.Correlator(parts._lens)),
        plots.layout(optics.CrossedLenses((2, 3, 2), 8e-6, 532e-9, width=4)),
        plots.show(parts.MULTIPLIERS["balanced"].make()),
        plots.error_budget(rows, "budget"),
        plots.attention_map(np.full((2, 3, 3), 1 / 3), ["a", "b", "c"]),
        plots.attention_map(np.eye(4)),
        plots.frames(np.random.default_rng(0).random((9, 6, 8)), 5e-6),
        plots.frames(-np.ones((2, 2))),
        plots.training_curves(
            "bench/results/digits-conv2d-engine11", "bench/results/fashion-mnist-lambda-resnet-none"
        ),
    ]
    for figure in figures:
        labelled(figure).draw_without_rendering()


def test_layout_is_to_scale():
    """Lens and detector are where their numbers say, as read off the axes in the unit of the label."""
    lens = optics.FourierLens(
        5,
        pitch=127e-6,
        wavelength=1.55e-6,
        focal_length=0.052,
        defocus=1e-3,
        decentre=(0.0, 1e-4),
        pupil_radius=1e-3,
        plane=340,
    )
    device = optics.Correlator(lens)
    axes = plots.layout(device).axes[0]
    along, across = unit_of(axes.get_xlabel()), unit_of(axes.get_ylabel())

    def drawn(gid):
        return [
            (line.get_xdata()[0] * along, np.asarray(line.get_ydata()) * across)
            for line in axes.lines
            if line.get_gid() == gid
        ]

    focal_length, leg = 0.052, 2 * 0.052 + 1e-3
    assert [z for z, _ in drawn("lens")] == pytest.approx([focal_length, leg + focal_length], rel=1e-5)
    assert [z for z, _ in drawn("modulator") + drawn("filter") + drawn("detector")] == pytest.approx(
        [0, leg, 2 * leg], rel=1e-5
    )
    np.testing.assert_allclose(drawn("lens")[0][1], [-0.9e-3, 1.1e-3], rtol=1e-5)
    np.testing.assert_allclose(drawn("detector")[0][1], [-2.5 * 127e-6, 2.5 * 127e-6], rtol=1e-5)


def test_rays_of_one_direction_meet_at_the_detector():
    """A lens sends direction θ to height f θ in its focal plane; a pixel's band ends at λ/(2 pitch)."""
    lens = parts._lens
    axes = plots.layout(lens).axes[0]
    across = unit_of(axes.get_ylabel())
    rays = [line for line in axes.lines if line.get_gid() is None and len(line.get_xdata()) == 3]
    ends = np.sort([line.get_ydata()[-1] * across for line in rays])
    edge = 5 * 127e-6 / 2
    np.testing.assert_allclose(ends, np.repeat([-edge, 0, edge], 3), atol=1e-9)


def test_rays_end_at_the_pupil():
    lens = eqx.tree_at(lambda s: s.pupil_radius, parts._lens, jnp.asarray(1e-4))
    assert all(
        len(line.get_xdata()) == 2
        for line in plots.layout(lens).axes[0].lines[:3]
        if abs(line.get_ydata()[0]) > 0.11
    )


@pytest.mark.parametrize(
    ("dx", "samples", "length"),
    [(1e-6, 100, 20e-6), (8e-6, 64, 100e-6), (1e-3, 16, 5e-3), (0.4e-9, 50, 5e-9)],
)
def test_scale_bar(dx, samples, length):
    """The bar is a round length, drawn as long as it says."""
    u = np.exp(1j * np.linspace(0, 6, samples * samples)).reshape(samples, samples)
    axes = labelled(plots.field(u, dx)).axes[0]
    bar = next(patch for patch in axes.patches if patch.get_gid() == "scale bar")
    (left, right), text = (
        axes.get_xlim(),
        next(t.get_text() for t in axes.texts if t.get_gid() == "scale bar length"),
    )
    assert bar.get_width() / (right - left) * samples * dx == pytest.approx(length, rel=1e-9)
    assert text == quantity(length, "m")


def test_field_shows_the_axis_at_pixel_half():
    u = np.zeros((4, 5), complex)
    u[2, 2] = 1j
    amplitude, phase = plots.field(u, 1e-6).axes[:2]
    left, right, bottom, top = amplitude.images[0].get_extent()
    assert (left, right, bottom, top) == pytest.approx((-2.5, 2.5, 1.5, -2.5))
    shown = np.ma.getdata(phase.images[0].get_array())
    assert shown[2, 2] == pytest.approx(np.pi / 2) and np.isnan(shown[0, 0])


def test_transfer_matrix_of_the_exact_transform_deviates_by_nothing():
    found, exact, _ = matrices(optics.dft((1, 6)))
    np.testing.assert_allclose(found, exact, atol=1e-6)
    n = np.arange(20) - 10
    line = jnp.asarray(np.exp(-2j * np.pi * np.outer(n, n) / 20) / np.sqrt(20), jnp.complex64)
    found, exact, what = matrices(optics.Separable(line[None], line[None], 0.05))
    assert what == "of the middle row"
    np.testing.assert_allclose(found, exact, atol=1e-5)


def test_prefixes():
    assert [with_prefix(v, "m") for v in (0.1145, 127e-6, 1e-3, 0.0)] == [
        (1e3, "mm"),
        (1e6, "µm"),
        (1e3, "mm"),
        (1.0, "m"),
    ]
    assert quantity(1.55e-6, "m") == "1.55 µm"
    assert [round_length(v) for v in (0.9, 1, 4.9, 7e-6)] == pytest.approx([0.5, 1, 2, 5e-6])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.show(3), "`part` must be a lens"),
        (lambda: plots.show({"a": np.zeros(1000)}), r"got \{.{1,80}\.$"),
        (
            lambda: plots.show((optics.dft(3), 4)),
            "`part` must be a tuple of effects .* got one of Dense, int",
        ),
        (lambda: plots.draw_recorded("pyproject.toml"), "`file` pyproject.toml must be a COMMAND.json"),
        (lambda: plots.show(optics.Coherent), "`part` must be a lens"),
        (lambda: plots.show("engine12"), "`part` must be a preset, one of correlator"),
        (lambda: plots.field(np.ones((2, 3, 3)), 1e-6), r"`u` must be one plane .* got shape \(2, 3, 3\)"),
        (lambda: plots.field(np.ones((3, 3)), 0.0), "`dx` must be finite and above 0"),
        (lambda: plots.frames(np.ones(3)), r"`frames` must be real, of shape"),
        (lambda: plots.frames(1j * np.ones((3, 3))), r"`frames` must be real"),
        (lambda: plots.transfer_matrix(jnp.fft.fft2), "`transfer` must be"),
        (lambda: plots.layout(parts.DEVICES["ideal"].make()), "`part` must have a `FourierLens`"),
        (lambda: plots.error_budget([]), "`rows` must be rows"),
        (lambda: plots.attention_map(np.ones((2, 3))), r"`weights` must have shape"),
        (lambda: plots.attention_map(np.ones((3, 3)), ["a"]), "`tokens` must name the 3 tokens"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`folder` must be a run folder"):
        plots.show(tmp_path)


def test_keys_choose_the_shot():
    shot = parts.EFFECTS["shot"].make()
    one, same, other = (
        plots.show(shot, key=jax.random.key(k)).axes[3].images[0].get_array() for k in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other)
