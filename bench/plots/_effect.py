"""Effects: the change of test values and of a pattern."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.plots._patterns import grating, smooth_image
from bench.plots._scale import BLUE, MAGNITUDE, ORANGE, SIGNED, image
from optics.effects import Effect, Modulation, apply

SIDE, STEPS, DRAWS = 16, 49, 12  # of the test plane, of a curve, of its noise
FULL_RANGE = (-1.2, 1.2)  # of test values on frames, in units of full scale


def effect(effect: Effect | Sequence[Effect], key: Any = None, title: str = "") -> Figure:
    """Draw values after an effect, their spread over draws and pixels, and a pattern that it changes.

    Effects on light: phase and amplitude of flat planes, and a grating beside a checkerboard, whose
    neighbours differ. Effects on frames: values, errors, and the error of a smooth image.

    Arguments:
        effect: of `optics.effects`, or several in the order of the physics, such as
            `optics.effects.camera(...)`.
        key: of the draws; None takes a fixed one.
        title: of the figure.

    Returns:
        the figure; bands are ± one standard deviation.
    """
    key = jax.random.key(0) if key is None else key
    chain = (effect,) if isinstance(effect, Effect) else tuple(effect)
    figure = Figure(figsize=(12, 3.3), layout="constrained")
    on_light = any(isinstance(item, Modulation) for item in chain)
    (_draw_light if on_light else _draw_frames)(figure.subplots(1, 4), chain, key)
    figure.suptitle(title or ", ".join(type(item).__name__ for item in chain))
    return figure


def plane_shape(chain: Sequence[Effect]) -> tuple[int, int]:
    """Pixels of a test plane: those of the maps of the effects, where they have any."""
    maps = [leaf.shape[-2:] for leaf in jax.tree.leaves(chain) if np.ndim(leaf) >= 2]
    rows, cols = (SIDE if n == 1 else n for n in np.broadcast_shapes(*maps, (1, 1)))
    return rows, cols


def draw_values(chain: Sequence[Effect], planes: Any, key: Any) -> np.ndarray:
    """Draws of the effects on planes, shape (draws, *planes)."""
    return np.asarray(_apply_to_draws(chain, jnp.asarray(planes), jax.random.split(key, DRAWS)))


@eqx.filter_jit
def _apply_to_draws(chain: Sequence[Effect], planes: Any, keys: Any) -> Any:
    # One effect alone keeps the whole key; in a chain each has a part of it.
    call = chain[0] if len(chain) == 1 else lambda value, key: apply(chain, value, key)
    return jax.lax.map(lambda key: call(planes, key), keys)


def _draw_curve(axes: Axes, x: Any, values: np.ndarray, colour: str, label: str) -> None:
    """Mean and spread over draws and pixels of values of shape (draws, steps, rows, columns)."""
    mean, spread = values.mean(axis=(0, 2, 3)), values.std(axis=(0, 2, 3))
    axes.plot(x, mean, color=colour, label=label)
    axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.3, linewidth=0)
    axes.grid(alpha=0.3)


def _draw_light(panels: Any, chain: Sequence[Effect], key: Any) -> None:
    shape = plane_shape(chain)
    phases, amplitudes = np.linspace(0, 2 * np.pi, STEPS, endpoint=False), np.linspace(0, 1, STEPS)
    flat = np.concatenate([np.exp(1j * phases), amplitudes])[:, None, None] * np.ones(shape)
    # One program for all of it: compiling takes longer than drawing.
    values = draw_values(chain, np.concatenate([flat, grating(shape)[None]]), key)
    of_phases, of_amplitudes, pattern = values[:, :STEPS], values[:, STEPS : 2 * STEPS], values[0, -1]
    # Relative to the phase asked for, so that nothing wraps.
    errors = np.angle(of_phases * np.exp(-1j * phases)[:, None, None])
    _draw_curve(panels[0], phases, errors, BLUE, "error of the phase")
    panels[0].set(xlabel="phase asked for (rad)", ylabel="phase given − asked for (rad)")
    _draw_curve(panels[1], amplitudes, np.abs(of_amplitudes), BLUE, "amplitude")
    panels[1].plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1)
    panels[1].set(xlabel="amplitude asked for (1)", ylabel="amplitude given (1)")
    # Sub-pixels, where an effect gives them, are compared with their pixel.
    factors = [have // want for have, want in zip(pattern.shape, shape, strict=True)]
    light = np.kron(grating(shape), np.ones(factors))
    image(panels[2], np.abs(pattern), "amplitude (1)", title="a grating | a checkerboard", limits=(0, None))
    change = np.angle(pattern * light.conj())
    largest = max(float(np.abs(change).max()), 1e-3)
    label, title = "phase given − asked for (rad)", "change of their phases"
    image(panels[3], change, label, None, SIGNED, (-largest, largest), title)
    # Rounding errors are not worth a scale of their own.
    low, high = panels[0].get_ylim()
    if high - low < 1e-4:
        panels[0].set_ylim(-0.05, 0.05)


def _draw_frames(panels: Any, chain: Sequence[Effect], key: Any) -> None:
    shape = plane_shape(chain)
    signed = any(item.signed for item in chain)
    low, high = FULL_RANGE if signed else (0.0, FULL_RANGE[1])
    x = np.linspace(low, high, STEPS)
    before = 2 * smooth_image(shape) - 1 if signed else smooth_image(shape)
    values = draw_values(chain, np.concatenate([x[:, None, None] * np.ones(shape), before[None]]), key)
    values, after = values[:, :-1], values[0, -1]
    panels[0].plot([low, high], [low, high], color="0.5", linestyle="--", linewidth=1, label="no change")
    _draw_curve(panels[0], x, values, BLUE, "mean ± σ")
    panels[0].set(xlabel="value (full scale)", ylabel="value after (full scale)")
    panels[0].legend(frameon=False, fontsize=8)
    _draw_curve(panels[1], x, values - x[:, None, None], ORANGE, "error")
    panels[1].axhline(0, color="0.5", linestyle="--", linewidth=1)
    panels[1].set(xlabel="value (full scale)", ylabel="change (full scale)")
    cmap = SIGNED if signed else MAGNITUDE
    image(panels[2], after, "full scale (1)", cmap=cmap, title="an image, after")
    largest = max(float(np.abs(after - before).max()), 1e-6)
    label = "full scale (1)"
    image(panels[3], after - before, label, None, SIGNED, (-largest, largest), "its change")
