"""Devices: an image on its way through, beside the exact result."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact
from matplotlib.figure import Figure, FigureBase

import optics
from bench.plots._patterns import smooth_image
from bench.plots._scale import SIGNED, amplitude_and_phase, error_label, frame_colours, image
from optics import AbstractDevice
from optics.device import modulate
from optics.effects import Effect
from optics.metrics import relative_error


class Tap(Effect):
    """An effect that changes nothing and gives the largest magnitude of its value to `note`."""

    note: Callable = eqx.field(static=True)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        jax.debug.callback(self.note, jnp.max(jnp.abs(value)))
        return value


def device(device: AbstractDevice, key: Any = None, title: str = "") -> Figure:
    """Draw an image on its way through a device, in one draw of the noise, beside the exact result.

    Arguments:
        device: one that computes transforms or convolutions; the hardware of an `External` is asked once.
        key: of the noise; None takes a fixed one.
        title: of the figure.

    Returns:
        the figure.
    """
    figure = Figure(figsize=(13, 6), layout="constrained")
    draw_device(figure, device, key, title)
    return figure


def draw_device(figure: FigureBase, device: AbstractDevice, key: Any = None, title: str = "") -> None:
    """`device` on a figure or a part of one."""
    key = jax.random.key(0) if key is None else key
    rows, cols = device.shape
    engine = device.twin if isinstance(device, optics.External) else device
    draw = _draw_transform if isinstance(engine, optics.FourierProcessor) else _draw_convolution
    draw(figure, device, key)
    figure.suptitle(title or f"{type(device).__name__}, {rows}×{cols} pixels, one draw of the noise")


def _draw_transform(figure: FigureBase, device: AbstractDevice, key: Any) -> None:
    engine = device.twin if isinstance(device, optics.External) else device
    numbers = jnp.asarray(smooth_image(device.shape))
    light, frames, result = map(np.asarray, _transform(device, engine, numbers, key))
    exact = np.asarray(optics.dft(device.shape)(numbers))
    axes = figure.subplots(2, 4)
    image(axes[0, 0], numbers, "amplitude (1)", title="numbers", limits=(0, 1))
    amplitude_and_phase(axes[0, 1], axes[0, 2], light[0], title=f"light, exposure 1 of {len(light)}")
    cmap, limits = frame_colours(frames[0, 0], engine.measurement.signed)
    count, share = frames[..., 0, 0].size, share_label(np.abs(frames).max())
    image(
        axes[0, 3], frames[0, 0], "of full scale (1)", None, cmap, limits, f"frame 1 of {count}, uses {share}"
    )
    amplitude_and_phase(axes[1, 0], axes[1, 1], result, title="transform by the device")
    largest = float(np.abs(exact).max())
    image(axes[1, 2], np.abs(exact), "amplitude (1)", limits=(0, largest), title="exact")
    error = np.abs(result - exact)
    image(
        axes[1, 3],
        error,
        "|device − exact| (1)",
        limits=(0, max(error.max(), 1e-9)),
        title=f"error: {error_label(relative_error(result, exact))}",
    )


def _draw_convolution(figure: FigureBase, device: AbstractDevice, key: Any) -> None:
    x = jnp.asarray(smooth_image(device.shape))
    w = jnp.zeros(device.shape).at[0, 0].set(1.0).at[0, 1].set(-1.0)
    result, used = map(np.asarray, _convolve(device, x, w, key))
    exact = np.asarray(optics.convolve(x, w))
    axes = figure.subplots(2, 3)
    image(axes[0, 0], x, "x (1)", title="x")
    # Taps lie around index 0; in the figure that is the middle.
    image(axes[0, 1], np.fft.fftshift(w), "w (1)", cmap=SIGNED, limits=(-1, 1), title="w, around its origin")
    largest = float(max(np.abs(exact).max(), np.abs(result).max(), 1e-30))
    limits = (-largest, largest)
    image(axes[0, 2], exact, "y (1)", None, SIGNED, limits, "exact convolution")
    image(axes[1, 0], result, "y (1)", None, SIGNED, limits, f"by the device; frames use {share_label(used)}")
    error = result - exact
    worst = max(float(np.abs(error).max()), 1e-9)
    title = f"error: {error_label(relative_error(result, exact))}"
    image(axes[1, 1], error, "device − exact (1)", None, SIGNED, (-worst, worst), title)
    axes[1, 2].plot(exact.ravel(), result.ravel(), ".")
    axes[1, 2].plot([-largest, largest], [-largest, largest], color="0.5", linestyle="--", linewidth=1)
    axes[1, 2].set(xlabel="exact (1)", ylabel="device (1)")
    axes[1, 2].grid(alpha=0.3)


def share_label(share: float) -> str:
    """A share of full scale as text."""
    return f"{100 * share:.2g} % of full scale" if share < 0.995 else "full scale"


@eqx.filter_jit
def _transform(
    device: AbstractDevice, engine: optics.FourierProcessor, numbers: Any, key: Any
) -> tuple[Any, Any, Any]:
    """Light behind the modulator, frames of the device or of its twin, and the transform."""
    exposure = engine.prepare(numbers)
    frames = engine.expose(exposure, key)
    result = engine.reconstruct(frames, exposure) if engine is device else device.transform(numbers, key)
    return modulate(engine.encoder, engine.slm, engine.transfer, exposure.drive, None), frames, result


def _convolve(device: AbstractDevice, x: Any, w: Any, key: Any) -> tuple[Any, float]:
    """The convolution, and the largest share of full scale in the frames of any detector."""
    largest: list[Any] = []
    tap = Tap(largest.append)
    detectors = {stage.name: (*stage.effects, tap) for stage in device.stages() if not stage.is_modulator}
    result = optics.convolve(x, w, device.with_stages(**detectors), key)
    jax.effects_barrier()
    return result, float(max(largest))
