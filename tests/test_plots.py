"""Pictures: every part has one, every axis a name, and lengths are those of the device."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

import optics
from bench import plots
from bench.plots._scale import prefixed, quantity, round_length
from bench.plots._transfer_matrix import matrices
from optics import encode
from tests import parts

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
        lambda drive, full_scale: np.zeros((*drive.shape[:-2], 2, 5, 5), np.float32), parts.DEVICES["wave 5×5"].make()
    )
    resolved = optics.effects.Crosstalk(optics.effects.SuperGaussian(), subpixels=2, resolve=True)
    intensity = optics.Intensity(lambda amplitude: amplitude)
    run = "bench/results/digits-conv2d-engine11"
    for part in (external, resolved, intensity, "ideal", run, optics.compile_transfer(parts._lens)):
        labelled(plots.show(part))


def test_drawn_without_complaint():
    """Layouts are computed when a figure is drawn: a title that does not fit or a sign without a glyph warns there."""
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
    """Lens and detector are drawn where the numbers put them: each read off the axes, in the unit of their label."""
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
    """A lens sends direction θ to height f θ in its focal plane; the edge of the band of a pixel is λ/(2 pitch)."""
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
    assert [prefixed(v, "m") for v in (0.1145, 127e-6, 1e-3, 0.0)] == [
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
        (lambda: plots.show(optics.Coherent), "`part` must be a lens"),
        (lambda: plots.show("engine12"), "`part` must be a preset, one of dmd-4f"),
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
