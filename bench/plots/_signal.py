"""Numbers on their way: through an encoder, a measurement, a device."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import optics
from bench.plots._effect import picture
from bench.plots._scale import GREY, MAGNITUDE, SIGNED, amplitude_and_phase, image
from optics.device import modulate
from optics.encode import Amplitude, BitPlanes

MOST = 3  # exposures or frames shown


def numbers(shape: tuple[int, int]) -> jax.Array:
    """Complex test numbers: amplitudes from 0 to 1 down, phases from −π to π across."""
    rows, cols = shape
    amplitude = (np.arange(rows) + 1) / rows
    phase = np.pi * (2 * np.arange(cols) + 1 - cols) / cols
    return jnp.asarray(amplitude[:, None] * np.exp(1j * phase), jnp.result_type(complex))


def encoder(encoder: Any, numbers_: Any = None, title: str = "") -> Figure:
    """What a modulator shows for numbers, exposure by exposure, and what the exposures come to in the middle of the order.

    Arguments:
        encoder: of `optics.encode`.
        numbers_: shape (rows, columns); by default amplitudes from 0 to 1 down and all phases across.
        title: of the figure.

    Returns:
        the figure; the first 3 exposures are shown.
    """
    # Exposures for one sign or both take no phases.
    parts = getattr(encoder, "parts", encoder.exposures) if isinstance(encoder, Amplitude | BitPlanes) else 4
    default = numbers((8, 8)) if parts > 2 else jnp.linspace(1 - parts, 1, 64).reshape(8, 8)
    a = default if numbers_ is None else jnp.asarray(numbers_)
    drive, found = map(np.asarray, _encoded(encoder, a))
    shown = np.asarray(drive)[:MOST]
    figure = Figure(figsize=(3 * (2 + len(shown)), 5.4), layout="constrained")
    axes = figure.subplots(2, 2 + len(shown), squeeze=False)
    amplitude_and_phase(axes[0, 0], axes[1, 0], a, title="numbers")
    for i, plane in enumerate(shown):
        amplitude_and_phase(
            axes[0, i + 1], axes[1, i + 1], plane, title=f"modulator, {i + 1} of {len(drive)}"
        )
    amplitude_and_phase(axes[0, -1], axes[1, -1], found, title=f"found, off by {relative(found, a):.1e}")
    figure.suptitle(title or type(encoder).__name__)
    return figure


def measurement(measurement: Any, field: Any = None, title: str = "") -> Figure:
    """The frames that a measurement takes of a field, and the field that it finds in them.

    Arguments:
        measurement: such as `optics.PhaseShifting(4)`.
        field: shape (rows, columns), of at most 1 in modulus; by default amplitudes from 0 to 0.7 down and all phases across.
        title: of the figure.

    Returns:
        the figure; the first 3 frames are shown.
    """
    field = 0.7 * numbers((12, 12)) if field is None else jnp.asarray(field)
    taken, found = map(np.asarray, _measured(measurement, field))
    shown = np.asarray(taken)[:MOST]
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    axes = figure.subplots(2, max(3, len(shown)))
    amplitude_and_phase(axes[0, 0], axes[0, 1], field, title="field")
    error = np.abs(found - np.asarray(field))
    image(
        axes[0, 2],
        error,
        "|found − field| (1)",
        limits=(0, max(error.max(), 1e-9)),
        title=f"found, off by {relative(found, field):.1e}",
    )
    largest = max(float(np.abs(shown).max()), 1e-30)
    for i, plane in enumerate(shown):
        cmap, limits = (SIGNED, (-largest, largest)) if measurement.signed else (GREY, (0, largest))
        image(
            axes[1, i],
            plane,
            "of full scale (1)",
            cmap=cmap,
            limits=limits,
            title=f"frame {i + 1} of {len(taken)}",
        )
    for unused in (*axes[0, 3:], *axes[1, len(shown) :]):
        unused.set_axis_off()
    figure.suptitle(title or type(measurement).__name__)
    return figure


def device(device: Any, key: Any = None, title: str = "") -> Figure:
    """A picture on its way through a device, in one shot, beside the exact result.

    Arguments:
        device: `FourierProcessor`, `External` (whose hardware is asked once), `Correlator` or `JointTransform`.
        key: of the shot; None takes a fixed one.
        title: of the figure.

    Returns:
        the figure.
    """
    figure = Figure(figsize=(13, 6), layout="constrained")
    draw_device(figure, device, key, title)
    return figure


def draw_device(figure: Any, device: Any, key: Any = None, title: str = "") -> None:
    """`device` on a figure or a part of one."""
    key = jax.random.key(0) if key is None else key
    rows, cols = device.shape
    name = title or f"{type(device).__name__}, {rows}×{cols} pixels, one shot"
    (_transform if device.supports(optics.AbstractDevice.transform) else _convolution)(figure, device, key)
    figure.suptitle(name)


def relative(found: Any, exact: Any) -> float:
    """Relative error in the 2-norm."""
    exact = np.asarray(exact)
    return float(np.linalg.norm(np.asarray(found) - exact) / np.linalg.norm(exact))


@eqx.filter_jit
def _passed(device: Any, engine: Any, a: Any, key: Any) -> tuple[Any, Any, Any]:
    """Light behind the modulator, frames of the twin where there is one, and the transform."""
    exposure = engine.prepare(a)
    frames = engine.expose(exposure, key)
    found = engine.reconstruct(frames, exposure) if engine is device else device.transform(a, key)
    return modulate(engine.encoder, engine.slm, engine.transfer, exposure.drive, None), frames, found


@eqx.filter_jit
def _convolved(device: Any, x: Any, w: Any, key: Any) -> Any:
    return optics.convolve(x, w, device, key)


@eqx.filter_jit
def _measured(measurement: Any, field: Any) -> tuple[Any, Any]:
    taken = measurement.frames(field)
    return taken, measurement.field(taken)


@eqx.filter_jit
def _encoded(encoder: Any, a: Any) -> tuple[Any, Any]:
    drive, scale = encoder.encode(a)
    return drive, scale * encoder.combine(encoder.demodulate(drive, a.shape[-2:]))


def _transform(figure: Any, device: Any, key: Any) -> None:
    engine = device.twin if isinstance(device, optics.External) else device
    a = jnp.asarray(picture(device.shape))
    light, frames, found = map(np.asarray, _passed(device, engine, a, key))
    exact = np.asarray(optics.dft(device.shape)(a))
    axes = figure.subplots(2, 4)
    image(axes[0, 0], a, "amplitude (1)", title="numbers", limits=(0, 1))
    amplitude_and_phase(axes[0, 1], axes[0, 2], light[0], title=f"light, exposure 1 of {len(light)}")
    largest = max(float(np.abs(frames[0, 0]).max()), 1e-30)
    signed = engine.measurement.signed
    cmap, limits = (SIGNED, (-largest, largest)) if signed else (GREY, (0, largest))
    image(
        axes[0, 3],
        frames[0, 0],
        "of full scale (1)",
        cmap=cmap,
        limits=limits,
        title=f"frame 1 of {frames[..., 0, 0].size}",
    )
    amplitude_and_phase(axes[1, 0], axes[1, 1], found, title="transform found")
    largest = float(np.abs(exact).max())
    image(axes[1, 2], np.abs(exact), "amplitude (1)", limits=(0, largest), title="exact")
    error = np.abs(found - exact)
    image(
        axes[1, 3],
        error,
        "|found − exact| (1)",
        limits=(0, max(error.max(), 1e-9)),
        title=f"off by {relative(found, exact):.1e}",
    )


def _convolution(figure: Any, device: Any, key: Any) -> None:
    x = jnp.asarray(picture(device.shape))
    w = jnp.zeros(device.shape).at[0, 0].set(1.0).at[0, 1].set(-1.0)
    found, exact = np.asarray(_convolved(device, x, w, key)), np.asarray(optics.convolve(x, w))
    axes = figure.subplots(2, 3)
    image(axes[0, 0], x, "x (1)", cmap=MAGNITUDE, title="x")
    # Taps lie around index 0; in the picture that is the middle.
    image(axes[0, 1], np.fft.fftshift(w), "w (1)", cmap=SIGNED, limits=(-1, 1), title="w, around its origin")
    largest = float(max(np.abs(exact).max(), np.abs(found).max(), 1e-30))
    image(axes[0, 2], exact, "y (1)", cmap=SIGNED, limits=(-largest, largest), title="exact convolution")
    image(axes[1, 0], found, "y (1)", cmap=SIGNED, limits=(-largest, largest), title="found")
    worst = max(float(np.abs(found - exact).max()), 1e-9)
    image(
        axes[1, 1],
        found - exact,
        "y (1)",
        cmap=SIGNED,
        limits=(-worst, worst),
        title=f"off by {relative(found, exact):.1e}",
    )
    axes[1, 2].plot(exact.ravel(), found.ravel(), ".")
    axes[1, 2].plot([-largest, largest], [-largest, largest], color="0.5", linestyle="--", linewidth=1)
    axes[1, 2].set(xlabel="exact (1)", ylabel="found (1)")
    axes[1, 2].grid(alpha=0.3)
